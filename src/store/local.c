/* SPDX-License-Identifier: Apache-2.0 */
/* local - the backend that keeps everything in a folder of this machine.
 *
 *   data/lock                     held while a process has the folder open
 *   data/<tenant>/catalog.db      and its day files, see tenant.h
 *
 * A batch belongs to one tenant; a commit covers all tenants that were given something since the
 * last. When the disk is full nothing more is accepted, reads go on, and once a second it is looked
 * whether there is room again. */
#include "base/clock.h"
#include "base/file.h"
#include "store/backend.h"
#include "store/retention.h"
#include "store/tenant.h"
#include "store/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOCAL_MAGIC = 0x4c4f4341,
    PATH_SIZE = 4096,
    FOLDER_BYTES_MAX = 3584, /* Leaves room for the names inside. */
    SPACE_CHECK_MS = 1000,
    STATS_MS = 1000,
    AGAIN_BYTES = 1 << 20, /* Free beside what is asked for, before a full disk is one no more. */
    RETENTION_MS = 60000,
};

struct local {
    uint32_t magic;
    const struct store_options *options;
    int lock_fd;
    pthread_mutex_t lock; /* Of tenants, and of what stats copies. */
    struct tenant **tenants;
    bool *touched; /* Given something since the last commit. */
    size_t count;
    uint32_t generation;
    int64_t space_checked_ms;
    _Atomic bool full;
    struct store_stats stats; /* As of the last look; under the lock. */
    int64_t stats_ms;
};

static struct local *local_of(void *self)
{
    struct local *local = self;

    MUST_BE(local, LOCAL_MAGIC);
    return local;
}

static void lock(struct local *local)
{
    int code = pthread_mutex_lock(&local->lock);

    MUST(code == 0);
}

static void unlock(struct local *local)
{
    int code = pthread_mutex_unlock(&local->lock);

    MUST(code == 0);
}

static void notice(const struct local *local, const char *sentence)
{
    if (local->options->notice != NULL)
        local->options->notice(local->options->notice_self, sentence);
}

/* --- tenants --------------------------------------------------------------------------------- */

static enum err check_name(const char *name, struct why *why)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < size; i++) {
        bool good = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
                    (name[i] >= '0' && name[i] <= '9') || name[i] == '-' || name[i] == '_';
        if (!good)
            size = 0;
    }
    if (size == 0 || size >= BATCH_TENANT_BYTES)
        return fail(why, ERR_INVALID, "a tenant's name is 1 to %d letters, digits, '-' and '_'",
                    BATCH_TENANT_BYTES - 1);
    return ERR_NONE;
}

static struct tenant *find_tenant(struct local *local, const char *name)
{
    for (size_t i = 0; i < local->count; i++) {
        if (strcmp(local->tenants[i]->name, name) == 0)
            return local->tenants[i];
    }
    return NULL;
}

static enum err add_tenant(struct local *local, const char *name, struct tenant **ret_tenant,
                           struct why *why)
{
    struct tenant *tenant;

    TRY(check_name(name, why));
    if (local->count >= local->options->tenants_max) {
        (void)fail(why, ERR_LIMIT, "there are %zu tenants already, the limit", local->count);
        hint(why, "raise tenants_max, or remove a tenant's folder while the daemon is stopped");
        return ERR_LIMIT;
    }
    TRY(tenant_open(local->options, name, ++local->generation, &tenant, why));
    lock(local);
    local->tenants = reallocarray(local->tenants, local->count + 1, sizeof(struct tenant *));
    local->touched = reallocarray(local->touched, local->count + 1, sizeof(bool));
    if (local->tenants == NULL || local->touched == NULL)
        must_memory(local->count * sizeof(struct tenant *));
    local->touched[local->count] = false;
    local->tenants[local->count++] = tenant;
    unlock(local);
    *ret_tenant = tenant;
    return ERR_NONE;
}

static enum err visit_name(void *self, const char *name, struct why *why)
{
    struct local *local = self;
    char path[PATH_SIZE];
    struct tenant *tenant;
    struct stat info;

    (void)snprintf(path, sizeof(path), "%s/%s", local->options->path, name); /* Bounded at open. */
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode) || check_name(name, NULL) != ERR_NONE)
        return ERR_NONE;
    (void)snprintf(path, sizeof(path), "%s/%s/" CATALOG_FILE, local->options->path, name);
    if (access(path, F_OK) != 0)
        return ERR_NONE; /* Somebody else's folder. */
    return add_tenant(local, name, &tenant, why);
}

/* --- opening --------------------------------------------------------------------------------- */

static enum err take_lock(struct local *local, struct why *why)
{
    char path[PATH_SIZE];

