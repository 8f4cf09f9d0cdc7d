/* SPDX-License-Identifier: Apache-2.0 */
/* A body is a list of runs, each of rows with one time and ids that follow one another, as the
 * series of a scrape do:
 *
 *   u8      version, 1
 *   u8      1 when each row has a sketch, else 0
 *   runs:   varint  zigzag(id - id after the last run)
 *           varint  zigzag(time - time of the last run)
 *           varint  rows
 *           nibbles two to a byte, low half first: how each value is written
 *           values  behind one another
 *           sketches, where rows have them: per row varint size, bytes
 *
 *   nibble 0 … 7   an integer below 2^55 in magnitude: that many low bytes of its zigzag
 *   nibble 8 … 15  a double: its 1 … 8 high bytes; the others are zero
 */
#include "store/pending.h"

#include "store/varint.h"

enum {
    VERSION = 1,
    VALUE_BYTES_MAX = 8,
};

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* Writes at most 8 bytes (and touches 8) at `at`; returns the nibble. */
static unsigned value_write(double value, char *at, unsigned *ret_size)
{
    uint64_t bits = bits_of(value);

    if (value > -0x1p54 && value < 0x1p54) {
        int64_t whole = (int64_t)value;
        uint64_t folded = zigzag(whole);
        if (bits_of((double)whole) == bits) {
            unsigned size = folded == 0 ? 0 : (71 - (unsigned)__builtin_clzll(folded)) / 8;
            memcpy(at, &folded, sizeof(folded));
            *ret_size = size;
            return size;
        }
    }
    unsigned zeros = (unsigned)__builtin_ctzll(bits) / 8; /* bits is not 0: that is an integer. */
    bits >>= zeros * 8;
    memcpy(at, &bits, sizeof(bits));
    *ret_size = VALUE_BYTES_MAX - zeros;
    return VALUE_BYTES_MAX + *ret_size - 1;
}

static double value_read(struct varint_reader *reader, unsigned nibble)
{
    unsigned size = nibble < VALUE_BYTES_MAX ? nibble : nibble - VALUE_BYTES_MAX + 1;
    struct str bytes = varint_bytes(reader, size);
    uint64_t bits = 0;
    double value;

    if (bytes.size > 0)
        memcpy(&bits, bytes.data, bytes.size);
    if (nibble < VALUE_BYTES_MAX)
        return (double)unzigzag(bits);
    bits <<= 8 * (VALUE_BYTES_MAX - size);
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Rows from rows[0] on that make one run. */
static size_t run_length(const struct pending_row *rows, size_t count)
{
    size_t length = 1;

    while (length < count && rows[length].id == rows[0].id + length &&
           rows[length].time_ms == rows[0].time_ms)
        length++;
    return length;
}

static void run_values(const struct pending_row *rows, size_t count, struct buf *out)
{
    size_t nibbles_size = (count + 1) / 2;
    char *nibbles = buf_reserve(out, nibbles_size + count * VALUE_BYTES_MAX + VALUE_BYTES_MAX);
    char *at = nibbles + nibbles_size;

    memset(nibbles, 0, nibbles_size);
    for (size_t i = 0; i < count; i++) {
        unsigned size;
        unsigned nibble = value_write(rows[i].value, at, &size);
        nibbles[i / 2] = (char)((unsigned char)nibbles[i / 2] | nibble << (i % 2 * 4));
        at += size;
    }
    out->size += (size_t)(at - nibbles);
}

void pending_encode(const struct pending_row *rows, const struct str *sketches, size_t count,
                    struct buf *out)
{
    uint32_t next_id = 0;
    int64_t last_ms = 0;

    MUST(count >= 1 && count <= PENDING_ROWS_MAX);
    buf_byte(out, VERSION);
    buf_byte(out, sketches != NULL);
    for (size_t from = 0; from < count;) {
        size_t length = run_length(rows + from, count - from);
        const struct pending_row *first = &rows[from];
        buf_varint(out, zigzag((int64_t)first->id - next_id));
        buf_varint(out, zigzag((int64_t)((uint64_t)first->time_ms - (uint64_t)last_ms)));
        buf_varint(out, length);
        run_values(first, length, out);
        for (size_t i = from; sketches != NULL && i < from + length; i++) {
            buf_varint(out, sketches[i].size);
            buf_str(out, sketches[i]);
        }
        next_id = first->id + (uint32_t)length;
        last_ms = first->time_ms;
        from += length;
    }
}

static unsigned nibble_at(struct str nibbles, size_t index)
{
    return (unsigned char)nibbles.data[index / 2] >> (index % 2 * 4) & 15;
}

/* Two cursors: one over the values, one over the sketches behind them. */
static enum err run_visit(struct varint_reader *reader, struct pending_row first, size_t count,
                          bool has_sketches, const struct pending_visitor *visitor, struct why *why)
{
    struct str nibbles = varint_bytes(reader, (count + 1) / 2);
    struct varint_reader values = *reader;

    for (size_t i = 0; i < count && !reader->failed; i++)
        (void)value_read(reader, nibble_at(nibbles, i)); /* Only to stand behind it. */
    for (size_t i = 0; i < count && !reader->failed; i++) {
        struct pending_row row = first;
        row.id += (uint32_t)i;
        row.value = value_read(&values, nibble_at(nibbles, i));
        struct str sketch = STR_NONE;
        if (has_sketches)
            sketch = varint_bytes(reader, varint_read(reader));
        if (!reader->failed)
            TRY(visitor->visit(visitor->self, &row, sketch, why));
    }
    return reader->failed ? fail(why, ERR_CORRUPT, "a pending row ends too early") : ERR_NONE;
}

enum err pending_decode(struct str bytes, const struct pending_visitor *visitor, struct why *why)
{
    struct varint_reader reader = varint_begin(bytes);
    int64_t next_id = 0;
    uint64_t time_ms = 0;

    if (varint_byte(&reader) != VERSION)
        return fail(why, ERR_CORRUPT, "a pending row has an unknown version");
    bool has_sketches = varint_byte(&reader) != 0;
    while (varint_left(&reader) > 0) {
        next_id += unzigzag(varint_read_most(&reader, UINT64_C(1) << 33));
        time_ms += (uint64_t)unzigzag(varint_read(&reader));
        size_t count = (size_t)varint_read_most(&reader, PENDING_ROWS_MAX);
        if (reader.failed || count == 0 || next_id < 0 || next_id + (int64_t)count > UINT32_MAX)
            return fail(why, ERR_CORRUPT, "a pending row has a run that cannot be");
        struct pending_row first = {.id = (uint32_t)next_id, .time_ms = (int64_t)time_ms};
        TRY(run_visit(&reader, first, count, has_sketches, visitor, why));
        next_id += (int64_t)count;
    }
    return ERR_NONE;
}
