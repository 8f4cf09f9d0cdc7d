/* SPDX-License-Identifier: Apache-2.0 */
/* Charts as inline SVG: no script, sized by their box, in the page's own colours, so they print and
 * mail well. Numbers stand inside, on the lines of the grid, for on a phone there is no room beside
 * it and letters must be larger (the style sheet in html.c does that). */
#include "base/clock.h"
#include "document/document_priv.h"

#include <math.h>

enum {
    WIDTH = 720,
    HEIGHT = 220,
    LEFT = 2,
    RIGHT = 2,
    TOP = 26,
    BOTTOM = 32,
    POINTS_MAX = 1440, /* Two for each pixel: more cannot be seen. */
    TICKS = 4,
};

/* Okabe and Ito's palette, told apart by colour-blind eyes. */
static const char *const palette[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                      "#E69F00", "#56B4E9", "#8A6D00", "#666666"};

struct range {
    double x_min, x_max, y_min, y_max;
};

/* The next of 1, 2, 2.5, 5 and 10 times a power of ten; 1 for what is nothing. */
static double round_up(double value)
{
    static const double steps[] = {1, 2, 2.5, 5, 10};
    size_t i = 0;

    if (!(value > 0) || !isfinite(value))
        return 1;
    double unit = pow(10, floor(log10(value)));
    while (i + 1 < ARRAY_COUNT(steps) && steps[i] * unit < value)
        i++;
    return steps[i] * unit;
}

static struct range range_of(const struct chart *chart)
{
    struct range range = {INFINITY, -INFINITY, 0, -INFINITY};

    for (const struct line *line = chart->lines; line != NULL; line = line->next) {
        for (size_t i = 0; i < line->count; i++) {
            range.x_min = fmin(range.x_min, line->x[i]);
            range.x_max = fmax(range.x_max, line->x[i]);
            if (!isfinite(line->y[i]))
                continue;
            range.y_min = fmin(range.y_min, line->y[i]);
            range.y_max = fmax(range.y_max, line->y[i]);
        }
    }
    if (!(range.x_max > range.x_min))
        range.x_max = range.x_min + 1;
    range.y_max =
        chart->unit == UNIT_RATIO && range.y_max <= 1 ? 1 : TICKS * round_up(range.y_max / TICKS);
    return range;
}

static double at_x(const struct range *range, double x)
{
    return LEFT + (x - range->x_min) / (range->x_max - range->x_min) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct range *range, double y)
{
    return HEIGHT - BOTTOM -
           (y - range->y_min) / (range->y_max - range->y_min) * (HEIGHT - TOP - BOTTOM);
}

static double tick_at(const struct range *range, int tick)
{
    return range->y_min + (range->y_max - range->y_min) * tick / TICKS;
}

static void write_grid(struct buf *out, const struct range *range)
{
    for (int i = 0; i <= TICKS; i++) {
        double y = at_y(range, tick_at(range, i));
        buf_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                   WIDTH - RIGHT, y, y);
    }
}

/* After the lines, so that they can be read on them. */
static void write_ticks(struct buf *out, const struct chart *chart, const struct range *range)
{
    for (int i = 1; i <= TICKS; i++) {
        double value = tick_at(range, i);
        buf_printf(out, "<text class=\"tick\" x=\"%d\" y=\"%.1f\">", LEFT, at_y(range, value) - 4);
        document_format(out, value, chart->unit);
        buf_text(out, "</text>");
    }
}

static void write_x_label(struct buf *out, const struct chart *chart, double x, const char *anchor,
                          int at)
{
    buf_printf(out, "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"%s\">", at, HEIGHT - 8,
               anchor);
    if (chart->x_is_time) {
        char time[CLOCK_TEXT_SIZE];
        (void)clock_text(time, (int64_t)x); /* The size is not needed. */
        buf_printf(out, "%.10s %.8s", time, time + 11);
    } else {
        /* Where an axis ends says no more than that. */
        document_format(out, chart->x_unit == UNIT_NONE && fabs(x) >= 100 ? round(x) : x,
                        chart->x_unit);
    }
    buf_text(out, "</text>");
}

static bool is_point(const struct line *line, size_t i)
{
    return i < line->count && isfinite(line->y[i]);
}

