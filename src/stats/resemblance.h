/* SPDX-License-Identifier: Apache-2.0 */
/* resemblance - how much do runs resemble the runs before them?
 *
 * A busy neighbour, a warm cache, a slow drift: two stretches of such a series differ more than
 * independent runs would, and a test that does not know it cries wolf. The answer is not a number
 * but a belief, a weight for each correlation of neighbours that is thought of, because thirty runs
 * leave much open. Pure; any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { RESEMBLANCE_COUNT = 100 };

/* weight[k] belongs to the correlation k / RESEMBLANCE_COUNT. */
struct resemblance {
    double weight[RESEMBLANCE_COUNT];
    bool known; /* False where the values say nothing: constant ones, too few. */
};

/* How likely two samples, each in the order of time, are under each correlation. */
struct resemblance resemblance_of(const double *a, size_t a_count, const double *b, size_t b_count);

/* What to believe before looking, given the likelihoods of all that was measured alongside: the
 * same machine made them all. With few or silent ones it is near what is usual. */
struct resemblance resemblance_learn(const struct resemblance *likelihoods, size_t count);

/* The belief after looking; its weights add up to 1. Without a likelihood runs count as
 * independent. */
struct resemblance resemblance_believe(const struct resemblance *prior,
                                       const struct resemblance *likelihood);

/* For each correlation, how likely means so far apart would be by chance: two-sided, by generalized
 * least squares (Prais and Winsten 1954), values beyond four scaled MADs of their median clipped to
 * there. NAN where nothing varies. */
void resemblance_distance(const double *a, size_t a_count, const double *b, size_t b_count,
                          double ret_p[RESEMBLANCE_COUNT]);

/* The same by the ranks that values have among both samples: no unit, no outliers, and no way to
 * say how far samples are apart that do not overlap. */
void resemblance_rank_distance(const double *a, size_t a_count, const double *b, size_t b_count,
                               double ret_p[RESEMBLANCE_COUNT]);

/* By what factor the variance of a mean exceeds that of independent runs; the belief's median. */
double resemblance_inflation(const struct resemblance *belief);

/* The factor for weight[k]. */
double resemblance_inflation_at(size_t k);
