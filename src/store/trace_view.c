/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot of a file holds a span either as pending or in a block, so nothing is seen twice
 * that was sent once. What was sent twice is dropped by its span id. */
#include "store/trace_view.h"

#include "store/trace_look.h"

#include <stdlib.h>

static enum err keep_spans(const struct trace_look *look, struct span_list *ret_spans,
                           struct why *why)
{
    struct span *items = ARENA_ARRAY(look->arena, look->spans_count, struct span);

    if (items == NULL)
        return arena_spent(look->arena, "the answer", why);
    if (look->spans_count > 0)
        memcpy(items, look->spans, look->spans_count * sizeof(*items));
    *ret_spans = (struct span_list){items, look->spans_count};
    return ERR_NONE;
}

static int by_trace(const void *a, const void *b)
{
    const struct span *left = a;
    const struct span *right = b;
    int order = memcmp(left->trace_id, right->trace_id, TRACE_ID_BYTES);

    return order != 0 ? order : trace_by_start(a, b);
}

static int by_id(const void *a, const void *b)
{
    const struct span *left = a;
    const struct span *right = b;
    int order = memcmp(left->trace_id, right->trace_id, TRACE_ID_BYTES);

    if (order == 0)
        order = memcmp(left->span_id, right->span_id, SPAN_ID_BYTES);
    return order != 0 ? order : trace_by_start(a, b);
}

/* A sender that did not hear the answer sends again. Only a span that is the same in id, time and
 * name is one of those: others with the same id are shown, strange as they are. */
static bool is_repeated(const struct span *a, const struct span *b)
{
    return memcmp(a->trace_id, b->trace_id, TRACE_ID_BYTES) == 0 &&
           memcmp(a->span_id, b->span_id, SPAN_ID_BYTES) == 0 && a->start_ns == b->start_ns &&
           a->end_ns == b->end_ns && str_eq(a->name, b->name);
}

/* Afterwards in the order of traces and starts. */
static void drop_repeated(struct trace_look *look)
{
    size_t kept = 0;

    if (look->spans_count == 0)
        return;
    qsort(look->spans, look->spans_count, sizeof(*look->spans), by_id);
    for (size_t i = 0; i < look->spans_count; i++) {
        if (kept == 0 || !is_repeated(&look->spans[kept - 1], &look->spans[i]))
            look->spans[kept++] = look->spans[i];
    }
    look->spans_count = kept;
    qsort(look->spans, look->spans_count, sizeof(*look->spans), by_trace);
}

static enum err view_traces(struct store_view *self, const uint8_t (*trace_ids)[TRACE_ID_BYTES],
                            size_t count, struct arena *arena, struct span_list *ret_spans,
                            struct why *why)
{
    uint8_t(*sorted)[TRACE_ID_BYTES] = arena_array(arena, count, TRACE_ID_BYTES);
    struct trace_look look CLEANUP(trace_look_done) = {
        .view = view_of(self),
        .arena = arena,
        .trace_ids = (const uint8_t(*)[TRACE_ID_BYTES])sorted,
        .trace_ids_count = count,
        .from_ms = INT64_MIN,
        .to_ms = INT64_MAX,
    };
    struct span_list all = {0};

    if (sorted == NULL)
        return arena_spent(arena, "the answer", why);
    if (count == 0)
        return ERR_NONE;
    memcpy(sorted, trace_ids, count * TRACE_ID_BYTES);
    qsort(sorted, count, TRACE_ID_BYTES, trace_by_id);
    TRY(trace_look_files(&look, why));
    drop_repeated(&look);
    TRY(keep_spans(&look, &all, why));
    memset(ret_spans, 0, count * sizeof(*ret_spans));
    for (size_t i = 0; i < count; i++) {
        size_t first = 0;
        while (first < all.count &&
               memcmp(all.items[first].trace_id, trace_ids[i], TRACE_ID_BYTES) != 0)
            first++;
        size_t end = first;
        while (end < all.count &&
               memcmp(all.items[end].trace_id, trace_ids[i], TRACE_ID_BYTES) == 0)
            end++;
        ret_spans[i] = (struct span_list){all.items + first, end - first};
    }
    return ERR_NONE;
}

