/* SPDX-License-Identifier: Apache-2.0 */
/* ring - a bounded queue of pointers between threads; the only thing that crosses them.
 *
 * Any number of threads push; any number pop. Full and empty are answers, not waits, except in
 * ring_pop_wait. What a full ring turned away is counted. */
#pragma once
#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

struct ring *ring_new(size_t capacity);
struct ring *ring_free(struct ring *ring); /* Must be empty, or its items leak. Returns NULL. */

/* False when full or closed; the item stays the caller's. item is not NULL. */
CHECKED bool ring_push(struct ring *ring, void *item);
void *ring_pop(struct ring *ring); /* NULL when empty. */
/* Sleeps until there is an item, the ring is closed, or timeout_ns passed (-1: for ever). */
void *ring_pop_wait(struct ring *ring, int64_t timeout_ns);

void ring_close(struct ring *ring); /* Pushes fail from now on; what is inside can be popped. */
bool ring_is_closed(const struct ring *ring);

size_t ring_count(const struct ring *ring);
uint64_t ring_refused(const struct ring *ring); /* Pushes turned away since the start. */
