/* SPDX-License-Identifier: Apache-2.0 */
/* hash_set - finds items by the hash that each of them begins with: eight bytes a place.
 *
 * Where millions of small things are found by their own bytes; a `struct map` keeps key and hash
 * beside the pointer, four times as much. Items are borrowed. One thread at a time; all zero is an
 * empty set.
 *
 *   struct hash_set_walk walk = hash_set_walk(&set, hash);
 *   while ((item = hash_set_next(&walk)) != NULL && !is_wanted(item))
 *       continue;
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct hash_set {
    const void **items; /* Each begins with a uint64_t, its hash. */
    size_t capacity;    /* A power of two, or 0. */
    size_t count;
};

void hash_set_done(struct hash_set *set);
/* Adds one more, also where another has the same hash. */
void hash_set_add(struct hash_set *set, const void *item);

struct hash_set_walk {
    const struct hash_set *set;
    uint64_t hash;
    size_t at;
};

struct hash_set_walk hash_set_walk(const struct hash_set *set, uint64_t hash);
const void *hash_set_next(struct hash_set_walk *walk); /* With that hash; NULL: no more. */
