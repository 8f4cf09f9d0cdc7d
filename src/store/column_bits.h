/* SPDX-License-Identifier: Apache-2.0 */
/* column_bits - a stream of bits, lowest bit of each byte first.
 *
 * Private to the column modules. The reader knows a position, not a state: four streams can be
 * read side by side from one run of bytes. It never reads past the end; bits there are zero, and
 * whoever reads compares the final position with the one written in the head. */
#pragma once
#include "base/buf.h"
#include "base/must.h"
#include "base/scan.h"

#include <stdint.h>
#include <string.h>

/* Bits that one bits_peek is sure to see. */
#define BITS_PEEK 57

static inline uint64_t bits_load(const uint8_t *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void bits_store(uint8_t *bytes, uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(bytes, &word, sizeof word);
}

/* The lowest `count` bits, count <= 63. */
static inline uint64_t bits_mask(uint64_t word, unsigned count)
{
    return word & ((UINT64_C(1) << count) - 1);
}

/* Bits needed to write value: 0 for 0, 64 at most. */
static inline unsigned bits_width(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

struct bits_writer {
    struct buf *out;
    uint64_t word;    /* Bits not yet in out, lowest first. */
    unsigned used;    /* How many of them: 0 … 7 between calls. */
    size_t bit_first; /* out->size in bits where the stream began. */
};

static inline void bits_begin(struct bits_writer *writer, struct buf *out)
{
    *writer = (struct bits_writer){.out = out, .bit_first = out->size * 8};
}

/* Makes sure that the next writes, `size_bits` in all, need no more memory. */
static inline void bits_room(struct bits_writer *writer, size_t size_bits)
{
    (void)buf_reserve(writer->out, size_bits / 8 + 16);
}

/* count <= 56, value has no higher bits; bits_room was asked. */
static inline void bits_put(struct bits_writer *writer, uint64_t value, unsigned count)
{
    struct buf *out = writer->out;

    writer->word |= value << writer->used;
    writer->used += count;
    bits_store((uint8_t *)out->data + out->size, writer->word);
    out->size += writer->used / 8;
    writer->word = (writer->used & ~7u) == 64 ? 0 : writer->word >> (writer->used & ~7u);
    writer->used &= 7;
}

static inline void bits_put_64(struct bits_writer *writer, uint64_t value)
{
    bits_put(writer, value & UINT32_MAX, 32);
    bits_put(writer, value >> 32, 32);
}

static inline size_t bits_written(const struct bits_writer *writer)
{
    return writer->out->size * 8 + writer->used - writer->bit_first;
}

/* Brings the last bits into out, filled up to a whole byte with zeros. */
static inline void bits_end(struct bits_writer *writer)
{
    if (writer->used > 0)
        buf_byte(writer->out, (uint8_t)writer->word);
    writer->word = 0;
    writer->used = 0;
}

/* Bytes as a stream to read. */
struct bits {
    const uint8_t *data;
    size_t size;
};

__attribute__((noinline, cold)) static uint64_t bits_peek_end(struct bits bits, uint64_t byte)
{
    uint8_t last[8] = {0};

    if (byte < bits.size)
        memcpy(last, bits.data + byte, bits.size - byte);
    return bits_load(last);
}

/* At least BITS_PEEK bits from bit `position` on. */
static inline uint64_t bits_peek(struct bits bits, uint64_t position)
{
    uint64_t byte = position >> 3;

    if (__builtin_expect(byte + 8 <= bits.size, 1))
        return bits_load(bits.data + byte) >> (position & 7);
    return bits_peek_end(bits, byte) >> (position & 7);
}

static inline uint64_t bits_get_64(struct bits bits, uint64_t *position)
{
    uint64_t low = bits_mask(bits_peek(bits, *position), 32);
    uint64_t high = bits_mask(bits_peek(bits, *position + 32), 32);

    *position += 64;
    return low | high << 32;
}
