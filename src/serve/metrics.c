/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' query API: questions about metrics, in its own parameters, words and JSON. */
#include "serve/params.h"
#include "serve/server_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "query/promql.h"
#include "query/promql_json.h"
#include "store/store_read.h"

#include <stdlib.h>

/* Where questions about names look when they name no time: all there is, and a day ahead. */
#define NAMES_FROM_MS INT64_C(0)
#define NAMES_MOST    UINT64_C(1000000)

static void begin_success(struct call *call)
{
    call->answer.content_type = MEDIA_JSON;
    buf_text(&call->answer.body, "{\"status\":\"success\",\"data\":");
}

static struct promql_query query_of(struct call *call, int64_t timeout_ms)
{
    return (struct promql_query){
        .source = call->view,
        .timeout_ms = timeout_ms,
        .cancelled = exchange_cancel_flag(call->exchange),
        .arena = call->arena,
    };
}

static enum err parse(struct call *call, struct promql_expression **ret_expression, struct why *why)
{
    struct str text = call_parameter(call, "query");

    if (text.size == 0) {
        (void)fail(why, ERR_INVALID, "invalid parameter \"query\": it is missing or empty");
        hint(why, "ask with ?query=EXPRESSION, for example ?query=node_load1");
        return ERR_INVALID;
    }
    enum err err = promql_parse(text, ret_expression, why);
    if (err != ERR_NONE) {
        /* why_prefix would move the text, not the position: that stays an offset in the query. */
        why_prefix(why, "invalid parameter \"query\"");
    }
    return err;
}

/* Leaves out the series over `limit`, with a warning as Prometheus words it. */
static enum err cut_result(struct call *call, struct promql_result *result, uint64_t limit,
                           struct why *why)
{
    struct promql_note *notes;

    if (limit == 0 || result->series_count <= limit)
        return ERR_NONE;
    notes = ARENA_ARRAY(call->arena, result->notes_count + 1, struct promql_note);
    if (notes == NULL)
        return arena_spent(call->arena, "the answer", why);
    if (result->notes_count > 0)
        memcpy(notes, result->notes, result->notes_count * sizeof(*notes));
    notes[result->notes_count] = (struct promql_note){
        .warning = true,
        .text = "results truncated due to limit",
    };
    result->notes = notes;
    result->notes_count++;
    result->series_count = (size_t)limit;
    return ERR_NONE;
}

static enum err write_result(struct call *call, struct promql_result *result, uint64_t limit,
                             struct why *why)
{
    TRY(cut_result(call, result, limit, why));
    call->answer.content_type = MEDIA_JSON;
    promql_json_result(result, &call->answer.body);
    return ERR_NONE;
}

/* One moment, now unless another is named. */
static enum err instant_params(struct call *call, struct promql_query *query, struct why *why)
{
    TRY(params_time(call, "time", clock_now_ms(), &query->start_ms, why));
    query->end_ms = query->start_ms;
    return ERR_NONE;
}

/* Start, end and step, with Prometheus' refusals. */
static enum err range_params(struct call *call, struct promql_query *query, struct why *why)
{
    static const char *const needed[] = {"start", "end", "step"};
    struct params_range range = {0};

    for (size_t i = 0; i < ARRAY_COUNT(needed); i++) {
        if (call_parameter(call, needed[i]).size == 0)
            return fail(why, ERR_INVALID, "invalid parameter \"%s\": it is missing", needed[i]);
    }
    TRY(params_range(call, &range, why));
    TRY(params_duration(call, "step", 0, &query->step_ms, why));
    if (query->step_ms <= 0)
        return fail(why, ERR_INVALID,
                    "invalid parameter \"step\": zero or negative query resolution step widths are "
                    "not accepted. Try a positive integer");
    query->start_ms = range.start_ms;
    query->end_ms = range.end_ms;
    if ((range.end_ms - range.start_ms) / query->step_ms > PROMQL_POINTS_MAX)
        return fail(why, ERR_INVALID,
                    "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
                    "the query resolution (?step=XX)");
    return ERR_NONE;
}

/* The two kinds of question differ in their times and in who answers. */
static enum err evaluate(struct call *call,
                         enum err (*read_times)(struct call *call, struct promql_query *query,
                                                struct why *why),
                         enum err (*eval)(const struct promql_expression *expression,
                                          const struct promql_query *query,
                                          struct promql_result *ret_result, struct why *why),
                         struct why *why)
{
    CLEANUP(promql_freep) struct promql_expression *expression = NULL;
    struct promql_result result;
    int64_t timeout_ms;
    uint64_t limit;

