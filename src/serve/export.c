/* SPDX-License-Identifier: Apache-2.0 */
/* POST …/export: which figures or expressions, from when to when, and in which form:
 *
 *     {"format":"csv","kinds":["cpu_percent"],"exprs":["node_load1"],
 *      "start":1763650000,"end":"2026-11-20T17:00:00Z","step":"10s"}
 *
 * Everything may be left out: then it is all figures of the last hour as JSON. */
#include "serve/figures.h"
#include "serve/server_priv.h"

#include "base/clock.h"
#include "codec/json_tree.h"
#include "model/label.h"
#include "report/report.h"

#define EXPORT_MS         (INT64_C(3600) * 1000)
#define EXPORT_STEPS      720
#define EXPORT_SERIES_MAX 20000
#define EXPORT_POINTS_MAX ((size_t)5000000)
#define EXPRS_MAX         50

struct export
{
    const struct report_kind *kind;
    struct figure_choice choice;
    struct str exprs[EXPRS_MAX];
    size_t exprs_count;
    struct figure_range range;
    struct report_series *series;
    size_t series_count;
};

static enum err read_format(const struct node *root, struct export *export, struct why *why)
{
    const struct node *node = node_get(root, "format");
    struct str name = STR("json");

    if (node != NULL)
        TRY(node_text(node, &name, why));
    export->kind = report_find(name);
    if (export->kind == NULL)
        return node_fail(node, why, "'%.*s' is no format: write json, csv or prometheus",
                         STR_ARG(name));
    return ERR_NONE;
}

/* Seconds since 1970, RFC 3339, or the default. */
static enum err read_time(const struct node *root, const char *key, int64_t *time_ms,
                          struct why *why)
{
    const struct node *node = node_get(root, key);
    struct str text;

    if (node == NULL)
        return ERR_NONE;
    TRY(node_text(node, &text, why));
    if (!clock_parse(text.data, text.size, time_ms))
        return node_fail(node, why, "'%.*s' is no time: write seconds since 1970 or RFC 3339",
                         STR_ARG(text));
    return ERR_NONE;
}

static enum err read_step(const struct node *root, int64_t *step_ms, struct why *why)
{
    const struct node *node = node_get(root, "step");
    struct str text;
    double seconds;

    if (node == NULL)
        return ERR_NONE;
    TRY(node_text(node, &text, why));
    if (str_to_double(text, &seconds) && seconds > 0 && seconds < 1e9)
        *step_ms = (int64_t)(seconds * 1e3);
    else if (!str_to_duration_ms(text, step_ms))
        *step_ms = 0;
    if (*step_ms <= 0)
        return node_fail(node, why, "'%.*s' is no step: write seconds or a duration such as 15s",
                         STR_ARG(text));
    return ERR_NONE;
}

static enum err read_when(const struct node *root, struct figure_range *range, struct why *why)
{
    range->end_ms = clock_now_ms();
    TRY(read_time(root, "end", &range->end_ms, why));
    range->start_ms = range->end_ms - EXPORT_MS;
    TRY(read_time(root, "start", &range->start_ms, why));
    if (range->end_ms < range->start_ms)
        return fail(why, ERR_INVALID, "body: end is before start");
    range->step_ms = (range->end_ms - range->start_ms) / EXPORT_STEPS;
    if (range->step_ms < CLOCK_MS_PER_S)
        range->step_ms = CLOCK_MS_PER_S;
    return read_step(root, &range->step_ms, why);
}

static enum err read_what(const struct node *root, struct export *export, struct why *why)
{
    const struct node *kinds = node_get(root, "kinds");
    const struct node *exprs = node_get(root, "exprs");
    struct str text;

