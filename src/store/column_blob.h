/* SPDX-License-Identifier: Apache-2.0 */
/* column_blob - a run of byte strings (sketches, texts, stacks) as one compressed column.
 *
 * Pure; any thread. Lengths in one integer column, bytes behind one another under zstd.
 * Layout of the bytes: at the top of column_blob.c. */
#pragma once
#include "base/arena.h"
#include "store/column.h"

/* All strings of one column together; more is a bug of the caller (MUST), who seals earlier. */
#define COLUMN_BLOB_SIZE_MAX (64u << 20)

/* Appends the column of blobs[0 .. count) to out. Empty strings are kept; a NULL is empty. */
void blob_column_encode(struct column_encoder *encoder, const struct str *blobs, size_t count,
                        enum column_effort effort, struct buf *out);

/* blobs[0 .. count) come to point into memory of the arena.
 * ERR_CORRUPT; ERR_LIMIT when the arena's budget is spent. */
CHECKED enum err blob_column_decode(struct str bytes, size_t count, struct arena *arena,
                                    struct str *blobs, struct why *why);
