/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler thread owns the sources, their tables and the pool of label sets. What others may ask
 * for (states, durations, counts) is kept beside each source under one lock, which is held for the
 * moment of copying only.
 *
 * A slow source (period over the tick's) is due at another tick than its neighbours, so that not
 * all fall on one; between its looks its last values are sent again. */
#include "sources/sources.h"

#include "base/clock.h"
#include "base/log.h"
#include "hub/hub.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    PERIOD_MS = 1000,
    PERIOD_MS_MIN = 100,
    PERIOD_MS_MAX = 60000,
    RETRY_MS_MAX = 60000,
    CLOCK_JUMP_MS = 500, /* Steering moves the clock by less between two ticks. */
    CGROUPS_MAX = 200,
    GROUPS_MAX = 200,
    DESCRIBE_MS = 600000, /* Kinds and helps are told again. */
    POOL_BYTES = 64 << 20,
    BATCH_BYTES = 16 << 20,
    POOL_SPARE = 10000, /* Sets of series that are gone, tolerated beside four times the living. */
    POOL_RENEW_MS = 60000,
};

struct entry {
    struct source source;
    const struct source_kind *kind;
    bool opened;
    int64_t due_ms;
    int failures_in_row;
    struct source_status status; /* Under the lock. */
};

struct sources {
    struct hub *hub;
    int64_t period_ms;
    struct source_options options;
    char *instance;
    char *job;
    struct label base[SOURCES_BASE_MAX];
    struct entry *entries;
    size_t count;
    struct table *self; /* About the sources themselves. */
    struct buf scratch;
    struct process_table *processes;

    struct label_pool *pool;
    int64_t pool_ms;       /* When it was made. */
    uint64_t pool_refused; /* Sum of the tables' refusals then. */
    int64_t described_ms;
    bool describe; /* At the next tick, because the last batch was lost. */
    int64_t last_ms;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool started;
    bool stopping;
    bool paused;
    bool silent; /* Paused, and the series were ended. */
    bool lost;   /* The last batch was. */
    struct sources_stats stats;
};

static const struct column self_columns[] = {
    {"node_scrape_collector_duration_seconds", "node_exporter: Duration of a collector scrape.",
     METRIC_GAUGE, NULL, NULL},
    {"node_scrape_collector_success", "node_exporter: Whether a collector succeeded.", METRIC_GAUGE,
     NULL, NULL},
};
static const char *const self_keys[] = {"collector"};

static char *copy(const char *text)
{
    char *copied = strdup(text);

    if (copied == NULL)
        must_memory(strlen(text) + 1);
    return copied;
}

static void choose_labels(struct sources *sources, const struct sources_options *options)
{
    char host[HOST_NAME_MAX + 1] = "localhost";
    size_t count = 0;

    if (gethostname(host, sizeof(host) - 1) != 0)
        (void)snprintf(host, sizeof(host), "localhost"); /* Better than no instance. */
    sources->instance = copy(options->instance == NULL ? host : options->instance);
    sources->job = copy(options->job == NULL ? "node" : options->job);
    if (sources->instance[0] != '\0')
        sources->base[count++] = (struct label){STR("instance"), str_of(sources->instance)};
    if (sources->job[0] != '\0')
        sources->base[count++] = (struct label){STR("job"), str_of(sources->job)};
    sources->options.base = sources->base;
    sources->options.base_count = count;
}

/* "all" turns every source off: for a daemon that only takes in what others send. */
static bool is_disabled(const struct sources_options *options, const char *name)
{
    for (size_t i = 0; options->disabled != NULL && options->disabled[i] != NULL; i++) {
        if (strcmp(options->disabled[i], name) == 0 || strcmp(options->disabled[i], "all") == 0)
            return true;
    }
    return false;
}

static enum err check_disabled(const struct sources_options *options, struct why *why)
{
    for (size_t i = 0; options->disabled != NULL && options->disabled[i] != NULL; i++) {
        if (strcmp(options->disabled[i], "all") == 0)
            continue;
        if (source_kind_find(options->disabled[i]) == NULL) {
            enum err err = fail(why, ERR_INVALID, "there is no source '%s'", options->disabled[i]);
            hint(why, "`sonde doctor` lists all sources");
            return err;
        }
    }
    return ERR_NONE;
}

