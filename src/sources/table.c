/* SPDX-License-Identifier: Apache-2.0 */
/* Rows are asked for in the same order round after round, so the row after the last one is tried
 * first, by comparing its key; only a new or missing thing costs a look into the map.
 *
 * Label sets belong to the pool that they were made in. When a target comes with another pool (the
 * old one was spent), all sets are made anew. */
#include "sources/table.h"

#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>

struct table {
    struct column *columns;
    bool *owned; /* The column's texts were copied. */
    bool *described;
    size_t column_count;
    size_t column_capacity;
    const char *const *keys;
    size_t key_count;

    struct row **rows;
    size_t row_count;
    size_t row_capacity;
    size_t cursor; /* The row that is expected to be asked for next. */
    struct map by_key;
    uint32_t round;

    const struct label_pool *pool; /* That the cells' labels live in. */
    size_t series_count;
    uint64_t refused;
};

static void *grow(void *items, size_t count, size_t size)
{
    void *grown = reallocarray(items, count, size);

    if (grown == NULL)
        must_memory((uint64_t)count * size);
    return grown;
}

static char *copy_text(const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);

    if (text != NULL && copy == NULL)
        must_memory(strlen(text) + 1);
    return copy;
}

static size_t add_column(struct table *table, struct column column, bool owned)
{
    if (table->column_count == table->column_capacity) {
        size_t capacity = table->column_capacity == 0 ? 8 : table->column_capacity * 2;
        table->columns = grow(table->columns, capacity, sizeof(*table->columns));
        table->owned = grow(table->owned, capacity, sizeof(*table->owned));
        table->described = grow(table->described, capacity, sizeof(*table->described));
        table->column_capacity = capacity;
    }
    table->columns[table->column_count] = column;
    table->owned[table->column_count] = owned;
    table->described[table->column_count] = false;
    return table->column_count++;
}

struct table *table_new(const struct column *columns, size_t column_count, const char *const *keys,
                        size_t key_count)
{
    struct table *table = calloc(1, sizeof(*table));

    if (table == NULL)
        must_memory(sizeof(*table));
    MUST(key_count <= TABLE_KEYS_MAX);
    table->keys = keys;
    table->key_count = key_count;
    for (size_t i = 0; i < column_count; i++)
        (void)add_column(table, columns[i], false); /* Indexes follow the caller's order. */
    return table;
}

static void row_free(struct row *row)
{
    free(row->cells);
    free(row->key);
    free(row);
}

struct table *table_free(struct table *table)
{
    if (table == NULL)
        return NULL;
    for (size_t i = 0; i < table->row_count; i++)
        row_free(table->rows[i]);
    for (size_t i = 0; i < table->column_count; i++) {
        if (!table->owned[i])
            continue;
        free((char *)table->columns[i].name);
        free((char *)table->columns[i].help);
        free((char *)table->columns[i].label);
        free((char *)table->columns[i].value);
    }
    free(table->rows);
    free(table->columns);
    free(table->owned);
    free(table->described);
    map_done(&table->by_key);
    free(table);
    return NULL;
}

size_t table_add_column(struct table *table, const struct column *column)
{
    struct column copy = {
        .name = copy_text(column->name),
        .help = copy_text(column->help),
        .kind = column->kind,
        .label = copy_text(column->label),
        .value = copy_text(column->value),
    };

    return add_column(table, copy, true);
}

size_t table_column_count(const struct table *table)
{
    return table->column_count;
}

const char *table_column_name(const struct table *table, size_t column)
{
    MUST(column < table->column_count);
    return table->columns[column].name;
}

void table_begin(struct table *table)
{
    table->round++;
    table->cursor = 0;
}

void table_forget(struct table *table)
{
    table_begin(table);
}

/* Compares the row's key with the values without putting these together first. */
static bool row_is(const struct table *table, const struct row *row, const struct str *values)
{
    const char *at = row->key;
    const char *end = row->key + row->key_size;

    for (size_t i = 0; i < table->key_count; i++) {
        if ((size_t)(end - at) < values[i].size + 1 || at[values[i].size] != '\0' ||
            (values[i].size > 0 && memcmp(at, values[i].data, values[i].size) != 0))
            return false;
        at += values[i].size + 1;
    }
    return at == end;
}

static char *key_new(const struct table *table, const struct str *values, size_t *ret_size)
{
    size_t size = 0;

    for (size_t i = 0; i < table->key_count; i++)
        size += values[i].size + 1;
    char *key = malloc(size + 1);
    if (key == NULL)
        must_memory(size);
    char *at = key;
    for (size_t i = 0; i < table->key_count; i++) {
        if (values[i].size > 0)
            memcpy(at, values[i].data, values[i].size);
        at += values[i].size;
        *at++ = '\0';
    }
    *ret_size = size;
    return key;
}

static struct row *row_add(struct table *table, char *key, size_t key_size)
{
    struct row *row = calloc(1, sizeof(*row));

    if (row == NULL)
        must_memory(sizeof(*row));
    row->key = key;
    row->key_size = key_size;
    if (table->row_count == table->row_capacity) {
        table->row_capacity = table->row_capacity == 0 ? 4 : table->row_capacity * 2;
        table->rows = grow(table->rows, table->row_capacity, sizeof(struct row *));
    }
    table->rows[table->row_count++] = row;
    (void)map_put(&table->by_key, (struct str){key, key_size}, row); /* Was not there. */
    return row;
}

