/* SPDX-License-Identifier: Apache-2.0 */
/* One trace, and spans that fit. */
#include "serve/traces.h"
#include "base/clock.h"
#include "base/json.h"
#include "codec/otlp.h"
#include "codec/otlp_json.h"
#include "query/traceql.h"
#include "serve/params.h"
#include "serve/server_priv.h"
#include "serve/trace_columns.h"
#include "store/trace_read.h"

#include <stdio.h>

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 10000,
    SEARCH_MS = 3600000, /* Looked through when no time is given. */
};

static void add_id(struct json *json, const char *key, const uint8_t *id, size_t size)
{
    char text[2 * TRACE_ID_BYTES + 1];

    for (size_t i = 0; i < size; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", id[i]); /* Two digits each. */
    json_key(json, key);
    json_add_str(json, (struct str){text, 2 * size});
}

static bool is_set(const uint8_t *id, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (id[i] != 0)
            return true;
    }
    return false;
}

static void add_pairs(struct json *json, const struct attribute *items, size_t count);

static void add_value(struct json *json, const struct value *value)
{
    switch (value->kind) {
    case VALUE_TEXT:
    case VALUE_BYTES: /* What is no UTF-8 in them is replaced. */
        json_add_str(json, value->text);
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
            add_value(json, &value->list.items[i]);
        json_close(json, ']');
        break;
    case VALUE_MAP:
        add_pairs(json, value->map.items, value->map.count);
        break;
    case VALUE_EMPTY:
        json_add_null(json);
        break;
    }
}

static void add_pairs(struct json *json, const struct attribute *items, size_t count)
{
    json_open(json, '{');
    for (size_t i = 0; i < count; i++) {
        json_key_str(json, items[i].key);
        add_value(json, &items[i].value);
    }
    json_close(json, '}');
}

static void add_attributes(struct json *json, const struct attributes *attributes)
{
    json_key(json, "attributes");
    add_pairs(json, attributes->items, attributes->count);
}

