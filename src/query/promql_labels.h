/* SPDX-License-Identifier: Apache-2.0 */
/* promql_labels - label sets made from label sets, and finding equal ones.
 *
 * New sets live in the arena; NULL means that its budget is spent. */
#pragma once
#include "base/arena.h"
#include "model/label.h"

/* A set being edited. Pairs stay sorted by name. */
struct label_edit {
    struct label pairs[LABEL_COUNT_MAX + 1];
    size_t count;
};

void label_edit_from(struct label_edit *edit, const struct labels *labels);
struct str label_edit_get(const struct label_edit *edit, struct str name); /* "" if absent. */
/* An empty value removes; false when there are LABEL_COUNT_MAX already. */
bool label_edit_set(struct label_edit *edit, struct str name, struct str value);
void label_edit_remove(struct label_edit *edit, const struct str *names, size_t count);
void label_edit_keep(struct label_edit *edit, const struct str *names, size_t count);
/* Takes away what a metric's schema says: name, type, unit. */
void label_edit_remove_schema(struct label_edit *edit);
const struct labels *label_edit_build(const struct label_edit *edit, struct arena *arena);

const struct labels *labels_empty(struct arena *arena);

/* label_table - from a label set to a number, counted up from 0 as sets are added. */
struct label_table {
    struct arena *arena;
    const struct labels **keys; /* By number. */
    uint32_t *places;           /* Number + 1, or 0. */
    size_t capacity;            /* Of places, a power of two. */
    size_t count;
};

/* Room for up to `count_max` sets. False: the arena is spent. */
bool label_table_init(struct label_table *table, size_t count_max, struct arena *arena);
/* The number of the set, added when it was not there. */
uint32_t label_table_put(struct label_table *table, const struct labels *labels);
