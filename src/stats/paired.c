/* SPDX-License-Identifier: Apache-2.0 */
/* Under the null each difference is as likely to be negative as positive, whatever its size, so the
 * sum of positive ranks is a sum of independent coin tosses. Its exact distribution is built rank
 * by rank: chance[s] = (chance[s] + chance[s - rank]) / 2, in doubled ranks, which ties leave
 * whole.
 *
 * The k-th smallest Walsh average is found without making them: for a candidate x one walk from
 * both ends of the sorted differences counts the averages up to x, and doubles have an order of 64
 * bits (array_key), so some 64 walks find the exact one. */
#include "stats/paired.h"
#include "base/must.h"
#include "stats/array.h"
#include "stats/distribution.h"

#include <assert.h>
#include <math.h>

/* ---- Signed ranks. ---- */

struct ranked {
    size_t *ranks; /* Doubled, of the differences that are not 0, in the order of their size. */
    size_t count;  /* Of those. */
    size_t above;  /* Doubled ranks of positive ones, added. */
    size_t all;    /* Of all of them. */
    size_t positive;
};

static void add_equal(struct ranked *ranked, size_t rank, size_t positive, size_t negative)
{
    for (size_t i = 0; i < positive + negative; i++)
        ranked->ranks[ranked->count++] = rank;
    ranked->above += rank * positive;
    ranked->all += rank * (positive + negative);
    ranked->positive += positive;
}

static size_t run_of(const double *sorted, size_t count, size_t from, double size)
{
    size_t run = 0;

    while (from + run < count && sorted[from + run] == size)
        run++;
    return run;
}

/* A merge of the sizes of both signs, each sorted; ranks begin behind those of the zeros. */
static void rank(const double *up, size_t up_count, const double *down, size_t down_count,
                 size_t zeros, struct ranked *ranked)
{
    size_t i = 0;
    size_t j = 0;

    while (i < up_count || j < down_count) {
        double size = j == down_count || (i < up_count && up[i] < down[j]) ? up[i] : down[j];
        size_t positive = run_of(up, up_count, i, size);
        size_t negative = run_of(down, down_count, j, size);
        size_t before = zeros + i + j;
        add_equal(ranked, 2 * before + positive + negative + 1, positive, negative);
        i += positive;
        j += negative;
    }
}

/* chance[s]: how likely the doubled ranks of positive differences add up to s. */
static double *chances_of(const size_t *ranks, size_t count, size_t all)
{
    double *chance = array_new(all + 1);
    size_t reach = 0;

    chance[0] = 1;
    for (size_t i = 0; i < count; i++) {
        reach += ranks[i];
        for (size_t s = reach + 1; s-- > 0;)
            chance[s] = 0.5 * chance[s] + (s >= ranks[i] ? 0.5 * chance[s - ranks[i]] : 0);
    }
    return chance;
}

static double exact_p(const struct ranked *ranked)
{
    double *chance CLEANUP(array_freep) = chances_of(ranked->ranks, ranked->count, ranked->all);
    double below = 0;
    double above = 0;

    for (size_t s = 0; s <= ranked->all; s++) {
        below += s <= ranked->above ? chance[s] : 0;
        above += s >= ranked->above ? chance[s] : 0;
    }
    return fmin(1, 2 * fmin(below, above));
}

static void by_normal(const struct ranked *ranked, struct signed_rank *test)
{
    double off = ((double)ranked->above - 0.5 * (double)ranked->all) / 2;
    double distance = fabs(off) - 0.5;
    double variance = 0; /* Each rank counts or does not, by a coin. */

    for (size_t i = 0; i < ranked->count; i++)
        variance += 0.0625 * (double)ranked->ranks[i] * (double)ranked->ranks[i];
    test->z = copysign(fmax(distance, 0), off) / sqrt(variance);
    test->p = fmin(1, 2 * normal_sf(distance / sqrt(variance)));
    test->method = COMPARE_NORMAL;
}

