/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a tenant: read the catalog into the index, list the files, and bring what is pending
 * back into the head. Whatever is damaged is set aside; a lost catalog is made anew from the
 * rosters that every day file carries. */
#include "store/tenant.h"

#include "base/clock.h"
#include "base/crc.h"
#include "base/file.h"
#include "store/roster.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATH_SIZE = 4096 };

static const size_t INFO_ARENA_BYTES = 16 << 20;

/* --- the catalog ----------------------------------------------------------------------------- */

struct loading {
    struct tenant *tenant;
    uint32_t group;
};

/* Slots are told in order, so a track's id is the place that it gets. */
static enum err load_track(void *self, unsigned slot, const struct labels *labels, struct why *why)
{
    struct loading *loading = self;
    struct tenant *tenant = loading->tenant;
    struct group *group = head_group(&tenant->head, loading->group);
    uint32_t number;

    if (slot < group->used)
        return ERR_NONE; /* Known from another copy of this roster. */
    TRY(index_add(&tenant->index, labels, loading->group * GROUP_SERIES + slot, &number, why));
    group->tracks[group->used++] = number;
    return ERR_NONE;
}

static enum err load_group(void *self, const struct catalog_group *row, struct why *why)
{
    struct tenant *tenant = self;
    struct loading loading = {tenant, row->number};
    const struct roster_visitor visitor = {load_track, &loading};
    uint32_t number;

    if (row->number >= (uint32_t)PAGED_ITEMS * PAGED_PAGES_MAX / GROUP_SERIES)
        return fail(why, ERR_CORRUPT, "the catalog has a group %u, which cannot be", row->number);
    while (paged_count(tenant->head.groups) <= row->number) {
        struct group *group = head_add_group(&tenant->head, &number);
        MUST(group != NULL);
    }
    struct group *group = head_group(&tenant->head, row->number);
    if (row->first_day < group->first_day)
        group->first_day = row->first_day;
    if (row->last_day > group->last_day)
        group->last_day = row->last_day;
    return roster_decode(row->roster, &visitor, why);
}

static enum err load_info(void *self, const struct metric_info *info, struct why *why)
{
    (void)why;                          /* A description too many is left out. */
    (void)tenant_keep_info(self, info); /* It is on disk already. */
    return ERR_NONE;
}

static enum err load_catalog(struct tenant *tenant, struct why *why)
{
    const struct catalog_visitor visitor = {load_group, load_info, tenant};

    TRY(catalog_open(tenant->folder, &tenant->catalog, why));
    return catalog_load(&tenant->catalog, &visitor, why);
}

/* Rosters of one day file into the index. */
static enum err recover_day(struct tenant *tenant, struct day *day, struct why *why)
{
    sqlite3_stmt *rows;
    bool row = false;

    TRY(day_open(day, why));
    TRY(db_prepare(&day->db, "SELECT id, crc, body FROM groups ORDER BY id", &rows, why));
    enum err err = db_step(&day->db, rows, &row, why);
    while (err == ERR_NONE && row) {
        struct catalog_group group = {
            .number = (uint32_t)sqlite3_column_int64(rows, 0),
            .first_day = day->from_day,
            .last_day = day->to_day,
            .roster = db_blob(rows, 2),
        };
        if (crc32c(0, group.roster.data, group.roster.size) ==
            (uint32_t)sqlite3_column_int64(rows, 1))
            err = load_group(tenant, &group, why);
        if (err == ERR_NONE)
            err = db_step(&day->db, rows, &row, why);
    }
    (void)sqlite3_finalize(rows); /* Repeats the error just told. */
    return err;
}

static void forget(struct tenant *tenant)
{
    index_done(&tenant->index);
    head_done(&tenant->head);
    index_init(&tenant->index, &tenant->epoch);
    head_init(&tenant->head, &tenant->epoch);
}

/* A new catalog from what the day files know. Series that only pending rows use are lost with it,
 * and these rows are named when they are replayed. */
static enum err recover_catalog(struct tenant *tenant, const struct why *reason, struct why *why)
{
    char path[PATH_SIZE];

