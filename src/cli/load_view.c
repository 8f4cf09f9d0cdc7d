/* SPDX-License-Identifier: Apache-2.0 */
/* A run on the whole terminal: where it stands, rate and percentiles now and so far, their course,
 * errors by name, and what was promised. Drawn anew after each interval; what does not fit on a
 * small terminal is left out from the bottom. */
#include "base/clock.h"
#include "cli/chart.h"
#include "cli/grid.h"
#include "cli/load.h"
#include "cli/quantity.h"
#include "cli/screen.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHART_ROWS = 6, CHART_ROWS_LEAST = 34, ERRORS_SHOWN = 6, ROWS_LEAST = 12 };

struct load_view {
    struct screen *screen;
    struct terminal terminal;
    unsigned ends; /* How often somebody asked to end. */
    const struct load_run *run;
    const struct outcome *outcome;
    int64_t *times_ms;
    double *values[3];
};

struct load_view *load_view_open(const struct load *load)
{
    struct screen *screen;

    if (!load->invocation->terminal.tty || load->invocation->terminal.rows < ROWS_LEAST ||
        screen_open(&screen, NULL) != ERR_NONE)
        return NULL;
    struct load_view *view = calloc(1, sizeof(*view));
    if (view == NULL)
        must_memory(sizeof(*view));
    view->screen = screen;
    view->terminal = load->invocation->terminal;
    view->times_ms = calloc(OUTCOME_POINTS_MAX, sizeof(*view->times_ms));
    for (size_t i = 0; i < ARRAY_COUNT(view->values); i++) {
        view->values[i] = calloc(OUTCOME_POINTS_MAX, sizeof(double));
        if (view->values[i] == NULL || view->times_ms == NULL)
            must_memory(OUTCOME_POINTS_MAX * sizeof(double));
    }
    return view;
}

struct load_view *load_view_close(struct load_view *view)
{
    if (view == NULL)
        return NULL;
    screen_close(view->screen);
    for (size_t i = 0; i < ARRAY_COUNT(view->values); i++)
        free(view->values[i]);
    free(view->times_ms);
    free(view);
    return NULL;
}

/* ---- The parts. ---- */

static void write_clock(struct buf *out, double seconds)
{
    int64_t whole = seconds < 0 ? 0 : (int64_t)seconds;

    if (whole >= 3600)
        buf_printf(out, "%" PRId64 ":", whole / 3600);
    buf_printf(out, "%02" PRId64 ":%02" PRId64, whole / 60 % 60, whole % 60);
}

static void add_progress(struct load_view *view, struct buf *out)
{
    const struct terminal *terminal = &view->terminal;
    const struct plan *plan = view->outcome->plan;
    const struct outcome_point *point = &view->outcome->points[view->outcome->points_count - 1];
    double length_s = (double)pattern_length_ns(&plan->pattern) / (double)CLOCK_NS_PER_S;
    double share = fmin(1, length_s > 0 ? point->time_s / length_s : 1);
    int cells = terminal->columns > 40 ? terminal->columns - 24 : 16;

    if (plan->requests_max > 0)
        share = fmax(share, (double)view->outcome->total.requests / (double)plan->requests_max);
    int full = (int)(fmin(1, share) * cells);
    terminal_style(terminal, out, STYLE_TITLE);
    terminal_fit(terminal, out, str_of(plan->title), (size_t)terminal->columns, false);
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
    if (view->run->caption != NULL) {
        terminal_fit(terminal, out, str_of(view->run->caption), (size_t)terminal->columns, false);
        buf_byte(out, '\n');
    }
    terminal_style(terminal, out, STYLE_GOOD);
    for (int i = 0; i < cells; i++) {
        if (i == full)
            terminal_style(terminal, out, STYLE_DIM);
        buf_text(out, i < full ? (terminal->utf8 ? "█" : "#") : terminal->utf8 ? "░" : ".");
    }
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_text(out, "  ");
    write_clock(out, point->time_s);
    buf_text(out, " / ");
    write_clock(out, length_s);
    buf_text(out, "\n\n");
}

