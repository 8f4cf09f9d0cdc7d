/* SPDX-License-Identifier: Apache-2.0 */
/* Compaction: many small blocks of a group become few large ones, which are smaller and quicker to
 * read. Blocks below COMPACT_SMALL rows are merged when eight have gathered, those below
 * COMPACT_ENOUGH when they fill one; so a row is rewritten about twice however small the seals
 * were. Rows of equal time are kept once, the one that came first.
 *
 * Old and new blocks change places in one transaction. A few milliseconds of it are done at a time,
 * between batches. */
#include "store/merge.h"
#include "store/tenant.h"

#include "base/clock.h"

#include <stdlib.h>

enum {
    COMPACT_SMALL = 128,
    COMPACT_SMALL_COUNT = 8,
    COMPACT_ENOUGH = 1024,
    COMPACT_PIECE = 2048, /* Rows of the blocks that compaction writes, about. */
    VACUUM_PAGES_MIN = 256,
    GROUPS_AT_ONCE = 256,
};

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
    for (unsigned slot = 0; slot < GROUP_SERIES; slot++)
        TRY(merge_read(merge, slot, merge->arena, &all[slot], why));
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
        struct merge merge;
        merge_init(&merge);
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
