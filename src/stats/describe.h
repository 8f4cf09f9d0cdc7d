/* SPDX-License-Identifier: Apache-2.0 */
/* describe - what a sample of measurements says by itself.
 *
 * All functions borrow `values`, which hold no NaN, and answer NAN when there are too few. Pure;
 * any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes a median absolute deviation comparable with a normal's standard deviation. */
#define DESCRIBE_MAD_SCALE 1.4826022185056018

struct interval {
    double low;
    double high;
};

struct describe {
    size_t count;
    double mean;
    double deviation; /* Standard, of a sample: n - 1. NAN below 2. */
    double min;
    double max;
    double median;
    double mad;             /* Median absolute deviation from the median, unscaled. */
    double quartile_low;    /* 25 %. */
    double quartile_high;   /* 75 %. */
    double effective_count; /* Of independent values, see describe_effective_count. */
};

struct describe describe(const double *values, size_t count);

double describe_mean(const double *values, size_t count); /* Compensated sum. */
double describe_variance(const double *values, size_t count);
double describe_median(const double *values, size_t count);
double describe_mad(const double *values, size_t count);
/* Interpolated between order statistics as numpy and R do by default ("type 7"). 0 <= share <= 1.
 */
double describe_quantile(const double *values, size_t count, double share);
double describe_quantile_sorted(const double *sorted, size_t count, double share);
/* The mean of what is left when floor(share * count) are cut at each end. share < 0.5. */
double describe_trimmed_mean(const double *values, size_t count, double share);

/* Correlation of the series with itself `lag` later, about its mean; 0 for a constant series. */
double describe_autocorrelation(const double *values, size_t count, size_t lag);
/* The same for every lag up to lags_count - 1 into ret_lags; in n log n. */
void describe_autocorrelations(const double *values, size_t count, double *ret_lags,
                               size_t lags_count);
/* How many independent values would say as much: count / (1 + 2 sum of correlations), the sum taken
 * as long as pairs of neighbours stay positive (Geyer). Between 1 and count. */
double describe_effective_count(const double *values, size_t count);

/* An interval for the median from order statistics: holds at least at `level` whatever the
 * distribution. False when there are too few values (below 6 for 95 %). */
bool describe_median_interval(const double *values, size_t count, double level,
                              struct interval *ret_interval);

/* Has the distribution more than one hill? Hartigan's dip statistic, and the probability of one as
 * deep if values were uniform, by simulation with a fixed seed. */
struct dip {
    double dip;
    double p;
};
struct dip describe_dip(const double *values, size_t count);
