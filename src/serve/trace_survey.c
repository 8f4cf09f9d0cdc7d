/* SPDX-License-Identifier: Apache-2.0 */
/* Many traces: one operation's slow ones beside its usual ones, and two sets side by side. What is
 * found out is analysis/trace_survey's and analysis/trace_compare's; here it becomes JSON. */
#include "analysis/trace_survey.h"
#include "analysis/trace_compare.h"
#include "base/clock.h"
#include "query/traceql.h"
#include "serve/params.h"
#include "serve/server_priv.h"
#include "serve/trace_finding.h"

#include <math.h>

enum {
    LOOK_BACK_MS = 3600000, /* When no time is given. */
    SHOWN_IDS = 10,
};

/* The query's memory: patterns are not the arena's. */
static enum err read_traceql(struct call *call, const char *name, struct traceql **ret_query,
                             struct why *why)
{
    struct str text = call_parameter(call, name);

    if (text.size == 0)
        return fail(why, ERR_INVALID, "the parameter \"%s\" is missing: a TraceQL query", name);
    enum err err = traceql_parse(text, call->arena, ret_query, why);
    if (err != ERR_NONE)
        why_prefix(why, "%s", name);
    return err;
}

static enum err need_traces(const struct call *call, struct why *why)
{
    if (call->view->ops->traces != NULL)
        return ERR_NONE;
    return fail(why, ERR_NOT_FOUND, "nothing was kept for the tenant '%s' yet",
                call->identity.tenant);
}

static void put_ids(struct json *json, const struct trace_group *group, bool from_end)
{
    json_key(json, "trace_ids");
    json_open(json, '[');
    for (size_t i = 0; i < group->count && i < SHOWN_IDS; i++) {
        size_t at = from_end ? group->count - 1 - i : i;
        trace_id_add(json, group->items[at].trace_id, TRACE_ID_BYTES);
    }
    json_close(json, ']');
}

static void put_operation(struct json *json, const struct trace_digests *digests, uint32_t index)
{
    const struct digest_operation *operation = &digests->operations[index];

    json_put_str(json, "service", operation->service);
    json_put_str(json, "name", operation->name);
    if (operation->text.size > 0)
        json_put_str(json, "text", operation->text);
}

/* ---- One operation. ---- */

static void put_group(struct json *json, const char *key, const struct trace_group *group)
{
    double sum = 0;
    int64_t least_ns = 0, most_ns = 0;

    for (size_t i = 0; i < group->count; i++) {
        int64_t ns = group->items[i].duration_ns;
        sum += (double)ns;
        least_ns = i == 0 || ns < least_ns ? ns : least_ns;
        most_ns = ns > most_ns ? ns : most_ns;
    }
    json_key(json, key);
    json_open(json, '{');
    json_put_u64(json, "traces", group->count);
    json_put_i64(json, "least_ns", least_ns);
    json_put_i64(json, "most_ns", most_ns);
    json_put_double(json, "mean_ns", group->count == 0 ? 0 : sum / (double)group->count);
    put_ids(json, group, true); /* The slowest first. */
    json_close(json, '}');
}

static void put_survey_row(struct json *json, const struct survey *survey,
                           const struct contrast_row *row)
{
    json_open(json, '{');
    put_operation(json, &survey->digests, row->operation);
    json_put_double(json, "median_ns", row->a_ms * 1e6);
    json_put_double(json, "slow_ns", row->b_ms * 1e6);
    json_put_double(json, "difference_ns", row->difference_ms * 1e6);
    json_put_double(json, "share", row->share);
    json_put_double(json, "median_calls", row->a_calls);
    json_put_double(json, "slow_calls", row->b_calls);
    json_put_u64(json, "median_traces", row->a_traces);
    json_put_u64(json, "slow_traces", row->b_traces);
    json_put_double(json, "p", row->p);
    json_put_double(json, "p_adjusted", row->p_adjusted);
    json_put_double(json, "effect", row->effect);
    json_close(json, '}');
}

static void put_survey_findings(struct json *json, const struct survey *survey)
{
    const struct trace_met slow = {.traces = (uint32_t)survey->slow->count};

    json_key(json, "findings");
    json_open(json, '[');
    for (size_t i = 0; i < survey->differences_count; i++)
        trace_finding_write(json, &survey->differences[i], NULL, &slow);
    for (size_t i = 0; i < survey->tallies.count && i < TRACE_FINDINGS_MAX; i++) {
        const struct trace_tally *tally = survey->tallies.items[i];
        const struct trace_met met = {tally->traces, tally->trace_ids, tally->trace_ids_count};
        trace_finding_write(json, &tally->finding, NULL, &met);
    }
    json_close(json, ']');
}

