/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf lets the fields of a message come in any order and a list in several pieces; JSON wants
 * a list in one place. So the message is walked once for every field that its table knows. */
#include "codec/otlp_json.h"

#include "base/json.h"
#include "codec/otlp_priv.h"

struct writer {
    struct json json;
    struct why *why;
};

static enum err broken(const struct writer *writer)
{
    return fail(writer->why, ERR_INVALID, "the message is broken or cut short");
}

static void add_hex(struct writer *writer, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < bytes.size; i++) {
        buf_byte(&text, (uint8_t)digits[(uint8_t)bytes.data[i] >> 4]);
        buf_byte(&text, (uint8_t)digits[(uint8_t)bytes.data[i] & 15]);
    }
    json_add_str(&writer->json, buf_view(&text));
}

static void add_base64(struct writer *writer, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t count = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t bits = 0;
        for (size_t b = 0; b < 3; b++)
            bits = bits << 8 | (b < count ? (uint8_t)bytes.data[i + b] : 0);
        for (size_t d = 0; d < 4; d++)
            buf_byte(&text, d <= count ? (uint8_t)digits[bits >> (18 - 6 * d) & 63] : '=');
    }
    json_add_str(&writer->json, buf_view(&text));
}

static void add_double(struct writer *writer, double value)
{
    if (value != value)
        json_add_str(&writer->json, STR("NaN"));
    else if (value - value != 0)
        json_add_str(&writer->json, value > 0 ? STR("Infinity") : STR("-Infinity"));
    else
        json_add_double(&writer->json, value);
}

/* 64-bit integers are text, as JavaScript would lose digits. */
static void add_wide(struct writer *writer, uint64_t bits, bool is_signed)
{
    struct buf text CLEANUP(buf_done) = {0};

    if (is_signed)
        buf_printf(&text, "%lld", (long long)bits);
    else
        buf_printf(&text, "%llu", (unsigned long long)bits);
    json_add_str(&writer->json, buf_view(&text));
}

static void add_number(struct writer *writer, enum otlp_type type, uint64_t bits)
{
    switch (type) {
    case OTLP_BOOL:
        json_add_bool(&writer->json, bits != 0);
        break;
    case OTLP_DOUBLE:
        add_double(writer, protobuf_double(bits));
        break;
    case OTLP_ZIGZAG:
        json_add_i64(&writer->json, unzigzag(bits));
        break;
    case OTLP_SMALL:
        json_add_i64(&writer->json, (int64_t)bits);
        break;
    case OTLP_FIXED32:
        json_add_u64(&writer->json, bits);
        break;
    default:
        add_wide(writer, bits, type == OTLP_INT || type == OTLP_SFIXED64);
        break;
    }
}

static bool is_bytes_type(enum otlp_type type)
{
    return type == OTLP_STRING || type == OTLP_BYTES || type == OTLP_ID || type == OTLP_MESSAGE;
}

static enum protobuf_wire wire_of(enum otlp_type type)
{
    if (is_bytes_type(type))
        return PROTOBUF_BYTES;
    if (type == OTLP_FIXED64 || type == OTLP_SFIXED64 || type == OTLP_DOUBLE)
        return PROTOBUF_FIXED64;
    return type == OTLP_FIXED32 ? PROTOBUF_FIXED32 : PROTOBUF_VARINT;
}

static enum err write_message(struct writer *writer, struct str bytes, enum otlp_message message,
                              size_t depth);

static enum err write_value(struct writer *writer, const struct otlp_field *row,
                            const struct protobuf_field *field, size_t depth)
{
    switch (row->type) {
    case OTLP_STRING:
        json_add_str(&writer->json, field->bytes);
        return ERR_NONE;
    case OTLP_BYTES:
        add_base64(writer, field->bytes);
        return ERR_NONE;
    case OTLP_ID:
        add_hex(writer, field->bytes);
        return ERR_NONE;
    case OTLP_MESSAGE:
        return write_message(writer, field->bytes, row->message, depth + 1);
    default:
        add_number(writer, row->type, field->value);
        return ERR_NONE;
    }
}

/* The numbers of one packed piece of a list. */
static enum err write_packed(struct writer *writer, const struct otlp_field *row, struct str bytes)
{
    struct protobuf rest = protobuf_of(bytes);

    while (rest.at < rest.end) {
        uint64_t bits = 0;
        if (wire_of(row->type) == PROTOBUF_FIXED64) {
            if (rest.end - rest.at < 8)
                return broken(writer);
            memcpy(&bits, rest.at, 8); /* Little-endian, as this machine. */
            rest.at += 8;
        } else if (!protobuf_varint(&rest, &bits)) {
            return broken(writer);
        }
        add_number(writer, row->type, bits);
    }
    return ERR_NONE;
}

static enum err write_list(struct writer *writer, struct str bytes, const struct otlp_field *row,
                           size_t depth)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    json_open(&writer->json, '[');
    while (protobuf_next(&message, &field)) {
        if (field.number != row->number)
            continue;
        if (field.wire == wire_of(row->type))
            TRY(write_value(writer, row, &field, depth));
        else if (field.wire == PROTOBUF_BYTES)
            TRY(write_packed(writer, row, field.bytes));
    }
    json_close(&writer->json, ']');
    return ERR_NONE;
}

/* The last occurrence of a field counts. */
static bool find_last(struct str bytes, const struct otlp_field *row,
                      struct protobuf_field *ret_field)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    bool found = false;

    while (protobuf_next(&message, &field)) {
        bool fits =
            field.wire == wire_of(row->type) || (row->repeated && field.wire == PROTOBUF_BYTES);
        if (field.number != row->number || !fits)
            continue;
        *ret_field = field;
        found = true;
    }
    return found;
}

static enum err check(struct writer *writer, struct str bytes, uint32_t *ret_seen)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    *ret_seen = 0;
    while (protobuf_next(&message, &field))
        *ret_seen |= field.number < 32 ? UINT32_C(1) << field.number : 0;
    return message.broken ? broken(writer) : ERR_NONE;
}

static enum err write_message(struct writer *writer, struct str bytes, enum otlp_message message,
                              size_t depth)
{
    struct protobuf_field field;
    uint32_t seen;
    size_t count;
    const struct otlp_field *rows = otlp_fields(message, &count);

    if (depth > OTLP_JSON_DEPTH_MAX)
        return fail(writer->why, ERR_LIMIT, "the message is nested deeper than %d",
                    OTLP_JSON_DEPTH_MAX);
    TRY(check(writer, bytes, &seen));
    json_open(&writer->json, '{');
    for (size_t i = 0; i < count; i++) {
        const struct otlp_field *row = &rows[i];
        if ((seen >> row->number & 1) == 0 || !find_last(bytes, row, &field))
            continue;
        json_key_str(&writer->json, row->name);
        if (row->repeated)
            TRY(write_list(writer, bytes, row, depth));
        else
            TRY(write_value(writer, row, &field, depth));
    }
    json_close(&writer->json, '}');
    return ERR_NONE;
}

enum err otlp_json_write(struct str bytes, enum otlp_message message, struct buf *out,
                         struct why *why)
{
    struct writer writer = {.json = json_begin(out), .why = why};

    return write_message(&writer, bytes.data == NULL ? STR("") : bytes, message, 0);
}
