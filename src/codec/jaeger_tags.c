/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes become tags. Lists and maps have no type in Jaeger: its collector writes them as the
 * text of their JSON, in the way of Go, so this does the same byte for byte: keys in order, bytes
 * in base64, and the signs that HTML knows escaped. */
#include "codec/jaeger_priv.h"

#include <stdio.h>
#include <stdlib.h>

#define DERIVED_MAX 8 /* Tags that are made of a span's own fields. */

/* ---- Values. ---- */

void jaeger_base64(struct buf *out, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes.size; i += 3) {
        uint8_t three[3] = {0};
        size_t count = bytes.size - i < 3 ? bytes.size - i : 3;
        memcpy(three, bytes.data + i, count);
        char four[4] = {digits[three[0] >> 2], digits[(three[0] & 3) << 4 | three[1] >> 4],
                        digits[(three[1] & 15) << 2 | three[2] >> 6], digits[three[2] & 63]};
        for (size_t k = count + 1; k < sizeof(four); k++)
            four[k] = '=';
        buf_append(out, four, sizeof(four));
    }
}

static int by_key(const void *a, const void *b)
{
    const struct attribute *const *left = a;
    const struct attribute *const *right = b;

    return str_compare((*left)->key, (*right)->key);
}

static void write_value(struct json *json, const struct value *value);

static void write_map(struct json *json, const struct value *value)
{
    const struct attribute **sorted = malloc((value->map.count + 1) * sizeof(*sorted));

    if (sorted == NULL)
        must_memory(value->map.count * sizeof(*sorted));
    for (size_t i = 0; i < value->map.count; i++)
        sorted[i] = &value->map.items[i];
    qsort(sorted, value->map.count, sizeof(*sorted), by_key);
    json_open(json, '{');
    for (size_t i = 0; i < value->map.count; i++) {
        json_key_str(json, sorted[i]->key);
        write_value(json, &sorted[i]->value);
    }
    json_close(json, '}');
    free(sorted);
}

static void write_value(struct json *json, const struct value *value)
{
    struct buf bytes CLEANUP(buf_done) = {0};

    switch (value->kind) {
    case VALUE_TEXT:
        json_add_str(json, value->text);
        break;
    case VALUE_BYTES:
        jaeger_base64(&bytes, value->text);
        json_add_str(json, buf_view(&bytes));
        break;
    case VALUE_BOOL:
        json_add_bool(json, value->boolean);
        break;
    case VALUE_INTEGER:
        json_add_i64(json, value->integer);
        break;
    case VALUE_DOUBLE:
        json_add_double(json, value->number);
        break;
    case VALUE_LIST:
        json_open(json, '[');
        for (size_t i = 0; i < value->list.count; i++)
            write_value(json, &value->list.items[i]);
        json_close(json, ']');
        break;
    case VALUE_MAP:
        write_map(json, value);
        break;
    case VALUE_EMPTY:
        json_add_null(json);
        break;
    }
}

/* '<', '>' and '&' stand only within strings there. */
static enum err json_text(const struct value *value, struct arena *arena, struct str *ret_text,
                          struct why *why)
{
    struct buf plain CLEANUP(buf_done) = {0};
    struct buf escaped CLEANUP(buf_done) = {0};
    struct json json = json_begin(&plain);

    write_value(&json, value);
    for (size_t i = 0; i < plain.size; i++) {
        char c = plain.data[i];
        if (c == '<' || c == '>' || c == '&')
            buf_printf(&escaped, "\\u%04x", (unsigned)c);
        else
            buf_byte(&escaped, (uint8_t)c);
    }
    *ret_text = arena_str(arena, buf_view(&escaped));
    return ret_text->data == NULL ? arena_spent(arena, "a trace for Jaeger", why) : ERR_NONE;
}

static enum err read_tag(const struct attribute *attribute, struct arena *arena,
                         struct jaeger_tag *tag, struct why *why)
{
    const struct value *value = &attribute->value;

    *tag = (struct jaeger_tag){.key = attribute->key, .text = STR("")};
    switch (value->kind) {
    case VALUE_TEXT:
        tag->text = value->text;
        break;
    case VALUE_BYTES:
        tag->type = JAEGER_BINARY;
        tag->text = value->text;
        break;
    case VALUE_BOOL:
        tag->type = JAEGER_BOOL;
        tag->boolean = value->boolean;
        break;
    case VALUE_INTEGER:
        tag->type = JAEGER_INT64;
        tag->integer = value->integer;
        break;
    case VALUE_DOUBLE:
        tag->type = JAEGER_FLOAT64;
        tag->number = value->number;
        break;
    case VALUE_LIST:
    case VALUE_MAP:
        return json_text(value, arena, &tag->text, why);
    case VALUE_EMPTY:
        break;
    }
    return ERR_NONE;
}

