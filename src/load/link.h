/* SPDX-License-Identifier: Apache-2.0 */
/* link - one connection to an origin, and the users whose requests travel on it.
 *
 * A link opens when a user wants to send and closes when either side has had enough; it is used
 * again and again for the whole run. What is spoken on it is a struct protocol. Links belong to
 * their driver's thread.
 *
 *     CLOSED ─► RESOLVING ─► CONNECTING ─► TUNNELING ─► SECURING (TLS) ─► GREETING ─► READY ─►
 * CLOSED
 *
 * Most links skip RESOLVING (names are resolved before the run), TUNNELING and SECURING.
 *
 * Any call into the driver or a user may close the link underneath: who goes on afterwards compares
 * link->epoch, which grows with every close. */
#pragma once
#include "base/buf.h"
#include "io/http1.h"
#include "io/loop.h"
#include "load/fault.h"
#include "load/plan.h"

struct driver;
struct link;
struct tls_session;
struct user;

/* What a name came to. */
enum { LINK_ADDRESSES_MAX = 4 };

struct addresses {
    struct sockaddr_storage items[LINK_ADDRESSES_MAX];
    size_t count;
};

enum link_state {
    LINK_CLOSED,
    LINK_RESOLVING, /* Where each connection asks for the name. */
    LINK_CONNECTING,
    LINK_TUNNELING, /* A proxy is asked for the way. */
    LINK_SECURING,
    LINK_GREETING,
    LINK_READY,
};

struct protocol {
    const char *name;
    const char *alpn; /* For TLS: "h2", "http/1.1", or NULL. */
    /* The transport is there; calls link_ready now or later. NULL: ready at once. */
    void (*greet)(struct link *link);
    /* Sends the request of the user's step. The link is READY. */
    void (*send)(struct link *link, struct user *user);
    /* Bytes have come; takes all of them. */
    void (*receive)(struct link *link, struct str bytes, int64_t now_ns);
    /* All that had come was received: the moment to send what that led to in one piece. Optional.
     */
    void (*settle)(struct link *link);
    /* The peer has closed: fails or finishes the users under way, then the link is closed. */
    void (*hung_up)(struct link *link);
    /* The user no longer waits. NULL: the connection is of no use any more and is closed. */
    void (*forget)(struct link *link, struct user *user);
    /* The link closes: drops what the protocol keeps for this connection. Optional. */
    void (*closed)(struct link *link);
};

struct user_list {
    struct user *first;
    struct user *last;
};

/* What an HTTP/1 head said, for the next one that is the same byte by byte: most are, for as long
 * as their Date is. */
enum { HEAD_MEMO_BYTES = 488, HEAD_MEMOS = 8 };

struct head_memo {
    uint64_t content_length;
    uint16_t size; /* 0: nothing is remembered. */
    uint16_t status;
    uint8_t framing; /* enum http1_framing */
    bool keep_alive;
    bool head_asked;
    char bytes[HEAD_MEMO_BYTES];
};

struct link {
    struct loop_watch watch;
    struct driver *driver;
    const struct origin *origin;
    const struct protocol *protocol;
    size_t origin_index;
    struct tls_session *tls;
    enum link_state state;
    uint32_t epoch;
    uint32_t answers;      /* On this connection. */
    struct addresses *own; /* Of the name, where each connection asks for it; else NULL. */
    size_t address;        /* Of the origin, tried last. */
    size_t addresses_tried;
    int64_t opened_ns; /* When connecting began; then when securing began. */
    bool asked_write;  /* The kernel was full: what is in output waits. */
    bool read_deferred;
    struct loop_task read_on;

    struct user_list waiting;  /* Want to send, but the link is not ready. */
    struct user_list underway; /* Have sent and wait, in that order. */

    struct buf input;  /* Bytes that are only the start of something. */
    struct buf output; /* Not yet taken by the kernel. */
    size_t output_sent;

    /* HTTP/1: where in an answer we are. */
    enum http1_framing body;
    bool in_body;
    bool keep_alive;
    uint16_t status;
    uint64_t body_left;
    uint64_t body_bytes;
    struct http1_chunked chunked;

    void *state_of_protocol; /* Others' own. */
};

void link_init(struct link *link, struct driver *driver, const struct origin *origin,
               size_t origin_index, const struct protocol *protocol);
void link_done(struct link *link); /* Closes it; users on it are forgotten. */

/* Sends the user's request, now or when the link is ready; opens it if need be. */
void link_submit(struct link *link, struct user *user);
/* Opens a closed link without a request. */
void link_open(struct link *link);
/* The user waits no longer: takes it from the lists. */
void link_forget(struct link *link, struct user *user);

/* ---- For protocols. ---- */

void link_ready(struct link *link); /* GREETING is over. */
/* Sends, keeping what the kernel does not take. May fail the link. */
void link_write(struct link *link, struct str bytes);
/* One attempt to send, whose outcome nobody minds: for the `closed` of a protocol. */
void link_last_words(struct link *link, struct str bytes);
/* Closes; users waiting or under way fail with it. */
void link_fail(struct link *link, enum fault fault);
/* Closes without blame; users waiting for the link open it again, those under way fail as
 * FAULT_CLOSED. */
void link_close(struct link *link);

/* The name was looked up: the link takes the addresses, or fails with fault. */
void link_resolved(struct link *link, struct addresses *addresses, enum fault fault);

void user_list_append(struct user_list *list, struct user *user);
struct user *user_list_take(struct user_list *list); /* The first, or NULL. */
bool user_list_remove(struct user_list *list, struct user *user);

extern const struct protocol protocol_http1;
extern const struct protocol protocol_http2;
extern const struct protocol protocol_websocket;
extern const struct protocol protocol_tcp;
