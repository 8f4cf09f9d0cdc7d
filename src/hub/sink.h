/* SPDX-License-Identifier: Apache-2.0 */
/* sink - where batches go: the store, exporters, live streams. All calls come from the hub's writer
 * thread, one at a time. The object comes first, the table last in its file. */
#pragma once
#include "base/err.h"
#include "model/batch.h"

struct sink_ops {
    const char *name;

    /* Looks at a batch; it is gone after commit, so keep nothing of it. Rows that a limit turns
     * away are told with batch_reject; an error refuses the whole batch for its sender. Only a sink
     * with `durable` may refuse: the answer of others is counted and logged. */
    enum err (*accept)(void *self, struct batch *batch, struct why *why);

    /* The end of a group of batches: what was accepted since the last commit is now kept. May be
     * NULL. An error is the answer to every batch of the group. */
    enum err (*commit)(void *self, struct why *why);

    /* Called when the writer is idle, about once a second: sealing, flushing. May be NULL. */
    void (*tick)(void *self, int64_t now_ms);

    /* Senders are told yes only when this sink has committed. */
    bool durable;
};

struct sink {
    const struct sink_ops *ops;
    void *self;
};
