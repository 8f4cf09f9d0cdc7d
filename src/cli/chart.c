/* SPDX-License-Identifier: Apache-2.0 */
/* The plot is a grid of cells, each of 2 x 4 dots:
 *
 *       dot bits of U+2800 + bits        one cell
 *            0x01 0x08
 *            0x02 0x10
 *            0x04 0x20
 *            0x40 0x80
 *
 * A line is drawn dot by dot between neighbouring points. A cell belongs to the series that drew in
 * it last, and has its colour. Without colour and with more than one series dots cannot be told
 * apart: then a cell shows the mark of its series instead. */
#include "cli/chart.h"

#include <math.h>
#include <stdlib.h>

enum {
    AXIS_CELLS = 11,
    ROWS_MIN = 5,
    ROWS_MAX = 24,
    CELL_WIDTH = 2,
    CELL_HEIGHT = 4,
    TICKS_MAX = 6,
};

struct canvas {
    int columns, rows; /* Cells. */
    uint8_t *dots;
    uint8_t *owners; /* 1 + series. */
    double low, high;
    bool dotted; /* Braille; else marks. */
};

static const char marks[] = "*+ox#@%=";

static void dot(struct canvas *canvas, int x, int y, size_t series)
{
    static const uint8_t bits[CELL_HEIGHT][CELL_WIDTH] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

    if (x < 0 || y < 0 || x >= canvas->columns * CELL_WIDTH || y >= canvas->rows * CELL_HEIGHT)
        return;
    size_t cell = (size_t)(y / CELL_HEIGHT) * (size_t)canvas->columns + (size_t)(x / CELL_WIDTH);
    canvas->dots[cell] |= bits[y % CELL_HEIGHT][x % CELL_WIDTH];
    canvas->owners[cell] = (uint8_t)(1 + series);
}

/* Bresenham's line. */
static void line(struct canvas *canvas, int x0, int y0, int x1, int y1, size_t series)
{
    int dx = abs(x1 - x0), dy = -abs(y1 - y0);
    int step_x = x0 < x1 ? 1 : -1, step_y = y0 < y1 ? 1 : -1;
    int error = dx + dy;

    for (;;) {
        dot(canvas, x0, y0, series);
        if (x0 == x1 && y0 == y1)
            return;
        int twice = 2 * error;
        if (twice >= dy) {
            error += dy;
            x0 += step_x;
        }
        if (twice <= dx) {
            error += dx;
            y0 += step_y;
        }
    }
}

static int place_x(const struct chart *chart, const struct canvas *canvas, int64_t time_ms)
{
    double span = (double)(chart->to_ms - chart->from_ms);
    double part = span <= 0 ? 1 : (double)(time_ms - chart->from_ms) / span;

    return (int)lround(part * (canvas->columns * CELL_WIDTH - 1));
}

static int place_y(const struct canvas *canvas, double value)
{
    double part = (value - canvas->low) / (canvas->high - canvas->low);

    return (int)lround((1 - part) * (canvas->rows * CELL_HEIGHT - 1));
}

static void draw(const struct chart *chart, struct canvas *canvas, size_t index)
{
    const struct chart_series *series = &chart->series[index];
    bool joined = false;
    int x_before = 0, y_before = 0;

    for (size_t i = 0; i < series->count; i++) {
        if (!isfinite(series->values[i])) {
            joined = false;
            continue;
        }
        int x = place_x(chart, canvas, series->times_ms[i]);
        int y = place_y(canvas, series->values[i]);
        if (joined && chart->step_ms > 0 &&
            series->times_ms[i] - series->times_ms[i - 1] > 2 * chart->step_ms)
            joined = false;
        if (joined)
            line(canvas, x_before, y_before, x, y, index);
        else
            dot(canvas, x, y, index);
        joined = true;
        x_before = x;
        y_before = y;
    }
}

/* ---- The scale: round numbers around what is shown. ---- */

static double round_step(double span, enum unit unit)
{
    static const double decimal[] = {1, 2, 2.5, 5, 10};
    bool binary = unit == UNIT_BYTES || unit == UNIT_BYTES_PER_SECOND;
    double base = binary ? exp2(floor(log2(span))) : pow(10, floor(log10(span)));

    if (binary)
        return base;
    for (size_t i = 0; i < ARRAY_COUNT(decimal); i++) {
        if (base * decimal[i] >= span * (1 - 1e-9))
            return base * decimal[i];
    }
    return base * 10;
}

