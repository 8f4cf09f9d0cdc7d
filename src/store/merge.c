/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks are parsed and their times decoded once; then one series after the other is put together:
 * its columns are decoded behind one another, absent rows drop out, and only where blocks overlap
 * are the rows sorted. */
#include "store/merge.h"

#include <stdlib.h>

static const size_t MERGE_ARENA_BYTES = (size_t)1 << 32;

/* One row of one series, while blocks are merged. */
struct merge_row {
    int64_t time_ms;
    size_t order; /* Of arrival: block, then row. */
    double values[BLOCK_FIELDS_MAX];
    struct str sketch;
};

void merge_init(struct merge *merge)
{
    *merge = (struct merge){.arena = arena_new(MERGE_ARENA_BYTES)};
}

void merge_done(struct merge *merge)
{
    arena_free(merge->arena);
    free(merge->blocks);
    free(merge->times);
    free(merge->ids);
}

enum err merge_add(struct merge *merge, const struct day_block *row, struct why *why)
{
    if (merge->count == merge->capacity) {
        merge->capacity = merge->capacity == 0 ? 16 : merge->capacity * 2;
        merge->blocks = reallocarray(merge->blocks, merge->capacity, sizeof(*merge->blocks));
        merge->times =
            reallocarray(merge->times, merge->capacity, GROUP_SERIES * sizeof(*merge->times));
        merge->ids = reallocarray(merge->ids, merge->capacity, sizeof(*merge->ids));
        if (merge->blocks == NULL || merge->times == NULL || merge->ids == NULL)
            must_memory(merge->capacity * sizeof(*merge->blocks));
    }
    struct str body = arena_str(merge->arena, row->body);
    if (body.data == NULL)
        return arena_spent(merge->arena, "merging blocks", why);
    struct block *block = &merge->blocks[merge->count];
    TRY(block_parse(body, row->crc, block, why));
    if (merge->count > 0 && block->field_count != merge->field_count)
        return fail(why, ERR_CORRUPT, "blocks of one group have different fields");
    merge->field_count = block->field_count;
    for (unsigned i = 0; i < block->times_count; i++) {
        int64_t *times = ARENA_ARRAY(merge->arena, block->times[i].rows, int64_t);
        if (times == NULL)
            return arena_spent(merge->arena, "merging blocks", why);
        TRY(block_read_times(block, i, times, why));
        merge->times[merge->count * GROUP_SERIES + i] = times;
    }
    merge->ids[merge->count++] = row->id;
    return ERR_NONE;
}

static enum err merged_reserve(const struct merge *merge, unsigned slot, struct arena *arena,
                               struct merged *merged, struct why *why)
{
    size_t rows = 0;
    bool has_sketches = false;

    for (size_t i = 0; i < merge->count; i++) {
        rows += block_rows(&merge->blocks[i], slot);
        has_sketches |= merge->blocks[i].entries[slot].sketches.bytes.data != NULL;
    }
    *merged = (struct merged){.sorted = true};
    if (rows == 0)
        return ERR_NONE;
    merged->time_ms = ARENA_ARRAY(arena, rows, int64_t);
    for (size_t field = 0; field < merge->field_count; field++) {
        merged->values[field] = ARENA_ARRAY(arena, rows, double);
        if (merged->values[field] == NULL)
            return arena_spent(arena, "merging blocks", why);
    }
    if (has_sketches)
        merged->sketches = ARENA_ARRAY(arena, rows, struct str);
    if (merged->time_ms == NULL || (has_sketches && merged->sketches == NULL))
        return arena_spent(arena, "merging blocks", why);
    return ERR_NONE;
}

/* Rows `count` … `count + rows` were decoded into place; drops the absent ones. */
static void merged_pack(const struct merge *merge, struct merged *merged, const int64_t *times,
                        size_t rows)
{
    size_t kept = merged->count;

    for (size_t i = 0; i < rows; i++) {
        size_t from = merged->count + i;
        if (sample_is_absent(merged->values[0][from]))
            continue;
        if (kept > 0 && merged->time_ms[kept - 1] >= times[i])
            merged->sorted = false;
        merged->time_ms[kept] = times[i];
        for (size_t field = 0; field < merge->field_count; field++)
            merged->values[field][kept] = merged->values[field][from];
        if (merged->sketches != NULL)
            merged->sketches[kept] = merged->sketches[from];
        kept++;
    }
    merged->count = kept;
}

static enum err read_columns(const struct merge *merge, unsigned slot, struct arena *arena,
                             struct merged *merged, struct why *why)
{
    TRY(merged_reserve(merge, slot, arena, merged, why));
    for (size_t i = 0; i < merge->count; i++) {
        const struct block *block = &merge->blocks[i];
        uint32_t rows = block_rows(block, slot);
        if (rows == 0)
            continue;
        for (unsigned field = 0; field < merge->field_count; field++)
            TRY(block_read_field(block, slot, field, 0, rows, merged->values[field] + merged->count,
                                 why));
        if (block->entries[slot].sketches.bytes.data != NULL)
            TRY(block_read_sketches(block, slot, arena, merged->sketches + merged->count, why));
        merged_pack(merge, merged, merge->times[i * GROUP_SERIES + block->entries[slot].times],
                    rows);
    }
    return ERR_NONE;
}

static int by_time_and_order(const void *a, const void *b)
{
    const struct merge_row *left = a;
    const struct merge_row *right = b;

    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    return left->order < right->order ? -1 : left->order > right->order;
}

/* Sorts by time; of equal times the first stays. */
static void merged_sort(const struct merge *merge, struct merged *merged)
{
    struct merge_row *rows = calloc(merged->count, sizeof(*rows));
    size_t kept = 0;

    if (rows == NULL)
        must_memory(merged->count * sizeof(*rows));
    for (size_t i = 0; i < merged->count; i++) {
        rows[i].time_ms = merged->time_ms[i];
        rows[i].order = i;
        for (size_t field = 0; field < merge->field_count; field++)
            rows[i].values[field] = merged->values[field][i];
        if (merged->sketches != NULL)
            rows[i].sketch = merged->sketches[i];
    }
    qsort(rows, merged->count, sizeof(*rows), by_time_and_order);
    for (size_t i = 0; i < merged->count; i++) {
        if (kept > 0 && merged->time_ms[kept - 1] == rows[i].time_ms)
            continue;
        merged->time_ms[kept] = rows[i].time_ms;
        for (size_t field = 0; field < merge->field_count; field++)
            merged->values[field][kept] = rows[i].values[field];
        if (merged->sketches != NULL)
            merged->sketches[kept] = rows[i].sketch;
        kept++;
    }
    merged->count = kept;
    free(rows);
}

enum err merge_read(const struct merge *merge, unsigned slot, struct arena *arena,
                    struct merged *ret_merged, struct why *why)
{
    TRY(read_columns(merge, slot, arena, ret_merged, why));
    if (!ret_merged->sorted)
        merged_sort(merge, ret_merged);
    return ERR_NONE;
}
