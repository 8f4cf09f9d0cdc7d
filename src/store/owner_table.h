/* SPDX-License-Identifier: Apache-2.0 */
/* owner_table - the resources and scopes of a block, each kept once: who sent the rows.
 *
 * Every message brings its own copy of the same few, so they are told apart by content; the places
 * where they lay last are remembered, so that this is done once a message and not once a row. */
#pragma once
#include "store/packed.h"

#define OWNER_MEMO 64 /* A power of two. */

struct owner_table {
    struct owner_entry {
        uint64_t hash;
        size_t start, size; /* In bytes. */
    } * entries;
    size_t count, capacity;
    struct buf bytes; /* One behind the other: what the block's column holds. */
    struct {
        const void *owner;
        uint32_t number;
    } memo[OWNER_MEMO];
};

void owner_table_done(struct owner_table *table);
void owner_table_clear(struct owner_table *table);

/* The number of the resource, from 0. */
uint32_t owner_of_resource(struct owner_table *table, struct packed_writer *writer,
                           const struct resource *resource);
/* The same of a scope; 0 is NULL, the others count from 1. */
uint32_t owner_of_scope(struct owner_table *table, struct packed_writer *writer,
                        const struct scope *scope);

/* All of a column, after packed_read_texts. */
CHECKED enum err owner_read_resources(struct packed *packed, unsigned column,
                                      const struct resource **ret_items, size_t *ret_count,
                                      struct why *why);
CHECKED enum err owner_read_scopes(struct packed *packed, unsigned column,
                                   const struct scope **ret_items, size_t *ret_count,
                                   struct why *why);
