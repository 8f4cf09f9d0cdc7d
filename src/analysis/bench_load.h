/* SPDX-License-Identifier: Apache-2.0 */
/* bench_load - what `sonde load --json` printed, as metrics of a result.
 *
 * One load is one run: latency_p50, latency_p95, latency_p99 (ms), throughput (/s) and error_rate
 * (%), and the same of each step of a scenario behind the step's name. Where only one load is at
 * hand, its intervals are taken for runs. One thread. */
#pragma once
#include "analysis/bench_result.h"

struct node;

/* Is the document a load's? */
bool bench_load_is(const struct node *root);

/* One value for each metric, at place `run`; earlier places that are missing become NAN. */
CHECKED enum err bench_load_add_run(const struct node *root, struct bench_result *result,
                                    size_t run, struct why *why);

/* A value for each interval of its timeline. */
CHECKED enum err bench_load_add_timeline(const struct node *root, struct bench_result *result,
                                         struct why *why);
