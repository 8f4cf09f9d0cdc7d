/* SPDX-License-Identifier: Apache-2.0 */
/* compare - do two samples differ, and by how much?
 *
 * `a` is before (the baseline), `b` after. All p values are two-sided. Samples hold no NaN; with
 * too few values p is NAN. Pure; any thread. */
#pragma once
#include "stats/describe.h"
#include "stats/resemblance.h"

enum compare_method {
    COMPARE_AUTO,   /* Exact where that is cheap and matters, else by the normal. */
    COMPARE_EXACT,  /* Exact if at all affordable (see compare.c), else by the normal. */
    COMPARE_NORMAL, /* Tie-corrected, with continuity correction. */
};

const char *compare_method_name(enum compare_method method); /* "exact", "normal". */

struct mann_whitney {
    double u;                   /* Pairs with a above b, ties half: scipy's statistic of (a, b). */
    double z;                   /* Of the normal approximation; positive when b is larger. */
    double p;                   /* NAN when a sample is empty. */
    double cliff;               /* Cliff's delta: P(b > a) - P(b < a), -1 … 1. */
    enum compare_method method; /* What p was computed by. */
};

/* Auto is exact when the smaller sample has at most 8 values; ties are then part of the
 * distribution. */
struct mann_whitney compare_mann_whitney(const double *a, size_t a_count, const double *b,
                                         size_t b_count, enum compare_method method);
/* The same for samples that array_sort has sorted: no copy is made. */
struct mann_whitney compare_mann_whitney_sorted(const double *a, size_t a_count, const double *b,
                                                size_t b_count, enum compare_method method);

/* The smallest p that samples of these sizes can give: 0.1 at 3 + 3. */
double compare_p_min(size_t a_count, size_t b_count);

struct welch {
    double t; /* Positive when the mean of b is larger. */
    double freedom;
    double p;
};
struct welch compare_welch(const double *a, size_t a_count, const double *b, size_t b_count);

struct kolmogorov_smirnov {
    double d; /* Largest distance between the two staircases. */
    double p;
    enum compare_method method;
};
struct kolmogorov_smirnov compare_kolmogorov_smirnov(const double *a, size_t a_count,
                                                     const double *b, size_t b_count);

/* Of the difference of means: every split when there are at most COMPARE_SPLITS_MAX, else as many
 * random ones, the observed counted among them. */
#define COMPARE_SPLITS_MAX 20000
double compare_permutation(const double *a, size_t a_count, const double *b, size_t b_count,
                           uint64_t seed);

/* Hodges and Lehmann: the median of all differences b_j - a_i, and the interval that the
 * Mann-Whitney test would not reject. */
struct shift {
    double shift;
    struct interval interval;
};
struct shift compare_shift(const double *a, size_t a_count, const double *b, size_t b_count,
                           double level);

/* Benjamini and Hochberg: p values adjusted so that of those at most q a share of at most q is
 * false. NAN stays NAN and does not count. */
void compare_adjust(const double *p, size_t count, double *ret_adjusted);

/* What the test says when the variance of its U is larger by that factor. `count` is that of both
 * samples together. */
struct mann_whitney compare_inflate(struct mann_whitney test, size_t count, double inflation);

/* compare_mann_whitney with its p averaged over what is believed of the runs' resemblance; the
 * order of values is that of time. */
struct mann_whitney compare_mann_whitney_timed(const double *a, size_t a_count, const double *b,
                                               size_t b_count, const struct resemblance *belief);

/* Runs of each side that see a shift of `shift` when single runs scatter by `deviation`, with
 * probability `power` at level `alpha`, by a Mann-Whitney test. */
double compare_runs_needed(double shift, double deviation, double alpha, double power);
