/* SPDX-License-Identifier: Apache-2.0 */
#include "document/document.h"
#include "document/document_priv.h"

#include <math.h>
#include <stdlib.h>

const char *const document_status_names[] = {
    [STATUS_NONE] = "none",       [STATUS_GOOD] = "good", [STATUS_INFO] = "info",
    [STATUS_WARNING] = "warning", [STATUS_BAD] = "bad",
};

const char *document_mark_of(enum status status)
{
    static const char *const marks[] = {
        [STATUS_NONE] = " ",    [STATUS_GOOD] = "✓", [STATUS_INFO] = "·",
        [STATUS_WARNING] = "!", [STATUS_BAD] = "✗",
    };

    return marks[status];
}

struct document *document_new(const char *title, size_t budget_bytes)
{
    struct document *document = calloc(1, sizeof(*document));

    if (document == NULL)
        must_memory(sizeof(*document));
    document->arena = arena_new(budget_bytes);
    document->title = arena_str(document->arena, str_of(title));
    document->last_section = &document->sections;
    return document;
}

struct document *document_free(struct document *document)
{
    if (document != NULL) {
        arena_free(document->arena);
        free(document);
    }
    return NULL;
}

void document_freep(struct document **document)
{
    *document = document_free(*document);
}

void document_set_time(struct document *document, int64_t time_ms)
{
    document->time_ms = time_ms;
}

static void *take(struct document *document, size_t size)
{
    void *memory = arena_alloc(document->arena, size);

    document->is_spent |= memory == NULL;
    return memory;
}

static struct str keep(struct document *document, struct str text)
{
    struct str kept = arena_str(document->arena, text.data == NULL ? STR("") : text);

    document->is_spent |= kept.data == NULL;
    return kept;
}

void document_section(struct document *document, const char *key, const char *title)
{
    struct section *section = take(document, sizeof(*section));

    if (section == NULL)
        return;
    section->key = keep(document, str_of(key));
    section->title = keep(document, str_of(title));
    section->last_block = &section->blocks;
    *document->last_section = section;
    document->last_section = &section->next;
    document->section = section;
}

static struct block *add_block(struct document *document, enum block_kind kind, const char *key,
                               const char *title)
{
    if (document->section == NULL)
        document_section(document, "summary", "");
    struct block *block = take(document, sizeof(*block));
    if (block == NULL || document->section == NULL)
        return NULL;
    block->kind = kind;
    block->key = keep(document, str_of(key));
    block->title = keep(document, str_of(title));
    *document->section->last_block = block;
    document->section->last_block = &block->next;
    return block;
}

static void set_text(struct document *document, struct block *block, const char *format,
                     va_list arguments)
{
    struct buf text CLEANUP(buf_done) = {0};

    if (block == NULL)
        return;
    buf_vprintf(&text, format, arguments);
    block->text = keep(document, buf_view(&text));
}

void document_text(struct document *document, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    set_text(document, add_block(document, BLOCK_TEXT, "", ""), format, arguments);
    va_end(arguments);
}

void document_mark(struct document *document, enum status status, const char *format, ...)
{
    struct block *block = add_block(document, BLOCK_MARK, "", "");
    va_list arguments;

    if (block != NULL)
        block->status = status;
    va_start(arguments, format);
    set_text(document, block, format, arguments);
    va_end(arguments);
}

void document_number(struct document *document, const char *key, const char *title, double value,
                     enum unit unit)
{
    struct block *block = add_block(document, BLOCK_VALUE, key, title);

    if (block == NULL)
        return;
    block->is_number = true;
    block->number = value;
    block->unit = unit;
}

void document_detail(struct document *document, const char *key, double value)
{
    struct block *block = add_block(document, BLOCK_DETAIL, key, "");

    if (block == NULL)
        return;
    block->is_number = true;
    block->number = value;
}

void document_value(struct document *document, const char *key, const char *title, const char *text)
{
    struct block *block = add_block(document, BLOCK_VALUE, key, title);

    if (block != NULL)
        block->text = keep(document, str_of(text));
}

struct table *document_table(struct document *document, const char *key, const char *title,
                             const struct column *columns, size_t column_count)
{
    struct block *block = add_block(document, BLOCK_TABLE, key, title);
    struct table *table = take(document, sizeof(*table));
    struct column *kept = take(document, column_count * sizeof(*columns));

    if (block == NULL || table == NULL || kept == NULL)
        return NULL;
    for (size_t i = 0; i < column_count; i++) {
        kept[i] = columns[i];
        kept[i].key = keep(document, str_of(columns[i].key)).data;
        kept[i].title = keep(document, str_of(columns[i].title)).data;
    }
    *table = (struct table){.document = document,
                            .columns = kept,
                            .column_count = column_count,
                            .shown_count = column_count};
    table->last_row = &table->rows;
    block->table = table;
    return table;
}

