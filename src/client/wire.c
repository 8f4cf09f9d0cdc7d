/* SPDX-License-Identifier: Apache-2.0 */
#include "client/wire.h"

#include <string.h>

enum {
    VARINT = 0,
    FIXED64 = 1,
    BYTES = 2,
    FIXED32 = 5,
    LENGTH_BYTES = 3, /* Of a nested message: 21 bits. */
    /* Fields of KeyValue and AnyValue. */
    KEY = 1,
    VALUE = 2,
    VALUE_TEXT = 1,
    VALUE_BOOL = 2,
    VALUE_INTEGER = 3,
    VALUE_NUMBER = 4,
};

/* Where `size` bytes go, or NULL. */
static uint8_t *take(struct wire *wire, size_t size)
{
    if (wire->full || size > wire->capacity - wire->size) {
        wire->full = true;
        return NULL;
    }
    wire->size += size;
    return wire->data + wire->size - size;
}

void wire_raw(struct wire *wire, const void *data, size_t size)
{
    uint8_t *place = take(wire, size);

    if (place != NULL && size > 0)
        memcpy(place, data, size);
}

void wire_raw_varint(struct wire *wire, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;

    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    wire_raw(wire, bytes, size);
}

static void tag(struct wire *wire, uint32_t field, uint32_t type)
{
    wire_raw_varint(wire, (uint64_t)field << 3 | type);
}

void wire_varint(struct wire *wire, uint32_t field, uint64_t value)
{
    tag(wire, field, VARINT);
    wire_raw_varint(wire, value);
}

static void little_endian(struct wire *wire, uint64_t value, size_t size)
{
    uint8_t *place = take(wire, size);

    for (size_t i = 0; place != NULL && i < size; i++)
        place[i] = (uint8_t)(value >> (8 * i));
}

void wire_fixed64(struct wire *wire, uint32_t field, uint64_t value)
{
    tag(wire, field, FIXED64);
    little_endian(wire, value, 8);
}

void wire_fixed32(struct wire *wire, uint32_t field, uint32_t value)
{
    tag(wire, field, FIXED32);
    little_endian(wire, value, 4);
}

void wire_number(struct wire *wire, uint32_t field, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    wire_fixed64(wire, field, bits);
}

void wire_bytes(struct wire *wire, uint32_t field, const void *data, size_t size)
{
    tag(wire, field, BYTES);
    wire_raw_varint(wire, size);
    wire_raw(wire, data, size);
}

void wire_text(struct wire *wire, uint32_t field, const char *text)
{
    wire_bytes(wire, field, text, strlen(text));
}

size_t wire_begin(struct wire *wire, uint32_t field)
{
    tag(wire, field, BYTES);
    (void)take(wire, LENGTH_BYTES); /* When it does not fit the whole is marked. */
    return wire->size;
}

void wire_end(struct wire *wire, size_t begun)
{
    if (wire->full)
        return;
    size_t size = wire->size - begun;
    uint8_t *length = wire->data + begun - LENGTH_BYTES;
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        length[i] = (uint8_t)((size >> (7 * i) & 0x7f) | (i + 1 < LENGTH_BYTES ? 0x80 : 0));
}

static size_t begin_attribute(struct wire *wire, uint32_t field, const char *key,
                              size_t *ret_value_begun)
{
    size_t begun = wire_begin(wire, field);

    wire_text(wire, KEY, key);
    *ret_value_begun = wire_begin(wire, VALUE);
    return begun;
}

static void end_attribute(struct wire *wire, size_t begun, size_t value_begun)
{
    wire_end(wire, value_begun);
    wire_end(wire, begun);
}

void wire_attribute_text(struct wire *wire, uint32_t field, const char *key, const char *value,
                         size_t value_size)
{
    size_t value_begun;
    size_t begun = begin_attribute(wire, field, key, &value_begun);

    wire_bytes(wire, VALUE_TEXT, value, value_size);
    end_attribute(wire, begun, value_begun);
}

void wire_attribute_integer(struct wire *wire, uint32_t field, const char *key, int64_t value)
{
    size_t value_begun;
    size_t begun = begin_attribute(wire, field, key, &value_begun);

    wire_varint(wire, VALUE_INTEGER, (uint64_t)value);
    end_attribute(wire, begun, value_begun);
}

void wire_attribute_number(struct wire *wire, uint32_t field, const char *key, double value)
{
    size_t value_begun;
    size_t begun = begin_attribute(wire, field, key, &value_begun);

    wire_number(wire, VALUE_NUMBER, value);
    end_attribute(wire, begun, value_begun);
}

void wire_attribute_bool(struct wire *wire, uint32_t field, const char *key, bool value)
{
    size_t value_begun;
    size_t begun = begin_attribute(wire, field, key, &value_begun);

    wire_varint(wire, VALUE_BOOL, value);
    end_attribute(wire, begun, value_begun);
}
