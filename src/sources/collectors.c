/* SPDX-License-Identifier: Apache-2.0 */
/* A collector is a small state machine: waiting for its timer, or running. Its series live in its
 * own memo, so that a program that prints the same series again costs no parsing; what it stops
 * printing ends with a stale marker. */
#include "sources/collectors.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/prometheus.h"
#include "hub/hub.h"
#include "io/loop.h"
#include "io/process.h"
#include "sources/staleness.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MEMO_BYTES = 16 << 20,
    BATCH_SPARE_BYTES = 1 << 20,
    POOL_BYTES = 1 << 20,
    ARGUMENTS_MAX = 256,
    SUMMARY_BYTES = 256,
    BASE_COUNT = 2,
};

enum { SUCCESS, DURATION, EXIT_CODE, TIMED_OUT, SAMPLES, RUNS, FAILURES, COLUMNS };

static const struct column columns[COLUMNS] = {
    [SUCCESS] = {"sonde_collector_success", "Whether the last run's output was taken.",
                 METRIC_GAUGE, NULL, NULL},
    [DURATION] = {"sonde_collector_duration_seconds", "How long the last run took.", METRIC_GAUGE,
                  NULL, NULL},
    [EXIT_CODE] = {"sonde_collector_exit_code",
                   "Exit code of the last run; -1 when it was ended by a signal or did not start.",
                   METRIC_GAUGE, NULL, NULL},
    [TIMED_OUT] = {"sonde_collector_timed_out",
                   "Whether the last run was stopped for taking too long.", METRIC_GAUGE, NULL,
                   NULL},
    [SAMPLES] = {"sonde_collector_samples", "Samples that the last run gave.", METRIC_GAUGE, NULL,
                 NULL},
    [RUNS] = {"sonde_collector_runs_total", "Runs since the start.", METRIC_COUNTER, NULL, NULL},
    [FAILURES] = {"sonde_collector_failures_total", "Runs of which nothing was taken.",
                  METRIC_COUNTER, NULL, NULL},
};
static const char *const keys[] = {"collector"};

struct collector {
    struct collectors *owner;
    char *name;
    char **command; /* NULL at the end. */
    char summary[SUMMARY_BYTES];
    int64_t period_ms;
    int64_t timeout_ms;
    size_t output_bytes_max;

    struct loop_timer timer;
    struct process *running;
    int64_t started_ms; /* The time that its samples carry. */
    struct label base[BASE_COUNT];
    size_t base_count;
    struct label_memo *memo;
    struct staleness staleness;
    struct table *table;         /* Of one row: about its runs. */
    struct label_pool *pool;     /* Of that row. */
    bool failing;                /* Was said. */
    struct source_status status; /* Under the lock. */
    uint64_t runs;
};

struct collectors {
    struct loop *loop;
    struct hub *hub;
    char *instance;
    struct collector *items;
    size_t count;
    pthread_mutex_t lock;
};

static char *copy(const char *text)
{
    char *copied = strdup(text);

    if (copied == NULL)
        must_memory(strlen(text) + 1);
    return copied;
}

/* ---- After a run. ---- */

static enum err take_output(struct collector *collector, const struct process_result *result,
                            struct batch *batch, struct why *why)
{
    struct prometheus_options options = {
        .format = str_ends(str_trim(result->output), STR("# EOF")) ? PROMETHEUS_OPENMETRICS
                                                                   : PROMETHEUS_TEXT,
        .now_ms = collector->started_ms,
        .base = collector->base,
        .base_count = collector->base_count,
        .describe = true,
    };
    char text[PROCESS_TEXT_SIZE];

    if (result->timed_out || result->signal != 0 || result->exit_code != 0) {
        process_result_text(result, text);
        struct str complaint = str_trim(result->errors);
        struct str line = str_split(&complaint, '\n');
        return fail(why, ERR_UPSTREAM, "%s %s%s%.*s", collector->command[0], text,
                    line.size > 0 ? ": " : "", line.size > 200 ? 200 : (int)line.size,
                    line.size > 0 ? line.data : "");
    }
    if (result->output_cut)
        return fail(why, ERR_TOO_LARGE, "%s printed more than %zu bytes", collector->command[0],
                    collector->output_bytes_max);
    return prometheus_read(result->output, collector->command[0], &options, collector->memo, batch,
                           why);
}

static void note(struct collector *collector, enum err err, const struct why *why,
                 int64_t duration_ns, size_t samples)
{
    struct collectors *owner = collector->owner;

    MUST(pthread_mutex_lock(&owner->lock) == 0);
    collector->status.state = err == ERR_NONE ? SOURCE_RUNNING : SOURCE_FAILED;
    collector->status.failures += err != ERR_NONE;
    collector->status.duration_s = (double)duration_ns / 1e9;
    collector->status.series = samples;
    (void)snprintf(collector->status.error, sizeof(collector->status.error), "%s",
                   err == ERR_NONE ? "" : why->text);
    MUST(pthread_mutex_unlock(&owner->lock) == 0);
    if (err != ERR_NONE && !collector->failing)
        log_line(LOG_WARNING, "collectors", "%s: %s", collector->name, why->text);
    else if (err == ERR_NONE && collector->failing)
        log_line(LOG_INFO, "collectors", "%s works again", collector->name);
    collector->failing = err != ERR_NONE;
}

