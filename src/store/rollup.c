/* SPDX-License-Identifier: Apache-2.0 */
/* One-minute steps of a month lie in one file, one-hour steps of a year in another, as blocks with
 * five fields. They are files of their own because retention unlinks whole days of samples long
 * before.
 *
 * A day is rolled up when it is over and sealed: group by group, in slices between batches. For
 * each group the rows of that day in the roll-up file are *replaced*: blocks that reach into the
 * day are read, their rows of other days kept, the new ones put in, in one transaction. So doing it
 * again - after a crash half-way, or because late samples came - changes nothing or only what is
 * new. The day's `meta` says "rolled" when all groups are done; sealing late samples takes it away
 * again. */
#include "store/rollup.h"

#include "base/clock.h"
#include "store/merge.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t ROLL_ARENA_BYTES = (size_t)1 << 32;
static const int64_t STEPS_MS[] = {TENANT_STEP_MINUTE_MS, TENANT_STEP_HOUR_MS};

enum { STEP_COUNT = ARRAY_COUNT(STEPS_MS) };

/* --- reading a group's day ------------------------------------------------------------------- */

static enum err read_blocks(struct day *day, uint32_t group, int64_t from_ms, int64_t to_ms,
                            struct merge *merge, struct why *why)
{
    sqlite3_stmt *find;
    bool row = false;

    TRY(db_prepare(&day->db,
                   "SELECT id, min_ms, max_ms, rows, crc, body FROM blocks WHERE kind = ?1 AND"
                   " step_ms = ?2 AND group_id = ?3 AND min_ms <= ?4 AND max_ms >= ?5 ORDER BY id",
                   &find, why));
    (void)sqlite3_bind_int64(find, 1, KIND_METRIC); /* Numbers always bind. */
    (void)sqlite3_bind_int64(find, 2, day->step_ms);
    (void)sqlite3_bind_int64(find, 3, group);
    (void)sqlite3_bind_int64(find, 4, to_ms);
    (void)sqlite3_bind_int64(find, 5, from_ms);
    enum err err = db_step(&day->db, find, &row, why);
    while (err == ERR_NONE && row) {
        struct day_block block = {
            .id = sqlite3_column_int64(find, 0),
            .crc = (uint32_t)sqlite3_column_int64(find, 4),
            .body = db_blob(find, 5),
        };
        err = merge_add(merge, &block, why);
        if (err == ERR_CORRUPT)
            err = ERR_NONE; /* What cannot be read cannot be rolled up; `check` names it. */
        if (err == ERR_NONE)
            err = db_step(&day->db, find, &row, why);
    }
    (void)sqlite3_finalize(find); /* Repeats the error just told. */
    return err;
}

/* --- replacing it in a roll-up file ---------------------------------------------------------- */

/* The rows of one series, of which those of the day are new. */
static enum err splice(const struct merged *old, const struct fold_steps *new, int64_t from_ms,
                       int64_t to_ms, struct arena *arena, struct block_series *series,
                       struct why *why)
{
    size_t room = old->count + new->count;
    int64_t *times = ARENA_ARRAY(arena, room + 1, int64_t);
    double *values = ARENA_ARRAY(arena, (room + 1) * BLOCK_FIELDS_MAX, double);
    struct str *sketches = NULL;
    size_t at = 0;

    if (old->sketches != NULL || new->sketches != NULL)
        sketches = ARENA_ARRAY(arena, room + 1, struct str);
    if (times == NULL || values == NULL)
        return arena_spent(arena, "rolling up", why);
    for (int part = 0; part < 3; part++) { /* Before the day, the day, behind it. */
        size_t count = part == 1 ? new->count : old->count;
        for (size_t i = 0; i < count; i++) {
            int64_t time_ms = part == 1 ? new->time_ms[i] : old->time_ms[i];
            if ((part == 0 && time_ms >= from_ms) || (part == 2 && time_ms <= to_ms))
                continue;
            times[at] = time_ms;
            for (size_t field = 0; field < BLOCK_FIELDS_MAX; field++)
                values[field * (room + 1) + at] =
                    part == 1 ? new->values[field][i] : old->values[field][i];
            if (sketches != NULL && (part == 1 ? new->sketches : old->sketches) != NULL)
                sketches[at] = part == 1 ? new->sketches[i] : old->sketches[i];
            at++;
        }
    }
    series->count = at;
    series->time_ms = times;
    series->sketches = sketches;
    for (size_t field = 0; field < BLOCK_FIELDS_MAX; field++)
        series->values[field] = values + field * (room + 1);
    return ERR_NONE;
}

