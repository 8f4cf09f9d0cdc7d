/* SPDX-License-Identifier: Apache-2.0 */
/* health_watch - the newest look at the machine's health, kept for whoever asks.
 *
 * Looks in the background so that "since when" is true even when nobody asks, and again when
 * someone asks and the last look is old. One look at a time, on a worker. Loop thread. */
#pragma once

#include "base/arena.h"

struct call;
struct health_watch;
struct server;

struct health_watch *health_watch_new(struct server *server);
/* Waits for no look under way: workers have ended before. Always returns NULL. */
struct health_watch *health_watch_free(struct health_watch *watch);

/* Answers the call with the newest look as JSON: at once when it is fresh, else after a new one. */
void health_watch_answer(struct health_watch *watch, struct call *call);

/* The newest look as JSON, copied into the arena; "null" before the first. */
struct str health_watch_newest(const struct health_watch *watch, struct arena *arena);
