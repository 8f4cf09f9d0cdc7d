/* SPDX-License-Identifier: Apache-2.0 */
/* trace_read - how anyone asks what the store keeps about traces and logs.
 *
 * A view (store/store_read.h) that keeps traces has these calls beside its others; what is said
 * there of views, arenas and cancelling holds here too. */
#pragma once
#include "model/event.h"
#include "store/store_read.h"

struct span_list {
    struct span *items; /* By start, then by id. */
    size_t count;
};

struct event_list {
    struct event *items; /* By time. */
    size_t count;
};

/* A span passes when everything that is set holds of it. Texts compare whole; an attribute is
 * looked for in the span and in its resource, and compared as text: 5, true, "GET". */
struct trace_pair {
    struct str key;
    struct str value;
};

#define TRACE_PAIRS_MAX 16

struct trace_query {
    int64_t from_ms; /* Of the span's start; inclusive. */
    int64_t to_ms;
    struct str service; /* STR_NONE: any. */
    struct str name;
    int64_t duration_min_ns; /* INT64_MIN: any. */
    int64_t duration_max_ns; /* INT64_MAX: any. */
    bool only_errors;
    struct trace_pair pairs[TRACE_PAIRS_MAX];
    size_t pairs_count;
    size_t limit; /* Spans at most, the newest. */
};

#define TRACE_QUERY_ANY                                                         \
    (struct trace_query)                                                        \
    {                                                                           \
        .from_ms = INT64_MIN, .to_ms = INT64_MAX, .duration_min_ns = INT64_MIN, \
        .duration_max_ns = INT64_MAX, .limit = 100                              \
    }

struct trace_view_ops {
    /* All spans of a trace; none is no error. A span that was sent twice is there once. */
    enum err (*trace)(struct store_view *view, const uint8_t trace_id[TRACE_ID_BYTES],
                      struct arena *arena, struct span_list *ret_spans, struct why *why);
    /* The logs that name the trace. */
    enum err (*logs)(struct store_view *view, const uint8_t trace_id[TRACE_ID_BYTES],
                     struct arena *arena, struct event_list *ret_events, struct why *why);
    /* Spans that pass, newest first. */
    enum err (*search)(struct store_view *view, const struct trace_query *query,
                       struct arena *arena, struct span_list *ret_spans, struct why *why);
};
