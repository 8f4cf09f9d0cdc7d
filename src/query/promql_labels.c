/* SPDX-License-Identifier: Apache-2.0 */
#include "query/promql_labels.h"

void label_edit_from(struct label_edit *edit, const struct labels *labels)
{
    size_t at = 0;

    edit->count = 0;
    while (edit->count < LABEL_COUNT_MAX && labels_next(labels, &at, &edit->pairs[edit->count]))
        edit->count++;
}

struct str label_edit_get(const struct label_edit *edit, struct str name)
{
    for (size_t i = 0; i < edit->count; i++)
        if (str_eq(edit->pairs[i].name, name))
            return edit->pairs[i].value;
    return STR("");
}

static void remove_at(struct label_edit *edit, size_t i)
{
    edit->count--;
    memmove(&edit->pairs[i], &edit->pairs[i + 1], (edit->count - i) * sizeof(edit->pairs[0]));
}

bool label_edit_set(struct label_edit *edit, struct str name, struct str value)
{
    size_t i = 0;

    while (i < edit->count && str_compare(edit->pairs[i].name, name) < 0)
        i++;
    if (i < edit->count && str_eq(edit->pairs[i].name, name)) {
        if (value.size == 0)
            remove_at(edit, i);
        else
            edit->pairs[i].value = value;
        return true;
    }
    if (value.size == 0)
        return true;
    if (edit->count == LABEL_COUNT_MAX)
        return false;
    memmove(&edit->pairs[i + 1], &edit->pairs[i], (edit->count - i) * sizeof(edit->pairs[0]));
    edit->pairs[i] = (struct label){name, value};
    edit->count++;
    return true;
}

static bool is_among(struct str name, const struct str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(name, names[i]))
            return true;
    return false;
}

static void filter(struct label_edit *edit, const struct str *names, size_t count, bool keep)
{
    size_t kept = 0;

    for (size_t i = 0; i < edit->count; i++)
        if (is_among(edit->pairs[i].name, names, count) == keep)
            edit->pairs[kept++] = edit->pairs[i];
    edit->count = kept;
}

void label_edit_remove(struct label_edit *edit, const struct str *names, size_t count)
{
    filter(edit, names, count, false);
}

void label_edit_keep(struct label_edit *edit, const struct str *names, size_t count)
{
    filter(edit, names, count, true);
}

void label_edit_remove_schema(struct label_edit *edit)
{
    const struct str names[] = {LABEL_NAME, STR("__type__"), STR("__unit__")};

    filter(edit, names, ARRAY_COUNT(names), false);
}

const struct labels *label_edit_build(const struct label_edit *edit, struct arena *arena)
{
    void *memory = arena_alloc(arena, labels_size(edit->pairs, edit->count));

    return memory == NULL ? NULL : labels_build(memory, edit->pairs, edit->count);
}

const struct labels *labels_empty(struct arena *arena)
{
    struct label_edit edit;

    edit.count = 0;
    return label_edit_build(&edit, arena);
}

bool label_table_init(struct label_table *table, size_t count_max, struct arena *arena)
{
    size_t capacity = 8;

    while (capacity < count_max * 2)
        capacity *= 2;
    *table = (struct label_table){.arena = arena, .capacity = capacity};
    table->keys = ARENA_ARRAY(arena, count_max, const struct labels *);
    table->places = ARENA_ARRAY(arena, capacity, uint32_t);
    return table->keys != NULL && table->places != NULL;
}

static size_t place_of(const struct label_table *table, const struct labels *labels)
{
    size_t place = labels->hash & (table->capacity - 1);

    while (table->places[place] != 0 && !labels_eq(table->keys[table->places[place] - 1], labels))
        place = (place + 1) & (table->capacity - 1);
    return place;
}

uint32_t label_table_put(struct label_table *table, const struct labels *labels)
{
    size_t place = place_of(table, labels);

    if (table->places[place] == 0) {
        MUST(table->count * 2 < table->capacity);
        table->keys[table->count] = labels;
        table->places[place] = (uint32_t)++table->count;
    }
    return table->places[place] - 1;
}
