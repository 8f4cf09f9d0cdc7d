/* SPDX-License-Identifier: Apache-2.0 */
/* benchmarks - kept stretches of time, and what came of holding later ones against them.
 *
 * A benchmark is a record of kind "benchmark"; each comparison that the daemon makes on schedule is
 * one of kind "benchmark_run" named BENCHMARK/TIME. */
#pragma once
#include "analysis/bench_compare.h"
#include "analysis/benchmark.h"

struct store;
struct store_view;

#define BENCHMARK_KIND     STR("benchmark")
#define BENCHMARK_RUN_KIND STR("benchmark_run")

enum { BENCHMARK_RUNS_KEPT = 500 };

/* A benchmark as it was kept; texts in the arena, values on the heap. */
struct benchmark_kept {
    struct benchmark benchmark;
    struct bench_results values;
};
void benchmark_kept_done(struct benchmark_kept *kept); /* For CLEANUP. */

struct benchmark_place {
    struct store *store;
    const char *tenant;
    struct store_view *view;
    struct arena *arena;
    int64_t timeout_ms;
    const atomic_bool *cancelled; /* May be NULL. */
};

/* ERR_NOT_FOUND: there is none of that name. */
CHECKED enum err benchmark_load(const struct benchmark_place *place, struct str name,
                                struct benchmark_kept *ret_kept, struct why *why);

/* The stretch (start, end] that is held against what was kept. */
struct benchmark_contest {
    int64_t start_ms;
    int64_t end_ms;
    struct bench_judging judging;
};
/* As long as the benchmark, up to end_ms. */
struct benchmark_contest benchmark_contest_to(const struct benchmark *benchmark, int64_t end_ms);

/* Leaves of the stretch what came after the benchmark: a moment held against itself is no news.
 * False when that is too short to be compared; then benchmark_put_early tells it, in the keys of
 * bench_comparison_put with no metrics, "reason" and "wait_ms" (0: waiting is no help). */
bool benchmark_contest_clip(const struct benchmark *benchmark, struct benchmark_contest *contest);
void benchmark_put_early(const struct benchmark *benchmark, const struct benchmark_contest *contest,
                         int64_t now_ms, struct json *json);

CHECKED enum err benchmark_compare(const struct benchmark_place *place,
                                   const struct benchmark_kept *kept,
                                   const struct benchmark_contest *contest,
                                   struct bench_results *ret_now,
                                   struct bench_comparison *ret_comparison, struct why *why);

extern const struct bench_judging benchmark_judging_default;

/* Compares what is due, every ten seconds, on a worker; keeps the verdicts. Loop thread. */
struct benchmark_watch;
struct server;
struct benchmark_watch *benchmark_watch_new(struct server *server);
/* Workers have ended before. Always returns NULL. */
struct benchmark_watch *benchmark_watch_free(struct benchmark_watch *watch);
