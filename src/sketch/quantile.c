/* SPDX-License-Identifier: Apache-2.0 */
/* As bytes, all integers LEB128 varints, doubles little-endian:
 *
 *     u8  version (1)
 *     f64 error
 *     u8  flags: 1 collapsed
 *     zero count
 *     f64 sum, f64 min, f64 max            only when anything was counted
 *     positive side, negative side, each:
 *         number of runs
 *         per run: zigzag of (first index − end of the last run), length, then `length` counts
 *
 * A run is a stretch of buckets with at most RUN_GAP empty ones in a row, so a sparse sketch takes
 * a few bytes per full bucket and a dense one a byte each. */
#include "sketch/quantile.h"

#include <math.h>
#include <stdlib.h>

enum {
    VERSION = 1,
    FLAG_COLLAPSED = 1,
    RUN_GAP = 3,
    CAPACITY_FIRST = 32,
    SCALE_MIN = -10,
    SCALE_MAX = 20,
};

static double gamma_of(double error)
{
    return (1 + error) / (1 - error);
}

double quantile_multiplier(double error)
{
    return 7 / (10 * log(gamma_of(error)));
}

/* The s in [0, 1) with s (10/7 + s (-3/5 + s 6/35)) = y. The cubic rises with a slope between 0.97
 * and 1.43 there, so Newton's steps from y close in at once. */
static double inverse_cubic(double y)
{
    double s = y;

    for (int i = 0; i < 8; i++) {
        double value = s * (10.0 / 7 + s * (-3.0 / 5 + s * (6.0 / 35)));
        double slope = 10.0 / 7 + s * (-6.0 / 5 + s * (18.0 / 35));
        s -= (value - y) / slope;
    }
    return s;
}

double quantile_bucket_value(double error, int32_t index)
{
    double place = (double)index / quantile_multiplier(error);
    double exponent = floor(place);
    double lower = ldexp(1 + inverse_cubic(place - exponent), (int)exponent);

    return lower * (1 + error);
}

void quantile_init(struct quantile *quantile, double error)
{
    MUST(error >= QUANTILE_ERROR_MIN && error <= QUANTILE_ERROR_MAX);
    *quantile = (struct quantile){
        .error = error,
        .multiplier = quantile_multiplier(error),
        .buckets_max = (int32_t)(QUANTILE_OCTAVES_MAX * quantile_multiplier(error)),
        .min = INFINITY,
        .max = -INFINITY,
    };
}

void quantile_done(struct quantile *quantile)
{
    free(quantile->positive.counts);
    free(quantile->negative.counts);
    quantile->positive = (struct quantile_side){0};
    quantile->negative = (struct quantile_side){0};
}

static void side_clear(struct quantile_side *side)
{
    side->count = 0;
}

void quantile_clear(struct quantile *quantile)
{
    side_clear(&quantile->positive);
    side_clear(&quantile->negative);
    quantile->zero_count = 0;
    quantile->count = 0;
    quantile->sum = 0;
    quantile->min = INFINITY;
    quantile->max = -INFINITY;
    quantile->collapsed = false;
}

static void side_reserve(struct quantile_side *side, int32_t wanted)
{
    int32_t capacity = side->capacity == 0 ? CAPACITY_FIRST : side->capacity;

    if (wanted <= side->capacity)
        return;
    while (capacity < wanted)
        capacity *= 2;
    uint64_t *counts = realloc(side->counts, (size_t)capacity * sizeof(*counts));
    if (counts == NULL)
        must_memory((uint64_t)capacity * sizeof(*counts));
    side->counts = counts;
    side->capacity = capacity;
}

/* Makes the side begin at `first`, which lies below its present begin. */
static void side_extend_down(struct quantile_side *side, int32_t first)
{
    int32_t more = side->first - first;

    side_reserve(side, side->count + more);
    memmove(side->counts + more, side->counts, (size_t)side->count * sizeof(*side->counts));
    memset(side->counts, 0, (size_t)more * sizeof(*side->counts));
    side->first = first;
    side->count += more;
}

