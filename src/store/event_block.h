/* SPDX-License-Identifier: Apache-2.0 */
/* event_block - log records as the bytes of one row, pending or sealed. Pure; see span_block.h,
 * whose sister it is. Layout: at the top of event_block.c. */
#pragma once
#include "model/event.h"
#include "store/packed.h"

#define EVENT_BLOCK_ROWS_MAX 8192

struct event_packer;

struct event_packer *event_packer_new(void);
struct event_packer *event_packer_free(struct event_packer *packer); /* Always returns NULL. */

struct event_block_info {
    int64_t min_ns;
    int64_t max_ns;
    uint32_t rows;
};

/* Appends a block of as many of events[0 .. count) as it takes, at least one; returns how many. */
size_t event_block_encode(struct event_packer *packer, const struct event *const *events,
                          size_t count, bool sealed, struct buf *out,
                          struct event_block_info *ret_info);

struct event_block {
    struct packed packed;
    const uint8_t *traces; /* TRACE_ID_BYTES a row; all zero: none. */
    int64_t *time_ns;
};

CHECKED enum err event_block_parse(struct str bytes, struct arena *arena,
                                   struct event_block *ret_block, struct why *why);
/* The events of the rows with wanted[row] (NULL: all), in order, into room for as many. */
CHECKED enum err event_block_read(struct event_block *block, const bool *wanted,
                                  struct event *events, struct why *why);
