/* SPDX-License-Identifier: Apache-2.0 */
/* map - finds a pointer by bytes.
 *
 * Open addressing; keys are borrowed and must outlive their entry. One thread at a time.
 * `struct map` may be embedded; all zero is an empty map. */
#pragma once
#include "base/str.h"

struct map_entry {
    struct str key;
    void *value; /* NULL marks a free place, so a value is never NULL. */
    uint64_t hash;
};

struct map {
    struct map_entry *entries;
    size_t capacity; /* A power of two, or 0. */
    size_t count;
    uint64_t seed; /* Set it before the first entry where keys come from strangers. */
};

void map_done(struct map *map);

void *map_get(const struct map *map, struct str key); /* NULL when absent. */
/* Adds or replaces; returns the value that was there before, or NULL. value is not NULL. */
void *map_put(struct map *map, struct str key, void *value);
void *map_remove(struct map *map, struct str key); /* Returns what was there, or NULL. */

/* Every entry, in no order; the map may not change meanwhile. */
#define MAP_EACH(map, entry)                                                 \
    for (struct map_entry *entry = (map)->entries;                           \
         entry != NULL && entry < (map)->entries + (map)->capacity; entry++) \
        if (entry->value != NULL)
