/* SPDX-License-Identifier: Apache-2.0 */
/* A sketch as bytes, integers as varints:
 *
 *     | version and precision, 1 byte | flags, 1 byte | buckets_max, if not the default |
 *     | sum, min, max as 8-byte doubles, unless empty; the sum alone if all numbers are equal |
 *     | zero | negative side | positive side |            each if its flag says so
 *
 *     first byte:  bits 0-3 version (1)   4-7 precision
 *     flags:       0 not empty   1 zero   2 negative   3 positive   4 buckets_max
 *                  5 the negative side has a collapsed bucket, its first   6 so has the positive
 *                  7 one value: min is also max; the sum is count times it
 *
 * A side is runs of neighbouring buckets, none empty:
 *
 *     | runs | first key, zigzag | each run: length - 1 | its counts | gap to the next run - 1 |
 *
 * (no gap after the last run). With flag 7 there is min in place of sum, min and max. */
#include "sketch/quantile_priv.h"

#include <float.h>
#include <math.h>

#define VERSION        1
#define HAS_NUMBERS    0x01
#define HAS_ZERO       0x02
#define HAS_NEGATIVE   0x04
#define HAS_POSITIVE   0x08
#define HAS_MAX        0x10
#define FLOOR_NEGATIVE 0x20
#define FLOOR_POSITIVE 0x40
#define ONE_VALUE      0x80

static void double_write(double value, struct buf *out)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    buf_u64(out, bits);
}

static size_t runs_count(const struct side *side)
{
    size_t runs = 0;
    int64_t before = INT64_MIN;

    for (size_t i = 0; i < side_size(side); i++) {
        if (side_at(side, i) == 0)
            continue;
        runs += side_key(side, i) != before + 1;
        before = side_key(side, i);
    }
    return runs;
}

static size_t run_length(const struct side *side, size_t first)
{
    size_t length = 1;

    while (first + length < side_size(side) && side_at(side, first + length) > 0 &&
           side_key(side, first + length) == side_key(side, first) + (int32_t)length)
        length++;
    return length;
}

static void side_write(const struct side *side, struct buf *out)
{
    int32_t end = 0;
    bool first = true;

    buf_varint(out, runs_count(side));
    for (size_t i = 0; i < side_size(side);) {
        size_t length;

        if (side_at(side, i) == 0) {
            i++;
            continue;
        }
        if (first)
            buf_varint(out, zigzag(side_key(side, i)));
        else
            buf_varint(out, (uint64_t)(side_key(side, i) - end) - 1);
        first = false;
        length = run_length(side, i);
        buf_varint(out, length - 1);
        for (size_t j = 0; j < length; j++)
            buf_varint(out, side_at(side, i + j));
        end = side_key(side, i) + (int32_t)length;
        i += length;
    }
}

static bool is_one_value(const struct quantile *sketch)
{
    return sketch->min == sketch->max &&
           sketch->sum == sketch->min * (double)quantile_count(sketch) &&
           !(sketch->min == 0 && signbit(sketch->sum));
}

void quantile_write(const struct quantile *sketch, struct buf *out)
{
    uint64_t count = quantile_count(sketch);
    unsigned flags = 0;

    flags |= count > 0 ? HAS_NUMBERS : 0;
    flags |= sketch->zero > 0 ? HAS_ZERO : 0;
    flags |= sketch->negative.total > 0 ? HAS_NEGATIVE : 0;
    flags |= sketch->positive.total > 0 ? HAS_POSITIVE : 0;
    flags |= sketch->buckets_max != QUANTILE_BUCKETS_DEFAULT(sketch->precision) ? HAS_MAX : 0;
    flags |= side_collapsed(&sketch->negative) > 0 ? FLOOR_NEGATIVE : 0;
    flags |= side_collapsed(&sketch->positive) > 0 ? FLOOR_POSITIVE : 0;
    flags |= count > 0 && is_one_value(sketch) ? ONE_VALUE : 0;
    buf_byte(out, (uint8_t)(VERSION | sketch->precision << 4));
    buf_byte(out, (uint8_t)flags);
    if ((flags & HAS_MAX) != 0)
        buf_varint(out, sketch->buckets_max);
    if ((flags & ONE_VALUE) != 0) {
        double_write(sketch->min, out);
    } else if (count > 0) {
        double_write(sketch->sum, out);
        double_write(sketch->min, out);
        double_write(sketch->max, out);
    }
    if ((flags & HAS_ZERO) != 0)
        buf_varint(out, sketch->zero);
    if ((flags & HAS_NEGATIVE) != 0)
        side_write(&sketch->negative, out);
    if ((flags & HAS_POSITIVE) != 0)
        side_write(&sketch->positive, out);
}

/* ---- reading ---- */

static bool double_read(struct str *rest, double *ret_value)
{
    uint64_t bits = 0;

    if (rest->size < 8)
        return false;
    for (unsigned i = 0; i < 8; i++)
        bits |= (uint64_t)(uint8_t)rest->data[i] << (8 * i);
    memcpy(ret_value, &bits, sizeof bits);
    rest->data += 8;
    rest->size -= 8;
    return true;
}

/* Where the reading of a side stands, and what it may not exceed. */
struct side_reader {
    struct quantile *sketch;
    struct side *side;
    int64_t key;
    int64_t first;
};

static enum err run_read(struct str *rest, struct side_reader *reader, struct why *why)
{
    const struct quantile *sketch = reader->sketch;
    uint64_t length;

