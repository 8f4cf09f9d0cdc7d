/* SPDX-License-Identifier: Apache-2.0 */
/* varint - reads what buf_varint and friends wrote, never past the end.
 *
 * A reader that has failed stays failed and gives zeros: check `failed` once, at the end, or before
 * a number is used as a size. Pure; any thread. */
#pragma once
#include "base/buf.h"

#include <string.h>

struct varint_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct varint_reader varint_begin(struct str bytes)
{
    const uint8_t *data = (const uint8_t *)bytes.data;

    return (struct varint_reader){data, data == NULL ? NULL : data + bytes.size, false};
}

static inline size_t varint_left(const struct varint_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline uint64_t varint_fail(struct varint_reader *reader)
{
    reader->failed = true;
    reader->at = reader->end;
    return 0;
}

static inline uint64_t varint_read(struct varint_reader *reader)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->end)
            return varint_fail(reader);
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    return varint_fail(reader);
}

/* Steps over count numbers, eight bytes at a time: each number ends in the one byte without its
 * high bit. */
static inline void varint_skip(struct varint_reader *reader, size_t count)
{
    while (count > 8 && varint_left(reader) >= sizeof(uint64_t)) { /* So one is left to end at. */
        uint64_t word;
        memcpy(&word, reader->at, sizeof(word));
        uint64_t ends = (~word & UINT64_C(0x8080808080808080)) >> 7;
        count -= (size_t)(ends * UINT64_C(0x0101010101010101) >> 56); /* The sum of its bytes. */
        reader->at += sizeof(word);
    }
    while (count > 0) {
        if (reader->at == reader->end) {
            (void)varint_fail(reader);
            return;
        }
        count -= *reader->at++ < 0x80;
    }
}

/* At most `most`, else the reader fails. */
static inline uint64_t varint_read_most(struct varint_reader *reader, uint64_t most)
{
    uint64_t value = varint_read(reader);

    return value <= most ? value : varint_fail(reader);
}

static inline uint8_t varint_byte(struct varint_reader *reader)
{
    return reader->at == reader->end ? (uint8_t)varint_fail(reader) : *reader->at++;
}

/* The next `size` bytes; STR_NONE when there are fewer. */
static inline struct str varint_bytes(struct varint_reader *reader, uint64_t size)
{
    if (size > varint_left(reader)) {
        (void)varint_fail(reader);
        return STR_NONE;
    }
    struct str bytes = {(const char *)reader->at, (size_t)size};
    reader->at += size;
    return bytes;
}

static inline uint32_t varint_u32(struct varint_reader *reader)
{
    uint32_t value = 0;
    struct str bytes = varint_bytes(reader, sizeof(value));

    for (size_t i = 0; i < bytes.size; i++)
        value |= (uint32_t)(uint8_t)bytes.data[i] << (8 * i);
    return value;
}
