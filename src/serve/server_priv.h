/* SPDX-License-Identifier: Apache-2.0 */
/* server_priv - what the files of this folder share: the server's inside, and the errands that
 * several handlers run. */
#pragma once
#include "hub/hub.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "io/workers.h"
#include "serve/call.h"
#include "serve/live.h"
#include "serve/server.h"

#include <pthread.h>
#include <stdatomic.h>

struct benchmark_watch;
struct health_watch;
struct load_desk;
struct otlp_receiver;
struct push_pool;

#define SERVER_MAGIC UINT32_C(0x73727672)
#define CALL_MAGIC   UINT32_C(0x63616c6c)

/* Counted on the loop; server_self reads them from the collecting thread. */
struct server_counters {
    atomic_uint_fast64_t questions;           /* Worked on. */
    atomic_uint_fast64_t questions_failed;    /* Answered with an error. */
    atomic_uint_fast64_t questions_refused;   /* 429: too many at once. */
    atomic_uint_fast64_t questions_cancelled; /* The peer had gone. */
    atomic_uint_fast64_t question_ns;         /* On workers. */
    atomic_uint_fast64_t denied;              /* 401 and 403. */
    atomic_uint_fast64_t pushed_rows;         /* Accepted from senders. */
};

struct server {
    uint32_t magic;
    struct server_options options;
    struct http_limits limits; /* What options.limits points to. */
    struct http_server *http;
    struct auth *auth;
    struct origins *origins;
    struct router router;
    struct live *live;
    struct push_pool *pushes;
    struct otlp_receiver *otlp;
    struct loop_timer otlp_timer; /* Tells what spans came to, */
    struct job otlp_job;          /* on a worker. */
    struct arena_pool *arenas;    /* Of questions. */
    struct health_watch *health;
    struct benchmark_watch *benchmarks;
    struct load_desk *load_desk;
    struct buf openapi; /* Written once, at the start. */
    bool is_ready;
    bool is_stopping;
    int64_t started_ms;
    int64_t started_ns;      /* Monotonic. */
    uint32_t questions_open; /* Of call_work: waiting or worked on. */
    struct server_counters counters;
    _Atomic(struct call *) cleanup;   /* Waits for the writer; NULL: nobody. */
    atomic_uint_fast32_t handed_over; /* Calls that the writer has to send back. */
    struct loop_timer stats_timer;
    pthread_mutex_t stats_lock; /* Guards the two copies for server_self. */
    struct http_stats http_stats;
    struct live_stats live_stats;
};

/* cleanup.c: on the hub's writer thread, when it is idle; and on the loop, when nobody will. */
void cleanup_tick(struct server *server, int64_t now_ms);
void cleanup_abandon(struct server *server);