static void add_figure(const struct terminal *terminal, struct buf *out, const char *name,
                       double value, enum unit unit)
{
    terminal_styled(terminal, out, STYLE_DIM, "%s ", name);
    quantity_write(out, value, unit, 3);
    buf_text(out, "   ");
}

static void add_figures(struct load_view *view, struct buf *out)
{
    const struct terminal *terminal = &view->terminal;
    const struct outcome *outcome = view->outcome;
    const struct outcome_point *point = &outcome->points[outcome->points_count - 1];
    bool open = outcome->plan->model == MODEL_OPEN;
    double errors = outcome_error_rate(outcome);

    add_figure(terminal, out, "rate", (double)point->requests / point->length_s, UNIT_PER_SECOND);
    if (open)
        add_figure(terminal, out, "asked for", point->level, UNIT_PER_SECOND);
    else
        add_figure(terminal, out, "users", point->level, UNIT_NONE);
    add_figure(terminal, out, "requests", (double)outcome->total.requests, UNIT_NONE);
    terminal_styled(terminal, out, STYLE_DIM, "errors ");
    terminal_styled(terminal, out, errors > 0 ? STYLE_BAD : STYLE_GOOD, "%" PRIu64 " (%.2f %%)",
                    outcome->total.failures, errors * 100);
    buf_byte(out, '\n');
    add_figure(terminal, out, "connections", (double)outcome->links.connections_open, UNIT_NONE);
    if (open)
        add_figure(terminal, out, "queue", (double)point->backlog, UNIT_NONE);
    add_figure(terminal, out, "received", (double)point->bytes_in / point->length_s,
               UNIT_BYTES_PER_SECOND);
    if (outcome->streams != NULL) {
        add_figure(terminal, out, "tokens", (double)point->tokens_out / point->length_s,
                   UNIT_PER_SECOND);
        add_figure(terminal, out, "good", (double)point->good / point->length_s, UNIT_PER_SECOND);
    }
    buf_text(out, "\n\n");
}

static void add_quantiles(struct grid *grid, const char *name, const struct histogram *histogram)
{
    static const double quantiles[] = {0.5, 0.9, 0.95, 0.99, 0.999};

    if (histogram->count == 0)
        return;
    grid_cellf(grid, "%s", name);
    for (size_t i = 0; i <= ARRAY_COUNT(quantiles); i++) {
        struct buf text CLEANUP(buf_done) = {0};
        double ns = i < ARRAY_COUNT(quantiles) ? histogram_at(histogram, quantiles[i])
                                               : (double)histogram->max_ns;
        quantity_write(&text, ns / 1e9, UNIT_SECONDS, 3);
        grid_cell(grid, buf_view(&text));
    }
}

static void add_percentiles(struct load_view *view, struct buf *out)
{
    static const struct grid_column columns[] = {
        {"", false, false},   {"p50", true, false},   {"p90", true, false}, {"p95", true, false},
        {"p99", true, false}, {"p99.9", true, false}, {"max", true, false}};
    const struct outcome *outcome = view->outcome;
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));

    if (outcome->streams != NULL) {
        add_quantiles(grid, "to the first token", &outcome->streams->ttft);
        add_quantiles(grid, "between chunks", &outcome->streams->gap);
        add_quantiles(grid, "to the last token", &outcome->streams->e2e);
    }
    add_quantiles(grid, "latency", &outcome->total.latency);
    add_quantiles(grid, "service time", &outcome->total.service);
    add_quantiles(grid, "first byte", &outcome->total.first_byte);
    grid_write(grid, &view->terminal, out);
    (void)grid_free(grid);
    buf_byte(out, '\n');
}

static void add_errors(struct load_view *view, struct buf *out)
{
    const struct tally *total = &view->outcome->total;
    int shown = 0;

    for (unsigned i = 0; i < FAULT_COUNT && shown < ERRORS_SHOWN; i++) {
        if (total->faults[i] == 0)
            continue;
        terminal_styled(&view->terminal, out, STYLE_BAD, "%8" PRIu64 "  %s", total->faults[i],
                        fault_name((enum fault)i));
        terminal_styled(&view->terminal, out, STYLE_DIM, "  %s\n", fault_text((enum fault)i));
        shown++;
    }
    if (shown > 0)
        buf_byte(out, '\n');
}

