/* SPDX-License-Identifier: Apache-2.0 */
/* Thrift's binary protocol: a struct is fields of | type u8 | id i16 | value |, ended by a type of
 * 0; a list is | type u8 | count i32 | items |; text is | size i32 | bytes |; numbers are
 * big-endian.
 *
 *   Batch   { 1: Process process, 2: list<Span> spans }
 *   Process { 1: text serviceName, 2: list<Tag> tags }
 *   Tag     { 1: text key, 2: i32 type, 3: text, 4: double, 5: bool, 6: i64, 7: binary }
 *   Span    { 1: i64 traceIdLow, 2: i64 traceIdHigh, 3: i64 spanId, 4: i64 parentSpanId,
 *             5: text operationName, 6: list<SpanRef> references, 7: i32 flags,
 *             8: i64 startTime (µs), 9: i64 duration (µs), 10: list<Tag> tags, 11: list<Log> logs }
 *   SpanRef { 1: i32 type, 2: i64 traceIdLow, 3: i64 traceIdHigh, 4: i64 spanId }
 *   Log     { 1: i64 timestamp (µs), 2: list<Tag> fields }
 *
 * A list's count is believed only as far as there are bytes for its items. */
#include "codec/jaeger_thrift.h"

#include "codec/otlp.h"

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_BOOL = 2,
    THRIFT_BYTE = 3,
    THRIFT_DOUBLE = 4,
    THRIFT_I16 = 6,
    THRIFT_I32 = 8,
    THRIFT_I64 = 10,
    THRIFT_TEXT = 11,
    THRIFT_STRUCT = 12,
    THRIFT_MAP = 13,
    THRIFT_SET = 14,
    THRIFT_LIST = 15,
};

struct thrift {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *begin;
    bool broken;
    struct batch *out;
    struct why *why;
};

struct field {
    enum thrift_type type;
    int id;
};

static enum err broken(const struct thrift *thrift)
{
    enum err err = fail_at(thrift->why, ERR_INVALID, (int32_t)(thrift->at - thrift->begin),
                           "the message is no Batch of jaeger.thrift: it is broken at byte %td",
                           thrift->at - thrift->begin);

    hint(thrift->why, "send Thrift's binary protocol (TBinaryProtocol)");
    return err;
}

static enum err spent(const struct thrift *thrift)
{
    return arena_spent(thrift->out->arena, "a message of Jaeger's", thrift->why);
}

/* ---- Values. ---- */

/* A number of `size` bytes; 0 when there are not so many. */
static uint64_t take(struct thrift *thrift, size_t size)
{
    uint64_t value = 0;

    if ((size_t)(thrift->end - thrift->at) < size) {
        thrift->broken = true;
        thrift->at = thrift->end;
        return 0;
    }
    for (size_t i = 0; i < size; i++)
        value = value << 8 | *thrift->at++;
    return value;
}

static struct str take_text(struct thrift *thrift)
{
    size_t size = (size_t)take(thrift, 4);

    if (size > (size_t)(thrift->end - thrift->at)) {
        thrift->broken = true;
        size = 0;
    }
    struct str text = {(const char *)thrift->at, size};
    thrift->at += size;
    return text;
}

