/* SPDX-License-Identifier: Apache-2.0 */
/* A page for a terminal: rules, aligned columns, marks, charts in Braille-free block letters. */
#include "base/clock.h"
#include "document/document_priv.h"

#include <math.h>

enum {
    WIDTH_DEFAULT = 100,
    WIDTH_MIN = 40,
    COLUMN_WIDTH_MAX = 60,
    COLUMN_WIDTH_MIN = 24, /* No text is cut below this to make a table narrower. */
    BAR_CELLS = 32,
    SPARK_CELLS = 48,
};

#define STYLE_BOLD  "\033[1m"
#define STYLE_DIM   "\033[2m"
#define STYLE_RESET "\033[0m"

static const char *const colours[] = {
    [STATUS_NONE] = "",         [STATUS_GOOD] = "\033[32m",
    [STATUS_INFO] = "\033[36m", [STATUS_WARNING] = "\033[33m",
    [STATUS_BAD] = "\033[31m",
};

static void style(const struct writer *writer, const char *code)
{
    if (writer->look->colour)
        buf_text(writer->out, code);
}

static size_t width_of(const struct writer *writer)
{
    size_t width = writer->look->width == 0 ? WIDTH_DEFAULT : writer->look->width;

    return width < WIDTH_MIN ? WIDTH_MIN : width;
}

static void repeat(struct buf *out, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_text(out, text);
}

/* Control characters of a stranger's text must not reach the terminal. */
static void plain(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        buf_byte(out, c < ' ' || c == 0x7F ? ' ' : c);
    }
}

/* Text padded to width, to the right side when align_right; cut with … when too long. */
static void padded(struct buf *out, struct str text, size_t width, bool align_right)
{
    size_t used = document_text_width(text);

    if (used > width) {
        size_t keep = 0;
        for (size_t seen = 0; keep < text.size; keep++) {
            seen += ((unsigned char)text.data[keep] & 0xC0) != 0x80;
            if (seen == width)
                break;
        }
        plain(out, (struct str){text.data, keep});
        buf_text(out, "…");
        return;
    }
    if (align_right)
        repeat(out, " ", width - used);
    plain(out, text);
    if (!align_right)
        repeat(out, " ", width - used);
}

static size_t column_width(const struct table *table, size_t index)
{
    const struct column *column = &table->columns[index];
    size_t width = document_text_width(str_of(column->title));

    for (const struct row *row = table->rows; row != NULL; row = row->next) {
        const struct cell *cell = row->cells;
        for (size_t i = 0; i < index && cell != NULL; i++)
            cell = cell->next;
        if (cell == NULL)
            continue;
        struct buf text CLEANUP(buf_done) = {0};
        document_cell(&text, cell, column);
        size_t wanted = document_text_width(buf_view(&text));
        if (wanted > width)
            width = wanted;
    }
    return width > COLUMN_WIDTH_MAX ? COLUMN_WIDTH_MAX : width;
}

/* Cuts the widest texts until the table is no wider than the page, or they are short. */
static void fit(const struct table *table, size_t *widths, size_t total, size_t page)
{
    while (total > page) {
        size_t widest = SIZE_MAX;
        for (size_t i = 0; i < table->shown_count; i++) {
            if (table->columns[i].is_text && widths[i] > COLUMN_WIDTH_MIN &&
                (widest == SIZE_MAX || widths[i] > widths[widest]))
                widest = i;
        }
        if (widest == SIZE_MAX)
            return;
        widths[widest]--;
        total--;
    }
}

/* A cell that is the last of its line is not padded on the right. */
static void write_cell(struct buf *out, const struct table *table, size_t index, struct str text,
                       const size_t *widths)
{
    bool is_text = table->columns[index].is_text;
    bool is_last = index + 1 == table->shown_count;
    size_t width = widths[index];

    if (is_last && is_text && document_text_width(text) < width)
        width = document_text_width(text);
    padded(out, text, width, !is_text);
    if (!is_last)
        buf_text(out, "  ");
}