static void add_criteria(struct load_view *view, struct buf *out)
{
    const struct load_run *run = view->run;

    for (size_t i = 0; i < run->criteria_count; i++) {
        const struct criterion *criterion = &run->criteria[i];
        struct buf text CLEANUP(buf_done) = {0};
        if (criterion->step.size > 0)
            continue; /* Steps are summed up at the end. */
        double measured = criterion_measure(criterion, view->outcome);
        bool holds = criterion_holds(criterion, measured);
        criterion_write_value(criterion, measured, &text);
        terminal_styled(&view->terminal, out, holds ? STYLE_GOOD : STYLE_BAD, "%s ",
                        holds ? "kept  " : "broken");
        terminal_text(out, criterion->text);
        buf_text(out, "  ");
        terminal_text(out, buf_view(&text));
        buf_byte(out, '\n');
    }
}

static void add_chart(struct load_view *view, const char *const *names, size_t count,
                      enum unit unit, struct buf *out)
{
    struct chart_series series[ARRAY_COUNT(view->values)];
    const struct outcome *outcome = view->outcome;
    size_t points = outcome->points_count;

    for (size_t i = 0; i < count; i++)
        series[i] = (struct chart_series){.name = str_of(names[i]),
                                          .times_ms = view->times_ms,
                                          .values = view->values[i],
                                          .count = points};
    const struct chart chart = {.series = series,
                                .count = count,
                                .from_ms = outcome->started_ms,
                                .to_ms = view->times_ms[points - 1],
                                .step_ms = INT32_MAX,
                                .unit = unit,
                                .rows = CHART_ROWS};
    chart_write(&chart, &view->terminal, out);
}

static void add_course(struct load_view *view, struct buf *out)
{
    static const char *const latency[] = {"p50", "p95", "p99"};
    static const char *const rate[] = {"requests a second", "errors a second"};
    const struct outcome *outcome = view->outcome;

    if (view->terminal.rows < CHART_ROWS_LEAST || outcome->points_count < 2)
        return;
    for (size_t i = 0; i < outcome->points_count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        view->times_ms[i] = outcome->started_ms + (int64_t)(point->time_s * 1000);
        view->values[0][i] = (double)point->requests / point->length_s;
        view->values[1][i] = (double)point->failures / point->length_s;
    }
    add_chart(view, rate, ARRAY_COUNT(rate), UNIT_PER_SECOND, out);
    for (size_t i = 0; i < outcome->points_count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        view->values[0][i] = point->p50_ms / 1000;
        view->values[1][i] = point->p95_ms / 1000;
        view->values[2][i] = point->p99_ms / 1000;
    }
    add_chart(view, latency, ARRAY_COUNT(latency), UNIT_SECONDS, out);
}

static void draw(struct load_view *view)
{
    struct buf out CLEANUP(buf_done) = {0};

    if (view->outcome == NULL || view->outcome->points_count == 0)
        return;
    terminal_measure(&view->terminal);
    add_progress(view, &out);
    add_figures(view, &out);
    add_percentiles(view, &out);
    add_criteria(view, &out);
    add_errors(view, &out);
    add_course(view, &out);
    terminal_styled(&view->terminal, &out, STYLE_DIM, "%s",
                    view->ends == 0 ? "q ends the run and waits for the answers under way"
                                    : "ending; once more ends at once");
    screen_show(view->screen, &view->terminal, buf_view(&out));
}

void load_view_show(struct load_view *view, const struct load_run *run,
                    const struct outcome *outcome)
{
    view->run = run;
    view->outcome = outcome;
    draw(view);
}

bool load_view_attend(struct load_view *view)
{
    int key = SCREEN_KEY_NONE;

    switch (screen_wait(view->screen, 0, &key)) {
    case SCREEN_TIMEOUT:
        return false;
    case SCREEN_RESIZED:
        draw(view);
        return false;
    case SCREEN_KEY:
        if (key != 'q' && key != SCREEN_KEY_ESCAPE)
            return false;
        break;
    case SCREEN_ENDED:
        break;
    }
    view->ends++;
    draw(view);
    return true;
}