    catalog_close(&tenant->catalog);
    forget(tenant);
    (void)snprintf(path, sizeof(path), "%s/%s", tenant->folder, CATALOG_FILE); /* Fitted before. */
    tenant_set_aside(tenant, path, reason);
    for (size_t i = 0; i < tenant->days_count; i++) {
        struct why day_why = WHY_INIT;
        if (recover_day(tenant, tenant->days[i], &day_why) != ERR_NONE)
            tenant_notice(tenant, "series of %s could not be recovered: %s", tenant->days[i]->path,
                          day_why.text);
    }
    TRY(catalog_open(tenant->folder, &tenant->catalog, why));
    TRY(catalog_begin(&tenant->catalog, why));
    for (uint32_t i = 0; i < paged_count(tenant->head.groups); i++) {
        const struct group *group = head_group(&tenant->head, i);
        struct buf roster CLEANUP(buf_done) = {0};
        tenant_roster(tenant, i, &roster);
        struct catalog_group row = {i, group->first_day, group->last_day, buf_view(&roster)};
        TRY(catalog_put_group(&tenant->catalog, &row, why));
    }
    TRY(catalog_commit(&tenant->catalog, why));
    tenant_notice(tenant, "the catalog of tenant '%s' was made anew: %u series were recovered",
                  tenant->name, index_count(&tenant->index));
    return ERR_NONE;
}

/* --- pending rows ---------------------------------------------------------------------------- */

struct replay {
    struct tenant *tenant;
    struct day *day;
    uint64_t unknown; /* Rows whose series the catalog does not know. */
};

static enum err replay_sample(void *self, const struct pending_row *row, struct str sketch,
                              struct why *why)
{
    struct replay *replay = self;
    struct tenant *tenant = replay->tenant;
    uint32_t group_number = GROUP_OF(row->id);
    struct pending_row known = *row;

    if (row->time_ms < (int64_t)replay->day->from_day * CLOCK_MS_PER_DAY ||
        row->time_ms >= ((int64_t)replay->day->from_day + 1) * CLOCK_MS_PER_DAY)
        return fail(why, ERR_CORRUPT, "it has samples of another day");
    if (group_number >= paged_count(tenant->head.groups) ||
        SLOT_OF(row->id) >= head_group(&tenant->head, group_number)->used) {
        replay->unknown++;
        return ERR_NONE;
    }
    known.track = head_group(&tenant->head, group_number)->tracks[SLOT_OF(row->id)];
    struct track *track = index_track(&tenant->index, known.track);
    if (known.time_ms > track->tail_ms)
        track->tail_ms = known.time_ms;
    tenant_apply(tenant, &known, replay->day->from_day, sketch);
    replay->day->pending_samples++;
    return ERR_NONE;
}

/* A row that is damaged is named and left out; the others of its day are good. */
static enum err replay_row(void *self, int64_t id, enum day_kind kind, struct str body,
                           struct why *why)
{
    struct replay *replay = self;
    const struct pending_visitor visitor = {replay_sample, replay};
    struct why reason = WHY_INIT;
    enum err err = ERR_NONE;

    (void)why; /* Damage is told as a notice. */
    if (kind == KIND_METRIC)
        replay->day->pending_rows++;
    if (body.data == NULL)
        err = fail(&reason, ERR_CORRUPT, "its checksum does not match");
    else if (kind == KIND_METRIC)
        err = pending_decode(body, &visitor, &reason);
    else
        err = traces_replay(replay->tenant, replay->day, id, kind, body, &reason);
    if (err != ERR_NONE)
        tenant_notice(replay->tenant, "%s: pending row %lld was left out: %s", replay->day->path,
                      (long long)id, reason.text);
    return ERR_NONE;
}

static enum err replay_day(struct tenant *tenant, struct day *day, struct why *why)
{
    struct replay replay = {tenant, day, 0};
    const struct day_pending_visitor visitor = {replay_row, &replay};

    TRY(day_replay(day, &visitor, why));
    if (replay.unknown > 0)
        tenant_notice(tenant, "%s: %llu pending samples belong to series that no catalog knows",
                      day->path, (unsigned long long)replay.unknown);
    return ERR_NONE;
}

/* Days with pending rows stay open and take part; there are few. */
static enum err take_part(struct tenant *tenant, struct day *day, struct why *why)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        if (tenant->stages[i].day == NULL) {
            tenant->stages[i].day = day;
            return ERR_NONE;
        }
    }
    TRY(traces_judge(tenant, day, true, why));
    TRY(tenant_seal(tenant, day, why));
    day_rest(day);
    return ERR_NONE;
}

/* Blocks may hold newer rows of a series than its pending ones do. */
static enum err note_newest(struct tenant *tenant, struct day *day, struct why *why)
{
    int64_t newest_ms;

    TRY(db_number(&day->db, "SELECT ifnull(max(max_ms), 0) FROM blocks WHERE kind = 1", &newest_ms,
                  why));
    if (newest_ms > tenant->sealed_until_ms)
        tenant->sealed_until_ms = newest_ms;
    return ERR_NONE;
}

