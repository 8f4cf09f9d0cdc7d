/* SPDX-License-Identifier: Apache-2.0 */
/* The label sets are made once, in a pool that every batch holds; a batch that the hub has no room
 * for is dropped, and the hub counts it. */
#include "cli/self_watch.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "hub/hub.h"
#include "io/loop.h"
#include "sources/sources.h"
#include "store/exemplars.h"
#include "store/store.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    POOL_BYTES_MAX = 1 << 20,
    BATCH_BYTES_MAX = 1 << 20,
    STAT_BYTES_MAX = 4096,
    INFO_ROUNDS = 60, /* Types and helps are sent every so many rounds. */
    NAME_BYTES = 256,
};

struct self_watch {
    struct self_watch_options options;
    struct self self;
    struct label_pool *pool;
    struct loop_timer timer;
    char instance[NAME_BYTES];
    struct label labels[2];
    uint64_t rounds;
};

struct self_watch *self_watch_new(const struct self_watch_options *options)
{
    struct self_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        must_memory(sizeof(*watch));
    watch->options = *options;
    watch->pool = label_pool_new(POOL_BYTES_MAX);
    if (gethostname(watch->instance, sizeof(watch->instance) - 1) != 0)
        watch->instance[0] = '\0';
    watch->labels[0] = (struct label){
        STR("instance"), str_of(options->instance != NULL ? options->instance : watch->instance)};
    watch->labels[1] = (struct label){STR("job"), STR("sonde")};
    return watch;
}

struct self_watch *self_watch_free(struct self_watch *watch)
{
    if (watch == NULL)
        return NULL;
    self_watch_stop(watch);
    watch->pool = label_pool_unref(watch->pool);
    free(watch);
    return NULL;
}

void self_watch_add(struct self_watch *watch, self_part collect, void *part)
{
    self_add(&watch->self, collect, part);
}

static void look(struct loop_timer *timer)
{
    struct self_watch *watch = CONTAINER_OF(timer, struct self_watch, timer);
    int64_t period_ms = watch->options.period_ms;
    int64_t now_ms = clock_now_ms();
    struct batch *batch = batch_new("default", "self", BATCH_BYTES_MAX);
    struct self_report report = {
        .batch = batch,
        .pool = watch->pool,
        .time_ms = now_ms - now_ms % period_ms,
        .with_infos = watch->rounds++ % INFO_ROUNDS == 0,
        .labels = watch->labels,
        .label_count = ARRAY_COUNT(watch->labels),
    };
    struct why why = WHY_INIT;

    batch->time_ms = report.time_ms;
    enum err err = self_collect(&watch->self, &report, &why);
    if (err != ERR_NONE) {
        batch = batch_free(batch);
        log_why(LOG_WARNING, "self", &why);
    } else {
        (void)hub_submit(watch->options.hub, &batch, &why); /* Refusals are counted there. */
    }
    loop_timer_start(watch->options.loop, timer,
                     loop_now_ns(watch->options.loop) +
                         (period_ms - now_ms % period_ms) * CLOCK_NS_PER_MS,
                     look);
}

void self_watch_start(struct self_watch *watch)
{
    loop_timer_start(watch->options.loop, &watch->timer, clock_monotonic_ns(), look);
}

void self_watch_stop(struct self_watch *watch)
{
    if (watch != NULL)
        loop_timer_stop(watch->options.loop, &watch->timer);
}

/* ---- Parts. ---- */

struct self_row {
    struct self_metric metric;
    double value;
};

static enum err write_rows(struct self_report *report, const struct self_row *rows, size_t count,
                           struct why *why)
{
    for (size_t i = 0; i < count; i++)
        TRY(self_write(report, &rows[i].metric, rows[i].value, why));
    return ERR_NONE;
}

static double count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = 0;

    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);           /* Only read from. */
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder itself. */
}

/* "pages resident …" of /proc/self/statm. */
static void read_memory(double *ret_virtual, double *ret_resident)
{
    struct buf text CLEANUP(buf_done) = {0};
    double page = (double)sysconf(_SC_PAGESIZE);

    *ret_virtual = *ret_resident = 0;
    if (file_read("/proc/self/statm", STAT_BYTES_MAX, &text, NULL) != ERR_NONE)
        return;
    struct str rest = buf_view(&text);
    double pages;
    if (str_to_double(str_split(&rest, ' '), &pages))
        *ret_virtual = pages * page;
    if (rest.data != NULL && str_to_double(str_split(&rest, ' '), &pages))
        *ret_resident = pages * page;
}

