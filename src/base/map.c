/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing at a load of at most three quarters; removal shifts back what follows, so there
 * are no tombstones. */
#include "base/map.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 16 };

void map_done(struct map *map)
{
    free(map->entries);
    *map = (struct map){.seed = map->seed};
}

/* Where key stands, or the free place where it would. */
static size_t place_of(const struct map *map, struct str key, uint64_t hash)
{
    size_t at = hash & (map->capacity - 1);

    while (map->entries[at].value != NULL &&
           (map->entries[at].hash != hash || !str_eq(map->entries[at].key, key)))
        at = (at + 1) & (map->capacity - 1);
    return at;
}

void *map_get(const struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    return map->entries[place_of(map, key, str_hash(key, map->seed))].value;
}

static void resize(struct map *map, size_t capacity)
{
    struct map old = *map;

    map->entries = calloc(capacity, sizeof(*map->entries));
    if (map->entries == NULL)
        must_memory(capacity * sizeof(*map->entries));
    map->capacity = capacity;
    MAP_EACH (&old, entry) {
        map->entries[place_of(map, entry->key, entry->hash)] = *entry;
    }
    free(old.entries);
}

void *map_put(struct map *map, struct str key, void *value)
{
    MUST(value != NULL);
    if (map->capacity == 0 || (map->count + 1) * 4 > map->capacity * 3)
        resize(map, map->capacity == 0 ? CAPACITY_FIRST : map->capacity * 2);

    uint64_t hash = str_hash(key, map->seed);
    struct map_entry *entry = &map->entries[place_of(map, key, hash)];
    void *before = entry->value;
    if (before == NULL)
        map->count++;
    *entry = (struct map_entry){key, value, hash};
    return before;
}

void *map_remove(struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->capacity - 1;
    size_t hole = place_of(map, key, str_hash(key, map->seed));
    void *removed = map->entries[hole].value;
    if (removed == NULL)
        return NULL;

    map->entries[hole].value = NULL;
    map->count--;
    for (size_t at = (hole + 1) & mask; map->entries[at].value != NULL; at = (at + 1) & mask) {
        size_t home = map->entries[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->entries[hole] = map->entries[at];
            map->entries[at].value = NULL;
            hole = at;
        }
    }
    return removed;
}