static enum err delete_blocks(struct day *file, const struct merge *merge, struct why *why)
{
    char sql[64];

    for (size_t i = 0; i < merge->count; i++) {
        (void)snprintf(sql, sizeof(sql), "DELETE FROM blocks WHERE id = %lld",
                       (long long)merge->ids[i]); /* Fits. */
        TRY(db_run(&file->db, sql, why));
    }
    return ERR_NONE;
}

struct rolling {
    struct tenant *tenant;
    struct day *day;
    uint32_t group;
    int64_t from_ms; /* Of the day. */
    int64_t to_ms;
    struct arena *arena;
    struct fold_steps steps[STEP_COUNT][GROUP_SERIES];
};

static enum err write_steps(struct rolling *rolling, struct day *file,
                            const struct fold_steps *steps, struct merge *old, struct why *why)
{
    struct block_series series[GROUP_SERIES];
    struct buf body CLEANUP(buf_done) = {0};
    struct block_info info;
    size_t count = 0;

    TRY(read_blocks(file, rolling->group, rolling->from_ms, rolling->to_ms, old, why));
    for (unsigned slot = 0; slot < GROUP_SERIES; slot++) {
        struct merged before;
        TRY(merge_read(old, slot, rolling->arena, &before, why));
        if (before.count + steps[slot].count == 0)
            continue;
        series[count] = (struct block_series){.slot = (uint8_t)slot};
        TRY(splice(&before, &steps[slot], rolling->from_ms, rolling->to_ms, rolling->arena,
                   &series[count], why));
        count += series[count].count > 0;
    }
    TRY(delete_blocks(file, old, why));
    if (count == 0)
        return ERR_NONE;
    block_encode(rolling->tenant->encoder, series, count, BLOCK_FIELDS_MAX, COLUMN_BEST, &body,
                 &info);
    TRY(day_put_block(file, KIND_METRIC, rolling->group, &info, buf_view(&body), why));
    buf_clear(&body);
    tenant_roster(rolling->tenant, rolling->group, &body);
    return day_put_group(file, rolling->group, buf_view(&body), why);
}

static enum err replace(struct rolling *rolling, unsigned step, struct why *why)
{
    struct day *file = tenant_add_day(rolling->tenant, STEPS_MS[step], rolling->day->from_day);
    struct merge old;

    if (!file->writing)
        TRY(day_begin(file, why));
    merge_init(&old);
    enum err err = write_steps(rolling, file, rolling->steps[step], &old, why);
    merge_done(&old);
    return err;
}

/* --- one group, one day ---------------------------------------------------------------------- */

static enum err fold_slots(struct rolling *rolling, const struct merge *merge, struct why *why)
{
    struct arena *scratch = arena_new(ROLL_ARENA_BYTES);
    enum err err = ERR_NONE;

    for (unsigned slot = 0; slot < GROUP_SERIES && err == ERR_NONE; slot++) {
        struct merged merged;
        arena_clear(scratch);
        err = merge_read(merge, slot, scratch, &merged, why);
        for (unsigned step = 0; step < STEP_COUNT && err == ERR_NONE; step++)
            err = fold(merged.time_ms, merged.values[0], merged.sketches, merged.count,
                       STEPS_MS[step], rolling->arena, &rolling->steps[step][slot], why);
    }
    arena_free(scratch);
    return err;
}

static enum err roll_group(struct rolling *rolling, struct why *why)
{
    struct merge merge;

