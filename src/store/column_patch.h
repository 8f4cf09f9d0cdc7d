/* SPDX-License-Identifier: Apache-2.0 */
/* column_patch - the few rows of a column that its form cannot hold, as runs of equal bits.
 *
 * Private to the column modules. Layout: at the top of column.c. Pure. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct patch {
    uint64_t bits; /* Of the double in every row of the run. */
    uint32_t row;
    uint32_t length;
};

struct patch_list {
    struct patch *patches; /* By row, not touching one another unless their bits differ. */
    size_t count;
    size_t capacity;
    size_t rows; /* The lengths of all together. */
};

void patch_list_clear(struct patch_list *list);
void patch_list_done(struct patch_list *list);
/* row is behind all rows added before. */
void patch_list_add(struct patch_list *list, uint32_t row, uint64_t bits);
void patch_list_write(const struct patch_list *list, struct buf *out);

/* Patches in their bytes, checked. */
struct patches {
    struct str bytes;
    size_t runs;
    size_t rows; /* Patched ones; less than the column's. */
};
#define PATCHES_NONE ((struct patches){.runs = 0})

/* Takes them off the front of *rest; they belong to a column of `count` rows. */
CHECKED enum err patches_read(struct str *rest, size_t count, struct patches *ret_patches,
                              struct why *why);

/* How many patched rows lie before `row`. */
size_t patches_before(const struct patches *patches, size_t row);

/* values[0 .. count) are to be the column's rows first_row … ; those that are not patched stand in
 * the last places of values, in order. Moves them to where they belong and puts patches between. */
void patches_apply(const struct patches *patches, size_t first_row, size_t count, double *values);
