/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/assets.h"

const struct asset *asset_find(struct str path)
{
    size_t low = 0;
    size_t high = assets_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(assets[middle].path, path);
        if (order == 0)
            return &assets[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* First segments that never are pages: a wrong address there deserves its 404 in JSON. */
static const struct str machine_paths[] = {
    STR("/api/"), STR("/assets/"), STR("/profiling/"), STR("/-/"), STR("/v1/"),
};

static bool is_page_path(struct str path)
{
    for (size_t i = path.size; i-- > 0 && path.data[i] != '/';) {
        if (path.data[i] == '.')
            return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(machine_paths); i++) {
        if (str_starts(path, machine_paths[i]))
            return false;
    }
    return true;
}

const struct asset *asset_page(struct str path)
{
    return is_page_path(path) ? asset_find(STR("/")) : NULL;
}
