/* SPDX-License-Identifier: Apache-2.0 */
/* A series that was not there before gets a track, and a place in a group beside its neighbour of
 * the same scrape: what is asked together lies together. */
#include "store/tenant_priv.h"

#include <stdlib.h>

void tenant_grow(void **items, size_t *capacity, size_t first, size_t size)
{
    size_t wanted = *capacity == 0 ? first : *capacity * 2;

    *items = reallocarray(*items, wanted, size);
    if (*items == NULL)
        must_memory(wanted * size);
    *capacity = wanted;
}

static void mark_dirty(struct tenant *tenant, uint32_t number)
{
    struct group *group = head_group(&tenant->head, number);

    if (group->dirty)
        return;
    group->dirty = true;
    if (tenant->dirty_count == tenant->dirty_capacity)
        tenant_grow((void **)&tenant->dirty, &tenant->dirty_capacity, 16, sizeof(*tenant->dirty));
    tenant->dirty[tenant->dirty_count++] = number;
}

static enum err add_group(struct tenant *tenant, uint32_t *ret_number, struct why *why)
{
    struct group *group = head_add_group(&tenant->head, ret_number);

    if (group == NULL)
        return fail(why, ERR_LIMIT, "tenant '%s' has as many groups of series as there can be",
                    tenant->name);
    return ERR_NONE;
}

/* Where a new series goes: beside its neighbour, in the group that follows the neighbour's when
 * that is full, or into a new one. */
static enum err choose_group(struct tenant *tenant, uint32_t neighbour, uint32_t *ret_number,
                             struct why *why)
{
    uint32_t number = INDEX_NONE;
    uint32_t last = INDEX_NONE;

    if (neighbour != INDEX_NONE)
        number = GROUP_OF(index_track(&tenant->index, neighbour)->id);
    else if (tenant->open_group != INDEX_NONE)
        number = tenant->open_group;
    while (number != INDEX_NONE && head_group(&tenant->head, number)->used == GROUP_SERIES) {
        last = number;
        uint32_t spill = head_group(&tenant->head, number)->spill;
        number = spill == 0 ? INDEX_NONE : spill;
    }
    if (number == INDEX_NONE) {
        TRY(add_group(tenant, &number, why));
        if (last != INDEX_NONE)
            head_group(&tenant->head, last)->spill = number;
    }
    tenant->open_group = number;
    *ret_number = number;
    return ERR_NONE;
}

enum err tenant_add_track(struct tenant *tenant, const struct labels *labels, uint32_t neighbour,
                          uint32_t *ret_number, struct why *why)
{
    uint32_t number;

    TRY(choose_group(tenant, neighbour, &number, why));
    struct group *group = head_group(&tenant->head, number);
    uint32_t id = number * GROUP_SERIES + group->used;
    TRY(index_add(&tenant->index, labels, id, ret_number, why));
    group->tracks[group->used++] = *ret_number;
    mark_dirty(tenant, number);
    return ERR_NONE;
}

static enum err over_metric_limit(struct tenant *tenant, struct pair *metric, uint32_t pair,
                                  struct why *why)
{
    struct str name = index_pair_value(&tenant->index, pair);

    metric->refused++;
    if (name.size > TENANT_NAME_SHOWN)
        name.size = TENANT_NAME_SHOWN;
    (void)fail(why, ERR_LIMIT, "metric '%.*s' has %u active series already, its limit; refused %u",
               STR_ARG(name), metric->active, metric->refused);
    hint(why, "give it fewer label values, or raise series_per_metric_max");
    return ERR_LIMIT;
}

static enum err check_limits(struct tenant *tenant, const struct labels *labels, struct why *why)
{
    uint32_t limit = tenant->options->series_per_tenant_max;
    uint32_t key = index_key(&tenant->index, LABEL_NAME);

    if (index_count(&tenant->index) >= limit) {
        (void)fail(why, ERR_LIMIT, "tenant '%s' knows %u series already, its limit", tenant->name,
                   limit);
        hint(why, "raise series_per_tenant_max, or shorten retention so that old series go");
        return ERR_LIMIT;
    }
    if (key == INDEX_NONE)
        return ERR_NONE;
    uint32_t pair = index_pair_find(&tenant->index, key, labels_get(labels, LABEL_NAME));
    if (pair == INDEX_NONE)
        return ERR_NONE;
    struct pair *metric = index_pair(&tenant->index, pair);
    if (metric->active >= tenant->options->series_per_metric_max)
        return over_metric_limit(tenant, metric, pair, why);
    return ERR_NONE;
}

void tenant_activate(struct tenant *tenant, struct track *track)
{
    track->active = true;
    tenant->active++;
    if (track->metric != INDEX_NONE)
        index_pair(&tenant->index, track->metric)->active++;
}

/* The track of a set that carries no slot of ours. */
enum err tenant_resolve(struct tenant *tenant, const struct labels *labels, uint32_t neighbour,
                        uint32_t *ret_number, struct why *why)
{
    uint32_t number = index_find(&tenant->index, labels);

    if (number == INDEX_NONE) {
        TRY(check_limits(tenant, labels, why));
        TRY(tenant_add_track(tenant, labels, neighbour, &number, why));
    }
    atomic_store_explicit(&((struct labels *)labels)->slot,
                          (uint64_t)tenant->generation << 32 | (number + UINT64_C(1)),
                          memory_order_relaxed);
    *ret_number = number;
    return ERR_NONE;
}
