/* SPDX-License-Identifier: Apache-2.0 */
/* live - expressions that push their points as they arrive, over a WebSocket.
 *
 *     client  {"subscribe":[{"id":"cpu","expr":"node_load1","step_ms":1000}]}
 *             {"unsubscribe":["cpu"]}
 *     server  {"id":"cpu","time_ms":N,"result":[{"metric":{…},"value":"1.5"}]}
 *             {"id":"cpu","error":{"code":"invalid","message":"…","hint":"…"}}
 *             {"notice":{"code":"slow","message":"…","dropped_count":N}}
 *
 * The hub's writer says that something was committed; the loop then asks the due expressions on one
 * worker (each parsed once), and sends what has a newer point. A peer that does not keep up loses
 * points and is told so. Loop thread, except live_committed. */
#pragma once
#include <stdint.h>

struct call;
struct live;
struct server;

#define LIVE_PER_CONNECTION_MAX 64
#define LIVE_ID_BYTES_MAX       128
#define LIVE_STEP_MS_MIN        100
#define LIVE_STEP_MS_MAX        3600000
#define LIVE_SERIES_MAX         1000 /* Of one answer; the rest is cut, with a notice. */

struct live_stats {
    uint32_t connections;
    uint32_t subscriptions;
    uint64_t rounds;
    uint64_t pushed;  /* Messages. */
    uint64_t dropped; /* Messages that a slow peer did not get. */
    uint64_t refused; /* Subscriptions over a bound. */
};

struct live *live_new(struct server *server);
struct live *live_free(struct live *live); /* No round is under way. Always returns NULL. */

/* Answers the request by making it a WebSocket. */
void live_accept(struct live *live, struct call *call);

/* Any thread: something was committed. */
void live_committed(struct live *live);

/* Says goodbye to every peer. */
void live_stop(struct live *live);

void live_read_stats(const struct live *live, struct live_stats *ret_stats);
