/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing turns the rows of a day that are in memory into blocks: all groups of that day, and the
 * pending rows go, in one transaction of its file. It takes everything of the day at once, because
 * one pending row holds samples of many groups.
 *
 * Before it, the catalog learns which groups have rows of which days, so that an answer about the
 * past never misses a series. */
#include "store/tenant.h"

#include "base/clock.h"
#include "store/roster.h"
#include "store/traces.h"

#include <stdlib.h>

static const size_t SEAL_ARENA_BYTES = (size_t)1 << 34; /* Bounded by the rows of one group. */

void tenant_roster(struct tenant *tenant, uint32_t number, struct buf *out)
{
    const struct group *group = head_group(&tenant->head, number);
    const struct labels *sets[GROUP_SERIES];
    struct arena *arena = arena_new(SEAL_ARENA_BYTES);

    for (unsigned slot = 0; slot < group->used; slot++) {
        sets[slot] =
            index_labels(&tenant->index, index_track(&tenant->index, group->tracks[slot]), arena);
        MUST(sets[slot] != NULL);
    }
    roster_encode(sets, group->used, out);
    arena_free(arena);
}

static enum err save_group(struct tenant *tenant, uint32_t number, struct why *why)
{
    const struct group *group = head_group(&tenant->head, number);
    struct buf roster CLEANUP(buf_done) = {0};

    tenant_roster(tenant, number, &roster);
    struct catalog_group row = {
        .number = number,
        .first_day = group->first_day,
        .last_day = group->last_day,
        .roster = buf_view(&roster),
    };
    return catalog_put_group(&tenant->catalog, &row, why);
}

static enum err save_rows(struct tenant *tenant, struct why *why)
{
    for (size_t i = 0; i < tenant->dirty_count; i++)
        TRY(save_group(tenant, tenant->dirty[i], why));
    for (size_t i = 0; i < tenant->dirty_infos_count; i++)
        TRY(catalog_put_info(&tenant->catalog, &tenant->dirty_infos[i], why));
    return catalog_commit(&tenant->catalog, why);
}

enum err tenant_save_catalog(struct tenant *tenant, struct why *why)
{
    if (tenant->dirty_count + tenant->dirty_infos_count == 0)
        return ERR_NONE;
    TRY(catalog_begin(&tenant->catalog, why));
    enum err err = save_rows(tenant, why);
    if (err != ERR_NONE) {
        catalog_rollback(&tenant->catalog);
        return err;
    }
    for (size_t i = 0; i < tenant->dirty_count; i++)
        head_group(&tenant->head, tenant->dirty[i])->dirty = false;
    tenant->dirty_count = 0;
    tenant->dirty_infos_count = 0;
    return ERR_NONE;
}

/* Notes in the catalog that groups with rows in the head reach this day. */
static enum err save_reach(struct tenant *tenant, int32_t day, struct why *why)
{
    bool begun = false;
    enum err err = ERR_NONE;

    for (uint32_t i = 0; err == ERR_NONE && i < paged_count(tenant->head.groups); i++) {
        struct group *group = head_group(&tenant->head, i);
        if ((group->first_day <= day && day <= group->last_day) ||
            !head_has_rows(&tenant->head, i, day))
            continue;
        if (!begun)
            TRY(catalog_begin(&tenant->catalog, why));
        begun = true;
        if (day < group->first_day)
            group->first_day = day;
        if (day > group->last_day)
            group->last_day = day;
        struct catalog_group row = {i, group->first_day, group->last_day, STR_NONE};
        err = catalog_put_days(&tenant->catalog, &row, why);
    }
    if (begun && err == ERR_NONE)
        err = catalog_commit(&tenant->catalog, why);
    if (begun && err != ERR_NONE)
        catalog_rollback(&tenant->catalog); /* Groups reach further in memory only: harmless. */
    return err;
}

