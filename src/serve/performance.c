/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that users of the older systems know: figures now, over time and summed up. All of
 * them are questions to the same store as everything else. */
#include "serve/figures.h"
#include "serve/params.h"
#include "serve/server_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "model/label.h"
#include "serve/health_watch.h"

#include <math.h>
#include <stdlib.h>

#define HISTORY_MS      (INT64_C(3600) * 1000)
#define HISTORY_STEPS   240
#define ANALYTICS_STEPS 1000
#define STEP_MS_MIN     1000

/* "metrics":{"cpu_percent":12.5,…} at that moment. */
static enum err add_figures(struct call *call, struct json *json, int64_t time_ms, struct why *why)
{
    json_key(json, "metrics");
    json_open(json, '{');
    for (size_t i = 0; i < figures_count; i++) {
        double value;
        TRY(figure_value(call, &figures[i], time_ms, &value, why));
        json_put_double(json, figures[i].name, value);
    }
    json_close(json, '}');
    return ERR_NONE;
}

static struct json begin(struct call *call, int64_t time_ms)
{
    struct json json = json_begin(&call->answer.body);

    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_put_i64(&json, "time_ms", time_ms);
    return json;
}

static enum err work_current(struct call *call, struct why *why)
{
    int64_t now_ms = clock_now_ms();
    struct json json = begin(call, now_ms);

    TRY(add_figures(call, &json, now_ms, why));
    json_close(&json, '}');
    return ERR_NONE;
}

void route_performance_current(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_current);
}

/* ---- Over time. ---- */

/* start, end and step of the request; at most `steps` steps when it names no step. */
static enum err read_range(struct call *call, int64_t steps, struct figure_range *ret_range,
                           struct why *why)
{
    struct params_range range;
    int64_t step_ms;

    TRY(params_time(call, "end", clock_now_ms(), &range.end_ms, why));
    range.start_ms = range.end_ms - HISTORY_MS;
    TRY(params_range(call, &range, why));
    step_ms = (range.end_ms - range.start_ms) / steps;
    if (step_ms < STEP_MS_MIN)
        step_ms = STEP_MS_MIN;
    TRY(params_duration(call, "step", step_ms, &step_ms, why));
    if (step_ms <= 0)
        return fail(why, ERR_INVALID, "invalid parameter \"step\": it must be positive");
    *ret_range = (struct figure_range){range.start_ms, range.end_ms, step_ms};
    return ERR_NONE;
}

static void add_range(struct json *json, const struct figure_range *range)
{
    json_put_i64(json, "start_ms", range->start_ms);
    json_put_i64(json, "end_ms", range->end_ms);
    json_put_i64(json, "step_ms", range->step_ms);
}

