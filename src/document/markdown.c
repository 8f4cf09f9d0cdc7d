/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "document/document_priv.h"

static const char *const marks[] = {
    [STATUS_NONE] = "-",           [STATUS_GOOD] = "- ✅", [STATUS_INFO] = "- ℹ️",
    [STATUS_WARNING] = "- ⚠️", [STATUS_BAD] = "- ❌",
};

enum { LIST_MARK_SIZE = 2 }; /* "- " */

/* A pipe would end the cell, a line break the table. */
static void escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\n' || c == '\r') {
            buf_byte(out, ' ');
            continue;
        }
        if (c == '|' || c == '\\' || c == '`' || c == '*' || c == '_' || c == '<')
            buf_byte(out, '\\');
        buf_byte(out, (uint8_t)c);
    }
}

/* What would end the address early is written in hexadecimal. */
static void write_address(struct buf *out, struct str url)
{
    buf_text(out, "](");
    for (size_t i = 0; i < url.size; i++) {
        uint8_t c = (uint8_t)url.data[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>|\\", c) != NULL)
            buf_printf(out, "%%%02X", c);
        else
            buf_byte(out, c);
    }
    buf_byte(out, ')');
}

static void write_table(struct buf *out, const struct table *table)
{
    for (size_t i = 0; i < table->shown_count; i++) {
        buf_text(out, "| ");
        escape(out, str_of(table->columns[i].title));
        buf_byte(out, ' ');
    }
    buf_text(out, "|\n");
    for (size_t i = 0; i < table->shown_count; i++)
        buf_text(out, table->columns[i].is_text ? "|---" : "|---:");
    buf_text(out, "|\n");
    for (const struct row *row = table->rows; row != NULL; row = row->next) {
        size_t i = 0;
        for (const struct cell *cell = row->cells; i < table->shown_count && cell != NULL;
             cell = cell->next, i++) {
            struct buf text CLEANUP(buf_done) = {0};
            document_cell(&text, cell, &table->columns[i]);
            buf_text(out, "| ");
            if (i == 0 && row->status != STATUS_NONE)
                buf_printf(out, "%s ", marks[row->status] + LIST_MARK_SIZE);
            if (cell->link.data != NULL)
                buf_byte(out, '[');
            escape(out, buf_view(&text));
            if (cell->link.data != NULL)
                write_address(out, cell->link);
            buf_byte(out, ' ');
        }
        buf_text(out, "|\n");
    }
    buf_byte(out, '\n');
}

/* Markdown has no charts: the last value of each line, or the bars, as a table. */
static void write_chart(struct buf *out, const struct chart *chart)
{
    buf_text(out, chart->kind == CHART_BAR ? "| | |\n|---|---:|\n" : "| | last |\n|---|---:|\n");
    for (const struct line *line = chart->lines; line != NULL; line = line->next) {
        buf_text(out, "| ");
        escape(out, line->name);
        buf_text(out, " | ");
        if (line->count > 0)
            document_format(out, line->y[line->count - 1], chart->unit);
        buf_text(out, " |\n");
    }
    buf_byte(out, '\n');
}

static void write_value(struct buf *out, const struct block *block)
{
    buf_text(out, "- **");
    escape(out, block->title);
    buf_text(out, ":** ");
    if (block->is_number)
        document_format(out, block->number, block->unit);
    else
        escape(out, block->text);
    buf_byte(out, '\n');
}

static void write_block(struct buf *out, const struct block *block)
{
    bool is_list = block->kind == BLOCK_VALUE || block->kind == BLOCK_MARK;

    if (block->kind == BLOCK_DETAIL)
        return;
    if (block->title.size > 0 && (block->kind == BLOCK_TABLE || block->kind == BLOCK_CHART)) {
        buf_text(out, "### ");
        escape(out, block->title);
        buf_text(out, "\n\n");
    }
    if (block->kind == BLOCK_TABLE) {
        write_table(out, block->table);
    } else if (block->kind == BLOCK_CHART) {
        write_chart(out, block->chart);
    } else if (block->kind == BLOCK_VALUE) {
        write_value(out, block);
    } else {
        if (block->kind == BLOCK_MARK)
            buf_printf(out, "%s ", marks[block->status]);
        escape(out, block->text);
        buf_text(out, block->kind == BLOCK_MARK ? "\n" : "\n\n");
    }
    bool list_ends = block->next == NULL ||
                     (block->next->kind != BLOCK_VALUE && block->next->kind != BLOCK_MARK);
    if (is_list && list_ends)
        buf_byte(out, '\n');
}

void document_write_markdown(const struct writer *writer)
{
    char time[CLOCK_TEXT_SIZE];

    buf_text(writer->out, "# ");
    escape(writer->out, writer->document->title);
    buf_text(writer->out, "\n\n");
    if (writer->document->time_ms != 0) {
        (void)clock_text(time, writer->document->time_ms); /* The size is not needed. */
        buf_printf(writer->out, "%s\n\n", time);
    }
    for (const struct section *section = writer->document->sections; section != NULL;
         section = section->next) {
        if (section->title.size > 0) {
            buf_text(writer->out, "## ");
            escape(writer->out, section->title);
            buf_text(writer->out, "\n\n");
        }
        for (const struct block *block = section->blocks; block != NULL; block = block->next)
            write_block(writer->out, block);
    }
}
