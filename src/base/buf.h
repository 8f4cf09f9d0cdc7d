/* SPDX-License-Identifier: Apache-2.0 */
/* buf - bytes that grow at the end.
 *
 * Out of memory ends the process (base/must.h), so appending cannot fail; whoever appends what a
 * stranger sent checks a named bound first. One thread at a time. `struct buf` may be embedded:
 * all zero is an empty buf. */
#pragma once
#include "base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;      /* NULL while capacity is 0; not NUL-terminated, see buf_text. */
    size_t size;     /* Bytes in use. */
    size_t capacity; /* Bytes allocated. */
};

void buf_done(struct buf *buf);  /* Frees; empty and usable again. */
void buf_clear(struct buf *buf); /* Keeps the memory. */

/* Makes room for `size` more bytes and returns where they go; add to buf->size what was written. */
char *buf_reserve(struct buf *buf, size_t size);

void buf_append(struct buf *buf, const void *data, size_t size);
void buf_str(struct buf *buf, struct str str);
void buf_text(struct buf *buf, const char *text);
void buf_byte(struct buf *buf, uint8_t byte);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *format, va_list arguments);

/* Little-endian integers and LEB128 varints, as protobuf and our own blocks use them. */
void buf_u32(struct buf *buf, uint32_t value);
void buf_u64(struct buf *buf, uint64_t value);
void buf_varint(struct buf *buf, uint64_t value);

/* Takes a LEB128 varint off the front of *rest. False: cut off, or more than 64 bits; *rest stays.
 */
static inline bool buf_take_varint(struct str *rest, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 10 && i < rest->size; i++) {
        uint8_t byte = (uint8_t)rest->data[i];

        if (i == 9 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 127) << (7 * i);
        if (byte < 128) {
            rest->data += i + 1;
            rest->size -= i + 1;
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* Drops `size` bytes at the front. */
void buf_consume(struct buf *buf, size_t size);

/* A NUL after the bytes (not counted in size), for those who want a C string. */
const char *buf_cstr(struct buf *buf);

static inline struct str buf_view(const struct buf *buf)
{
    return (struct str){buf->data, buf->size};
}

/* zigzag: small magnitudes of either sign become small numbers. */
static inline uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}
