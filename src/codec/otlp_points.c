/* SPDX-License-Identifier: Apache-2.0 */
/*   NumberDataPoint    { start = 2; time = 3; double as_double = 4; exemplars = 5;
 *                        sfixed64 as_int = 6; attributes = 7; uint32 flags = 8; }
 *   HistogramDataPoint { start = 2; time = 3; fixed64 count = 4; double sum = 5;
 *                        repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
 *                        exemplars = 8; attributes = 9; uint32 flags = 10; }
 *   ExponentialHistogramDataPoint { attributes = 1; start = 2; time = 3; fixed64 count = 4;
 *                        double sum = 5; sint32 scale = 6; fixed64 zero_count = 7;
 *                        Buckets positive = 8; Buckets negative = 9; uint32 flags = 10;
 *                        exemplars = 11; }
 *   Buckets            { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
 *   SummaryDataPoint   { start = 2; time = 3; fixed64 count = 4; double sum = 5;
 *                        repeated ValueAtQuantile = 6 { double quantile = 1; double value = 2; };
 *                        attributes = 7; uint32 flags = 8; } */
#include "codec/otlp_points.h"

#include "codec/otlp_exemplars.h"
#include "sketch/quantile.h"

#include <math.h>
#include <stdlib.h>

enum { BUCKETS_MAX = 65536, NS_PER_MS = 1000000 };

static enum err spent(struct otlp_reader *reader)
{
    return arena_spent(reader->arena, "the message", reader->why);
}

/* Numbers of eight bytes, packed or one by one, of the fields with that number. */
static enum err read_eights(struct otlp_reader *reader, struct str bytes, uint32_t number,
                            uint64_t **ret_numbers, size_t *ret_count)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t count = 0;

    while (protobuf_next(&message, &field)) {
        if (field.number == number && field.wire == PROTOBUF_BYTES)
            count += field.bytes.size / 8;
        else if (field.number == number && field.wire == PROTOBUF_FIXED64)
            count++;
    }
    if (count > BUCKETS_MAX)
        return fail(reader->why, ERR_INVALID, "a histogram has more than %d buckets", BUCKETS_MAX);
    uint64_t *numbers = ARENA_ARRAY(reader->arena, count, uint64_t);
    if (numbers == NULL)
        return spent(reader);
    message = protobuf_of(bytes);
    count = 0;
    while (protobuf_next(&message, &field)) {
        if (field.number == number && field.wire == PROTOBUF_BYTES) {
            size_t some = field.bytes.size / 8;
            if (some > 0)
                memcpy(numbers + count, field.bytes.data, some * 8); /* Little-endian. */
            count += some;
        } else if (field.number == number && field.wire == PROTOBUF_FIXED64) {
            numbers[count++] = field.value;
        }
    }
    *ret_numbers = numbers;
    *ret_count = count;
    return ERR_NONE;
}

static enum err read_side(struct otlp_reader *reader, struct str bytes,
                          struct exponential_side *side)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t most = 0;

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_VARINT)
            side->offset = (int32_t)unzigzag(field.value);
        else if (field.number == 2)
            most += field.wire == PROTOBUF_BYTES ? field.bytes.size : 1;
    }
    if (message.broken)
        return otlp_broken(reader, "the buckets of a histogram");
    if (most > BUCKETS_MAX)
        return fail(reader->why, ERR_INVALID, "a histogram has more than %d buckets", BUCKETS_MAX);
    side->counts = ARENA_ARRAY(reader->arena, most, uint64_t);
    if (side->counts == NULL)
        return spent(reader);
    message = protobuf_of(bytes);
    while (protobuf_next(&message, &field)) {
        if (field.number == 2 && field.wire == PROTOBUF_VARINT)
            side->counts[side->count++] = field.value;
        if (field.number != 2 || field.wire != PROTOBUF_BYTES)
            continue;
        struct protobuf packed = protobuf_of(field.bytes);
        while (packed.at < packed.end) {
            if (!protobuf_varint(&packed, &side->counts[side->count++]))
                return otlp_broken(reader, "the buckets of a histogram");
        }
    }
    return ERR_NONE;
}

static enum err read_quantiles(struct otlp_reader *reader, struct str bytes, struct point *point)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t count = 0;

    while (protobuf_next(&message, &field))
        count += field.number == 6 && field.wire == PROTOBUF_BYTES;
    struct point_quantile *items = ARENA_ARRAY(reader->arena, count, struct point_quantile);
    if (items == NULL)
        return spent(reader);
    message = protobuf_of(bytes);
    count = 0;
    while (protobuf_next(&message, &field)) {
        if (field.number != 6 || field.wire != PROTOBUF_BYTES)
            continue;
        struct protobuf inner = protobuf_of(field.bytes);
        struct protobuf_field number;
        while (protobuf_next(&inner, &number)) {
            if (number.number == 1 && number.wire == PROTOBUF_FIXED64)
                items[count].quantile = protobuf_double(number.value);
            else if (number.number == 2 && number.wire == PROTOBUF_FIXED64)
                items[count].value = protobuf_double(number.value);
        }
        count++;
    }
    point->quantiles = items;
    point->quantiles_count = count;
    return ERR_NONE;
}

