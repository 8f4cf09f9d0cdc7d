/* SPDX-License-Identifier: Apache-2.0 */
/* trace_maker - traces by hand, a row a span, and at random. Everything in static storage: one
 * trace at a time. */
#pragma once
#include "analysis/trace_tree.h"

#define MS INT64_C(1000000)

enum { MAKER_SPANS_MAX = 4096, MAKER_ATTRIBUTES_MAX = 4, MAKER_RESOURCES_MAX = 32 };

struct maker {
    struct span spans[MAKER_SPANS_MAX];
    struct attribute attributes[MAKER_SPANS_MAX][MAKER_ATTRIBUTES_MAX];
    struct resource resources[MAKER_RESOURCES_MAX];
    struct attribute hosts[MAKER_RESOURCES_MAX];
    size_t resources_count;
    size_t count;
};

static struct maker maker;

static inline void maker_clear(void)
{
    maker.count = 0;
    maker.resources_count = 0;
}

static inline const struct resource *maker_resource(const char *service, const char *host)
{
    for (size_t i = 0; i < maker.resources_count; i++) {
        struct str have =
            maker.resources[i].attributes.count > 0 ? maker.hosts[i].value.text : STR_NONE;
        if (str_eq(maker.resources[i].service_name, str_of(service)) && str_eq(have, str_of(host)))
            return &maker.resources[i];
    }
    size_t at = maker.resources_count++;
    MUST(at < MAKER_RESOURCES_MAX);
    maker.hosts[at] =
        (struct attribute){STR("host.name"), {.kind = VALUE_TEXT, .text = str_of(host)}};
    maker.resources[at] = (struct resource){
        .service_name = str_of(service),
        .attributes = {.items = &maker.hosts[at], .count = host != NULL},
    };
    return &maker.resources[at];
}

/* Ids are small numbers; parent 0 is a root. */
static inline struct span *maker_add(uint32_t id, uint32_t parent, const char *service,
                                     const char *name, double start_ms, double end_ms)
{
    MUST(maker.count < MAKER_SPANS_MAX);
    struct span *span = &maker.spans[maker.count];
    *span = (struct span){
        .start_ns = (int64_t)(start_ms * MS),
        .end_ns = (int64_t)(end_ms * MS),
        .name = str_of(name),
        .kind = SPAN_KIND_INTERNAL,
        .attributes = {.items = maker.attributes[maker.count]},
        .resource = maker_resource(service, NULL),
    };
    memcpy(span->span_id, &id, sizeof(id));
    memcpy(span->parent_span_id, &parent, sizeof(parent));
    span->trace_id[0] = 7;
    maker.count++;
    return span;
}

static inline struct span *maker_text(struct span *span, const char *key, const char *text)
{
    size_t at = span->attributes.count++;

    MUST(at < MAKER_ATTRIBUTES_MAX);
    maker.attributes[span - maker.spans][at] =
        (struct attribute){str_of(key), {.kind = VALUE_TEXT, .text = str_of(text)}};
    return span;
}

static inline struct span *maker_query(uint32_t id, uint32_t parent, const char *service,
                                       const char *statement, double start_ms, double end_ms)
{
    struct span *span = maker_add(id, parent, service, "SELECT", start_ms, end_ms);

    span->kind = SPAN_KIND_CLIENT;
    maker_text(span, "db.system", "postgresql");
    return maker_text(span, "db.statement", statement);
}

static inline struct span *maker_get(uint32_t id, uint32_t parent, const char *service,
                                     const char *url, double start_ms, double end_ms)
{
    struct span *span = maker_add(id, parent, service, "GET", start_ms, end_ms);

    span->kind = SPAN_KIND_CLIENT;
    maker_text(span, "http.request.method", "GET");
    return maker_text(span, "url.full", url);
}

static inline uint32_t maker_id(const struct span *span)
{
    uint32_t id;

    memcpy(&id, span->span_id, sizeof(id));
    return id;
}

/* The node of the span with that id; the first of several. */
static inline uint32_t maker_node(const struct trace_tree *tree, uint32_t id)
{
    for (uint32_t i = 1; i < tree->count; i++) {
        if (maker_id(tree->nodes[i].span) == id)
            return i;
    }
    return TRACE_NONE;
}

/* A random trace: parents are anything, times too. */
static inline uint32_t maker_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static inline void maker_scramble(uint32_t seed, size_t count)
{
    static const char *const services[] = {"a", "b", "c"};
    static const char *const hosts[] = {NULL, "one", "two"};
    uint32_t state = seed;

    maker_clear();
    for (size_t i = 0; i < count; i++) {
        double start = maker_random(&state) % 1000;
        double length = (double)(maker_random(&state) % 500) - 20;
        uint32_t id = maker_random(&state) % 20 == 0 ? 1 : (uint32_t)i + 1;
        struct span *span =
            maker_add(id, maker_random(&state) % (uint32_t)(count + 3),
                      services[maker_random(&state) % 3], "work", start, start + length);
        span->kind = (enum span_kind)(maker_random(&state) % 6);
        span->status = (enum span_status)(maker_random(&state) % 3);
        span->resource =
            maker_resource(services[maker_random(&state) % 3], hosts[maker_random(&state) % 3]);
    }
}

/* A tame one: children within their parents, one clock. */
static inline void maker_nest(uint32_t seed, size_t count)
{
    uint32_t state = seed;

    maker_clear();
    (void)maker_add(1, 0, "a", "root", 0, 1000); /* The row is in maker.spans. */
    for (size_t i = 1; i < count; i++) {
        const struct span *parent = &maker.spans[maker_random(&state) % i];
        int64_t room = parent->end_ns - parent->start_ns;
        int64_t from = room == 0 ? 0 : (int64_t)maker_random(&state) % (room + 1);
        int64_t to = room == from ? 0 : (int64_t)maker_random(&state) % (room - from + 1);
        struct span *span = maker_add((uint32_t)i + 1, maker_id(parent), "a", "work", 0, 0);
        span->start_ns = parent->start_ns + from;
        span->end_ns = span->start_ns + to;
    }
}
