/* SPDX-License-Identifier: Apache-2.0 */
/* A file is the unit: unlinking it frees its space at once, whatever the state of the disk, and a
 * reader that has it open reads on. A day goes when all of it is over; the day being written stays
 * whatever the size limit says. */
#include "store/retention.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* Rows still in memory for a day that goes, go too. */
static void leave(struct tenant *tenant, struct day *day)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        if (tenant->stages[i].day != day)
            continue;
        head_sealed(&tenant->head, day->from_day);
        tenant->stages[i].day = NULL;
    }
}

static bool is_staged(const struct tenant *tenant, const struct day *day)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        if (tenant->stages[i].day == day)
            return !stage_is_empty(&tenant->stages[i]);
    }
    return false;
}

static bool remove_day(struct tenant *tenant, struct day *day)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char path[PATH_SIZE];

    leave(tenant, day);
    day_rest(day);
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", day->path, suffixes[i]); /* Fitted before. */
        if (unlink(path) != 0 && errno != ENOENT) {
            struct why why = WHY_INIT;
            (void)fail_errno(&why, errno, "%s cannot be removed", path);
            tenant_notice(tenant, "%s", why.text);
            return false;
        }
    }
    tenant->stats.days_removed++;
    tenant_drop_day(tenant, day);
    return true;
}

static int64_t retention_of(const struct tenant *tenant, const struct day *day)
{
    if (day->step_ms == 0)
        return tenant->options->retention_raw_ms;
    return day->step_ms < TENANT_STEP_HOUR_MS ? tenant->options->retention_minute_ms
                                              : tenant->options->retention_hour_ms;
}

static void retain_by_age(struct tenant *tenant, int64_t now_ms)
{
    for (size_t i = 0; i < tenant->days_count;) {
        struct day *day = tenant->days[i];
        int64_t limit_ms = retention_of(tenant, day);
        int64_t end_ms = ((int64_t)day->to_day + 1) * CLOCK_MS_PER_DAY;
        /* What came later than it would have been kept is kept as long after it came. */
        if (day->written_ms > end_ms + limit_ms)
            end_ms = day->written_ms < now_ms ? day->written_ms : now_ms;
        bool over = limit_ms > 0 && end_ms <= now_ms - limit_ms && !is_staged(tenant, day);
        if (!over || !remove_day(tenant, day))
            i++;
    }
}

/* The oldest file of samples that is not being written, or of roll-ups when there is none; the
 * newest of each step stays. NULL when nothing can go. */
static struct day *oldest_day(const struct tenant *tenant)
{
    for (size_t i = 0; i + 1 < tenant->days_count; i++) {
        struct day *day = tenant->days[i];
        if (tenant->days[i + 1]->step_ms == day->step_ms && !tenant_takes_part(tenant, day))
            return day;
    }
    return NULL;
}

static void retain_by_size(struct tenant *tenant)
{
    uint64_t limit = tenant->options->size_bytes_max;

    while (limit > 0 && tenant_disk_bytes(tenant) > limit) {
        struct day *day = oldest_day(tenant);
        if (day == NULL || !remove_day(tenant, day))
            return;
    }
}

/* A reader met damage: when SQLite finds the file itself broken, it is set aside; a single damaged
 * block is only named, the rest of the file is good. */
static void look_after(struct tenant *tenant, struct day *day)
{
    struct why why = WHY_INIT;
    int64_t errors = 0;

    atomic_store(&day->damaged, false);
    enum err err = day_open(day, &why);
    if (err == ERR_NONE)
        err = db_number(&day->db,
                        "SELECT count(*) FROM pragma_quick_check(1) WHERE quick_check <> 'ok'",
                        &errors, &why);
    if (err == ERR_NONE && errors == 0) {
        tenant_notice(tenant,
                      "%s has damaged blocks, which are left out of answers; "
                      "`sonde db check` names them",
                      day->path);
        return;
    }
    if (err != ERR_NONE && err != ERR_CORRUPT)
        return; /* Cannot tell now. */
    if (err == ERR_NONE)
        (void)fail(&why, ERR_CORRUPT, "its pages are damaged");
    leave(tenant, day);
    day_rest(day);
    tenant_set_aside(tenant, day->path, &why);
    tenant_drop_day(tenant, day);
}

void tenant_retain(struct tenant *tenant, int64_t now_ms)
{
    for (size_t i = 0; i < tenant->days_count; i++) {
        struct day *day = tenant->days[i];
        if (atomic_load(&day->damaged) && !is_staged(tenant, day)) {
            look_after(tenant, day);
            break; /* The list has changed; the next one is looked after next time. */
        }
    }
    retain_by_age(tenant, now_ms);
    retain_by_size(tenant);
}