static double choose_scale(const struct chart *chart, size_t shown, struct canvas *canvas)
{
    double low = INFINITY, high = -INFINITY;

    for (size_t s = 0; s < shown; s++) {
        for (size_t i = 0; i < chart->series[s].count; i++) {
            double value = chart->series[s].values[i];
            if (!isfinite(value))
                continue;
            low = fmin(low, value);
            high = fmax(high, value);
        }
    }
    if (low > high)
        low = 0, high = 1;
    /* Zero is part of the picture unless that would flatten it. */
    if (low > 0 && low < high * 0.6)
        low = 0;
    if (high < 0 && high > low * 0.6)
        high = 0;
    if (high - low <= fabs(high) * 1e-9)
        high += fabs(high) > 0 ? fabs(high) * 0.1 : 1;
    double step = round_step((high - low) / (TICKS_MAX - 2), chart->unit);
    canvas->low = floor(low / step + 1e-9) * step;
    canvas->high = ceil(high / step - 1e-9) * step;
    return step;
}

/* ---- Writing. ---- */

static void write_cell(const struct canvas *canvas, const struct terminal *terminal,
                       struct buf *out, size_t cell, int *style)
{
    int owner = canvas->owners[cell];
    int wanted = owner == 0 ? STYLE_PLAIN : STYLE_SERIES + (owner - 1) % STYLE_SERIES_COUNT;

    if (wanted != *style)
        terminal_style(terminal, out, wanted);
    *style = wanted;
    if (owner == 0) {
        buf_byte(out, ' ');
    } else if (canvas->dotted) {
        unsigned point = 0x2800u + canvas->dots[cell];
        buf_byte(out, (uint8_t)(0xe0 | point >> 12));
        buf_byte(out, (uint8_t)(0x80 | (point >> 6 & 0x3f)));
        buf_byte(out, (uint8_t)(0x80 | (point & 0x3f)));
    } else {
        buf_byte(out, (uint8_t)marks[(size_t)(owner - 1) % (sizeof(marks) - 1)]);
    }
}

/* A tick's text stands in the row whose middle is nearest to it. */
static void write_axis(const struct chart *chart, const struct canvas *canvas,
                       const struct terminal *terminal, struct buf *out, int row, double step)
{
    struct buf text CLEANUP(buf_done) = {0};

    for (double tick = canvas->low; tick <= canvas->high + step / 2; tick += step) {
        double value = fabs(tick) < step * 1e-6 ? 0 : tick;
        int y = place_y(canvas, value);
        if (y / CELL_HEIGHT == row && text.size == 0)
            quantity_write_short(&text, value, chart->unit, 4);
    }
    bool has_tick = text.size > 0;
    terminal_style(terminal, out, STYLE_DIM);
    terminal_fit(terminal, out, buf_view(&text), AXIS_CELLS - 2, true);
    if (terminal->utf8)
        buf_text(out, has_tick ? " ┤" : " │");
    else
        buf_text(out, has_tick ? " +" : " |");
    terminal_style(terminal, out, STYLE_PLAIN);
}

static void write_plot(const struct chart *chart, const struct canvas *canvas,
                       const struct terminal *terminal, struct buf *out, double step)
{
    for (int row = 0; row < canvas->rows; row++) {
        int style = STYLE_PLAIN;
        write_axis(chart, canvas, terminal, out, row, step);
        for (int column = 0; column < canvas->columns; column++)
            write_cell(canvas, terminal, out,
                       (size_t)row * (size_t)canvas->columns + (size_t)column, &style);
        if (style != STYLE_PLAIN)
            terminal_style(terminal, out, STYLE_PLAIN);
        buf_byte(out, '\n');
    }
}

static void repeat(struct buf *out, const char *text, int count)
{
    while (count-- > 0)
        buf_text(out, text);
}

