/* SPDX-License-Identifier: Apache-2.0 */
/* live_priv - what the two files of the live stream share: live.c (peers, rounds, the sink) and
 * live_message.c (what a peer says, and the subscriptions that come of it). Loop thread. */
#pragma once
#include "io/workers.h"
#include "query/promql.h"
#include "serve/live.h"
#include "serve/server_priv.h"

struct websocket;
struct peer;

struct subscription {
    struct subscription *next; /* Of the peer. */
    struct subscription *next_in_round;
    struct peer *peer; /* NULL: ended during a round. */
    struct promql_expression *expression;
    int64_t step_ms;
    int64_t told_ms; /* The newest time that was told. */
    bool in_round;
    struct buf message;              /* What the round made. */
    struct buf error;                /* The last error told, so that it is told once. */
    char tenant[BATCH_TENANT_BYTES]; /* Of its own: the peer may go while the worker asks. */
    size_t id_size;
    char id[LIVE_ID_BYTES_MAX];
};

struct peer {
    struct live *live;
    struct websocket *websocket;
    struct peer *next;
    struct peer **previous;
    struct identity identity;
    struct subscription *subscriptions;
    uint32_t subscriptions_count;
    uint64_t dropped_count; /* Not told yet. */
};

struct live {
    struct server *server;
    struct peer *peers;
    struct live_stats stats;

    /* From the writer. */
    int64_t accepted_ms;           /* Its own: the newest of the group that is not committed yet. */
    atomic_int_fast64_t newest_ms; /* Of what is committed. */
    atomic_uint_fast32_t wanted;   /* Subscriptions: without any, a commit wakes nobody. */
    atomic_bool is_woken;
    struct loop_task wake;

    /* The round under way. */
    struct job job;
    bool in_round;
    bool is_again;
    int64_t round_ms;
    struct subscription *round;
};

static inline struct str id_of(const struct subscription *subscription)
{
    return (struct str){subscription->id, subscription->id_size};
}

/* live.c. id may be empty. */
void peer_send_error(struct peer *peer, struct str id, enum err err, const struct why *why);

/* live_message.c. The message is JSON; ERR_INVALID when it is not what a peer may say. What is
 * wrong with one subscription is told under its id and is no error here. */
CHECKED enum err peer_read(struct peer *peer, struct str message, struct arena *arena,
                           struct why *why);
/* Ends one that is no longer in its peer's list; freed now, or when its round is back. */
void subscription_end(struct subscription *subscription);
void subscription_free(struct subscription *subscription);
