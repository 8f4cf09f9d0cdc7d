/* SPDX-License-Identifier: Apache-2.0 */
/* sonde bench changepoints: when did it change? Of a file's column, or of each metric that the gate
 * has seen, by the medians of its results. */
#include "cli/bench.h"
#include "cli/bench_history.h"
#include "cli/grid.h"
#include "stats/array.h"
#include "stats/changepoint.h"

#include <math.h>
#include <stdlib.h>

static const struct bench_metric *choose_column(const struct bench_result *result,
                                                struct str wanted)
{
    for (size_t i = 0; i < result->metrics_count; i++) {
        struct str name = str_of(result->metrics[i].name);
        if (wanted.size > 0 ? str_eq(name, wanted) : str_eq_nocase(name, STR("value")))
            return &result->metrics[i];
    }
    if (wanted.size > 0)
        return NULL;
    return &result->metrics[result->metrics_count > 1 ? 1 : 0];
}

struct series {
    const struct bench_result *result;
    const struct bench_metric *metric;
    double *values; /* What is there, */
    size_t *places; /* and which row it was. */
    size_t count;
};

static void series_done(struct series *series)
{
    array_free(series->values);
    free(series->places);
}

static void series_init(struct series *series, const struct bench_result *result,
                        const struct bench_metric *metric)
{
    *series = (struct series){result, metric, array_new(metric->count),
                              calloc(metric->count + 1, sizeof(size_t)), 0};
    if (series->places == NULL)
        must_memory((metric->count + 1) * sizeof(size_t));
    for (size_t i = 0; i < metric->count; i++) {
        if (!isfinite(metric->values[i]))
            continue;
        series->places[series->count] = i;
        series->values[series->count++] = metric->values[i];
    }
}

static const char *label_at(const struct series *series, size_t row)
{
    return row < series->result->labels_count ? series->result->labels[row] : "";
}

static double relative_change(const struct changepoint *change)
{
    return (change->after - change->before) / fabs(change->before);
}

static void write_changes_json(const struct series *series, const struct changepoint *changes,
                               size_t count, struct json *json)
{
    json_open(json, '{');
    json_key(json, "column");
    json_add_text(json, series->metric->name);
    json_key(json, "n");
    json_add_u64(json, series->metric->count);
    json_key(json, "indices");
    json_open(json, '[');
    for (size_t i = 0; i < count; i++)
        json_add_u64(json, series->places[changes[i].index]);
    json_close(json, ']');
    json_key(json, "changes");
    json_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        size_t index = changes[i].index;
        json_open(json, '{');
        json_key(json, "index");
        json_add_u64(json, series->places[index]);
        json_key(json, "before");
        json_add_double(json, changes[i].before);
        json_key(json, "after");
        json_add_double(json, changes[i].after);
        json_key(json, "change");
        json_add_double(json, relative_change(&changes[i]));
        json_key(json, "p");
        json_add_double(json, changes[i].p);
        if (series->result->labels_count > 0) {
            json_key(json, "last_good");
            json_add_text(json, label_at(series, series->places[index - 1]));
            json_key(json, "first_changed");
            json_add_text(json, label_at(series, series->places[index]));
        }
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void write_changes_text(const struct series *series, const struct changepoint *changes,
                               size_t count, const struct terminal *terminal, struct buf *out)
{
    static const struct grid_column columns[] = {
        {.title = "Row", .right = true},   {.title = "Before", .right = true},
        {.title = "After", .right = true}, {.title = "Change", .right = true},
        {.title = "p", .right = true},     {.title = "Between", .shrink = true}};
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));

    for (size_t i = 0; i < count; i++) {
        size_t index = changes[i].index;
        const char *from = label_at(series, series->places[index - 1]);
        const char *to = label_at(series, series->places[index]);
        grid_cellf(grid, "%zu", series->places[index]);
        grid_cellf(grid, "%.5g", changes[i].before);
        grid_cellf(grid, "%.5g", changes[i].after);
        double change = 100 * relative_change(&changes[i]);
        grid_cellf(grid, isfinite(change) ? "%+.1f%%" : "from 0", change);
        grid_cellf(grid, "%.2g", changes[i].p);
        grid_cellf(grid, from[0] == '\0' && to[0] == '\0' ? "%s%s" : "%s..%s", from, to);
    }
    if (count > 0)
        grid_write(grid, terminal, out);
    else
        buf_printf(out, "No change in the %zu values of %s.\n", series->count,
                   series->metric->name);
    grid_free(grid);
}