    TRY(params_timeout(call, &timeout_ms, why));
    struct promql_query query = query_of(call, timeout_ms);
    TRY(read_times(call, &query, why));
    TRY(params_duration(call, "lookback_delta", 0, &query.lookback_ms, why));
    TRY(params_count(call, "limit", 0, NAMES_MOST, &limit, why));
    TRY(parse(call, &expression, why));
    call->is_evaluation = true;
    TRY(eval(expression, &query, &result, why));
    return write_result(call, &result, limit, why);
}

static enum err work_query(struct call *call, struct why *why)
{
    return evaluate(call, instant_params, promql_eval_instant, why);
}

static enum err work_query_range(struct call *call, struct why *why)
{
    return evaluate(call, range_params, promql_eval_range, why);
}

void route_query(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_query);
}

void route_query_range(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_query_range);
}

/* ---- Names: series, labels, values. ---- */

static enum err names_range(struct call *call, struct params_range *ret_range, struct why *why)
{
    *ret_range = (struct params_range){
        .start_ms = NAMES_FROM_MS,
        .end_ms = clock_now_ms() + CLOCK_MS_PER_DAY,
    };
    return params_range(call, ret_range, why);
}

static void write_labels(struct json *json, const struct labels *labels)
{
    struct label label;
    size_t at = 0;

    json_open(json, '{');
    while (labels_next(labels, &at, &label)) {
        json_key_str(json, label.name);
        json_add_str(json, label.value);
    }
    json_close(json, '}');
}

static void end_names(struct call *call, struct json *json, bool is_cut)
{
    json_close(json, ']');
    if (is_cut)
        buf_text(&call->answer.body, ",\"warnings\":[\"results truncated due to limit\"]");
    buf_byte(&call->answer.body, '}');
}

static int compare_series(const void *a, const void *b)
{
    return labels_compare(((const struct series *)a)->labels, ((const struct series *)b)->labels);
}

/* All series of all selectors, sorted; those that several select stand side by side. */
static enum err select_all(struct call *call, const struct params_selectors *selectors,
                           const struct params_range *range, struct series_set *ret_set,
                           struct why *why)
{
    struct series_set sets[PARAMS_SELECTORS_MAX];
    size_t total = 0;

    for (size_t i = 0; i < selectors->count; i++) {
        size_t count;
        const struct matcher *matchers = params_matchers(selectors, i, &count);
        TRY(call->view->ops->select(call->view, matchers, count, range->start_ms, range->end_ms,
                                    call->arena, &sets[i], why));
        total += sets[i].count;
    }
    ret_set->items = ARENA_ARRAY(call->arena, total + 1, struct series);
    ret_set->count = 0;
    if (ret_set->items == NULL)
        return arena_spent(call->arena, "the list of series", why);
    for (size_t i = 0; i < selectors->count; i++) {
        for (size_t j = 0; j < sets[i].count; j++)
            ret_set->items[ret_set->count++] = sets[i].items[j];
    }
    if (selectors->count > 1)
        qsort(ret_set->items, ret_set->count, sizeof(*ret_set->items), compare_series);
    return ERR_NONE;
}

static enum err work_series(struct call *call, struct why *why)
{
    CLEANUP(params_selectors_done) struct params_selectors selectors = {.count = 0};
    struct params_range range;
    struct series_set set;
    uint64_t limit;
    uint64_t written = 0;
    bool is_cut = false;

    TRY(names_range(call, &range, why));
    TRY(params_count(call, "limit", 0, NAMES_MOST, &limit, why));
    TRY(params_selectors(call, &selectors, why));
    if (selectors.count == 0)
        return fail(why, ERR_INVALID, "no match[] parameter provided");
    call->is_evaluation = true;
    TRY(select_all(call, &selectors, &range, &set, why));

    begin_success(call);
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '[');
    for (size_t i = 0; i < set.count && !is_cut; i++) {
        if (i > 0 && labels_eq(set.items[i].labels, set.items[i - 1].labels))
            continue;
        is_cut = limit > 0 && written == limit;
        if (!is_cut)
            write_labels(&json, set.items[i].labels);
        written++;
    }
    end_names(call, &json, is_cut);
    return ERR_NONE;
}

void route_series(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_series);
}

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Label names, or the values of `name`, among what the selectors select; sorted, with repeats when
 * there are several selectors. */
static enum err list_labels(struct call *call, struct str name, struct str_list *ret_list,
                            struct why *why)
{
    CLEANUP(params_selectors_done) struct params_selectors selectors = {.count = 0};
    struct str_list lists[PARAMS_SELECTORS_MAX];
    struct params_range range;
    size_t total = 0;

