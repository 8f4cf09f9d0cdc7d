/* SPDX-License-Identifier: Apache-2.0 */
/* trail - a trace id for each request, and which requests were the slowest.
 *
 * The id goes along as W3C traceparent, so that the spans of the target name the request they
 * served. All ids of a run begin with the same eight bytes, and these are also the parent that the
 * first span of the target sees: whoever looks through kept spans finds a run by either. The rest
 * is a counter, mixed so that samplers that decide by these bytes decide evenly.
 *
 * One thread; the engine merges when the threads have ended. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRAIL_SLOWEST_MAX = 10, TRAIL_PARENT_SIZE = 55, TRAIL_ID_SIZE = 32 };

struct trail_request {
    int64_t latency_ns;
    int64_t intended_ns; /* Monotonic. */
    uint64_t low;        /* The last eight bytes of its trace id. */
    size_t step;         /* Index in the plan. */
    bool failed;
};

struct trail {
    uint64_t run; /* The first eight bytes of every id; never 0. */
    uint64_t next;
    struct trail_request slowest[TRAIL_SLOWEST_MAX]; /* Slowest first. */
    size_t count;
};

/* An id for a run, from the system's chance. */
uint64_t trail_new_run(void);

/* part: which of the threads that share the run. */
void trail_init(struct trail *trail, uint64_t run, unsigned part);
/* The last eight bytes of the next id; never 0, and never twice in a run. */
uint64_t trail_next(struct trail *trail);
/* "00-…-…-01": sampled, so that the target's SDK keeps what it does. No zero behind. */
void trail_write_parent(uint64_t run, uint64_t low, char text[TRAIL_PARENT_SIZE]);
/* The trace id in 32 digits; no zero behind. */
void trail_write_id(uint64_t run, uint64_t low, char text[TRAIL_ID_SIZE]);

void trail_keep(struct trail *trail, const struct trail_request *request);
void trail_merge(struct trail *into, const struct trail *from);

/* Most requests are not among the slowest, so that is found out first. */
static inline bool trail_wants(const struct trail *trail, int64_t latency_ns)
{
    return trail->count < TRAIL_SLOWEST_MAX ||
           latency_ns > trail->slowest[TRAIL_SLOWEST_MAX - 1].latency_ns;
}
