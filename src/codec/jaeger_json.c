/* SPDX-License-Identifier: Apache-2.0 */
/* Spans are read into Jaeger's model, adjusted as its query service does by default, given a
 * process each, and written. Spans of one resource share a process; resources that say the same
 * do, too. */
#include "codec/jaeger_priv.h"

#include <stdio.h>

#define JS_SAFE_INTEGER_MAX ((INT64_C(1) << 53) - 1) /* Larger ones are told as text. */

size_t jaeger_trace_id(const uint8_t trace_id[TRACE_ID_BYTES], char text[JAEGER_ID_SIZE])
{
    static const uint8_t zero[TRACE_ID_BYTES / 2];
    size_t first = memcmp(trace_id, zero, sizeof(zero)) == 0 ? sizeof(zero) : 0;
    static const char digits[] = "0123456789abcdef";
    size_t size = 0;

    for (size_t i = first; i < TRACE_ID_BYTES; i++) {
        text[size++] = digits[trace_id[i] >> 4];
        text[size++] = digits[trace_id[i] & 15];
    }
    return size;
}

/* ---- Durations in Go's way. ---- */

/* value of unit, with up to `digits` digits behind the point and no zeros at the end. */
static size_t put_fraction(char *text, size_t size, uint64_t value, int digits)
{
    uint64_t scale = 1;

    for (int i = 0; i < digits; i++)
        scale *= 10;
    size_t used = (size_t)snprintf(text, size, "%llu", (unsigned long long)(value / scale));
    if (value % scale == 0)
        return used;
    used += (size_t)snprintf(text + used, size - used, ".%0*llu", digits,
                             (unsigned long long)(value % scale));
    while (text[used - 1] == '0')
        used--;
    return used;
}

struct str jaeger_duration(int64_t ns, char text[JAEGER_DURATION_SIZE])
{
    static const struct {
        uint64_t below_ns;
        int digits;
        const char *unit;
    } units[] = {{1000, 0, "ns"}, {1000000, 3, "µs"}, {1000000000, 6, "ms"}};
    uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    size_t used = 0;

    if (ns == 0)
        return (struct str){text, (size_t)snprintf(text, JAEGER_DURATION_SIZE, "0s")};
    if (ns < 0)
        text[used++] = '-';
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (left < units[i].below_ns) {
            used += put_fraction(text + used, JAEGER_DURATION_SIZE - used, left, units[i].digits);
            used += (size_t)snprintf(text + used, JAEGER_DURATION_SIZE - used, "%s", units[i].unit);
            return (struct str){text, used};
        }
    }
    uint64_t minutes = left / UINT64_C(60000000000);
    if (minutes >= 60)
        used += (size_t)snprintf(text + used, JAEGER_DURATION_SIZE - used, "%lluh",
                                 (unsigned long long)(minutes / 60));
    if (minutes > 0)
        used += (size_t)snprintf(text + used, JAEGER_DURATION_SIZE - used, "%llum",
                                 (unsigned long long)(minutes % 60));
    used += put_fraction(text + used, JAEGER_DURATION_SIZE - used, left % UINT64_C(60000000000), 9);
    text[used++] = 's';
    return (struct str){text, used};
}

/* ---- Processes. ---- */

static enum err make_process(struct jaeger_trace *trace, const struct jaeger_span *span, bool raw,
                             struct jaeger_process *ret_process, struct why *why)
{
    const struct attributes *attributes = &span->span->resource->attributes;
    struct jaeger_process process = {.resource = span->span->resource,
                                     .has_moved = span->moved.count > 0};
    struct jaeger_tags all;
    size_t kept = 0;

    TRY(jaeger_tags_read(attributes, trace->arena, &all, why));
    process.tags.items =
        ARENA_ARRAY(trace->arena, all.count + span->moved.count, struct jaeger_tag);
    if (process.tags.items == NULL)
        return arena_spent(trace->arena, "a trace for Jaeger", why);
    for (size_t i = 0; i < all.count; i++) {
        if (!str_eq(all.items[i].key, STR("service.name")))
            process.tags.items[kept++] = all.items[i];
    }
    for (size_t i = 0; i < span->moved.count; i++)
        process.tags.items[kept++] = span->moved.items[i];
    process.tags.count = kept;
    if (!raw) {
        TRY(jaeger_unpack_addresses(&process.tags, trace->arena, why));
        jaeger_tags_sort(&process.tags);
    }
    *ret_process = process;
    return ERR_NONE;
}