static enum err view_trace(struct store_view *self, const uint8_t trace_id[TRACE_ID_BYTES],
                           struct arena *arena, struct span_list *ret_spans, struct why *why)
{
    return view_traces(self, (const uint8_t(*)[TRACE_ID_BYTES])(const void *)trace_id, 1, arena,
                       ret_spans, why);
}

static enum err view_span(struct store_view *self, const uint8_t trace_id[TRACE_ID_BYTES],
                          const uint8_t span_id[SPAN_ID_BYTES], struct arena *arena,
                          struct span_list *ret_spans, struct why *why)
{
    struct trace_look look CLEANUP(trace_look_done) = {
        .view = view_of(self),
        .arena = arena,
        .trace_ids = (const uint8_t(*)[TRACE_ID_BYTES])(const void *)trace_id,
        .trace_ids_count = 1,
        .span_id = span_id,
        .from_ms = INT64_MIN,
        .to_ms = INT64_MAX,
    };

    TRY(trace_look_files(&look, why));
    drop_repeated(&look);
    return keep_spans(&look, ret_spans, why);
}

static enum err view_walk(struct store_view *self, const struct span_walk *walk, struct why *why)
{
    bool by_trace_id = walk->trace_id != NULL;
    struct trace_look look CLEANUP(trace_look_done) = {
        .view = view_of(self),
        .trace_ids = (const uint8_t(*)[TRACE_ID_BYTES])(const void *)walk->trace_id,
        .trace_ids_count = by_trace_id,
        .query = by_trace_id ? NULL : walk->query,
        .walk = walk,
        .from_ms = by_trace_id ? INT64_MIN : walk->query->from_ms,
        .to_ms = by_trace_id ? INT64_MAX : walk->query->to_ms,
    };

    return trace_look_files(&look, why);
}

static int by_time(const void *a, const void *b)
{
    const struct event *left = a;
    const struct event *right = b;

    return (left->time_ns > right->time_ns) - (left->time_ns < right->time_ns);
}

static enum err view_logs(struct store_view *self, const uint8_t trace_id[TRACE_ID_BYTES],
                          struct arena *arena, struct event_list *ret_events, struct why *why)
{
    struct trace_look look CLEANUP(trace_look_done) = {
        .view = view_of(self),
        .arena = arena,
        .trace_ids = (const uint8_t(*)[TRACE_ID_BYTES])(const void *)trace_id,
        .trace_ids_count = 1,
        .from_ms = INT64_MIN,
        .to_ms = INT64_MAX,
        .events = true,
    };

    TRY(trace_look_files(&look, why));
    struct event *items = ARENA_ARRAY(arena, look.events_count, struct event);
    if (items == NULL)
        return arena_spent(arena, "the answer", why);
    if (look.events_count > 0) {
        memcpy(items, look.found_events, look.events_count * sizeof(*items));
        qsort(items, look.events_count, sizeof(*items), by_time);
    }
    *ret_events = (struct event_list){items, look.events_count};
    return ERR_NONE;
}

static enum err view_search(struct store_view *self, const struct trace_query *query,
                            struct arena *arena, struct span_list *ret_spans, struct why *why)
{
    struct trace_look look CLEANUP(trace_look_done) = {
        .view = view_of(self),
        .arena = arena,
        .query = query,
        .from_ms = query->from_ms,
        .to_ms = query->to_ms,
    };

    TRY(trace_look_files(&look, why));
    trace_look_keep_newest(&look);
    return keep_spans(&look, ret_spans, why);
}

const struct trace_view_ops trace_view_ops = {
    .trace = view_trace,
    .traces = view_traces,
    .logs = view_logs,
    .search = view_search,
    .walk = view_walk,
    .span = view_span,
};