static void add_points(struct json *json, const struct promql_result *result)
{
    json_open(json, '[');
    for (size_t i = 0; result->series_count > 0 && i < result->series[0].count; i++) {
        json_open(json, '[');
        json_add_i64(json, result->series[0].times_ms[i]);
        json_add_double(json, result->series[0].values[i]);
        json_close(json, ']');
    }
    json_close(json, ']');
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

/* Linear between neighbours, as PromQL's quantile. values are sorted. */
static double quantile(const double *values, size_t count, double share)
{
    double rank = share * (double)(count - 1);
    size_t low = (size_t)rank;
    size_t high = low + 1 < count ? low + 1 : low;

    return values[low] + (values[high] - values[low]) * (rank - (double)low);
}

static enum err add_summary(struct call *call, struct json *json,
                            const struct promql_result *result, struct why *why)
{
    const struct promql_series *series = result->series_count > 0 ? result->series : NULL;
    double *values = ARENA_ARRAY(call->arena, series == NULL ? 1 : series->count + 1, double);
    size_t count = 0;
    double sum = 0;

    if (values == NULL)
        return arena_spent(call->arena, "the summary", why);
    for (size_t i = 0; series != NULL && i < series->count; i++) {
        if (isnan(series->values[i]))
            continue;
        values[count++] = series->values[i];
        sum += series->values[i];
    }
    qsort(values, count, sizeof(*values), compare_doubles);
    json_open(json, '{');
    json_put_u64(json, "count", count);
    json_put_double(json, "average", count == 0 ? NAN : sum / (double)count);
    json_put_double(json, "minimum", count == 0 ? NAN : values[0]);
    json_put_double(json, "maximum", count == 0 ? NAN : values[count - 1]);
    json_put_double(json, "p50", count == 0 ? NAN : quantile(values, count, 0.5));
    json_put_double(json, "p95", count == 0 ? NAN : quantile(values, count, 0.95));
    json_put_double(json, "p99", count == 0 ? NAN : quantile(values, count, 0.99));
    json_close(json, '}');
    return ERR_NONE;
}

static enum err work_over_time(struct call *call, int64_t steps, bool is_summary, struct why *why)
{
    struct figure_choice choice;
    struct figure_range range;

    TRY(figures_choose(call_parameter(call, "kinds"), &choice, why));
    TRY(read_range(call, steps, &range, why));
    call->answer.content_type = MEDIA_JSON;
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '{');
    add_range(&json, &range);
    json_key(&json, "metrics");
    json_open(&json, '{');
    for (size_t i = 0; i < choice.count; i++) {
        const struct figure *figure = &figures[choice.items[i]];
        struct promql_result result;
        TRY(figure_ask(call, figure, &range, &result, why));
        json_key(&json, figure->name);
        if (is_summary)
            TRY(add_summary(call, &json, &result, why));
        else
            add_points(&json, &result);
    }
    json_close(&json, '}');
    json_close(&json, '}');
    return ERR_NONE;
}

static enum err work_history(struct call *call, struct why *why)
{
    return work_over_time(call, HISTORY_STEPS, false, why);
}

void route_performance_history(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_history);
}

static enum err work_analytics(struct call *call, struct why *why)
{
    return work_over_time(call, ANALYTICS_STEPS, true, why);
}

void route_performance_analytics(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_analytics);
}

/* ---- A machine, a service, all at a glance. ---- */

static const struct label_figure {
    const char *key;
    const char *expr;
    const char *label;
} facts[] = {
    {"host_name", "node_uname_info", "nodename"},
    {"kernel_release", "node_uname_info", "release"},
    {"machine", "node_uname_info", "machine"},
    {"operating_system", "node_os_info", "pretty_name"},
};

static enum err add_facts(struct call *call, struct json *json, int64_t time_ms, struct why *why)
{
    const struct figure_range range = {.start_ms = time_ms};

    json_key(json, "facts");
    json_open(json, '{');
    for (size_t i = 0; i < ARRAY_COUNT(facts); i++) {
        struct promql_result result;
        TRY(figure_ask_text(call, str_of(facts[i].expr), &range, &result, why));
        json_key(json, facts[i].key);
        if (result.series_count == 0)
            json_add_null(json);
        else
            json_add_str(json, labels_get(result.series[0].labels, str_of(facts[i].label)));
    }
    json_close(json, '}');
    return ERR_NONE;
}

static enum err work_system(struct call *call, struct why *why)
{
    int64_t now_ms = clock_now_ms();
    struct json json = begin(call, now_ms);

    TRY(add_facts(call, &json, now_ms, why));
    TRY(add_figures(call, &json, now_ms, why));
    json_close(&json, '}');
    return ERR_NONE;
}

void route_performance_system(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_system);
}