static enum err tell_run(struct collector *collector, const struct process_result *result,
                         enum err err, size_t samples, struct batch *batch, struct why *why)
{
    struct table_target target = {
        .pool = collector->pool,
        .base = collector->base,
        .base_count = collector->base_count,
        .batch = batch,
        .time_ms = collector->started_ms,
        .describe = collector->runs % 100 == 1,
    };
    struct str name = str_of(collector->name);

    batch_hold(batch, collector->pool);
    table_begin(collector->table);
    struct row *row = table_row(collector->table, &name);
    row_set(row, SUCCESS, err == ERR_NONE);
    row_set(row, DURATION, (double)result->duration_ns / 1e9);
    row_set(row, EXIT_CODE, result->exit_code);
    row_set(row, TIMED_OUT, result->timed_out);
    row_set(row, SAMPLES, (double)samples);
    row_set(row, RUNS, (double)collector->runs);
    row_set(row, FAILURES, (double)collector->status.failures);
    return table_write(collector->table, &target, why);
}

static void finish(struct collector *collector, const struct process_result *result, enum err err,
                   struct why *why)
{
    struct batch *batch =
        batch_new("default", "collectors", collector->output_bytes_max + BATCH_SPARE_BYTES);

    collector->runs++;
    batch->time_ms = collector->started_ms;
    if (err == ERR_NONE)
        err = take_output(collector, result, batch, why);
    if (err != ERR_NONE)
        batch->samples.count = batch->infos.count = 0;
    size_t samples = batch->samples.count;
    note(collector, err, why, result->duration_ns, samples);
    if (staleness_update(&collector->staleness, batch, 0, 0, collector->started_ms, why) !=
            ERR_NONE ||
        tell_run(collector, result, err, samples, batch, why) != ERR_NONE ||
        hub_submit(collector->owner->hub, &batch, why) != ERR_NONE)
        log_line(LOG_WARNING, "collectors", "%s: samples are lost: %s", collector->name, why->text);
    batch_free(batch);
}

static void finished(void *self, const struct process_result *result)
{
    struct collector *collector = self;
    struct why why = WHY_INIT;

    collector->running = NULL;
    finish(collector, result, ERR_NONE, &why);
}

/* ---- The schedule. ---- */

static void plan_next(struct collector *collector);

static void due(struct loop_timer *timer)
{
    struct collector *collector = CONTAINER_OF(timer, struct collector, timer);
    struct process_options options = {
        .arguments = (const char *const *)collector->command,
        .timeout_ns = collector->timeout_ms * CLOCK_NS_PER_MS,
        .output_bytes_max = collector->output_bytes_max,
    };
    struct why why = WHY_INIT;

    plan_next(collector);
    if (collector->running != NULL)
        return; /* One at a time. */
    collector->started_ms = clock_now_ms();
    enum err err = process_start(collector->owner->loop, &options, finished, collector,
                                 &collector->running, &why);
    if (err != ERR_NONE) {
        struct process_result result = {.exit_code = -1};
        finish(collector, &result, err, &why);
    }
}

static void plan_next(struct collector *collector)
{
    loop_timer_start(collector->owner->loop, &collector->timer,
                     clock_monotonic_ns() + collector->period_ms * CLOCK_NS_PER_MS, due);
}

/* ---- Opening and closing. ---- */

static bool is_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        char c = *at;
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-'))
            return false;
    }
    return name[0] != '\0';
}

static enum err check(const struct collector_options *options, size_t count, struct why *why)
{
    if (count > COLLECTORS_MAX)
        return fail(why, ERR_LIMIT, "%zu collectors are over %d", count, COLLECTORS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct collector_options *option = &options[i];
        if (option->name == NULL || !is_name(option->name))
            return fail(why, ERR_INVALID,
                        "a collector's name has letters, digits, '_', '.' and '-' only");
        for (size_t j = 0; j < i; j++) {
            if (strcmp(options[j].name, option->name) == 0)
                return fail(why, ERR_INVALID, "there are two collectors '%s'", option->name);
        }
        if (option->command == NULL || option->command[0] == NULL)
            return fail(why, ERR_INVALID, "the collector '%s' has no command", option->name);
        size_t arguments = 0;
        while (arguments <= ARGUMENTS_MAX && option->command[arguments] != NULL)
            arguments++;
        if (arguments > ARGUMENTS_MAX)
            return fail(why, ERR_LIMIT, "the collector '%s' has more than %d arguments",
                        option->name, ARGUMENTS_MAX);
        if (option->period_ms != 0 && option->period_ms < COLLECTOR_PERIOD_MS_MIN)
            return fail(why, ERR_INVALID, "the collector '%s' may run every %d ms at most",
                        option->name, COLLECTOR_PERIOD_MS_MIN);
        if (option->timeout_ms < 0)
            return fail(why, ERR_INVALID, "the collector '%s' has a negative timeout",
                        option->name);
    }
    return ERR_NONE;
}

