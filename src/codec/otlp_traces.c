/* SPDX-License-Identifier: Apache-2.0 */
/*   ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
 *   ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2;
 *                   string schema_url = 3; }
 *   ScopeSpans    { InstrumentationScope scope = 1; repeated Span spans = 2;
 *                   string schema_url = 3; }
 *   Span   { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3;
 *            bytes parent_span_id = 4; string name = 5; SpanKind kind = 6;
 *            fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
 *            repeated KeyValue attributes = 9; uint32 dropped_attributes_count = 10;
 *            repeated Event events = 11; uint32 dropped_events_count = 12;
 *            repeated Link links = 13; uint32 dropped_links_count = 14; Status status = 15;
 *            fixed32 flags = 16; }
 *   Event  { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3;
 *            uint32 dropped_attributes_count = 4; }
 *   Link   { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3;
 *            repeated KeyValue attributes = 4; uint32 dropped_attributes_count = 5;
 *            fixed32 flags = 6; }
 *   Status { string message = 2; StatusCode code = 3; }
 *
 * A resource may stand behind its spans on the wire; it is looked for first. */
#include "codec/otlp_priv.h"

struct traces {
    struct otlp_reader reader;
    struct batch *out;
    const struct resource *resource;
    const struct scope *scope;
};

static bool is_bytes(const struct protobuf_field *field, uint32_t number)
{
    return field->number == number && field->wire == PROTOBUF_BYTES;
}

static enum err read_event(struct otlp_reader *reader, struct str bytes, struct span_event *event)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t mark = reader->attributes_count;

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_FIXED64)
            event->time_ns = otlp_time(field.value);
        else if (is_bytes(&field, 2))
            event->name = field.bytes;
        else if (is_bytes(&field, 3))
            TRY(otlp_push_attribute(reader, field.bytes, 0));
        else if (field.number == 4 && field.wire == PROTOBUF_VARINT)
            event->attributes.dropped_count = (uint32_t)field.value;
    }
    if (message.broken)
        return otlp_broken(reader, "an event of a span");
    return otlp_pop_attributes(reader, mark, &event->attributes);
}

static enum err read_link(struct otlp_reader *reader, struct str bytes, struct span_link *link)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t mark = reader->attributes_count;

    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1))
            (void)otlp_read_id(field.bytes, TRACE_ID_BYTES, link->trace_id); /* None stays zero. */
        else if (is_bytes(&field, 2))
            (void)otlp_read_id(field.bytes, SPAN_ID_BYTES, link->span_id);
        else if (is_bytes(&field, 3))
            link->trace_state = field.bytes;
        else if (is_bytes(&field, 4))
            TRY(otlp_push_attribute(reader, field.bytes, 0));
        else if (field.number == 5 && field.wire == PROTOBUF_VARINT)
            link->attributes.dropped_count = (uint32_t)field.value;
        else if (field.number == 6 && field.wire == PROTOBUF_FIXED32)
            link->flags = (uint32_t)field.value;
    }
    if (message.broken)
        return otlp_broken(reader, "a link of a span");
    return otlp_pop_attributes(reader, mark, &link->attributes);
}

static enum err read_status(struct otlp_reader *reader, struct str bytes, struct span *span)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 2))
            span->status_message = field.bytes;
        else if (field.number == 3 && field.wire == PROTOBUF_VARINT)
            span->status = field.value <= SPAN_STATUS_ERROR ? (enum span_status)field.value
                                                            : SPAN_STATUS_UNSET;
    }
    return message.broken ? otlp_broken(reader, "the status of a span") : ERR_NONE;
}

/* Events and links are rare: only a span that has some is walked once more. */
static enum err read_events(struct otlp_reader *reader, struct str bytes, size_t count,
                            struct span *span)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t kept = count < OTLP_EVENTS_MAX ? count : OTLP_EVENTS_MAX;
    struct span_event *events = ARENA_ARRAY(reader->arena, kept, struct span_event);

    if (events == NULL)
        return arena_spent(reader->arena, "the message", reader->why);
    while (span->event_count < kept && protobuf_next(&message, &field)) {
        if (is_bytes(&field, 11))
            TRY(read_event(reader, field.bytes, &events[span->event_count++]));
    }
    span->events = events;
    span->dropped_event_count += (uint32_t)(count - kept);
    return ERR_NONE;
}

static enum err read_links(struct otlp_reader *reader, struct str bytes, size_t count,
                           struct span *span)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    size_t kept = count < OTLP_LINKS_MAX ? count : OTLP_LINKS_MAX;
    struct span_link *links = ARENA_ARRAY(reader->arena, kept, struct span_link);

    if (links == NULL)
        return arena_spent(reader->arena, "the message", reader->why);
    while (span->link_count < kept && protobuf_next(&message, &field)) {
        if (is_bytes(&field, 13))
            TRY(read_link(reader, field.bytes, &links[span->link_count++]));
    }
    span->links = links;
    span->dropped_link_count += (uint32_t)(count - kept);
    return ERR_NONE;
}

struct seen {
    bool has_trace_id;
    bool has_span_id;
    size_t events;
    size_t links;
};