/* Folds everything below `first` into it. */
static void side_collapse(struct quantile_side *side, int32_t first)
{
    int32_t drop = first - side->first;
    uint64_t folded = 0;

    if (drop >= side->count) {
        for (int32_t i = 0; i < side->count; i++)
            folded += side->counts[i];
        side->count = 1;
    } else {
        for (int32_t i = 0; i < drop; i++)
            folded += side->counts[i];
        side->count -= drop;
        memmove(side->counts, side->counts + drop, (size_t)side->count * sizeof(*side->counts));
        folded += side->counts[0];
    }
    side->counts[0] = folded;
    side->first = first;
}

static void side_extend_up(struct quantile_side *side, int32_t last)
{
    int32_t count = last - side->first + 1;

    side_reserve(side, count);
    memset(side->counts + side->count, 0, (size_t)(count - side->count) * sizeof(*side->counts));
    side->count = count;
}

/* The count of bucket `index`, made when absent; may be that of a higher one when collapsed. */
static uint64_t *side_at(struct quantile *quantile, struct quantile_side *side, int32_t index)
{
    if (side->count == 0) {
        side_reserve(side, 1);
        side->first = index;
        side->count = 1;
        side->counts[0] = 0;
        return &side->counts[0];
    }
    if (index < side->first) {
        int32_t lowest = side->first + side->count - quantile->buckets_max;
        quantile->collapsed |= index < lowest;
        if (index < lowest)
            index = lowest;
        if (index < side->first)
            side_extend_down(side, index);
    } else if (index >= side->first + side->count) {
        int32_t lowest = index - quantile->buckets_max + 1;
        if (lowest > side->first) {
            side_collapse(side, lowest);
            quantile->collapsed = true;
        }
        side_extend_up(side, index);
    }
    return &side->counts[index - side->first];
}

static void add_index(struct quantile *quantile, struct quantile_side *side, int32_t index,
                      uint64_t count)
{
    *side_at(quantile, side, index) += count;
    quantile->count += count;
}

void quantile_add_bucket(struct quantile *quantile, int32_t index, uint64_t count)
{
    if (count > 0)
        add_index(quantile, &quantile->positive, index, count);
}

void quantile_add_totals(struct quantile *quantile, double sum, double min, double max)
{
    quantile->sum += sum;
    quantile->min = fmin(quantile->min, min);
    quantile->max = fmax(quantile->max, max);
}

void quantile_add_count(struct quantile *quantile, double value, uint64_t count)
{
    double magnitude = fabs(value);

    if (!isfinite(value) || count == 0)
        return;
    quantile_add_totals(quantile, value * (double)count, value, value);
    if (magnitude < QUANTILE_ZERO) {
        quantile->zero_count += count;
        quantile->count += count;
        return;
    }
    int32_t index = quantile_index(quantile->multiplier, magnitude);
    add_index(quantile, value > 0 ? &quantile->positive : &quantile->negative, index, count);
}

void quantile_add(struct quantile *quantile, double value)
{
    quantile_add_count(quantile, value, 1);
}

static void side_merge(struct quantile *quantile, struct quantile_side *into,
                       const struct quantile_side *from)
{
    /* From the top, so that a collapse happens once. */
    for (int32_t i = from->count; i-- > 0;) {
        if (from->counts[i] > 0)
            *side_at(quantile, into, from->first + i) += from->counts[i];
    }
}

enum err quantile_merge(struct quantile *into, const struct quantile *from, struct why *why)
{
    if (into->error != from->error)
        return fail(why, ERR_INVALID, "sketches with errors %g and %g cannot be merged",
                    into->error, from->error);
    side_merge(into, &into->positive, &from->positive);
    side_merge(into, &into->negative, &from->negative);
    into->collapsed |= from->collapsed;
    into->zero_count += from->zero_count;
    into->count += from->count;
    if (from->count > 0)
        quantile_add_totals(into, from->sum, from->min, from->max);
    return ERR_NONE;
}

static double clamp(const struct quantile *quantile, double value)
{
    return fmax(quantile->min, fmin(quantile->max, value));
}