static void write_survey(struct call *call, const struct survey_question *question,
                         const struct survey *survey)
{
    struct json json = json_begin(&call->answer.body);

    json_open(&json, '{');
    if (question->service.size > 0)
        json_put_str(&json, "service", question->service);
    if (question->operation.size > 0)
        json_put_str(&json, "operation", question->operation);
    json_put_u64(&json, "traces", survey->traces);
    json_put_bool(&json, "is_cut", survey->is_cut);
    json_put_double(&json, "p50_ns", survey->p50_ns);
    json_put_double(&json, "p95_ns", survey->p95_ns);
    json_put_double(&json, "p99_ns", survey->p99_ns);
    put_group(&json, "median", survey->median);
    put_group(&json, "slow", survey->slow);
    json_key(&json, "operations");
    json_open(&json, '[');
    for (size_t i = 0; i < survey->contrast.rows_count; i++)
        put_survey_row(&json, survey, &survey->contrast.rows[i]);
    json_close(&json, ']');
    put_survey_findings(&json, survey);
    json_close(&json, '}');
    call->answer.content_type = MEDIA_JSON;
}

static enum err read_survey_question(struct call *call, struct survey_question *question,
                                     struct why *why)
{
    struct params_range range = {clock_now_ms() - LOOK_BACK_MS, clock_now_ms()};
    uint64_t limit;

    TRY(params_range(call, &range, why));
    TRY(params_count(call, "limit", 0, SURVEY_TRACES_MAX, &limit, why));
    *question = (struct survey_question){
        .service = call_parameter(call, "service"),
        .operation = call_parameter(call, "operation"),
        .from_ms = range.start_ms,
        .to_ms = range.end_ms,
        .traces_max = limit,
    };
    bool has_query = call_parameter(call, "q").size > 0;
    if (has_query == (question->service.size > 0))
        return fail(why, ERR_INVALID,
                    "name a service (and an operation), or a TraceQL query in \"q\", not both");
    if (question->operation.size == 0)
        question->operation = STR_NONE;
    if (has_query)
        question->service = question->operation = STR_NONE;
    return ERR_NONE;
}

static enum err work_survey(struct call *call, struct why *why)
{
    struct traceql *query CLEANUP(traceql_freep) = NULL;
    struct survey survey CLEANUP(trace_survey_done) = {.traces = 0};
    struct survey_question question;

    TRY(read_survey_question(call, &question, why));
    TRY(need_traces(call, why));
    if (question.service.size == 0)
        TRY(read_traceql(call, "q", &query, why));
    question.query = query;
    TRY(trace_survey(call->view, &question, call->arena, &survey, why));
    write_survey(call, &question, &survey);
    return ERR_NONE;
}

void route_traces_explain(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_survey);
}

/* ---- Two sets. ---- */

static void put_set(struct json *json, const char *key, const struct trace_set *set,
                    struct str query)
{
    json_key(json, key);
    json_open(json, '{');
    json_put_str(json, "query", query);
    json_put_u64(json, "traces", set->group->count);
    json_put_bool(json, "is_cut", set->is_cut);
    json_put_double(json, "median_ns", set->median_ns);
    json_put_double(json, "p95_ns", set->p95_ns);
    json_put_u64(json, "errors", set->errors);
    json_put_double(json, "spans", set->spans);
    put_ids(json, set->group, false);
    json_close(json, '}');
}

static void put_durations(struct json *json, const struct contrast *contrast)
{
    json_key(json, "duration");
    json_open(json, '{');
    json_put_double(json, "shift_ns", contrast->shift_ms * 1e6);
    json_put_double(json, "low_ns", contrast->low_ms * 1e6);
    json_put_double(json, "high_ns", contrast->high_ms * 1e6);
    json_put_double(json, "p", contrast->p);
    json_put_double(json, "effect", contrast->effect);
    json_close(json, '}');
}

static void put_feature(struct json *json, const struct trace_features *features,
                        const struct trace_feature *feature)
{
    const uint32_t *all = features->traces;

    json_open(json, '{');
    json_put_text(json, "scope", feature->of_resource ? "resource" : "span");
    json_put_str(json, "service", feature->service);
    json_put_str(json, "key", feature->key);
    json_put_str(json, "value", feature->value);
    json_put_u64(json, "a_traces", feature->traces[0]);
    json_put_u64(json, "b_traces", feature->traces[1]);
    json_put_double(json, "a_share", all[0] == 0 ? 0 : (double)feature->traces[0] / all[0]);
    json_put_double(json, "b_share", all[1] == 0 ? 0 : (double)feature->traces[1] / all[1]);
    json_put_double(json, "difference", trace_feature_difference(features, feature));
    json_put_double(json, "odds_ratio", feature->odds_ratio);
    json_put_double(json, "p", feature->p);
    json_put_double(json, "p_adjusted", feature->p_adjusted);
    json_close(json, '}');
}

