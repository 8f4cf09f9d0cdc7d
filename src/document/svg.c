/* SPDX-License-Identifier: Apache-2.0 */
/* Charts as inline SVG: no script, sized by their box, in the page's own colours (CSS variables
 * with fallbacks), so they print and mail well. */
#include "base/clock.h"
#include "document/document_priv.h"

#include <math.h>

enum {
    WIDTH = 720,
    HEIGHT = 220,
    LEFT = 64,
    RIGHT = 12,
    TOP = 12,
    BOTTOM = 28,
    BAR_HEIGHT = 26,
    POINTS_MAX = 1440, /* Two for each pixel: more cannot be seen. */
    TICKS = 4,
};

/* Okabe and Ito's palette, told apart by colour-blind eyes. */
static const char *const palette[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                      "#E69F00", "#56B4E9", "#8A6D00", "#666666"};

struct range {
    double x_min, x_max, y_min, y_max;
};

static struct range range_of(const struct chart *chart)
{
    struct range range = {INFINITY, -INFINITY, 0, -INFINITY};

    for (const struct line *line = chart->lines; line != NULL; line = line->next) {
        for (size_t i = 0; i < line->count; i++) {
            if (!isfinite(line->y[i]))
                continue;
            range.x_min = fmin(range.x_min, line->x[i]);
            range.x_max = fmax(range.x_max, line->x[i]);
            range.y_min = fmin(range.y_min, line->y[i]);
            range.y_max = fmax(range.y_max, line->y[i]);
        }
    }
    if (!(range.x_max > range.x_min))
        range.x_max = range.x_min + 1;
    if (!(range.y_max > range.y_min))
        range.y_max = range.y_min + 1;
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

static void write_ticks(struct buf *out, const struct chart *chart, const struct range *range)
{
    for (int i = 0; i <= TICKS; i++) {
        double value = range->y_min + (range->y_max - range->y_min) * i / TICKS;
        double y = at_y(range, value);
        buf_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                   WIDTH - RIGHT, y, y);
        buf_printf(out, "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6,
                   y + 4);
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
        document_format(out, x, UNIT_NONE);
    }
    buf_text(out, "</text>");
}

static void write_line(struct buf *out, const struct line *line, const struct range *range,
                       const char *colour)
{
    size_t step = line->count / POINTS_MAX + 1;
    bool pen_down = false;

    buf_printf(out, "<path class=\"line\" stroke=\"%s\" d=\"", colour);
    for (size_t i = 0; i < line->count; i += step) {
        if (!isfinite(line->y[i])) {
            pen_down = false;
            continue;
        }
        buf_printf(out, "%s%.1f %.1f", pen_down ? "L" : "M", at_x(range, line->x[i]),
                   at_y(range, line->y[i]));
        pen_down = true;
    }
    buf_text(out, "\"/>");
}

static void write_lines(struct buf *out, const struct chart *chart, struct str title)
{
    struct range range = range_of(chart);
    size_t index = 0;

    buf_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    document_escape_html(out, title);
    buf_text(out, "\">");
    write_ticks(out, chart, &range);
    if (isfinite(range.x_min)) {
        write_x_label(out, chart, range.x_min, "start", LEFT);
        write_x_label(out, chart, range.x_max, "end", WIDTH - RIGHT);
    }
    for (const struct line *line = chart->lines; line != NULL; line = line->next, index++)
        write_line(out, line, &range, palette[index % ARRAY_COUNT(palette)]);
    buf_text(out, "</svg><p class=\"legend\">");
    index = 0;
    for (const struct line *line = chart->lines; line != NULL; line = line->next, index++) {
        buf_printf(out, "<span><i style=\"background:%s\"></i>",
                   palette[index % ARRAY_COUNT(palette)]);
        document_escape_html(out, line->name);
        buf_text(out, "</span> ");
    }
    buf_text(out, "</p>");
}

static void write_bars(struct buf *out, const struct chart *chart, struct str title)
{
    double most = 0;
    size_t index = 0;

    for (const struct line *line = chart->lines; line != NULL; line = line->next)
        most = line->count > 0 && line->y[0] > most ? line->y[0] : most;
    buf_printf(out, "<svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"", WIDTH,
               chart->line_count * BAR_HEIGHT + 4);
    document_escape_html(out, title);
    buf_text(out, "\">");
    for (const struct line *line = chart->lines; line != NULL; line = line->next, index++) {
        double value = line->count > 0 && isfinite(line->y[0]) ? line->y[0] : 0;
        double width = most > 0 ? value / most * (WIDTH - 300) : 0;
        size_t y = index * BAR_HEIGHT;
        buf_printf(out, "<text class=\"tick\" x=\"190\" y=\"%zu\" text-anchor=\"end\">", y + 18);
        document_escape_html(out, line->name);
        buf_printf(out,
                   "</text><rect x=\"200\" y=\"%zu\" width=\"%.1f\" height=\"%d\" rx=\"3\" "
                   "fill=\"%s\"/><text class=\"tick\" x=\"%.1f\" y=\"%zu\">",
                   y + 4, fmax(width, 1), BAR_HEIGHT - 8, palette[0], 206 + width, y + 18);
        document_format(out, value, chart->unit);
        buf_text(out, "</text>");
    }
    buf_text(out, "</svg>");
}

void document_write_svg(struct buf *out, const struct chart *chart, struct str title)
{
    if (chart->kind == CHART_BAR)
        write_bars(out, chart, title);
    else
        write_lines(out, chart, title);
}
