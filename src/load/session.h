/* SPDX-License-Identifier: Apache-2.0 */
/* session - what a user of a scenario remembers: its variables, its cookies, the request it puts
 * together, the answer it looks into. Belongs to its user's thread; bounded by the plan's limits.
 *
 * An iteration begins with nothing remembered: a new visitor. */
#pragma once
#include "base/buf.h"
#include "load/cookies.h"
#include "load/plan.h"
#include "load/request.h"
#include "load/stream.h"

struct random;

struct session {
    const struct plan *plan;
    uint32_t user;      /* Number of the user, over all threads. */
    uint64_t iteration; /* Of this user, from 0. */
    struct buf *values; /* One for each variable of the plan. */
    struct cookies cookies;
    uint32_t loops[PLAN_LOOPS_MAX]; /* Turns taken. */

    struct buf request; /* What changes of it, one after the other. */
    struct buf head;    /* Of the answer, as script.h wants it. */
    struct buf body;
    bool overflowed; /* The answer is more than is looked into. */

    struct stream stream;
    size_t talk; /* Of a recorded conversation: which one, and the turn. */
    size_t turn;
    uint64_t tokens_asked;
};

struct session *session_new(const struct plan *plan, uint32_t user);
struct session *session_free(struct session *session); /* Always returns NULL. */

void session_begin(struct session *session, struct random *random); /* A new iteration. */
void session_set(struct session *session, size_t variable, struct str value);

/* Puts the step's request together. Pieces point into the session, the plan, and fields, which has
 * room for PLAN_HEADERS_MAX + 1; they hold until the next one. */
struct request_pieces session_request(struct session *session, const struct step *step,
                                      struct random *random, struct http_header *fields);

/* An answer begins, and comes. */
void session_answer(struct session *session);
void session_field(struct session *session, const struct step *step, struct str name,
                   struct str value);
void session_body(struct session *session, struct str piece);
