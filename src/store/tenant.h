/* SPDX-License-Identifier: Apache-2.0 */
/* tenant - one folder of the local backend: its catalog, index, head and day files.
 *
 * The writer thread owns it; views look at `index`, `head` and the list of days through
 * epoch_enter and tenant_days. How rows travel: README.md. */
#pragma once
#include "base/map.h"
#include "store/catalog.h"
#include "store/day.h"
#include "store/head.h"
#include "store/index.h"
#include "store/pending.h"
#include "store/store.h"
#include "store/traces.h"

#define TENANT_DAYS_OPEN_MAX 8 /* Days with rows in memory; more are sealed, the idlest first. */

#define TENANT_STEP_MINUTE_MS INT64_C(60000)
#define TENANT_STEP_HOUR_MS   INT64_C(3600000)

#define TENANT_OLD_DAYS_MAX 32 /* Files of days that retention would have removed already. */

/* Rows accepted for one day since the last commit. */
struct stage {
    struct day *day; /* NULL: the place is free. */
    struct pending_row *rows;
    size_t count;
    size_t capacity;
    struct pending_row *sketch_rows; /* Rows with sketches, and these (malloc). */
    struct str *sketches;
    size_t sketch_count;
    size_t sketch_capacity;
    struct trace_stage traces;
};

static inline bool stage_is_empty(const struct stage *stage)
{
    return stage->count + stage->sketch_count == 0 && trace_stage_is_empty(&stage->traces);
}

struct tenant {
    const struct store_options *options;
    char *name;
    char *folder;
    uint32_t generation; /* Not 0; differs for each tenant opened by this process. */

    struct epoch epoch;
    struct index index;
    struct head head;
    struct catalog catalog;
    struct column_encoder *encoder;
    struct trace_tools trace_tools;

    pthread_mutex_t lock; /* Of days and infos, for readers. */
    struct day **days;    /* By step, then by from_day. */
    size_t days_count;
    size_t days_capacity;
    struct map infos; /* Name to struct metric_info, in info_arena. */
    struct arena *info_arena;

    struct stage stages[TENANT_DAYS_OPEN_MAX];
    uint32_t *dirty; /* Groups whose rosters the catalog lacks. */
    size_t dirty_count;
    size_t dirty_capacity;
    struct metric_info *dirty_infos;
    size_t dirty_infos_count;
    size_t dirty_infos_capacity;
    uint32_t open_group; /* Last one made, or INDEX_NONE. */
    uint32_t active;
    int64_t
        sealed_until_ms; /* Newest block when it was opened: last values up to it are not sure. */
    int64_t now_ms;      /* As the last tick or accept said. */
    int64_t active_scan_ms; /* When activity was last looked through. */
    int64_t retention_ms;   /* When retention last ran. */
    int64_t sealed_ns;      /* When the head was last sealed; monotonic. */
    bool compact_wanted;
    int32_t roll_day; /* The day being rolled up, and its next group. */
    uint32_t roll_group;
    uint64_t notice_hash; /* The last notice, and when. */
    int64_t notice_ms;
    struct store_stats stats; /* Counters only. */
};

/* Makes the folder when it is not there; replays what is pending. A catalog or day file that cannot
 * be read is set aside, with a notice. */
CHECKED enum err tenant_open(const struct store_options *options, const char *name,
                             uint32_t generation, struct tenant **ret_tenant, struct why *why);
struct tenant *tenant_close(struct tenant *tenant); /* Seals; always returns NULL. */

/* tenant.c, tenant_series.c, tenant_room.c, tenant_commit.c: the way in. */
CHECKED enum err tenant_accept(struct tenant *tenant, struct batch *batch, struct why *why);
CHECKED enum err tenant_commit(struct tenant *tenant, struct why *why);
void tenant_abandon(struct tenant *tenant); /* What was accepted since the last commit. */
void tenant_tick(struct tenant *tenant, int64_t now_ms);
/* Adds a track and puts it into a group near `neighbour` (a track of the same scrape, or
 * INDEX_NONE). */
CHECKED enum err tenant_add_track(struct tenant *tenant, const struct labels *labels,
                                  uint32_t neighbour, uint32_t *ret_number, struct why *why);
/* A committed row goes into the head. */
void tenant_apply(struct tenant *tenant, const struct pending_row *row, int32_t day,
                  struct str sketch);
/* Keeps a copy. Returns whether it is new or has changed. */
bool tenant_keep_info(struct tenant *tenant, const struct metric_info *info);

/* days.c: the list of files. The day is held by the list. */
struct day *tenant_day(struct tenant *tenant, int64_t step_ms, int32_t day);
struct day *tenant_add_day(struct tenant *tenant, int64_t step_ms, int32_t day);
void tenant_drop_day(struct tenant *tenant, struct day *day); /* Only from the list. */
/* Reader. Files of that step that touch the days, oldest first; each must be given to day_unref.
 * Returns how many; they are malloc'd, *ret_days to be freed. */
size_t tenant_days(struct tenant *tenant, int64_t step_ms, int32_t from_day, int32_t to_day,
                   struct day ***ret_days);
CHECKED enum err tenant_list_days(struct tenant *tenant, struct why *why);
/* Whether rows of the day may be in memory. */
bool tenant_takes_part(const struct tenant *tenant, const struct day *day);
/* Renames a damaged file aside and says so. */
void tenant_set_aside(struct tenant *tenant, const char *path, const struct why *reason);
void tenant_notice(struct tenant *tenant, const char *format, ...) PRINTF_LIKE(2, 3);
uint64_t tenant_disk_bytes(struct tenant *tenant);

/* seal.c. */
CHECKED enum err tenant_seal(struct tenant *tenant, struct day *day, struct why *why);
CHECKED enum err tenant_seal_all(struct tenant *tenant, struct why *why);
/* Writes the rosters of dirty groups, the changed infos, and what days groups reach. */
CHECKED enum err tenant_save_catalog(struct tenant *tenant, struct why *why);
/* The roster of one group, appended to out. */
void tenant_roster(struct tenant *tenant, uint32_t group, struct buf *out);

/* compact.c: merges small blocks for about budget_ns; compact_wanted says whether more is left.
 * With `whole`, every group of the day becomes as few blocks as can be. */
CHECKED enum err tenant_compact(struct tenant *tenant, int64_t budget_ns, struct why *why);
CHECKED enum err tenant_compact_day(struct tenant *tenant, struct day *day, bool whole,
                                    int64_t budget_ns, struct why *why);

static inline int32_t day_of(int64_t time_ms)
{
    int64_t day = time_ms / (INT64_C(24) * 3600 * 1000);

    return (int32_t)(day - (time_ms < day * (INT64_C(24) * 3600 * 1000)));
}