/* The largest piece of each series that one block takes. */
static size_t cut_piece(const struct block_series *all, size_t count, size_t done,
                        struct block_series piece[GROUP_SERIES])
{
    size_t filled = 0;

    for (size_t i = 0; i < count; i++) {
        if (all[i].count <= done)
            continue;
        size_t left = all[i].count - done;
        piece[filled] = all[i];
        piece[filled].count = left < BLOCK_ROWS_MAX ? left : BLOCK_ROWS_MAX;
        piece[filled].time_ms = all[i].time_ms + done;
        piece[filled].values[0] = all[i].values[0] + done;
        if (all[i].sketches != NULL)
            piece[filled].sketches = all[i].sketches + done;
        filled++;
    }
    return filled;
}

static enum err seal_group(struct tenant *tenant, struct day *day, uint32_t number,
                           struct arena *arena, struct why *why)
{
    struct group *group = head_group(&tenant->head, number);
    struct block_series all[GROUP_SERIES];
    struct block_series piece[GROUP_SERIES];
    struct buf body CLEANUP(buf_done) = {0};
    struct block_info info;

    arena_clear(arena);
    size_t count = head_collect(&tenant->head, number, day->from_day, arena, all);
    for (size_t done = 0;; done += BLOCK_ROWS_MAX) {
        size_t pieces = cut_piece(all, count, done, piece);
        if (pieces == 0)
            break;
        buf_clear(&body);
        block_encode(tenant->encoder, piece, pieces, 1, COLUMN_FAST, &body, &info);
        TRY(day_put_block(day, KIND_METRIC, number, &info, buf_view(&body), why));
        tenant->stats.blocks_written++;
    }
    if (count > 0 && (group->roster_day != day->from_day || group->roster_used != group->used)) {
        buf_clear(&body);
        tenant_roster(tenant, number, &body);
        TRY(day_put_group(day, number, buf_view(&body), why));
    }
    return ERR_NONE;
}

static enum err seal_rows(struct tenant *tenant, struct day *day, struct why *why)
{
    struct arena *arena = arena_new(SEAL_ARENA_BYTES);
    enum err err = ERR_NONE;

    for (uint32_t i = 0; err == ERR_NONE && i < paged_count(tenant->head.groups); i++)
        err = seal_group(tenant, day, i, arena, why);
    arena_free(arena);
    TRY(err);
    TRY(day_clear_pending(day, KIND_METRIC, why));
    return day_commit(day, why);
}

/* What seal_group wrote is in the file for good. */
static void note_rosters(struct tenant *tenant, const struct day *day)
{
    for (uint32_t i = 0; i < paged_count(tenant->head.groups); i++) {
        struct group *group = head_group(&tenant->head, i);
        if (!head_has_rows(&tenant->head, i, day->from_day))
            continue;
        group->roster_day = day->from_day;
        group->roster_used = group->used;
    }
}

enum err tenant_seal(struct tenant *tenant, struct day *day, struct why *why)
{
    int64_t before = clock_monotonic_ns();

    TRY(traces_seal(tenant, day, why));
    if (day->pending_rows == 0)
        return ERR_NONE;
    TRY(save_reach(tenant, day->from_day, why));
    TRY(day_begin(day, why));
    enum err err = seal_rows(tenant, day, why);
    if (err != ERR_NONE) {
        day_rollback(day);
        return err;
    }
    note_rosters(tenant, day);
    head_sealed(&tenant->head, day->from_day);
    day->pending_rows = 0;
    day->pending_samples = 0;
    day->compacted = false;
    atomic_store(&day->rolled, false);
    tenant->compact_wanted = true;
    tenant->stats.seals++;
    tenant->stats.seal_ns += clock_monotonic_ns() - before;
    return ERR_NONE;
}

enum err tenant_seal_all(struct tenant *tenant, struct why *why)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        if (tenant->stages[i].day != NULL)
            TRY(tenant_seal(tenant, tenant->stages[i].day, why));
    }
    return ERR_NONE;
}
