/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that follow each other resemble each other: a busy neighbour, a warm cache, a slow drift.
 * Two stretches of such a series differ more than independent runs would, and a test that does not
 * know it cries wolf. So the correlation of neighbours is estimated within each sample, and the
 * test's variance grows by (1 + r) / (1 - r), what an AR(1) series does to a mean.
 *
 * The estimate is biased towards 0, by about (1 + 4 r) / n, which is put back. Where it is no more
 * than chance makes of independent runs it counts as 0, so that honest runs pay nothing. */
#include "base/must.h"
#include "stats/array.h"
#include "stats/compare.h"
#include "stats/distribution.h"

#include <math.h>

#define CORRELATION_MAX    0.99
#define CORRELATION_CHANCE 1.64 /* Standard errors; one in twenty independent samples is above. */
#define APART              0.9  /* Cliff's delta from which ranks have little left to say. */
#define CLIP_MADS          4    /* One wild run is no correlation, but hides it. */

struct lagged {
    double square;
    double product;
};

static void add_sample(const double *values, size_t count, struct lagged *sums)
{
    double centre = describe_median(values, count);
    double reach = CLIP_MADS * DESCRIBE_MAD_SCALE * describe_mad(values, count);
    double before = 0;

    for (size_t i = 0; i < count; i++) {
        double here = values[i] - centre;
        if (reach > 0)
            here = fmax(-reach, fmin(reach, here));
        sums->square += here * here;
        sums->product += here * before;
        before = here;
    }
}

double compare_inflation(const double *a, size_t a_count, const double *b, size_t b_count)
{
    double n = (double)(a_count + b_count);
    struct lagged sums = {0};

    if (n < 8)
        return 1;
    add_sample(a, a_count, &sums);
    add_sample(b, b_count, &sums);
    double r = sums.square > 0 ? sums.product / sums.square : 0;
    if (r <= CORRELATION_CHANCE / sqrt(n))
        return 1;
    r = fmin((n * r + 2) / (n - 4), CORRELATION_MAX);
    return (1 + r) / (1 - r);
}

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

/* A copy without wild values, as the correlation was estimated from. */
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
static double p_by_distance(const double *a, size_t a_count, const double *b, size_t b_count,
                            double inflation)
{
    double *clipped_a CLEANUP(array_freep) = clipped(a, a_count);
    double *clipped_b CLEANUP(array_freep) = clipped(b, b_count);
    struct welch test = compare_welch(clipped_a, a_count, clipped_b, b_count);
    double freedom = fmax((double)(a_count + b_count) / inflation - 2, 1);

    return isnan(test.p) || isinf(test.t)
               ? 1
               : 2 * student_sf(fabs(test.t) / sqrt(inflation), fmin(freedom, test.freedom));
}

struct mann_whitney compare_mann_whitney_timed(const double *a, size_t a_count, const double *b,
                                               size_t b_count, double *ret_inflation)
{
    struct mann_whitney test = compare_mann_whitney(a, a_count, b, b_count, COMPARE_AUTO);
    double plain = test.p;

    *ret_inflation = compare_inflation(a, a_count, b, b_count);
    test = compare_inflate(test, a_count + b_count, *ret_inflation);
    if (*ret_inflation > 1 && fabs(test.cliff) >= APART)
        test.p = fmax(plain, fmin(test.p, p_by_distance(a, a_count, b, b_count, *ret_inflation)));
    return test;
}
