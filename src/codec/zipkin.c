/* SPDX-License-Identifier: Apache-2.0 */
/*   [{"traceId": 16 or 32 hex digits, "id": 16, "parentId": 16, "name", "kind",
 *     "timestamp": µs since 1970, "duration": µs, "debug", "shared",
 *     "localEndpoint": {"serviceName", "ipv4", "ipv6", "port"}, "remoteEndpoint": the same,
 *     "annotations": [{"timestamp", "value"}], "tags": {key: text}}]
 *
 * A server's span may share its id with the client's; both are kept as they came. */
#include "codec/zipkin.h"

#include "base/clock.h"
#include "codec/json_tree.h"
#include "codec/otlp.h"

enum {
    RESOURCES_KEPT = 64, /* Senders of one message that are looked for again. */
    ENDPOINT_ATTRIBUTES = 3,
};

struct reading {
    struct batch *out;
    const struct resource *resources[RESOURCES_KEPT];
    size_t resources_count;
    const struct scope *scope; /* Of the last span that named one. */
};

static enum err spent(const struct batch *out, struct why *why)
{
    return arena_spent(out->arena, "a message of Zipkin's", why);
}

/* ---- Scalars. ---- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Hex digits, right-aligned into size bytes; false when it is none or all zero. */
static bool read_id(struct str text, uint8_t *id, size_t size)
{
    bool set = false;

    if (text.size == 0 || text.size > 2 * size)
        return false;
    memset(id, 0, size);
    for (size_t i = 0; i < text.size; i++) {
        size_t place = 2 * size - text.size + i;
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return false;
        id[place / 2] = (uint8_t)(id[place / 2] | digit << (place % 2 == 0 ? 4 : 0));
        set = set || digit != 0;
    }
    return set;
}

static enum err read_span_id(const struct node *span, const char *key, bool needed, uint8_t *id,
                             size_t size, struct why *why)
{
    const struct node *node = node_get(span, key);
    struct str text;

    if (node == NULL)
        return needed ? node_fail(span, why, "a span without %s", key) : ERR_NONE;
    TRY(node_text(node, &text, why));
    if (!read_id(text, id, size) && needed)
        return node_fail(node, why, "'%.*s' is no id of up to %zu hexadecimal digits",
                         STR_ARG(text), 2 * size);
    return ERR_NONE;
}

/* Microseconds as nanoseconds; absent is 0. */
static enum err read_micros(const struct node *parent, const char *key, int64_t *ret_ns,
                            struct why *why)
{
    const struct node *node = node_get(parent, key);
    int64_t micros;

    *ret_ns = 0;
    if (node == NULL)
        return ERR_NONE;
    TRY(node_i64(node, &micros, why));
    if (micros < 0 || micros > INT64_MAX / 2000) /* So that a start and a duration can be added. */
        return node_fail(node, why, "%lld µs is out of range", (long long)micros);
    *ret_ns = micros * 1000;
    return ERR_NONE;
}

static enum err read_text(const struct node *parent, const char *key, struct str *ret_text,
                          struct why *why)
{
    const struct node *node = node_get(parent, key);

    *ret_text = STR("");
    return node == NULL ? ERR_NONE : node_text(node, ret_text, why);
}

/* ---- Endpoints. ---- */

struct endpoint {
    struct str service;
    struct str ip;
    int64_t port; /* 0: unknown. */
};

static enum err read_endpoint(const struct node *node, struct endpoint *endpoint, struct why *why)
{
    *endpoint = (struct endpoint){STR(""), STR(""), 0};
    if (node == NULL)
        return ERR_NONE;
    TRY(node_map(node, why));
    TRY(read_text(node, "serviceName", &endpoint->service, why));
    TRY(read_text(node, "ipv4", &endpoint->ip, why));
    if (endpoint->ip.size == 0)
        TRY(read_text(node, "ipv6", &endpoint->ip, why));
    const struct node *port = node_get(node, "port");
    return port == NULL ? ERR_NONE : node_i64(port, &endpoint->port, why);
}

static void add_text(struct attribute *items, size_t *count, struct str key, struct str text)
{
    if (text.size > 0)
        items[(*count)++] = (struct attribute){key, {.kind = VALUE_TEXT, .text = text}};
}

static size_t add_endpoint(struct attribute *items, const struct endpoint *endpoint, bool remote)
{
    size_t count = 0;

    add_text(items, &count, remote ? STR("peer.service") : STR("service.name"), endpoint->service);
    add_text(items, &count, remote ? STR("net.peer.ip") : STR("net.host.ip"), endpoint->ip);
    if (endpoint->port != 0)
        items[count++] = (struct attribute){remote ? STR("net.peer.port") : STR("net.host.port"),
                                            {.kind = VALUE_INTEGER, .integer = endpoint->port}};
    return count;
}

