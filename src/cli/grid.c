/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/grid.h"

#include <stdlib.h>

enum {
    GAP = 2, /* Between columns. */
    CELLS_MIN = 8,
    COLUMNS_MAX = 64,
};

struct cell {
    size_t at, size; /* In texts. */
    int style;
};

struct grid {
    const struct grid_column *columns;
    size_t columns_count;
    struct buf texts;
    struct buf cells; /* Of struct cell, row by row. */
};

struct grid *grid_new(const struct grid_column *columns, size_t count)
{
    struct grid *grid = calloc(1, sizeof(*grid));

    if (grid == NULL)
        must_memory(sizeof(*grid));
    MUST(count > 0 && count <= COLUMNS_MAX);
    grid->columns = columns;
    grid->columns_count = count;
    return grid;
}

struct grid *grid_free(struct grid *grid)
{
    if (grid == NULL)
        return NULL;
    buf_done(&grid->texts);
    buf_done(&grid->cells);
    free(grid);
    return NULL;
}

static size_t cells_count(const struct grid *grid)
{
    return grid->cells.size / sizeof(struct cell);
}

static struct cell *cell_at(const struct grid *grid, size_t index)
{
    return (struct cell *)(void *)grid->cells.data + index;
}

void grid_cell(struct grid *grid, struct str text)
{
    struct cell cell = {.at = grid->texts.size, .size = text.size, .style = STYLE_PLAIN};

    buf_str(&grid->texts, text);
    buf_append(&grid->cells, &cell, sizeof(cell));
}

void grid_cellf(struct grid *grid, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = {0};
    va_list arguments;

    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    grid_cell(grid, buf_view(&text));
}

void grid_style(struct grid *grid, int style)
{
    MUST(cells_count(grid) > 0);
    cell_at(grid, cells_count(grid) - 1)->style = style;
}

size_t grid_rows(const struct grid *grid)
{
    return cells_count(grid) / grid->columns_count;
}

static struct str cell_text(const struct grid *grid, size_t index)
{
    const struct cell *cell = cell_at(grid, index);

    return (struct str){grid->texts.data == NULL ? "" : grid->texts.data + cell->at, cell->size};
}

/* The widest cell of each column, then the widest shrinking ones made narrower until it fits. */
static void measure(const struct grid *grid, size_t columns, size_t widths[COLUMNS_MAX])
{
    size_t total = 0;

    for (size_t c = 0; c < grid->columns_count; c++) {
        widths[c] = terminal_width(str_of(grid->columns[c].title));
        for (size_t i = c; i < cells_count(grid); i += grid->columns_count) {
            size_t width = terminal_width(cell_text(grid, i));
            widths[c] = width > widths[c] ? width : widths[c];
        }
        total += widths[c] + GAP;
    }
    while (total > columns + GAP) {
        size_t widest = grid->columns_count;
        for (size_t c = 0; c < grid->columns_count; c++) {
            if (grid->columns[c].shrink && widths[c] > CELLS_MIN &&
                (widest == grid->columns_count || widths[c] > widths[widest]))
                widest = c;
        }
        if (widest == grid->columns_count)
            return; /* The terminal wraps the lines then. */
        widths[widest]--;
        total--;
    }
}

static void write_cell(const struct grid *grid, const struct terminal *terminal, struct buf *out,
                       size_t column, struct str text, size_t width)
{
    bool right = grid->columns[column].right;
    bool last = column + 1 == grid->columns_count;

    if (last && !right && terminal_width(text) <= width)
        terminal_text(out, text); /* No blanks at the end of a line. */
    else
        terminal_fit(terminal, out, text, width, right);
}

void grid_write(const struct grid *grid, const struct terminal *terminal, struct buf *out)
{
    size_t widths[COLUMNS_MAX];

    /* Nothing is cut in a file or a pipe: a program may read it. */
    measure(grid, terminal->tty ? (size_t)terminal->columns : SIZE_MAX - GAP, widths);
    for (size_t c = 0; c < grid->columns_count; c++) {
        buf_text(out, c == 0 ? "" : "  ");
        terminal_style(terminal, out, STYLE_BOLD);
        write_cell(grid, terminal, out, c, str_of(grid->columns[c].title), widths[c]);
        terminal_style(terminal, out, STYLE_PLAIN);
    }
    buf_byte(out, '\n');
    for (size_t i = 0; i < cells_count(grid); i++) {
        size_t column = i % grid->columns_count;
        int style = cell_at(grid, i)->style;
        buf_text(out, column == 0 ? "" : "  ");
        if (style != STYLE_PLAIN)
            terminal_style(terminal, out, style);
        write_cell(grid, terminal, out, column, cell_text(grid, i), widths[column]);
        if (style != STYLE_PLAIN)
            terminal_style(terminal, out, STYLE_PLAIN);
        if (column + 1 == grid->columns_count)
            buf_byte(out, '\n');
    }
}