/* The value of the observation with `rank` others before it. */
static double at_rank(const struct quantile *quantile, uint64_t rank)
{
    uint64_t seen = 0;

    for (int32_t i = quantile->negative.count; i-- > 0;) {
        seen += quantile->negative.counts[i];
        if (seen > rank)
            return -quantile_bucket_value(quantile->error, quantile->negative.first + i);
    }
    seen += quantile->zero_count;
    if (seen > rank)
        return 0;
    for (int32_t i = 0; i < quantile->positive.count; i++) {
        seen += quantile->positive.counts[i];
        if (seen > rank)
            return quantile_bucket_value(quantile->error, quantile->positive.first + i);
    }
    return quantile->max;
}

double quantile_get(const struct quantile *quantile, double q)
{
    if (quantile->count == 0 || isnan(q))
        return NAN;
    if (q <= 0)
        return quantile->min;
    if (q >= 1)
        return quantile->max;
    return clamp(quantile, at_rank(quantile, (uint64_t)(q * (double)(quantile->count - 1))));
}

double quantile_rank(const struct quantile *quantile, double value)
{
    uint64_t seen = 0;

    if (quantile->count == 0 || isnan(value))
        return NAN;
    for (int32_t i = 0; i < quantile->negative.count; i++) {
        if (-quantile_bucket_value(quantile->error, quantile->negative.first + i) <= value)
            seen += quantile->negative.counts[i];
    }
    if (value >= 0)
        seen += quantile->zero_count;
    for (int32_t i = 0; i < quantile->positive.count; i++) {
        if (quantile_bucket_value(quantile->error, quantile->positive.first + i) <= value)
            seen += quantile->positive.counts[i];
    }
    return (double)seen / (double)quantile->count;
}

static void write_double(struct buf *out, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    buf_u64(out, bits);
}

/* Length of the run that begins at i, without trailing empty buckets. */
static int32_t run_length(const struct quantile_side *side, int32_t i)
{
    int32_t end = i;

    for (int32_t at = i; at < side->count && at - end <= RUN_GAP; at++) {
        if (side->counts[at] > 0)
            end = at + 1;
    }
    return end - i;
}

static int32_t next_full(const struct quantile_side *side, int32_t i)
{
    while (i < side->count && side->counts[i] == 0)
        i++;
    return i;
}

static void write_side(struct buf *out, const struct quantile_side *side)
{
    uint64_t runs = 0;
    int32_t end = 0;

    for (int32_t i = next_full(side, 0); i < side->count; i = next_full(side, i)) {
        i += run_length(side, i);
        runs++;
    }
    buf_varint(out, runs);
    for (int32_t i = next_full(side, 0); i < side->count; i = next_full(side, i)) {
        int32_t length = run_length(side, i);
        buf_varint(out, zigzag((int64_t)side->first + i - end));
        buf_varint(out, (uint64_t)length);
        for (int32_t stop = i + length; i < stop; i++)
            buf_varint(out, side->counts[i]);
        end = side->first + i;
    }
}

void quantile_write(const struct quantile *quantile, struct buf *out)
{
    buf_byte(out, VERSION);
    write_double(out, quantile->error);
    buf_byte(out, quantile->collapsed ? FLAG_COLLAPSED : 0);
    buf_varint(out, quantile->zero_count);
    buf_varint(out, quantile->count);
    if (quantile->count > 0) {
        write_double(out, quantile->sum);
        write_double(out, quantile->min);
        write_double(out, quantile->max);
    }
    write_side(out, &quantile->positive);
    write_side(out, &quantile->negative);
}

/* What is left to read; ok turns false at the first byte that is missing. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool ok;
};

static uint8_t read_byte(struct reader *reader)
{
    reader->ok &= reader->at < reader->end;
    return reader->ok ? *reader->at++ : 0;
}

static uint64_t read_varint(struct reader *reader)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = read_byte(reader);
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
    reader->ok = false;
    return 0;
}

static double read_double(struct reader *reader)
{
    uint64_t bits = 0;
    double value;

    for (unsigned shift = 0; shift < 64; shift += 8)
        bits |= (uint64_t)read_byte(reader) << shift;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* No double's bucket lies further out, whatever the error. */
#define INDEX_LIMIT 1000000

