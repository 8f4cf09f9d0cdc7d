/* SPDX-License-Identifier: Apache-2.0 */
/* bench_result - measurements of one thing under test, kept in a file and read back.
 *
 * A result is a list of metrics, each with a value for every run; a missing value is NAN. Files are
 * sonde's own JSON, that of a load (bench_load.h), hyperfine's JSON, a JSON object of lists, or CSV
 * with a column for each metric (or the columns metric, value and perhaps unit). One thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "stats/verdict.h"

enum {
    BENCH_FILE_BYTES_MAX = 64 << 20,
    BENCH_METRICS_MAX = 1000,
    BENCH_VALUES_MAX = 1000000, /* Of a metric. */
    BENCH_RESULTS_MAX = 64,     /* In a file. */
};

struct bench_metric {
    char *name;
    char *unit; /* "" where unknown. */
    bool higher_is_better;
    double *values;
    size_t count;
    size_t capacity;
};

struct bench_result {
    char *name;    /* The command, or "". */
    char *commit;  /* Or "". */
    char *session; /* Results of one session took turns, run k of one beside run k of the other. */
    double
        taken_share; /* Of the processors, by others while it was measured; NAN: nobody looked. */
    struct bench_metric *metrics;
    size_t metrics_count;
    char **labels; /* Of runs: the column commit, version, date or time of a CSV file, or the commit
                      of each of a history; or NULL. */
    size_t labels_count;
};

struct bench_results {
    struct bench_result *results;
    size_t count;
};

void bench_results_done(struct bench_results *results);
struct bench_result *bench_results_add(struct bench_results *results, struct str name);
/* Gives all of them that session. */
void bench_results_join(struct bench_results *results, struct str session);

/* Finds or adds; NULL past BENCH_METRICS_MAX. unit and direction are those of the first time. */
struct bench_metric *bench_result_metric(struct bench_result *result, struct str name,
                                         struct str unit);
/* False past BENCH_VALUES_MAX. */
bool bench_metric_add(struct bench_metric *metric, double value);

/* Of the next run. */
void bench_result_add_label(struct bench_result *result, struct str text);

/* More is better, judged by the name and the unit: rates, throughput, hits. */
bool bench_higher_is_better(struct str name, struct str unit);
/* From where on a change of such a metric is a warning: CPU 20 %, memory 15 %, time 25 %,
 * throughput 20 %, error rate 5 %, else 10 %. */
double bench_threshold(const struct bench_metric *metric);

/* name is for messages. ERR_INVALID says where it is wrong; ERR_LIMIT names the bound. */
CHECKED enum err bench_results_parse(struct str text, const char *name,
                                     struct bench_results *ret_results, struct why *why);
CHECKED enum err bench_results_read(const char *path, struct bench_results *ret_results,
                                    struct why *why);

/* The object of metrics alone. */
void bench_result_write_metrics(const struct bench_result *result, struct json *json);
void bench_result_write(const struct bench_result *result, struct json *json);
void bench_results_write(const struct bench_results *results, struct json *json);
