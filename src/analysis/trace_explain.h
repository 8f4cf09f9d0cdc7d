/* SPDX-License-Identifier: Apache-2.0 */
/* trace_explain - where the time of one trace went, what went wrong in it, and what to do.
 *
 * Findings, worst first; each with the spans it rests on, its share of the trace, an estimate of
 * what could be saved where one can be made, and TraceQL that finds others like it. What is looked
 * for, and from when on it counts, stands at the head of each trace_explain_*.c. Lives in the arena
 * and borrows the spans. Any thread. */
#pragma once
#include "analysis/finding.h"
#include "analysis/trace_call.h"
#include "analysis/trace_path.h"

enum trace_finding_kind {
    TRACE_SLOW_QUERY,       /* A statement takes much of the time. */
    TRACE_SLOW_CALL,        /* So does a call of something that sends no spans. */
    TRACE_OWN_TIME,         /* So does a program's own work. */
    TRACE_N_PLUS_ONE,       /* The same call again and again, where one would do. */
    TRACE_SEQUENTIAL_CALLS, /* One after the other, and perhaps without need. */
    TRACE_RETRIES,          /* Asked again after an error. */
    TRACE_GAP,              /* A stretch that no span covers. */
    TRACE_ERROR_ORIGIN,     /* Where the error came from. */
    TRACE_CLOCK_SKEW,       /* Hosts disagree about the time. */
    TRACE_INCOMPLETE,       /* Spans are missing or odd. */
    TRACE_DIFFERENCE,       /* What tells two groups of traces apart: trace_contrast.h. */
};

#define TRACE_FINDINGS_MAX      64
#define TRACE_FINDING_NODES_MAX 100

struct trace_finding {
    struct finding finding; /* expr is TraceQL; since_ms is the trace's start. */
    enum trace_finding_kind kind;
    struct str service;
    struct str operation;
    int64_t time_ns;   /* What it took. */
    int64_t saving_ns; /* An estimate; 0: none. */
    double share;      /* Of what was explained, 0 … 1. */
    uint32_t calls;    /* Spans it is about. */
    uint32_t *nodes;   /* The first of them. */
    uint32_t nodes_count;
};

struct trace_explained {
    struct trace_tree tree; /* With the times of its operations. */
    struct trace_path path; /* Of top. */
    int64_t *self_ns;       /* By node. */
    struct trace_calls calls;
    uint32_t top; /* What was explained; 0: the whole trace. */
    struct trace_finding *findings;
    size_t findings_count;
};

const char *trace_finding_kind_name(enum trace_finding_kind kind); /* "n_plus_one" */

/* Explains the whole trace. ERR_LIMIT. */
CHECKED enum err trace_explain(const struct span *spans, size_t count, struct arena *arena,
                               struct trace_explained *ret_explained, struct why *why);
/* Explains what one span did: the longest of that service and name, the whole trace when there is
 * none. */
CHECKED enum err trace_explain_operation(const struct span *spans, size_t count, struct str service,
                                         struct str operation, struct arena *arena,
                                         struct trace_explained *ret_explained, struct why *why);

/* "1.24 s", "80.3 ms", "420 µs", "85 ns". */
void trace_write_ns(struct buf *out, int64_t ns);