    if (strlen(local->options->path) > FOLDER_BYTES_MAX)
        return fail(why, ERR_INVALID, "the name of the data folder is too long");
    TRY(file_make_folder(local->options->path, why));
    (void)snprintf(path, sizeof(path), "%s/lock", local->options->path); /* Fits, see above. */
    local->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (local->lock_fd < 0) {
        enum err err =
            fail_errno(why, errno, "the data folder %s cannot be written", local->options->path);
        hint(why, "give it to the user that runs sonde, or choose another with --data");
        return err;
    }
    if (flock(local->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        (void)fail(why, ERR_BUSY, "another process has the data folder %s open",
                   local->options->path);
        hint(why, "stop it, or choose another folder with --data");
        return ERR_BUSY;
    }
    return ERR_NONE;
}

static void local_close(void *self)
{
    struct local *local = local_of(self);

    for (size_t i = 0; i < local->count; i++)
        tenant_close(local->tenants[i]);
    file_closep(&local->lock_fd);
    (void)pthread_mutex_destroy(&local->lock); /* Fails only while it is locked. */
    free(local->tenants);
    free(local->touched);
    free(local);
}

static enum err local_open(const struct store_options *options, void **ret_self, struct why *why)
{
    struct local *local = calloc(1, sizeof(*local));

    if (local == NULL)
        must_memory(sizeof(*local));
    local->magic = LOCAL_MAGIC;
    local->options = options;
    local->lock_fd = -1;
    /* Distinct between stores of one process, so that labels told to one mean nothing to another.
     */
    local->generation = (uint32_t)(uintptr_t)local >> 4 << 8;
    int code = pthread_mutex_init(&local->lock, NULL);
    MUST(code == 0);
    enum err err = take_lock(local, why);
    if (err == ERR_NONE)
        err = file_each(options->path, visit_name, local, why);
    if (err != ERR_NONE) {
        local_close(local);
        return err;
    }
    *ret_self = local;
    return ERR_NONE;
}

/* --- counting ----------------------------------------------------------------------------------
 */

static void add_stats(const struct tenant *tenant, struct store_stats *sum)
{
    const struct store_stats *one = &tenant->stats;

    sum->tenants++;
    sum->series += index_count(&tenant->index);
    sum->series_active += tenant->active;
    sum->samples += one->samples;
    sum->spans += one->spans;
    sum->events += one->events;
    sum->commits += one->commits;
    sum->commit_ns += one->commit_ns;
    if (one->commit_ns_max > sum->commit_ns_max)
        sum->commit_ns_max = one->commit_ns_max;
    sum->seals += one->seals;
    sum->seal_ns += one->seal_ns;
    sum->compactions += one->compactions;
    sum->compact_ns += one->compact_ns;
    sum->blocks_written += one->blocks_written;
    sum->rejected_series_limit += one->rejected_series_limit;
    sum->rejected_old += one->rejected_old;
    sum->rejected_duplicate += one->rejected_duplicate;
    sum->failed_commits += one->failed_commits;
    sum->damaged_files += one->damaged_files;
    sum->days_removed += one->days_removed;
    sum->memory_bytes += index_bytes(&tenant->index) + tenant->head.chunk_bytes;
}

static void add_days(const struct tenant *tenant, struct store_stats *sum)
{
    struct day *oldest = NULL;

    for (size_t i = 0; i < tenant->days_count; i++) {
        struct day *day = tenant->days[i];
        if (oldest == NULL || day->from_day < oldest->from_day)
            oldest = day;
        sum->pending_rows += day->pending_rows;
        sum->pending_samples += day->pending_samples;
        sum->pending_items += day->pending_items + day->waiting.items;
        sum->waiting_items += day->waiting.items;
    }
    if (oldest != NULL && day_oldest_ms(oldest) < sum->oldest_ms)
        sum->oldest_ms = day_oldest_ms(oldest);
}

/* Adds up for those who ask from other threads, about once a second. */
static void publish_stats(struct local *local, int64_t now_ms)
{
    struct store_stats sum = {.oldest_ms = INT64_MAX, .full = local->full};

    if (now_ms - local->stats_ms < STATS_MS && now_ms >= local->stats_ms)
        return;
    local->stats_ms = now_ms;
    for (size_t i = 0; i < local->count; i++) {
        add_stats(local->tenants[i], &sum);
        add_days(local->tenants[i], &sum);
        sum.disk_bytes += tenant_disk_bytes(local->tenants[i]);
    }
    lock(local);
    local->stats = sum;
    unlock(local);
}

/* --- the way in ------------------------------------------------------------------------------ */

/* Notes whether the disk has room; *why tells when it has not. */
static enum err check_space(struct local *local, int64_t now_ms, struct why *why)
{
    uint64_t free_bytes = 0;
    uint64_t total_bytes;

