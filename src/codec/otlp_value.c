/* SPDX-License-Identifier: Apache-2.0 */
/* What occurs in every signal:
 *
 *   Resource             { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
 *   InstrumentationScope { string name = 1; string version = 2; repeated KeyValue attributes = 3;
 *                          uint32 dropped_attributes_count = 4; }
 *   KeyValue             { string key = 1; AnyValue value = 2; }
 *   AnyValue             { oneof { string = 1; bool = 2; int64 = 3; double = 4; ArrayValue = 5;
 *                                  KeyValueList = 6; bytes = 7; } }
 *   ArrayValue           { repeated AnyValue values = 1; }
 *   KeyValueList         { repeated KeyValue values = 1; } */
#include "codec/otlp_priv.h"

#include <stdlib.h>

void otlp_reader_init(struct otlp_reader *reader, struct arena *arena, struct why *why)
{
    *reader = (struct otlp_reader){.arena = arena, .why = why};
}

void otlp_reader_done(struct otlp_reader *reader)
{
    free(reader->attributes);
    free(reader->values);
}

enum err otlp_broken(struct otlp_reader *reader, const char *what)
{
    enum err err = fail(reader->why, ERR_INVALID, "%s is broken or cut short", what);

    hint(reader->why, "send an OTLP export request, as protobuf or JSON, with its Content-Type");
    return err;
}

static void grow(void **items, size_t *capacity, size_t size)
{
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;

    *items = reallocarray(*items, wanted, size);
    if (*items == NULL)
        must_memory(wanted * size);
    *capacity = wanted;
}

static struct attribute *push_attribute(struct otlp_reader *reader)
{
    if (reader->attributes_count == reader->attributes_capacity)
        grow((void **)&reader->attributes, &reader->attributes_capacity,
             sizeof(*reader->attributes));
    return &reader->attributes[reader->attributes_count++];
}

static struct value *push_value(struct otlp_reader *reader)
{
    if (reader->values_count == reader->values_capacity)
        grow((void **)&reader->values, &reader->values_capacity, sizeof(*reader->values));
    return &reader->values[reader->values_count++];
}

enum err otlp_pop_attributes(struct otlp_reader *reader, size_t mark,
                             struct attributes *ret_attributes)
{
    size_t count = reader->attributes_count - mark;
    size_t kept = count < OTLP_ATTRIBUTES_MAX ? count : OTLP_ATTRIBUTES_MAX;

    reader->attributes_count = mark;
    ret_attributes->items = NULL;
    ret_attributes->count = kept;
    ret_attributes->dropped_count += (uint32_t)(count - kept);
    if (kept == 0)
        return ERR_NONE;
    struct attribute *items = ARENA_ARRAY(reader->arena, kept, struct attribute);
    if (items == NULL)
        return arena_spent(reader->arena, "the message", reader->why);
    memcpy(items, reader->attributes + mark, kept * sizeof(*items));
    ret_attributes->items = items;
    return ERR_NONE;
}

static enum err read_list(struct otlp_reader *reader, struct str bytes, size_t depth,
                          struct value *ret_value)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t mark = reader->values_count;

    while (protobuf_next(&message, &field)) {
        struct value value;
        if (field.number != 1 || field.wire != PROTOBUF_BYTES)
            continue;
        TRY(otlp_read_value(reader, field.bytes, depth + 1, &value));
        *push_value(reader) = value;
    }
    if (message.broken)
        return otlp_broken(reader, "a list value");
    size_t count = reader->values_count - mark;
    struct value *items = ARENA_ARRAY(reader->arena, count, struct value);
    if (items == NULL)
        return arena_spent(reader->arena, "the message", reader->why);
    if (count > 0)
        memcpy(items, reader->values + mark, count * sizeof(*items));
    reader->values_count = mark;
    *ret_value = (struct value){.kind = VALUE_LIST, .list = {items, count}};
    return ERR_NONE;
}

static enum err read_map(struct otlp_reader *reader, struct str bytes, size_t depth,
                         struct value *ret_value)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    struct attributes pairs = {0};
    size_t mark = reader->attributes_count;

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_BYTES)
            TRY(otlp_push_attribute(reader, field.bytes, depth + 1));
    }
    if (message.broken)
        return otlp_broken(reader, "a map value");
    TRY(otlp_pop_attributes(reader, mark, &pairs));
    *ret_value = (struct value){.kind = VALUE_MAP, .map = {pairs.items, pairs.count}};
    return ERR_NONE;
}