static struct row *row_find(struct table *table, const struct str *values)
{
    if (table->cursor < table->row_count && row_is(table, table->rows[table->cursor], values))
        return table->rows[table->cursor++];
    size_t key_size;
    char *key = key_new(table, values, &key_size);
    struct row *row = map_get(&table->by_key, (struct str){key, key_size});
    if (row == NULL && table->row_count < TABLE_ROWS_MAX)
        return row_add(table, key, key_size);
    free(key);
    table->refused += row == NULL;
    return row;
}

struct row *table_row(struct table *table, const struct str *values)
{
    struct row *row = row_find(table, values);

    if (row == NULL || (row->round == table->round && row->column_count == table->column_count))
        return row;
    if (row->column_count < table->column_count) {
        row->cells = grow(row->cells, table->column_count, sizeof(*row->cells));
        memset(row->cells + row->column_count, 0,
               (table->column_count - row->column_count) * sizeof(*row->cells));
        row->column_count = table->column_count;
    }
    if (row->round != table->round) {
        for (size_t i = 0; i < row->column_count; i++)
            row->cells[i].set = false;
        row->round = table->round;
    }
    return row;
}

void row_set(struct row *row, size_t column, double value)
{
    if (row == NULL)
        return;
    MUST(column < row->column_count);
    row->cells[column].value = value;
    row->cells[column].set = true;
}

static enum err cell_name(struct table *table, const struct row *row, size_t index,
                          const struct table_target *target, struct why *why)
{
    const struct column *column = &table->columns[index];
    struct label pairs[LABEL_COUNT_MAX];
    const char *at = row->key;
    size_t count = 0;

    MUST(target->base_count + table->key_count + 2 <= LABEL_COUNT_MAX);
    pairs[count++] = (struct label){LABEL_NAME, str_of(column->name)};
    if (column->label != NULL)
        pairs[count++] = (struct label){str_of(column->label), str_of(column->value)};
    for (size_t i = 0; i < table->key_count; i++) {
        pairs[count++] = (struct label){str_of(table->keys[i]), str_of(at)};
        at += strlen(at) + 1;
    }
    for (size_t i = 0; i < target->base_count; i++)
        pairs[count++] = target->base[i];
    return label_pool_get(target->pool, pairs, count, &row->cells[index].labels, why);
}

static enum err describe(struct table *table, size_t index, const struct table_target *target,
                         struct why *why)
{
    const struct column *column = &table->columns[index];
    struct metric_info info = {
        .name = str_of(column->name),
        .help = str_of(column->help),
        .unit = STR(""),
        .kind = column->kind,
    };

    /* Neighbours that differ in their extra label only are one metric. */
    if (index > 0 && strcmp(table->columns[index - 1].name, column->name) == 0)
        return ERR_NONE;
    return batch_info(target->batch, &info, why);
}

static enum err row_write(struct table *table, struct row *row, bool present,
                          const struct table_target *target, struct why *why)
{
    for (size_t i = 0; i < row->column_count; i++) {
        struct cell *cell = &row->cells[i];
        bool send = present && cell->set;
        if (!send && !cell->active)
            continue;
        if (cell->labels == NULL && cell_name(table, row, i, target, why) != ERR_NONE) {
            table->refused++;
            cell->active = false;
            continue;
        }
        TRY(batch_sample(target->batch, cell->labels, target->time_ms,
                         send ? cell->value : metric_stale(), why));
        cell->active = send;
        table->series_count += send;
    }
    return ERR_NONE;
}

/* Kinds and helps of the columns that have values. */
static enum err describe_all(struct table *table, const struct table_target *target,
                             struct why *why)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (table->described[i] && !target->describe)
            continue;
        TRY(describe(table, i, target, why));
        table->described[i] = true;
    }
    return ERR_NONE;
}

static void row_remove(struct table *table, struct row *row)
{
    (void)map_remove(&table->by_key, (struct str){row->key, row->key_size}); /* It is the row. */
    row_free(row);
}

enum err table_write(struct table *table, const struct table_target *target, struct why *why)
{
    size_t kept = 0;
    enum err err = ERR_NONE;

    if (table->pool != target->pool) {
        for (size_t i = 0; i < table->row_count; i++) {
            for (size_t j = 0; j < table->rows[i]->column_count; j++)
                table->rows[i]->cells[j].labels = NULL;
        }
        table->pool = target->pool;
    }
    table->series_count = 0;
    if (table->row_count > 0)
        TRY(describe_all(table, target, why));
    for (size_t i = 0; i < table->row_count; i++) {
        struct row *row = table->rows[i];
        bool present = row->round == table->round;
        if (err == ERR_NONE)
            err = row_write(table, row, present, target, why);
        if (!present && err == ERR_NONE)
            row_remove(table, row);
        else
            table->rows[kept++] = row;
    }
    table->row_count = kept;
    return err;
}

size_t table_series_count(const struct table *table)
{
    return table->series_count;
}

uint64_t table_refused(const struct table *table)
{
    return table->refused;
}