    if (now_ms - local->space_checked_ms >= SPACE_CHECK_MS || now_ms < local->space_checked_ms) {
        local->space_checked_ms = now_ms;
        TRY(file_system_space(local->options->path, &free_bytes, &total_bytes, why));
        /* Some room more than it takes to stop, or it would go on and stop with every batch. */
        bool full = free_bytes < local->options->free_bytes_min + (local->full ? AGAIN_BYTES : 0);
        if (full != local->full)
            notice(local, full ? "the disk is nearly full: nothing is accepted, reads go on"
                               : "the disk has room again: accepting");
        local->full = full;
    }
    if (!local->full)
        return ERR_NONE;
    (void)fail(why, ERR_FULL, "the disk of %s has less than %llu MiB left", local->options->path,
               (unsigned long long)(local->options->free_bytes_min >> 20));
    hint(why, "make room or shorten retention; sonde goes on by itself as soon as there is space");
    return ERR_FULL;
}

static void note_full(struct local *local, enum err err)
{
    if (err == ERR_FULL && !local->full) {
        local->full = true; /* Until the next look at the disk. */
        notice(local, "the disk is full: nothing is accepted, reads go on");
    }
}

static enum err local_accept(void *self, struct batch *batch, struct why *why)
{
    struct local *local = local_of(self);
    int64_t now_ms = clock_now_ms();

    TRY(check_space(local, now_ms, why));
    struct tenant *tenant = find_tenant(local, batch->tenant);
    if (tenant == NULL)
        TRY(add_tenant(local, batch->tenant, &tenant, why));
    tenant->now_ms = now_ms;
    for (size_t i = 0; i < local->count; i++)
        local->touched[i] |= local->tenants[i] == tenant;
    enum err err = tenant_accept(tenant, batch, why);
    note_full(local, err);
    return err;
}

static enum err local_commit(void *self, struct why *why)
{
    struct local *local = local_of(self);
    enum err result = ERR_NONE;

    for (size_t i = 0; i < local->count; i++) {
        if (!local->touched[i])
            continue;
        local->touched[i] = false;
        enum err err = tenant_commit(local->tenants[i], result == ERR_NONE ? why : NULL);
        note_full(local, err);
        if (result == ERR_NONE)
            result = err;
    }
    publish_stats(local, clock_now_ms());
    return result;
}

static void local_tick(void *self, int64_t now_ms)
{
    struct local *local = local_of(self);

    (void)check_space(local, now_ms, NULL); /* Told to whoever wants to write. */
    for (size_t i = 0; i < local->count; i++) {
        struct tenant *tenant = local->tenants[i];
        tenant_tick(tenant, now_ms);
        if (now_ms - tenant->retention_ms < RETENTION_MS && now_ms >= tenant->retention_ms)
            continue;
        tenant->retention_ms = now_ms;
        tenant_retain(tenant, now_ms);
    }
    publish_stats(local, now_ms);
}

static void local_retain(void *self, int64_t now_ms)
{
    struct local *local = local_of(self);

    for (size_t i = 0; i < local->count; i++) {
        local->tenants[i]->retention_ms = now_ms;
        tenant_retain(local->tenants[i], now_ms);
    }
    publish_stats(local, now_ms);
}

/* --- the way out ----------------------------------------------------------------------------- */

static enum err local_view(void *self, const char *name, const _Atomic bool *cancel,
                           struct store_view **ret_view, struct why *why)
{
    struct local *local = local_of(self);

    lock(local);
    struct tenant *tenant = find_tenant(local, name);
    unlock(local);
    if (tenant == NULL)
        return fail(why, ERR_NOT_FOUND, "there is no tenant '%s'", name);
    *ret_view = view_open(tenant, cancel);
    return ERR_NONE;
}

static void local_stats(void *self, struct store_stats *ret_stats)
{
    struct local *local = local_of(self);

    lock(local);
    *ret_stats = local->stats;
    unlock(local);
}

static enum err local_compact(void *self, struct why *why)
{
    struct local *local = local_of(self);

    for (size_t i = 0; i < local->count; i++) {
        struct tenant *tenant = local->tenants[i];
        TRY(tenant_seal_all(tenant, why));
        for (size_t day = 0; day < tenant->days_count; day++)
            TRY(tenant_compact_day(tenant, tenant->days[day], true, INT64_MAX / 2, why));
    }
    local->stats_ms = 0;
    publish_stats(local, clock_now_ms());
    return ERR_NONE;
}

const struct backend backend_local = {
    .name = "local",
    .summary = "A folder of this machine: SQLite files with column blocks.",
    .open = local_open,
    .close = local_close,
    .accept = local_accept,
    .commit = local_commit,
    .tick = local_tick,
    .view = local_view,
    .stats = local_stats,
    .retain = local_retain,
    .compact = local_compact,
};