enum err otlp_read_value(struct otlp_reader *reader, struct str bytes, size_t depth,
                         struct value *ret_value)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    *ret_value = (struct value){.kind = VALUE_EMPTY};
    if (depth > OTLP_DEPTH_MAX)
        return fail(reader->why, ERR_INVALID, "a value is nested deeper than %d", OTLP_DEPTH_MAX);
    while (protobuf_next(&message, &field)) { /* Of a oneof the last one counts. */
        bool is_bytes = field.wire == PROTOBUF_BYTES;
        if (field.number == 1 && is_bytes)
            *ret_value = (struct value){.kind = VALUE_TEXT, .text = field.bytes};
        else if (field.number == 2 && field.wire == PROTOBUF_VARINT)
            *ret_value = (struct value){.kind = VALUE_BOOL, .boolean = field.value != 0};
        else if (field.number == 3 && field.wire == PROTOBUF_VARINT)
            *ret_value = (struct value){.kind = VALUE_INTEGER, .integer = (int64_t)field.value};
        else if (field.number == 4 && field.wire == PROTOBUF_FIXED64)
            *ret_value =
                (struct value){.kind = VALUE_DOUBLE, .number = protobuf_double(field.value)};
        else if (field.number == 5 && is_bytes)
            TRY(read_list(reader, field.bytes, depth, ret_value));
        else if (field.number == 6 && is_bytes)
            TRY(read_map(reader, field.bytes, depth, ret_value));
        else if (field.number == 7 && is_bytes)
            *ret_value = (struct value){.kind = VALUE_BYTES, .text = field.bytes};
    }
    return message.broken ? otlp_broken(reader, "a value") : ERR_NONE;
}

enum err otlp_push_attribute(struct otlp_reader *reader, struct str bytes, size_t depth)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    struct attribute attribute = {.key = STR("")};

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_BYTES)
            attribute.key = field.bytes;
        else if (field.number == 2 && field.wire == PROTOBUF_BYTES)
            TRY(otlp_read_value(reader, field.bytes, depth, &attribute.value));
    }
    if (message.broken)
        return otlp_broken(reader, "an attribute");
    *push_attribute(reader) = attribute;
    return ERR_NONE;
}

enum err otlp_read_resource(struct otlp_reader *reader, struct str bytes, struct resource *resource)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t mark = reader->attributes_count;

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_BYTES)
            TRY(otlp_push_attribute(reader, field.bytes, 0));
        else if (field.number == 2 && field.wire == PROTOBUF_VARINT)
            resource->attributes.dropped_count = (uint32_t)field.value;
    }
    if (message.broken)
        return otlp_broken(reader, "a resource");
    TRY(otlp_pop_attributes(reader, mark, &resource->attributes));
    const struct value *name = attributes_get(&resource->attributes, STR("service.name"));
    if (name != NULL && name->kind == VALUE_TEXT && name->text.size > 0)
        resource->service_name = name->text;
    return ERR_NONE;
}

enum err otlp_read_scope(struct otlp_reader *reader, struct str bytes, struct scope *scope)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t mark = reader->attributes_count;

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_BYTES)
            scope->name = field.bytes;
        else if (field.number == 2 && field.wire == PROTOBUF_BYTES)
            scope->version = field.bytes;
        else if (field.number == 3 && field.wire == PROTOBUF_BYTES)
            TRY(otlp_push_attribute(reader, field.bytes, 0));
        else if (field.number == 4 && field.wire == PROTOBUF_VARINT)
            scope->attributes.dropped_count = (uint32_t)field.value;
    }
    if (message.broken)
        return otlp_broken(reader, "a scope");
    return otlp_pop_attributes(reader, mark, &scope->attributes);
}

bool otlp_read_id(struct str bytes, size_t size, uint8_t *ret_id)
{
    uint8_t any = 0;

    if (bytes.size != size)
        return false;
    for (size_t i = 0; i < size; i++)
        any |= (uint8_t)bytes.data[i];
    memcpy(ret_id, bytes.data, size);
    return any != 0;
}

/* ---- Writing. ---- */

static void put_key(struct buf *out, uint32_t number, enum protobuf_wire wire)
{
    buf_varint(out, (uint64_t)number << 3 | (uint64_t)wire);
}