/* Field 22 of /proc/self/stat, in ticks since boot; the name in field 2 may hold spaces. */
static double start_time_s(void)
{
    struct buf text CLEANUP(buf_done) = {0};
    int64_t boot_ns;
    double ticks = 0;

    if (file_read("/proc/self/stat", STAT_BYTES_MAX, &text, NULL) != ERR_NONE ||
        clock_boottime(&boot_ns, NULL) != ERR_NONE)
        return 0;
    const char *name_end = strrchr(buf_cstr(&text), ')');
    if (name_end == NULL)
        return 0;
    struct str rest = str_of(name_end + 2);
    for (int field = 3; rest.data != NULL && field <= 22; field++) {
        struct str word = str_split(&rest, ' ');
        if (field == 22 && !str_to_double(word, &ticks))
            return 0;
    }
    double booted_s = (double)(clock_now_ns() - boot_ns) / 1e9;
    return booted_s + ticks / (double)sysconf(_SC_CLK_TCK);
}

enum err self_process(void *part, struct self_report *report, struct why *why)
{
    double size, resident;
    struct rlimit files = {0};

    (void)part;
    read_memory(&size, &resident);
    (void)getrlimit(RLIMIT_NOFILE, &files); /* 0 then, and plainly wrong. */
    const struct self_row rows[] = {
        {{"process_cpu_seconds_total", "User and system CPU time.", METRIC_COUNTER, NULL, NULL},
         (double)clock_process_cpu_ns() / 1e9},
        {{"process_resident_memory_bytes", "Memory in RAM.", METRIC_GAUGE, NULL, NULL}, resident},
        {{"process_virtual_memory_bytes", "Address space.", METRIC_GAUGE, NULL, NULL}, size},
        {{"process_open_fds", "Open file descriptors.", METRIC_GAUGE, NULL, NULL},
         count_descriptors()},
        {{"process_max_fds", "The most file descriptors that may be open.", METRIC_GAUGE, NULL,
          NULL},
         (double)files.rlim_cur},
        {{"process_start_time_seconds", "When the daemon was started.", METRIC_GAUGE, NULL, NULL},
         start_time_s()},
    };

    return write_rows(report, rows, ARRAY_COUNT(rows), why);
}

enum err self_store(void *part, struct self_report *report, struct why *why)
{
    struct store_stats stats;

    store_read_stats(part, &stats);
    const struct self_row rows[] = {
        {{"sonde_store_series", "Series known.", METRIC_GAUGE, NULL, NULL}, (double)stats.series},
        {{"sonde_store_series_active", "Series that had a sample lately.", METRIC_GAUGE, NULL,
          NULL},
         (double)stats.series_active},
        {{"sonde_store_samples_total", "Samples committed.", METRIC_COUNTER, NULL, NULL},
         (double)stats.samples},
        {{"sonde_store_pending_rows", "Rows that are not sealed into blocks yet.", METRIC_GAUGE,
          NULL, NULL},
         (double)stats.pending_rows},
        {{"sonde_store_commits_total", "Commits to disk.", METRIC_COUNTER, NULL, NULL},
         (double)stats.commits},
        {{"sonde_store_commit_seconds_total", "Time spent in commits.", METRIC_COUNTER, NULL, NULL},
         (double)stats.commit_ns / 1e9},
        {{"sonde_store_seals_total", "Times that pending rows became blocks.", METRIC_COUNTER, NULL,
          NULL},
         (double)stats.seals},
        {{"sonde_store_seal_seconds_total", "Time spent in sealing.", METRIC_COUNTER, NULL, NULL},
         (double)stats.seal_ns / 1e9},
        {{"sonde_store_blocks_written_total", "Blocks written.", METRIC_COUNTER, NULL, NULL},
         (double)stats.blocks_written},
        {{"sonde_store_rejected_samples_total", "Samples turned away.", METRIC_COUNTER, "reason",
          "series_limit"},
         (double)stats.rejected_series_limit},
        {{"sonde_store_rejected_samples_total", "Samples turned away.", METRIC_COUNTER, "reason",
          "too_old"},
         (double)stats.rejected_old},
        {{"sonde_store_rejected_samples_total", "Samples turned away.", METRIC_COUNTER, "reason",
          "duplicate"},
         (double)stats.rejected_duplicate},
        {{"sonde_store_failed_commits_total", "Commits that failed.", METRIC_COUNTER, NULL, NULL},
         (double)stats.failed_commits},
        {{"sonde_store_damaged_files_total", "Files that were damaged and set aside.",
          METRIC_COUNTER, NULL, NULL},
         (double)stats.damaged_files},
        {{"sonde_store_removed_files_total", "Day files removed by retention.", METRIC_COUNTER,
          NULL, NULL},
         (double)stats.days_removed},
        {{"sonde_store_disk_bytes", "Size of the data folder.", METRIC_GAUGE, NULL, NULL},
         (double)stats.disk_bytes},
        {{"sonde_store_memory_bytes", "Memory of indexes and heads.", METRIC_GAUGE, NULL, NULL},
         (double)stats.memory_bytes},
        {{"sonde_store_full", "1 while nothing is accepted for want of space.", METRIC_GAUGE, NULL,
          NULL},
         stats.full ? 1 : 0},
    };

