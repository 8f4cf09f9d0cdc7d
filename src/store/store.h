/* SPDX-License-Identifier: Apache-2.0 */
/* store - keeps what was noticed, and gives it back.
 *
 * A data folder has a folder per tenant, and each of these a catalog and a file per day; see
 * README.md. store_accept, store_commit and store_tick have the shape of a sink's calls and belong
 * to one writer thread. Views and stats may be asked for from any thread and never make the writer
 * wait. One process at a time has a data folder open. */
#pragma once
#include "base/buf.h"
#include "model/batch.h"
#include "store/store_read.h"

struct store;

/* Tail sampling: whether the trace of a span stays is decided when the span has waited. Until then
 * it is on disk and can be asked like any other. All calls come from the writer thread, and from
 * the one that opens. */
struct store_judge {
    void *self;
    int64_t wait_ms;      /* From its arrival to its verdict. */
    uint64_t waiting_max; /* Spans of a tenant's day; with more the oldest are judged earlier. */
    /* A span that waited when the store was last closed or killed: before any is judged. */
    void (*noted)(void *self, const char *tenant, const struct span *span);
    bool (*keeps)(void *self, const char *tenant, const struct span *span);
};

struct store_options {
    const char *backend; /* A row of backends.def; "local". */
    const char *path;    /* The data folder; made when it is not there. */

    int64_t out_of_order_ms;        /* A sample may be older than its series' newest by this. */
    int64_t retention_raw_ms;       /* Samples as they came; 0: kept for ever. */
    int64_t retention_minute_ms;    /* Roll-ups of one minute. */
    int64_t retention_hour_ms;      /* Roll-ups of one hour. */
    uint64_t size_bytes_max;        /* Of a tenant; the oldest days go first. 0: no limit. */
    uint64_t free_bytes_min;        /* Stops accepting when the disk has less left. */
    uint32_t series_per_metric_max; /* Active ones. */
    uint32_t series_per_tenant_max; /* Known ones. */
    uint32_t tenants_max;
    int64_t active_ms; /* A series without a sample for so long is no longer active. */
    size_t head_bytes; /* Memory for rows that are not sealed yet, at least. */

    struct store_judge judge; /* keeps is NULL: all traces stay. */

    /* Told what the operator should know: a file set aside, a disk that is full, and when it is not
     * any more. Called on the writer thread, or the one that opens; may be NULL. */
    void (*notice)(void *self, const char *sentence);
    void *notice_self;
};

extern const struct store_options store_options_default;

/* options are copied, path too. ERR_BUSY: another process has the folder; ERR_DENIED: it cannot be
 * written; ERR_INVALID: an option is out of range. */
CHECKED enum err store_open(const struct store_options *options, struct store **ret_store,
                            struct why *why);
/* Seals what is pending. No views are left. Always returns NULL. */
struct store *store_close(struct store *store);

const char *store_path(const struct store *store); /* The data folder; lives as long as it. */

/* The calls of a sink, hub/sink.h; self is the store. ERR_FULL: come back later. A batch that was
 * accepted stays until the commit: its spans and events are borrowed. */
enum err store_accept(void *self, struct batch *batch, struct why *why);
enum err store_commit(void *self, struct why *why);
void store_tick(void *self, int64_t now_ms);

/* ERR_NOT_FOUND: there is no such tenant. cancel may be NULL and outlives the view. */
CHECKED enum err store_view(struct store *store, const char *tenant, const _Atomic bool *cancel,
                            struct store_view **ret_view, struct why *why);

/* Counted over all tenants, since the store was opened. */
struct store_stats {
    uint64_t tenants;
    uint64_t series; /* Known. */
    uint64_t series_active;
    uint64_t samples; /* Committed. */
    uint64_t spans;
    uint64_t events;       /* Log records. */
    uint64_t pending_rows; /* Not sealed yet. */
    uint64_t pending_samples;
    uint64_t pending_items; /* Spans and events. */
    uint64_t waiting_items; /* Spans without a verdict yet. */
    uint64_t commits;
    int64_t commit_ns; /* Time spent in them. */
    int64_t commit_ns_max;
    uint64_t seals;
    int64_t seal_ns;
    uint64_t compactions; /* Groups. */
    int64_t compact_ns;
    uint64_t blocks_written;
    uint64_t rejected_series_limit; /* Samples of series over a limit. */
    uint64_t rejected_old;          /* Outside the out-of-order window, or older than retention. */
    uint64_t rejected_duplicate;    /* Another value was there at that time. */
    uint64_t failed_commits;
    uint64_t damaged_files; /* Set aside. */
    uint64_t days_removed;  /* By retention. */
    uint64_t disk_bytes;
    uint64_t memory_bytes; /* Of indexes and heads. */
    int64_t oldest_ms;     /* Time of the first row; INT64_MAX when there is none. */
    bool full;             /* Not accepting. */
};
void store_read_stats(struct store *store, struct store_stats *ret_stats);

/* How long and how much is kept from the next tick on, which removes at once what is over; fields
 * as in store_options. Any thread. */
struct store_retention {
    int64_t raw_ms;
    int64_t minute_ms;
    int64_t hour_ms;
    uint64_t size_bytes_max;
};
void store_set_retention(struct store *store, const struct store_retention *retention);

/* Removes what is over age or size now, instead of when its turn comes. Writer. */
void store_retain(struct store *store, int64_t now_ms);

/* Merges small blocks of every day and gives free pages back, however long it takes. Writer. */
CHECKED enum err store_compact(struct store *store, struct why *why);