enum err jaeger_tag_text(const struct jaeger_tag *tag, struct arena *arena, struct str *ret_text,
                         struct why *why)
{
    char *text = NULL;

    switch (tag->type) {
    case JAEGER_STRING:
        *ret_text = tag->text;
        return ERR_NONE;
    case JAEGER_BOOL:
        *ret_text = tag->boolean ? STR("true") : STR("false");
        return ERR_NONE;
    case JAEGER_INT64:
        text = arena_printf(arena, "%lld", (long long)tag->integer);
        break;
    case JAEGER_FLOAT64:
        text = arena_printf(arena, "%.10g", tag->number);
        break;
    case JAEGER_BINARY:
        text = arena_alloc(arena, 2 * tag->text.size + 1);
        for (size_t i = 0; text != NULL && i < tag->text.size; i++)
            (void)snprintf(text + 2 * i, 3, "%02x", (uint8_t)tag->text.data[i]); /* Two digits. */
        break;
    }
    if (text == NULL)
        return arena_spent(arena, "a tag as text", why);
    *ret_text = str_of(text);
    return ERR_NONE;
}

/* ---- Tags of a set of attributes, in order. ---- */

static enum err read_into(const struct attributes *attributes, struct arena *arena,
                          struct jaeger_tags *tags, struct why *why)
{
    for (size_t i = 0; i < attributes->count; i++)
        TRY(read_tag(&attributes->items[i], arena, &tags->items[tags->count++], why));
    return ERR_NONE;
}

enum err jaeger_tags_read(const struct attributes *attributes, struct arena *arena,
                          struct jaeger_tags *ret_tags, struct why *why)
{
    struct jaeger_tags tags = {ARENA_ARRAY(arena, attributes->count, struct jaeger_tag), 0};

    if (tags.items == NULL)
        return arena_spent(arena, "a trace for Jaeger", why);
    TRY(read_into(attributes, arena, &tags, why));
    *ret_tags = tags;
    return ERR_NONE;
}

static int compare_tags(const struct jaeger_tag *a, const struct jaeger_tag *b)
{
    int order = str_compare(a->key, b->key);

    if (order == 0)
        order = (a->type > b->type) - (a->type < b->type);
    if (order != 0)
        return order;
    switch (a->type) {
    case JAEGER_STRING:
    case JAEGER_BINARY:
        return str_compare(a->text, b->text);
    case JAEGER_BOOL:
        return a->boolean - b->boolean;
    case JAEGER_INT64:
        return (a->integer > b->integer) - (a->integer < b->integer);
    case JAEGER_FLOAT64:
        return (a->number > b->number) - (a->number < b->number);
    }
    return 0;
}

static int by_tag(const void *a, const void *b)
{
    return compare_tags(a, b);
}

void jaeger_tags_sort(struct jaeger_tags *tags)
{
    if (tags->count > 1)
        qsort(tags->items, tags->count, sizeof(*tags->items), by_tag);
}

int jaeger_tags_compare(const struct jaeger_tags *a, const struct jaeger_tags *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = compare_tags(&a->items[i], &b->items[i]);
        if (order != 0)
            return order;
    }
    return (a->count > b->count) - (a->count < b->count);
}

/* ---- A span. ---- */

struct str jaeger_kind(enum span_kind kind)
{
    static const struct str kinds[] = {STR(""),       STR("internal"), STR("server"),
                                       STR("client"), STR("producer"), STR("consumer")};

    return kinds[kind];
}

static void add_text(struct jaeger_tags *tags, struct str key, struct str text)
{
    if (text.size > 0)
        tags->items[tags->count++] = (struct jaeger_tag){.key = key, .text = text};
}

static enum err read_span_tags(const struct span *span, struct arena *arena,
                               struct jaeger_tags *ret_tags, struct why *why)
{
    struct jaeger_tags tags = {
        ARENA_ARRAY(arena, span->attributes.count + DERIVED_MAX, struct jaeger_tag), 0};

    if (tags.items == NULL)
        return arena_spent(arena, "a trace for Jaeger", why);
    if (span->scope != NULL) {
        add_text(&tags, STR("otel.scope.name"), span->scope->name);
        add_text(&tags, STR("otel.scope.version"), span->scope->version);
    }
    TRY(read_into(&span->attributes, arena, &tags, why));
    add_text(&tags, STR("span.kind"), jaeger_kind(span->kind));
    if (span->status != SPAN_STATUS_UNSET)
        add_text(&tags, STR("otel.status_code"),
                 span->status == SPAN_STATUS_ERROR ? STR("ERROR") : STR("OK"));
    if (span->status == SPAN_STATUS_ERROR)
        tags.items[tags.count++] =
            (struct jaeger_tag){.key = STR("error"), .type = JAEGER_BOOL, .boolean = true};
    add_text(&tags, STR("otel.status_description"), span->status_message);
    add_text(&tags, STR("w3c.tracestate"), span->trace_state);
    *ret_tags = tags;
    return ERR_NONE;
}

