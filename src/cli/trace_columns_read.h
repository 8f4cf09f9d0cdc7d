/* SPDX-License-Identifier: Apache-2.0 */
/* trace_columns_read - spans out of the columns that a daemon sends for large traces
 * (serve/trace_columns.h tells the form). Attributes are not among them. One thread. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/span.h"

struct column_trace {
    int64_t start_ns;
    struct span *spans;                  /* Ids and parents are made anew: row + 1. */
    const uint8_t (*ids)[SPAN_ID_BYTES]; /* As they were sent, by row. */
    size_t count;
};

/* body must outlive the trace. ERR_CORRUPT: not what was expected; ERR_LIMIT: the arena. */
CHECKED enum err trace_columns_read(struct str body, struct arena *arena,
                                    struct column_trace *ret_trace, struct why *why);
