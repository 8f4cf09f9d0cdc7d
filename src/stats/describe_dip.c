/* SPDX-License-Identifier: Apache-2.0 */
/* Hartigan's dip: how far the sample's staircase is from the nearest distribution with one hill. A
 * one-hill distribution bends upwards (convex) before its mode and downwards (concave) after it. So
 * the best one is the greatest convex minorant of the staircase at the left of some modal interval,
 * the least concave majorant at its right, and the dip is half the largest step needed.
 *
 * The interval is found by narrowing (J. A. Hartigan and P. M. Hartigan, 1985): between its ends,
 * draw both curves; where they are furthest apart the new ends lie; stop when that distance is no
 * more than what already had to be paid outside. */
#include "base/must.h"
#include "stats/array.h"
#include "stats/describe.h"
#include "stats/random.h"

#include <math.h>
#include <stdlib.h>

enum {
    DIP_COUNT_MAX = 1000, /* A larger sample is judged by its quantiles. */
    DIP_SIMULATIONS = 1000,
    DIP_DEEPER_ENOUGH = 10, /* Besag and Clifford: so many tell p well enough. */
};

/* Corners of the greatest convex minorant (sign 1) or the least concave majorant (sign -1) of the
 * points (x_i, i) for i in [low, high]; returns how many. */
static size_t hull(const double *x, size_t low, size_t high, int sign, size_t *corners)
{
    size_t count = 0;

    for (size_t i = low; i <= high; i++) {
        while (count >= 2) {
            size_t a = corners[count - 2];
            size_t b = corners[count - 1];
            double turn = (x[b] - x[a]) * (double)(i - b) - (x[i] - x[b]) * (double)(b - a);
            if (sign * turn > 0)
                break;
            count--;
        }
        corners[count++] = i;
    }
    return count;
}

/* The height of the polygon over corners at x[i]; *at moves along with growing i. */
static double height_at(const double *x, const size_t *corners, size_t count, size_t i, size_t *at)
{
    while (*at + 2 < count && corners[*at + 1] < i)
        (*at)++;
    if (count < 2)
        return (double)corners[0];
    size_t a = corners[*at];
    size_t b = corners[*at + 1];
    if (x[b] == x[a])
        return i >= b ? (double)b : (double)a;
    return (double)a + (double)(b - a) * (x[i] - x[a]) / (x[b] - x[a]);
}

struct span {
    size_t low, high;
};

/* Where minorant and majorant are furthest apart, seen from the corners of either. */
static double widest_gap(const double *x, const size_t *convex, size_t convex_count,
                         const size_t *concave, size_t concave_count, struct span *ret_span)
{
    double widest = -1;
    size_t at = 0;

    for (size_t i = 0; i < convex_count; i++) {
        size_t k = convex[i];
        double gap = height_at(x, concave, concave_count, k, &at) - (double)k + 1;
        if (gap > widest) {
            widest = gap;
            size_t right = at + 1 < concave_count ? concave[at + 1] : concave[at];
            *ret_span = (struct span){k, right > k ? right : k};
        }
    }
    at = 0;
    for (size_t i = 0; i < concave_count; i++) {
        size_t k = concave[i];
        double gap = (double)k + 1 - height_at(x, convex, convex_count, k, &at);
        if (gap >= widest) {
            widest = gap;
            size_t left = convex[at];
            *ret_span = (struct span){left < k ? left : k, k};
        }
    }
    return widest;
}

/* How far the staircase departs from the polygon over [low, high]. */
static double departure(const double *x, const size_t *corners, size_t count, size_t low,
                        size_t high, int sign)
{
    double worst = 0;
    size_t at = 0;

    for (size_t i = low; i <= high; i++) {
        double off = sign * ((double)i - height_at(x, corners, count, i, &at)) + 1;
        worst = off > worst ? off : worst;
    }
    return worst;
}

static double dip_of_sorted(const double *x, size_t count, size_t *memory)
{
    size_t *convex = memory;
    size_t *concave = memory + count;
    struct span span = {0, count - 1};
    double dip = 1;

    if (x[0] == x[count - 1])
        return 0.5 / (double)count;
    for (;;) {
        struct span inner = span;
        size_t convex_count = hull(x, span.low, span.high, 1, convex);
        size_t concave_count = hull(x, span.low, span.high, -1, concave);
        double gap = widest_gap(x, convex, convex_count, concave, concave_count, &inner);
        if (gap <= dip)
            break;
        double left = departure(x, convex, convex_count, span.low, inner.low, 1);
        double right = departure(x, concave, concave_count, inner.high, span.high, -1);
        dip = fmax(dip, fmax(left, right));
        if (inner.low <= span.low && inner.high >= span.high)
            break;
        span = inner;
    }
    return dip / (2 * (double)count);
}

/* The same number of uniform values, drawn in order: sums of exponential gaps. */
static void draw_uniform(struct random *random, double *x, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum -= log(1 - random_unit(random));
        x[i] = sum;
    }
}

struct dip describe_dip(const double *values, size_t count)
{
    size_t used = count < DIP_COUNT_MAX ? count : DIP_COUNT_MAX;
    struct random random = random_begin(count);
    size_t deeper = 0;

    if (count < 4)
        return (struct dip){NAN, NAN};
    double *sorted CLEANUP(array_freep) = array_sorted(values, count);
    double *drawn CLEANUP(array_freep) = array_new(used);
    size_t *memory = calloc(2 * used, sizeof(*memory));
    if (memory == NULL)
        must_memory(2 * used * sizeof(*memory));
    for (size_t i = 0; i < used; i++)
        drawn[i] = used == count
                       ? sorted[i]
                       : describe_quantile_sorted(sorted, count, (double)i / (double)(used - 1));
    double dip = dip_of_sorted(drawn, used, memory);
    size_t drawn_count = 0;
    while (drawn_count < DIP_SIMULATIONS && deeper < DIP_DEEPER_ENOUGH) {
        draw_uniform(&random, drawn, used);
        deeper += dip_of_sorted(drawn, used, memory) >= dip;
        drawn_count++;
    }
    free(memory);
    bool stopped = deeper == DIP_DEEPER_ENOUGH;
    return (struct dip){dip, (double)(deeper + !stopped) / (double)(drawn_count + !stopped)};
}
