/* SPDX-License-Identifier: Apache-2.0 */
/* backlog - arrivals that found nobody free, by the time they were meant to start: first come,
 * first served. Zeroed memory is an empty one. One thread. */
#pragma once
#include <stdint.h>

struct backlog {
    int64_t *times_ns; /* A ring of intended starts. */
    uint32_t capacity; /* A power of two. */
    uint32_t first;
    uint32_t count;
};

void backlog_push(struct backlog *backlog, int64_t intended_ns);
int64_t backlog_take(struct backlog *backlog); /* There is one. */
void backlog_done(struct backlog *backlog);
