/* SPDX-License-Identifier: Apache-2.0 */
/* bench - the options that the actions of `sonde bench` share, and the actions. */
#pragma once
#include "analysis/bench_compare.h"
#include "cli/bench_table.h"
#include "cli/command.h"

enum bench_option {
    BENCH_VS,
    BENCH_RUNS,
    BENCH_WARMUP,
    BENCH_TIMEOUT,
    BENCH_PIN,
    BENCH_SHELL,
    BENCH_SAVE,
    BENCH_COMMIT,
    BENCH_ALPHA,
    BENCH_MIN_CHANGE,
    BENCH_THRESHOLD,
    BENCH_COLUMN,
    BENCH_HISTORY,
    BENCH_SHARED,
    BENCH_BASELINE,
    BENCH_FAIL_ON,
    BENCH_RECORD,
    BENCH_FORMAT,
    BENCH_REPORT,
    BENCH_RANGE,
    BENCH_EVERY,
    BENCH_SERVICES,
    BENCH_REPLACE,
    BENCH_URL,
    BENCH_TOKEN,
    BENCH_CA_FILE,
    BENCH_OPTIONS_COUNT
};

struct bench_judging bench_judging_of(const struct invocation *invocation);

/* Asks the daemon that --url means, under /api/v1/performance; json empty: GET, unless method says
 * otherwise. An answer that is no success is an error. */
CHECKED enum err bench_ask(const struct invocation *invocation, const char *method,
                           const char *path, struct str json, struct buf *ret_body,
                           struct why *why);
/* Appends "/NAME" with what a path may not hold as %XX. */
void bench_write_name(struct buf *path, const char *name);

/* Each is handed what follows its name in invocation->arguments + 1. */
enum exit_code bench_run(struct invocation *invocation);
enum exit_code bench_changepoints(struct invocation *invocation);
enum exit_code bench_gate(struct invocation *invocation);
enum exit_code bench_create(struct invocation *invocation);
enum exit_code bench_list(struct invocation *invocation);
enum exit_code bench_remove(struct invocation *invocation);
enum exit_code bench_compare_named(struct invocation *invocation); /* Has its one argument. */