static void write_row(const struct writer *writer, const struct table *table, const struct row *row,
                      const size_t *widths)
{
    const struct cell *cell = row->cells;

    style(writer, colours[row->status]);
    buf_printf(writer->out, "%s ", document_mark_of(row->status));
    style(writer, row->status == STATUS_NONE ? "" : STYLE_RESET);
    for (size_t i = 0; i < table->shown_count && cell != NULL; i++, cell = cell->next) {
        struct buf text CLEANUP(buf_done) = {0};
        document_cell(&text, cell, &table->columns[i]);
        write_cell(writer->out, table, i, buf_view(&text), widths);
    }
    buf_byte(writer->out, '\n');
}

static void write_table(const struct writer *writer, const struct table *table)
{
    enum { COLUMNS_MAX = 64, MARK_WIDTH = 2 };
    size_t widths[COLUMNS_MAX];
    size_t total = MARK_WIDTH;

    MUST(table->column_count <= COLUMNS_MAX);
    for (size_t i = 0; i < table->shown_count; i++) {
        widths[i] = column_width(table, i);
        total += widths[i] + (i > 0 ? 2 : 0);
    }
    if (writer->look->width != 0) /* A file has room. */
        fit(table, widths, total, width_of(writer));
    total = 0;
    style(writer, STYLE_DIM);
    buf_text(writer->out, "  ");
    for (size_t i = 0; i < table->shown_count; i++) {
        write_cell(writer->out, table, i, str_of(table->columns[i].title), widths);
        total += widths[i] + (i > 0 ? 2 : 0);
    }
    buf_text(writer->out, "\n  ");
    repeat(writer->out, "─", total);
    buf_byte(writer->out, '\n');
    style(writer, STYLE_RESET);
    for (const struct row *row = table->rows; row != NULL; row = row->next)
        write_row(writer, table, row, widths);
    buf_byte(writer->out, '\n');
}

static double largest(const struct chart *chart)
{
    double most = 0;

    for (const struct line *line = chart->lines; line != NULL; line = line->next) {
        for (size_t i = 0; i < line->count; i++) {
            if (isfinite(line->y[i]) && line->y[i] > most)
                most = line->y[i];
        }
    }
    return most;
}

static size_t names_width(const struct chart *chart)
{
    size_t width = 0;

    for (const struct line *line = chart->lines; line != NULL; line = line->next) {
        size_t wanted = document_text_width(line->name);
        width = wanted > width ? wanted : width;
    }
    return width > COLUMN_WIDTH_MAX / 2 ? COLUMN_WIDTH_MAX / 2 : width;
}

static void write_bar(struct buf *out, double share)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    size_t eighths = isfinite(share) && share > 0 ? (size_t)lround(share * BAR_CELLS * 8) : 0;

    repeat(out, "█", eighths / 8);
    buf_text(out, parts[eighths % 8]);
    repeat(out, " ", BAR_CELLS - eighths / 8 - (eighths % 8 != 0) + 1);
}

/* One cell per SPARK_CELLSth of the line: the mean of what falls into it. */
static void write_spark(struct buf *out, const struct line *line, double most)
{
    static const char *const levels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t cells = line->count < SPARK_CELLS ? line->count : SPARK_CELLS;

    for (size_t cell = 0; cell < cells; cell++) {
        size_t from = cell * line->count / cells;
        size_t to = (cell + 1) * line->count / cells;
        double sum = 0;
        size_t count = 0;
        for (size_t i = from; i < to; i++) {
            if (isfinite(line->y[i])) {
                sum += line->y[i];
                count++;
            }
        }
        if (count == 0) {
            buf_byte(out, ' ');
            continue;
        }
        double share = most > 0 ? sum / (double)count / most : 0;
        buf_text(out, levels[(size_t)fmin(7, fmax(0, floor(share * 8)))]);
    }
    buf_byte(out, ' ');
}

