/* SPDX-License-Identifier: Apache-2.0 */
/* trace_visit - many traces read whole, a few at a time, each shown once and then forgotten. */
#pragma once
#include "model/span.h"
#include "store/trace_read.h"

#define TRACE_VISIT_BATCH 16 /* Read together: the store opens a block once for all of them. */

struct trace_visit {
    struct store_view *view;
    struct arena *scratch; /* Emptied before each few traces. */
    void *self;
    /* The spans live until it returns; further memory may come from scratch. */
    enum err (*show)(void *self, const uint8_t trace_id[TRACE_ID_BYTES],
                     const struct span_list *spans, struct why *why);
};

/* What has no spans any more (its day was dropped meanwhile) is not shown. A few that are too large
 * together are read one by one. ERR_CANCELLED; what show says. */
CHECKED enum err trace_visit_all(const struct trace_visit *visit,
                                 const uint8_t (*ids)[TRACE_ID_BYTES], size_t count,
                                 struct why *why);
