/* SPDX-License-Identifier: Apache-2.0 */
/* trace_survey - many traces of one operation: where does the time of the slow ones go, compared
 * with that of the usual ones, and what is wrong in them?
 *
 * Of the newest traces that fit, by duration, two groups are looked at whole: those around the
 * median, and those from the 99th percentile on (at least SURVEY_SLOW_MIN where there are enough).
 * What was found lives in the arena; traces are read one at a time into one of their own. */
#pragma once
#include "analysis/trace_contrast.h"

struct store_view;
struct traceql;

enum {
    SURVEY_TRACES_DEFAULT = 1000,
    SURVEY_TRACES_MAX = 10000,
    SURVEY_SLOW_MIN = 5,
    SURVEY_GROUP_MAX = 50, /* Of either group. */
    SURVEY_DIFFERENCES_MAX = 5,
};

struct survey_question {
    struct str service;          /* Of the operation; STR_NONE: query tells. */
    struct str operation;        /* STR_NONE: any of the service. */
    const struct traceql *query; /* Whole traces instead; NULL: by service. */
    int64_t from_ms;
    int64_t to_ms;
    size_t traces_max; /* 0: SURVEY_TRACES_DEFAULT. */
};

struct survey {
    size_t traces; /* That fit. */
    bool is_cut;   /* There are more. */
    double p50_ns; /* Of all of them. */
    double p95_ns;
    double p99_ns;
    struct trace_group *median;
    struct trace_group *slow;
    struct trace_digests digests;
    struct contrast contrast; /* a: median, b: slow. */
    struct trace_finding *differences;
    size_t differences_count;
    struct trace_tallies tallies; /* Findings within the slow ones, weightiest first. */
};

/* ERR_UNSUPPORTED: the view keeps no traces. ERR_LIMIT, ERR_CANCELLED. */
CHECKED enum err trace_survey(struct store_view *view, const struct survey_question *question,
                              struct arena *arena, struct survey *ret_survey, struct why *why);
void trace_survey_done(struct survey *survey); /* For CLEANUP; NULL texts are fine. */
