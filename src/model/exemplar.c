/* SPDX-License-Identifier: Apache-2.0 */
#include "model/exemplar.h"

void exemplar_add_pair(struct exemplar_pairs *pairs, struct str name, struct str value)
{
    size_t bytes = pairs->bytes + name.size + value.size;
    size_t at = 0;

    if (name.size == 0 || value.size == 0 || pairs->count == EXEMPLAR_PAIRS_MAX ||
        bytes > EXEMPLAR_PAIR_BYTES || !str_is_utf8(name) || !str_is_utf8(value))
        return;
    while (at < pairs->count && str_compare(pairs->items[at].name, name) < 0)
        at++;
    if (at < pairs->count && str_eq(pairs->items[at].name, name))
        return;
    memmove(&pairs->items[at + 1], &pairs->items[at], (pairs->count - at) * sizeof(*pairs->items));
    pairs->items[at] = (struct label){name, value};
    pairs->count++;
    pairs->bytes = bytes;
}

bool exemplar_keep_pairs(struct exemplar *exemplar, const struct exemplar_pairs *pairs,
                         struct arena *arena)
{
    struct label *kept = ARENA_ARRAY(arena, pairs->count, struct label);

    for (size_t i = 0; i < pairs->count && kept != NULL; i++) {
        kept[i].name = arena_str(arena, pairs->items[i].name);
        kept[i].value = arena_str(arena, pairs->items[i].value);
        if (kept[i].name.data == NULL || kept[i].value.data == NULL)
            return false;
    }
    exemplar->pairs = kept;
    exemplar->pairs_count = pairs->count;
    return kept != NULL;
}
