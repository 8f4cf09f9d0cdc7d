/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_FIRST = 64 };

void buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
}

static void grow(struct buf *buf, size_t wanted)
{
    size_t capacity = buf->capacity == 0 ? SIZE_FIRST : buf->capacity;

    while (capacity < wanted) {
        MUST(capacity <= SIZE_MAX / 2);
        capacity *= 2;
    }
    char *data = realloc(buf->data, capacity);
    if (data == NULL)
        must_memory(capacity);
    buf->data = data;
    buf->capacity = capacity;
}

char *buf_reserve(struct buf *buf, size_t size)
{
    MUST(size <= SIZE_MAX - buf->size);
    if (buf->size + size > buf->capacity)
        grow(buf, buf->size + size);
    return buf->data + buf->size;
}

void buf_append(struct buf *buf, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(buf_reserve(buf, size), data, size);
    buf->size += size;
}

void buf_str(struct buf *buf, struct str str)
{
    buf_append(buf, str.data, str.size);
}

void buf_text(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_byte(struct buf *buf, uint8_t byte)
{
    *buf_reserve(buf, 1) = (char)byte;
    buf->size++;
}

void buf_vprintf(struct buf *buf, const char *format, va_list arguments)
{
    va_list again;

    va_copy(again, arguments);
    size_t room = buf->capacity - buf->size;
    int size = vsnprintf(room == 0 ? NULL : buf->data + buf->size, room, format, arguments);
    MUST(size >= 0);
    if ((size_t)size >= room) {
        (void)buf_reserve(buf, (size_t)size + 1);
        (void)vsnprintf(buf->data + buf->size, (size_t)size + 1, format, again); /* Fits now. */
    }
    buf->size += (size_t)size;
    va_end(again);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    buf_vprintf(buf, format, arguments);
    va_end(arguments);
}

static void append_little_endian(struct buf *buf, uint64_t value, size_t size)
{
    char *data = buf_reserve(buf, size);

    for (size_t i = 0; i < size; i++)
        data[i] = (char)(value >> (8 * i));
    buf->size += size;
}

void buf_u32(struct buf *buf, uint32_t value)
{
    append_little_endian(buf, value, sizeof(value));
}

void buf_u64(struct buf *buf, uint64_t value)
{
    append_little_endian(buf, value, sizeof(value));
}

void buf_varint(struct buf *buf, uint64_t value)
{
    char *data = buf_reserve(buf, 10);
    size_t size = 0;

    while (value >= 0x80) {
        data[size++] = (char)(value | 0x80);
        value >>= 7;
    }
    data[size++] = (char)value;
    buf->size += size;
}

void buf_consume(struct buf *buf, size_t size)
{
    MUST(size <= buf->size);
    buf->size -= size;
    if (buf->size > 0 && size > 0)
        memmove(buf->data, buf->data + size, buf->size);
}

const char *buf_cstr(struct buf *buf)
{
    *buf_reserve(buf, 1) = '\0';
    return buf->data;
}