    arena_clear(rolling->arena);
    merge_init(&merge);
    enum err err =
        read_blocks(rolling->day, rolling->group, rolling->from_ms, rolling->to_ms, &merge, why);
    if (err == ERR_NONE && merge.count > 0) {
        err = fold_slots(rolling, &merge, why);
        for (unsigned step = 0; step < STEP_COUNT && err == ERR_NONE; step++)
            err = replace(rolling, step, why);
    }
    merge_done(&merge);
    return err;
}

/* --- a slice of a day ------------------------------------------------------------------------ */

/* Ends the transactions of the roll-up files; they are few rows a day, so blocks are merged when
 * some have gathered. */
static enum err settle(struct tenant *tenant, const struct day *day, bool keep, struct why *why)
{
    for (unsigned step = 0; step < STEP_COUNT; step++) {
        struct day *file = tenant_day(tenant, STEPS_MS[step], day->from_day);
        if (file == NULL || !file->writing)
            continue;
        if (!keep)
            day_rollback(file);
        else
            TRY(day_commit(file, why));
    }
    return ERR_NONE;
}

static enum err finish_day(struct tenant *tenant, struct day *day, struct why *why)
{
    TRY(day_mark_rolled(day, why));
    for (unsigned step = 0; step < STEP_COUNT; step++) {
        struct day *file = tenant_day(tenant, STEPS_MS[step], day->from_day);
        if (file != NULL)
            TRY(tenant_compact_day(tenant, file, false, CLOCK_NS_PER_S, why));
    }
    TRY(tenant_compact_day(tenant, day, true, CLOCK_NS_PER_S, why));
    tenant->roll_group = 0;
    tenant->roll_day = INT32_MIN;
    for (unsigned step = 0; step < STEP_COUNT; step++) {
        struct day *file = tenant_day(tenant, STEPS_MS[step], day->from_day);
        if (file != NULL)
            day_rest(file);
    }
    day_rest(day);
    return ERR_NONE;
}

static enum err roll_slice(struct tenant *tenant, struct day *day, int64_t until_ns,
                           struct why *why)
{
    struct rolling *rolling = calloc(1, sizeof(*rolling));
    enum err err = ERR_NONE;

    if (rolling == NULL)
        must_memory(sizeof(*rolling));
    rolling->tenant = tenant;
    rolling->day = day;
    rolling->from_ms = (int64_t)day->from_day * CLOCK_MS_PER_DAY;
    rolling->to_ms = rolling->from_ms + CLOCK_MS_PER_DAY - 1;
    rolling->arena = arena_new(ROLL_ARENA_BYTES);
    while (err == ERR_NONE && tenant->roll_group < paged_count(tenant->head.groups)) {
        rolling->group = tenant->roll_group++;
        err = roll_group(rolling, why);
        if (clock_monotonic_ns() > until_ns)
            break;
    }
    arena_free(rolling->arena);
    free(rolling);
    if (err != ERR_NONE) {
        tenant->roll_group = 0;                 /* From the start, when there is room again. */
        (void)settle(tenant, day, false, NULL); /* Undoing cannot fail. */
        return err;
    }
    return settle(tenant, day, true, why);
}

static struct day *next_day(const struct tenant *tenant)
{
    for (size_t i = 0; i < tenant->days_count; i++) {
        struct day *day = tenant->days[i];
        if (day->step_ms == 0 && !atomic_load(&day->rolled) &&
            day->pending_rows + day->pending_items == 0 && day->from_day < day_of(tenant->now_ms) &&
            !tenant_takes_part(tenant, day))
            return day;
    }
    return NULL;
}

enum err tenant_roll_up(struct tenant *tenant, int64_t budget_ns, struct why *why)
{
    struct day *day = next_day(tenant);

    if (day == NULL)
        return ERR_NONE;
    if (tenant->roll_day != day->from_day) {
        tenant->roll_day = day->from_day;
        tenant->roll_group = 0;
    }
    TRY(day_open(day, why));
    TRY(roll_slice(tenant, day, clock_monotonic_ns() + budget_ns, why));
    if (tenant->roll_group < paged_count(tenant->head.groups))
        return ERR_NONE;
    return finish_day(tenant, day, why);
}
