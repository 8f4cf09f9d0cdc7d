/* SPDX-License-Identifier: Apache-2.0 */
/* trace_summary - many spans as a few traces to choose from: a dot each, and how often each
 * service, operation, status and attribute occurs among them.
 *
 * Spans are added run by run or one by one; a trace stands for the longest of its spans that were
 * added. Everything lives in the arena. One thread. */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "query/traceql.h"
#include "store/trace_read.h"

enum {
    TRACE_SUMMARY_TRACES_MAX = 200000, /* Then the walk ends and says so. */
    TRACE_SUMMARY_ROWS_MAX = 4000000,  /* That are looked at. */
    TRACE_SUMMARY_FACETS_MAX = 20,     /* Values of a facet that are told, the most frequent. */
    TRACE_SUMMARY_KEYS_MAX = 12,       /* Attributes that become facets. */
    TRACE_SUMMARY_TEXT_MAX = 256,      /* Bytes of a name or value; the rest is cut off. */
};

enum trace_order {
    TRACE_ORDER_NEWEST,
    TRACE_ORDER_SLOWEST,
    TRACE_ORDER_ERRORS, /* Those with errors first, then the slowest. */
};

struct trace_summary;

struct trace_summary *trace_summary_new(struct arena *arena); /* NULL: the arena is spent. */
struct trace_summary *trace_summary_free(struct trace_summary *summary); /* Returns NULL. */
void trace_summary_freep(struct trace_summary **summary);                /* For CLEANUP. */

/* Spans that pass: they make traces and are counted. self is the summary: as span_walk wants it. */
CHECKED enum err trace_summary_show(void *self, const struct span_run *run, bool *is_enough,
                                    struct why *why);
/* The same of one span. */
CHECKED enum err trace_summary_add(struct trace_summary *summary, const struct span *span,
                                   struct why *why);
/* A trace that TraceQL found: the spans that are shown of it are added, their attributes counted,
 * and those that matched beside them are part of its number. It is borrowed until the summary is
 * written; with_sets: its sets are told, too. */
CHECKED enum err trace_summary_found(struct trace_summary *summary,
                                     const struct traceql_trace *trace, bool with_sets,
                                     struct why *why);
/* Attributes of the span are counted; the span itself is not. */
CHECKED enum err trace_summary_sample(struct trace_summary *summary, const struct span *span,
                                      struct why *why);
/* The answer may not be all there is. */
void trace_summary_cut(struct trace_summary *summary);

/* Members of an open object: spans, traces, is_cut, list, facets. */
CHECKED enum err trace_summary_write(struct trace_summary *summary, enum trace_order order,
                                     size_t limit, struct json *json, struct why *why);
