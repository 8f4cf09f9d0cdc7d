/* SPDX-License-Identifier: Apache-2.0 */
/* A field is a varint key, number << 3 | wire type, then its value: a varint, 4 or 8 bytes little
 * endian, or a varint size and as many bytes. */
#include "codec/protobuf.h"

static bool broken(struct protobuf *message)
{
    message->broken = true;
    return false;
}

static bool fixed(struct protobuf *message, size_t bytes, uint64_t *ret_value)
{
    uint64_t value = 0;

    if ((size_t)(message->end - message->at) < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)message->at[i] << (8 * i);
    message->at += bytes;
    *ret_value = value;
    return true;
}

static bool bytes(struct protobuf *message, struct str *ret_bytes)
{
    uint64_t size;

    if (!protobuf_varint(message, &size) || size > (uint64_t)(message->end - message->at))
        return false;
    *ret_bytes = (struct str){(const char *)message->at, size};
    message->at += size;
    return true;
}

bool protobuf_next_any(struct protobuf *message, struct protobuf_field *ret_field)
{
    uint64_t key;
    bool ok;

    if (message->broken || message->at == message->end)
        return false;
    if (!protobuf_varint(message, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return broken(message);
    ret_field->number = (uint32_t)(key >> 3);
    ret_field->wire = (enum protobuf_wire)(key & 7);
    ret_field->value = 0;
    ret_field->bytes = STR_NONE;
    switch (ret_field->wire) {
    case PROTOBUF_VARINT:
        ok = protobuf_varint(message, &ret_field->value);
        break;
    case PROTOBUF_FIXED64:
        ok = fixed(message, 8, &ret_field->value);
        break;
    case PROTOBUF_FIXED32:
        ok = fixed(message, 4, &ret_field->value);
        break;
    case PROTOBUF_BYTES:
        ok = bytes(message, &ret_field->bytes);
        break;
    default:
        ok = false;
    }
    return ok || broken(message);
}
