/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4180, with lines ended by LF. Numbers are raw, not rounded for people. */
#include "document/document_priv.h"

#include <math.h>

static void write_field(struct buf *out, struct str text)
{
    bool quoted = false;
    /* A spreadsheet runs a cell that begins so; a quote before it keeps it text. */
    bool is_formula = text.size > 0 && strchr("=+-@\t", text.data[0]) != NULL;

    for (size_t i = 0; i < text.size && !quoted; i++)
        quoted = strchr(",\"\n\r", text.data[i]) != NULL;
    if (!quoted && !is_formula) {
        buf_str(out, text);
        return;
    }
    buf_byte(out, '"');
    if (is_formula)
        buf_byte(out, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            buf_byte(out, '"');
        buf_byte(out, (uint8_t)text.data[i]);
    }
    buf_byte(out, '"');
}

static void write_number(struct buf *out, double value)
{
    char text[STR_DOUBLE_SIZE];

    if (!isnan(value))
        buf_append(out, text, str_from_double(text, value));
}

static bool has_status(const struct table *table)
{
    for (const struct row *row = table->rows; row != NULL; row = row->next) {
        if (row->status != STATUS_NONE)
            return true;
    }
    return false;
}

static void write_table(struct buf *out, const struct table *table)
{
    bool judged = has_status(table);

    for (size_t i = 0; i < table->column_count; i++) {
        if (i > 0)
            buf_byte(out, ',');
        write_field(out, str_of(table->columns[i].key));
    }
    buf_text(out, judged ? ",status\n" : "\n");
    for (const struct row *row = table->rows; row != NULL; row = row->next) {
        for (const struct cell *cell = row->cells; cell != NULL; cell = cell->next) {
            if (cell != row->cells)
                buf_byte(out, ',');
            if (cell->text.data != NULL)
                write_field(out, cell->text);
            else
                write_number(out, cell->number);
        }
        if (judged)
            buf_printf(out, ",%s", document_status_names[row->status]);
        buf_byte(out, '\n');
    }
}

static size_t count_tables(const struct document *document)
{
    size_t count = 0;

    for (const struct section *section = document->sections; section != NULL;
         section = section->next) {
        for (const struct block *block = section->blocks; block != NULL; block = block->next)
            count += block->kind == BLOCK_TABLE;
    }
    return count;
}

void document_write_csv(const struct writer *writer)
{
    bool several = count_tables(writer->document) > 1;
    bool first = true;

    for (const struct section *section = writer->document->sections; section != NULL;
         section = section->next) {
        for (const struct block *block = section->blocks; block != NULL; block = block->next) {
            if (block->kind != BLOCK_TABLE)
                continue;
            if (several) {
                buf_text(writer->out, first ? "# " : "\n# ");
                buf_str(writer->out, block->key);
                buf_byte(writer->out, '\n');
            }
            first = false;
            write_table(writer->out, block->table);
        }
    }
}
