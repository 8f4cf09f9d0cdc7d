/* SPDX-License-Identifier: Apache-2.0 */
/* hub - the one road in: admission, then a single writer that shows each batch to every sink.
 *
 * hub_submit may be called from any thread. A full ring answers ERR_BUSY ("later") to the sender;
 * what cannot wait (a sampler) drops and counts. The writer thread takes all batches that wait, up
 * to HUB_GROUP_ROWS, shows them to the sinks in the order in which these were added, lets every
 * sink commit once for the group, and then tells each batch's `done`. So one fsync serves many
 * senders, and a sender hears yes only after it. */
#pragma once
#include "hub/sink.h"

#define HUB_RING_BATCHES 1024   /* Waiting batches. */
#define HUB_GROUP_ROWS   200000 /* Rows of one commit at most; a batch is never split. */
#define HUB_SINKS_MAX    16

struct hub;

struct hub_limits {
    uint32_t labels_per_series_max; /* Default 40, __name__ included. */
    uint32_t label_name_bytes_max;  /* Default 256. */
    uint32_t label_value_bytes_max; /* Default 2048. */
    int64_t future_ms_max; /* Samples later than now by more are refused. Default 10 min. */
};

extern const struct hub_limits hub_limits_default;

struct hub_stats {
    uint64_t batches;         /* Accepted by hub_submit. */
    uint64_t rows;            /* Committed. */
    uint64_t rejected_rows;   /* Turned away by limits, here or in a sink. */
    uint64_t refused_batches; /* ERR_BUSY. */
    uint64_t failed_batches;  /* A sink refused or could not commit. */
    uint64_t commits;
    uint64_t sink_errors; /* Of sinks that are not durable. */
    int64_t commit_ns;    /* Time spent in commits. */
    size_t waiting;       /* Batches in the ring now. */
};

struct hub *hub_new(const struct hub_limits *limits);
struct hub *hub_free(struct hub *hub); /* Stops first when running. Always returns NULL. */

/* Before hub_start. self outlives the hub's stop. */
void hub_add_sink(struct hub *hub, const struct sink_ops *ops, void *self);

CHECKED enum err hub_start(struct hub *hub, struct why *why);

/* Refuses new batches, commits those that wait, ends the writer. */
void hub_stop(struct hub *hub);

/* Consumes the batch: *batch is NULL afterwards, whatever the answer. ERR_BUSY: the ring is full;
 * ERR_INVALID, ERR_LIMIT: nothing of it was admissible; ERR_CLOSED: stopping. On error `done` is
 * called too, with the same error, before this returns. */
CHECKED enum err hub_submit(struct hub *hub, struct batch **batch, struct why *why);

/* Submits and waits until it is committed: for commands and tests, not for the loop thread. */
CHECKED enum err hub_submit_wait(struct hub *hub, struct batch **batch, struct why *why);

void hub_read_stats(struct hub *hub, struct hub_stats *ret_stats);