    if (kinds == NULL && exprs == NULL)
        return figures_choose(STR_NONE, &export->choice, why);
    if (kinds != NULL) {
        TRY(node_list(kinds, why));
        NODE_EACH(kinds, item)
        {
            TRY(node_text(item, &text, why));
            TRY(figures_add(text, &export->choice, why));
        }
    }
    if (exprs != NULL) {
        TRY(node_list(exprs, why));
        NODE_EACH(exprs, item)
        {
            if (export->exprs_count == EXPRS_MAX)
                return node_fail(exprs, why, "more than %d expressions", EXPRS_MAX);
            TRY(node_text(item, &export->exprs[export->exprs_count++], why));
        }
    }
    return ERR_NONE;
}

static enum err read_export(struct call *call, struct export *export, struct why *why)
{
    static const char *const keys[] = {"format", "kinds", "exprs", "start", "end", "step"};
    struct str body = exchange_body(call->exchange);
    const struct node *root;

    if (body.size == 0)
        body = STR("{}");
    TRY(json_read(body, "body", body.size, call->arena, &root, why));
    TRY(node_map(root, why));
    TRY(node_only(root, keys, ARRAY_COUNT(keys), why));
    TRY(read_format(root, export, why));
    TRY(read_when(root, &export->range, why));
    return read_what(root, export, why);
}

static enum err add_result(struct export *export, struct str name,
                           const struct promql_result *result, struct why *why)
{
    for (size_t i = 0; i < result->series_count; i++) {
        const struct promql_series *series = &result->series[i];
        struct str own = series->labels == NULL ? STR_NONE : labels_get(series->labels, LABEL_NAME);
        if (export->series_count == EXPORT_SERIES_MAX) {
            (void)fail(why, ERR_LIMIT, "the export has more than %d series", EXPORT_SERIES_MAX);
            hint(why, "sum them up in the expressions, or select fewer");
            return ERR_LIMIT;
        }
        export->series[export->series_count++] = (struct report_series){
            .name = own.size > 0 ? own : name,
            .labels = series->labels,
            .times_ms = series->times_ms,
            .values = series->values,
            .count = series->count,
        };
    }
    return ERR_NONE;
}

static enum err ask_all(struct call *call, struct export *export, struct why *why)
{
    struct promql_result result;

    for (size_t i = 0; i < export->choice.count; i++) {
        const struct figure *figure = &figures[export->choice.items[i]];
        TRY(figure_ask(call, figure, &export->range, &result, why));
        TRY(add_result(export, str_of(figure->name), &result, why));
    }
    for (size_t i = 0; i < export->exprs_count; i++) {
        enum err err = figure_ask_text(call, export->exprs[i], &export->range, &result, why);
        if (err != ERR_NONE) {
            why_prefix(why, "body: exprs[%zu]", i);
            return err;
        }
        TRY(add_result(export, export->exprs[i], &result, why));
    }
    return ERR_NONE;
}

static enum err work_export(struct call *call, struct why *why)
{
    struct export *export = ARENA_NEW(call->arena, struct export);

    if (export == NULL)
        return arena_spent(call->arena, "the export", why);
    TRY(read_export(call, export, why));
    export->series = ARENA_ARRAY(call->arena, EXPORT_SERIES_MAX, struct report_series);
    if (export->series == NULL)
        return arena_spent(call->arena, "the export", why);
    TRY(ask_all(call, export, why));

    const struct report_data data = {
        .start_ms = export->range.start_ms,
        .end_ms = export->range.end_ms,
        .step_ms = export->range.step_ms,
        .series = export->series,
        .count = export->series_count,
    };
    if (report_points_count(&data) > EXPORT_POINTS_MAX) {
        (void)fail(why, ERR_LIMIT, "the export has more than %zu points", EXPORT_POINTS_MAX);
        hint(why, "take a longer step, a shorter range or fewer series");
        return ERR_LIMIT;
    }
    TRY(export->kind->write(&data, call->arena, &call->answer.body, why));
    call->answer.content_type = str_of(export->kind->media_type);
    char *disposition =
        arena_printf(exchange_arena(call->exchange), "attachment; filename=\"sonde-export%s\"",
                     export->kind->suffix);
    if (disposition != NULL)
        call_header(call, "Content-Disposition", str_of(disposition));
    return ERR_NONE;
}

void route_performance_export(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_export);
}