static void read_side(struct reader *reader, struct quantile *quantile, struct quantile_side *side)
{
    uint64_t runs = read_varint(reader);
    int64_t index = 0;
    uint64_t buckets = 0;

    for (uint64_t run = 0; run < runs && reader->ok; run++) {
        int64_t gap = unzigzag(read_varint(reader));
        uint64_t length = read_varint(reader);
        reader->ok &= gap >= -INDEX_LIMIT && gap <= INDEX_LIMIT && length > 0;
        reader->ok &= (run == 0 || gap > 0) && length <= (uint64_t)quantile->buckets_max - buckets;
        index += reader->ok ? gap : 0;
        reader->ok &= index >= -INDEX_LIMIT && index + (int64_t)length <= INDEX_LIMIT;
        buckets += reader->ok ? length : 0;
        for (uint64_t i = 0; i < length && reader->ok; i++, index++) {
            uint64_t count = read_varint(reader);
            reader->ok &= quantile->count + count >= count;
            if (reader->ok && count > 0)
                add_index(quantile, side, (int32_t)index, count);
        }
    }
}

static bool totals_fit(const struct quantile *quantile)
{
    return isfinite(quantile->min) && isfinite(quantile->max) && quantile->min <= quantile->max &&
           !isnan(quantile->sum);
}

static bool read_all(struct reader *reader, struct quantile *quantile)
{
    quantile->collapsed = (read_byte(reader) & FLAG_COLLAPSED) != 0;
    quantile->zero_count = read_varint(reader);
    quantile->count = quantile->zero_count;
    uint64_t count = read_varint(reader);
    if (count > 0) {
        quantile->sum = read_double(reader);
        quantile->min = read_double(reader);
        quantile->max = read_double(reader);
        reader->ok &= totals_fit(quantile);
    }
    read_side(reader, quantile, &quantile->positive);
    read_side(reader, quantile, &quantile->negative);
    return reader->ok && reader->at == reader->end && quantile->count == count;
}

enum err quantile_read(struct str bytes, struct quantile *ret_quantile, struct why *why)
{
    struct reader reader = {(const uint8_t *)bytes.data, (const uint8_t *)bytes.data + bytes.size,
                            true};
    struct quantile quantile;

    uint8_t version = read_byte(&reader);
    double error = read_double(&reader);
    if (!reader.ok || version != VERSION || !(error >= QUANTILE_ERROR_MIN) ||
        !(error <= QUANTILE_ERROR_MAX))
        return fail(why, ERR_CORRUPT, "%zu bytes are no quantile sketch of version %d", bytes.size,
                    VERSION);
    quantile_init(&quantile, error);
    if (!read_all(&reader, &quantile)) {
        quantile_done(&quantile);
        return fail(why, ERR_CORRUPT, "a quantile sketch of %zu bytes is damaged at byte %td",
                    bytes.size, (const char *)reader.at - bytes.data);
    }
    *ret_quantile = quantile;
    return ERR_NONE;
}

static void add_exponential_side(struct quantile *quantile, int32_t scale, double sign,
                                 const struct exponential_buckets *buckets)
{
    for (size_t i = 0; buckets != NULL && i < buckets->count; i++) {
        if (buckets->counts[i] == 0)
            continue;
        double middle = exp2(ldexp((double)buckets->offset + (double)i + 0.5, -scale));
        if (!isfinite(middle))
            middle = 0x1p1023;
        quantile_add_count(quantile, sign * middle, buckets->counts[i]);
    }
}

enum err quantile_add_exponential(struct quantile *quantile, int32_t scale,
                                  const struct exponential_buckets *positive,
                                  const struct exponential_buckets *negative, uint64_t zero_count,
                                  struct why *why)
{
    if (scale < SCALE_MIN || scale > SCALE_MAX)
        return fail(why, ERR_INVALID, "an exponential histogram has scale %d; %d to %d is known",
                    scale, SCALE_MIN, SCALE_MAX);
    add_exponential_side(quantile, scale, 1, positive);
    add_exponential_side(quantile, scale, -1, negative);
    quantile_add_count(quantile, 0, zero_count);
    return ERR_NONE;
}
