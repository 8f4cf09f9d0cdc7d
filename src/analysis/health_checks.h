/* SPDX-License-Identifier: Apache-2.0 */
/* health_checks - what can be wrong with a machine, as a table of questions and thresholds.
 *
 * A check is one PromQL expression whose samples are the subjects (a disk, a process group, the
 * host) and whose values are judged against thresholds. The sentences are templates:
 *
 *     {value}   the value in the check's unit      {NAME}    the label NAME of the sample
 *     {detail}  the answer to detail_expr, such as "postgres 82 %, nginx 3 %"
 *
 * Constant tables; any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum health_unit {
    HEALTH_RATIO,   /* 0.97 is "97 %". */
    HEALTH_SECONDS, /* "340 ms", "2.5 hours" */
    HEALTH_RATE,    /* "12/s" */
    HEALTH_COUNT,   /* "3" */
    HEALTH_BYTES,   /* "1.4 GiB" */
    HEALTH_NONE,    /* The value is only yes or no. */
};

/* A threshold that is never reached. */
#define HEALTH_NEVER __builtin_nan("")

struct health_check {
    const char *id;
    const char *expr;
    const char *subject; /* The label that tells subjects apart; NULL: one per instance. */
    /* Where a finding of each severity begins; at or above, or at or below when `below`. */
    double info;
    double warning;
    double critical;
    bool below;
    /* Once found, the value must pass the threshold by this factor the other way to be calm again,
     * so that a value on the edge does not come and go. 0: the default of 0.8 (1.25 below). */
    double calm;
    enum health_unit unit;
    double confidence;
    const char *detail_expr;
    const char *detail_label;
    enum health_unit detail_unit;
    const char *claim;
    const char *evidence;
    const char *next_step;
};

extern const struct health_check health_checks[];
extern const size_t health_checks_count;
