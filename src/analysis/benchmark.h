/* SPDX-License-Identifier: Apache-2.0 */
/* benchmark - a stretch of time by name, to hold later ones against.
 *
 * A benchmark says which numbers count (expressions of PromQL, and if wanted the durations and
 * errors of every operation of every service) and keeps their values over one stretch of time, a
 * value a step. The same numbers over another stretch are then compared with it like two results
 * of `sonde bench` (bench_compare.h). The moment is handed in. One thread. */
#pragma once
#include "analysis/bench_result.h"
#include "base/arena.h"

#include <stdatomic.h>

struct node;
struct store_view;

enum {
    BENCHMARK_QUERIES_MAX = 100,
    BENCHMARK_STEPS_MAX = 1000,
    BENCHMARK_OPERATIONS_MAX = 200, /* Of all services; the busiest are not preferred. */
    BENCHMARK_NAME_BYTES_MAX = 100,
};

struct benchmark_query {
    struct str name;
    struct str expr;
    struct str unit; /* Empty: told by the end of the name: _seconds, _bytes, _percent. */
    int better;      /* 1: higher, -1: lower, 0: told by name and unit. */
};

struct benchmark {
    struct str name; /* Letters, digits, '-', '_', '.' and blanks. */
    struct str description;
    struct benchmark_query *queries;
    size_t queries_count;
    bool services;    /* Every operation's p50, p95 and share of errors as well. */
    bool replace;     /* Of a request: takes the place of one that has the name. */
    int64_t made_ms;  /* 0 until it is kept. */
    int64_t start_ms; /* The stretch is (start, end], */
    int64_t end_ms;
    int64_t step_ms;  /* a value each. */
    int64_t every_ms; /* How often the daemon compares by itself; 0: never. */
};

/* From a request or a record:
 *   {"name": "before", "description": "…", "services": true, "every": "1d",
 *    "queries": {"load": "node_load1", "p95": {"query": "…", "unit": "s", "better": "lower"}},
 *    "end_ms": …, "range": "1h", "step": "1m", "replace": true}
 * end_ms defaults to now_ms, range to an hour, step to a sixtieth of it. Without queries and
 * services, services are meant. ERR_INVALID names the key. Texts live in the arena. */
CHECKED enum err benchmark_read(const struct node *root, int64_t now_ms, struct arena *arena,
                                struct benchmark *ret_benchmark, struct why *why);

/* The record: what benchmark_read reads, and the values, which bench_results_parse reads. */
void benchmark_write(const struct benchmark *benchmark, const struct bench_result *values,
                     struct buf *out);

/* Its keys "services" and "queries". */
void benchmark_put_queries(const struct benchmark *benchmark, struct json *json);

struct benchmark_question {
    struct store_view *view;
    int64_t start_ms;
    int64_t end_ms;
    int64_t timeout_ms;
    const atomic_bool *cancelled; /* NULL: nobody will. */
    struct arena *arena;          /* Bounds what is read. */
};

/* The benchmark's numbers over a stretch, into a result of their own. A query with one series is a
 * metric of its name; several series carry their labels. ERR_INVALID: an expression that is none,
 * or nothing has a value there. */
CHECKED enum err benchmark_gather(const struct benchmark *benchmark,
                                  const struct benchmark_question *question,
                                  struct bench_results *ret_results, struct why *why);