static void make_entries(struct sources *sources, const struct sources_options *options)
{
    sources->count = source_kind_count();
    sources->entries = calloc(sources->count, sizeof(*sources->entries));
    if (sources->entries == NULL)
        must_memory(sources->count * sizeof(*sources->entries));
    for (size_t i = 0; i < sources->count; i++) {
        struct entry *entry = &sources->entries[i];
        entry->kind = source_kind_at(i);
        entry->due_ms = INT64_MIN;
        entry->status = (struct source_status){
            .name = entry->kind->name,
            .summary = entry->kind->summary,
            .state = is_disabled(options, entry->kind->name) ? SOURCE_DISABLED : SOURCE_RUNNING,
            .period_ms = entry->kind->period_ms > sources->period_ms ? entry->kind->period_ms
                                                                     : sources->period_ms,
        };
    }
}

static void init_lock(struct sources *sources)
{
    pthread_condattr_t attributes;

    MUST(pthread_mutex_init(&sources->lock, NULL) == 0);
    MUST(pthread_condattr_init(&attributes) == 0);
    MUST(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    MUST(pthread_cond_init(&sources->wake, &attributes) == 0);
    MUST(pthread_condattr_destroy(&attributes) == 0);
}

enum err sources_open(const struct sources_options *options, struct hub *hub,
                      struct sources **ret_sources, struct why *why)
{
    static const struct sources_options defaults = {0};

    if (options == NULL)
        options = &defaults;
    int64_t period_ms = options->period_ms == 0 ? PERIOD_MS : options->period_ms;
    if (period_ms < PERIOD_MS_MIN || period_ms > PERIOD_MS_MAX)
        return fail(why, ERR_INVALID, "a period of %lld ms is not between %d ms and %d ms",
                    (long long)period_ms, PERIOD_MS_MIN, PERIOD_MS_MAX);
    TRY(check_disabled(options, why));

    struct sources *sources = calloc(1, sizeof(*sources));
    if (sources == NULL)
        must_memory(sizeof(*sources));
    sources->hub = hub;
    sources->period_ms = period_ms;
    sources->options = (struct source_options){
        .paths = {.proc = options->paths.proc == NULL ? "/proc" : options->paths.proc,
                  .sys = options->paths.sys == NULL ? "/sys" : options->paths.sys,
                  .root = options->paths.root == NULL ? "" : options->paths.root},
        .textfile_folder = options->textfile_folder,
        .cgroups_max = options->cgroups_max == 0 ? CGROUPS_MAX : options->cgroups_max,
        .groups_max = options->groups_max == 0 ? GROUPS_MAX : options->groups_max,
    };
    choose_labels(sources, options);
    make_entries(sources, options);
    sources->self = table_new(self_columns, ARRAY_COUNT(self_columns), self_keys, 1);
    sources->processes =
        process_table_new(sources->options.paths.proc, sources->options.paths.root);
    sources->options.processes = sources->processes;
    init_lock(sources);
    *ret_sources = sources;
    return ERR_NONE;
}

struct sources *sources_close(struct sources *sources)
{
    if (sources == NULL)
        return NULL;
    sources_stop(sources);
    for (size_t i = 0; i < sources->count; i++) {
        if (sources->entries[i].opened)
            source_close(&sources->entries[i].source);
    }
    free(sources->entries);
    table_free(sources->self);
    process_table_free(sources->processes);
    label_pool_unref(sources->pool);
    buf_done(&sources->scratch);
    free(sources->instance);
    free(sources->job);
    (void)pthread_cond_destroy(&sources->wake);  /* Nobody waits. */
    (void)pthread_mutex_destroy(&sources->lock); /* Nobody holds it. */
    free(sources);
    return NULL;
}

static void lock(struct sources *sources)
{
    MUST(pthread_mutex_lock(&sources->lock) == 0);
}

static void unlock(struct sources *sources)
{
    MUST(pthread_mutex_unlock(&sources->lock) == 0);
}

/* ---- One source at one tick. ---- */

/* How long to wait after a failure: twice as long each time, up to a minute. */
static int64_t retry_ms(const struct entry *entry, enum err err)
{
    int64_t wait_ms = entry->status.period_ms;

    if (err == ERR_UNSUPPORTED)
        return RETRY_MS_MAX;
    for (int i = 0; i < entry->failures_in_row && wait_ms < RETRY_MS_MAX; i++)
        wait_ms *= 2;
    return wait_ms < RETRY_MS_MAX ? wait_ms : RETRY_MS_MAX;
}

static void log_change(const struct entry *entry, enum source_state before, enum err err,
                       const struct why *why)
{
    if (err == ERR_UNSUPPORTED && before != SOURCE_UNSUPPORTED)
        log_line(LOG_DEBUG, "sources", "%s: %s", entry->kind->name, why->text);
    else if (err != ERR_NONE && err != ERR_UNSUPPORTED && before != SOURCE_FAILED)
        log_line(LOG_WARNING, "sources", "%s failed and is asked again later: %s",
                 entry->kind->name, why->text);
    else if (err == ERR_NONE && before == SOURCE_FAILED)
        log_line(LOG_INFO, "sources", "%s works again", entry->kind->name);
}

static void note(struct sources *sources, struct entry *entry, enum err err, const struct why *why,
                 int64_t duration_ns)
{
    enum source_state before = entry->status.state;

    lock(sources);
    entry->status.duration_s = (double)duration_ns / 1e9;
    entry->status.state = err == ERR_NONE          ? SOURCE_RUNNING
                          : err == ERR_UNSUPPORTED ? SOURCE_UNSUPPORTED
                                                   : SOURCE_FAILED;
    entry->status.failures += entry->status.state == SOURCE_FAILED;
    (void)snprintf(entry->status.error, sizeof(entry->status.error), "%s",
                   err == ERR_NONE ? "" : why->text);
    unlock(sources);
    entry->failures_in_row = err == ERR_NONE ? 0 : entry->failures_in_row + 1;
    log_change(entry, before, err, why);
}

static enum err look(struct sources *sources, struct entry *entry, int64_t time_ms,
                     struct batch *out, struct why *why)
{
    if (!entry->opened) {
        TRY(source_open(&entry->source, entry->kind, &sources->options, &sources->scratch, why));
        entry->opened = true;
    }
    return source_collect(&entry->source, time_ms, out, why);
}

/* Spreads the slow sources over the ticks of their period. */
static int64_t first_due(const struct sources *sources, size_t index, int64_t time_ms)
{
    int64_t ticks = sources->entries[index].status.period_ms / sources->period_ms;

    return time_ms + sources->period_ms * (1 + (int64_t)index % (ticks < 1 ? 1 : ticks));
}

static void visit(struct sources *sources, size_t index, int64_t time_ms, struct batch *out)
{
    struct entry *entry = &sources->entries[index];
    struct why why = WHY_INIT;

    if (entry->status.state == SOURCE_DISABLED)
        return;
    if (time_ms >= entry->due_ms || time_ms < sources->last_ms) {
        int64_t start_ns = clock_monotonic_ns();
        bool first = entry->due_ms == INT64_MIN;
        enum err err = look(sources, entry, time_ms, out, &why);
        note(sources, entry, err, &why, clock_monotonic_ns() - start_ns);
        if (err != ERR_NONE)
            entry->due_ms = time_ms + retry_ms(entry, err);
        else
            entry->due_ms =
                first ? first_due(sources, index, time_ms) : time_ms + entry->status.period_ms;
    }
    struct str name = str_of(entry->kind->name);
    struct row *row = table_row(sources->self, &name);
    row_set(row, 0, entry->status.duration_s);
    row_set(row, 1, entry->status.state == SOURCE_RUNNING);
}

/* ---- One tick. ---- */

static uint64_t refused(const struct sources *sources)
{
    uint64_t sum = table_refused(sources->self);

    for (size_t i = 0; i < sources->count; i++) {
        for (size_t j = 0; j < sources->entries[i].source.table_count; j++)
            sum += table_refused(sources->entries[i].source.tables[j]);
    }
    return sum;
}

static size_t living(const struct sources *sources)
{
    size_t sum = 0;

    for (size_t i = 0; i < sources->count; i++)
        sum += sources->entries[i].status.series;
    return sum;
}

/* Series come and go, but a pool only grows: once most of it is of the dead, a new one is begun,
 * and batches under way keep the old one alive. */
static void renew_pool(struct sources *sources, int64_t time_ms)
{
    uint64_t refused_now = refused(sources);
    bool spent = refused_now > sources->pool_refused && time_ms - sources->pool_ms > POOL_RENEW_MS;

    if (sources->pool != NULL && !spent &&
        label_pool_count(sources->pool) <= 4 * living(sources) + POOL_SPARE)
        return;
    label_pool_unref(sources->pool);
    sources->pool = label_pool_new(POOL_BYTES);
    sources->pool_ms = time_ms;
    sources->pool_refused = refused_now;
}

static enum err write_tables(struct sources *sources, int64_t time_ms, struct batch *out,
                             struct why *why)
{
    bool describe = sources->describe || time_ms - sources->described_ms >= DESCRIBE_MS ||
                    time_ms < sources->described_ms;
    struct table_target target = {
        .pool = sources->pool,
        .base = sources->base,
        .base_count = sources->options.base_count,
        .batch = out,
        .time_ms = time_ms,
        .describe = describe,
    };

    batch_hold(out, sources->pool);
    for (size_t i = 0; i < sources->count; i++) {
        struct entry *entry = &sources->entries[i];
        size_t series = 0;
        for (size_t j = 0; j < entry->source.table_count; j++) {
            TRY(table_write(entry->source.tables[j], &target, why));
            series += table_series_count(entry->source.tables[j]);
        }
        lock(sources);
        entry->status.series = series;
        unlock(sources);
    }
    TRY(table_write(sources->self, &target, why));
    if (describe)
        sources->described_ms = time_ms;
    sources->describe = false;
    return ERR_NONE;
}

enum err sources_tick(struct sources *sources, int64_t time_ms, struct batch *out, struct why *why)
{
    int64_t cpu_ns = clock_thread_cpu_ns();

    renew_pool(sources, time_ms);
    out->time_ms = time_ms;
    table_begin(sources->self);
    for (size_t i = 0; i < sources->count; i++)
        visit(sources, i, time_ms, out);
    enum err err = write_tables(sources, time_ms, out, why);
    sources->last_ms = time_ms;
    lock(sources);
    sources->stats.ticks++;
    sources->stats.rows_refused = refused(sources);
    sources->stats.cpu_ns += clock_thread_cpu_ns() - cpu_ns;
    unlock(sources);
    return err;
}

/* Ends every series: nothing is looked at while paused. */
static enum err fall_silent(struct sources *sources, int64_t time_ms, struct batch *out,
                            struct why *why)
{
    renew_pool(sources, time_ms);
    table_forget(sources->self);
    for (size_t i = 0; i < sources->count; i++) {
        struct entry *entry = &sources->entries[i];
        entry->due_ms = INT64_MIN;
        for (size_t j = 0; j < entry->source.table_count; j++)
            table_forget(entry->source.tables[j]);
    }
    return write_tables(sources, time_ms, out, why);
}

/* ---- The sampler. ---- */

static void hand_over(struct sources *sources, struct batch **batch)
{
    struct why why = WHY_INIT;
    bool failed = hub_submit(sources->hub, batch, &why) != ERR_NONE;

    if (failed && !sources->lost)
        log_line(LOG_WARNING, "sources", "samples are lost: %s", why.text);
    else if (!failed && sources->lost)
        log_line(LOG_INFO, "sources", "samples are taken again");
    sources->lost = failed;
    sources->describe = sources->describe || failed;
    lock(sources);
    sources->stats.batches_lost += failed;
    unlock(sources);
}

static void tick(struct sources *sources, int64_t time_ms)
{
    struct batch *batch = batch_new("default", "sources", BATCH_BYTES);
    struct why why = WHY_INIT;
    bool paused = sources_paused(sources);
    enum err err = ERR_NONE;

    if (!paused)
        err = sources_tick(sources, time_ms, batch, &why);
    else if (!sources->silent)
        err = fall_silent(sources, time_ms, batch, &why);
    sources->silent = paused;
    if (err != ERR_NONE)
        log_line(LOG_WARNING, "sources", "a tick is incomplete: %s", why.text);
    if (batch_row_count(batch) > 0)
        hand_over(sources, &batch);
    batch_free(batch);
}

/* The next multiple of the period after now. */
static int64_t next_tick(const struct sources *sources)
{
    return (clock_now_ms() / sources->period_ms + 1) * sources->period_ms;
}

/* Sleeps until the wall clock says time_ms, or sources_stop; false for the latter. */
static bool wait_until(struct sources *sources, int64_t time_ms)
{
    int64_t until_ns = clock_monotonic_ns() + time_ms * CLOCK_NS_PER_MS - clock_now_ns();
    struct timespec until = {until_ns / CLOCK_NS_PER_S, until_ns % CLOCK_NS_PER_S};
    bool stopping;

    lock(sources);
    while (!sources->stopping &&
           pthread_cond_timedwait(&sources->wake, &sources->lock, &until) != ETIMEDOUT)
        continue;
    stopping = sources->stopping;
    unlock(sources);
    return !stopping;
}

/* After a tick: the plan goes on, unless the clock was set or the tick took too long. */
static int64_t plan(struct sources *sources, int64_t time_ms, int64_t *offset_ns)
{
    int64_t now_offset_ns = clock_now_ns() - clock_monotonic_ns();
    int64_t jump_ms = (now_offset_ns - *offset_ns) / CLOCK_NS_PER_MS;
    int64_t late_ms = clock_now_ms() - time_ms;

    *offset_ns = now_offset_ns;
    if (jump_ms > CLOCK_JUMP_MS || jump_ms < -CLOCK_JUMP_MS) {
        log_line(LOG_WARNING, "sources", "the clock was set by %lld ms", (long long)jump_ms);
        lock(sources);
        sources->stats.clock_jumps++;
        unlock(sources);
        return next_tick(sources);
    }
    if (late_ms < sources->period_ms)
        return time_ms + sources->period_ms;
    lock(sources);
    sources->stats.ticks_missed += (uint64_t)(late_ms / sources->period_ms);
    unlock(sources);
    return next_tick(sources);
}

static void *sampler_main(void *self)
{
    struct sources *sources = self;
    int64_t offset_ns = clock_now_ns() - clock_monotonic_ns();
    /* The first tick is now, at the last whole period, so that there is something to see at once.
     */
    int64_t time_ms = next_tick(sources) - sources->period_ms;

    (void)prctl(PR_SET_NAME, "sonde-sampler"); /* For people who look; nothing depends on it. */
    do {
        tick(sources, time_ms);
        time_ms = plan(sources, time_ms, &offset_ns);
    } while (wait_until(sources, time_ms));
    return NULL;
}

enum err sources_start(struct sources *sources, struct why *why)
{
    MUST(sources->hub != NULL && !sources->started);
    sources->stopping = false;
    int error = pthread_create(&sources->thread, NULL, sampler_main, sources);
    if (error != 0)
        return fail_errno(why, error, "cannot start the sampler's thread");
    sources->started = true;
    return ERR_NONE;
}

void sources_stop(struct sources *sources)
{
    if (!sources->started)
        return;
    lock(sources);
    sources->stopping = true;
    MUST(pthread_cond_signal(&sources->wake) == 0);
    unlock(sources);
    MUST(pthread_join(sources->thread, NULL) == 0);
    sources->started = false;
}

/* ---- What others may ask. ---- */

void sources_pause(struct sources *sources, bool paused)
{
    lock(sources);
    sources->paused = paused;
    unlock(sources);
}

bool sources_paused(const struct sources *sources)
{
    struct sources *self = (struct sources *)sources; /* The lock is no part of what it says. */

    lock(self);
    bool paused = self->paused;
    unlock(self);
    return paused;
}

const char *sources_instance(const struct sources *sources)
{
    return sources->instance;
}

size_t sources_count(const struct sources *sources)
{
    return sources->count;
}

void sources_status(struct sources *sources, size_t index, struct source_status *ret_status)
{
    MUST(index < sources->count);
    lock(sources);
    *ret_status = sources->entries[index].status;
    unlock(sources);
}

const char *source_state_name(enum source_state state)
{
    static const char *const names[] = {
        [SOURCE_RUNNING] = "running",
        [SOURCE_UNSUPPORTED] = "unsupported",
        [SOURCE_FAILED] = "failed",
        [SOURCE_DISABLED] = "disabled",
    };

    return names[state];
}

void sources_read_stats(struct sources *sources, struct sources_stats *ret_stats)
{
    lock(sources);
    *ret_stats = sources->stats;
    unlock(sources);
}

struct process_table *sources_processes(struct sources *sources)
{
    return sources->processes;
}