size_t otlp_open(struct buf *out, uint32_t number)
{
    put_key(out, number, PROTOBUF_BYTES);
    (void)buf_reserve(out, OTLP_SIZE_BYTES); /* The place is found again by offset. */
    out->size += OTLP_SIZE_BYTES;
    return out->size;
}

void otlp_close(struct buf *out, size_t place)
{
    size_t size = out->size - place;
    uint8_t *at = (uint8_t *)out->data + place - OTLP_SIZE_BYTES;

    MUST(size < OTLP_SIZE_MAX);
    for (int i = 0; i < OTLP_SIZE_BYTES; i++)
        at[i] = (uint8_t)((size >> (7 * i) & 0x7f) | (i + 1 < OTLP_SIZE_BYTES ? 0x80 : 0));
}

void otlp_put_varint(struct buf *out, uint32_t number, uint64_t value)
{
    put_key(out, number, PROTOBUF_VARINT);
    buf_varint(out, value);
}

void otlp_put_fixed64(struct buf *out, uint32_t number, uint64_t value)
{
    put_key(out, number, PROTOBUF_FIXED64);
    buf_u64(out, value);
}

void otlp_put_fixed32(struct buf *out, uint32_t number, uint32_t value)
{
    put_key(out, number, PROTOBUF_FIXED32);
    buf_u32(out, value);
}

void otlp_put_double(struct buf *out, uint32_t number, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    otlp_put_fixed64(out, number, bits);
}

void otlp_put_bytes(struct buf *out, uint32_t number, struct str bytes)
{
    put_key(out, number, PROTOBUF_BYTES);
    buf_varint(out, bytes.size);
    buf_str(out, bytes);
}

void otlp_put_text(struct buf *out, uint32_t number, struct str text)
{
    if (text.size > 0)
        otlp_put_bytes(out, number, text);
}

static void put_pair(struct buf *out, uint32_t number, const struct attribute *pair)
{
    size_t place = otlp_open(out, number);

    otlp_put_text(out, 1, pair->key);
    otlp_put_value(out, 2, &pair->value);
    otlp_close(out, place);
}

static void put_list(struct buf *out, const struct value *value)
{
    size_t place = otlp_open(out, 5);

    for (size_t i = 0; i < value->list.count; i++)
        otlp_put_value(out, 1, &value->list.items[i]);
    otlp_close(out, place);
}

static void put_map(struct buf *out, const struct value *value)
{
    size_t place = otlp_open(out, 6);

    for (size_t i = 0; i < value->map.count; i++)
        put_pair(out, 1, &value->map.items[i]);
    otlp_close(out, place);
}

void otlp_put_value(struct buf *out, uint32_t number, const struct value *value)
{
    size_t place = otlp_open(out, number);

    switch (value->kind) {
    case VALUE_TEXT:
        otlp_put_bytes(out, 1, value->text);
        break;
    case VALUE_BOOL:
        otlp_put_varint(out, 2, value->boolean);
        break;
    case VALUE_INTEGER:
        otlp_put_varint(out, 3, (uint64_t)value->integer);
        break;
    case VALUE_DOUBLE:
        otlp_put_double(out, 4, value->number);
        break;
    case VALUE_LIST:
        put_list(out, value);
        break;
    case VALUE_MAP:
        put_map(out, value);
        break;
    case VALUE_BYTES:
        otlp_put_bytes(out, 7, value->text);
        break;
    case VALUE_EMPTY:
        break;
    }
    otlp_close(out, place);
}

void otlp_put_attributes(struct buf *out, uint32_t number, uint32_t dropped_number,
                         const struct attributes *attributes)
{
    for (size_t i = 0; i < attributes->count; i++)
        put_pair(out, number, &attributes->items[i]);
    if (attributes->dropped_count > 0)
        otlp_put_varint(out, dropped_number, attributes->dropped_count);
}

void otlp_put_resource(struct buf *out, const struct resource *resource)
{
    size_t place = otlp_open(out, 1);

    otlp_put_attributes(out, 1, 2, &resource->attributes);
    otlp_close(out, place);
}

void otlp_put_scope(struct buf *out, const struct scope *scope)
{
    size_t place = otlp_open(out, 1);

    otlp_put_text(out, 1, scope->name);
    otlp_put_text(out, 2, scope->version);
    otlp_put_attributes(out, 3, 4, &scope->attributes);
    otlp_close(out, place);
}
