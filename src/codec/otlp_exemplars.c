/* SPDX-License-Identifier: Apache-2.0 */
/*   Exemplar { repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2;
 *              double as_double = 3; sfixed64 as_int = 6; bytes span_id = 4; bytes trace_id = 5; }
 */
#include "codec/otlp_exemplars.h"

#include "codec/otlp_names.h"
#include "model/span.h"

#include <stdio.h>

enum { NS_PER_MS = 1000000 };

static enum err spent(struct otlp_reader *reader)
{
    return arena_spent(reader->arena, "the message", reader->why);
}

/* ---- Reading. ---- */

static void add_id(struct exemplar_pairs *pairs, struct str name, struct str bytes, size_t size,
                   char *text)
{
    uint8_t id[TRACE_ID_BYTES];

    if (!otlp_read_id(bytes, size, id))
        return;
    for (size_t i = 0; i < size; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", id[i]); /* Two digits each. */
    exemplar_add_pair(pairs, name, (struct str){text, 2 * size});
}

/* Whatever there is no room for is left out: an exemplar leads to its trace without it. */
static enum err add_attributes(struct otlp_reader *reader, const struct attributes *attributes,
                               struct exemplar_pairs *pairs)
{
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < attributes->count && pairs->count < EXEMPLAR_PAIRS_MAX; i++) {
        buf_clear(&text);
        otlp_label_name(attributes->items[i].key, &text);
        struct str name = arena_str(reader->arena, buf_view(&text));
        buf_clear(&text);
        otlp_label_value(&attributes->items[i].value, &text);
        if (text.size > EXEMPLAR_PAIR_BYTES)
            continue;
        struct str value = arena_str(reader->arena, buf_view(&text));
        if (name.data == NULL || value.data == NULL)
            return spent(reader);
        exemplar_add_pair(pairs, name, value);
    }
    return ERR_NONE;
}

static enum err read_exemplar(struct otlp_reader *reader, struct str bytes,
                              struct exemplar *ret_exemplar)
{
    struct protobuf message = protobuf_of(bytes);
    struct str span_id = STR("");
    struct str trace_id = STR("");
    char texts[2][2 * TRACE_ID_BYTES + 1];
    struct exemplar_pairs pairs = {0};
    struct attributes attributes;
    struct protobuf_field field;
    size_t mark = reader->attributes_count;

    *ret_exemplar = (struct exemplar){0};
    while (protobuf_next(&message, &field)) {
        if (field.number == 2 && field.wire == PROTOBUF_FIXED64)
            ret_exemplar->time_ms = otlp_time(field.value) / NS_PER_MS;
        else if (field.number == 3 && field.wire == PROTOBUF_FIXED64)
            ret_exemplar->value = protobuf_double(field.value);
        else if (field.number == 6 && field.wire == PROTOBUF_FIXED64)
            ret_exemplar->value = (double)(int64_t)field.value;
        else if (field.number == 4 && field.wire == PROTOBUF_BYTES)
            span_id = field.bytes;
        else if (field.number == 5 && field.wire == PROTOBUF_BYTES)
            trace_id = field.bytes;
        else if (field.number == 7 && field.wire == PROTOBUF_BYTES)
            TRY(otlp_push_attribute(reader, field.bytes, 0));
    }
    if (message.broken)
        return otlp_broken(reader, "an exemplar");
    TRY(otlp_pop_attributes(reader, mark, &attributes));
    add_id(&pairs, EXEMPLAR_TRACE_ID, trace_id, TRACE_ID_BYTES, texts[0]);
    add_id(&pairs, EXEMPLAR_SPAN_ID, span_id, SPAN_ID_BYTES, texts[1]);
    TRY(add_attributes(reader, &attributes, &pairs));
    return exemplar_keep_pairs(ret_exemplar, &pairs, reader->arena) ? ERR_NONE : spent(reader);
}

enum err otlp_read_exemplars(struct otlp_reader *reader, struct str point, uint32_t number,
                             struct exemplar **ret_items, size_t *ret_count)
{
    struct protobuf message = protobuf_of(point);
    struct protobuf_field field;
    size_t count = 0;

    *ret_items = NULL;
    while (protobuf_next(&message, &field))
        count += field.number == number && field.wire == PROTOBUF_BYTES;
    if (count > OTLP_EXEMPLARS_MAX)
        count = OTLP_EXEMPLARS_MAX;
    *ret_count = count;
    if (count == 0)
        return ERR_NONE;
    *ret_items = ARENA_ARRAY(reader->arena, count, struct exemplar);
    if (*ret_items == NULL)
        return spent(reader);
    message = protobuf_of(point);
    for (size_t i = 0; i < count && protobuf_next(&message, &field);) {
        if (field.number == number && field.wire == PROTOBUF_BYTES)
            TRY(read_exemplar(reader, field.bytes, &(*ret_items)[i++]));
    }
    return ERR_NONE;
}

/* ---- Writing. ---- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* False: it is no id of that size. */
static bool put_id(struct buf *out, uint32_t number, struct str text, size_t size)
{
    char id[TRACE_ID_BYTES];

    if (text.size != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = digit(text.data[2 * i]);
        int low = digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        id[i] = (char)(high << 4 | low);
    }
    otlp_put_bytes(out, number, (struct str){id, size});
    return true;
}

static bool put_as_id(struct buf *out, const struct label *pair)
{
    if (str_eq(pair->name, EXEMPLAR_TRACE_ID))
        return put_id(out, 5, pair->value, TRACE_ID_BYTES);
    return str_eq(pair->name, EXEMPLAR_SPAN_ID) && put_id(out, 4, pair->value, SPAN_ID_BYTES);
}

static void put_pair(struct buf *out, const struct label *pair)
{
    const struct value value = {.kind = VALUE_TEXT, .text = pair->value};
    size_t place = otlp_open(out, 7);

    otlp_put_bytes(out, 1, pair->name);
    otlp_put_value(out, 2, &value);
    otlp_close(out, place);
}

void otlp_put_exemplar(struct buf *out, uint32_t number, const struct exemplar *exemplar)
{
    size_t place = otlp_open(out, number);

    otlp_put_fixed64(out, 2, exemplar->time_ms <= 0 ? 0 : (uint64_t)exemplar->time_ms * NS_PER_MS);
    otlp_put_double(out, 3, exemplar->value);
    for (size_t i = 0; i < exemplar->pairs_count; i++) {
        if (!put_as_id(out, &exemplar->pairs[i]))
            put_pair(out, &exemplar->pairs[i]);
    }
    otlp_close(out, place);
}
