/* SPDX-License-Identifier: Apache-2.0 */
/* trace_look - one look through the files of a tenant for spans or events: by trace or by what they
 * say. Private to trace_look.c and trace_view.c. How it goes: at the top of trace_look.c. */
#pragma once
#include "store/trace_read.h"
#include "store/view_priv.h"

/* What is being looked for, and what was found. */
struct trace_look {
    struct view *view;
    struct arena *arena;                        /* Of the answer. */
    const uint8_t (*trace_ids)[TRACE_ID_BYTES]; /* In order. */
    size_t trace_ids_count;
    const uint8_t *span_id;          /* Of the trace; NULL: all. */
    const struct trace_query *query; /* NULL: by trace. */
    const struct span_walk *walk;    /* Shown instead of kept; NULL: kept. */
    bool walk_is_over;
    int64_t from_ms, to_ms;
    bool events;
    struct span *spans;
    size_t spans_count, spans_capacity;
    struct event *found_events;
    size_t events_count, events_capacity;
};

void trace_look_done(struct trace_look *look);

/* Finds them all, or as many as the query's limit wants. */
CHECKED enum err trace_look_files(struct trace_look *look, struct why *why);

/* Of what was found: the newest, no more than the query's limit, in order. */
void trace_look_keep_newest(struct trace_look *look);

/* For qsort: spans by start, then by id, and the other way round; ids of traces. */
int trace_by_start(const void *a, const void *b);
int trace_by_start_down(const void *a, const void *b);
int trace_by_id(const void *a, const void *b);
