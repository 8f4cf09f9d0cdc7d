/* SPDX-License-Identifier: Apache-2.0 */
/* Usually nothing changed: the same sets at the same places, seen by comparing pointers. Else what
 * is there now goes into a map by the bytes of the set, since a new pool has new pointers for equal
 * sets, and what was there is looked up in it. */
#include "sources/staleness.h"

#include "base/map.h"

#include <stdlib.h>

static void let_pools_go(struct label_pool **pools, size_t count)
{
    for (size_t i = 0; i < count; i++)
        label_pool_unref(pools[i]);
    free(pools);
}

void staleness_done(struct staleness *staleness)
{
    free(staleness->items);
    let_pools_go(staleness->pools, staleness->pool_count);
    *staleness = (struct staleness){0};
}

static bool is_same(const struct staleness *staleness, const struct batch *batch, size_t first)
{
    if (batch->samples.count - first != staleness->count)
        return false;
    for (size_t i = 0; i < staleness->count; i++) {
        if (staleness->items[i] != batch->samples.items[first + i].labels)
            return false;
    }
    return true;
}

static enum err mark_missing(struct staleness *staleness, struct batch *batch, size_t first,
                             int64_t time_ms, struct why *why)
{
    struct map now CLEANUP(map_done) = {0};
    size_t count = batch->samples.count;
    bool held = false;

    for (size_t i = first; i < count; i++) {
        const struct labels *labels = batch->samples.items[i].labels;
        (void)map_put(&now, labels_bytes(labels), (void *)labels); /* Twice the same is harmless. */
    }
    for (size_t i = 0; i < staleness->count; i++) {
        if (map_get(&now, labels_bytes(staleness->items[i])) != NULL)
            continue;
        for (size_t j = 0; !held && j < staleness->pool_count; j++)
            batch_hold(batch, staleness->pools[j]);
        held = true;
        TRY(batch_sample(batch, staleness->items[i], time_ms, metric_stale(), why));
    }
    return ERR_NONE;
}

static void remember(struct staleness *staleness, const struct batch *batch, size_t first,
                     size_t count, size_t first_pool, size_t pool_count)
{
    if (count > staleness->capacity) {
        staleness->items = reallocarray(staleness->items, count, sizeof(const struct labels *));
        if (staleness->items == NULL)
            must_memory(count * sizeof(const struct labels *));
        staleness->capacity = count;
    }
    for (size_t i = 0; i < count; i++)
        staleness->items[i] = batch->samples.items[first + i].labels;
    staleness->count = count;
    let_pools_go(staleness->pools, staleness->pool_count);
    staleness->pool_count = pool_count;
    staleness->pools = calloc(pool_count + 1, sizeof(struct label_pool *));
    if (staleness->pools == NULL)
        must_memory(pool_count * sizeof(struct label_pool *));
    for (size_t i = 0; i < pool_count; i++)
        staleness->pools[i] = label_pool_ref(batch->pools.items[first_pool + i]);
}

enum err staleness_update(struct staleness *staleness, struct batch *batch, size_t first,
                          size_t first_pool, int64_t time_ms, struct why *why)
{
    size_t count = batch->samples.count - first;
    size_t pool_count = batch->pools.count - first_pool;

    if (is_same(staleness, batch, first))
        return ERR_NONE;
    TRY(mark_missing(staleness, batch, first, time_ms, why));
    remember(staleness, batch, first, count, first_pool, pool_count);
    return ERR_NONE;
}
