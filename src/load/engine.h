/* SPDX-License-Identifier: Apache-2.0 */
/* engine - runs a plan: starts the drivers, looks at them while they go, sums up at the end.
 *
 * One thread per driver, and the calling thread, which sleeps between looks. */
#pragma once
#include "base/err.h"
#include "load/outcome.h"

struct engine_watch {
    /* When everything is ready: says when the clock starts (monotonic), or why it does not. May
     * take its time. Optional: at once. */
    enum err (*start)(void *self, int64_t *start_ns, struct why *why);
    /* What came to a step in the interval that is about to end; streams: NULL where the step has
     * none. Optional. */
    void (*brought)(void *self, size_t step, const struct tally *tally,
                    const struct stream_tally *streams);
    /* After each interval; true ends the run early as aborted. Optional. */
    bool (*look)(void *self, const struct outcome *outcome);
    /* Every few milliseconds. Optional. */
    void (*attend)(void *self);
    void *self;
    const atomic_int *interrupts; /* 1: end now and wait for answers; 2: end at once. Optional. */
};

/* Blocks until the run is over. *ret_outcome is all zero before (what stays so takes no memory).
 * The plan is finished (plan_finish) and outlives the outcome, which is the caller's to
 * outcome_done also after an error. Raises the limit of open files if it can. ERR_LIMIT: fewer open
 * files are allowed than connections are asked for. */
CHECKED enum err engine_run(const struct plan *plan, const struct engine_watch *watch,
                            struct outcome *ret_outcome, struct why *why);