static bool link_is_child_of(const struct span_link *link)
{
    const struct value *type = attributes_get(&link->attributes, STR("opentracing.ref_type"));

    return type != NULL && type->kind == VALUE_TEXT && str_eq(type->text, STR("child_of"));
}

/* The parent first, unless a link names it: then with the link's type. */
static enum err read_references(const struct span *span, struct arena *arena,
                                struct jaeger_span *out, struct why *why)
{
    uint64_t parent = jaeger_span_id(span->parent_span_id);

    out->references = ARENA_ARRAY(arena, span->link_count + 1, struct jaeger_reference);
    if (out->references == NULL)
        return arena_spent(arena, "a trace for Jaeger", why);
    if (parent != 0)
        out->references[out->references_count++] =
            (struct jaeger_reference){span->trace_id, parent, true};
    for (size_t i = 0; i < span->link_count; i++) {
        const struct span_link *link = &span->links[i];
        uint64_t id = jaeger_span_id(link->span_id);
        bool is_own = memcmp(link->trace_id, span->trace_id, TRACE_ID_BYTES) == 0;
        if (parent != 0 && is_own && id == parent)
            out->references[0].is_child_of = link_is_child_of(link);
        else
            out->references[out->references_count++] =
                (struct jaeger_reference){link->trace_id, id, link_is_child_of(link)};
    }
    return ERR_NONE;
}

static enum err read_log(const struct span_event *event, struct arena *arena,
                         struct jaeger_log *log, struct why *why)
{
    struct jaeger_tags fields = {ARENA_ARRAY(arena, event->attributes.count + 1, struct jaeger_tag),
                                 0};

    if (fields.items == NULL)
        return arena_spent(arena, "a trace for Jaeger", why);
    if (attributes_get(&event->attributes, STR("event")) == NULL)
        add_text(&fields, STR("event"), event->name);
    TRY(read_into(&event->attributes, arena, &fields, why));
    *log = (struct jaeger_log){event->time_ns, fields};
    return ERR_NONE;
}

enum err jaeger_span_read(const struct span *span, struct arena *arena,
                          struct jaeger_span *ret_span, struct why *why)
{
    struct jaeger_span out = {.span = span, .id = jaeger_span_id(span->span_id)};

    TRY(read_span_tags(span, arena, &out.tags, why));
    TRY(read_references(span, arena, &out, why));
    out.logs = ARENA_ARRAY(arena, span->event_count, struct jaeger_log);
    if (out.logs == NULL)
        return arena_spent(arena, "a trace for Jaeger", why);
    for (size_t i = 0; i < span->event_count; i++)
        TRY(read_log(&span->events[i], arena, &out.logs[i], why));
    *ret_span = out;
    return ERR_NONE;
}

/* ---- Asking for a tag. ---- */

static enum err tags_have(const struct jaeger_tags *tags, struct str key, struct str value,
                          struct arena *arena, bool *has, struct why *why)
{
    for (size_t i = 0; i < tags->count && !*has; i++) {
        struct str text = STR_NONE;
        if (!str_eq(tags->items[i].key, key))
            continue;
        TRY(jaeger_tag_text(&tags->items[i], arena, &text, why));
        *has = str_eq(text, value);
    }
    return ERR_NONE;
}

enum err jaeger_has_tag(const struct span *span, struct str key, struct str value,
                        struct arena *arena, bool *ret_has, struct why *why)
{
    struct jaeger_span read;
    struct jaeger_tags process;
    bool has = false;

    TRY(jaeger_span_read(span, arena, &read, why));
    TRY(tags_have(&read.tags, key, value, arena, &has, why));
    if (!has) {
        TRY(jaeger_tags_read(&span->resource->attributes, arena, &process, why));
        TRY(tags_have(&process, key, value, arena, &has, why));
    }
    for (size_t i = 0; i < span->event_count && !has; i++)
        TRY(tags_have(&read.logs[i].fields, key, value, arena, &has, why));
    *ret_has = has;
    return ERR_NONE;
}

bool jaeger_is_own_tag(struct str key)
{
    static const struct str keys[] = {
        STR("span.kind"),
        STR("otel.status_code"),
        STR("error"),
        STR("w3c.tracestate"),
        STR("otel.scope.version"),
        STR("otel.status_description"),
        STR("otel.scope.name"),
        STR("event"),
        STR("message"),
        STR("level"),
        STR("stack"),
        STR("error.kind"),
        STR("error.object"),
    };

    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (str_eq(keys[i], key))
            return true;
    }
    return str_starts(key, STR("exception."));
}
