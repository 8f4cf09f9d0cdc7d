/* SPDX-License-Identifier: Apache-2.0 */
/* column_residual - entropy codes for what a prediction left over: small integers, mostly.
 *
 * Private to the column modules. A plan is chosen for all residuals of a column; its lanes (runs of
 * consecutive residuals, each a stream of bits of its own) are then written one after another and
 * can be read alone, or four side by side. Layout of the codes: at the top of column_residual.c;
 * choosing is column_plan.c. Pure; any thread. */
#pragma once
#include "base/err.h"
#include "store/column_bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum residual_coding {
    RESIDUAL_NONE,    /* All equal the centre: no stream. */
    RESIDUAL_RICE,    /* Quotient in unary, remainder raw. */
    RESIDUAL_SPARSE,  /* Gaps of zeros and what stands between them, both Rice. */
    RESIDUAL_HUFFMAN, /* Own code for buckets of equal width, remainder raw. */
    RESIDUAL_CODING_COUNT
};

#define RESIDUAL_TOKENS     85
#define RESIDUAL_TABLE_BITS 10
#define RESIDUAL_LANES      4

/* What the writer chose. */
struct residual_plan {
    enum residual_coding coding;
    unsigned shift;                   /* Raw bits of every value. */
    unsigned gap_shift;               /* SPARSE: raw bits of every gap. */
    int64_t centre;                   /* Subtracted from every residual first. */
    uint64_t bits;                    /* The size of head and streams, exactly or a little more. */
    uint8_t lengths[RESIDUAL_TOKENS]; /* HUFFMAN: bits of each token's code, 0 for unused. */
};

/* What the reader needs. */
struct residual_code {
    enum residual_coding coding;
    unsigned shift;
    unsigned gap_shift;
    unsigned table_bits;
    int64_t centre;
    uint32_t table[1u << RESIDUAL_TABLE_BITS];
};

/* Chooses the shortest coding for residuals[0 .. count), count >= 1. */
void residual_plan(const int64_t *residuals, size_t count, struct residual_plan *ret_plan);

/* The middle one; values, count >= 1, are left in another order. */
int64_t residual_median(int64_t *values, size_t count);

/* Appends the parameters; the coding itself is kept by the caller. */
void residual_head_write(const struct residual_plan *plan, struct buf *out);
/* What stands at the start of the bit stream, before the first lane. */
void residual_table_write(const struct residual_plan *plan, struct bits_writer *writer);
void residual_lane_write(const struct residual_plan *plan, const int64_t *residuals, size_t count,
                         struct bits_writer *writer);

/* Takes the parameters off the front of *rest. */
CHECKED enum err residual_head_read(enum residual_coding coding, struct str *rest,
                                    struct residual_code *ret_code, struct why *why);
CHECKED enum err residual_table_read(struct residual_code *code, struct bits bits,
                                     uint64_t *position, struct why *why);

/* Where the reading of a lane stands. */
struct residual_lane {
    uint64_t position; /* In bits. */
    uint64_t pending;  /* SPARSE's own; starts at 0. */
    size_t left;       /* Residuals not yet read. */
};

/* Reads the next count <= lane->left residuals. False: the bytes are wrong. */
CHECKED bool residual_lane_read(const struct residual_code *code, struct bits bits,
                                struct residual_lane *lane, int64_t *residuals, size_t count);

/* Reads all that is left of four lanes at once, to residuals, residuals + stride, …; the last lane
 * is not longer than the others. */
CHECKED bool residual_lanes_read(const struct residual_code *code, struct bits bits,
                                 struct residual_lane lanes[RESIDUAL_LANES], int64_t *residuals,
                                 size_t stride);
