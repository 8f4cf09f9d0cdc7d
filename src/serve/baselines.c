/* SPDX-License-Identifier: Apache-2.0 */
/* What is usual at each hour of the week for one expression, learnt from the weeks before. */
#include "analysis/baseline.h"
#include "base/clock.h"
#include "base/json.h"
#include "query/promql.h"
#include "serve/params.h"
#include "serve/server_priv.h"

#include <math.h>

#define WEEK_MS (7 * CLOCK_MS_PER_DAY)
#define STEP_MS (INT64_C(900) * 1000)

enum { WEEKS = 4, WEEKS_MAX = 12 };

static enum err ask(struct call *call, const struct promql_expression *expression, int64_t start_ms,
                    int64_t end_ms, int64_t step_ms, struct promql_result *ret_result,
                    struct why *why)
{
    const struct promql_query query = {
        .source = call->view,
        .start_ms = start_ms,
        .end_ms = end_ms,
        .step_ms = step_ms,
        .timeout_ms = call->server->options.query_timeout_ms,
        .cancelled = exchange_cancel_flag(call->exchange),
        .arena = call->arena,
    };

    TRY(promql_eval_range(expression, &query, ret_result, why));
    if (ret_result->series_count <= 1)
        return ERR_NONE;
    (void)fail(why, ERR_INVALID, "the expression has %zu series; a baseline is learnt from one",
               ret_result->series_count);
    hint(why, "choose one with a selector, or add them up with sum()");
    return ERR_INVALID;
}

static void put_hour(struct json *json, unsigned hour, const struct baseline_band *band)
{
    static const char *const days[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

    json_open(json, '{');
    json_put_text(json, "day", days[hour / 24]);
    json_put_u64(json, "hour", hour % 24);
    json_put_u64(json, "count", band->count);
    json_put_text(json, "learnt_from", baseline_reach_name(band->reach));
    json_put_double(json, "median", band->median);
    json_put_double(json, "low", band->low);
    json_put_double(json, "high", band->high);
    json_close(json, '}');
}

static void put_all(struct json *json, const struct baseline *baseline, int64_t now_ms,
                    double value)
{
    json_open(json, '{');
    json_put_i64(json, "time_ms", now_ms);
    json_put_double(json, "value", value);
    json_put_text(json, "verdict", baseline_verdict_name(baseline_judge(baseline, now_ms, value)));
    json_key(json, "expected");
    put_hour(json, baseline_hour(now_ms), &baseline->hours[baseline_hour(now_ms)]);
    json_key(json, "hours");
    json_open(json, '[');
    for (unsigned hour = 0; hour < BASELINE_HOURS; hour++)
        put_hour(json, hour, &baseline->hours[hour]);
    json_close(json, ']');
    json_close(json, '}');
}

static enum err work_baselines(struct call *call, struct why *why)
{
    struct promql_expression *expression CLEANUP(promql_freep) = NULL;
    struct baseline *baseline = ARENA_NEW(call->arena, struct baseline);
    struct promql_result now;
    struct promql_result history;
    uint64_t weeks;
    int64_t end_ms;

    if (baseline == NULL)
        return arena_spent(call->arena, "the baseline", why);
    TRY(params_count(call, "weeks", WEEKS, WEEKS_MAX, &weeks, why));
    TRY(params_time(call, "end", clock_now_ms(), &end_ms, why));
    TRY(promql_parse(call_parameter(call, "query"), &expression, why));
    TRY(ask(call, expression, end_ms, end_ms, STEP_MS, &now, why));
    /* The last quarter of an hour is judged, not learnt from. */
    int64_t last_ms = (end_ms / STEP_MS - 1) * STEP_MS;
    TRY(ask(call, expression, last_ms - (int64_t)weeks * WEEK_MS, last_ms, STEP_MS, &history, why));
    const struct promql_series *series = history.series_count == 0 ? NULL : history.series;
    baseline_learn(series == NULL ? NULL : series->times_ms, series == NULL ? NULL : series->values,
                   series == NULL ? 0 : series->count, baseline);
    call->answer.content_type = MEDIA_JSON;
    struct json json = json_begin(&call->answer.body);
    put_all(&json, baseline, end_ms,
            now.series_count == 0 || now.series[0].count == 0 ? NAN : now.series[0].values[0]);
    return ERR_NONE;
}

void route_baselines(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_baselines);
}