static double take_double(struct thrift *thrift)
{
    uint64_t bits = take(thrift, 8);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* False at the end of the struct, and when the message is broken. */
static bool next_field(struct thrift *thrift, struct field *field)
{
    field->type = (enum thrift_type)take(thrift, 1);
    if (thrift->broken || field->type == THRIFT_STOP)
        return false;
    field->id = (int)take(thrift, 2);
    return !thrift->broken;
}

/* The items of a list of structs; each has at least its end, one byte. */
static size_t take_list(struct thrift *thrift)
{
    uint64_t type = take(thrift, 1);
    uint64_t count = take(thrift, 4);

    if (count > 0 && (type != THRIFT_STRUCT || count > (uint64_t)(thrift->end - thrift->at))) {
        thrift->broken = true;
        return 0;
    }
    return (size_t)count;
}

static void skip(struct thrift *thrift, enum thrift_type type, unsigned depth);

static void skip_items(struct thrift *thrift, enum thrift_type first, enum thrift_type second,
                       unsigned depth)
{
    uint64_t count = take(thrift, 4);

    /* Each item takes a byte at least, so the loop ends with the message. */
    for (uint64_t i = 0; i < count && !thrift->broken; i++) {
        skip(thrift, first, depth);
        if (second != THRIFT_STOP)
            skip(thrift, second, depth);
    }
}

static void skip_struct(struct thrift *thrift, unsigned depth)
{
    struct field field;

    while (next_field(thrift, &field))
        skip(thrift, field.type, depth);
}

static void skip(struct thrift *thrift, enum thrift_type type, unsigned depth)
{
    enum thrift_type first;

    if (depth == JAEGER_THRIFT_DEPTH_MAX) {
        thrift->broken = true;
        return;
    }
    switch (type) {
    case THRIFT_BOOL:
    case THRIFT_BYTE:
        (void)take(thrift, 1);
        break;
    case THRIFT_I16:
        (void)take(thrift, 2);
        break;
    case THRIFT_I32:
        (void)take(thrift, 4);
        break;
    case THRIFT_I64:
    case THRIFT_DOUBLE:
        (void)take(thrift, 8);
        break;
    case THRIFT_TEXT:
        (void)take_text(thrift);
        break;
    case THRIFT_STRUCT:
        skip_struct(thrift, depth + 1);
        break;
    case THRIFT_MAP:
        first = (enum thrift_type)take(thrift, 1);
        skip_items(thrift, first, (enum thrift_type)take(thrift, 1), depth + 1);
        break;
    case THRIFT_SET:
    case THRIFT_LIST:
        first = (enum thrift_type)take(thrift, 1);
        skip_items(thrift, first, THRIFT_STOP, depth + 1);
        break;
    case THRIFT_STOP:
    default:
        thrift->broken = true;
        break;
    }
}

/* ---- Tags. ---- */

enum tag_type { TAG_TEXT, TAG_DOUBLE, TAG_BOOL, TAG_LONG, TAG_BINARY };

static void read_tag(struct thrift *thrift, struct attribute *tag)
{
    static const enum value_kind kinds[] = {VALUE_TEXT, VALUE_DOUBLE, VALUE_BOOL, VALUE_INTEGER,
                                            VALUE_BYTES};
    struct field field;
    uint64_t type = TAG_TEXT;
    struct str text = STR("");
    struct str bytes = STR("");
    double number = 0;
    int64_t integer = 0;
    bool boolean = false;

    tag->key = STR("");
    while (next_field(thrift, &field)) {
        if (field.id == 1 && field.type == THRIFT_TEXT)
            tag->key = take_text(thrift);
        else if (field.id == 2 && field.type == THRIFT_I32)
            type = take(thrift, 4);
        else if (field.id == 3 && field.type == THRIFT_TEXT)
            text = take_text(thrift);
        else if (field.id == 4 && field.type == THRIFT_DOUBLE)
            number = take_double(thrift);
        else if (field.id == 5 && field.type == THRIFT_BOOL)
            boolean = take(thrift, 1) != 0;
        else if (field.id == 6 && field.type == THRIFT_I64)
            integer = (int64_t)take(thrift, 8);
        else if (field.id == 7 && field.type == THRIFT_TEXT)
            bytes = take_text(thrift);
        else
            skip(thrift, field.type, 0);
    }
    tag->value.kind = type < ARRAY_COUNT(kinds) ? kinds[type] : VALUE_TEXT;
    switch (tag->value.kind) {
    case VALUE_DOUBLE:
        tag->value.number = number;
        break;
    case VALUE_BOOL:
        tag->value.boolean = boolean;
        break;
    case VALUE_INTEGER:
        tag->value.integer = integer;
        break;
    default:
        tag->value.text = tag->value.kind == VALUE_BYTES ? bytes : text;
        break;
    }
}

/* The list's tags, behind the `before` that the caller wants to put first. */
static enum err read_tags(struct thrift *thrift, size_t before, struct attributes *ret_tags)
{
    size_t count = take_list(thrift);
    size_t kept = count < OTLP_ATTRIBUTES_MAX ? count : OTLP_ATTRIBUTES_MAX;
    struct attribute *items = ARENA_ARRAY(thrift->out->arena, before + kept, struct attribute);
    struct attribute over;

    if (items == NULL)
        return spent(thrift);
    for (size_t i = 0; i < count && !thrift->broken; i++)
        read_tag(thrift, i < kept ? &items[before + i] : &over);
    *ret_tags = (struct attributes){items, before + kept, (uint32_t)(count - kept)};
    return ERR_NONE;
}

/* ---- What the tags say of the span itself. ---- */

struct told {
    struct str kind, status, description, state, scope, version;
    bool failed;
};

static struct str *place_of(struct told *told, struct str key)
{
    const struct {
        struct str key;
        struct str *place;
    } places[] = {
        {STR("span.kind"), &told->kind},
        {STR("otel.status_code"), &told->status},
        {STR("otel.status_description"), &told->description},
        {STR("w3c.tracestate"), &told->state},
        {STR("otel.scope.name"), &told->scope},
        {STR("otel.library.name"), &told->scope},
        {STR("otel.scope.version"), &told->version},
        {STR("otel.library.version"), &told->version},
    };

    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        if (str_eq(places[i].key, key))
            return places[i].place;
    }
    return NULL;
}

