/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that follow each other resemble each other, so a mean of them varies more than one of
 * independent runs: by (1 + r) / (1 - r) in an AR(1) series. How much they do is a belief
 * (resemblance.h), and p is its average over that belief, the test's variance being inflated by
 * each factor in turn: what is open about r then counts as what is open about the difference. */
#include "base/must.h"
#include "stats/array.h"
#include "stats/compare.h"
#include "stats/distribution.h"

#include <math.h>

#define APART     0.9 /* Cliff's delta from which ranks have little left to say. */
#define CLIP_MADS 4

struct mann_whitney compare_inflate(struct mann_whitney test, size_t count, double inflation)
{
    if (inflation <= 1 || isnan(test.p))
        return test;
    double freedom = fmax((double)count / inflation - 2, 1);
    test.z /= sqrt(inflation);
    test.p = fmax(test.p, fmin(2 * student_sf(fabs(test.z), freedom), 1));
    test.method = COMPARE_NORMAL;
    return test;
}

/* A copy without wild values, as resemblance is estimated from. */
static double *clipped(const double *values, size_t count)
{
    double *copy = array_copy(values, count);
    double centre = describe_median(values, count);
    double reach = CLIP_MADS * DESCRIBE_MAD_SCALE * describe_mad(values, count);

    for (size_t i = 0; i < count && reach > 0; i++)
        copy[i] = fmax(centre - reach, fmin(centre + reach, copy[i]));
    return copy;
}

/* Once all of one sample is above the other, ranks cannot say how far; with few independent runs
 * that never suffices. Welch's test on clipped values can. */
static struct welch by_distance(const double *a, size_t a_count, const double *b, size_t b_count)
{
    double *clipped_a CLEANUP(array_freep) = clipped(a, a_count);
    double *clipped_b CLEANUP(array_freep) = clipped(b, b_count);

    return compare_welch(clipped_a, a_count, clipped_b, b_count);
}

struct mann_whitney compare_mann_whitney_timed(const double *a, size_t a_count, const double *b,
                                               size_t b_count, const struct resemblance *belief)
{
    struct mann_whitney test = compare_mann_whitney(a, a_count, b, b_count, COMPARE_AUTO);
    struct welch welch = {NAN, NAN, NAN};
    double count = (double)(a_count + b_count);
    double p = 0;

    if (isnan(test.p) || belief->weight[0] >= 1)
        return test;
    if (fabs(test.cliff) >= APART)
        welch = by_distance(a, a_count, b, b_count);
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++) {
        double inflation = resemblance_inflation_at(k);
        double freedom = fmax(count / inflation - 2, 1);
        double here;
        if (belief->weight[k] <= 0)
            continue;
        here = compare_inflate(test, a_count + b_count, inflation).p;
        if (k > 0 && isfinite(welch.t))
            here = fmin(here, fmax(test.p, 2 * student_sf(fabs(welch.t) / sqrt(inflation),
                                                          fmin(freedom, welch.freedom))));
        p += belief->weight[k] * here;
    }
    double inflation = resemblance_inflation(belief);
    if (inflation > 1)
        test = compare_inflate(test, a_count + b_count, inflation);
    test.p = fmin(p, 1);
    return test;
}