    TRY(names_range(call, &range, why));
    TRY(params_selectors(call, &selectors, why));
    call->is_evaluation = true;
    if (selectors.count == 0)
        return call->view->ops->labels(call->view, NULL, 0, name, range.start_ms, range.end_ms,
                                       call->arena, ret_list, why);
    for (size_t i = 0; i < selectors.count; i++) {
        size_t count;
        const struct matcher *matchers = params_matchers(&selectors, i, &count);
        TRY(call->view->ops->labels(call->view, matchers, count, name, range.start_ms, range.end_ms,
                                    call->arena, &lists[i], why));
        total += lists[i].count;
    }
    ret_list->items = ARENA_ARRAY(call->arena, total + 1, struct str);
    ret_list->count = 0;
    if (ret_list->items == NULL)
        return arena_spent(call->arena, "the list of names", why);
    for (size_t i = 0; i < selectors.count; i++) {
        for (size_t j = 0; j < lists[i].count; j++)
            ret_list->items[ret_list->count++] = lists[i].items[j];
    }
    qsort(ret_list->items, ret_list->count, sizeof(*ret_list->items), compare_strs);
    return ERR_NONE;
}

static enum err work_label_list(struct call *call, struct why *why)
{
    struct str name = call->captures[0];
    struct str_list list;
    uint64_t limit;
    uint64_t written = 0;
    bool is_cut = false;

    TRY(params_count(call, "limit", 0, NAMES_MOST, &limit, why));
    TRY(list_labels(call, name, &list, why));
    begin_success(call);
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '[');
    for (size_t i = 0; i < list.count && !is_cut; i++) {
        if (i > 0 && str_eq(list.items[i], list.items[i - 1]))
            continue;
        is_cut = limit > 0 && written == limit;
        if (!is_cut)
            json_add_str(&json, list.items[i]);
        written++;
    }
    end_names(call, &json, is_cut);
    return ERR_NONE;
}

void route_labels(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_label_list);
}

static bool is_label_name(struct str name)
{
    for (size_t i = 0; i < name.size; i++) {
        char at = name.data[i];
        bool is_letter = ((at | 0x20) >= 'a' && (at | 0x20) <= 'z') || at == '_';
        if (!is_letter && (i == 0 || at < '0' || at > '9'))
            return false;
    }
    return name.size > 0;
}

void route_label_values(struct call *call)
{
    struct why why = WHY_INIT;

    if (is_label_name(call->captures[0])) {
        call_work(call, CALL_NEEDS_VIEW, work_label_list);
        return;
    }
    (void)fail(&why, ERR_INVALID, "invalid label name: \"%.*s\"", STR_ARG(call->captures[0]));
    call_fail(call, ERR_INVALID, &why);
}

/* ---- What names mean. ---- */

static int compare_infos(const void *a, const void *b)
{
    return str_compare(((const struct metric_info *)a)->name,
                       ((const struct metric_info *)b)->name);
}

static void write_info(struct json *json, const struct metric_info *info)
{
    json_open(json, '{');
    json_put_text(json, "type", metric_kind_name(info->kind));
    json_put_str(json, "help", info->help);
    json_put_str(json, "unit", info->unit);
    json_close(json, '}');
}

static enum err work_metadata(struct call *call, struct why *why)
{
    struct metric_info_list list;
    uint64_t limit;
    uint64_t per_metric;
    uint64_t names = 0;

    TRY(params_count(call, "limit", NAMES_MOST, NAMES_MOST, &limit, why));
    TRY(params_count(call, "limit_per_metric", NAMES_MOST, NAMES_MOST, &per_metric, why));
    TRY(call->view->ops->metadata(call->view, call_parameter(call, "metric"), call->arena, &list,
                                  why));
    qsort(list.items, list.count, sizeof(*list.items), compare_infos);
    begin_success(call);
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '{');
    for (size_t i = 0; i < list.count && names < limit; names++) {
        struct str name = list.items[i].name;
        uint64_t written = 0;
        json_key_str(&json, name);
        json_open(&json, '[');
        for (; i < list.count && str_eq(list.items[i].name, name); i++) {
            if (written++ < per_metric)
                write_info(&json, &list.items[i]);
        }
        json_close(&json, ']');
    }
    json_close(&json, '}');
    buf_byte(&call->answer.body, '}');
    return ERR_NONE;
}

void route_metadata(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_metadata);
}

/* ---- The text itself. ---- */

static enum err work_format_query(struct call *call, struct why *why)
{
    CLEANUP(promql_freep) struct promql_expression *expression = NULL;
    struct buf text = {0};

    TRY(parse(call, &expression, why));
    promql_format(expression, &text);
    begin_success(call);
    json_str(&call->answer.body, buf_view(&text));
    buf_byte(&call->answer.body, '}');
    buf_done(&text);
    return ERR_NONE;
}

void route_format_query(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_format_query);
}

static enum err work_parse_query(struct call *call, struct why *why)
{
    CLEANUP(promql_freep) struct promql_expression *expression = NULL;

    TRY(parse(call, &expression, why));
    begin_success(call);
    promql_json_tree(expression, &call->answer.body);
    buf_byte(&call->answer.body, '}');
    return ERR_NONE;
}

void route_parse_query(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_parse_query);
}
