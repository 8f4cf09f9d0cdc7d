/* SPDX-License-Identifier: Apache-2.0 */
/* merge - several blocks of one group, as whole series again. For compaction and roll-ups.
 *
 * One thread at a time. */
#pragma once
#include "store/day.h"

struct merge {
    struct arena *arena; /* Of bodies and times. */
    size_t field_count;
    struct block *blocks;
    const int64_t **times; /* Per block, GROUP_SERIES places. */
    size_t count;
    size_t capacity;
    int64_t *ids; /* Of the blocks' rows in their file. */
};

void merge_init(struct merge *merge);
void merge_done(struct merge *merge);

/* Takes a copy of the row. ERR_CORRUPT; ERR_LIMIT. */
CHECKED enum err merge_add(struct merge *merge, const struct day_block *row, struct why *why);

/* One series of all blocks: sorted, no row absent; of equal times the one whose block was added
 * first. */
struct merged {
    size_t count;
    bool sorted; /* Blocks did not overlap. */
    int64_t *time_ms;
    double *values[BLOCK_FIELDS_MAX];
    struct str *sketches; /* NULL where there are none. */
};
CHECKED enum err merge_read(const struct merge *merge, unsigned slot, struct arena *arena,
                            struct merged *ret_merged, struct why *why);
