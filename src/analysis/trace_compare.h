/* SPDX-License-Identifier: Apache-2.0 */
/* trace_compare - two sets of traces, each by a TraceQL query and a stretch of time: slow and fast,
 * before and after. What explains the difference: operations (time on the critical path, calls,
 * presence) and attributes (in how many traces of either), with how sure that is.
 *
 * The newest of either set are read, one trace at a time. What was found lives in the arena. */
#pragma once
#include "analysis/trace_contrast.h"
#include "analysis/trace_features.h"

struct store_view;
struct traceql;

enum {
    TRACE_COMPARE_DEFAULT = 200, /* Traces of a set. */
    TRACE_COMPARE_FINDINGS_MAX = 12,
};

struct trace_set_question {
    const struct traceql *query;
    int64_t from_ms;
    int64_t to_ms;
};

struct trace_set {
    struct trace_group *group;
    bool is_cut;      /* There are more. */
    double median_ns; /* NAN without traces. */
    double p95_ns;
    double spans; /* Mean per trace; NAN without traces. */
    size_t errors;
};

struct trace_comparison {
    struct trace_set sets[2];
    struct trace_digests digests;
    struct contrast contrast;
    struct trace_features features;
    const struct trace_feature *telling;
    size_t telling_count;
    size_t tested_count;
    struct trace_finding *findings; /* Without nodes. */
    size_t findings_count;
};

/* traces_max at most TRACE_GROUP_MAX; 0: TRACE_COMPARE_DEFAULT. ERR_UNSUPPORTED: the view keeps no
 * traces. ERR_LIMIT, ERR_CANCELLED. */
CHECKED enum err trace_compare(struct store_view *view,
                               const struct trace_set_question questions[2], size_t traces_max,
                               struct arena *arena, struct trace_comparison *ret_comparison,
                               struct why *why);
void trace_comparison_done(struct trace_comparison *comparison); /* For CLEANUP. */
