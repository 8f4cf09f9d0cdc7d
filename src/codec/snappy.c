/* SPDX-License-Identifier: Apache-2.0 */
/* The format (google/snappy, format_description.txt): the unpacked size as a varint, then elements.
 * The low two bits of an element's first byte say what it is:
 *
 *   00  literal; size - 1 in the high six bits, or 60 … 63: in the next 1 … 4 bytes
 *   01  copy; size - 4 in bits 2-4, offset in bits 5-7 and the next byte
 *   10  copy; size - 1 in the high six bits, offset in the next 2 bytes
 *   11  copy; size - 1 in the high six bits, offset in the next 4 bytes
 *
 * A copy repeats what was unpacked `offset` bytes ago and may overlap itself. Room for SLOP bytes
 * more than the result lets short runs be moved in whole words. */
#include "codec/snappy.h"

enum { SLOP = 32 };

struct unpacker {
    const uint8_t *at;
    const uint8_t *end;
    char *out;
    size_t used;
    size_t size; /* As announced. */
};

static bool read_size(struct unpacker *unpacker)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 35 && unpacker->at < unpacker->end; shift += 7) {
        uint8_t byte = *unpacker->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            unpacker->size = value;
            return value <= UINT32_MAX;
        }
    }
    return false;
}

static bool read_number(struct unpacker *unpacker, size_t bytes, size_t *ret_value)
{
    size_t value = 0;

    if ((size_t)(unpacker->end - unpacker->at) < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        value |= (size_t)unpacker->at[i] << (8 * i);
    unpacker->at += bytes;
    *ret_value = value;
    return true;
}

static bool literal(struct unpacker *unpacker, uint8_t tag)
{
    size_t size = tag >> 2;

    if (size >= 60 && !read_number(unpacker, size - 59, &size))
        return false;
    size++;
    size_t left = (size_t)(unpacker->end - unpacker->at);
    if (size > left || size > unpacker->size - unpacker->used)
        return false;
    if (size <= 16 && left >= 16) /* SLOP has room; a fixed size is two moves. */
        memcpy(unpacker->out + unpacker->used, unpacker->at, 16);
    else
        memcpy(unpacker->out + unpacker->used, unpacker->at, size);
    unpacker->at += size;
    unpacker->used += size;
    return true;
}

static bool copy(struct unpacker *unpacker, size_t size, size_t offset)
{
    char *to = unpacker->out + unpacker->used;

    if (offset == 0 || offset > unpacker->used || size > unpacker->size - unpacker->used)
        return false;
    const char *from = to - offset;
    unpacker->used += size;
    if (offset >= 8 && size <= 64) { /* At most 7 bytes too many, into the slop. */
        for (size_t i = 0; i < size; i += 8)
            memcpy(to + i, from + i, 8);
        return true;
    }
    for (size_t i = 0; i < size; i++)
        to[i] = from[i];
    return true;
}

static bool element(struct unpacker *unpacker)
{
    uint8_t tag = *unpacker->at++;
    size_t offset;

    switch (tag & 3) {
    case 0:
        return literal(unpacker, tag);
    case 1:
        return read_number(unpacker, 1, &offset) &&
               copy(unpacker, 4 + (tag >> 2 & 7), (size_t)(tag >> 5) << 8 | offset);
    case 2:
        return read_number(unpacker, 2, &offset) && copy(unpacker, 1 + (size_t)(tag >> 2), offset);
    default:
        return read_number(unpacker, 4, &offset) && copy(unpacker, 1 + (size_t)(tag >> 2), offset);
    }
}

enum err snappy_unpack(struct str packed, size_t limit_bytes, struct buf *out, struct why *why)
{
    const uint8_t *start = (const uint8_t *)packed.data;
    struct unpacker unpacker = {.at = start, .end = start + packed.size};

    if (packed.size == 0 || !read_size(&unpacker))
        return fail(why, ERR_INVALID, "this is no Snappy block: it does not start with its size");
    if (unpacker.size > limit_bytes)
        return fail(why, ERR_TOO_LARGE, "a Snappy block of %zu bytes unpacked is over %zu bytes",
                    unpacker.size, limit_bytes);
    unpacker.out = buf_reserve(out, unpacker.size + SLOP);
    while (unpacker.at < unpacker.end) {
        if (!element(&unpacker))
            return fail_at(why, ERR_INVALID, (int32_t)(unpacker.at - start),
                           "a Snappy block is broken at byte %td", unpacker.at - start);
    }
    if (unpacker.used != unpacker.size)
        return fail(why, ERR_INVALID, "a Snappy block ends after %zu of %zu bytes", unpacker.used,
                    unpacker.size);
    out->size += unpacker.size;
    return ERR_NONE;
}