/* By group of processes; $g is the matcher of the group, or nothing. */
static const struct figure group_figures[] = {
    {"cpu_percent",
     "100 * sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{$g}[$w]))"},
    {"memory_used_bytes",
     "sum by (groupname) (namedprocess_namegroup_memory_bytes{memtype=\"resident\",$g})"},
    {"processes_count", "sum by (groupname) (namedprocess_namegroup_num_procs{$g})"},
    {"threads_count", "sum by (groupname) (namedprocess_namegroup_num_threads{$g})"},
    {"open_files_count", "sum by (groupname) (namedprocess_namegroup_open_filedesc{$g})"},
    {"read_bytes_per_s",
     "sum by (groupname) (rate(namedprocess_namegroup_read_bytes_total{$g}[$w]))"},
    {"written_bytes_per_s",
     "sum by (groupname) (rate(namedprocess_namegroup_write_bytes_total{$g}[$w]))"},
    {"context_switches_per_s",
     "sum by (groupname) (rate(namedprocess_namegroup_context_switches_total{$g}[$w]))"},
    {"started_at_seconds",
     "min by (groupname) (namedprocess_namegroup_oldest_start_time_seconds{$g})"},
};

/* The expression with $g replaced by a matcher for exactly that group. */
static enum err group_expr(struct call *call, const char *expr, struct str group,
                           struct str *ret_text, struct why *why)
{
    const char *at = strstr(expr, "$g");
    struct buf text = {0};

    buf_append(&text, expr, (size_t)(at - expr));
    buf_text(&text, "groupname=");
    json_str(&text, group); /* PromQL's strings have JSON's escapes. */
    buf_text(&text, at + 2);
    *ret_text = arena_str(call->arena, buf_view(&text));
    buf_done(&text);
    return ret_text->data == NULL ? arena_spent(call->arena, "the question", why) : ERR_NONE;
}

static enum err work_service(struct call *call, struct why *why)
{
    const struct figure_range range = {.start_ms = clock_now_ms()};
    struct str group = call->captures[0];
    struct json json = begin(call, range.start_ms);
    bool is_known = false;

    json_put_str(&json, "name", group);
    json_key(&json, "metrics");
    json_open(&json, '{');
    for (size_t i = 0; i < ARRAY_COUNT(group_figures); i++) {
        struct promql_result result;
        struct str text;
        TRY(group_expr(call, group_figures[i].expr, group, &text, why));
        TRY(figure_ask_text(call, text, &range, &result, why));
        is_known |= result.series_count > 0;
        json_put_double(&json, group_figures[i].name,
                        result.series_count > 0 ? result.series[0].values[0] : NAN);
    }
    json_close(&json, '}');
    json_close(&json, '}');
    if (is_known)
        return ERR_NONE;
    (void)fail(why, ERR_NOT_FOUND, "there is no group of processes named \"%.*s\" now",
               STR_ARG(group));
    hint(why, "/api/v1/label/groupname/values lists the groups");
    return ERR_NOT_FOUND;
}

void route_performance_service(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_service);
}

static enum err add_busiest(struct call *call, struct json *json, int64_t time_ms, struct why *why)
{
    const struct figure_range range = {.start_ms = time_ms};
    struct promql_result result;

    TRY(figure_ask_text(call,
                        STR("topk(10, 100 * sum by (groupname) "
                            "(rate(namedprocess_namegroup_cpu_seconds_total[$w])))"),
                        &range, &result, why));
    json_key(json, "busiest");
    json_open(json, '[');
    for (size_t i = 0; i < result.series_count; i++) {
        json_open(json, '{');
        json_put_str(json, "name", labels_get(result.series[i].labels, STR("groupname")));
        json_put_double(json, "cpu_percent", result.series[i].values[0]);
        json_close(json, '}');
    }
    json_close(json, ']');
    return ERR_NONE;
}

static enum err work_dashboard(struct call *call, struct why *why)
{
    int64_t now_ms = clock_now_ms();
    struct json json = begin(call, now_ms);

    json_key(&json, "health");
    json_add_raw(&json, call->shown_health);
    TRY(add_facts(call, &json, now_ms, why));
    TRY(add_figures(call, &json, now_ms, why));
    TRY(add_busiest(call, &json, now_ms, why));
    json_close(&json, '}');
    return ERR_NONE;
}

void route_dashboard(struct call *call)
{
    call->shown_health = health_watch_newest(call->server->health, exchange_arena(call->exchange));
    call_work(call, CALL_NEEDS_VIEW, work_dashboard);
}