static void put_contrast_row(struct json *json, const struct trace_digests *digests,
                             const struct contrast_row *row)
{
    json_open(json, '{');
    put_operation(json, digests, row->operation);
    json_put_u64(json, "a_traces", row->a_traces);
    json_put_u64(json, "b_traces", row->b_traces);
    json_put_double(json, "a_calls", row->a_calls);
    json_put_double(json, "b_calls", row->b_calls);
    json_put_double(json, "a_ns", row->a_ms * 1e6);
    json_put_double(json, "b_ns", row->b_ms * 1e6);
    json_put_double(json, "difference_ns", row->difference_ms * 1e6);
    json_put_double(json, "share", row->share);
    json_put_double(json, "p", row->p);
    json_put_double(json, "p_adjusted", row->p_adjusted);
    json_put_double(json, "effect", row->effect);
    json_put_double(json, "presence_p", row->presence_p);
    json_put_double(json, "calls_p", row->calls_p);
    json_close(json, '}');
}

static void write_comparison(struct call *call, const struct trace_comparison *comparison)
{
    struct json json = json_begin(&call->answer.body);

    json_open(&json, '{');
    put_set(&json, "a", &comparison->sets[0], call_parameter(call, "a"));
    put_set(&json, "b", &comparison->sets[1], call_parameter(call, "b"));
    put_durations(&json, &comparison->contrast);
    json_put_u64(&json, "attributes_tested", comparison->tested_count);
    json_put_u64(&json, "attributes_left_out", comparison->features.left_out);
    json_key(&json, "attributes");
    json_open(&json, '[');
    for (size_t i = 0; i < comparison->telling_count; i++)
        put_feature(&json, &comparison->features, &comparison->telling[i]);
    json_close(&json, ']');
    json_key(&json, "spans");
    json_open(&json, '[');
    for (size_t i = 0; i < comparison->contrast.rows_count; i++)
        put_contrast_row(&json, &comparison->digests, &comparison->contrast.rows[i]);
    json_close(&json, ']');
    json_key(&json, "findings");
    json_open(&json, '[');
    for (size_t i = 0; i < comparison->findings_count; i++)
        trace_finding_write(&json, &comparison->findings[i], NULL, &(struct trace_met){0});
    json_close(&json, ']');
    json_close(&json, '}');
    call->answer.content_type = MEDIA_JSON;
}

/* Each set has a stretch of its own where it says so, and the common one else. */
static enum err read_set_range(struct call *call, const char *start, const char *end,
                               const struct params_range *common,
                               struct trace_set_question *question, struct why *why)
{
    TRY(params_time(call, start, common->start_ms, &question->from_ms, why));
    TRY(params_time(call, end, common->end_ms, &question->to_ms, why));
    if (question->to_ms < question->from_ms)
        return fail(why, ERR_INVALID, "invalid parameter \"%s\": it lies before %s", end, start);
    return ERR_NONE;
}

static enum err work_compare(struct call *call, struct why *why)
{
    struct params_range range = {clock_now_ms() - LOOK_BACK_MS, clock_now_ms()};
    struct traceql *a CLEANUP(traceql_freep) = NULL;
    struct traceql *b CLEANUP(traceql_freep) = NULL;
    struct trace_comparison comparison CLEANUP(trace_comparison_done) = {.findings_count = 0};
    struct trace_set_question questions[2];
    uint64_t limit;

    TRY(params_range(call, &range, why));
    TRY(read_set_range(call, "a_start", "a_end", &range, &questions[0], why));
    TRY(read_set_range(call, "b_start", "b_end", &range, &questions[1], why));
    TRY(params_count(call, "limit", 0, TRACE_GROUP_MAX, &limit, why));
    TRY(read_traceql(call, "a", &a, why));
    TRY(read_traceql(call, "b", &b, why));
    TRY(need_traces(call, why));
    questions[0].query = a;
    questions[1].query = b;
    TRY(trace_compare(call->view, questions, limit, call->arena, &comparison, why));
    write_comparison(call, &comparison);
    return ERR_NONE;
}

void route_traces_compare(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_compare);
}
