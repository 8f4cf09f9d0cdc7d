/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/tenant_view.h"
#include "store/store.h"
#include "store/store_read.h"

#include <stdlib.h>

static enum err empty_select(struct store_view *view, const struct matcher *matchers, size_t count,
                             int64_t from_ms, int64_t to_ms, struct arena *arena,
                             struct series_set *ret_set, struct why *why)
{
    *ret_set = (struct series_set){0};
    return ERR_NONE;
}

static enum err empty_read(struct store_view *view, const struct series_set *set,
                           const struct read_request *request, struct arena *arena,
                           struct samples *ret_samples, struct why *why)
{
    MUST(set->count == 0);
    return ERR_NONE;
}

static enum err empty_instant(struct store_view *view, const struct series_set *set, int64_t at_ms,
                              int64_t lookback_ms, struct arena *arena, int64_t *ret_time_ms,
                              double *ret_value, struct why *why)
{
    MUST(set->count == 0);
    return ERR_NONE;
}

static enum err empty_labels(struct store_view *view, const struct matcher *matchers, size_t count,
                             struct str name, int64_t from_ms, int64_t to_ms, struct arena *arena,
                             struct str_list *ret_list, struct why *why)
{
    *ret_list = (struct str_list){0};
    return ERR_NONE;
}

static enum err empty_metadata(struct store_view *view, struct str metric, struct arena *arena,
                               struct metric_info_list *ret_list, struct why *why)
{
    *ret_list = (struct metric_info_list){0};
    return ERR_NONE;
}

static void empty_release(struct store_view *view)
{
    free(view);
}

static const struct store_view_ops empty_ops = {
    .select = empty_select,
    .read = empty_read,
    .instant = empty_instant,
    .labels = empty_labels,
    .metadata = empty_metadata,
    .release = empty_release,
};

enum err tenant_view_open(struct store *store, const char *tenant, const atomic_bool *cancel,
                          struct store_view **ret_view, struct why *why)
{
    struct store_view *empty;
    enum err err = store_view(store, tenant, cancel, ret_view, why);

    if (err != ERR_NOT_FOUND)
        return err;
    empty = calloc(1, sizeof(*empty));
    if (empty == NULL)
        must_memory(sizeof(*empty));
    *empty = (struct store_view){.ops = &empty_ops, .cancel = cancel};
    *ret_view = empty;
    return ERR_NONE;
}
