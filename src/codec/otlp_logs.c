/* SPDX-License-Identifier: Apache-2.0 */
/*   ExportLogsServiceRequest { repeated ResourceLogs resource_logs = 1; }
 *   ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3;
 * } ScopeLogs    { InstrumentationScope scope = 1; repeated LogRecord log_records = 2; string
 * schema_url = 3; } LogRecord    { fixed64 time_unix_nano = 1; SeverityNumber severity_number = 2;
 *                  string severity_text = 3; AnyValue body = 5; repeated KeyValue attributes = 6;
 *                  uint32 dropped_attributes_count = 7; fixed32 flags = 8; bytes trace_id = 9;
 *                  bytes span_id = 10; fixed64 observed_time_unix_nano = 11;
 *                  string event_name = 12; } */
#include "codec/otlp_priv.h"

enum { SEVERITY_MAX = 24 };

struct logs {
    struct otlp_reader reader;
    struct batch *out;
    const struct resource *resource;
    const struct scope *scope;
};

static bool is_bytes(const struct protobuf_field *field, uint32_t number)
{
    return field->number == number && field->wire == PROTOBUF_BYTES;
}

static void read_number(struct event *event, const struct protobuf_field *field)
{
    if (field->number == 1 && field->wire == PROTOBUF_FIXED64)
        event->time_ns = otlp_time(field->value);
    else if (field->number == 2 && field->wire == PROTOBUF_VARINT)
        event->severity = field->value <= SEVERITY_MAX ? (int32_t)field->value : 0;
    else if (field->number == 7 && field->wire == PROTOBUF_VARINT)
        event->attributes.dropped_count = (uint32_t)field->value;
    else if (field->number == 8 && field->wire == PROTOBUF_FIXED32)
        event->flags = (uint32_t)field->value;
    else if (field->number == 11 && field->wire == PROTOBUF_FIXED64)
        event->observed_ns = otlp_time(field->value);
}

static enum err read_text(struct otlp_reader *reader, struct event *event,
                          const struct protobuf_field *field)
{
    switch (field->number) {
    case 3:
        event->severity_text = field->bytes;
        break;
    case 5:
        return otlp_read_value(reader, field->bytes, 0, &event->body);
    case 6:
        return otlp_push_attribute(reader, field->bytes, 0);
    case 9:
        (void)otlp_read_id(field->bytes, TRACE_ID_BYTES, event->trace_id); /* Or none. */
        break;
    case 10:
        (void)otlp_read_id(field->bytes, SPAN_ID_BYTES, event->span_id);
        break;
    case 12:
        event->name = field->bytes;
        break;
    default:
        break;
    }
    return ERR_NONE;
}

static enum err read_record(struct logs *logs, struct str bytes)
{
    struct otlp_reader *reader = &logs->reader;
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    struct event *event;
    size_t mark = reader->attributes_count;

    TRY(batch_event(logs->out, &event, reader->why));
    while (protobuf_next(&message, &field)) {
        if (field.wire == PROTOBUF_BYTES)
            TRY(read_text(reader, event, &field));
        else
            read_number(event, &field);
    }
    if (message.broken)
        return otlp_broken(reader, "a log record");
    TRY(otlp_pop_attributes(reader, mark, &event->attributes));
    if (event->observed_ns == 0)
        event->observed_ns = event->time_ns;
    if (event->time_ns == 0) /* The specification's own fallback. */
        event->time_ns = event->observed_ns;
    if (event->time_ns == 0)
        event->time_ns = event->observed_ns = logs->out->time_ms * 1000000;
    event->resource = logs->resource;
    event->scope = logs->scope;
    return ERR_NONE;
}

static enum err read_scope_logs(struct logs *logs, struct str bytes)
{
    struct otlp_reader *reader = &logs->reader;
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    struct scope *scope = ARENA_NEW(reader->arena, struct scope);

    if (scope == NULL)
        return arena_spent(reader->arena, "the message", reader->why);
    logs->scope = NULL;
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1))
            TRY(otlp_read_scope(reader, field.bytes, scope));
        else if (is_bytes(&field, 3))
            scope->schema_url = field.bytes;
        if (is_bytes(&field, 1) || is_bytes(&field, 3))
            logs->scope = scope;
    }
    if (message.broken)
        return otlp_broken(reader, "the logs of a scope");
    message = protobuf_of(bytes);
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 2))
            TRY(read_record(logs, field.bytes));
    }
    return ERR_NONE;
}

static enum err read_resource_logs(struct logs *logs, struct str bytes)
{
    struct otlp_reader *reader = &logs->reader;
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
        return otlp_broken(reader, "the logs of a resource");
    logs->resource = resource;
    message = protobuf_of(bytes);
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 2))
            TRY(read_scope_logs(logs, field.bytes));
    }
    return ERR_NONE;
}

static enum err read_request(struct logs *logs, struct str bytes)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1))
            TRY(read_resource_logs(logs, field.bytes));
    }
    return message.broken ? otlp_broken(&logs->reader, "the export request") : ERR_NONE;
}

enum err otlp_read_logs(struct str message, struct batch *out, struct why *why)
{
    struct logs logs = {.out = out};

    otlp_reader_init(&logs.reader, out->arena, why);
    enum err err = message.size == 0 ? ERR_NONE : read_request(&logs, message);
    otlp_reader_done(&logs.reader);
    return err;
}

/* ---- Writing. ---- */

static void put_id(struct buf *out, uint32_t number, const uint8_t *id, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (id[i] != 0) {
            otlp_put_bytes(out, number, (struct str){(const char *)id, size});
            return;
        }
    }
}

static void put_record(struct buf *out, const struct event *event)
{
    size_t place = otlp_open(out, 2);

    otlp_put_fixed64(out, 1, (uint64_t)event->time_ns);
    if (event->severity != 0)
        otlp_put_varint(out, 2, (uint64_t)event->severity);
    otlp_put_text(out, 3, event->severity_text);
    if (event->body.kind != VALUE_EMPTY)
        otlp_put_value(out, 5, &event->body);
    otlp_put_attributes(out, 6, 7, &event->attributes);
    if (event->flags != 0)
        otlp_put_fixed32(out, 8, event->flags);
    put_id(out, 9, event->trace_id, TRACE_ID_BYTES);
    put_id(out, 10, event->span_id, SPAN_ID_BYTES);
    otlp_put_fixed64(out, 11, (uint64_t)event->observed_ns);
    otlp_put_text(out, 12, event->name);
    otlp_close(out, place);
}

static size_t put_scope_logs(struct buf *out, const struct event *events, size_t count)
{
    const struct event *first = &events[0];
    size_t place = otlp_open(out, 2);
    size_t done = 0;

    if (first->scope != NULL)
        otlp_put_scope(out, first->scope);
    for (; done < count && events[done].scope == first->scope &&
           events[done].resource == first->resource;
         done++)
        put_record(out, &events[done]);
    if (first->scope != NULL)
        otlp_put_text(out, 3, first->scope->schema_url);
    otlp_close(out, place);
    return done;
}

void otlp_write_logs(const struct event *events, size_t count, struct buf *out)
{
    for (size_t done = 0; done < count;) {
        const struct resource *resource = events[done].resource;
        size_t place = otlp_open(out, 1);
        otlp_put_resource(out, resource);
        while (done < count && events[done].resource == resource)
            done += put_scope_logs(out, events + done, count - done);
        otlp_put_text(out, 3, resource->schema_url);
        otlp_close(out, place);
    }
}