    return write_rows(report, rows, ARRAY_COUNT(rows), why);
}

enum err self_exemplars(void *part, struct self_report *report, struct why *why)
{
    struct exemplars_stats stats;

    exemplars_read_stats(part, &stats);
    const struct self_row rows[] = {
        {{"sonde_exemplars", "Exemplars in memory.", METRIC_GAUGE, NULL, NULL}, (double)stats.kept},
        {{"sonde_exemplars_total", "Exemplars taken.", METRIC_COUNTER, NULL, NULL},
         (double)stats.accepted},
        {{"sonde_exemplars_replaced_total", "Exemplars that gave way to newer ones.",
          METRIC_COUNTER, NULL, NULL},
         (double)stats.replaced},
        {{"sonde_exemplars_expired_total", "Exemplars that were too old to be kept.",
          METRIC_COUNTER, NULL, NULL},
         (double)stats.expired},
    };

    return write_rows(report, rows, ARRAY_COUNT(rows), why);
}

static enum err write_source(struct self_report *report, const struct source_status *status,
                             struct why *why)
{
    const struct self_row rows[] = {
        {{"sonde_source_up", "1 while the source runs; absent things are 0 without being wrong.",
          METRIC_GAUGE, "source", status->name},
         status->state == SOURCE_RUNNING ? 1 : 0},
        {{"sonde_source_collect_seconds", "Duration of the last look.", METRIC_GAUGE, "source",
          status->name},
         status->duration_s},
        {{"sonde_source_failures_total", "Looks that failed.", METRIC_COUNTER, "source",
          status->name},
         (double)status->failures},
        {{"sonde_source_series", "Series sent at the last look.", METRIC_GAUGE, "source",
          status->name},
         (double)status->series},
    };

    return write_rows(report, rows, ARRAY_COUNT(rows), why);
}

enum err self_sources(void *part, struct self_report *report, struct why *why)
{
    struct sources *sources = part;
    struct sources_stats stats;
    struct source_status status;

    sources_read_stats(sources, &stats);
    const struct self_row rows[] = {
        {{"sonde_sampler_ticks_total", "Rounds of looking.", METRIC_COUNTER, NULL, NULL},
         (double)stats.ticks},
        {{"sonde_sampler_ticks_missed_total", "Rounds left out because one took too long.",
          METRIC_COUNTER, NULL, NULL},
         (double)stats.ticks_missed},
        {{"sonde_sampler_clock_jumps_total", "Times that the machine's clock was set.",
          METRIC_COUNTER, NULL, NULL},
         (double)stats.clock_jumps},
        {{"sonde_sampler_lost_batches_total", "Rounds lost because the hub was full.",
          METRIC_COUNTER, NULL, NULL},
         (double)stats.batches_lost},
        {{"sonde_sampler_refused_rows_total", "Things over a bound that were left out.",
          METRIC_COUNTER, NULL, NULL},
         (double)stats.rows_refused},
        {{"sonde_sampler_cpu_seconds_total", "CPU time of looking.", METRIC_COUNTER, NULL, NULL},
         (double)stats.cpu_ns / 1e9},
    };

    TRY(write_rows(report, rows, ARRAY_COUNT(rows), why));
    for (size_t i = 0; i < sources_count(sources); i++) {
        sources_status(sources, i, &status);
        if (status.state != SOURCE_DISABLED)
            TRY(write_source(report, &status, why));
    }
    return ERR_NONE;
}
