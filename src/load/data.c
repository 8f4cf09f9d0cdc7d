/* SPDX-License-Identifier: Apache-2.0 */
/* CSV as RFC 4180 has it: cells may be quoted and then hold commas, quotes (doubled) and line
 * breaks; the first record names the columns. JSON lines: one map a line; the columns are those of
 * the first, and what a later line lacks is empty. */
#include "load/data.h"

#include "codec/json_walk.h"
#include "load/parcel.h"
#include "load/session.h"
#include "stats/random.h"

enum { ROWS_MAX = 4000000 };

struct reader {
    struct arena *arena;
    const char *path;
    struct str rest;
    uint32_t line;
    struct buf cell;
    struct data *data;
    struct str *columns;
    struct str *cells;
    size_t capacity; /* Of cells. */
};

static enum err keep(struct reader *reader, struct str text, struct str *ret_kept, struct why *why)
{
    *ret_kept = text.size == 0 ? STR("") : arena_str(reader->arena, text);
    return ret_kept->data == NULL ? arena_spent(reader->arena, reader->path, why) : ERR_NONE;
}

/* Room for one more row. */
static enum err add_row(struct reader *reader, struct str **ret_row, struct why *why)
{
    struct data *data = reader->data;
    size_t used = data->rows_count * data->columns_count;

    if (data->rows_count == ROWS_MAX)
        return fail(why, ERR_LIMIT, "%s has more than %d rows", reader->path, ROWS_MAX);
    if (used + data->columns_count > reader->capacity) {
        size_t capacity = (used + data->columns_count) * 2;
        struct str *cells = ARENA_ARRAY(reader->arena, capacity, struct str);
        if (cells == NULL)
            return arena_spent(reader->arena, reader->path, why);
        if (used > 0)
            memcpy(cells, reader->cells, used * sizeof(*cells));
        reader->cells = cells;
        reader->capacity = capacity;
    }
    for (size_t i = 0; i < data->columns_count; i++)
        reader->cells[used + i] = STR("");
    *ret_row = reader->cells + used;
    data->rows_count++;
    return ERR_NONE;
}

/* ---- CSV. ---- */

static char take(struct reader *reader)
{
    char c = reader->rest.data[0];

    reader->rest.data++;
    reader->rest.size--;
    reader->line += c == '\n';
    return c;
}

/* One cell into reader->cell; *ret_last: it ends its record. */
static enum err read_cell(struct reader *reader, bool *ret_last, struct why *why)
{
    uint32_t line = reader->line;
    bool quoted = reader->rest.size > 0 && reader->rest.data[0] == '"';

    buf_clear(&reader->cell);
    *ret_last = true;
    if (quoted) {
        (void)take(reader);
        for (;;) {
            if (reader->rest.size == 0)
                return fail(why, ERR_INVALID, "%s:%u: the quote has no end", reader->path, line);
            char c = take(reader);
            if (c == '"' && (reader->rest.size == 0 || reader->rest.data[0] != '"'))
                break;
            if (c == '"')
                (void)take(reader);
            buf_byte(&reader->cell, (uint8_t)c);
        }
        if (reader->rest.size > 0 && str_find(STR(",\r\n"), reader->rest.data[0]) < 0)
            return fail(why, ERR_INVALID, "%s:%u: text behind a closing quote", reader->path,
                        reader->line);
    }
    while (reader->rest.size > 0) {
        char c = take(reader);
        if (c == ',') {
            *ret_last = false;
            return ERR_NONE;
        }
        if (c == '\n')
            return ERR_NONE;
        if (c != '\r' || (reader->rest.size > 0 && reader->rest.data[0] != '\n'))
            buf_byte(&reader->cell, (uint8_t)c);
    }
    return ERR_NONE;
}

static enum err read_csv_head(struct reader *reader, struct why *why)
{
    bool last = false;

    while (!last) {
        if (reader->data->columns_count == DATA_COLUMNS_MAX)
            return fail(why, ERR_LIMIT, "%s has more than %d columns", reader->path,
                        DATA_COLUMNS_MAX);
        TRY(read_cell(reader, &last, why));
        struct str name = str_trim(buf_view(&reader->cell));
        if (name.size == 0)
            return fail(why, ERR_INVALID, "%s:1: column %zu has no name", reader->path,
                        reader->data->columns_count + 1);
        TRY(keep(reader, name, &reader->columns[reader->data->columns_count++], why));
    }
    return ERR_NONE;
}

static enum err read_csv(struct reader *reader, struct why *why)
{
    size_t columns;
    struct str *row;

    TRY(read_csv_head(reader, why));
    columns = reader->data->columns_count;
    while (reader->rest.size > 0) {
        uint32_t line = reader->line;
        bool last = false;
        size_t i = 0;
        if (reader->rest.data[0] == '\n' || reader->rest.data[0] == '\r') {
            (void)take(reader);
            continue;
        }
        TRY(add_row(reader, &row, why));
        for (; !last; i++) {
            TRY(read_cell(reader, &last, why));
            if (i >= columns)
                continue;
            TRY(keep(reader, buf_view(&reader->cell), &row[i], why));
        }
        if (i != columns)
            return fail(why, ERR_INVALID, "%s:%u: %zu cells where the head has %zu columns",
                        reader->path, line, i, columns);
    }
    return ERR_NONE;
}

/* ---- JSON lines. ---- */

static enum err set_cell(struct reader *reader, struct str *row, struct str key, struct str value,
                         struct why *why)
{
    for (size_t i = 0; i < reader->data->columns_count; i++) {
        if (str_eq(reader->columns[i], key))
            return keep(reader, value, &row[i], why);
    }
    return ERR_NONE;
}

