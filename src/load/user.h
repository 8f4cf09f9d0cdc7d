/* SPDX-License-Identifier: Apache-2.0 */
/* user - somebody who sends requests one after the other: a virtual user of the closed model, a
 * free place for an arrival in the open one.
 *
 * A user goes through iterations; each is one scenario from its first step to its last. Belongs to
 * its driver's thread.
 *
 *     ASLEEP ─► RESTING ─► WAITING ─► RESTING … (steps) ─► the driver decides what is next
 */
#pragma once
#include "io/loop.h"
#include "load/fault.h"
#include "load/plan.h"

struct driver;
struct link;
struct session;
struct user;

enum user_state {
    USER_ASLEEP,  /* Not taking part now: the pattern wants fewer users, or no arrival is due. */
    USER_RESTING, /* Thinking; the wake timer runs. */
    USER_WAITING, /* For an answer. */
};

struct user {
    struct driver *driver;
    struct user *next;  /* In one list at a time: of its link, or of the driver's idle users. */
    struct link *link;  /* While WAITING. */
    struct link *links; /* One for each origin. */
    const struct scenario *scenario;
    const struct step *step; /* Under way or next. */
    struct session *session; /* Variables and cookies; NULL where the plan has none. */
    struct str body;         /* Of the request. */
    /* HTTP/2, while WAITING. */
    int32_t stream;
    uint16_t status;
    size_t body_sent;
    uint64_t body_received;
    struct loop_timer timeout;
    struct loop_timer wake;
    int64_t intended_ns;   /* When the request was meant to start. */
    int64_t sent_ns;       /* When its first byte was sent; 0 before. */
    int64_t first_byte_ns; /* When the first byte came; 0 before. */
    int64_t deadline_ns;
    uint64_t trace_low; /* Of a step that is traced: the end of this request's trace id. */
    uint32_t index;     /* Among the driver's users. */
    uint32_t op_index;  /* Within the scenario: what comes next. */
    uint32_t failures_in_row;
    enum user_state state;
    bool iteration_failed;
    bool has_sent; /* In this iteration. */
    bool grpc_ok;  /* The trailer said so. */
};

void user_init(struct user *user, struct driver *driver, uint32_t index, struct link *links);
void user_done(struct user *user);

/* Begins an iteration that was meant to start at intended_ns. */
void user_begin(struct user *user, int64_t intended_ns);

/* ---- For protocols. ---- */

/* The request is on its way. */
static inline void user_sent(struct user *user, int64_t now_ns)
{
    user->sent_ns = now_ns;
}

/* Bytes of an answer have come; what is told first counts. */
static inline void user_first_byte(struct user *user, int64_t now_ns)
{
    if (user->first_byte_ns == 0)
        user->first_byte_ns = now_ns;
}

/* Does anybody look into the answer? Then its fields and its body are wanted. */
static inline bool user_looks(const struct user *user)
{
    return user->step->script != NULL;
}
void user_field(struct user *user, struct str name, struct str value);
void user_body(struct user *user, struct str piece, int64_t now_ns);

/* The user's request where it changes; see session_request. */
struct request_pieces;
struct request_pieces user_request(struct user *user, struct http_header *fields);
bool user_has_cookies(const struct user *user);
static inline bool user_changes(const struct user *user)
{
    return user->step->wire.data == NULL || (user->step->script != NULL && user_has_cookies(user));
}

/* The answer is complete. The user may go on to its next request within the call. */
void user_answered(struct user *user, unsigned status, int64_t now_ns);
/* There will be no answer. */
void user_failed(struct user *user, enum fault fault, int64_t now_ns);
