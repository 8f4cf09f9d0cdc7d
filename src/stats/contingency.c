/* SPDX-License-Identifier: Apache-2.0 */
/* With the sums fixed, one cell says all, and it is hypergeometric. The logarithm of its
 * probability is taken from log-factorials once; its neighbours follow by ratios of small numbers,
 * outwards from the mode, where they sink fast. */
#include "stats/contingency.h"

#include <math.h>

/* Tables as likely as this one but for rounding count as such, as R does. */
#define FISHER_TOLERANCE (1 + 1e-7)

static double log_factorial(double n)
{
    int sign;

    return lgamma_r(n + 1, &sign);
}

static double log_choose(double n, double k)
{
    return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

struct range {
    double least; /* Of cell a. */
    double most;
    double first; /* Sum of the first row. */
    double second;
    double have; /* Sum of the first column. */
};

static struct range range_of(struct contingency table)
{
    struct range range = {
        .first = (double)table.a + table.b,
        .second = (double)table.c + table.d,
        .have = (double)table.a + table.c,
    };

    range.least = range.have > range.second ? range.have - range.second : 0;
    range.most = range.have < range.first ? range.have : range.first;
    return range;
}

static double probability(const struct range *range, double a)
{
    return exp(log_choose(range->first, a) + log_choose(range->second, range->have - a) -
               log_choose(range->first + range->second, range->have));
}

/* From cell a to a + 1. */
static double ratio_up(const struct range *range, double a)
{
    double d = range->second - (range->have - a);

    return (range->first - a) * (range->have - a) / ((a + 1) * (d + 1));
}

/* Sums what is at most `limit`, from `a` on in one direction, until nothing more comes. */
static double sum_side(const struct range *range, double a, double step, double limit)
{
    double p = probability(range, a);
    double sum = 0;

    for (; a >= range->least && a <= range->most; a += step) {
        if (p <= limit)
            sum += p;
        if (p <= limit && p < sum * 1e-17)
            break;
        p = step > 0 ? p * ratio_up(range, a) : a > 0 ? p / ratio_up(range, a - 1) : 0;
    }
    return sum;
}

double contingency_fisher(struct contingency table)
{
    struct range range = range_of(table);
    double limit = probability(&range, table.a) * FISHER_TOLERANCE;
    double mode = floor((range.first + 1) * (range.have + 1) / (range.first + range.second + 2));

    if (mode < range.least)
        mode = range.least;
    if (mode > range.most)
        mode = range.most;
    double p = sum_side(&range, mode, 1, limit);
    if (mode > range.least)
        p += sum_side(&range, mode - 1, -1, limit);
    return p > 1 ? 1 : p;
}

double contingency_odds_ratio(struct contingency table)
{
    return ((table.c + 0.5) * (table.b + 0.5)) / ((table.a + 0.5) * (table.d + 0.5));
}

double contingency_fisher_min(struct contingency table)
{
    struct range range = range_of(table);
    double low = probability(&range, range.least);
    double high = probability(&range, range.most);

    return low < high ? low : high;
}