static enum span_kind kind_of(struct str name)
{
    static const struct str names[] = {STR("internal"), STR("server"), STR("client"),
                                       STR("producer"), STR("consumer")};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_eq(names[i], name))
            return (enum span_kind)(SPAN_KIND_INTERNAL + i);
    }
    return SPAN_KIND_UNSPECIFIED;
}

static enum err apply_told(const struct thrift *thrift, const struct told *told, struct span *span)
{
    span->kind = kind_of(told->kind);
    span->status_message = told->description;
    span->trace_state = told->state;
    if (str_eq(told->status, STR("OK")))
        span->status = SPAN_STATUS_OK;
    if (told->failed || str_eq(told->status, STR("ERROR")))
        span->status = SPAN_STATUS_ERROR;
    if (told->scope.size == 0)
        return ERR_NONE;
    struct scope *scope = ARENA_NEW(thrift->out->arena, struct scope);
    if (scope == NULL)
        return spent(thrift);
    scope->name = told->scope;
    scope->version = told->version;
    scope->schema_url = STR("");
    span->scope = scope;
    return ERR_NONE;
}

/* Takes those tags out that stand for fields of the span. */
static enum err sort_tags(const struct thrift *thrift, struct span *span)
{
    struct told told = {STR(""), STR(""), STR(""), STR(""), STR(""), STR(""), false};
    struct attribute *items = (struct attribute *)span->attributes.items; /* Our own array. */
    size_t kept = 0;

    for (size_t i = 0; i < span->attributes.count; i++) {
        const struct value *value = &items[i].value;
        struct str *place = value->kind == VALUE_TEXT ? place_of(&told, items[i].key) : NULL;
        bool error =
            value->kind == VALUE_BOOL && value->boolean && str_eq(items[i].key, STR("error"));
        if (place != NULL)
            *place = value->text;
        else if (error)
            told.failed = true;
        else
            items[kept++] = items[i];
    }
    span->attributes.count = kept;
    return apply_told(thrift, &told, span);
}

/* ---- Logs and references. ---- */

static int64_t micros(uint64_t value)
{
    return value > (uint64_t)INT64_MAX / 2000 ? 0 : (int64_t)value * 1000;
}

static enum err read_log(struct thrift *thrift, struct span_event *event)
{
    struct field field;

    event->name = STR("");
    while (next_field(thrift, &field)) {
        if (field.id == 1 && field.type == THRIFT_I64)
            event->time_ns = micros(take(thrift, 8));
        else if (field.id == 2 && field.type == THRIFT_LIST)
            TRY(read_tags(thrift, 0, &event->attributes));
        else
            skip(thrift, field.type, 0);
    }
    struct attribute *items = (struct attribute *)event->attributes.items; /* Our own array. */
    for (size_t i = 0; i < event->attributes.count; i++) {
        if (items[i].value.kind != VALUE_TEXT || !str_eq(items[i].key, STR("event")))
            continue;
        event->name = items[i].value.text;
        memmove(items + i, items + i + 1, (event->attributes.count - i - 1) * sizeof(*items));
        event->attributes.count--;
        break;
    }
    return ERR_NONE;
}

static enum err read_logs(struct thrift *thrift, struct span *span)
{
    size_t count = take_list(thrift);
    size_t kept = count < OTLP_EVENTS_MAX ? count : OTLP_EVENTS_MAX;
    struct span_event *events = ARENA_ARRAY(thrift->out->arena, kept, struct span_event);