static void add_events(struct json *json, const struct span *span)
{
    json_key(json, "events");
    json_open(json, '[');
    for (size_t i = 0; i < span->event_count; i++) {
        json_open(json, '{');
        json_key(json, "time_ns");
        json_add_i64(json, span->events[i].time_ns);
        json_key(json, "name");
        json_add_str(json, span->events[i].name);
        add_attributes(json, &span->events[i].attributes);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_links(struct json *json, const struct span *span)
{
    json_key(json, "links");
    json_open(json, '[');
    for (size_t i = 0; i < span->link_count; i++) {
        json_open(json, '{');
        add_id(json, "trace_id", span->links[i].trace_id, TRACE_ID_BYTES);
        add_id(json, "span_id", span->links[i].span_id, SPAN_ID_BYTES);
        add_attributes(json, &span->links[i].attributes);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_span(struct json *json, const struct span *span)
{
    static const char *const kinds[] = {"unspecified", "internal", "server",
                                        "client",      "producer", "consumer"};
    static const char *const statuses[] = {"unset", "ok", "error"};

    json_open(json, '{');
    add_id(json, "trace_id", span->trace_id, TRACE_ID_BYTES);
    add_id(json, "span_id", span->span_id, SPAN_ID_BYTES);
    if (is_set(span->parent_span_id, SPAN_ID_BYTES))
        add_id(json, "parent_span_id", span->parent_span_id, SPAN_ID_BYTES);
    json_key(json, "service");
    json_add_str(json, span->resource->service_name);
    json_key(json, "name");
    json_add_str(json, span->name);
    json_key(json, "kind");
    json_add_text(json, kinds[span->kind]);
    json_key(json, "start_ns");
    json_add_i64(json, span->start_ns);
    json_key(json, "duration_ns");
    json_add_i64(json, (int64_t)((uint64_t)span->end_ns - (uint64_t)span->start_ns));
    json_key(json, "status");
    json_add_text(json, statuses[span->status]);
    if (span->status_message.size > 0) {
        json_key(json, "status_message");
        json_add_str(json, span->status_message);
    }
    add_attributes(json, &span->attributes);
    json_key(json, "resource");
    add_pairs(json, span->resource->attributes.items, span->resource->attributes.count);
    if (span->scope != NULL && span->scope->name.size > 0) {
        json_key(json, "scope");
        json_add_str(json, span->scope->name);
    }
    if (span->event_count > 0)
        add_events(json, span);
    if (span->link_count > 0)
        add_links(json, span);
    json_close(json, '}');
}

static void add_spans(struct json *json, const struct span_list *spans)
{
    json_key(json, "spans");
    json_open(json, '[');
    for (size_t i = 0; i < spans->count; i++)
        add_span(json, &spans->items[i]);
    json_close(json, ']');
}

static void add_logs(struct json *json, const struct event_list *events)
{
    json_key(json, "logs");
    json_open(json, '[');
    for (size_t i = 0; i < events->count; i++) {
        const struct event *event = &events->items[i];
        json_open(json, '{');
        json_key(json, "time_ns");
        json_add_i64(json, event->time_ns);
        json_key(json, "severity");
        json_add_i64(json, event->severity);
        json_key(json, "severity_text");
        json_add_str(json, event->severity_text);
        if (is_set(event->span_id, SPAN_ID_BYTES))
            add_id(json, "span_id", event->span_id, SPAN_ID_BYTES);
        json_key(json, "service");
        json_add_str(json, event->resource->service_name);
        json_key(json, "body");
        add_value(json, &event->body);
        add_attributes(json, &event->attributes);
        json_close(json, '}');
    }
    json_close(json, ']');
}

enum err traces_needed(const struct call *call, struct why *why)
{
    if (call->view->ops->traces != NULL)
        return ERR_NONE;
    return fail(why, ERR_NOT_FOUND, "nothing was kept for the tenant '%s' yet",
                call->identity.tenant);
}

static enum err write_otlp(struct call *call, const struct span_list *spans, struct why *why)
{
    struct buf bytes CLEANUP(buf_done) = {0};

    otlp_write_traces(spans->items, spans->count, &bytes);
    return otlp_json_write(buf_view(&bytes), OTLP_M_TRACES, &call->answer.body, why);
}

static enum err no_trace(const struct call *call, struct why *why)
{
    return fail(why, ERR_NOT_FOUND, "there is no trace %.*s", STR_ARG(call->captures[0]));
}

static enum err write_columns(struct call *call, const uint8_t *id, struct why *why)
{
    bool found;

    TRY(trace_columns_write(call->view, id, call->arena, &call->answer.body, &found, why));
    call->answer.content_type = STR("application/octet-stream");
    return found ? ERR_NONE : no_trace(call, why);
}

/* Of the logs, those of the span. */
static void keep_logs_of(struct event_list *events, const uint8_t *span_id)
{
    size_t kept = 0;

    for (size_t i = 0; i < events->count; i++) {
        if (memcmp(events->items[i].span_id, span_id, SPAN_ID_BYTES) == 0)
            events->items[kept++] = events->items[i];
    }
    events->count = kept;
}

/* All spans, or those with the id that the parameter `span` names. */
static enum err read_spans(struct call *call, const uint8_t *id, struct span_list *spans,
                           struct event_list *events, struct why *why)
{
    const struct trace_view_ops *ops = call->view->ops->traces;
    struct str text = call_parameter(call, "span");
    uint8_t span_id[TRACE_ID_BYTES];
    const uint8_t *last = span_id + TRACE_ID_BYTES - SPAN_ID_BYTES;

    if (text.size > 0 && (text.size > (size_t)2 * SPAN_ID_BYTES || !params_trace_id(text, span_id)))
        return fail(why, ERR_INVALID, "'%.*s' is no span id: up to 16 hexadecimal digits",
                    STR_ARG(text));
    TRY(ops->logs(call->view, id, call->arena, events, why));
    if (text.size == 0)
        return ops->trace(call->view, id, call->arena, spans, why);
    keep_logs_of(events, last);
    return ops->span(call->view, id, last, call->arena, spans, why);
}

static enum err work_trace(struct call *call, struct why *why)
{
    uint8_t id[TRACE_ID_BYTES];
    struct span_list spans;
    struct event_list events;
    struct str format = call_parameter(call, "format");

    if (!params_trace_id(call->captures[0], id))
        return fail(why, ERR_INVALID, "'%.*s' is no trace id: up to 32 hexadecimal digits",
                    STR_ARG(call->captures[0]));
    TRY(traces_needed(call, why));
    if (str_eq(format, STR("columns")))
        return write_columns(call, id, why);
    TRY(read_spans(call, id, &spans, &events, why));
    if (spans.count + events.count == 0)
        return no_trace(call, why);
    call->answer.content_type = MEDIA_JSON;
    if (str_eq(format, STR("otlp")))
        return write_otlp(call, &spans, why);
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '{');
    add_id(&json, "trace_id", id, TRACE_ID_BYTES);
    add_spans(&json, &spans);
    add_logs(&json, &events);
    json_close(&json, '}');
    return ERR_NONE;
}

void route_trace_get(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_trace);
}

/* ---- Searching. ---- */

static enum err read_pair(struct str text, struct trace_query *query, struct why *why)
{
    ptrdiff_t at = str_find(text, '=');

    if (at <= 0)
        return fail(why, ERR_INVALID, "'%.*s' is not key=value", STR_ARG(text));
    if (query->pairs_count == TRACE_PAIRS_MAX)
        return fail(why, ERR_LIMIT, "at most %d attributes can be asked for", TRACE_PAIRS_MAX);
    query->pairs[query->pairs_count++] = (struct trace_pair){
        {text.data, (size_t)at}, {text.data + at + 1, text.size - (size_t)at - 1}};
    return ERR_NONE;
}

static enum err read_pairs(struct call *call, struct trace_query *query, struct why *why)
{
    const struct http_header *params;
    size_t count;

    TRY(exchange_params(call->exchange, &params, &count, why));
    for (size_t i = 0; i < count; i++) {
        if (str_eq(params[i].name, STR("attribute")))
            TRY(read_pair(params[i].value, query, why));
    }
    return ERR_NONE;
}

/* "250us" and "1.5ms" are too fine for Prometheus' durations, which end at milliseconds. */
static enum err read_duration(struct call *call, const char *name, int64_t *duration_ns,
                              struct why *why)
{
    static const struct {
        struct str unit;
        double ns;
    } units[] = {{STR("ns"), 1}, {STR("us"), 1e3}, {STR("ms"), 1e6}};
    struct str text = call_parameter(call, name);
    int64_t ms;
    double number;

    if (text.data == NULL)
        return ERR_NONE;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        struct str head = {text.data, text.size > 2 ? text.size - 2 : 0};
        if (str_ends(text, units[i].unit) && str_to_double(head, &number) && number >= 0 &&
            number * units[i].ns < 0x1p62) {
            *duration_ns = (int64_t)(number * units[i].ns);
            return ERR_NONE;
        }
    }
    TRY(params_duration(call, name, 0, &ms, why));
    *duration_ns = ms > INT64_MAX / CLOCK_NS_PER_MS ? INT64_MAX : ms * CLOCK_NS_PER_MS;
    return ERR_NONE;
}

enum err traces_read_query(struct call *call, struct trace_query *query, struct why *why)
{
    struct params_range range = {clock_now_ms() - SEARCH_MS, clock_now_ms()};
    struct str status = call_parameter(call, "status");
    uint64_t limit;

    *query = TRACE_QUERY_ANY;
    TRY(params_range(call, &range, why));
    query->from_ms = range.start_ms;
    query->to_ms = range.end_ms;
    query->service = call_parameter(call, "service");
    query->name = call_parameter(call, "name");
    query->only_errors = str_eq(status, STR("error"));
    if (status.size > 0 && !query->only_errors)
        return fail(why, ERR_INVALID, "status '%.*s' cannot be asked for: only error",
                    STR_ARG(status));
    TRY(read_duration(call, "min_duration", &query->duration_min_ns, why));
    TRY(read_duration(call, "max_duration", &query->duration_max_ns, why));
    TRY(params_count(call, "limit", LIMIT_DEFAULT, LIMIT_MAX, &limit, why));
    query->limit = limit == 0 ? LIMIT_MAX : limit;
    return read_pairs(call, query, why);
}

/* With q: whole traces by TraceQL, answered as Tempo does. */
static enum err search_by_traceql(struct call *call, struct why *why)
{
    struct params_range range = {clock_now_ms() - SEARCH_MS, clock_now_ms()};
    struct traceql *query CLEANUP(traceql_freep) = NULL;
    struct traceql_request request = {0};
    struct traceql_answer answer;
    uint64_t limit;

    TRY(params_range(call, &range, why));
    TRY(params_count(call, "limit", 0, LIMIT_MAX, &limit, why));
    request.from_ms = range.start_ms;
    request.to_ms = range.end_ms;
    request.traces_max = limit;
    TRY(traceql_parse(call_parameter(call, "q"), call->arena, &query, why));
    TRY(traceql_search(query, call->view, &request, call->arena, &answer, why));
    traceql_write_json(&answer, &call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    return ERR_NONE;
}

static enum err work_search(struct call *call, struct why *why)
{
    struct trace_query query;
    struct span_list spans;

    if (call_parameter(call, "q").data != NULL)
        return search_by_traceql(call, why);
    TRY(traces_read_query(call, &query, why));
    TRY(traces_needed(call, why));
    TRY(call->view->ops->traces->search(call->view, &query, call->arena, &spans, why));
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '{');
    add_spans(&json, &spans);
    json_close(&json, '}');
    call->answer.content_type = MEDIA_JSON;
    return ERR_NONE;
}

void route_traces_search(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_search);
}
