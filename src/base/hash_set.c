/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing at a load of at most three quarters. */
#include "base/hash_set.h"

#include "base/must.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 16 };

static uint64_t hash_of(const void *item)
{
    return *(const uint64_t *)item;
}

void hash_set_done(struct hash_set *set)
{
    free(set->items);
    *set = (struct hash_set){0};
}

static void place(struct hash_set *set, const void *item)
{
    size_t at = hash_of(item) & (set->capacity - 1);

    while (set->items[at] != NULL)
        at = (at + 1) & (set->capacity - 1);
    set->items[at] = item;
}

static void resize(struct hash_set *set, size_t capacity)
{
    struct hash_set old = *set;

    set->items = calloc(capacity, sizeof(*set->items));
    if (set->items == NULL)
        must_memory(capacity * sizeof(*set->items));
    set->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.items[i] != NULL)
            place(set, old.items[i]);
    }
    free(old.items);
}

void hash_set_add(struct hash_set *set, const void *item)
{
    if ((set->count + 1) * 4 > set->capacity * 3)
        resize(set, set->capacity == 0 ? CAPACITY_FIRST : set->capacity * 2);
    place(set, item);
    set->count++;
}

struct hash_set_walk hash_set_walk(const struct hash_set *set, uint64_t hash)
{
    return (struct hash_set_walk){set, hash, hash};
}

const void *hash_set_next(struct hash_set_walk *walk)
{
    const struct hash_set *set = walk->set;

    while (set->capacity > 0) {
        const void *item = set->items[walk->at++ & (set->capacity - 1)];
        if (item == NULL || hash_of(item) == walk->hash)
            return item;
    }
    return NULL;
}
