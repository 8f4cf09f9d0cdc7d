/* SPDX-License-Identifier: Apache-2.0 */
/* trace_call - which spans leave the program, and which of them do the same again.
 *
 * A call is a span that asks somebody else: a database, another service, a queue, a model. Two
 * calls are the same when service, peer and what is asked are, after values have been taken out:
 * the statement with ? for literals, the path of a URL with ? for ids. A span around exactly such a
 * call carries it: five "load item" with a SELECT in each do the same five times.
 *
 * Everything lives in the arena. Any thread. */
#pragma once
#include "analysis/trace_tree.h"
#include "base/buf.h"

enum trace_call_kind {
    TRACE_CALL_DATABASE,
    TRACE_CALL_REMOTE,
};

struct trace_call {
    enum trace_call_kind kind;
    struct str service; /* Who calls. */
    struct str system;  /* "postgresql"; "" for a remote one. */
    struct str peer;    /* "inventory:8001", or "". */
    struct str text;    /* The statement, or "GET /items/?"; values taken out. */
    struct str name;    /* Of the span. */
    uint32_t spans;     /* Of this call in the trace. */
};

#define TRACE_CALLS_MAX 20000 /* Different ones in a trace; further spans count as no calls. */

struct trace_calls {
    struct trace_call *items;
    uint32_t count;
    uint32_t *of;      /* By node: its own call, or TRACE_NONE. */
    uint32_t *carried; /* By node: its own call, or the only one in its subtree, or TRACE_NONE. */
    uint32_t *spans;   /* By node: spans of the carried call in its subtree, itself included. */
    uint8_t *failed;   /* By node: it, or what it carries, ended in error. */
};

/* ERR_LIMIT: the arena is spent. */
CHECKED enum err trace_calls_find(const struct trace_tree *tree, struct arena *arena,
                                  struct trace_calls *ret_calls, struct why *why);

/* The statement as it was sent, or STR_NONE. */
struct str trace_call_statement(const struct span *span);
/* Tells apart what the same call was asked for: a hash of the statement or URL as sent. */
uint64_t trace_call_hash(const struct span *span);
/* The address asked, or STR_NONE. */
struct str trace_call_address(const struct span *span);

/* Does it change what it is asked about, as far as its text tells? */
bool trace_call_writes(const struct trace_call *call);

#define TRACE_STATEMENT_BYTES_MAX 2048 /* Of a normalised one; the rest is cut. */

/* Appends the statement with ? for texts and numbers, (?) for lists of them, one space between
 * words, and no comments. */
void trace_statement_normalise(struct str statement, struct buf *out);
/* Appends the path (or any name) with ? for what looks like an id, and without a query. */
void trace_path_normalise(struct str path, struct buf *out);
