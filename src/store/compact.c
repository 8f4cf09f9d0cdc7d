/* SPDX-License-Identifier: Apache-2.0 */
/* Compaction: many small blocks of a group become few large ones, which are smaller and quicker to
 * read. Blocks below COMPACT_SMALL rows are merged when eight have gathered, those below
 * COMPACT_ENOUGH when they fill one; so a row is rewritten about twice however small the seals
 * were. Rows of equal time are kept once, the one that came first.
 *
 * Old and new blocks change places in one transaction. A few milliseconds of it are done at a time,
 * between batches. */
#include "store/tenant.h"

#include "base/clock.h"

#include <stdlib.h>

enum {
    COMPACT_SMALL = 128,
    COMPACT_SMALL_COUNT = 8,
    COMPACT_ENOUGH = 1024,
    COMPACT_PIECE = 2048,  /* Rows of the blocks that compaction writes, about. */
    VACUUM_PAGES_MIN = 256,
    GROUPS_AT_ONCE = 256,
};

static const size_t MERGE_ARENA_BYTES = (size_t)1 << 30;

/* --- merging --------------------------------------------------------------------------------- */

/* One row of one series, while blocks are merged. */
struct merge_row {
    int64_t time_ms;
    size_t order; /* Of arrival: block, then row. */
    double values[BLOCK_FIELDS_MAX];
    struct str sketch;
};

struct merge {
    struct arena *arena;
    size_t field_count;
    struct block *blocks;
    const int64_t **times; /* Per block, GROUP_SERIES places. */
    size_t count;
    size_t capacity;
    int64_t *ids; /* Rows of the file that go away. */
};

static void merge_done(struct merge *merge)
{
    arena_free(merge->arena);
    free(merge->blocks);
    free(merge->times);
    free(merge->ids);
}

