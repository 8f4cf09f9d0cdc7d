/* SPDX-License-Identifier: Apache-2.0 */
/* What a field of a query is on a span: an attribute, an intrinsic, one of its events or links. */
#include "query/traceql_priv.h"

static struct tql_value nil(void)
{
    return (struct tql_value){.type = TQL_NIL};
}

static struct tql_value number(double value)
{
    return (struct tql_value){.type = TQL_NUMBER, .number = value};
}

static struct tql_value text(struct str value)
{
    return (struct tql_value){.type = TQL_TEXT, .text = value};
}

static struct tql_value boolean(bool value)
{
    return (struct tql_value){.type = TQL_BOOL, .number = value};
}

static struct tql_value of_attribute(const struct value *value)
{
    switch (value->kind) {
    case VALUE_TEXT:
        return text(value->text);
    case VALUE_BOOL:
        return boolean(value->boolean);
    case VALUE_INTEGER:
        return number((double)value->integer);
    case VALUE_DOUBLE:
        return number(value->number);
    default: /* Lists, maps and bytes are not compared. */
        return nil();
    }
}

static struct tql_value attribute(const struct attributes *attributes, struct str name)
{
    const struct value *value = attributes_get(attributes, name);

    return value == NULL ? nil() : of_attribute(value);
}

static struct tql_value resource_attribute(const struct span *span, struct str name)
{
    struct tql_value value = attribute(&span->resource->attributes, name);

    if (value.type == TQL_NIL && str_eq(name, STR("service.name")) &&
        span->resource->service_name.size > 0)
        return text(span->resource->service_name);
    return value;
}

static struct tql_value hex(const struct tql_trace *trace, const uint8_t *id, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *out = arena_alloc(trace->arena, size * 2);

    if (out == NULL)
        return nil();
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[id[i] >> 4];
        out[2 * i + 1] = digits[id[i] & 15];
    }
    return text((struct str){out, size * 2});
}

static bool is_root(const struct span *span)
{
    static const uint8_t none[SPAN_ID_BYTES];

    return memcmp(span->parent_span_id, none, SPAN_ID_BYTES) == 0;
}

static struct tql_value intrinsic(const struct tql_trace *trace, const struct tql_span *tql_span,
                                  enum tql_intrinsic which)
{
    const struct span *span = tql_span->span;

    switch (which) {
    case TQL_NAME:
        return text(span->name);
    case TQL_DURATION:
        return number((double)(span->end_ns - span->start_ns));
    case TQL_SPAN_STATUS:
        return (struct tql_value){.type = TQL_STATUS, .number = span->status};
    case TQL_STATUS_MESSAGE:
        return text(span->status_message);
    case TQL_SPAN_KIND:
        return (struct tql_value){.type = TQL_KIND, .number = span->kind};
    case TQL_TRACE_DURATION:
        return number((double)(trace->end_ns - trace->start_ns));
    case TQL_ROOT_NAME:
        return trace->root == NULL ? nil() : text(trace->root->name);
    case TQL_ROOT_SERVICE_NAME:
        return trace->root == NULL ? nil() : text(trace->root->resource->service_name);
    case TQL_SPAN_ID:
        return hex(trace, span->span_id, SPAN_ID_BYTES);
    case TQL_TRACE_ID:
        return hex(trace, span->trace_id, TRACE_ID_BYTES);
    case TQL_PARENT_ID:
        return is_root(span) ? nil() : hex(trace, span->parent_span_id, SPAN_ID_BYTES);
    case TQL_CHILD_COUNT:
        return number(tql_span->child_count);
    case TQL_NESTED_SET_PARENT:
        return number(is_root(span) ? -1 : 1);
    case TQL_SCOPE_NAME:
        return span->scope == NULL ? nil() : text(span->scope->name);
    case TQL_SCOPE_VERSION:
        return span->scope == NULL ? nil() : text(span->scope->version);
    default: /* Of events and links. */
        return nil();
    }
}

/* ---- Of what a span has several. ---- */

static struct tql_value of_event(const struct span *span, const struct tql_field *field,
                                 size_t index)
{
    if (index >= span->event_count)
        return nil();
    const struct span_event *event = &span->events[index];
    if (field->scope == TQL_EVENT)
        return attribute(&event->attributes, field->name);
    return field->intrinsic == TQL_EVENT_NAME ? text(event->name)
                                              : number((double)(event->time_ns - span->start_ns));
}

static struct tql_value of_link(const struct tql_trace *trace, const struct span *span,
                                const struct tql_field *field, size_t index)
{
    if (index >= span->link_count)
        return nil();
    const struct span_link *link = &span->links[index];
    if (field->scope == TQL_LINK)
        return attribute(&link->attributes, field->name);
    return field->intrinsic == TQL_LINK_TRACE_ID ? hex(trace, link->trace_id, TRACE_ID_BYTES)
                                                 : hex(trace, link->span_id, SPAN_ID_BYTES);
}

static bool is_of_event(const struct tql_field *field)
{
    return field->scope == TQL_EVENT ||
           (field->scope == TQL_INTRINSIC &&
            (field->intrinsic == TQL_EVENT_NAME || field->intrinsic == TQL_EVENT_SINCE_START));
}

static bool is_of_link(const struct tql_field *field)
{
    return field->scope == TQL_LINK ||
           (field->scope == TQL_INTRINSIC &&
            (field->intrinsic == TQL_LINK_TRACE_ID || field->intrinsic == TQL_LINK_SPAN_ID));
}

size_t tql_field_count(const struct tql_span *span, const struct tql_field *field)
{
    if (is_of_event(field))
        return span->span->event_count;
    return is_of_link(field) ? span->span->link_count : 1;
}

struct tql_value tql_field_value(const struct tql_trace *trace, const struct tql_span *span,
                                 const struct tql_field *field, size_t index)
{
    if (is_of_event(field))
        return of_event(span->span, field, index);
    if (is_of_link(field))
        return of_link(trace, span->span, field, index);
    switch (field->scope) {
    case TQL_INTRINSIC:
        return intrinsic(trace, span, field->intrinsic);
    case TQL_SPAN:
        return attribute(&span->span->attributes, field->name);
    case TQL_RESOURCE:
        return resource_attribute(span->span, field->name);
    case TQL_INSTRUMENTATION:
        return span->span->scope == NULL ? nil()
                                         : attribute(&span->span->scope->attributes, field->name);
    default:
        break;
    }
    struct tql_value own = attribute(&span->span->attributes, field->name);
    return own.type != TQL_NIL ? own : resource_attribute(span->span, field->name);
}
