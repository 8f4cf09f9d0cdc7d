/* SPDX-License-Identifier: Apache-2.0 */
/* sender - the thread that hands spans and statistics to a daemon by OTLP over HTTP.
 *
 * Once a second it sends what is new. When the daemon is away it tries again ever less often, up to
 * RETRY_MS_MAX; meanwhile spans wait in their ring, and statistics lose nothing, for they are sent
 * as what was counted since the daemon last said yes. All memory is one mapping made at the start.
 */
#pragma once
#include "client/client_priv.h"
#include "client/post.h"
#include "client/spans.h"
#include "client/wire.h"

enum {
    SENDER_PERIOD_MS = 1000,
    SENDER_TIMEOUT_MS = 5000, /* Of one post. */
    RETRY_MS_MIN = 1000,
    RETRY_MS_MAX = 10000,
    RETRY_AFTER_MS_MAX = 60000, /* Of what the daemon asks for. */
    KEEP_ALIVE_MS = 10000,      /* Unchanged numbers are told again this often. */
    BODY_BYTES_MAX = 256 * 1024,
};

/* What an operation had counted when the daemon last took it. */
struct told {
    uint64_t count;
    uint64_t failures;
    int64_t sum_ns;
    int64_t time_ms; /* When; 0: never. */
    uint32_t epoch;
    uint64_t buckets[BUCKETS];
};

struct sender {
    struct sonde *sonde;
    struct post post;

    pthread_t thread;
    bool runs;
    bool is_bad;          /* The endpoint is none; last_error says why. */
    pthread_mutex_t lock; /* What stands up to the next empty line. */
    pthread_cond_t wake;
    pthread_cond_t done;
    bool stopping;
    uint64_t flushes_asked;
    uint64_t flushes_done;
    bool flushed; /* The last round sent everything. */
    char last_error[POST_ERROR_BYTES_MAX + 1];

    int64_t retry_at_ms; /* Of the thread, as is the next. */
    int64_t retry_ms;
    _Atomic uint64_t posts;
    _Atomic uint64_t posts_failed;
    _Atomic uint64_t spans_sent;
    _Atomic uint64_t spans_dropped;
    atomic_bool is_away;

    /* From here on all is zero in a forked child. */
    _Alignas(4096) struct span_ring ring;
    struct told told[SONDE_OPERATIONS_MAX];
    struct told next[SONDE_OPERATIONS_MAX];
    uint8_t body[BODY_BYTES_MAX];
};

/* NULL: no memory. An endpoint that is none gives a sender that only says so. */
struct sender *client_sender_new(struct sonde *sonde, const char *endpoint);
void client_sender_start(struct sender *sender); /* Under the handle's lock; once. */
void client_sender_stop(struct sender *sender);  /* Sends what is left, a second at most. */
void client_sender_free(struct sender *sender);
void client_sender_forked(struct sender *sender); /* In the child. */

/* encode.c: the bodies of posts, in sender->body. */

/* As many spans as fit, from the ring's end; returns how many. */
uint64_t client_encode_spans(struct sender *sender, struct wire *wire);
/* Operations from *at on, as many as fit; *at becomes the first that is not in. False: nothing was
 * to be told of any. sender->next holds what will have been told. */
bool client_encode_operations(struct sender *sender, struct wire *wire, uint32_t *at,
                              int64_t now_ms);
/* Counters, gauges and the library's own drops. */
bool client_encode_values(struct sender *sender, struct wire *wire);
