/* SPDX-License-Identifier: Apache-2.0 */
/* sdk_spans - messages of the shape that SDKs send: 512 spans of one service, 12 attributes each,
 * ten spans a trace, of which the four services have parts. The same numbers every time. */
#pragma once
#include "base/clock.h"
#include "codec/otlp.h"

#include <string.h>

enum {
    MESSAGE_SPANS = 512, /* The default of SDKs' batches. */
    SPANS_PER_TRACE = 10,
    ATTRIBUTES = 12,
};

static const char *const services[] = {"frontend", "checkout", "inventory", "payment"};
static const char *const routes[] = {"/", "/cart", "/cart/{id}", "/checkout", "/product/{id}"};
static const char *const methods[] = {"GET", "POST"};

static uint64_t state = UINT64_C(0x2545f4914f6cdd1d);

static inline uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static inline void set_text(struct attribute *item, const char *key, const char *text)
{
    *item = (struct attribute){str_of(key), {.kind = VALUE_TEXT, .text = str_of(text)}};
}

static inline void set_number(struct attribute *item, const char *key, int64_t number)
{
    *item = (struct attribute){str_of(key), {.kind = VALUE_INTEGER, .integer = number}};
}

static inline void set_attributes(struct arena *arena, struct span *span, uint64_t user)
{
    struct attribute *items = ARENA_ARRAY(arena, ATTRIBUTES, struct attribute);
    size_t route = next_random() % 5;
    int i = 0;

    MUST(items != NULL);
    set_text(&items[i++], "http.request.method", methods[next_random() % 2]);
    set_text(&items[i++], "url.scheme", "https");
    set_text(&items[i++], "server.address", "shop.example.com");
    set_number(&items[i++], "server.port", 443);
    set_text(&items[i++], "http.route", routes[route]);
    set_text(&items[i++], "url.path",
             arena_printf(arena, "/product/%llu", (unsigned long long)(next_random() % 5000)));
    set_number(&items[i++], "http.response.status_code", next_random() % 50 == 0 ? 500 : 200);
    set_text(&items[i++], "network.protocol.version", "1.1");
    set_text(&items[i++], "client.address",
             arena_printf(arena, "10.0.%llu.%llu", (unsigned long long)(user >> 8 & 15),
                          (unsigned long long)(user & 255)));
    set_number(&items[i++], "client.port", 32768 + (int64_t)(next_random() % 28000));
    set_text(&items[i++], "user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
    set_number(&items[i++], "thread.id", (int64_t)(next_random() % 32));
    span->attributes = (struct attributes){items, ATTRIBUTES, 0};
    span->name = str_of(routes[route]);
}

/* Its id is told by the number of a trace. */
static inline void set_trace_id(uint8_t trace_id[TRACE_ID_BYTES], uint64_t trace)
{
    uint64_t half = (trace + 1) * UINT64_C(0x9e3779b97f4a7c15);

    memcpy(trace_id, &half, 8);
    half = (trace + 1) * UINT64_C(0xbf58476d1ce4e5b9);
    memcpy(trace_id + 8, &half, 8);
}

/* Message `number`, whose spans start step_ns after each other, the first of message 0 at base_ns.
 */
static inline void make_message(size_t number, int64_t base_ns, int64_t step_ns, size_t per_trace,
                                struct buf *out)
{
    struct arena *arena = arena_new(64 << 20);
    struct span *spans = ARENA_ARRAY(arena, MESSAGE_SPANS, struct span);
    struct resource *resource = ARENA_NEW(arena, struct resource);
    struct scope *scope = ARENA_NEW(arena, struct scope);
    struct attribute *items = ARENA_ARRAY(arena, 4, struct attribute);

    MUST(spans != NULL && resource != NULL && scope != NULL && items != NULL);
    set_text(&items[0], "service.name", services[number % 4]);
    set_text(&items[1], "telemetry.sdk.language", "go");
    set_text(&items[2], "telemetry.sdk.name", "opentelemetry");
    set_text(&items[3], "host.name", "web-1");
    resource->attributes = (struct attributes){items, 4, 0};
    scope->name = STR("net/http");
    for (size_t i = 0; i < MESSAGE_SPANS; i++) {
        struct span *span = &spans[i];
        uint64_t trace = (number * MESSAGE_SPANS + i) / per_trace;
        uint64_t id = next_random();
        set_trace_id(span->trace_id, trace);
        memcpy(span->span_id, &id, 8);
        if (i > 0 && (number * MESSAGE_SPANS + i) % per_trace > 0)
            memcpy(span->parent_span_id, spans[i - 1].span_id, 8);
        span->start_ns = base_ns + (int64_t)(number * MESSAGE_SPANS + i) * step_ns +
                         (int64_t)(next_random() % 30000);
        span->end_ns = span->start_ns + 100000 + (int64_t)(next_random() % 20000000);
        span->kind = SPAN_KIND_SERVER;
        span->flags = 257;
        span->resource = resource;
        span->scope = scope;
        set_attributes(arena, span, next_random() % 3000);
    }
    otlp_write_traces(spans, MESSAGE_SPANS, out);
    arena_free(arena);
}
