/* SPDX-License-Identifier: Apache-2.0 */
/* The k-th smallest of all differences b_j - a_i, without making them: for a candidate x, one walk
 * over both sorted samples counts the differences up to x (as i grows, so does the last fitting j).
 * Doubles have an order of 64 bits (array_key), so some 64 walks find the exact one. Rounding a
 * difference never turns the order round, so the walk is right for rounded differences, too. */
#include "base/must.h"
#include "stats/array.h"
#include "stats/compare.h"
#include "stats/distribution.h"
#include "stats/random.h"

#include <math.h>

struct pair {
    const double *a;
    size_t a_count;
    const double *b;
    size_t b_count;
};

static uint64_t count_up_to(const struct pair *sorted, double x)
{
    uint64_t count = 0;
    size_t j = 0;

    for (size_t i = 0; i < sorted->a_count; i++) {
        while (j < sorted->b_count && sorted->b[j] - sorted->a[i] <= x)
            j++;
        count += j;
    }
    return count;
}

/* place counts from 0. */
static double difference_at(const struct pair *sorted, uint64_t place)
{
    uint64_t low = array_key(sorted->b[0] - sorted->a[sorted->a_count - 1]);
    uint64_t high = array_key(sorted->b[sorted->b_count - 1] - sorted->a[0]);

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (count_up_to(sorted, array_from_key(middle)) > place)
            high = middle;
        else
            low = middle + 1;
    }
    return array_from_key(low);
}

struct shift compare_shift(const double *a, size_t a_count, const double *b, size_t b_count,
                           double level)
{
    double *sorted_a CLEANUP(array_freep) = array_sorted(a, a_count);
    double *sorted_b CLEANUP(array_freep) = array_sorted(b, b_count);
    struct pair sorted = {sorted_a, a_count, sorted_b, b_count};
    uint64_t pairs = (uint64_t)a_count * b_count;

    if (pairs == 0)
        return (struct shift){NAN, {NAN, NAN}};
    double middle = difference_at(&sorted, pairs / 2);
    if (pairs % 2 == 0)
        middle = 0.5 * middle + 0.5 * difference_at(&sorted, pairs / 2 - 1);
    double deviation = sqrt((double)pairs * (double)(a_count + b_count + 1) / 12);
    double cut = floor((double)pairs / 2 - normal_quantile((1 + level) / 2) * deviation);
    uint64_t place = cut < 0 ? 0 : (uint64_t)cut;
    return (struct shift){
        middle + 0.0, {difference_at(&sorted, place), difference_at(&sorted, pairs - 1 - place)}};
}

/* ---- Permutation. ---- */

/* The sum of those chosen decides the difference of means; every choice of a_count places is
 * visited in the order of combinations. */
static double every_split(const double *pool, size_t all, size_t chosen, double observed,
                          double centre)
{
    double *places_memory CLEANUP(array_freep) = array_new(chosen);
    size_t *places = (size_t *)(void *)places_memory; /* No wider than a double. */
    double extreme = 0;
    double total = 0;

    for (size_t i = 0; i < chosen; i++)
        places[i] = i;
    for (;;) {
        double sum = 0;
        for (size_t i = 0; i < chosen; i++)
            sum += pool[places[i]];
        extreme += fabs(sum - centre) >= observed;
        total++;
        size_t at = chosen;
        while (at > 0 && places[at - 1] == all - chosen + at - 1)
            at--;
        if (at == 0)
            return extreme / total;
        places[at - 1]++;
        for (size_t i = at; i < chosen; i++)
            places[i] = places[i - 1] + 1;
    }
}

static double random_splits(double *pool, size_t all, size_t chosen, double observed, double centre,
                            uint64_t seed)
{
    struct random random = random_begin(seed);
    double extreme = 1;

    for (int round = 0; round < COMPARE_SPLITS_MAX; round++) {
        double sum = 0;
        for (size_t i = 0; i < chosen; i++) {
            size_t other = i + random_below(&random, all - i);
            double swap = pool[i];
            pool[i] = pool[other];
            pool[other] = swap;
            sum += pool[i];
        }
        extreme += fabs(sum - centre) >= observed;
    }
    return extreme / (COMPARE_SPLITS_MAX + 1);
}

double compare_permutation(const double *a, size_t a_count, const double *b, size_t b_count,
                           uint64_t seed)
{
    size_t all = a_count + b_count;
    double *pool CLEANUP(array_freep) = array_new(all);
    double sum = 0;

    if (a_count == 0 || b_count == 0)
        return NAN;
    for (size_t i = 0; i < all; i++)
        pool[i] = i < a_count ? a[i] : b[i - a_count];
    double centre = describe_mean(pool, all) * (double)a_count;
    double size = 0;
    for (size_t i = 0; i < a_count; i++)
        sum += pool[i];
    for (size_t i = 0; i < all; i++)
        size += fabs(pool[i]);
    /* What differs by rounding only is as extreme as what was seen. */
    double observed = fabs(sum - centre) - 1e-13 * size;
    if (2 / compare_p_min(a_count, b_count) <= COMPARE_SPLITS_MAX)
        return every_split(pool, all, a_count, observed, centre);
    return random_splits(pool, all, a_count, observed, centre, seed);
}
