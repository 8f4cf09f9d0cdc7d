/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of Tempo's /api/search, which Grafana reads. */
#include "base/json.h"
#include "query/traceql.h"

#include <inttypes.h>
#include <stdio.h>

static void add_hex(struct json *json, const char *key, const uint8_t *id, size_t size)
{
    char text[2 * TRACE_ID_BYTES + 1] = "";

    for (size_t i = 0; i < size && i < TRACE_ID_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", id[i]); /* Two digits always fit. */
    json_key(json, key);
    json_add_text(json, text);
}

/* 64 bits do not survive a JavaScript number: text, as protobuf's JSON has it. */
static void add_ns(struct json *json, const char *key, int64_t ns)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, ns); /* Fits. */
    json_key(json, key);
    json_add_text(json, text);
}

static void add_values(struct json *json, const struct traceql_value *values, size_t count)
{
    json_key(json, "attributes");
    json_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        json_open(json, '{');
        json_key(json, "key");
        json_add_str(json, values[i].key);
        json_key(json, "value");
        json_open(json, '{');
        json_key(json, "stringValue");
        json_add_str(json, values[i].value);
        json_close(json, '}');
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_span(struct json *json, const struct traceql_span *span)
{
    json_open(json, '{');
    add_hex(json, "spanID", span->span->span_id, SPAN_ID_BYTES);
    json_key(json, "name");
    json_add_str(json, span->span->name);
    add_ns(json, "startTimeUnixNano", span->span->start_ns);
    add_ns(json, "durationNanos", span->span->end_ns - span->span->start_ns);
    add_values(json, span->values, span->value_count);
    json_close(json, '}');
}

static void add_set(struct json *json, const struct traceql_set *set)
{
    json_open(json, '{');
    json_key(json, "matched");
    json_add_u64(json, set->matched_count);
    add_values(json, set->groups, set->group_count);
    json_key(json, "spans");
    json_open(json, '[');
    for (size_t i = 0; i < set->span_count; i++)
        add_span(json, &set->spans[i]);
    json_close(json, ']');
    json_close(json, '}');
}

static void add_trace(struct json *json, const struct traceql_trace *trace)
{
    json_open(json, '{');
    add_hex(json, "traceID", trace->trace_id, TRACE_ID_BYTES);
    json_key(json, "rootServiceName");
    json_add_str(json, trace->root_service);
    json_key(json, "rootTraceName");
    json_add_str(json, trace->root_name);
    add_ns(json, "startTimeUnixNano", trace->start_ns);
    json_key(json, "durationMs");
    json_add_double(json, (double)trace->duration_ns / 1e6);
    json_key(json, "spanCount");
    json_add_u64(json, trace->span_count);
    json_key(json, "errorCount");
    json_add_u64(json, trace->error_count);
    json_key(json, "spanSets");
    json_open(json, '[');
    for (size_t i = 0; i < trace->set_count; i++)
        add_set(json, &trace->sets[i]);
    json_close(json, ']');
    json_close(json, '}');
}

void traceql_write_json(const struct traceql_answer *answer, struct buf *out)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_key(&json, "traces");
    json_open(&json, '[');
    for (size_t i = 0; i < answer->count; i++)
        add_trace(&json, &answer->traces[i]);
    json_close(&json, ']');
    json_key(&json, "metrics");
    json_open(&json, '{');
    json_key(&json, "inspectedSpans");
    json_add_u64(&json, answer->inspected_spans);
    json_key(&json, "completed");
    json_add_bool(&json, !answer->is_cut);
    json_close(&json, '}');
    json_close(&json, '}');
}
