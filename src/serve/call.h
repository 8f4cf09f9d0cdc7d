/* SPDX-License-Identifier: Apache-2.0 */
/* call - one request in the hands of its handler, from the route found to the answer sent.
 *
 * A handler runs on the loop. It answers at once (call_answer, call_fail), or hands the work to a
 * worker with call_work: that function fills in call->answer and returns, and the loop sends what
 * it made. Between call_work and the answer only the worker touches the call.
 *
 * The call lives in the exchange's arena and dies with it. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "io/exchange.h"
#include "io/loop.h"
#include "io/workers.h"
#include "serve/auth.h"
#include "serve/route.h"

#include <stdatomic.h>

struct server;
struct store_view;

#define CALL_HEADERS_MAX 16

/* How a request with rows is answered when all is kept. */
enum ingest_answer {
    INGEST_EMPTY,  /* 204; a JSON account with 200 when some rows were turned away. */
    INGEST_REMOTE, /* 204; 400 when some rows were turned away, as remote-write senders expect. */
    INGEST_LATER,  /* 202; with a JSON account when some rows were turned away, 400 when all. */
    INGEST_COUNTS, /* 200 with a JSON account. */
    INGEST_OTLP,   /* An export response: serve/otlp.h. */
};

/* What a call needs to be worked on. */
enum call_needs {
    CALL_NEEDS_ARENA = 0,
    CALL_NEEDS_VIEW = 1, /* A store view of the tenant, in call->view. */
};

struct answer {
    int status; /* 0 is 200. */
    struct str content_type;
    struct buf body;
    struct str static_body; /* Lives as long as the server. */
    struct str etag;
    struct http_header headers[CALL_HEADERS_MAX]; /* Static texts, or in the call's arena. */
    size_t headers_count;
    bool as_is; /* Compressed already, or not worth it. */
};

struct call {
    uint32_t magic;
    struct server *server;
    struct exchange *exchange;
    const struct route *route;
    enum route_form form;
    struct identity identity;
    struct str captures[ROUTE_CAPTURES_MAX];
    struct answer answer;

    /* Of call_work. */
    struct job job;
    enum call_needs needs;
    enum err (*work)(struct call *call, struct why *why);
    struct str shown_health; /* Of the overview: read on the loop, written by the work. */
    struct arena *arena;     /* Of this question; dies when it is answered. */
    struct store_view *view; /* What was committed when the work began; NULL: not asked for. */
    int64_t deadline_ns;     /* Monotonic. */
    bool is_evaluation;      /* The question was well-formed: errors from here on are not the
                                sender's spelling. Set by the work. */
    int retry_after_s;       /* Of an error 429 or 503; 0: a second. */
    enum err err;
    struct why why;

    /* Of ingest: what must have arrived on the loop before `finish` answers. */
    int parts;
    void (*finish)(struct call *call);
    struct loop_task task; /* To come back from the hub's writer. */
    enum ingest_answer ingest_answer;
    uint64_t accepted_count;
    uint64_t rejected_count;
    struct str warning; /* Static; of what was kept nevertheless (serve/otlp.c). */
};

struct call *call_new(struct server *server, struct exchange *exchange); /* NULL: arena spent. */

/* Media types that handlers name. */
#define MEDIA_JSON        STR("application/json")
#define MEDIA_TEXT        STR("text/plain; charset=utf-8")
#define MEDIA_CSV         STR("text/csv; charset=utf-8")
#define MEDIA_EXPOSITION  STR("text/plain; version=0.0.4; charset=utf-8")
#define MEDIA_OPENMETRICS STR("application/openmetrics-text; version=1.0.0; charset=utf-8")

/* Adds a header; name and value are static or in the call's arena. */
void call_header(struct call *call, const char *name, struct str value);

/* Sends call->answer with the security headers; the call is gone afterwards. */
void call_answer(struct call *call);
/* The shorthand of the small ones: a static text. */
void call_answer_text(struct call *call, int status, struct str content_type, struct str text);
/* Sends the error in the form of the call's route; the call is gone afterwards. */
void call_fail(struct call *call, enum err err, const struct why *why);

/* Writes the error as a body in that form; returns the HTTP status. */
int call_error_body(enum route_form form, bool is_evaluation, enum err err, const struct why *why,
                    struct buf *body);

/* Runs work on a worker, then answers. Refuses with 429 when too many questions wait already. */
void call_work(struct call *call, enum call_needs needs,
               enum err (*work)(struct call *call, struct why *why));

/* The parameter of the query or of the form body; STR_NONE when absent. */
static inline struct str call_parameter(struct call *call, const char *name)
{
    return exchange_param(call->exchange, str_of(name));
}