void table_set_details(struct table *table, size_t first)
{
    if (table != NULL)
        table->shown_count = first;
}

void table_add_row(struct table *table, enum status status)
{
    if (table == NULL)
        return;
    struct row *row = take(table->document, sizeof(*row));
    table->row = row;
    if (row == NULL)
        return;
    row->status = status;
    row->last_cell = &row->cells;
    *table->last_row = row;
    table->last_row = &row->next;
    table->row_count++;
}

static struct cell *add_cell(struct table *table)
{
    if (table == NULL || table->row == NULL)
        return NULL;
    MUST(table->row->cell_count < table->column_count);
    struct cell *cell = take(table->document, sizeof(*cell));
    if (cell == NULL)
        return NULL;
    *table->row->last_cell = cell;
    table->row->last_cell = &cell->next;
    table->row->cell_count++;
    return cell;
}

void table_text(struct table *table, const char *text)
{
    struct cell *cell = add_cell(table);

    if (cell != NULL)
        cell->text = keep(table->document, str_of(text));
}

void table_link(struct table *table, const char *text, const char *url)
{
    struct cell *cell = add_cell(table);
    bool is_web =
        str_starts(str_of(url), STR("http://")) || str_starts(str_of(url), STR("https://"));

    if (cell == NULL)
        return;
    cell->text = keep(table->document, str_of(text));
    if (is_web)
        cell->link = keep(table->document, str_of(url));
}

void table_number(struct table *table, double value)
{
    struct cell *cell = add_cell(table);

    if (cell != NULL)
        cell->number = value;
}

struct chart *document_chart(struct document *document, const char *key, const char *title,
                             enum chart_kind kind, enum unit unit)
{
    struct block *block = add_block(document, BLOCK_CHART, key, title);
    struct chart *chart = take(document, sizeof(*chart));

    if (block == NULL || chart == NULL)
        return NULL;
    *chart = (struct chart){.document = document, .kind = kind, .unit = unit};
    chart->last_line = &chart->lines;
    block->chart = chart;
    return chart;
}

void chart_set_x_unit(struct chart *chart, enum unit unit)
{
    if (chart != NULL)
        chart->x_unit = unit;
}

void chart_set_time_axis(struct chart *chart)
{
    if (chart != NULL)
        chart->x_is_time = true;
}

static const double *keep_numbers(struct document *document, const double *values, size_t count)
{
    double *kept = take(document, count * sizeof(*values));

    if (kept != NULL && count > 0)
        memcpy(kept, values, count * sizeof(*values));
    return kept;
}

void chart_series(struct chart *chart, const char *name, const double *x, const double *y,
                  size_t count)
{
    if (chart == NULL)
        return;
    struct line *line = take(chart->document, sizeof(*line));
    if (line == NULL)
        return;
    line->name = keep(chart->document, str_of(name));
    line->x = keep_numbers(chart->document, x, count);
    line->y = keep_numbers(chart->document, y, count);
    line->count = line->x == NULL || line->y == NULL ? 0 : count;
    *chart->last_line = line;
    chart->last_line = &line->next;
    chart->line_count++;
}

void chart_bar(struct chart *chart, const char *name, double value)
{
    const double x = 0;

    chart_series(chart, name, &x, &value, 1);
}

static const struct {
    struct str name;
    enum document_form form;
    const char *type;
    void (*write)(const struct writer *writer);
} forms[] = {
    {STR("console"), FORM_CONSOLE, "text/plain; charset=utf-8", document_write_console},
    {STR("json"), FORM_JSON, "application/json", document_write_json},
    {STR("markdown"), FORM_MARKDOWN, "text/markdown; charset=utf-8", document_write_markdown},
    {STR("md"), FORM_MARKDOWN, "text/markdown; charset=utf-8", document_write_markdown},
    {STR("html"), FORM_HTML, "text/html; charset=utf-8", document_write_html},
    {STR("csv"), FORM_CSV, "text/csv; charset=utf-8", document_write_csv},
};

bool document_form_parse(struct str name, enum document_form *ret_form)
{
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        if (str_eq(forms[i].name, name)) {
            *ret_form = forms[i].form;
            return true;
        }
    }
    return false;
}

static size_t form_index(enum document_form form)
{
    size_t i = 0;

    while (i < ARRAY_COUNT(forms) && forms[i].form != form)
        i++;
    MUST(i < ARRAY_COUNT(forms));
    return i;
}

const char *document_form_type(enum document_form form)
{
    return forms[form_index(form)].type;
}

enum err document_write(const struct document *document, enum document_form form,
                        const struct document_look *look, struct buf *out, struct why *why)
{
    const struct document_look plain = {0};
    struct writer writer = {document, look == NULL ? &plain : look, out};

    if (document->is_spent)
        return arena_spent(document->arena, "a report", why);
    forms[form_index(form)].write(&writer);
    return ERR_NONE;
}
