/* SPDX-License-Identifier: Apache-2.0 */
/* {"title", "generated", "sections": {key: {"title", values…, "notes": […], tables…, charts…}}} */
#include "base/json.h"
#include "base/clock.h"
#include "document/document_priv.h"

static void write_table(struct json *json, const struct table *table)
{
    json_open(json, '[');
    for (const struct row *row = table->rows; row != NULL; row = row->next) {
        size_t i = 0;
        json_open(json, '{');
        for (const struct cell *cell = row->cells; cell != NULL; cell = cell->next, i++) {
            json_key(json, table->columns[i].key);
            if (cell->text.data != NULL)
                json_add_str(json, cell->text);
            else
                json_add_double(json, cell->number);
        }
        if (row->status != STATUS_NONE) {
            json_put_text(json, "status", document_status_names[row->status]);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_numbers(struct json *json, const char *key, const double *values, size_t count)
{
    json_key(json, key);
    json_open(json, '[');
    for (size_t i = 0; i < count; i++)
        json_add_double(json, values[i]);
    json_close(json, ']');
}

static void write_chart(struct json *json, const struct chart *chart)
{
    json_open(json, '[');
    for (const struct line *line = chart->lines; line != NULL; line = line->next) {
        json_open(json, '{');
        json_put_str(json, "name", line->name);
        if (chart->kind == CHART_BAR) {
            json_put_double(json, "value", line->count > 0 ? line->y[0] : 0);
        } else {
            write_numbers(json, chart->x_is_time ? "time_ms" : "x", line->x, line->count);
            write_numbers(json, "y", line->y, line->count);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* Texts and marks have no key of their own: they are the section's notes. */
static void write_notes(struct json *json, const struct section *section)
{
    bool open = false;

    for (const struct block *block = section->blocks; block != NULL; block = block->next) {
        if (block->kind != BLOCK_TEXT && block->kind != BLOCK_MARK)
            continue;
        if (!open) {
            json_key(json, "notes");
            json_open(json, '[');
        }
        open = true;
        json_open(json, '{');
        json_put_text(json, "status", document_status_names[block->status]);
        json_put_str(json, "text", block->text);
        json_close(json, '}');
    }
    if (open)
        json_close(json, ']');
}

static void write_block(struct json *json, const struct block *block)
{
    if (block->kind == BLOCK_TEXT || block->kind == BLOCK_MARK)
        return;
    json_key_str(json, block->key);
    if (block->kind == BLOCK_TABLE)
        write_table(json, block->table);
    else if (block->kind == BLOCK_CHART)
        write_chart(json, block->chart);
    else if (block->is_number)
        json_add_double(json, block->number);
    else
        json_add_str(json, block->text);
}

void document_write_json(const struct writer *writer)
{
    struct json json = json_begin(writer->out);
    char time[CLOCK_TEXT_SIZE];

    json_open(&json, '{');
    json_put_str(&json, "title", writer->document->title);
    if (writer->document->time_ms != 0) {
        (void)clock_text(time, writer->document->time_ms); /* The size is not needed. */
        json_put_text(&json, "generated", time);
    }
    json_key(&json, "sections");
    json_open(&json, '{');
    for (const struct section *section = writer->document->sections; section != NULL;
         section = section->next) {
        json_key_str(&json, section->key);
        json_open(&json, '{');
        json_put_str(&json, "title", section->title);
        for (const struct block *block = section->blocks; block != NULL; block = block->next)
            write_block(&json, block);
        write_notes(&json, section);
        json_close(&json, '}');
    }
    json_close(&json, '}');
    json_close(&json, '}');
    buf_byte(writer->out, '\n');
}
