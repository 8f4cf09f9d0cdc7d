/* SPDX-License-Identifier: Apache-2.0 */
/* A sketch is two sides of buckets and a counter for zero. A quantile walks from the most negative
 * bucket to the most positive one until it has passed its rank; the answer is the value that stands
 * for the bucket, kept within min and max, which are known exactly. */
#include "sketch/quantile_priv.h"

#include "base/must.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

struct quantile *quantile_new(unsigned precision, uint32_t buckets_max)
{
    struct quantile *sketch = calloc(1, sizeof *sketch);

    MUST(precision <= QUANTILE_PRECISION_MAX && buckets_max <= QUANTILE_BUCKETS_MAX);
    if (sketch == NULL)
        must_memory(sizeof *sketch);
    sketch->precision = precision;
    sketch->buckets_max = buckets_max == 0 ? QUANTILE_BUCKETS_DEFAULT(precision) : buckets_max;
    sketch->min = INFINITY;
    sketch->max = -INFINITY;
    side_init(&sketch->negative);
    side_init(&sketch->positive);
    return sketch;
}

struct quantile *quantile_free(struct quantile *sketch)
{
    if (sketch == NULL)
        return NULL;
    side_done(&sketch->negative);
    side_done(&sketch->positive);
    free(sketch);
    return NULL;
}

void quantile_freep(struct quantile **sketch)
{
    *sketch = quantile_free(*sketch);
}

void quantile_clear(struct quantile *sketch)
{
    side_clear(&sketch->negative);
    side_clear(&sketch->positive);
    sketch->zero = 0;
    sketch->sum = 0;
    sketch->min = INFINITY;
    sketch->max = -INFINITY;
}

/* ---- adding ---- */

void quantile_extend(struct quantile *sketch, double value)
{
    sketch->min = value < sketch->min ? value : sketch->min;
    sketch->max = value > sketch->max ? value : sketch->max;
}

/* Into the buckets alone. */
static void count_value(struct quantile *sketch, double value, uint64_t count)
{
    if (value >= DBL_MIN)
        side_add(&sketch->positive, quantile_key(value, sketch->precision), count,
                 sketch->buckets_max);
    else if (value <= -DBL_MIN)
        side_add(&sketch->negative, quantile_key(-value, sketch->precision), count,
                 sketch->buckets_max);
    else
        sketch->zero += count;
}

void quantile_add_many(struct quantile *sketch, double value, uint64_t count)
{
    if (!(fabs(value) <= DBL_MAX) || count == 0)
        return;
    count_value(sketch, value, count);
    sketch->sum += value * (double)count;
    quantile_extend(sketch, value);
}

void quantile_add(struct quantile *sketch, double value)
{
    quantile_add_many(sketch, value, 1);
}

/* How much of a range, cut at lower and upper, lies below value: 0 … 1. */
static double share_below(double lower, double upper, bool by_ratio, double value)
{
    if (value <= lower)
        return 0;
    if (value >= upper)
        return 1;
    if (by_ratio)
        return log2(value / lower) / log2(upper / lower);
    return value / (upper - lower) - lower / (upper - lower);
}

/* A range of magnitudes on one side. Each bucket gets what makes the running total right, so no
 * number is lost to rounding. */
static void side_add_range(struct quantile *sketch, bool negative, double lower, double upper,
                           bool by_ratio, uint64_t count)
{
    struct side *side = negative ? &sketch->negative : &sketch->positive;
    int32_t first = lower < DBL_MIN ? quantile_key_min(sketch->precision)
                                    : quantile_key(lower, sketch->precision);
    int32_t last = quantile_key(upper, sketch->precision);
    int32_t least;
    uint64_t given = 0;

    /* Below, a bucket would get less than one number; and no one sees what is nearer to zero. */
    least = last - (int32_t)sketch->buckets_max + 1;
    if (first < least)
        first = least;
    for (int32_t key = first; key <= last && given < count; key++) {
        double end = quantile_key_lower(key + 1, sketch->precision);
        double share = key == last ? 1 : share_below(lower, upper, by_ratio, end);
        double rank = share * (double)count;
        uint64_t until = rank >= (double)count ? count : (uint64_t)(rank + 0.5);

        if (key == last)
            until = count;
        if (until > given) {
            side_add(side, key, until - given, sketch->buckets_max);
            given = until;
        }
    }
}

void quantile_add_range(struct quantile *sketch, double lower, double upper, bool by_ratio,
                        uint64_t count)
{
    if (!(fabs(lower) <= DBL_MAX && fabs(upper) <= DBL_MAX && lower <= upper) || count == 0)
        return;
    if (lower == upper || (fabs(lower) < DBL_MIN && fabs(upper) < DBL_MIN)) {
        quantile_add_many(sketch, lower, count);
        return;
    }
    quantile_extend(sketch, lower);
    quantile_extend(sketch, upper);
    sketch->sum += (lower / 2 + upper / 2) * (double)count;
    if (lower < 0 && upper > 0) {
        uint64_t below = (uint64_t)((double)count * share_below(lower, upper, false, 0));

        below = below > count ? count : below;
        if (below > 0 && -lower >= DBL_MIN)
            side_add_range(sketch, true, 0, -lower, false, below);
        if (count > below && upper >= DBL_MIN)
            side_add_range(sketch, false, 0, upper, false, count - below);
    } else if (upper > 0) {
        side_add_range(sketch, false, lower, upper, by_ratio && lower >= DBL_MIN, count);
    } else {
        side_add_range(sketch, true, -upper, -lower, by_ratio && upper <= -DBL_MIN, count);
    }
}