    if (!buf_take_varint(rest, &length) || length >= rest->size)
        return fail(why, ERR_CORRUPT, "quantile sketch: a run is cut off");
    for (uint64_t i = 0; i <= length; i++, reader->key++) {
        uint64_t count;

        if (!buf_take_varint(rest, &count) || count == 0)
            return fail(why, ERR_CORRUPT, "quantile sketch: a count is cut off or zero");
        if (reader->key < quantile_key_min(sketch->precision) ||
            reader->key > quantile_key_max(sketch->precision))
            return fail(why, ERR_CORRUPT, "quantile sketch: bucket %lld is out of bounds",
                        (long long)reader->key);
        if (count > UINT64_MAX / 4 - quantile_count(sketch))
            return fail(why, ERR_CORRUPT, "quantile sketch: its counts overflow");
        side_add(reader->side, (int32_t)reader->key, count, sketch->buckets_max);
    }
    return ERR_NONE;
}

static enum err side_read(struct str *rest, struct quantile *sketch, bool negative, bool has_floor,
                          struct why *why)
{
    struct side_reader reader = {.sketch = sketch,
                                 .side = negative ? &sketch->negative : &sketch->positive};
    uint64_t runs, key;

    if (!buf_take_varint(rest, &runs) || !buf_take_varint(rest, &key) || runs == 0)
        return fail(why, ERR_CORRUPT, "quantile sketch: a side is cut off");
    reader.key = unzigzag(key);
    reader.first = reader.key;
    for (uint64_t i = 0; i < runs; i++) {
        if (i > 0) {
            uint64_t gap;

            if (!buf_take_varint(rest, &gap) || gap > INT32_MAX)
                return fail(why, ERR_CORRUPT, "quantile sketch: a gap is cut off or too wide");
            reader.key += (int64_t)gap + 1;
        }
        TRY(run_read(rest, &reader, why));
    }
    if (has_floor)
        side_set_floor(reader.side, (int32_t)reader.first);
    return ERR_NONE;
}

static enum err numbers_read(struct str *rest, struct quantile *sketch, unsigned flags,
                             struct why *why)
{
    bool good = (flags & ONE_VALUE) != 0
                    ? double_read(rest, &sketch->min)
                    : double_read(rest, &sketch->sum) && double_read(rest, &sketch->min) &&
                          double_read(rest, &sketch->max);

    if ((flags & ONE_VALUE) != 0)
        sketch->max = sketch->min;
    if (!good || !(sketch->min <= sketch->max))
        return fail(why, ERR_CORRUPT, "quantile sketch: its sum, min or max is cut off or wrong");
    return ERR_NONE;
}

static enum err body_read(struct str *rest, struct quantile *sketch, unsigned flags,
                          struct why *why)
{
    if ((flags & HAS_NUMBERS) != 0)
        TRY(numbers_read(rest, sketch, flags, why));
    if ((flags & HAS_ZERO) != 0 &&
        (!buf_take_varint(rest, &sketch->zero) || sketch->zero > UINT64_MAX / 4))
        return fail(why, ERR_CORRUPT,
                    "quantile sketch: the count of zeros is cut off or too large");
    if ((flags & HAS_NEGATIVE) != 0)
        TRY(side_read(rest, sketch, true, (flags & FLOOR_NEGATIVE) != 0, why));
    if ((flags & HAS_POSITIVE) != 0)
        TRY(side_read(rest, sketch, false, (flags & FLOOR_POSITIVE) != 0, why));
    if ((quantile_count(sketch) > 0) != ((flags & HAS_NUMBERS) != 0))
        return fail(why, ERR_CORRUPT, "quantile sketch: it says that it is %s, but is not",
                    (flags & HAS_NUMBERS) != 0 ? "filled" : "empty");
    if ((flags & ONE_VALUE) != 0)
        sketch->sum = sketch->min * (double)quantile_count(sketch);
    if (rest->size > 0)
        return fail(why, ERR_CORRUPT, "quantile sketch: %zu bytes too many", rest->size);
    return ERR_NONE;
}

enum err quantile_read(struct str bytes, struct quantile **ret_sketch, struct why *why)
{
    CLEANUP(quantile_freep) struct quantile *sketch = NULL;
    uint64_t buckets_max = 0;
    unsigned first, flags;

    if (bytes.size < 2)
        return fail(why, ERR_CORRUPT, "quantile sketch: %zu bytes are too few", bytes.size);
    first = (uint8_t)bytes.data[0];
    flags = (uint8_t)bytes.data[1];
    if ((first & 15) != VERSION)
        return fail(why, ERR_UNSUPPORTED, "quantile sketch of version %u; this program knows %d",
                    first & 15, VERSION);
    if (first >> 4 > QUANTILE_PRECISION_MAX)
        return fail(why, ERR_CORRUPT, "quantile sketch: precision %u", first >> 4);
    bytes.data += 2;
    bytes.size -= 2;
    if ((flags & HAS_MAX) != 0 && (!buf_take_varint(&bytes, &buckets_max) || buckets_max == 0 ||
                                   buckets_max > QUANTILE_BUCKETS_MAX))
        return fail(why, ERR_CORRUPT, "quantile sketch: its number of buckets is out of bounds");
    sketch = quantile_new(first >> 4, (uint32_t)buckets_max);
    TRY(body_read(&bytes, sketch, flags, why));

    *ret_sketch = TAKE(sketch);
    return ERR_NONE;
}
