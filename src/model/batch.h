/* SPDX-License-Identifier: Apache-2.0 */
/* batch - everything that one source noticed at once, on its way through the hub.
 *
 * A source fills a batch and hands it over with hub_submit(hub, &batch), after which its pointer is
 * NULL and the hub's writer thread shows the batch, read-only, to every sink. The batch owns an
 * arena for its texts and holds the label pools that its rows point into; all of it dies at once.
 *
 * One thread at a time. Rows over BATCH_ROWS_MAX and texts over the arena's budget are ERR_LIMIT.
 */
#pragma once
#include "base/arena.h"
#include "model/event.h"
#include "model/exemplar.h"
#include "model/label.h"
#include "model/llm.h"
#include "model/metric.h"
#include "model/profile.h"
#include "model/span.h"

#define BATCH_ROWS_MAX     4000000
#define BATCH_TENANT_BYTES 64

/* A growing array of rows. */
#define BATCH_COLUMN(type) \
    struct {               \
        type *items;       \
        size_t count;      \
        size_t capacity;   \
    }

/* How a batch ended, told once to who asked: after the commit, or when it was turned away. */
struct batch_outcome {
    enum err err;            /* ERR_NONE: what was not rejected is on disk. */
    const struct why *why;   /* The reason, when err or rejected_count says there is one. */
    uint64_t accepted_count; /* Rows kept. */
    uint64_t rejected_count; /* Rows that a limit turned away; the rest was kept. */
};

struct batch {
    struct arena *arena;
    char tenant[BATCH_TENANT_BYTES]; /* "default" unless told otherwise. */
    const char *source;              /* Name of the source; static storage. */
    int64_t time_ms;                 /* Of the whole collection; rows may say otherwise. */

    BATCH_COLUMN(struct sample) samples;
    BATCH_COLUMN(struct sketch_sample) sketches;
    BATCH_COLUMN(struct metric_info) infos;
    BATCH_COLUMN(struct exemplar) exemplars;
    BATCH_COLUMN(struct span) spans;
    BATCH_COLUMN(struct profile_sample) profiles;
    BATCH_COLUMN(struct event) events;

    BATCH_COLUMN(struct label_pool *) pools;
    struct buf payload; /* Bytes that rows point into instead of copying; owned. */

    /* Called once, on the hub's writer thread (or the submitter's when it is refused at once);
     * must not block. May be NULL. */
    void (*done)(void *done_self, const struct batch_outcome *outcome);
    void *done_self;

    /* Written by the sinks: rows turned away, and why the last one was. */
    uint64_t rejected_count;
    struct why rejected_why;
};

/* budget_bytes bounds the arena. source has static storage. */
struct batch *batch_new(const char *tenant, const char *source, size_t budget_bytes);
struct batch *batch_free(struct batch *batch); /* Always returns NULL. */
void batch_freep(struct batch **batch);        /* For CLEANUP. */
void batch_clear(struct batch *batch);         /* Rows and texts go, memory stays. */

/* Keeps pool alive as long as the batch; once per pool is enough, more is harmless. */
void batch_hold(struct batch *batch, struct label_pool *pool);

CHECKED enum err batch_sample(struct batch *batch, const struct labels *labels, int64_t time_ms,
                              double value, struct why *why);
/* sketch is copied. */
CHECKED enum err batch_sketch(struct batch *batch, const struct labels *labels, int64_t time_ms,
                              struct str sketch, struct why *why);
/* Its pairs live in batch->arena. */
CHECKED enum err batch_exemplar(struct batch *batch, const struct exemplar *exemplar,
                                struct why *why);
/* Texts are copied. */
CHECKED enum err batch_info(struct batch *batch, const struct metric_info *info, struct why *why);

/* A classic histogram becomes its _bucket, _sum and _count samples. bounds are ascending, without
 * +Inf; counts has bound_count + 1 places and is not cumulative. base holds the labels without
 * __name__ and "le"; the sets are made in pool. */
struct histogram {
    struct str name;
    const struct label *base;
    size_t base_count;
    const double *bounds;
    const uint64_t *counts;
    size_t bound_count;
    double sum;
    int64_t time_ms;
};
CHECKED enum err batch_histogram(struct batch *batch, struct label_pool *pool,
                                 const struct histogram *histogram, struct why *why);

/* A zeroed row to fill in; its texts and arrays are taken from batch->arena by the caller. The
 * pointer is good until the next row of its kind. */
CHECKED enum err batch_span(struct batch *batch, struct span **ret_span, struct why *why);
CHECKED enum err batch_profile(struct batch *batch, struct profile_sample **ret_sample,
                               struct why *why);
CHECKED enum err batch_event(struct batch *batch, struct event **ret_event, struct why *why);

/* Rows of every kind except infos, and exemplars, which only go with others. */
size_t batch_row_count(const struct batch *batch);

/* Notes that a row was turned away; the text of the last one is kept. For sinks. */
void batch_reject(struct batch *batch, uint64_t count, const struct why *why);