static void precision_lower(struct quantile *sketch, unsigned precision)
{
    while (sketch->precision > precision) {
        side_coarsen(&sketch->negative);
        side_coarsen(&sketch->positive);
        sketch->precision--;
        sketch->buckets_max = (sketch->buckets_max + 1) / 2; /* The same span as before. */
    }
}

static void side_merge(struct side *side, const struct side *from, unsigned shift,
                       uint32_t buckets_max)
{
    /* From the far end, so that the window is not grown again and again. */
    for (size_t i = side_size(from); i-- > 0;)
        if (side_at(from, i) > 0)
            side_add(side, side_key(from, i) >> shift, side_at(from, i), buckets_max);
    if (side_collapsed(from) > 0 && (from->floor >> shift) > side->floor)
        side_set_floor(side, from->floor >> shift);
}

void quantile_merge(struct quantile *sketch, const struct quantile *from)
{
    unsigned shift;

    precision_lower(sketch, from->precision);
    shift = from->precision - sketch->precision;
    side_merge(&sketch->negative, &from->negative, shift, sketch->buckets_max);
    side_merge(&sketch->positive, &from->positive, shift, sketch->buckets_max);
    sketch->zero += from->zero;
    sketch->sum += from->sum;
    if (quantile_count(from) > 0) {
        quantile_extend(sketch, from->min);
        quantile_extend(sketch, from->max);
    }
}

void quantile_set_sum(struct quantile *sketch, double sum)
{
    sketch->sum = sum;
}

void quantile_set_extremes(struct quantile *sketch, double min, double max)
{
    sketch->min = min;
    sketch->max = max;
}

/* ---- asking ---- */

uint64_t quantile_count(const struct quantile *sketch)
{
    return sketch->negative.total + sketch->zero + sketch->positive.total;
}

double quantile_sum(const struct quantile *sketch)
{
    return sketch->sum;
}

double quantile_min(const struct quantile *sketch)
{
    return quantile_count(sketch) == 0 ? NAN : sketch->min;
}

double quantile_max(const struct quantile *sketch)
{
    return quantile_count(sketch) == 0 ? NAN : sketch->max;
}

double quantile_mean(const struct quantile *sketch)
{
    uint64_t count = quantile_count(sketch);

    return count == 0 ? NAN : sketch->sum / (double)count;
}

unsigned quantile_precision(const struct quantile *sketch)
{
    return sketch->precision;
}

uint64_t quantile_collapsed(const struct quantile *sketch)
{
    return side_collapsed(&sketch->negative) + side_collapsed(&sketch->positive);
}

/* The key with the number of this rank, counted from the lowest key or from the highest. */
static int32_t side_rank(const struct side *side, uint64_t rank, bool from_top)
{
    size_t size = side_size(side);
    uint64_t seen = 0;

    MUST(rank < side->total);
    for (size_t i = 0; i < size; i++) {
        size_t at = from_top ? size - 1 - i : i;

        seen += side_at(side, at);
        if (seen > rank)
            return side_key(side, at);
    }
    must_failed("side totals agree", __FILE__, __LINE__);
}

double quantile_at(const struct quantile *sketch, double q)
{
    uint64_t count = quantile_count(sketch);
    double value = 0;
    uint64_t rank;

    if (count == 0 || isnan(q))
        return NAN;
    q = q < 0 ? 0 : q > 1 ? 1 : q;
    rank = quantile_rank(q, count);
    if (rank == 0)
        return sketch->min;
    if (rank == count - 1)
        return sketch->max;
    if (rank < sketch->negative.total)
        value = -quantile_key_value(side_rank(&sketch->negative, rank, true), sketch->precision);
    else if (rank >= sketch->negative.total + sketch->zero)
        value = quantile_key_value(
            side_rank(&sketch->positive, rank - sketch->negative.total - sketch->zero, false),
            sketch->precision);
    value = value < sketch->min ? sketch->min : value;
    return value > sketch->max ? sketch->max : value;
}

bool quantile_next(const struct quantile *sketch, struct quantile_walk *walk,
                   struct quantile_bucket *ret_bucket)
{
    const struct side *sides[3] = {&sketch->negative, NULL, &sketch->positive};

    for (; walk->side < 3; walk->side++, walk->next = 0) {
        const struct side *side = sides[walk->side];

        if (side == NULL) {
            *ret_bucket = (struct quantile_bucket){0, 0, sketch->zero};
            if (walk->next++ == 0 && sketch->zero > 0)
                return true;
            continue;
        }
        while (walk->next < side_size(side)) {
            bool falls = walk->side == 0;
            size_t i = walk->next++;
            size_t at = falls ? side_size(side) - 1 - i : i;
            double near, far;

            if (side_at(side, at) == 0)
                continue;
            near = quantile_key_lower(side_key(side, at), sketch->precision);
            far = quantile_key_lower(side_key(side, at) + 1, sketch->precision);
            *ret_bucket = (struct quantile_bucket){falls ? -far : near, falls ? -near : far,
                                                   side_at(side, at)};
            return true;
        }
    }
    return false;
}

double quantile_count_below(const struct quantile *sketch, double bound)
{
    struct quantile_walk walk = QUANTILE_WALK_INIT;
    struct quantile_bucket bucket;
    double below = 0;

    if (bound >= sketch->max)
        return (double)quantile_count(sketch);
    while (quantile_next(sketch, &walk, &bucket) && bucket.lower <= bound) {
        /* No number of the first and last bucket lies outside min and max. */
        double lower = bucket.lower < sketch->min ? sketch->min : bucket.lower;
        double upper = bucket.upper > sketch->max ? sketch->max : bucket.upper;

        below += (double)bucket.count *
                 (upper > lower ? share_below(lower, upper, false, bound) : bound >= lower);
    }
    return below;
}
