/* SPDX-License-Identifier: Apache-2.0 */
/* bench_store - what the metric store costs and gives, on a stream of remote-write messages.
 *
 *   bench_store STREAM [requests per commit]
 *
 * STREAM is a file of { u32 size, WriteRequest } messages. It is ingested as a daemon would:
 * decoded with a label_memo, accepted, committed (fsync) every few requests. Then the folder is
 * measured and questions are asked straight through a view. CPU time is that of the whole process.
 */
#include "base/clock.h"
#include "base/file.h"
#include "codec/remote_write.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REPEATS = 25, REQUESTS_PER_COMMIT = 20, ARENA_BYTES = 1 << 30 };

static uint64_t folder_bytes;

static int add_size(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)path;
    (void)place;
    if (kind == FTW_F)
        folder_bytes += (uint64_t)info->st_blocks * 512;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static uint64_t measure(const char *folder)
{
    folder_bytes = 0;
    (void)nftw(folder, add_size, 16, FTW_PHYS); /* What cannot be read counts nothing. */
    return folder_bytes;
}

static _Noreturn void die(const struct why *why)
{
    fprintf(stderr, "bench_store: %s\n", why->text);
    exit(EXIT_FAILURE);
}

static void check(enum err err, const struct why *why)
{
    if (err != ERR_NONE)
        die(why);
}

static double rss_mib(void)
{
    struct buf text CLEANUP(buf_done) = {0};
    unsigned long long pages = 0;

    if (file_read("/proc/self/statm", 4096, &text, NULL) != ERR_NONE ||
        sscanf(buf_cstr(&text), "%*u %llu", &pages) != 1)
        return NAN;
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

struct bench {
    struct store *store;
    struct arena *arena;
    int64_t first_ms;
    int64_t last_ms;
    uint64_t samples;
    struct why why;
};

static void ingest(struct bench *bench, struct str stream, unsigned per_commit)
{
    struct label_memo *memo = label_memo_new(256 << 20);
    struct batch *batch = batch_new("default", "bench", 64 << 20);
    unsigned waiting = 0;

    for (size_t at = 0; at + 4 <= stream.size;) {
        struct remote_write_counts counts;
        uint32_t size;
        memcpy(&size, stream.data + at, sizeof(size));
        struct str message = {stream.data + at + 4, size};
        at += 4 + (size_t)size;
        batch_clear(batch);
        batch_hold(batch, label_memo_begin(memo));
        check(remote_write_decode(message, memo, batch, &counts, &bench->why), &bench->why);
        check(store_accept(bench->store, batch, &bench->why), &bench->why);
        if (batch->rejected_count > 0)
            die(&batch->rejected_why);
        if (bench->samples == 0)
            bench->first_ms = batch->samples.items[0].time_ms;
        bench->last_ms = batch->samples.items[batch->samples.count - 1].time_ms;
        bench->samples += batch->samples.count;
        if (++waiting == per_commit) {
            check(store_commit(bench->store, &bench->why), &bench->why);
            waiting = 0;
        }
    }
    check(store_commit(bench->store, &bench->why), &bench->why);
    batch_free(batch);
    label_memo_free(memo);
}

struct question {
    const char *text;
    struct matcher matchers[2];
    size_t matcher_count;
    size_t series_max; /* 0: all that match. */
    bool instant;
    int64_t from_ms;
    int64_t to_ms;
};

static size_t ask(struct bench *bench, const struct question *question)
{
    struct store_view *view;
    struct series_set set;
    size_t found = 0;

    arena_clear(bench->arena);
    check(store_view(bench->store, "default", NULL, &view, &bench->why), &bench->why);
    check(view->ops->select(view, question->matchers, question->matcher_count, question->from_ms,
                            question->to_ms, bench->arena, &set, &bench->why),
          &bench->why);
    if (question->series_max > 0 && set.count > question->series_max)
        set.count = question->series_max;
    if (question->instant) {
        int64_t *times = ARENA_ARRAY(bench->arena, set.count, int64_t);
        double *values = ARENA_ARRAY(bench->arena, set.count, double);
        check(view->ops->instant(view, &set, question->to_ms, 300000, bench->arena, times, values,
                                 &bench->why),
              &bench->why);
        for (size_t i = 0; i < set.count; i++)
            found += times[i] != INT64_MIN;
    } else {
        struct samples *samples = ARENA_ARRAY(bench->arena, set.count, struct samples);
        struct read_request request = {.from_ms = question->from_ms, .to_ms = question->to_ms};
        check(view->ops->read(view, &set, &request, bench->arena, samples, &bench->why),
              &bench->why);
        for (size_t i = 0; i < set.count; i++)
            found += samples[i].count;
    }
    store_view_release(view);
    return found;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static void time_question(struct bench *bench, const struct question *question)
{
    double took[REPEATS];
    size_t found = 0;

    for (int i = 0; i < REPEATS; i++) {
        int64_t before = clock_monotonic_ns();
        found = ask(bench, question);
        took[i] = (double)(clock_monotonic_ns() - before) / 1e6;
    }
    qsort(took, REPEATS, sizeof(took[0]), by_value);
    printf("%-44s %9zu rows  %7.3f ms (least %.3f)\n", question->text, found, took[REPEATS / 2],
           took[0]);
}

#define IS(label, wanted)                                           \
    {                                                               \
        .op = MATCH_EQUAL, .name = STR(label), .value = STR(wanted) \
    }

static void ask_all(struct bench *bench)
{
    int64_t middle_ms = bench->first_ms + (bench->last_ms - bench->first_ms) / 2;
    struct question questions[] = {
        {.text = "one gauge, all of the time",
         .matchers = {IS("__name__", "node_memory_MemFree_bytes"), IS("instance", "host-0:9100")},
         .matcher_count = 2},
        {.text = "100 counters, all of the time",
         .matchers = {IS("__name__", "node_cpu_seconds_total")},
         .matcher_count = 1,
         .series_max = 100},
        {.text = "every series at an instant in the past", .instant = true},
        {.text = "every series now", .instant = true},
    };

    for (size_t i = 0; i < ARRAY_COUNT(questions); i++) {
        questions[i].from_ms = bench->first_ms;
        questions[i].to_ms = i == 2 ? middle_ms : bench->last_ms + 1000;
        time_question(bench, &questions[i]);
    }
}

static struct str map_stream(const char *path, struct why *why)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &info) != 0)
        check(fail_errno(why, errno, "%s", path), why);
    void *memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED)
        check(fail_errno(why, errno, "%s", path), why);
    (void)close(fd); /* The mapping stays. */
    return (struct str){memory, (size_t)info.st_size};
}

