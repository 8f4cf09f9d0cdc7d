/* SPDX-License-Identifier: Apache-2.0 */
/* pending - what was accepted but is not sealed yet, as the bytes of one row. Pure; any thread.
 *
 * Self-contained: it needs no other row to be read, only the catalog that names the series. It
 * lives for minutes, so it is made to be cheap first and small second.
 * Layout of the bytes: at the top of pending.c. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/* One staged sample. */
struct pending_row {
    uint32_t track; /* Number in the index; the writer's. */
    uint32_t id;    /* What files know the series by. */
    int64_t time_ms;
    double value;
};

#define PENDING_ROWS_MAX 16384 /* Of one body. */

/* Appends rows[0 .. count), 1 … PENDING_ROWS_MAX, to out. sketches is NULL or has one a row. */
void pending_encode(const struct pending_row *rows, const struct str *sketches, size_t count,
                    struct buf *out);

struct pending_visitor {
    /* sketch points into the body; its data is NULL for a plain sample. row->track is 0. */
    enum err (*visit)(void *self, const struct pending_row *row, struct str sketch,
                      struct why *why);
    void *self;
};

/* Shows each row in order; stops at the first error. ERR_CORRUPT. */
CHECKED enum err pending_decode(struct str bytes, const struct pending_visitor *visitor,
                                struct why *why);