static bool same_items(const struct attributes *a, const struct attribute *items, size_t count)
{
    bool same = a->count == count;

    for (size_t i = 0; same && i < count; i++)
        same = str_eq(a->items[i].key, items[i].key) &&
               a->items[i].value.kind == items[i].value.kind &&
               (items[i].value.kind == VALUE_TEXT
                    ? str_eq(a->items[i].value.text, items[i].value.text)
                    : a->items[i].value.integer == items[i].value.integer);
    return same;
}

static enum err find_resource(struct reading *reading, const struct endpoint *local,
                              const struct resource **ret_resource, struct why *why)
{
    struct attribute items[ENDPOINT_ATTRIBUTES];
    size_t count = add_endpoint(items, local, false);

    for (size_t i = 0; i < reading->resources_count; i++) {
        *ret_resource = reading->resources[i];
        if (same_items(&(*ret_resource)->attributes, items, count))
            return ERR_NONE;
    }
    struct resource *resource = ARENA_NEW(reading->out->arena, struct resource);
    struct attribute *kept = ARENA_ARRAY(reading->out->arena, count, struct attribute);
    if (resource == NULL || kept == NULL)
        return spent(reading->out, why);
    if (count > 0)
        memcpy(kept, items, count * sizeof(*kept));
    resource->attributes = (struct attributes){kept, count, 0};
    resource->service_name = local->service.size > 0 ? local->service : STR("unknown_service");
    resource->schema_url = STR("");
    if (reading->resources_count < RESOURCES_KEPT)
        reading->resources[reading->resources_count++] = resource;
    *ret_resource = resource;
    return ERR_NONE;
}

/* ---- Tags. ---- */

/* What the tags say of the span itself. */
struct told {
    struct str status;
    struct str description;
    struct str error;
    struct str scope;
    struct str version;
};

static struct str *place_of(struct told *told, struct str key)
{
    if (str_eq(key, STR("otel.status_code")))
        return &told->status;
    if (str_eq(key, STR("otel.status_description")))
        return &told->description;
    if (str_eq(key, STR("error")))
        return &told->error;
    if (str_eq(key, STR("otel.scope.name")) || str_eq(key, STR("otel.library.name")))
        return &told->scope;
    if (str_eq(key, STR("otel.scope.version")) || str_eq(key, STR("otel.library.version")))
        return &told->version;
    return NULL;
}

/* Any text in "error" is an error, but for "false": it may be the message. */
static void apply_status(const struct told *told, struct span *span)
{
    bool failed = told->error.data != NULL && !str_eq(told->error, STR("false"));

    span->status_message = told->description.data == NULL ? STR("") : told->description;
    if (str_eq(told->status, STR("OK")))
        span->status = SPAN_STATUS_OK;
    if (!failed && !str_eq(told->status, STR("ERROR")))
        return;
    span->status = SPAN_STATUS_ERROR;
    if (span->status_message.size == 0 && failed && !str_eq(told->error, STR("true")))
        span->status_message = told->error;
}

static enum err apply_scope(struct reading *reading, const struct told *told, struct span *span,
                            struct why *why)
{
    struct str version = told->version.data == NULL ? STR("") : told->version;

    if (told->scope.size == 0)
        return ERR_NONE;
    if (reading->scope == NULL || !str_eq(reading->scope->name, told->scope) ||
        !str_eq(reading->scope->version, version)) {
        struct scope *scope = ARENA_NEW(reading->out->arena, struct scope);
        if (scope == NULL)
            return spent(reading->out, why);
        scope->name = told->scope;
        scope->version = version;
        scope->schema_url = STR("");
        reading->scope = scope;
    }
    span->scope = reading->scope;
    return ERR_NONE;
}

static enum err read_tags(struct reading *reading, const struct node *node,
                          const struct endpoint *remote, struct span *span, struct why *why)
{
    const struct node *tags = node_get(node, "tags");
    size_t most = ENDPOINT_ATTRIBUTES + (tags == NULL ? 0 : tags->count);
    struct attribute *items = ARENA_ARRAY(reading->out->arena, most, struct attribute);
    struct told told = {0};

    if (items == NULL)
        return spent(reading->out, why);
    size_t count = add_endpoint(items, remote, true);
    if (tags != NULL)
        TRY(node_map(tags, why));
    for (const struct node *tag = tags == NULL ? NULL : tags->first; tag != NULL; tag = tag->next) {
        struct str *place = place_of(&told, tag->key);
        struct str text = STR("");
        if (tag->kind != NODE_NULL)
            TRY(node_text(tag, &text, why));
        if (place != NULL)
            *place = text.data == NULL ? STR("") : text;
        else if (count < OTLP_ATTRIBUTES_MAX)
            items[count++] = (struct attribute){tag->key, {.kind = VALUE_TEXT, .text = text}};
        else
            span->attributes.dropped_count++;
    }
    span->attributes.items = items;
    span->attributes.count = count;
    apply_status(&told, span);
    return apply_scope(reading, &told, span, why);
}