static void write_times(const struct chart *chart, const struct canvas *canvas,
                        const struct terminal *terminal, struct buf *out)
{
    int64_t span = chart->to_ms - chart->from_ms;
    int column = 0;

    terminal_style(terminal, out, STYLE_DIM);
    repeat(out, " ", AXIS_CELLS - 1);
    buf_text(out, terminal->utf8 ? "└" : "+");
    repeat(out, terminal->utf8 ? "─" : "-", canvas->columns);
    buf_byte(out, '\n');
    repeat(out, " ", AXIS_CELLS);
    for (int tick = 0;; tick++) {
        struct buf text CLEANUP(buf_done) = {0};
        int64_t time_ms = chart->from_ms + span * column / (canvas->columns - 1);
        quantity_write_time(&text, time_ms, span);
        int cells = (int)terminal_width(buf_view(&text));
        if (column + cells > canvas->columns)
            break;
        buf_str(out, buf_view(&text));
        int gap = cells < 8 ? 12 : cells + 6;
        column += gap;
        if (column >= canvas->columns)
            break;
        repeat(out, " ", gap - cells);
    }
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
}

static void write_legend(const struct chart *chart, size_t shown, const struct canvas *canvas,
                         const struct terminal *terminal, struct buf *out)
{
    size_t name_cells = (size_t)terminal->columns > 60 ? (size_t)terminal->columns - 44 : 16;

    for (size_t s = 0; s < shown; s++) {
        const struct chart_series *series = &chart->series[s];
        double low = INFINITY, high = -INFINITY, sum = 0, last = NAN;
        size_t count = 0;
        for (size_t i = 0; i < series->count; i++) {
            if (!isfinite(series->values[i]))
                continue;
            last = series->values[i];
            low = fmin(low, last);
            high = fmax(high, last);
            sum += last;
            count++;
        }
        terminal_style(terminal, out, STYLE_SERIES + (int)(s % STYLE_SERIES_COUNT));
        if (canvas->dotted)
            buf_text(out, "━━ ");
        else
            buf_printf(out, "%c%c ", marks[s % (sizeof(marks) - 1)],
                       marks[s % (sizeof(marks) - 1)]);
        terminal_style(terminal, out, STYLE_PLAIN);
        terminal_fit(terminal, out, series->name, name_cells, false);
        const double figures[] = {low, count == 0 ? NAN : sum / (double)count, high, last};
        for (size_t i = 0; i < ARRAY_COUNT(figures); i++) {
            struct buf text CLEANUP(buf_done) = {0};
            quantity_write(&text, count == 0 ? NAN : figures[i], chart->unit, 3);
            terminal_fit(terminal, out, buf_view(&text), 10, true);
        }
        buf_byte(out, '\n');
    }
    if (shown < chart->count)
        buf_printf(out, "   %zu of %zu series are drawn; narrow the selection or use topk().\n",
                   shown, chart->count);
}

static void write_legend_title(const struct terminal *terminal, struct buf *out)
{
    size_t name_cells = (size_t)terminal->columns > 60 ? (size_t)terminal->columns - 44 : 16;
    static const char *const titles[] = {"min", "mean", "max", "last"};

    terminal_style(terminal, out, STYLE_DIM);
    repeat(out, " ", (int)name_cells + 3);
    for (size_t i = 0; i < ARRAY_COUNT(titles); i++)
        terminal_fit(terminal, out, str_of(titles[i]), 10, true);
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
}

void chart_write(const struct chart *chart, const struct terminal *terminal, struct buf *out)
{
    size_t shown = chart->count < CHART_SERIES_MAX ? chart->count : CHART_SERIES_MAX;
    int rows = chart->rows > 0 ? chart->rows : terminal->rows - 4 - (int)shown;
    struct canvas canvas = {.columns = terminal->columns - AXIS_CELLS};

    canvas.rows = rows < ROWS_MIN ? ROWS_MIN : rows > ROWS_MAX ? ROWS_MAX : rows;
    canvas.dotted = terminal->utf8 && (terminal->color || chart->count <= 1);
    size_t cells = (size_t)canvas.rows * (size_t)canvas.columns;
    canvas.dots = calloc(cells, 2);
    if (canvas.dots == NULL)
        must_memory(cells * 2);
    canvas.owners = canvas.dots + cells;
    double step = choose_scale(chart, shown, &canvas);
    for (size_t s = 0; s < shown; s++)
        draw(chart, &canvas, s);
    write_plot(chart, &canvas, terminal, out, step);
    write_times(chart, &canvas, terminal, out);
    write_legend_title(terminal, out);
    write_legend(chart, shown, &canvas, terminal, out);
    free(canvas.dots);
}
