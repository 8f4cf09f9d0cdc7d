/* SPDX-License-Identifier: Apache-2.0 */
/* trace_explain_priv - what the parts of trace_explain share while they look at one trace. */
#pragma once
#include "analysis/trace_explain.h"

enum told {
    TOLD_REPEATED = 1,
    TOLD_RETRIED = 2,
};

struct explainer {
    const struct trace_tree *tree;
    const struct trace_path *path;
    const struct trace_calls *calls;
    const int64_t *self_ns;
    int64_t *critical_ns; /* By node: its own stretches on the path. */
    int64_t *within_ns;   /* By node: those of its whole subtree. */
    uint8_t *told;        /* By call: enum told. */
    uint8_t *retried;     /* By node: an attempt among several. */
    uint32_t top;
    int64_t whole_ns; /* Duration of what is explained; at least 1. */
    struct arena *arena;
    struct trace_finding *items;
    size_t count;
    bool is_spent; /* The arena. */
};

static inline double explain_share(const struct explainer *explainer, int64_t ns)
{
    double share = (double)ns / (double)explainer->whole_ns;

    return share > 1 ? 1 : share;
}

/* A list of nodes for a finding; more than TRACE_FINDING_NODES_MAX are counted, not kept. */
struct node_list {
    uint32_t *items;
    uint32_t count;
};
void explain_note(struct explainer *explainer, struct node_list *list, uint32_t node);

/* Texts of a finding, in the arena. STR_NONE, and is_spent, when that is spent. */
struct str explain_text(struct explainer *explainer, const char *format, ...) PRINTF_LIKE(2, 3);
struct str explain_ns(struct explainer *explainer, int64_t ns);
struct str explain_percent(struct explainer *explainer, double share); /* "41 %" */
/* At most so many bytes, with an ellipsis, never within a character. */
struct str explain_cut(struct explainer *explainer, struct str text, size_t bytes_max);
/* A text as TraceQL quotes it. */
struct str explain_quote(struct explainer *explainer, struct str text);
/* What a call asks, for a sentence: the statement, or "GET inventory:80/items/?". */
struct str explain_call(struct explainer *explainer, const struct trace_call *call);
/* { resource.service.name = "shop" && name = "GET /" } */
struct str explain_query(struct explainer *explainer, struct str service, struct str name);
/* The name of the node's operation; of the trace itself "the trace". */
struct str explain_name(const struct explainer *explainer, uint32_t node);
struct str explain_service(const struct explainer *explainer, uint32_t node);

/* Makes the id of kind, service and subject, and appends. What is over the limit is dropped: the
 * parts come in the order of their weight. */
void explain_add(struct explainer *explainer, struct trace_finding *finding, struct str subject);

void explain_calls(struct explainer *explainer); /* trace_explain_calls.c: n_plus_one, retries */
void explain_sequences(struct explainer *explainer); /* trace_explain_sequence.c */
void explain_time(struct explainer *explainer);      /* trace_explain_time.c */
void explain_errors(struct explainer *explainer);    /* trace_explain_errors.c */
void explain_soundness(struct explainer *explainer); /* trace_explain_errors.c */