/* The search compares each row with all rows before it where nothing ever changes. */
enum { ROWS_MAX = 50000 };

static enum err tell_metric(const struct invocation *invocation, const struct bench_result *result,
                            const struct bench_metric *metric, struct json *json, struct why *why)
{
    struct changepoint_options options = CHANGEPOINT_OPTIONS_DEFAULT;
    struct changepoint *changes CLEANUP(changepoint_freep) = NULL;
    struct series series CLEANUP(series_done) = {0};

    series_init(&series, result, metric);
    if (series.count > ROWS_MAX) {
        enum err err = fail(why, ERR_LIMIT, "%s has %zu values, more than %d", metric->name,
                            series.count, ROWS_MAX);
        hint(why, "give the newest, or one median for each build or hour");
        return err;
    }
    size_t count = changepoint_find(series.values, series.count, &options, &changes);
    if (invocation->json)
        write_changes_json(&series, changes, count, json);
    else
        write_changes_text(&series, changes, count, &invocation->terminal, json->out);
    return ERR_NONE;
}

/* All that the gate's history holds. */
static enum err tell_history(const struct invocation *invocation, const struct bench_result *result,
                             struct json *json, struct why *why)
{
    if (invocation->json) {
        json_open(json, '{');
        json_key(json, "metrics");
        json_open(json, '[');
    }
    for (size_t i = 0; i < result->metrics_count; i++) {
        if (!invocation->json)
            buf_printf(json->out, "%s%s\n", i == 0 ? "" : "\n", result->metrics[i].name);
        TRY(tell_metric(invocation, result, &result->metrics[i], json, why));
    }
    if (invocation->json) {
        json_close(json, ']');
        json_close(json, '}');
    }
    return ERR_NONE;
}

static enum err read_history(const struct invocation *invocation, struct bench_results *ret_results,
                             struct why *why)
{
    struct bench_history *history = NULL;
    enum err err = bench_history_read(invocation, &history, why);

    if (err == ERR_NONE)
        err = bench_history_medians(history, bench_results_add(ret_results, STR("history")), why);
    if (err == ERR_NONE && bench_history_count(history) == 0) {
        err = fail(why, ERR_NOT_FOUND, "%s holds no results", bench_history_name(history));
        hint(why, "name a file, or the gate's history: --history FILE, --shared NAME");
    }
    bench_history_free(history);
    return err;
}

enum exit_code bench_changepoints(struct invocation *invocation)
{
    struct bench_results results CLEANUP(bench_results_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);
    struct why why = WHY_INIT;
    bool of_history = invocation->arguments_count == 1;
    const char *path = of_history ? "the history" : invocation->arguments[1];
    struct str wanted = options_text(invocation->options, BENCH_COLUMN);
    enum err err;

    if (invocation->arguments_count > 2)
        return command_usage(invocation, "sonde bench changepoints takes one file, or none");
    err = of_history ? read_history(invocation, &results, &why)
                     : bench_results_read(path, &results, &why);
    if (err != ERR_NONE)
        return command_fail(invocation, &why);
    const struct bench_result *result = &results.results[0];
    const struct bench_metric *metric =
        result->metrics_count == 0 ? NULL : choose_column(result, wanted);
    if (metric == NULL)
        return command_usage(invocation, "%s has no column '%.*s'", path, STR_ARG(wanted));
    err = of_history && wanted.size == 0 ? tell_history(invocation, result, &json, &why)
                                         : tell_metric(invocation, result, metric, &json, &why);
    if (err != ERR_NONE)
        return command_fail(invocation, &why);
    if (invocation->json)
        buf_byte(&out, '\n');
    return command_print(invocation, &out, EXIT_GOOD);
}