struct signed_rank paired_signed_rank(const double *differences, size_t count,
                                      enum compare_method method)
{
    double *up CLEANUP(array_freep) = array_new(count);
    double *down CLEANUP(array_freep) = array_new(count);
    double *ranks CLEANUP(array_freep) = array_new(count);
    struct ranked ranked = {.ranks = (size_t *)(void *)ranks}; /* No wider than a double. */
    struct signed_rank test = {.p = count == 0 ? NAN : 1, .method = COMPARE_EXACT};
    size_t most = method == COMPARE_AUTO ? PAIRED_EXACT_AUTO : PAIRED_EXACT_MAX;
    size_t up_count = 0;
    size_t down_count = 0;

    static_assert(sizeof(size_t) <= sizeof(double), "ranks fit");
    for (size_t i = 0; i < count; i++) {
        if (differences[i] > 0)
            up[up_count++] = differences[i];
        else if (differences[i] < 0)
            down[down_count++] = -differences[i];
    }
    if (up_count + down_count == 0)
        return test;
    array_sort(up, up_count);
    array_sort(down, down_count);
    rank(up, up_count, down, down_count, count - up_count - down_count, &ranked);
    test.w = 0.5 * (double)ranked.above;
    test.dominance = ((double)up_count - (double)down_count) / (double)count;
    by_normal(&ranked, &test);
    if (method == COMPARE_NORMAL || count > most)
        return test;
    test.p = exact_p(&ranked);
    test.method = COMPARE_EXACT;
    return test;
}

double paired_p_min(size_t count)
{
    return count < 2 ? 1 : exp2(1 - (double)count);
}

/* ---- The shift. ---- */

/* Halves first, so that the average of two large ones is no infinity. */
static double average(double a, double b)
{
    return 0.5 * a + 0.5 * b;
}

static uint64_t count_up_to(const double *sorted, size_t count, double x)
{
    uint64_t found = 0;
    size_t end = count;

    for (size_t i = 0; i < count && i < end; i++) {
        while (end > i && average(sorted[i], sorted[end - 1]) > x)
            end--;
        found += end > i ? end - i : 0;
    }
    return found;
}

/* place counts from 0. */
static double walsh_at(const double *sorted, size_t count, uint64_t place)
{
    uint64_t low = array_key(sorted[0]);
    uint64_t high = array_key(sorted[count - 1]);

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (count_up_to(sorted, count, array_from_key(middle)) > place)
            high = middle;
        else
            low = middle + 1;
    }
    return array_from_key(low);
}

/* How many averages at each end the test rejects at `level`: as many sums of ranks w have
 * P(W <= w) <= (1 - level) / 2. */
static uint64_t averages_rejected(size_t count, double level)
{
    double *memory CLEANUP(array_freep) = array_new(count);
    size_t *ranks = (size_t *)(void *)memory; /* No wider than a double. */
    double n = (double)count;
    double below = 0;
    uint64_t rejected = 0;

    if (count > PAIRED_EXACT_AUTO) {
        double deviation = sqrt(n * (n + 1) * (2 * n + 1) / 24);
        return (uint64_t)floor(n * (n + 1) / 4 - normal_quantile((1 + level) / 2) * deviation);
    }
    for (size_t i = 0; i < count; i++)
        ranks[i] = i + 1;
    size_t all = count * (count + 1) / 2;
    double *chance CLEANUP(array_freep) = chances_of(ranks, count, all);
    for (; rejected <= all; rejected++) {
        below += chance[rejected];
        if (below > (1 - level) / 2)
            break;
    }
    return rejected;
}

struct shift paired_shift(const double *differences, size_t count, double level)
{
    double *sorted CLEANUP(array_freep) = array_sorted(differences, count);
    uint64_t averages = (uint64_t)count * (count + 1) / 2;
    struct shift shift = {NAN, {NAN, NAN}};

    if (count == 0)
        return shift;
    shift.shift = walsh_at(sorted, count, averages / 2);
    if (averages % 2 == 0)
        shift.shift = average(shift.shift, walsh_at(sorted, count, averages / 2 - 1));
    shift.shift += 0.0; /* No negative zero. */
    uint64_t rejected = averages_rejected(count, level);
    if (rejected == 0)
        return shift;
    shift.interval.low = walsh_at(sorted, count, rejected - 1);
    shift.interval.high = walsh_at(sorted, count, averages - rejected);
    return shift;
}
