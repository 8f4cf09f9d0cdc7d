/* SPDX-License-Identifier: Apache-2.0 */
/* bootstrap - an interval for any statistic of one or two samples, by resampling.
 *
 * BCa of Efron: percentiles of the resampled statistic, moved for its bias and its skew. The seed
 * makes answers repeatable. Pure; any thread. */
#pragma once
#include "stats/describe.h"

/* May reorder what it gets; b is NULL for one sample. */
typedef double (*bootstrap_statistic)(double *a, size_t a_count, double *b, size_t b_count);

struct bootstrap {
    const double *a;
    size_t a_count;
    const double *b; /* NULL: one sample. */
    size_t b_count;
    bootstrap_statistic statistic;
    double level;     /* 0.95. */
    size_t resamples; /* 0: BOOTSTRAP_RESAMPLES. */
    uint64_t seed;
};

#define BOOTSTRAP_RESAMPLES 2000

/* False when there is nothing to resample: fewer than 2 values, or a statistic that is not finite
 * everywhere. A statistic that never varies gives an interval of width 0. */
bool bootstrap_interval(const struct bootstrap *bootstrap, struct interval *ret_interval);

/* Statistics to hand in. */
double bootstrap_median(double *a, size_t a_count, double *b, size_t b_count);
double bootstrap_mean(double *a, size_t a_count, double *b, size_t b_count);
/* median(b) / median(a) - 1. */
double bootstrap_median_change(double *a, size_t a_count, double *b, size_t b_count);
