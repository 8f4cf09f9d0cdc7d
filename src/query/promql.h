/* SPDX-License-Identifier: Apache-2.0 */
/* promql - the metric language: parse a text once, evaluate it as often as wanted.
 *
 * The language is Prometheus' own, version 3, with floats as samples, and sketches where it has
 * native histograms (README.md). An expression is read-only once parsed and may be evaluated by
 * several threads at once; one evaluation belongs to one thread. Everything that a result points to
 * lives in the arena that was handed in, apart from the labels of series as the store lends them,
 * which live as long as the store's snapshot does.
 *
 * What can fail: ERR_INVALID (a mistake in the text, or a question that has no answer, such as
 * two series that would carry the same labels; position is the byte in the text), ERR_LIMIT (too
 * wide; the text names the bound), ERR_TIMEOUT, ERR_CANCELLED, and whatever the store says. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>

struct buf;
struct labels;
struct store_view;

/* The bounds of a question, all of them. */
enum {
    PROMQL_TEXT_SIZE_MAX = 64 * 1024,
    PROMQL_DEPTH_MAX = 100,         /* Nested parentheses, calls and operators. */
    PROMQL_NODES_MAX = 16 * 1024,   /* Nodes in one expression. */
    PROMQL_TREE_DEPTH_MAX = 1000,   /* Of the tree; a + a + a + … is deep without nesting. */
    PROMQL_POINTS_MAX = 11000,      /* Steps of one range question, as Prometheus. */
    PROMQL_SERIES_MAX = 200 * 1000, /* Series that one selector may select. */
    PROMQL_SUBQUERY_STEPS_MAX = 1000 * 1000,
    PROMQL_NOTES_MAX = 32, /* Warnings and infos of one answer. */
    PROMQL_LOOKBACK_MS = 5 * 60 * 1000,
    PROMQL_SUBQUERY_STEP_MS = 60 * 1000, /* Where a subquery names no resolution. */
    PROMQL_TIMEOUT_MS = 120 * 1000,
};
#define PROMQL_SAMPLES_MAX (UINT64_C(50) * 1000 * 1000) /* Samples that one question may touch. */

enum promql_type {
    PROMQL_NONE,
    PROMQL_SCALAR,
    PROMQL_VECTOR,
    PROMQL_MATRIX,
    PROMQL_STRING,
};

struct promql_expression;

/* Checks syntax and types. Errors read like Prometheus' ("1:8: parse error: ...") with a hint. */
CHECKED enum err promql_parse(struct str text, struct promql_expression **ret_expression,
                              struct why *why);
struct promql_expression *promql_free(struct promql_expression *expression); /* Always NULL. */
void promql_freep(struct promql_expression **expression);                    /* For CLEANUP. */

enum promql_type promql_type(const struct promql_expression *expression);
/* The expression in canonical form, as Prometheus prints it. */
void promql_format(const struct promql_expression *expression, struct buf *buf);

/* What one evaluation needs; zero is a default everywhere but in source, start, end and arena. */
struct promql_query {
    struct store_view *source;
    int64_t start_ms;
    int64_t end_ms;  /* Inclusive; an instant question has start == end and step 0. */
    int64_t step_ms; /* 0: instant. */
    int64_t lookback_ms;
    int64_t timeout_ms;
    uint64_t samples_max;
    size_t series_max;
    const atomic_bool *cancelled; /* Looked at regularly; NULL: nobody will cancel. */
    struct arena *arena;          /* Its budget bounds the memory. */
};

struct promql_series {
    const struct labels *labels;
    const int64_t *times_ms;
    const double *values;
    size_t count; /* 1 in a vector. */
};

struct promql_note {
    bool warning;     /* Else an info. */
    const char *text; /* As Prometheus words it, with its line and column. */
};

struct promql_result {
    enum promql_type type;
    struct promql_series *series; /* Of vector and matrix. */
    size_t series_count;
    int64_t time_ms; /* Of scalar and string. */
    double scalar;
    struct str string;
    struct promql_note *notes;
    size_t notes_count;
    uint64_t samples; /* Touched on the way. */
};

/* At one moment, query->start_ms; a vector comes in the order that sort() and topk() gave it. */
CHECKED enum err promql_eval_instant(const struct promql_expression *expression,
                                     const struct promql_query *query,
                                     struct promql_result *ret_result, struct why *why);

/* At start, start + step, ... up to end: always a matrix, sorted by labels. */
CHECKED enum err promql_eval_range(const struct promql_expression *expression,
                                   const struct promql_query *query,
                                   struct promql_result *ret_result, struct why *why);