static enum err open_days(struct tenant *tenant, struct why *why)
{
    for (size_t i = 0; i < tenant->days_count;) {
        struct day *day = tenant->days[i];
        struct why day_why = WHY_INIT;
        enum err err = day_open(day, &day_why);
        if (err == ERR_NONE && day->step_ms == 0)
            err = replay_day(tenant, day, &day_why);
        if (err == ERR_NONE && day->pending_rows > 0)
            err = note_newest(tenant, day, &day_why);
        if (err == ERR_CORRUPT) {
            tenant_set_aside(tenant, day->path, &day_why);
            tenant_drop_day(tenant, day);
            continue;
        }
        if (err != ERR_NONE) {
            if (why != NULL)
                *why = day_why;
            return err;
        }
        i++;
        if (day->pending_rows + day->pending_items + day->waiting.items > 0)
            TRY(take_part(tenant, day, why));
        else
            day_rest(day);
    }
    return ERR_NONE;
}

/* --- opening and closing --------------------------------------------------------------------- */

static char *text_printf(const char *format, const char *a, const char *b)
{
    char *text;

    if (asprintf(&text, format, a, b) < 0)
        must_memory(0);
    return text;
}

static struct tenant *tenant_new(const struct store_options *options, const char *name,
                                 uint32_t generation)
{
    struct tenant *tenant = calloc(1, sizeof(*tenant));

    if (tenant == NULL)
        must_memory(sizeof(*tenant));
    tenant->options = options;
    tenant->generation = generation;
    tenant->name = text_printf("%s%s", name, "");
    tenant->folder = text_printf("%s/%s", options->path, name);
    tenant->open_group = INDEX_NONE;
    tenant->roll_day = INT32_MIN;
    tenant->now_ms = clock_now_ms();
    tenant->sealed_ns = clock_monotonic_ns();
    tenant->encoder = column_encoder_new();
    tenant->info_arena = arena_new(INFO_ARENA_BYTES);
    int code = pthread_mutex_init(&tenant->lock, NULL);
    MUST(code == 0);
    epoch_init(&tenant->epoch);
    index_init(&tenant->index, &tenant->epoch);
    head_init(&tenant->head, &tenant->epoch);
    return tenant;
}

static enum err start(struct tenant *tenant, struct why *why)
{
    struct why reason = WHY_INIT;

    TRY(file_make_folder(tenant->folder, why));
    TRY(tenant_list_days(tenant, why));
    enum err err = load_catalog(tenant, &reason);
    if (err == ERR_CORRUPT)
        TRY(recover_catalog(tenant, &reason, why));
    else if (err != ERR_NONE) {
        if (why != NULL)
            *why = reason;
        return err;
    }
    return open_days(tenant, why);
}

static struct tenant *tenant_free(struct tenant *tenant)
{
    tenant_abandon(tenant);
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        free(tenant->stages[i].rows);
        free(tenant->stages[i].sketch_rows);
        free(tenant->stages[i].sketches);
        trace_stage_done(&tenant->stages[i].traces);
    }
    while (tenant->days_count > 0)
        tenant_drop_day(tenant, tenant->days[tenant->days_count - 1]);
    free(tenant->days);
    catalog_close(&tenant->catalog);
    head_reclaim(&tenant->head);
    head_done(&tenant->head);
    index_done(&tenant->index);
    epoch_done(&tenant->epoch);
    map_done(&tenant->infos);
    arena_free(tenant->info_arena);
    column_encoder_free(tenant->encoder);
    trace_tools_done(&tenant->trace_tools);
    (void)pthread_mutex_destroy(&tenant->lock); /* Fails only while it is locked. */
    free(tenant->dirty);
    free(tenant->dirty_infos);
    free(tenant->name);
    free(tenant->folder);
    free(tenant);
    return NULL;
}

enum err tenant_open(const struct store_options *options, const char *name, uint32_t generation,
                     struct tenant **ret_tenant, struct why *why)
{
    struct tenant *tenant = tenant_new(options, name, generation);
    enum err err = start(tenant, why);

    if (err != ERR_NONE) {
        tenant_free(tenant);
        return err;
    }
    *ret_tenant = tenant;
    return ERR_NONE;
}

struct tenant *tenant_close(struct tenant *tenant)
{
    struct why why = WHY_INIT;

    if (tenant == NULL)
        return NULL;
    tenant_abandon(tenant);
    if (tenant_seal_all(tenant, &why) != ERR_NONE)
        tenant_notice(tenant, "closing without sealing, the rows stay pending: %s", why.text);
    return tenant_free(tenant);
}
