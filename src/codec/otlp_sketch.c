/* SPDX-License-Identifier: Apache-2.0 */
/* A sketch as a data point of an exponential histogram.
 *
 *   ExponentialHistogramDataPoint { time = 3; fixed64 count = 4; double sum = 5; sint32 scale = 6;
 *                      fixed64 zero_count = 7; Buckets positive = 8, negative = 9; double min = 12;
 *                      double max = 13; }
 *   Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
 *
 * Both count in buckets of equal ratio. Those of scale 8 are a quarter of a percent wide, so each
 * of ours goes into the one in its middle, and whoever reads it with buckets like ours gets the
 * same sketch again. What spans too many octaves is told more coarsely. */
#include "codec/otlp_priv.h"
#include "sketch/quantile.h"

#include <math.h>
#include <stdlib.h>

enum {
    SCALE_FINEST = 8,
    SCALE_COARSEST = -4,
    BUCKETS_MAX = 8192, /* Of a side. */
};

struct span_of_indexes {
    int32_t low, high;
    bool is_empty;
};

/* By ratio, of the magnitudes: a bucket of either side. */
static double middle(const struct quantile_bucket *bucket)
{
    double low = fabs(bucket->lower);
    double high = fabs(bucket->upper);

    return exp2((log2(low) + log2(high)) / 2);
}

static bool is_of_side(const struct quantile_bucket *bucket, bool negative)
{
    return negative ? bucket->lower < 0 : bucket->upper > 0;
}

static struct span_of_indexes indexes_of(const struct quantile *sketch, bool negative,
                                         int32_t scale)
{
    struct span_of_indexes found = {.is_empty = true};
    struct quantile_walk walk = QUANTILE_WALK_INIT;
    struct quantile_bucket bucket;

    while (quantile_next(sketch, &walk, &bucket)) {
        if (!is_of_side(&bucket, negative))
            continue;
        int32_t index = quantile_exponential_index(middle(&bucket), scale);
        if (found.is_empty || index < found.low)
            found.low = index;
        if (found.is_empty || index > found.high)
            found.high = index;
        found.is_empty = false;
    }
    return found;
}

static bool fits(const struct quantile *sketch, bool negative, int32_t scale)
{
    struct span_of_indexes found = indexes_of(sketch, negative, scale);

    return found.is_empty || (int64_t)found.high - found.low < BUCKETS_MAX;
}

static void put_side(struct buf *out, uint32_t number, const struct quantile *sketch, bool negative,
                     int32_t scale)
{
    struct span_of_indexes found = indexes_of(sketch, negative, scale);
    struct quantile_walk walk = QUANTILE_WALK_INIT;
    struct quantile_bucket bucket;
    struct buf packed CLEANUP(buf_done) = {0};

    if (found.is_empty)
        return;
    size_t size = (size_t)((int64_t)found.high - found.low + 1);
    uint64_t *counts = calloc(size, sizeof(*counts));
    if (counts == NULL)
        must_memory(size * sizeof(*counts));
    while (quantile_next(sketch, &walk, &bucket)) {
        if (is_of_side(&bucket, negative))
            counts[quantile_exponential_index(middle(&bucket), scale) - found.low] += bucket.count;
    }
    for (size_t i = 0; i < size; i++)
        buf_varint(&packed, counts[i]);
    free(counts);
    size_t place = otlp_open(out, number);
    otlp_put_varint(out, 1, zigzag(found.low));
    otlp_put_bytes(out, 2, buf_view(&packed));
    otlp_close(out, place);
}

static uint64_t count_zeros(const struct quantile *sketch)
{
    struct quantile_walk walk = QUANTILE_WALK_INIT;
    struct quantile_bucket bucket;
    uint64_t zeros = 0;

    while (quantile_next(sketch, &walk, &bucket)) {
        if (bucket.lower == 0 && bucket.upper == 0)
            zeros += bucket.count;
    }
    return zeros;
}

void otlp_put_sketch(struct buf *out, const struct quantile *sketch)
{
    int32_t scale = SCALE_FINEST;

    while (scale > SCALE_COARSEST && !(fits(sketch, false, scale) && fits(sketch, true, scale)))
        scale--;
    otlp_put_fixed64(out, 4, quantile_count(sketch));
    otlp_put_double(out, 5, quantile_sum(sketch));
    otlp_put_varint(out, 6, zigzag(scale));
    otlp_put_fixed64(out, 7, count_zeros(sketch));
    put_side(out, 8, sketch, false, scale);
    put_side(out, 9, sketch, true, scale);
    if (quantile_count(sketch) == 0)
        return;
    otlp_put_double(out, 12, quantile_min(sketch));
    otlp_put_double(out, 13, quantile_max(sketch));
}