static void read_number(struct span *span, const struct protobuf_field *field)
{
    switch (field->number) {
    case 6:
        span->kind = field->value <= SPAN_KIND_CONSUMER ? (enum span_kind)field->value
                                                        : SPAN_KIND_UNSPECIFIED;
        break;
    case 7:
        span->start_ns = otlp_time(field->value);
        break;
    case 8:
        span->end_ns = otlp_time(field->value);
        break;
    case 10:
        span->attributes.dropped_count = (uint32_t)field->value;
        break;
    case 12:
        span->dropped_event_count = (uint32_t)field->value;
        break;
    case 14:
        span->dropped_link_count = (uint32_t)field->value;
        break;
    case 16:
        span->flags = (uint32_t)field->value;
        break;
    default: /* Of a later version. */
        break;
    }
}

static enum err read_text(struct otlp_reader *reader, struct span *span, struct seen *seen,
                          const struct protobuf_field *field)
{
    switch (field->number) {
    case 1:
        seen->has_trace_id = otlp_read_id(field->bytes, TRACE_ID_BYTES, span->trace_id);
        break;
    case 2:
        seen->has_span_id = otlp_read_id(field->bytes, SPAN_ID_BYTES, span->span_id);
        break;
    case 3:
        span->trace_state = field->bytes;
        break;
    case 4:
        (void)otlp_read_id(field->bytes, SPAN_ID_BYTES, span->parent_span_id); /* Or a root. */
        break;
    case 5:
        span->name = field->bytes;
        break;
    case 9:
        return otlp_push_attribute(reader, field->bytes, 0);
    case 11:
        seen->events++;
        break;
    case 13:
        seen->links++;
        break;
    case 15:
        return read_status(reader, field->bytes, span);
    default:
        break;
    }
    return ERR_NONE;
}

static bool has_wire_of_number(const struct protobuf_field *field)
{
    if (field->number == 7 || field->number == 8)
        return field->wire == PROTOBUF_FIXED64;
    return field->wire == (field->number == 16 ? PROTOBUF_FIXED32 : PROTOBUF_VARINT);
}

/* Why a span cannot be kept, or NULL. */
static const char *flaw_of(struct span *span, const struct seen *seen)
{
    if (!seen->has_trace_id)
        return "a span has no valid trace id (16 bytes, not all zero)";
    if (!seen->has_span_id)
        return "a span has no valid span id (8 bytes, not all zero)";
    if (span->start_ns == 0)
        span->start_ns = span->end_ns;
    if (span->end_ns == 0)
        span->end_ns = span->start_ns;
    return span->start_ns == 0 ? "a span has neither start nor end time" : NULL;
}

static enum err read_span(struct traces *traces, struct str bytes)
{
    struct otlp_reader *reader = &traces->reader;
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    struct seen seen = {0};
    struct span *span;
    size_t mark = reader->attributes_count;

    TRY(batch_span(traces->out, &span, reader->why));
    while (protobuf_next(&message, &field)) {
        if (field.wire == PROTOBUF_BYTES)
            TRY(read_text(reader, span, &seen, &field));
        else if (has_wire_of_number(&field))
            read_number(span, &field);
    }
    if (message.broken)
        return otlp_broken(reader, "a span");
    TRY(otlp_pop_attributes(reader, mark, &span->attributes));
    const char *flaw = flaw_of(span, &seen);
    if (flaw != NULL) {
        struct why why = WHY_INIT;
        (void)fail(&why, ERR_INVALID, "%s", flaw); /* The span's, not the message's. */
        batch_reject(traces->out, 1, &why);
        traces->out->spans.count--;
        return ERR_NONE;
    }
    span->resource = traces->resource;
    span->scope = traces->scope;
    if (seen.events > 0)
        TRY(read_events(reader, bytes, seen.events, span));
    if (seen.links > 0)
        TRY(read_links(reader, bytes, seen.links, span));
    return otlp_llm_read(span, reader->arena, &span->llm, reader->why);
}

static enum err read_scope_spans(struct traces *traces, struct str bytes)
{
    struct otlp_reader *reader = &traces->reader;
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    struct scope *scope = ARENA_NEW(reader->arena, struct scope);

    if (scope == NULL)
        return arena_spent(reader->arena, "the message", reader->why);
    traces->scope = NULL;
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1))
            TRY(otlp_read_scope(reader, field.bytes, scope));
        else if (is_bytes(&field, 3))
            scope->schema_url = field.bytes;
        if (is_bytes(&field, 1) || is_bytes(&field, 3))
            traces->scope = scope;
    }
    if (message.broken)
        return otlp_broken(reader, "the spans of a scope");
    message = protobuf_of(bytes);
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 2))
            TRY(read_span(traces, field.bytes));
    }
    return ERR_NONE;
}

static enum err read_resource_spans(struct traces *traces, struct str bytes)
{
    struct otlp_reader *reader = &traces->reader;
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    struct resource *resource = ARENA_NEW(reader->arena, struct resource);

