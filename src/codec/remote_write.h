/* SPDX-License-Identifier: Apache-2.0 */
/* remote_write - Prometheus' remote write 1.0: a Snappy block that holds a WriteRequest.
 *
 * A sender repeats its series, so the bytes of a series' labels are looked up in a label_memo and
 * parsed only when they are new. Any thread, with a memo of its own. */
#pragma once
#include "base/err.h"
#include "model/batch.h"

struct remote_write_counts {
    uint64_t series;
    uint64_t samples;
    uint64_t exemplars;
    uint64_t histograms_ignored; /* Native histograms, which are not kept. */
};

/* Unpacks and appends to the batch. limit_bytes bounds the unpacked message: ERR_TOO_LARGE.
 * ERR_INVALID: it is no Snappy block or no WriteRequest; ERR_LIMIT: too many labels or rows. On an
 * error the batch holds a part, which the caller drops. */
CHECKED enum err remote_write_read(struct str packed, size_t limit_bytes, struct label_memo *memo,
                                   struct batch *out, struct remote_write_counts *ret_counts,
                                   struct why *why);

/* The same from a message that is unpacked already. */
CHECKED enum err remote_write_decode(struct str message, struct label_memo *memo, struct batch *out,
                                     struct remote_write_counts *ret_counts, struct why *why);