/* ---- A span. ---- */

static enum err read_annotations(struct reading *reading, const struct node *node,
                                 struct span *span, struct why *why)
{
    const struct node *list = node_get(node, "annotations");

    if (list == NULL)
        return ERR_NONE;
    TRY(node_list(list, why));
    size_t kept = list->count < OTLP_EVENTS_MAX ? list->count : OTLP_EVENTS_MAX;
    struct span_event *events = ARENA_ARRAY(reading->out->arena, kept, struct span_event);
    if (events == NULL)
        return spent(reading->out, why);
    for (const struct node *item = list->first; item != NULL && span->event_count < kept;
         item = item->next) {
        struct span_event *event = &events[span->event_count++];
        TRY(node_map(item, why));
        TRY(read_micros(item, "timestamp", &event->time_ns, why));
        TRY(read_text(item, "value", &event->name, why));
    }
    span->events = events;
    span->dropped_event_count = (uint32_t)(list->count - kept);
    return ERR_NONE;
}

static enum err read_kind(const struct node *node, enum span_kind *ret_kind, struct why *why)
{
    static const struct {
        struct str name;
        enum span_kind kind;
    } kinds[] = {{STR("CLIENT"), SPAN_KIND_CLIENT},
                 {STR("SERVER"), SPAN_KIND_SERVER},
                 {STR("PRODUCER"), SPAN_KIND_PRODUCER},
                 {STR("CONSUMER"), SPAN_KIND_CONSUMER}};
    struct str text;

    TRY(read_text(node, "kind", &text, why));
    *ret_kind = SPAN_KIND_INTERNAL; /* None is how Zipkin says this. */
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (str_eq(kinds[i].name, text))
            *ret_kind = kinds[i].kind;
    }
    return ERR_NONE;
}

/* Without a timestamp a span began with its first annotation, or when it came. */
static enum err read_times(struct reading *reading, const struct node *node, struct span *span,
                           struct why *why)
{
    int64_t duration_ns;

    TRY(read_micros(node, "timestamp", &span->start_ns, why));
    TRY(read_micros(node, "duration", &duration_ns, why));
    for (size_t i = 0; span->start_ns == 0 && i < span->event_count; i++)
        span->start_ns = span->events[i].time_ns;
    if (span->start_ns == 0)
        span->start_ns = reading->out->time_ms * CLOCK_NS_PER_MS;
    span->end_ns = span->start_ns + duration_ns;
    return ERR_NONE;
}

static enum err read_span(struct reading *reading, const struct node *node, struct span *span,
                          struct why *why)
{
    struct endpoint local;
    struct endpoint remote;

    TRY(node_map(node, why));
    *span = (struct span){.status_message = STR(""), .trace_state = STR("")};
    TRY(read_span_id(node, "traceId", true, span->trace_id, TRACE_ID_BYTES, why));
    TRY(read_span_id(node, "id", true, span->span_id, SPAN_ID_BYTES, why));
    TRY(read_span_id(node, "parentId", false, span->parent_span_id, SPAN_ID_BYTES, why));
    TRY(read_text(node, "name", &span->name, why));
    TRY(read_kind(node, &span->kind, why));
    TRY(read_endpoint(node_get(node, "localEndpoint"), &local, why));
    TRY(read_endpoint(node_get(node, "remoteEndpoint"), &remote, why));
    TRY(find_resource(reading, &local, &span->resource, why));
    TRY(read_annotations(reading, node, span, why));
    TRY(read_tags(reading, node, &remote, span, why));
    TRY(read_times(reading, node, span, why));
    span->flags = 1; /* Who sends a span has sampled it. */
    return otlp_llm_read(span, reading->out->arena, &span->llm, why);
}

enum err zipkin_read(struct str message, struct batch *out, struct why *why)
{
    struct reading reading = {.out = out};
    struct why row_why = WHY_INIT;
    const struct node *root;

    TRY(json_read(message, "spans", message.size, out->arena, &root, why));
    TRY(node_list(root, why));
    NODE_EACH(root, node)
    {
        struct span span;
        struct span *kept;
        enum err err = read_span(&reading, node, &span, &row_why);
        if (err == ERR_INVALID) {
            batch_reject(out, 1, &row_why);
            continue;
        }
        if (err != ERR_NONE && why != NULL)
            *why = row_why;
        TRY(err);
        TRY(batch_span(out, &kept, why));
        *kept = span;
    }
    return ERR_NONE;
}