static bool same_value(const struct value *a, const struct value *b);

static bool same_pairs(const struct attribute *a, size_t a_count, const struct attribute *b,
                       size_t b_count)
{
    bool same = a_count == b_count;

    for (size_t i = 0; same && i < a_count; i++)
        same = str_eq(a[i].key, b[i].key) && same_value(&a[i].value, &b[i].value);
    return same;
}

static bool same_value(const struct value *a, const struct value *b)
{
    bool same = a->kind == b->kind;

    if (!same)
        return false;
    switch (a->kind) {
    case VALUE_TEXT:
    case VALUE_BYTES:
        return str_eq(a->text, b->text);
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INTEGER:
        return a->integer == b->integer;
    case VALUE_DOUBLE:
        return memcmp(&a->number, &b->number, sizeof(a->number)) == 0;
    case VALUE_LIST:
        same = a->list.count == b->list.count;
        for (size_t i = 0; same && i < a->list.count; i++)
            same = same_value(&a->list.items[i], &b->list.items[i]);
        return same;
    case VALUE_MAP:
        return same_pairs(a->map.items, a->map.count, b->map.items, b->map.count);
    case VALUE_EMPTY:
        break;
    }
    return true;
}

/* The same sender is told again with every block of spans that the store reads. */
static bool same_resource(const struct resource *a, const struct resource *b)
{
    return a == b || (str_eq(a->service_name, b->service_name) &&
                      same_pairs(a->attributes.items, a->attributes.count, b->attributes.items,
                                 b->attributes.count));
}

static bool same_process(const struct jaeger_process *a, const struct jaeger_process *b)
{
    return str_eq(a->resource->service_name, b->resource->service_name) &&
           jaeger_tags_compare(&a->tags, &b->tags) == 0;
}

static enum err assign_process(struct jaeger_trace *trace, struct jaeger_span *span, bool raw,
                               struct why *why)
{
    struct jaeger_process process;

    for (size_t i = 0; span->moved.count == 0 && i < trace->processes_count; i++) {
        span->process = i;
        if (!trace->processes[i].has_moved &&
            same_resource(trace->processes[i].resource, span->span->resource))
            return ERR_NONE;
    }
    TRY(make_process(trace, span, raw, &process, why));
    for (size_t i = 0; i < trace->processes_count; i++) {
        span->process = i;
        if (same_process(&trace->processes[i], &process))
            return ERR_NONE;
    }
    span->process = trace->processes_count;
    trace->processes[trace->processes_count++] = process;
    return ERR_NONE;
}

/* ---- Writing. ---- */

static void add_base64(struct json *json, struct str bytes)
{
    struct buf text CLEANUP(buf_done) = {0};

    jaeger_base64(&text, bytes);
    json_add_str(json, buf_view(&text));
}

static void add_integer(struct json *json, int64_t integer)
{
    char text[24];

    if (integer >= -JS_SAFE_INTEGER_MAX && integer <= JS_SAFE_INTEGER_MAX) {
        json_add_i64(json, integer);
        return;
    }
    (void)snprintf(text, sizeof(text), "%lld", (long long)integer); /* Fits. */
    json_add_text(json, text);
}

static void add_tag(struct json *json, const struct jaeger_tag *tag)
{
    static const char *const types[] = {"string", "bool", "int64", "float64", "binary"};

    json_open(json, '{');
    json_put_str(json, "key", tag->key);
    json_put_text(json, "type", types[tag->type]);
    json_key(json, "value");
    switch (tag->type) {
    case JAEGER_STRING:
        json_add_str(json, tag->text);
        break;
    case JAEGER_BOOL:
        json_add_bool(json, tag->boolean);
        break;
    case JAEGER_INT64:
        add_integer(json, tag->integer);
        break;
    case JAEGER_FLOAT64:
        json_add_double(json, tag->number);
        break;
    case JAEGER_BINARY:
        add_base64(json, tag->text);
        break;
    }
    json_close(json, '}');
}

static void add_tags(struct json *json, const char *key, const struct jaeger_tags *tags)
{
    json_key(json, key);
    json_open(json, '[');
    for (size_t i = 0; i < tags->count; i++)
        add_tag(json, &tags->items[i]);
    json_close(json, ']');
}

