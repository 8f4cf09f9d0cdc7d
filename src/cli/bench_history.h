/* SPDX-License-Identifier: Apache-2.0 */
/* bench_history - results kept one after the other, oldest first, a line each:
 *     {"time":"2026-…Z","commit":"abc","results":[{"name":…,"metrics":{…}}]}
 * in a file that is made to be committed (--history), or by a daemon (--shared). One thread. */
#pragma once
#include "cli/bench.h"

enum { BENCH_HISTORY_LINES_MAX = 10000 };

struct bench_history;

/* A file that is not there is empty. ERR_LIMIT: more lines than BENCH_HISTORY_LINES_MAX; the errors
 * of reading a file, or of asking a daemon. */
CHECKED enum err bench_history_read(const struct invocation *invocation,
                                    struct bench_history **ret_history, struct why *why);
void bench_history_free(struct bench_history *history);
const char *bench_history_name(const struct bench_history *history); /* Of the file, or --shared. */
size_t bench_history_count(const struct bench_history *history);
/* Appends result number i (0 is the oldest). ERR_INVALID names the line. */
CHECKED enum err bench_history_result(const struct bench_history *history, size_t i,
                                      struct bench_results *ret_results, struct why *why);
/* Of each metric the median of each result, NAN where it has none; labels are the commits, or which
 * result it is. */
CHECKED enum err bench_history_medians(const struct bench_history *history,
                                       struct bench_result *ret_result, struct why *why);
CHECKED enum err bench_history_append(struct bench_history *history,
                                      const struct bench_result *result, const char *commit,
                                      struct why *why);
