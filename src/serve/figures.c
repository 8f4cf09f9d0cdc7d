/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/figures.h"
#include "serve/server_priv.h"

#include <math.h>

#define WINDOW_MS_MIN INT64_C(60000)

const struct figure figures[] = {
#define FIGURE(name, expr) {#name, expr},
#include "serve/figures.def"
#undef FIGURE
};
const size_t figures_count = ARRAY_COUNT(figures);

enum err figures_add(struct str name, struct figure_choice *choice, struct why *why)
{
    for (size_t i = 0; i < figures_count; i++) {
        if (!str_eq(name, str_of(figures[i].name)))
            continue;
        if (choice->count == FIGURES_MAX)
            return fail(why, ERR_LIMIT, "more than %d figures", FIGURES_MAX);
        choice->items[choice->count++] = i;
        return ERR_NONE;
    }
    (void)fail(why, ERR_INVALID, "there is no figure \"%.*s\"", STR_ARG(name));
    hint(why, "/api/v1/performance/metrics/current shows them all; others can be asked by "
              "expression with /api/v1/query_range");
    return ERR_INVALID;
}

enum err figures_choose(struct str names, struct figure_choice *ret_choice, struct why *why)
{
    ret_choice->count = 0;
    if (names.size == 0) {
        for (size_t i = 0; i < figures_count; i++)
            ret_choice->items[ret_choice->count++] = i;
        return ERR_NONE;
    }
    while (names.data != NULL)
        TRY(figures_add(str_trim(str_split(&names, ',')), ret_choice, why));
    return ERR_NONE;
}

/* The expression with $w as a duration. */
static void write_expr(struct buf *out, struct str expr, int64_t window_ms)
{
    while (expr.size > 0) {
        ptrdiff_t at = str_find_str(expr, STR("$w"));
        size_t size = at < 0 ? expr.size : (size_t)at;
        buf_append(out, expr.data, size);
        if (at < 0)
            return;
        buf_printf(out, "%llds", (long long)((window_ms + 999) / 1000));
        expr.data += size + 2;
        expr.size -= size + 2;
    }
}

enum err figure_ask_text(struct call *call, struct str expr, const struct figure_range *range,
                         struct promql_result *ret_result, struct why *why)
{
    CLEANUP(promql_freep) struct promql_expression *expression = NULL;
    const struct promql_query query = {
        .source = call->view,
        .start_ms = range->start_ms,
        .end_ms = range->step_ms == 0 ? range->start_ms : range->end_ms,
        .step_ms = range->step_ms,
        .timeout_ms = call->server->options.query_timeout_ms,
        .cancelled = exchange_cancel_flag(call->exchange),
        .arena = call->arena,
    };
    struct buf text = {0};

    write_expr(&text, expr, range->step_ms > WINDOW_MS_MIN ? range->step_ms : WINDOW_MS_MIN);
    enum err err = promql_parse(buf_view(&text), &expression, why);
    buf_done(&text);
    TRY(err);
    if (range->step_ms == 0)
        return promql_eval_instant(expression, &query, ret_result, why);
    return promql_eval_range(expression, &query, ret_result, why);
}

enum err figure_ask(struct call *call, const struct figure *figure,
                    const struct figure_range *range, struct promql_result *ret_result,
                    struct why *why)
{
    return figure_ask_text(call, str_of(figure->expr), range, ret_result, why);
}

enum err figure_value(struct call *call, const struct figure *figure, int64_t time_ms,
                      double *ret_value, struct why *why)
{
    const struct figure_range range = {.start_ms = time_ms};
    struct promql_result result;

    TRY(figure_ask(call, figure, &range, &result, why));
    *ret_value = result.series_count > 0 ? result.series[0].values[0] : NAN;
    return ERR_NONE;
}