/* The values of a line's map: texts unescaped, all else as it is written. */
static enum err read_json_line(struct reader *reader, struct str line, struct str *row,
                               struct why *why)
{
    struct json_walk walk = json_walk_begin(line);
    bool head = row == NULL;
    struct str value;

    if (json_walk_next(&walk, &value) != JSON_WALK_MAP)
        return fail(why, ERR_INVALID, "%s:%u: no JSON map", reader->path, reader->line);
    for (;;) {
        enum json_walk_kind kind = json_walk_next(&walk, &value);
        if (kind == JSON_WALK_BROKEN)
            return fail(why, ERR_INVALID, "%s:%u: broken JSON", reader->path, reader->line);
        if (kind == JSON_WALK_END)
            return ERR_NONE;
        if (kind == JSON_WALK_CLOSE)
            continue;
        struct str key = walk.levels[0].key;
        if (kind == JSON_WALK_MAP || kind == JSON_WALK_LIST) {
            unsigned outside = walk.depth - 1;
            const char *begin = value.data;
            do {
                kind = json_walk_next(&walk, &value);
            } while (kind != JSON_WALK_BROKEN &&
                     !(kind == JSON_WALK_CLOSE && walk.depth == outside));
            value = (struct str){begin, (size_t)(walk.at - begin)};
            if (kind == JSON_WALK_BROKEN)
                return fail(why, ERR_INVALID, "%s:%u: broken JSON", reader->path, reader->line);
        } else if (kind == JSON_WALK_TEXT) {
            buf_clear(&reader->cell);
            json_walk_unescape(value, &reader->cell);
            value = buf_view(&reader->cell);
        }
        if (!head) {
            TRY(set_cell(reader, row, key, value, why));
        } else if (reader->data->columns_count == DATA_COLUMNS_MAX) {
            return fail(why, ERR_LIMIT, "%s has more than %d columns", reader->path,
                        DATA_COLUMNS_MAX);
        } else {
            TRY(keep(reader, key, &reader->columns[reader->data->columns_count++], why));
        }
    }
}

static enum err read_json_lines(struct reader *reader, struct why *why)
{
    struct str *row;

    while (reader->rest.data != NULL) {
        struct str line = str_trim(str_split(&reader->rest, '\n'));
        if (line.size > 0) {
            if (reader->data->columns_count == 0)
                TRY(read_json_line(reader, line, NULL, why));
            TRY(add_row(reader, &row, why));
            TRY(read_json_line(reader, line, row, why));
        }
        reader->line++;
    }
    return ERR_NONE;
}

/* ---- The whole. ---- */

enum err data_read(struct plan *plan, const char *path, struct data **ret_data, struct why *why)
{
    struct arena *arena = plan->arena;
    struct buf text CLEANUP(buf_done) = {0};
    struct reader reader = {.arena = arena, .path = path, .line = 1};
    struct str name = str_of(path);
    bool is_json = str_ends(name, STR(".jsonl")) || str_ends(name, STR(".ndjson"));

    if (!is_json && !str_ends(name, STR(".csv")))
        return fail(why, ERR_INVALID, "%s ends in none of .csv, .jsonl, .ndjson", path);
    TRY(parcel_file(plan->parcel, path, DATA_BYTES_MAX, &text, why));
    reader.rest = buf_view(&text);
    if (str_starts(reader.rest, STR("\xef\xbb\xbf")))
        reader.rest = (struct str){reader.rest.data + 3, reader.rest.size - 3};
    reader.data = ARENA_NEW(arena, struct data);
    reader.columns = ARENA_ARRAY(arena, DATA_COLUMNS_MAX, struct str);
    if (reader.data == NULL || reader.columns == NULL)
        return arena_spent(arena, path, why);
    enum err err = is_json ? read_json_lines(&reader, why) : read_csv(&reader, why);
    buf_done(&reader.cell);
    TRY(err);
    if (reader.data->rows_count == 0)
        return fail(why, ERR_INVALID, "%s has no rows", path);
    reader.data->part = plan->part;
    reader.data->parts = plan->parts;
    reader.data->path = arena_printf(arena, "%s", path);
    reader.data->columns = reader.columns;
    reader.data->cells = reader.cells;
    *ret_data = reader.data;
    return ERR_NONE;
}

ptrdiff_t data_find(const struct data *data, struct str column)
{
    for (size_t i = 0; i < data->columns_count; i++) {
        if (str_eq(data->columns[i], column))
            return (ptrdiff_t)i;
    }
    return -1;
}

enum err data_bind(struct plan *plan, struct data *data, struct str prefix, struct why *why)
{
    size_t *variables = ARENA_ARRAY(plan->arena, data->columns_count, size_t);

    if (variables == NULL)
        return arena_spent(plan->arena, "the plan", why);
    for (size_t i = 0; i < data->columns_count; i++) {
        const char *name = prefix.size == 0
                               ? arena_printf(plan->arena, "%.*s", STR_ARG(data->columns[i]))
                               : arena_printf(plan->arena, "%.*s.%.*s", STR_ARG(prefix),
                                              STR_ARG(data->columns[i]));
        if (name == NULL)
            return arena_spent(plan->arena, "the plan", why);
        TRY(plan_variable(plan, str_of(name), &variables[i], why));
    }
    data->variables = variables;
    data->also = plan->data;
    plan->data = data;
    return ERR_NONE;
}

size_t data_next(struct data *data, struct random *random)
{
    if (data->order == DATA_AT_RANDOM)
        return random_below(random, data->rows_count);
    return (atomic_fetch_add(&data->next, 1) * data->parts + data->part) % data->rows_count;
}

void data_take(struct data *data, struct session *session, struct random *random)
{
    const struct str *row = data->cells + data_next(data, random) * data->columns_count;

    for (size_t i = 0; i < data->columns_count; i++)
        session_set(session, data->variables[i], row[i]);
}