static void put_trace_id(struct json *json, const uint8_t *trace_id)
{
    char text[JAEGER_ID_SIZE];

    json_put_str(json, "traceID", (struct str){text, jaeger_trace_id(trace_id, text)});
}

static void put_span_id(struct json *json, uint64_t id)
{
    char text[17];

    (void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)id); /* Fits. */
    json_put_text(json, "spanID", text);
}

static void add_references(struct json *json, const struct jaeger_span *span)
{
    json_key(json, "references");
    json_open(json, '[');
    for (size_t i = 0; i < span->references_count; i++) {
        const struct jaeger_reference *reference = &span->references[i];
        json_open(json, '{');
        json_put_text(json, "refType", reference->is_child_of ? "CHILD_OF" : "FOLLOWS_FROM");
        put_trace_id(json, reference->trace_id);
        put_span_id(json, reference->span_id);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_logs(struct json *json, const struct jaeger_span *span)
{
    json_key(json, "logs");
    json_open(json, '[');
    for (size_t i = 0; i < span->span->event_count; i++) {
        json_open(json, '{');
        json_put_u64(json, "timestamp", (uint64_t)span->logs[i].time_ns / 1000);
        add_tags(json, "fields", &span->logs[i].fields);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_warnings(struct json *json, const struct jaeger_span *span)
{
    json_key(json, "warnings");
    if (span->warnings_count == 0) {
        json_add_null(json);
        return;
    }
    json_open(json, '[');
    for (size_t i = 0; i < span->warnings_count; i++)
        json_add_str(json, span->warnings[i]);
    json_close(json, ']');
}

static void add_span(struct json *json, const struct jaeger_span *span)
{
    const struct span *own = span->span;
    int64_t duration_ns = (int64_t)((uint64_t)own->end_ns - (uint64_t)own->start_ns);
    char process[24];

    json_open(json, '{');
    put_trace_id(json, own->trace_id);
    put_span_id(json, span->id);
    json_put_str(json, "operationName", own->name);
    add_references(json, span);
    json_put_u64(json, "startTime", (uint64_t)(own->start_ns / 1000));
    json_put_u64(json, "duration", (uint64_t)(duration_ns / 1000));
    add_tags(json, "tags", &span->tags);
    add_logs(json, span);
    (void)snprintf(process, sizeof(process), "p%zu", span->process + 1); /* Fits. */
    json_put_text(json, "processID", process);
    add_warnings(json, span);
    json_close(json, '}');
}

static void add_processes(struct json *json, const struct jaeger_trace *trace)
{
    json_key(json, "processes");
    json_open(json, '{');
    for (size_t i = 0; i < trace->processes_count; i++) {
        char key[24];
        (void)snprintf(key, sizeof(key), "p%zu", i + 1); /* Fits. */
        json_key(json, key);
        json_open(json, '{');
        json_put_str(json, "serviceName", trace->processes[i].resource->service_name);
        add_tags(json, "tags", &trace->processes[i].tags);
        json_close(json, '}');
    }
    json_close(json, '}');
}

enum err jaeger_write_trace(const struct span *spans, size_t count, bool raw, struct arena *arena,
                            struct json *json, struct why *why)
{
    struct jaeger_trace trace = {
        .arena = arena,
        .spans = ARENA_ARRAY(arena, count, struct jaeger_span),
        .spans_count = count,
        .processes = ARENA_ARRAY(arena, count, struct jaeger_process),
    };

    if (trace.spans == NULL || trace.processes == NULL)
        return arena_spent(arena, "a trace for Jaeger", why);
    for (size_t i = 0; i < count; i++)
        TRY(jaeger_span_read(&spans[i], arena, &trace.spans[i], why));
    if (!raw)
        TRY(jaeger_adjust(&trace, why));
    for (size_t i = 0; i < count; i++)
        TRY(assign_process(&trace, &trace.spans[i], raw, why));
    json_open(json, '{');
    if (count > 0)
        put_trace_id(json, spans[0].trace_id);
    else
        json_put_text(json, "traceID", "");
    json_key(json, "spans");
    json_open(json, '[');
    for (size_t i = 0; i < count; i++)
        add_span(json, &trace.spans[i]);
    json_close(json, ']');
    add_processes(json, &trace);
    json_put_text(json, "warnings", NULL);
    json_close(json, '}');
    return ERR_NONE;
}