/* A point alone is a line of no length, whose round ends are seen. */
static void write_dots(struct buf *out, const struct line *line, const struct range *range,
                       size_t step, const char *colour)
{
    bool any = false;

    for (size_t i = 0; i < line->count; i += step) {
        if (!is_point(line, i) || (i >= step && is_point(line, i - step)) ||
            is_point(line, i + step))
            continue;
        if (!any)
            buf_printf(out, "<path class=\"line dot\" stroke=\"%s\" d=\"", colour);
        any = true;
        buf_printf(out, "M%.1f %.1fh0", at_x(range, line->x[i]), at_y(range, line->y[i]));
    }
    if (any)
        buf_text(out, "\"/>");
}

static void write_line(struct buf *out, const struct line *line, const struct range *range,
                       const char *colour)
{
    size_t step = line->count / POINTS_MAX + 1;
    bool pen_down = false;

    buf_printf(out, "<path class=\"line\" stroke=\"%s\" d=\"", colour);
    for (size_t i = 0; i < line->count; i += step) {
        if (!is_point(line, i)) {
            pen_down = false;
            continue;
        }
        buf_printf(out, "%s%.1f %.1f", pen_down ? "L" : "M", at_x(range, line->x[i]),
                   at_y(range, line->y[i]));
        pen_down = true;
    }
    buf_text(out, "\"/>");
    write_dots(out, line, range, step, colour);
}

static void write_lines(struct buf *out, const struct chart *chart, struct str title)
{
    struct range range = range_of(chart);
    size_t index = 0;

    buf_printf(out, "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
               HEIGHT);
    document_escape(out, title);
    buf_text(out, "\">");
    write_grid(out, &range);
    index = 0;
    for (const struct line *line = chart->lines; line != NULL; line = line->next, index++)
        write_line(out, line, &range, palette[index % ARRAY_COUNT(palette)]);
    write_ticks(out, chart, &range);
    if (isfinite(range.x_min)) {
        write_x_label(out, chart, range.x_min, "start", LEFT);
        write_x_label(out, chart, range.x_max, "end", WIDTH - RIGHT);
    }
    buf_text(out, "</svg><p class=\"legend\">");
    index = 0;
    for (const struct line *line = chart->lines; line != NULL; line = line->next, index++) {
        buf_printf(out,
                   "<span><svg viewBox=\"0 0 9 3\" aria-hidden=\"true\"><rect width=\"9\" "
                   "height=\"3\" fill=\"%s\"/></svg>",
                   palette[index % ARRAY_COUNT(palette)]);
        document_escape(out, line->name);
        buf_text(out, "</span> ");
    }
    buf_text(out, "</p>");
}

/* A row each, whose name and number are text of the page, so that they are of its size on a phone
 * and are read aloud; only the bar is drawn, for backgrounds are not printed. */
static void write_bars(struct buf *out, const struct chart *chart, struct str title)
{
    double most = 0;

    for (const struct line *line = chart->lines; line != NULL; line = line->next)
        most = line->count > 0 && line->y[0] > most ? line->y[0] : most;
    buf_text(out, "<table class=\"bars\" aria-label=\"");
    document_escape(out, title);
    buf_text(out, "\"><tbody>");
    for (const struct line *line = chart->lines; line != NULL; line = line->next) {
        double value = line->count > 0 ? line->y[0] : NAN;
        double share = most > 0 && isfinite(value) && value > 0 ? value / most : 0;
        buf_text(out, "<tr><th scope=\"row\">");
        document_escape_breaking(out, line->name);
        buf_printf(out,
                   "</th><td><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" "
                   "aria-hidden=\"true\"><rect width=\"%.2f\" height=\"10\" fill=\"%s\"/></svg>"
                   "</td><td>",
                   100 * share, palette[0]);
        document_format(out, value, chart->unit);
        buf_text(out, "</td></tr>");
    }
    buf_text(out, "</tbody></table>");
}

void document_write_svg(struct buf *out, const struct chart *chart, struct str title)
{
    if (chart->kind == CHART_BAR)
        write_bars(out, chart, title);
    else
        write_lines(out, chart, title);
}