static char **copy_command(const char *const *command, char summary[SUMMARY_BYTES])
{
    char **copied = calloc(ARGUMENTS_MAX + 1, sizeof(char *));
    size_t used = 0;

    if (copied == NULL)
        must_memory(ARGUMENTS_MAX * sizeof(char *));
    for (size_t i = 0; command[i] != NULL; i++) {
        copied[i] = copy(command[i]);
        int size =
            snprintf(summary + used, SUMMARY_BYTES - used, "%s%s", i == 0 ? "" : " ", command[i]);
        used = size < 0 || used + (size_t)size >= SUMMARY_BYTES ? SUMMARY_BYTES - 1
                                                                : used + (size_t)size;
    }
    return copied;
}

static void collector_init(struct collectors *owner, struct collector *collector,
                           const struct collector_options *options)
{
    collector->owner = owner;
    collector->name = copy(options->name);
    collector->command = copy_command(options->command, collector->summary);
    collector->period_ms = options->period_ms == 0 ? COLLECTOR_PERIOD_MS : options->period_ms;
    collector->timeout_ms = options->timeout_ms == 0 ? COLLECTOR_TIMEOUT_MS : options->timeout_ms;
    collector->output_bytes_max =
        options->output_bytes_max == 0 ? COLLECTOR_OUTPUT_BYTES : options->output_bytes_max;
    if (owner->instance[0] != '\0')
        collector->base[collector->base_count++] =
            (struct label){STR("instance"), str_of(owner->instance)};
    collector->base[collector->base_count++] = (struct label){STR("job"), str_of(collector->name)};
    collector->memo = label_memo_new(MEMO_BYTES);
    collector->pool = label_pool_new(POOL_BYTES);
    collector->table = table_new(columns, COLUMNS, keys, ARRAY_COUNT(keys));
    collector->status = (struct source_status){
        .name = collector->name,
        .summary = collector->summary,
        .state = SOURCE_RUNNING,
        .period_ms = collector->period_ms,
    };
}

enum err collectors_open(const struct collector_options *options, size_t count,
                         const char *instance, struct loop *loop, struct hub *hub,
                         struct collectors **ret_collectors, struct why *why)
{
    char host[HOST_NAME_MAX + 1] = "localhost";

    TRY(check(options, count, why));
    if (gethostname(host, sizeof(host) - 1) != 0)
        (void)snprintf(host, sizeof(host), "localhost"); /* Better than no instance. */
    struct collectors *collectors = calloc(1, sizeof(*collectors));
    if (collectors == NULL)
        must_memory(sizeof(*collectors));
    MUST(pthread_mutex_init(&collectors->lock, NULL) == 0);
    collectors->loop = loop;
    collectors->hub = hub;
    collectors->instance = copy(instance == NULL ? host : instance);
    collectors->items = calloc(count + 1, sizeof(*collectors->items));
    if (collectors->items == NULL)
        must_memory(count * sizeof(*collectors->items));
    collectors->count = count;
    for (size_t i = 0; i < count; i++) {
        collector_init(collectors, &collectors->items[i], &options[i]);
        loop_timer_start(loop, &collectors->items[i].timer, clock_monotonic_ns(), due);
    }
    *ret_collectors = collectors;
    return ERR_NONE;
}

static void collector_done(struct collectors *collectors, struct collector *collector)
{
    loop_timer_stop(collectors->loop, &collector->timer);
    collector->running = process_kill(collector->running);
    staleness_done(&collector->staleness);
    table_free(collector->table);
    label_pool_unref(collector->pool);
    label_memo_free(collector->memo);
    for (size_t i = 0; collector->command[i] != NULL; i++)
        free(collector->command[i]);
    free(collector->command);
    free(collector->name);
}

struct collectors *collectors_close(struct collectors *collectors)
{
    if (collectors == NULL)
        return NULL;
    for (size_t i = 0; i < collectors->count; i++)
        collector_done(collectors, &collectors->items[i]);
    free(collectors->items);
    free(collectors->instance);
    (void)pthread_mutex_destroy(&collectors->lock); /* Nobody holds it. */
    free(collectors);
    return NULL;
}

size_t collectors_count(const struct collectors *collectors)
{
    return collectors->count;
}

void collectors_status(struct collectors *collectors, size_t index,
                       struct source_status *ret_status)
{
    MUST(index < collectors->count);
    MUST(pthread_mutex_lock(&collectors->lock) == 0);
    *ret_status = collectors->items[index].status;
    MUST(pthread_mutex_unlock(&collectors->lock) == 0);
}