    if (resource == NULL)
        return arena_spent(reader->arena, "the message", reader->why);
    resource->service_name = STR("unknown_service");
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1))
            TRY(otlp_read_resource(reader, field.bytes, resource));
        else if (is_bytes(&field, 3))
            resource->schema_url = field.bytes;
    }
    if (message.broken)
        return otlp_broken(reader, "the spans of a resource");
    traces->resource = resource;
    message = protobuf_of(bytes);
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 2))
            TRY(read_scope_spans(traces, field.bytes));
    }
    return ERR_NONE;
}

static enum err read_request(struct traces *traces, struct str bytes)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1))
            TRY(read_resource_spans(traces, field.bytes));
    }
    return message.broken ? otlp_broken(&traces->reader, "the export request") : ERR_NONE;
}

enum err otlp_read_traces(struct str message, struct batch *out, struct why *why)
{
    struct traces traces = {.out = out};

    otlp_reader_init(&traces.reader, out->arena, why);
    enum err err = message.size == 0 ? ERR_NONE : read_request(&traces, message);
    otlp_reader_done(&traces.reader);
    return err;
}

/* ---- Writing. ---- */

static struct str id_str(const uint8_t *id, size_t size)
{
    return (struct str){(const char *)id, size};
}

static bool id_is_set(const uint8_t *id, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (id[i] != 0)
            return true;
    }
    return false;
}

static void put_event(struct buf *out, const struct span_event *event)
{
    size_t place = otlp_open(out, 11);

    otlp_put_fixed64(out, 1, (uint64_t)event->time_ns);
    otlp_put_text(out, 2, event->name);
    otlp_put_attributes(out, 3, 4, &event->attributes);
    otlp_close(out, place);
}

static void put_link(struct buf *out, const struct span_link *link)
{
    size_t place = otlp_open(out, 13);

    otlp_put_bytes(out, 1, id_str(link->trace_id, TRACE_ID_BYTES));
    otlp_put_bytes(out, 2, id_str(link->span_id, SPAN_ID_BYTES));
    otlp_put_text(out, 3, link->trace_state);
    otlp_put_attributes(out, 4, 5, &link->attributes);
    if (link->flags != 0)
        otlp_put_fixed32(out, 6, link->flags);
    otlp_close(out, place);
}

static void put_status(struct buf *out, const struct span *span)
{
    if (span->status == SPAN_STATUS_UNSET && span->status_message.size == 0)
        return;
    size_t place = otlp_open(out, 15);
    otlp_put_text(out, 2, span->status_message);
    if (span->status != SPAN_STATUS_UNSET)
        otlp_put_varint(out, 3, span->status);
    otlp_close(out, place);
}

static void put_span(struct buf *out, const struct span *span)
{
    size_t place = otlp_open(out, 2);

    otlp_put_bytes(out, 1, id_str(span->trace_id, TRACE_ID_BYTES));
    otlp_put_bytes(out, 2, id_str(span->span_id, SPAN_ID_BYTES));
    otlp_put_text(out, 3, span->trace_state);
    if (id_is_set(span->parent_span_id, SPAN_ID_BYTES))
        otlp_put_bytes(out, 4, id_str(span->parent_span_id, SPAN_ID_BYTES));
    otlp_put_text(out, 5, span->name);
    if (span->kind != SPAN_KIND_UNSPECIFIED)
        otlp_put_varint(out, 6, span->kind);
    otlp_put_fixed64(out, 7, (uint64_t)span->start_ns);
    otlp_put_fixed64(out, 8, (uint64_t)span->end_ns);
    otlp_put_attributes(out, 9, 10, &span->attributes);
    for (size_t i = 0; i < span->event_count; i++)
        put_event(out, &span->events[i]);
    if (span->dropped_event_count > 0)
        otlp_put_varint(out, 12, span->dropped_event_count);
    for (size_t i = 0; i < span->link_count; i++)
        put_link(out, &span->links[i]);
    if (span->dropped_link_count > 0)
        otlp_put_varint(out, 14, span->dropped_link_count);
    put_status(out, span);
    if (span->flags != 0)
        otlp_put_fixed32(out, 16, span->flags);
    otlp_close(out, place);
}

/* The spans that share resource and scope with the first; returns how many. */
static size_t put_scope_spans(struct buf *out, const struct span *spans, size_t count)
{
    const struct span *first = &spans[0];
    size_t place = otlp_open(out, 2);
    size_t done = 0;

    if (first->scope != NULL)
        otlp_put_scope(out, first->scope);
    for (; done < count && spans[done].scope == first->scope &&
           spans[done].resource == first->resource;
         done++)
        put_span(out, &spans[done]);
    if (first->scope != NULL)
        otlp_put_text(out, 3, first->scope->schema_url);
    otlp_close(out, place);
    return done;
}

void otlp_write_traces(const struct span *spans, size_t count, struct buf *out)
{
    for (size_t done = 0; done < count;) {
        const struct resource *resource = spans[done].resource;
        size_t place = otlp_open(out, 1);
        otlp_put_resource(out, resource);
        while (done < count && spans[done].resource == resource)
            done += put_scope_spans(out, spans + done, count - done);
        otlp_put_text(out, 3, resource->schema_url);
        otlp_close(out, place);
    }
}