    if (events == NULL)
        return spent(thrift);
    span->events = events;
    span->event_count = 0; /* A field that comes twice counts once. */
    for (size_t i = 0; i < count && !thrift->broken; i++) {
        if (i < kept)
            TRY(read_log(thrift, &events[span->event_count++]));
        else
            skip_struct(thrift, 0);
    }
    span->dropped_event_count = (uint32_t)(count - kept);
    return ERR_NONE;
}

static void put_id(uint8_t *id, uint64_t value)
{
    for (size_t i = 8; i-- > 0; value >>= 8)
        id[i] = (uint8_t)value;
}

static enum err read_reference(struct thrift *thrift, struct span_link *link)
{
    static const struct attribute types[] = {
        {STR("opentracing.ref_type"), {.kind = VALUE_TEXT, .text = STR("child_of")}},
        {STR("opentracing.ref_type"), {.kind = VALUE_TEXT, .text = STR("follows_from")}}};
    struct field field;
    uint64_t type = 0;

    while (next_field(thrift, &field)) {
        if (field.id == 1 && field.type == THRIFT_I32)
            type = take(thrift, 4);
        else if (field.id == 2 && field.type == THRIFT_I64)
            put_id(link->trace_id + 8, take(thrift, 8));
        else if (field.id == 3 && field.type == THRIFT_I64)
            put_id(link->trace_id, take(thrift, 8));
        else if (field.id == 4 && field.type == THRIFT_I64)
            put_id(link->span_id, take(thrift, 8));
        else
            skip(thrift, field.type, 0);
    }
    link->trace_state = STR("");
    link->attributes = (struct attributes){&types[type != 0], 1, 0};
    return ERR_NONE;
}

static enum err read_references(struct thrift *thrift, struct span *span)
{
    size_t count = take_list(thrift);
    size_t kept = count < OTLP_LINKS_MAX ? count : OTLP_LINKS_MAX;
    struct span_link *links = ARENA_ARRAY(thrift->out->arena, kept, struct span_link);

    if (links == NULL)
        return spent(thrift);
    span->links = links;
    span->link_count = 0; /* A field that comes twice counts once. */
    for (size_t i = 0; i < count && !thrift->broken; i++) {
        if (i < kept)
            TRY(read_reference(thrift, &links[span->link_count++]));
        else
            skip_struct(thrift, 0);
    }
    span->dropped_link_count = (uint32_t)(count - kept);
    return ERR_NONE;
}

/* The first reference to a parent within the trace is the parent itself, not a link. */
static void take_parent(struct span *span)
{
    static const uint8_t none[SPAN_ID_BYTES];
    struct span_link *links = (struct span_link *)span->links; /* Our own array. */

    for (size_t i = 0; i < span->link_count; i++) {
        bool child_of = str_eq(links[i].attributes.items[0].value.text, STR("child_of"));
        bool has_parent = memcmp(span->parent_span_id, none, SPAN_ID_BYTES) != 0;
        if (!child_of || memcmp(links[i].trace_id, span->trace_id, TRACE_ID_BYTES) != 0 ||
            (has_parent && memcmp(links[i].span_id, span->parent_span_id, SPAN_ID_BYTES) != 0))
            continue;
        memcpy(span->parent_span_id, links[i].span_id, SPAN_ID_BYTES);
        memmove(links + i, links + i + 1, (span->link_count - i - 1) * sizeof(*links));
        span->link_count--;
        return;
    }
}

/* ---- A span, the process, the batch. ---- */

/* The fields that are no lists; false: another one. */
static bool read_own_field(struct thrift *thrift, const struct field *field, struct span *span,
                           int64_t *duration_ns)
{
    if (field->id == 5 && field->type == THRIFT_TEXT)
        span->name = take_text(thrift);
    else if (field->id == 7 && field->type == THRIFT_I32)
        span->flags = (uint32_t)take(thrift, 4) & 1;
    else if (field->type != THRIFT_I64)
        return false;
    else if (field->id == 1)
        put_id(span->trace_id + 8, take(thrift, 8));
    else if (field->id == 2)
        put_id(span->trace_id, take(thrift, 8));
    else if (field->id == 3)
        put_id(span->span_id, take(thrift, 8));
    else if (field->id == 4)
        put_id(span->parent_span_id, take(thrift, 8));
    else if (field->id == 8)
        span->start_ns = micros(take(thrift, 8));
    else if (field->id == 9)
        *duration_ns = micros(take(thrift, 8));
    else
        return false;
    return true;
}

