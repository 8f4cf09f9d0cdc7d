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
    size_t limit;       /* Spans at most, the newest. */
    bool one_per_trace; /* Only the newest of each trace: then a trace of a million hides no other.
                         */
};

#define TRACE_QUERY_ANY                                                         \
    (struct trace_query)                                                        \
    {                                                                           \
        .from_ms = INT64_MIN, .to_ms = INT64_MAX, .duration_min_ns = INT64_MIN, \
        .duration_max_ns = INT64_MAX, .limit = 100                              \
    }

/* Spans as columns, one place a span: what overviews of a million of them are made from, without
 * their attributes. Lives as long as the call that shows it. */
struct span_run {
    size_t count;
    const bool *wanted; /* The others stand in the same block and are not meant. */
    size_t wanted_count;
    const uint8_t *traces; /* TRACE_ID_BYTES each, */
    size_t traces_count;
    const uint64_t *trace_of;  /* and which of them. */
    const uint8_t *ids;        /* SPAN_ID_BYTES each. */
    const uint8_t *parent_ids; /* The same; all zero: a root. */
    const int64_t *start_ns;
    const int64_t *duration_ns; /* May be negative. */
    const uint64_t *kinds;      /* kind | status << 3, in the numbers of model/span.h. */
    const struct str *texts;
    size_t texts_count;
    const uint64_t *name_of; /* Index in texts. */
    const struct resource *resources;
    size_t resources_count;
    const uint64_t *resource_of;
    const struct span_event *const *events; /* NULL: were not asked for. */
    const uint64_t *event_counts;
};

struct span_walk {
    const uint8_t *trace_id;         /* NULL: of any, */
    const struct trace_query *query; /* and then those that pass, newest block first. */
    bool with_events;
    void *self;
    /* Sets *is_enough to end the walk. A span that was sent twice may show twice. */
    enum err (*show)(void *self, const struct span_run *run, bool *is_enough, struct why *why);
};

struct trace_view_ops {
    /* All spans of a trace; none is no error. A span that was sent twice is there once. */
    enum err (*trace)(struct store_view *view, const uint8_t trace_id[TRACE_ID_BYTES],
                      struct arena *arena, struct span_list *ret_spans, struct why *why);
    /* The same of several at once, in less time than one by one: ret_spans has a place for each. */
    enum err (*traces)(struct store_view *view, const uint8_t (*trace_ids)[TRACE_ID_BYTES],
                       size_t count, struct arena *arena, struct span_list *ret_spans,
                       struct why *why);
    /* The logs that name the trace. */
    enum err (*logs)(struct store_view *view, const uint8_t trace_id[TRACE_ID_BYTES],
                     struct arena *arena, struct event_list *ret_events, struct why *why);
    /* Spans that pass, newest first. */
    enum err (*search)(struct store_view *view, const struct trace_query *query,
                       struct arena *arena, struct span_list *ret_spans, struct why *why);
    /* Shows spans run by run. */
    enum err (*walk)(struct store_view *view, const struct span_walk *walk, struct why *why);
    /* Those spans of a trace that have the id: mostly one. */
    enum err (*span)(struct store_view *view, const uint8_t trace_id[TRACE_ID_BYTES],
                     const uint8_t span_id[SPAN_ID_BYTES], struct arena *arena,
                     struct span_list *ret_spans, struct why *why);
};