/* Which field has the attributes, the flags and the exemplars; 0: it has none. */
static const struct {
    uint32_t attributes;
    uint32_t flags;
    uint32_t exemplars;
} places[] = {
    [POINT_NUMBER] = {7, 8, 5},
    [POINT_HISTOGRAM] = {9, 10, 8},
    [POINT_EXPONENTIAL] = {1, 10, 11},
    [POINT_SUMMARY] = {7, 8, 0},
};

static void read_eight(enum point_kind kind, const struct protobuf_field *field,
                       struct point *point)
{
    if (field->number == 3) {
        point->time_ms = otlp_time(field->value) / NS_PER_MS;
    } else if (field->number == 4) {
        point->value = protobuf_double(field->value);
        point->count = field->value;
    } else if (field->number == 5 && kind != POINT_NUMBER) {
        point->sum = protobuf_double(field->value);
        point->has_sum = true;
    } else if (field->number == 6 && kind == POINT_NUMBER) {
        point->value = (double)(int64_t)field->value;
    } else if (field->number == 7 && kind == POINT_EXPONENTIAL) {
        point->exponential.zero_count = field->value;
    } else if (field->number == 12 && kind == POINT_EXPONENTIAL) {
        point->exponential.min = protobuf_double(field->value);
        point->exponential.has_min = true;
    } else if (field->number == 13 && kind == POINT_EXPONENTIAL) {
        point->exponential.max = protobuf_double(field->value);
        point->exponential.has_max = true;
    }
}

static enum err read_run(struct otlp_reader *reader, enum point_kind kind,
                         const struct protobuf_field *field, struct point *point)
{
    if (field->number == places[kind].attributes)
        return otlp_push_attribute(reader, field->bytes, 0);
    if (kind == POINT_EXPONENTIAL && field->number == 8)
        return read_side(reader, field->bytes, &point->exponential.positive);
    if (kind == POINT_EXPONENTIAL && field->number == 9)
        return read_side(reader, field->bytes, &point->exponential.negative);
    return ERR_NONE;
}

static enum err read_lists(struct otlp_reader *reader, enum point_kind kind, struct str bytes,
                           struct point *point)
{
    uint64_t *numbers;

    TRY(otlp_read_exemplars(reader, bytes, places[kind].exemplars, &point->exemplars,
                            &point->exemplars_count));
    if (kind == POINT_SUMMARY)
        return read_quantiles(reader, bytes, point);
    if (kind != POINT_HISTOGRAM)
        return ERR_NONE;
    TRY(read_eights(reader, bytes, 6, &numbers, &point->counts_count));
    point->counts = numbers;
    TRY(read_eights(reader, bytes, 7, &numbers, &point->bounds_count));
    point->bounds = (const double *)(void *)numbers; /* The same eight bytes. */
    return ERR_NONE;
}

enum err point_read(struct otlp_reader *reader, enum point_kind kind, struct str bytes,
                    struct point *ret_point)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t mark = reader->attributes_count;

    *ret_point = (struct point){0};
    while (protobuf_next(&message, &field)) {
        if (field.wire == PROTOBUF_FIXED64)
            read_eight(kind, &field, ret_point);
        else if (field.wire == PROTOBUF_BYTES)
            TRY(read_run(reader, kind, &field, ret_point));
        else if (field.wire == PROTOBUF_VARINT && field.number == places[kind].flags)
            ret_point->flags = (uint32_t)field.value;
        else if (field.wire == PROTOBUF_VARINT && field.number == 6 && kind == POINT_EXPONENTIAL)
            ret_point->exponential.scale = (int32_t)unzigzag(field.value);
    }
    if (message.broken)
        return otlp_broken(reader, "a data point");
    TRY(otlp_pop_attributes(reader, mark, &ret_point->attributes));
    TRY(read_lists(reader, kind, bytes, ret_point));
    ret_point->exponential.sum = ret_point->sum;
    ret_point->exponential.has_sum = ret_point->has_sum;
    return ERR_NONE;
}

/* ---- Exponential histograms as sketches. ---- */

void exponential_done(struct exponential *exponential)
{
    if (exponential->owned) {
        free(exponential->positive.counts);
        free(exponential->negative.counts);
    }
    *exponential = (struct exponential){0};
}

