/* SPDX-License-Identifier: Apache-2.0 */
/* staleness - which series a sender had last time, so that those it does not send any more end with
 * a stale marker. `struct staleness` may be embedded; all zero has seen nothing. One thread. */
#pragma once
#include "base/err.h"
#include "model/batch.h"

struct staleness {
    const struct labels **items; /* Of the last time. */
    size_t count;
    size_t capacity;
    struct label_pool **pools; /* That they live in. */
    size_t pool_count;
};

void staleness_done(struct staleness *staleness);

/* The samples of batch from `first` on are what the sender has now, and the pools of batch from
 * `first_pool` on hold their labels: adds markers at time_ms for what it had and has no more, and
 * remembers. ERR_LIMIT: the batch is full. */
CHECKED enum err staleness_update(struct staleness *staleness, struct batch *batch, size_t first,
                                  size_t first_pool, int64_t time_ms, struct why *why);