static void print_ingest(struct bench *bench, const char *folder, int64_t cpu_ns, int64_t wall_ns)
{
    struct store_stats stats;
    double samples = (double)bench->samples;

    store_tick(bench->store, clock_now_ms() + 2 * CLOCK_MS_PER_S); /* Counts are added up. */
    store_read_stats(bench->store, &stats);
    printf("samples                  %.0f of %llu series\n", samples,
           (unsigned long long)stats.series);
    printf("samples per CPU second   %.2f M (wall %.2f M)\n", samples / (double)cpu_ns * 1e3,
           samples / (double)wall_ns * 1e3);
    printf("commits                  %llu, %.2f ms each, %.1f ms the longest\n",
           (unsigned long long)stats.commits, (double)stats.commit_ns / 1e6 / (double)stats.commits,
           (double)stats.commit_ns_max / 1e6);
    printf("sealing                  %llu, %.1f ns a sample\n", (unsigned long long)stats.seals,
           (double)stats.seal_ns / samples);
    printf("compacting               %llu groups, %.1f ns a sample\n",
           (unsigned long long)stats.compactions, (double)stats.compact_ns / samples);
    printf("memory                   %.0f B a series (index and head), process %.1f MiB\n",
           (double)stats.memory_bytes / (double)stats.series, rss_mib());
    printf("bytes per sample         %.4f as ingested\n", (double)measure(folder) / samples);
}

int main(int argc, char **argv)
{
    struct bench bench = {.why = WHY_INIT};
    char folder[] = "/tmp/bench-store-XXXXXX";
    struct store_options options = store_options_default;

    if (argc < 2 || mkdtemp(folder) == NULL) {
        fprintf(stderr, "usage: bench_store STREAM [requests per commit]\n");
        return EXIT_FAILURE;
    }
    options.path = folder;
    options.retention_raw_ms = 0;
    struct str stream = map_stream(argv[1], &bench.why);
    check(store_open(&options, &bench.store, &bench.why), &bench.why);
    bench.arena = arena_new(ARENA_BYTES);

    int64_t cpu_ns = clock_process_cpu_ns();
    int64_t wall_ns = clock_monotonic_ns();
    ingest(&bench, stream, argc > 2 ? (unsigned)atoi(argv[2]) : REQUESTS_PER_COMMIT);
    print_ingest(&bench, folder, clock_process_cpu_ns() - cpu_ns, clock_monotonic_ns() - wall_ns);
    ask_all(&bench);
    check(store_compact(bench.store, &bench.why), &bench.why);
    printf("bytes per sample         %.4f compacted\n",
           (double)measure(folder) / (double)bench.samples);
    ask_all(&bench);
    store_close(bench.store);
    int64_t before = clock_monotonic_ns();
    check(store_open(&options, &bench.store, &bench.why), &bench.why);
    printf("opened again in          %.1f ms\n", (double)(clock_monotonic_ns() - before) / 1e6);
    store_close(bench.store);
    arena_free(bench.arena);
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* A leftover is seen. */
    return EXIT_SUCCESS;
}
