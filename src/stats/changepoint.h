/* SPDX-License-Identifier: Apache-2.0 */
/* changepoint - where did a history of measurements change its level (or its direction)?
 *
 * Pure; any thread. Values hold no NaN, in the order of time. n log n and a little in practice; n²
 * at worst. */
#pragma once
#include "stats/describe.h"

struct changepoint {
    size_t index;  /* Of the first value of the new stretch. */
    double before; /* Median of the stretch before, and of the one that begins here. */
    double after;
    double p;    /* Of no change, neighbours' resemblance heeded. */
    double step; /* Size of the step itself, in robust deviations of steps elsewhere. */
};

struct changepoint_options {
    double penalty_level; /* Times ln n: what a further level must save. */
    double penalty_line;  /* The same where each stretch is a sloping line. */
    double jump_min;      /* In standard deviations within stretches. */
    double alpha;         /* A change stays whose p is at most this, */
    double step_min;      /* or whose step is at least that. */
};

#define CHANGEPOINT_OPTIONS_DEFAULT \
    (struct changepoint_options)    \
    {                               \
        5, 9, 1.25, 0.01, 3.5       \
    }

#define CHANGEPOINT_COUNT_MIN 5 /* Below, there is nothing to find. */

/* Returns how many were found, ascending; *ret_changes is freed with free, NULL for none. */
size_t changepoint_find(const double *values, size_t count,
                        const struct changepoint_options *options,
                        struct changepoint **ret_changes);

void changepoint_freep(struct changepoint **changes); /* For CLEANUP. */