static void write_chart(const struct writer *writer, const struct chart *chart)
{
    double most = largest(chart);
    size_t width = names_width(chart);

    for (const struct line *line = chart->lines; line != NULL; line = line->next) {
        double last = line->count > 0 ? line->y[line->count - 1] : NAN;
        buf_text(writer->out, "  ");
        padded(writer->out, line->name, width, false);
        buf_text(writer->out, "  ");
        if (chart->kind == CHART_BAR)
            write_bar(writer->out, most > 0 ? last / most : 0);
        else
            write_spark(writer->out, line, most);
        document_format(writer->out, last, chart->unit);
        buf_byte(writer->out, '\n');
    }
    buf_byte(writer->out, '\n');
}

/* Values of a section stand under each other, their names as wide as the widest. */
static size_t values_width(const struct section *section)
{
    size_t width = 0;

    for (const struct block *block = section->blocks; block != NULL; block = block->next) {
        if (block->kind == BLOCK_VALUE && document_text_width(block->title) > width)
            width = document_text_width(block->title);
    }
    return width;
}

static void write_value(const struct writer *writer, const struct block *block, size_t width)
{
    buf_text(writer->out, "  ");
    style(writer, STYLE_DIM);
    padded(writer->out, block->title, width, false);
    style(writer, STYLE_RESET);
    buf_text(writer->out, "  ");
    if (block->is_number)
        document_format(writer->out, block->number, block->unit);
    else
        plain(writer->out, block->text);
    buf_byte(writer->out, '\n');
}

static void write_block(const struct writer *writer, const struct block *block, size_t width)
{
    if (block->title.size > 0 && (block->kind == BLOCK_TABLE || block->kind == BLOCK_CHART)) {
        buf_text(writer->out, "  ");
        style(writer, STYLE_BOLD);
        plain(writer->out, block->title);
        style(writer, STYLE_RESET);
        buf_byte(writer->out, '\n');
    }
    switch (block->kind) {
    case BLOCK_TABLE:
        write_table(writer, block->table);
        return;
    case BLOCK_CHART:
        write_chart(writer, block->chart);
        return;
    case BLOCK_DETAIL:
        return;
    case BLOCK_VALUE:
        write_value(writer, block, width);
        break;
    case BLOCK_MARK:
        style(writer, colours[block->status]);
        buf_printf(writer->out, "%s ", document_mark_of(block->status));
        style(writer, STYLE_RESET);
        plain(writer->out, block->text);
        buf_byte(writer->out, '\n');
        break;
    case BLOCK_TEXT:
        plain(writer->out, block->text);
        buf_byte(writer->out, '\n');
        break;
    }
    if (block->next == NULL || block->next->kind != block->kind)
        buf_byte(writer->out, '\n');
}

void document_write_console(const struct writer *writer)
{
    const struct document *document = writer->document;
    char time[CLOCK_TEXT_SIZE];

    style(writer, STYLE_BOLD);
    plain(writer->out, document->title);
    style(writer, STYLE_RESET);
    if (document->time_ms != 0) {
        (void)clock_text(time, document->time_ms); /* The size is not needed. */
        style(writer, STYLE_DIM);
        buf_printf(writer->out, "  %s", time);
        style(writer, STYLE_RESET);
    }
    buf_byte(writer->out, '\n');
    repeat(writer->out, "═", width_of(writer));
    buf_byte(writer->out, '\n');
    for (const struct section *section = document->sections; section != NULL;
         section = section->next) {
        if (section->title.size > 0) {
            buf_byte(writer->out, '\n');
            style(writer, STYLE_BOLD);
            plain(writer->out, section->title);
            style(writer, STYLE_RESET);
            buf_text(writer->out, "\n\n");
        }
        size_t width = values_width(section);
        for (const struct block *block = section->blocks; block != NULL; block = block->next)
            write_block(writer, block, width);
    }
}
