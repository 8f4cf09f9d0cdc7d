/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf - walks the fields of a message on the wire, without a schema and without copies.
 *
 *     struct protobuf message = protobuf_of(bytes);
 *     struct protobuf_field field;
 *     while (protobuf_next(&message, &field))
 *         if (field.number == 1 && field.wire == PROTOBUF_BYTES) …
 *     if (message.broken) …
 *
 * Every length is checked against what is left; groups, which nobody sends any more, are broken.
 * Pure; any thread. */
#pragma once
#include "base/str.h"

enum protobuf_wire {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5,
};

struct protobuf {
    const uint8_t *at;
    const uint8_t *end;
    bool broken;
};

struct protobuf_field {
    uint32_t number;
    enum protobuf_wire wire;
    uint64_t value;   /* Of VARINT, FIXED32 and FIXED64. */
    struct str bytes; /* Of BYTES; into the message. */
};

static inline struct protobuf protobuf_of(struct str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.data;

    return (struct protobuf){.at = at, .end = at + bytes.size};
}

/* A varint of up to ten bytes; false leaves the rest undefined. */
static inline bool protobuf_varint(struct protobuf *message, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 70 && message->at < message->end; shift += 7) {
        uint8_t byte = *message->at++;
        value |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 0);
        if (byte < 0x80) {
            *ret_value = value;
            return shift < 63 || byte <= 1;
        }
    }
    return false;
}

/* protobuf_next() for a field of any kind and size. */
bool protobuf_next_any(struct protobuf *message, struct protobuf_field *ret_field);

/* False at the end of the message, and when it is broken. Most fields are short bytes with a small
 * number, two bytes before what they hold: those cost no call. */
static inline bool protobuf_next(struct protobuf *message, struct protobuf_field *ret_field)
{
    const uint8_t *at = message->at;
    size_t left = (size_t)(message->end - at);

    /* A broken message is left to the other, whatever it stopped at. */
    if (left < 2 || message->broken || (at[0] & 0x87) != PROTOBUF_BYTES || at[0] < 8 ||
        at[1] >= 0x80 || at[1] > left - 2)
        return protobuf_next_any(message, ret_field);
    ret_field->number = at[0] >> 3;
    ret_field->wire = PROTOBUF_BYTES;
    ret_field->value = 0;
    ret_field->bytes = (struct str){(const char *)at + 2, at[1]};
    message->at = at + 2 + at[1];
    return true;
}

/* The double whose bits a FIXED64 holds. */
static inline double protobuf_double(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}