static enum err read_span(struct thrift *thrift, struct span *span)
{
    struct field field;
    int64_t duration_ns = 0;

    *span = (struct span){.name = STR(""), .status_message = STR(""), .trace_state = STR("")};
    while (next_field(thrift, &field)) {
        if (read_own_field(thrift, &field, span, &duration_ns))
            continue;
        if (field.id == 6 && field.type == THRIFT_LIST)
            TRY(read_references(thrift, span));
        else if (field.id == 10 && field.type == THRIFT_LIST)
            TRY(read_tags(thrift, 0, &span->attributes));
        else if (field.id == 11 && field.type == THRIFT_LIST)
            TRY(read_logs(thrift, span));
        else
            skip(thrift, field.type, 0);
    }
    span->end_ns = span->start_ns + duration_ns;
    take_parent(span);
    return sort_tags(thrift, span);
}

static enum err read_process(struct thrift *thrift, struct resource *resource)
{
    struct field field;

    while (next_field(thrift, &field)) {
        if (field.id == 1 && field.type == THRIFT_TEXT)
            resource->service_name = take_text(thrift);
        else if (field.id == 2 && field.type == THRIFT_LIST)
            TRY(read_tags(thrift, 1, &resource->attributes));
        else
            skip(thrift, field.type, 0);
    }
    return ERR_NONE;
}

/* Its name is an attribute, too, and the first one. */
static enum err name_resource(const struct thrift *thrift, struct resource *resource)
{
    struct attribute *items = (struct attribute *)resource->attributes.items; /* Our own array. */

    if (resource->service_name.size == 0)
        resource->service_name = STR("unknown_service");
    if (items == NULL) {
        items = ARENA_NEW(thrift->out->arena, struct attribute);
        if (items == NULL)
            return spent(thrift);
        resource->attributes = (struct attributes){items, 1, 0};
    }
    items[0] = (struct attribute){STR("service.name"),
                                  {.kind = VALUE_TEXT, .text = resource->service_name}};
    return ERR_NONE;
}

static enum err keep_span(struct thrift *thrift, struct span *span, const struct resource *resource)
{
    static const uint8_t none[TRACE_ID_BYTES];
    struct why row_why = WHY_INIT;
    struct span *kept;

    span->resource = resource;
    if (memcmp(span->trace_id, none, TRACE_ID_BYTES) == 0 ||
        memcmp(span->span_id, none, SPAN_ID_BYTES) == 0) {
        (void)fail(&row_why, ERR_INVALID, "a span has no id"); /* Told below. */
        batch_reject(thrift->out, 1, &row_why);
        return ERR_NONE;
    }
    TRY(otlp_llm_read(span, thrift->out->arena, &span->llm, thrift->why));
    TRY(batch_span(thrift->out, &kept, thrift->why));
    *kept = *span;
    return ERR_NONE;
}

enum err jaeger_thrift_read(struct str message, struct batch *out, struct why *why)
{
    const uint8_t *bytes = (const uint8_t *)message.data;
    struct thrift thrift = {bytes, bytes + message.size, bytes, false, out, why};
    struct resource *resource = ARENA_NEW(out->arena, struct resource);
    struct field field;
    struct span span;

    if (resource == NULL)
        return spent(&thrift);
    *resource = (struct resource){.service_name = STR(""), .schema_url = STR("")};
    while (next_field(&thrift, &field)) {
        if (field.id == 1 && field.type == THRIFT_STRUCT) {
            TRY(read_process(&thrift, resource));
        } else if (field.id == 2 && field.type == THRIFT_LIST) {
            size_t count = take_list(&thrift);
            for (size_t i = 0; i < count && !thrift.broken; i++) {
                TRY(read_span(&thrift, &span));
                if (!thrift.broken)
                    TRY(keep_span(&thrift, &span, resource));
            }
        } else {
            skip(&thrift, field.type, 0);
        }
    }
    return thrift.broken ? broken(&thrift) : name_resource(&thrift, resource);
}
