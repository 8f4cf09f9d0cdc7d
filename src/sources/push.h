/* SPDX-License-Identifier: Apache-2.0 */
/* push - what others send in: a body becomes a batch for hub_submit. Any thread, one at a time per
 * struct push: a route keeps one for each worker, or behind a lock.
 *
 * What a sender repeats is looked up, not parsed again; push remembers up to PUSH_MEMO_BYTES. So a
 * struct push serves one tenant and one set of base labels only. */
#pragma once
#include "base/err.h"
#include "model/batch.h"

#define PUSH_MEMO_BYTES (64u << 20)

struct push;

struct push *push_new(void);
struct push *push_free(struct push *push); /* Always returns NULL. */

struct push_options {
    const char *tenant;
    const struct label *base; /* Put on every series, or NULL. */
    size_t base_count;
    size_t limit_bytes; /* Of a body unpacked. */
};

/* Prometheus text or OpenMetrics, as content_type says. ERR_INVALID names line and column. */
CHECKED enum err push_text(struct push *push, struct str body, struct str content_type,
                           const struct push_options *options, struct batch **ret_batch,
                           struct why *why);

/* Prometheus' remote write 1.0: a Snappy block of a WriteRequest. Base labels do not apply. */
CHECKED enum err push_remote_write(struct push *push, struct str body,
                                   const struct push_options *options, struct batch **ret_batch,
                                   struct why *why);
