/* SPDX-License-Identifier: Apache-2.0 */
/* workers - a fixed number of threads for what would hold up the loop: queries, compaction,
 * symbols.
 *
 * A job is embedded in the object it works for, so submitting allocates nothing. It goes to one of
 * the threads (`sonde-worker` in /proc), runs, and comes back to the loop, where done() may free
 * it. The queue is bounded; a full one says ERR_BUSY.
 *
 * All functions belong to the loop's thread, except job_cancelled. */
#pragma once
#include "base/err.h"
#include "io/loop.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct workers;

struct job {
    void (*run)(struct job *job);  /* On a worker. Not called when cancelled before its turn. */
    void (*done)(struct job *job); /* On the loop, always, once. */
    struct workers *workers;
    struct loop_task task;
    struct job *next; /* Of those submitted and not done. */
    struct job *previous;
    atomic_bool cancelled;
};

struct workers_options {
    struct loop *loop; /* Where done() is called. */
    size_t threads;    /* 0: one per processor, at least 2, at most 16. */
    size_t jobs_max;   /* Waiting and not yet begun; 0: 256. */
};

CHECKED enum err workers_open(const struct workers_options *options, struct workers **ret_workers,
                              struct why *why);
/* Cancels every job, waits for those that run, and calls done() of all. Returns NULL. */
struct workers *workers_close(struct workers *workers);

/* run and done are set; the job stays where it is until done. ERR_BUSY: the queue is full;
 * ERR_CLOSED: the workers are closing. On error done is not called. */
CHECKED enum err workers_submit(struct workers *workers, struct job *job);

/* Asks a submitted job to end: not begun, it is skipped; running, it sees job_cancelled. done is
 * called in any case. */
void job_cancel(struct job *job);
bool job_cancelled(const struct job *job); /* Any thread. */

struct workers_stats {
    uint64_t submitted;
    uint64_t refused;
    uint64_t cancelled;
    size_t waiting;
    size_t pending; /* Submitted and not done. */
    size_t threads;
};

void workers_stats(const struct workers *workers, struct workers_stats *ret_stats);