static struct exponential_side copy_side(const struct exponential_side *side)
{
    struct exponential_side copy = *side;

    copy.counts = malloc((side->count + 1) * sizeof(*side->counts));
    if (copy.counts == NULL)
        must_memory(side->count * sizeof(*side->counts));
    if (side->count > 0)
        memcpy(copy.counts, side->counts, side->count * sizeof(*side->counts));
    return copy;
}

static void remember(const struct exponential *now, struct exponential *before)
{
    exponential_done(before);
    *before = *now;
    before->positive = copy_side(&now->positive);
    before->negative = copy_side(&now->negative);
    before->owned = true;
}

/* How often bucket `index` of scale `scale` counted before; coarser scales sum up finer ones. */
static uint64_t count_before(const struct exponential *before, const struct exponential_side *side,
                             int32_t scale, int64_t index)
{
    int shift = before->scale - scale;
    uint64_t sum = 0;

    if (shift < 0 || shift > 40)
        return UINT64_MAX; /* It became finer: another histogram. */
    int64_t first = index * ((int64_t)1 << shift) - side->offset;
    int64_t last = first + ((int64_t)1 << shift);
    for (int64_t i = first < 0 ? 0 : first; i < last && i < (int64_t)side->count; i++)
        sum += side->counts[i];
    return sum;
}

/* False: something counts less than before, so it began anew. */
static bool subtract_side(const struct exponential *before,
                          const struct exponential_side *before_side, int32_t scale,
                          struct exponential_side *side)
{
    for (size_t i = 0; i < side->count; i++) {
        uint64_t earlier =
            count_before(before, before_side, scale, (int64_t)side->offset + (int64_t)i);
        if (earlier > side->counts[i])
            return false;
        side->counts[i] -= earlier;
    }
    return true;
}

static bool subtract(const struct exponential *before, struct exponential *rest)
{
    if (before->zero_count > rest->zero_count ||
        !subtract_side(before, &before->positive, rest->scale, &rest->positive) ||
        !subtract_side(before, &before->negative, rest->scale, &rest->negative))
        return false;
    rest->zero_count -= before->zero_count;
    rest->sum -= before->sum;
    return true;
}

#define BUCKET_RATIO 0.02 /* As wide as a bucket of ours is, about. */

static bool lies_at(const struct quantile_bucket *bucket, double value)
{
    return value >= bucket->lower - BUCKET_RATIO * fabs(bucket->lower) &&
           value <= bucket->upper + BUCKET_RATIO * fabs(bucket->upper);
}

/* What was sent as the least and the most is believed where the outermost buckets have room. */
static void narrow_extremes(const struct exponential *exponential, struct quantile *sketch)
{
    struct quantile_walk walk = QUANTILE_WALK_INIT;
    struct quantile_bucket first, last, bucket;

    if (!exponential->has_min || !exponential->has_max || exponential->min > exponential->max ||
        !quantile_next(sketch, &walk, &first))
        return;
    last = first;
    while (quantile_next(sketch, &walk, &bucket))
        last = bucket;
    if (lies_at(&first, exponential->min) && lies_at(&last, exponential->max))
        quantile_set_extremes(sketch, exponential->min, exponential->max);
}

static enum err write_sketch(const struct exponential *exponential, bool is_whole, struct buf *out,
                             struct why *why)
{
    struct quantile *sketch CLEANUP(quantile_freep) = quantile_new(0, 0);
    const struct quantile_exponential positive = {exponential->scale, exponential->positive.offset,
                                                  exponential->positive.counts,
                                                  exponential->positive.count};
    const struct quantile_exponential negative = {exponential->scale, exponential->negative.offset,
                                                  exponential->negative.counts,
                                                  exponential->negative.count};

    TRY(quantile_add_exponential(sketch, false, &positive, why));
    TRY(quantile_add_exponential(sketch, true, &negative, why));
    if (exponential->zero_count > 0)
        quantile_add_many(sketch, 0, exponential->zero_count);
    if (exponential->has_sum)
        quantile_set_sum(sketch, exponential->sum);
    if (is_whole)
        narrow_extremes(exponential, sketch);
    quantile_write(sketch, out);
    return ERR_NONE;
}

enum err exponential_sketch(const struct exponential *now, struct exponential *before,
                            struct buf *out, struct why *why)
{
    struct exponential rest = {0};

    if (before == NULL || !before->owned) {
        TRY(write_sketch(now, true, out, why));
        if (before != NULL)
            remember(now, before);
        return ERR_NONE;
    }
    remember(now, &rest);
    if (!subtract(before, &rest))
        remember(now, &rest);
    enum err err = write_sketch(&rest, false, out, why);
    exponential_done(&rest);
    if (err == ERR_NONE)
        remember(now, before);
    return err;
}
