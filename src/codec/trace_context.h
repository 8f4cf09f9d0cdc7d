/* SPDX-License-Identifier: Apache-2.0 */
/* trace_context - how a trace travels from one process to the next: W3C traceparent, tracestate and
 * baggage, and Zipkin's B3.
 *
 * Pure; any thread. Texts point into what was given. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "model/span.h"

#define TRACE_FLAG_SAMPLED 1u

#define TRACEPARENT_SIZE      55 /* "00-" 32 digits "-" 16 digits "-" 2 digits. */
#define TRACE_STATE_PAIRS_MAX 32
#define TRACE_STATE_SIZE_MAX  512
#define BAGGAGE_PAIRS_MAX     64
#define BAGGAGE_SIZE_MAX      8192

struct trace_context {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES]; /* The caller's span: the parent of what is begun here. */
    uint8_t flags;                  /* TRACE_FLAG_SAMPLED. */
    bool is_decided;                /* B3 may leave sampling open. */
    bool is_debug;                  /* B3: keep it, whatever the ratio says. */
};

/* Version 00, and of later ones the part that is known. ERR_INVALID: begin a new trace. */
CHECKED enum err traceparent_read(struct str text, struct trace_context *ret_context,
                                  struct why *why);
void traceparent_write(const struct trace_context *context, char text[TRACEPARENT_SIZE + 1]);

struct trace_pair_text {
    struct str key;
    struct str value;
};

/* The members in their order; *ret_count of at most TRACE_STATE_PAIRS_MAX. Keys that occur twice,
 * bad keys and too much are ERR_INVALID: then the whole header is dropped, as the W3C says. */
CHECKED enum err tracestate_read(struct str text,
                                 struct trace_pair_text pairs[TRACE_STATE_PAIRS_MAX],
                                 size_t *ret_count, struct why *why);
/* Appends text with key=value in front and without what key said before, whole members only, up to
 * TRACE_STATE_SIZE_MAX. */
void tracestate_update(struct str text, struct str key, struct str value, struct buf *out);

/* key=value;property, … with values percent-decoded into arena. Members that are none are left out;
 * ERR_LIMIT: the arena is spent, or it is longer than BAGGAGE_SIZE_MAX. */
struct arena;
CHECKED enum err baggage_read(struct str text, struct arena *arena,
                              struct trace_pair_text pairs[BAGGAGE_PAIRS_MAX], size_t *ret_count,
                              struct why *why);
/* Appends one member, percent-encoded, with a comma before it when out is not empty. */
void baggage_add(struct str key, struct str value, struct buf *out);

/* The single header "b3": ids and sampling, or sampling alone (then the ids are all zero). */
CHECKED enum err b3_read(struct str text, struct trace_context *ret_context, struct why *why);
/* The headers X-B3-TraceId, -SpanId, -Sampled, -Flags; STR_NONE for those that are not there. */
CHECKED enum err b3_read_headers(struct str trace_id, struct str span_id, struct str sampled,
                                 struct str flags, struct trace_context *ret_context,
                                 struct why *why);
#define B3_SIZE 51 /* 32 digits "-" 16 digits "-" and one more. */
void b3_write(const struct trace_context *context, char text[B3_SIZE + 1]);
