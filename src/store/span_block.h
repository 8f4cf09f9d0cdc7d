/* SPDX-License-Identifier: Apache-2.0 */
/* span_block - spans as the bytes of one row: pending ones quickly, sealed ones in few bytes.
 *
 * Pure: no files. A packer is used by one thread, again and again. Layout: at the top of
 * span_block.c. */
#pragma once
#include "store/packed.h"
#include "store/trace_read.h"

#define SPAN_BLOCK_ROWS_MAX 8192

struct span_packer;

struct span_packer *span_packer_new(void);
struct span_packer *span_packer_free(struct span_packer *packer); /* Always returns NULL. */

struct span_block_info {
    int64_t min_ns; /* Of the starts. */
    int64_t max_ns;
    uint32_t rows;
    uint32_t errors; /* Spans with that status. */
    int64_t duration_min_ns;
    int64_t duration_max_ns;
};

/* Appends a block of as many of spans[0 .. count) as it takes, at least one; returns how many.
 * Sealed: compressed, and parents are told by their row. */
size_t span_block_encode(struct span_packer *packer, const struct span *const *spans, size_t count,
                         bool sealed, struct buf *out, struct span_block_info *ret_info);
/* The traces and the key=value pairs of the block just encoded, whose spans are still there. */
void span_block_terms(const struct span_packer *packer, const struct span *const *spans,
                      size_t count, struct terms *traces, struct terms *pairs);

/* What is read of a block. Numbers are one a row; everything lives in the arena or the bytes. */
struct span_block {
    struct packed packed;
    const uint8_t *traces; /* TRACE_ID_BYTES each. */
    size_t traces_count;
    const uint64_t *trace_of; /* Index in traces; after span_block_read_traces. */
    /* After span_block_read_basics. */
    int64_t *start_ns;
    int64_t *duration_ns;
    const uint64_t *names; /* Texts of packed. */
    const uint64_t *kinds; /* kind | status << 3. */
    const uint64_t *resource_of;
    const struct resource *resources;
    size_t resources_count;
    const uint64_t *shape_of;
};

static inline enum span_kind span_block_kind(const struct span_block *block, uint32_t row)
{
    return (enum span_kind)(block->kinds[row] & 7);
}

static inline enum span_status span_block_status(const struct span_block *block, uint32_t row)
{
    return (enum span_status)(block->kinds[row] >> 3);
}

/* Which traces there are. ERR_CORRUPT; ERR_LIMIT. */
CHECKED enum err span_block_parse(struct str bytes, struct arena *arena,
                                  struct span_block *ret_block, struct why *why);
/* Which rows are of which trace. */
CHECKED enum err span_block_read_traces(struct span_block *block, struct why *why);
/* Times, names, services: what most searches look at. */
CHECKED enum err span_block_read_basics(struct span_block *block, struct why *why);
/* The spans of the rows with wanted[row] (NULL: all), in order, into room for as many. */
CHECKED enum err span_block_read(struct span_block *block, const bool *wanted, struct span *spans,
                                 struct why *why);
/* Their ids, SPAN_ID_BYTES a row. */
CHECKED enum err span_block_ids(struct span_block *block, const uint8_t **ret_ids, struct why *why);
/* All rows as columns; which of them are wanted is the caller's to set. */
CHECKED enum err span_block_run(struct span_block *block, bool with_events,
                                struct span_run *ret_run, struct why *why);
