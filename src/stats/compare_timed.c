/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that follow each other resemble each other, so a mean of them varies more than one of
 * independent runs: by (1 + r) / (1 - r) in an AR(1) series. How much they do is a belief
 * (resemblance.h), and p is its average over that belief, a rank test being made for each r in
 * turn: what is open about r then counts as what is open about the difference. Given how runs of a
 * side differ among each other, such an average errs as often as it says if the belief is right. */
#include "base/must.h"
#include "stats/array.h"
#include "stats/compare.h"
#include "stats/distribution.h"

#include <math.h>

#define APART 0.9 /* Cliff's delta from which ranks have little left to say. */

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

struct mann_whitney compare_mann_whitney_timed(const double *a, size_t a_count, const double *b,
                                               size_t b_count, const struct resemblance *belief)
{
    struct mann_whitney test = compare_mann_whitney(a, a_count, b, b_count, COMPARE_AUTO);
    double by_rank[RESEMBLANCE_COUNT];
    double distance[RESEMBLANCE_COUNT];
    bool apart = fabs(test.cliff) >= APART;
    double p = belief->weight[0] * test.p;

    if (isnan(test.p) || belief->weight[0] >= 1)
        return test;
    resemblance_rank_distance(a, a_count, b, b_count, by_rank);
    if (apart) /* Ranks cannot say how far; with few independent runs they never suffice. */
        resemblance_distance(a, a_count, b, b_count, distance);
    for (size_t k = 1; k < RESEMBLANCE_COUNT; k++) {
        double here = isnan(by_rank[k]) ? test.p : fmax(test.p, by_rank[k]);
        if (apart && !isnan(distance[k]))
            here = fmin(here, fmax(test.p, distance[k]));
        p += belief->weight[k] * here;
    }
    double inflation = resemblance_inflation(belief);
    if (inflation > 1)
        test = compare_inflate(test, a_count + b_count, inflation);
    test.p = fmin(p, 1);
    return test;
}
