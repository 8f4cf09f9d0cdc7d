/* SPDX-License-Identifier: Apache-2.0 */
/* The store itself is thin: it checks what it was told, picks the backend, and hands on. */
#include "store/store.h"

#include "base/clock.h"
#include "store/backend.h"

#include <pthread.h>
#include <stdlib.h>

enum { STORE_MAGIC = 0x53544f52, HEAD_BYTES_MIN = 4 << 10 };

const struct store_options store_options_default = {
    .backend = "local",
    .path = "data",
    .out_of_order_ms = 3600 * CLOCK_MS_PER_S,
    .retention_raw_ms = 30 * CLOCK_MS_PER_DAY,
    .retention_minute_ms = 180 * CLOCK_MS_PER_DAY,
    .retention_hour_ms = 5 * 365 * CLOCK_MS_PER_DAY,
    .size_bytes_max = 0,
    .free_bytes_min = 64 << 20,
    .series_per_metric_max = 20000,
    .series_per_tenant_max = 1000000,
    .tenants_max = 64,
    .active_ms = 3600 * CLOCK_MS_PER_S,
    .head_bytes = 3 << 20,
};

const struct backend *const backends[] = {
#define ROW(row) &backend_##row,
#include "store/backends.def"
#undef ROW
    NULL,
};

struct store {
    uint32_t magic;
    const struct backend *backend;
    void *self;
    struct store_options options; /* The writer's, once open. */
    char *path;
    pthread_mutex_t lock; /* Of the next two. */
    struct store_retention wanted;
    bool is_wanted; /* The writer has not taken it over yet. */
};

static enum err check_options(const struct store_options *options, struct why *why)
{
    if (options->path == NULL || options->path[0] == '\0')
        return fail(why, ERR_INVALID, "the data folder has no name");
    if (options->out_of_order_ms < 0 || options->out_of_order_ms > CLOCK_MS_PER_DAY)
        return fail(why, ERR_INVALID, "out_of_order must be between 0 and one day");
    if (options->retention_raw_ms < 0 || options->retention_minute_ms < 0 ||
        options->retention_hour_ms < 0)
        return fail(why, ERR_INVALID, "a retention cannot be negative");
    if (options->series_per_metric_max == 0 || options->series_per_tenant_max == 0 ||
        options->tenants_max == 0 || options->active_ms <= 0)
        return fail(why, ERR_INVALID, "limits of series and tenants must be positive");
    if (options->head_bytes < HEAD_BYTES_MIN)
        return fail(why, ERR_INVALID, "head_bytes must be %d at least", HEAD_BYTES_MIN);
    return ERR_NONE;
}

static enum err find_backend(const char *name, const struct backend **ret_backend, struct why *why)
{
    for (size_t i = 0; backends[i] != NULL; i++) {
        if (strcmp(backends[i]->name, name) == 0) {
            *ret_backend = backends[i];
            return ERR_NONE;
        }
    }
    (void)fail(why, ERR_INVALID, "there is no store backend '%s'", name);
    hint(why, "known are:%s", " local");
    return ERR_INVALID;
}

static void free_store(struct store *store)
{
    (void)pthread_mutex_destroy(&store->lock); /* Fails only while it is locked. */
    free(store->path);
    free(store);
}

enum err store_open(const struct store_options *options, struct store **ret_store, struct why *why)
{
    const struct backend *backend;

    TRY(check_options(options, why));
    TRY(find_backend(options->backend, &backend, why));
    struct store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        must_memory(sizeof(*store));
    store->magic = STORE_MAGIC;
    store->backend = backend;
    store->options = *options;
    store->path = strdup(options->path);
    if (store->path == NULL)
        must_memory(strlen(options->path));
    store->options.path = store->path;
    MUST(pthread_mutex_init(&store->lock, NULL) == 0);
    enum err err = backend->open(&store->options, &store->self, why);
    if (err != ERR_NONE) {
        free_store(store);
        return err;
    }
    *ret_store = store;
    return ERR_NONE;
}

struct store *store_close(struct store *store)
{
    if (store != NULL) {
        store->backend->close(store->self);
        free_store(store);
    }
    return NULL;
}

const char *store_path(const struct store *store)
{
    return store->path;
}

static struct store *store_of(void *self)
{
    struct store *store = self;

    MUST_BE(store, STORE_MAGIC);
    return store;
}

enum err store_accept(void *self, struct batch *batch, struct why *why)
{
    struct store *store = store_of(self);

    return store->backend->accept(store->self, batch, why);
}

enum err store_commit(void *self, struct why *why)
{
    struct store *store = store_of(self);

    return store->backend->commit(store->self, why);
}

void store_set_retention(struct store *store, const struct store_retention *retention)
{
    MUST_BE(store, STORE_MAGIC);
    MUST(pthread_mutex_lock(&store->lock) == 0);
    store->wanted = *retention;
    store->is_wanted = true;
    MUST(pthread_mutex_unlock(&store->lock) == 0);
}

/* Backends look at the options on the writer thread alone, which is where this runs. */
static bool take_retention(struct store *store)
{
    struct store_options *options = &store->options;

    MUST(pthread_mutex_lock(&store->lock) == 0);
    bool taken = store->is_wanted;
    if (taken) {
        options->retention_raw_ms = store->wanted.raw_ms;
        options->retention_minute_ms = store->wanted.minute_ms;
        options->retention_hour_ms = store->wanted.hour_ms;
        options->size_bytes_max = store->wanted.size_bytes_max;
    }
    store->is_wanted = false;
    MUST(pthread_mutex_unlock(&store->lock) == 0);
    return taken;
}

void store_tick(void *self, int64_t now_ms)
{
    struct store *store = store_of(self);

    if (take_retention(store))
        store_retain(store, now_ms);
    store->backend->tick(store->self, now_ms);
}

enum err store_view(struct store *store, const char *tenant, const _Atomic bool *cancel,
                    struct store_view **ret_view, struct why *why)
{
    return store->backend->view(store->self, tenant, cancel, ret_view, why);
}

void store_read_stats(struct store *store, struct store_stats *ret_stats)
{
    store->backend->stats(store->self, ret_stats);
}

void store_retain(struct store *store, int64_t now_ms)
{
    MUST_BE(store, STORE_MAGIC);
    if (store->backend->retain != NULL)
        store->backend->retain(store->self, now_ms);
}

enum err store_compact(struct store *store, struct why *why)
{
    return store->backend->compact == NULL ? ERR_NONE : store->backend->compact(store->self, why);
}
