/* SPDX-License-Identifier: Apache-2.0 */
/* bench_compare - two results side by side: a verdict for each metric, told in words or as JSON.
 * One thread. */
#pragma once
#include "analysis/bench_result.h"

struct bench_judging {
    double alpha;
    double min_change;
    double threshold; /* 0: by the kind of metric, see bench_threshold. */
};

struct bench_row {
    const struct bench_metric *metric; /* Of after: name, unit, direction. */
    struct verdict verdict;
    struct verdict_options options;
    struct describe before, after;
    struct interval before_interval, after_interval; /* NAN where there are too few. */
    bool quarantined;                                /* Flaky: told, but held against nobody. */
};

struct bench_comparison {
    struct bench_row *rows;
    size_t count;
    size_t missing; /* Metrics that only one side has. */
    size_t strange; /* Metrics whose unit became one that measures something else. */
};

/* Results of one session are compared by pairs of neighbours (stats/verdict_paired.h). Borrows
 * both, which must outlive the comparison. */
void bench_compare(const struct bench_result *before, const struct bench_result *after,
                   const struct bench_judging *judging, struct bench_comparison *ret_comparison);
void bench_comparison_done(struct bench_comparison *comparison);

/* Rows of that verdict that are not in quarantine. */
size_t bench_comparison_count(const struct bench_comparison *comparison, enum verdict_kind kind);

void bench_comparison_write_markdown(const struct bench_comparison *comparison, struct buf *out);
void bench_comparison_write_json(const struct bench_comparison *comparison, struct json *json);
/* The same without the braces, for an object that says more. */
void bench_comparison_put(const struct bench_comparison *comparison, struct json *json);
/* Of that only the verdict over all and how many metrics had which. */
void bench_comparison_put_verdict(const struct bench_comparison *comparison, struct json *json);
void bench_row_put(const struct bench_row *row, struct json *json);
/* One side alone: {"metric", "unit", "better", "values": {"n", "median", …}}. */
void bench_metric_write_summary(const struct bench_metric *metric, struct json *json);

/* "-17.20% (p=0.000 n=10)", "~ (p=0.42 n=10+12)", "+3.1% (p=0.001 n=30 pairs)",
 * "~ (need >= 4 samples, n=2)". */
void bench_row_write_change(const struct bench_row *row, struct buf *out);
/* "1.234s", "2.49MB". */
void bench_write_value(double value, const char *unit, struct buf *out);
/* "1.234s ± 2%". */
void bench_write_median(const struct describe *describe, const struct interval *interval,
                        const char *unit, struct buf *out);
/* "degraded (warning)", "stable: a change of 15 % is ruled out". */
void bench_row_write_verdict(const struct bench_row *row, struct buf *out);
/* "1 metric is on one side only and was not compared."; nothing of none. */
void bench_write_missing(size_t count, struct buf *out);
/* What the rows cannot tell: what pairs are, metrics with several hills or of one side only. */
void bench_comparison_write_notes(const struct bench_comparison *comparison, struct buf *out);