static enum err merge_add(struct merge *merge, const struct day_block *row, struct why *why)
{
    if (merge->count == merge->capacity) {
        merge->capacity = merge->capacity == 0 ? 16 : merge->capacity * 2;
        merge->blocks = reallocarray(merge->blocks, merge->capacity, sizeof(*merge->blocks));
        merge->times = reallocarray(merge->times, merge->capacity,
                                    GROUP_SERIES * sizeof(*merge->times));
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

/* The columns of one series, all blocks behind one another; absent rows left out. */
struct merged {
    size_t count;
    bool sorted;
    int64_t *time_ms;
    double *values[BLOCK_FIELDS_MAX];
    struct str *sketches;
};

static enum err merged_reserve(struct merge *merge, unsigned slot, struct merged *merged,
                               struct why *why)
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
    merged->time_ms = ARENA_ARRAY(merge->arena, rows, int64_t);
    for (size_t field = 0; field < merge->field_count; field++) {
        merged->values[field] = ARENA_ARRAY(merge->arena, rows, double);
        if (merged->values[field] == NULL)
            return arena_spent(merge->arena, "merging blocks", why);
    }
    if (has_sketches)
        merged->sketches = ARENA_ARRAY(merge->arena, rows, struct str);
    if (merged->time_ms == NULL || (has_sketches && merged->sketches == NULL))
        return arena_spent(merge->arena, "merging blocks", why);
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

static enum err merged_read(struct merge *merge, unsigned slot, struct merged *merged,
                            struct why *why)
{
    TRY(merged_reserve(merge, slot, merged, why));
    for (size_t i = 0; i < merge->count; i++) {
        const struct block *block = &merge->blocks[i];
        uint32_t rows = block_rows(block, slot);
        if (rows == 0)
            continue;
        for (unsigned field = 0; field < merge->field_count; field++)
            TRY(block_read_field(block, slot, field, 0, rows,
                                 merged->values[field] + merged->count, why));
        if (block->entries[slot].sketches.bytes.data != NULL)
            TRY(block_read_sketches(block, slot, merge->arena, merged->sketches + merged->count,
                                    why));
        merged_pack(merge, merged,
                    merge->times[i * GROUP_SERIES + block->entries[slot].times], rows);
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

/* --- writing --------------------------------------------------------------------------------- */

/* The rows of every series below end_ms that were not taken yet. */
static size_t take_until(const struct merge *merge, struct merged *all, size_t *done,
                         int64_t end_ms, struct block_series piece[GROUP_SERIES])
{
    size_t filled = 0;

    for (unsigned slot = 0; slot < GROUP_SERIES; slot++) {
        size_t from = done[slot];
        size_t to = from;
        while (to < all[slot].count && to - from < BLOCK_ROWS_MAX && all[slot].time_ms[to] < end_ms)
            to++;
        if (to == from)
            continue;
        struct block_series *one = &piece[filled++];
        *one = (struct block_series){
            .slot = (uint8_t)slot,
            .count = to - from,
            .time_ms = all[slot].time_ms + from,
            .sketches = all[slot].sketches == NULL ? NULL : all[slot].sketches + from,
        };
        for (size_t field = 0; field < merge->field_count; field++)
            one->values[field] = all[slot].values[field] + from;
        done[slot] = to;
    }
    return filled;
}

/* Where the next block ends: after COMPACT_PIECE rows of the densest series, or never when what
 * would be left is little. */
static int64_t next_end(const struct merged *all, const size_t *done)
{
    int64_t end_ms = INT64_MAX;

    for (unsigned slot = 0; slot < GROUP_SERIES; slot++) {
        if (all[slot].count - done[slot] <= COMPACT_PIECE + COMPACT_PIECE / 2)
            continue;
        int64_t at = all[slot].time_ms[done[slot] + COMPACT_PIECE];
        if (at < end_ms)
            end_ms = at;
    }
    return end_ms;
}

static enum err write_merged(struct tenant *tenant, struct day *day, uint32_t group,
                             struct merge *merge, struct merged *all, struct why *why)
{
    struct block_series piece[GROUP_SERIES];
    size_t done[GROUP_SERIES] = {0};
    struct buf body CLEANUP(buf_done) = {0};
    struct block_info info;

    for (;;) {
        size_t count = take_until(merge, all, done, next_end(all, done), piece);
        if (count == 0)
            return ERR_NONE;
        buf_clear(&body);
        block_encode(tenant->encoder, piece, count, merge->field_count, COLUMN_BEST, &body, &info);
        TRY(day_put_block(day, KIND_METRIC, group, &info, buf_view(&body), why));
        tenant->stats.blocks_written++;
    }
}

static enum err delete_merged(struct day *day, const struct merge *merge, struct why *why)
{
    sqlite3_stmt *statement;
    enum err err = ERR_NONE;

    TRY(db_prepare(&day->db, "DELETE FROM blocks WHERE id = ?1", &statement, why));
    for (size_t i = 0; i < merge->count && err == ERR_NONE; i++) {
        (void)sqlite3_bind_int64(statement, 1, merge->ids[i]); /* A number always binds. */
        err = db_finish(&day->db, statement, why);
    }
    (void)sqlite3_finalize(statement); /* Repeats the error just told. */
    return err;
}

static enum err read_blocks(struct day *day, uint32_t group, uint32_t rows_below,
                            struct merge *merge, struct why *why)
{
    sqlite3_stmt *find;
    bool row = false;

    TRY(db_prepare(&day->db,
                   "SELECT id, min_ms, max_ms, rows, crc, body FROM blocks WHERE kind = ?1 AND"
                   " step_ms = ?2 AND group_id = ?3 AND rows < ?4 ORDER BY id",
                   &find, why));
    (void)sqlite3_bind_int64(find, 1, KIND_METRIC); /* Numbers always bind. */
    (void)sqlite3_bind_int64(find, 2, day->step_ms);
    (void)sqlite3_bind_int64(find, 3, group);
    (void)sqlite3_bind_int64(find, 4, rows_below);
    enum err err = db_step(&day->db, find, &row, why);
    while (err == ERR_NONE && row) {
        struct day_block block = {
            .id = sqlite3_column_int64(find, 0),
            .rows = (uint32_t)sqlite3_column_int64(find, 3),
            .crc = (uint32_t)sqlite3_column_int64(find, 4),
            .body = db_blob(find, 5),
        };
        err = merge_add(merge, &block, why);
        if (err == ERR_NONE)
            err = db_step(&day->db, find, &row, why);
    }
    (void)sqlite3_finalize(find); /* Repeats the error just told. */
    return err;
}

static enum err merge_group(struct tenant *tenant, struct day *day, uint32_t group,
                            uint32_t rows_below, struct merge *merge, struct why *why)
{
    struct merged all[GROUP_SERIES];

    TRY(read_blocks(day, group, rows_below, merge, why));
    if (merge->count < 2)
        return ERR_NONE;
    for (unsigned slot = 0; slot < GROUP_SERIES; slot++) {
        TRY(merged_read(merge, slot, &all[slot], why));
        if (!all[slot].sorted)
            merged_sort(merge, &all[slot]);
    }
    TRY(delete_merged(day, merge, why));
    TRY(write_merged(tenant, day, group, merge, all, why));
    tenant->stats.compactions++;
    return ERR_NONE;
}

/* --- choosing -------------------------------------------------------------------------------- */

struct job {
    uint32_t group;
    uint32_t rows_below;
};

static const char CHOOSE_SQL[] =
    "SELECT group_id, sum(rows < ?1), sum(rows * (rows >= ?1)), count(*) FROM blocks"
    " WHERE kind = ?2 AND step_ms = ?3 AND rows < ?4 GROUP BY group_id HAVING count(*) > 1";

/* Groups that are worth merging now, at most GROUPS_AT_ONCE. */
static enum err choose(struct day *day, bool whole, struct job *jobs, size_t *ret_count,
                       struct why *why)
{
    sqlite3_stmt *find;
    bool row = false;
    size_t count = 0;

    TRY(db_prepare(&day->db, CHOOSE_SQL, &find, why));
    (void)sqlite3_bind_int64(find, 1, COMPACT_SMALL); /* Numbers always bind. */
    (void)sqlite3_bind_int64(find, 2, KIND_METRIC);
    (void)sqlite3_bind_int64(find, 3, day->step_ms);
    (void)sqlite3_bind_int64(find, 4, whole ? COMPACT_PIECE : COMPACT_ENOUGH);
    enum err err = db_step(&day->db, find, &row, why);
    while (err == ERR_NONE && row && count < GROUPS_AT_ONCE) {
        uint32_t group = (uint32_t)sqlite3_column_int64(find, 0);
        bool has_middle = sqlite3_column_int64(find, 2) >= COMPACT_ENOUGH;
        if (whole)
            jobs[count++] = (struct job){group, COMPACT_PIECE};
        else if (has_middle)
            jobs[count++] = (struct job){group, COMPACT_ENOUGH};
        else if (sqlite3_column_int64(find, 1) >= COMPACT_SMALL_COUNT)
            jobs[count++] = (struct job){group, COMPACT_SMALL};
        err = db_step(&day->db, find, &row, why);
    }
    (void)sqlite3_finalize(find); /* Repeats the error just told. */
    *ret_count = count;
    return err;
}

/* Merges jobs until the time is up; *ret_done says how many. */
static enum err run_jobs(struct tenant *tenant, struct day *day, const struct job *jobs,
                         size_t count, int64_t until_ns, size_t *ret_done, struct why *why)
{
    enum err err = ERR_NONE;

    *ret_done = 0;
    TRY(day_begin(day, why));
    while (err == ERR_NONE && *ret_done < count) {
        const struct job *job = &jobs[*ret_done];
        struct merge merge = {.arena = arena_new(MERGE_ARENA_BYTES)};
        err = merge_group(tenant, day, job->group, job->rows_below, &merge, why);
        merge_done(&merge);
        ++*ret_done;
        if (clock_monotonic_ns() > until_ns)
            break;
    }
    if (err == ERR_NONE)
        return day_commit(day, why);
    day_rollback(day);
    return err;
}

/* Gives pages back when a good part of the file is free, or, `whole`, when any is. */
static enum err give_back(struct day *day, bool whole, struct why *why)
{
    int64_t free_pages;
    int64_t pages;

    TRY(db_number(&day->db, "PRAGMA freelist_count", &free_pages, why));
    TRY(db_number(&day->db, "PRAGMA page_count", &pages, why));
    if (free_pages == 0 || (!whole && (free_pages < VACUUM_PAGES_MIN || free_pages < pages / 4)))
        return ERR_NONE;
    TRY(db_run(&day->db, "PRAGMA incremental_vacuum", why));
    return whole ? db_run(&day->db, "PRAGMA wal_checkpoint(TRUNCATE)", why) : ERR_NONE;
}

enum err tenant_compact_day(struct tenant *tenant, struct day *day, bool whole, int64_t budget_ns,
                            struct why *why)
{
    int64_t before = clock_monotonic_ns();
    struct job jobs[GROUPS_AT_ONCE];
    size_t count = 0;
    size_t done = 0;

    TRY(day_open(day, why));
    do {
        TRY(choose(day, whole, jobs, &count, why));
        if (count > 0)
            TRY(run_jobs(tenant, day, jobs, count, before + budget_ns, &done, why));
    } while (count == GROUPS_AT_ONCE && done == count);
    day->compacted = done == count;
    if (day->compacted)
        TRY(give_back(day, whole, why));
    tenant->stats.compact_ns += clock_monotonic_ns() - before;
    return ERR_NONE;
}

enum err tenant_compact(struct tenant *tenant, int64_t budget_ns, struct why *why)
{
    bool left = false;

    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct day *day = tenant->stages[i].day;
        if (day == NULL || day->compacted || tenant->stages[i].count > 0)
            continue;
        TRY(tenant_compact_day(tenant, day, false, budget_ns, why));
        left = left || !day->compacted;
    }
    tenant->compact_wanted = left;
    return ERR_NONE;
}
