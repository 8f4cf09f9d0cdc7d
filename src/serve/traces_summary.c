/* SPDX-License-Identifier: Apache-2.0 */
/* What fits a question, as traces to choose from. */
#include "base/clock.h"
#include "query/traceql.h"
#include "serve/params.h"
#include "serve/server_priv.h"
#include "serve/trace_summary.h"
#include "serve/traces.h"

enum {
    LIMIT_DEFAULT = 1000,
    LIMIT_MAX = 10000,
    SAMPLE = 300, /* Spans whose attributes are counted. */
    /* TraceQL reads whole traces: as many as stay quick. */
    TRACEQL_TRACES_MAX = 500,
    TRACEQL_SPANS_SHOWN = 50,
    RANGE_MS = 3600000, /* When no time is given. */
};

static enum err read_order(struct call *call, enum trace_order *ret_order, struct why *why)
{
    static const struct {
        struct str name;
        enum trace_order order;
    } orders[] = {
        {STR("newest"), TRACE_ORDER_NEWEST},
        {STR("slowest"), TRACE_ORDER_SLOWEST},
        {STR("errors"), TRACE_ORDER_ERRORS},
    };
    struct str text = call_parameter(call, "order");

    *ret_order = TRACE_ORDER_NEWEST;
    for (size_t i = 0; i < ARRAY_COUNT(orders); i++) {
        if (str_eq(text, orders[i].name)) {
            *ret_order = orders[i].order;
            return ERR_NONE;
        }
    }
    if (text.size == 0)
        return ERR_NONE;
    return fail(why, ERR_INVALID, "order '%.*s' is none of newest, slowest, errors", STR_ARG(text));
}

static enum err summarise_fields(struct call *call, struct trace_summary *summary, struct why *why)
{
    const struct trace_view_ops *ops = call->view->ops->traces;
    struct trace_query query;
    struct span_list sample;
    struct span_walk walk = {.query = &query, .self = summary, .show = trace_summary_show};

    TRY(traces_read_query(call, &query, why));
    TRY(ops->walk(call->view, &walk, why));
    query.limit = SAMPLE;
    TRY(ops->search(call->view, &query, call->arena, &sample, why));
    for (size_t i = 0; i < sample.count; i++)
        TRY(trace_summary_sample(summary, &sample.items[i], why));
    return ERR_NONE;
}

static enum err summarise_traceql(struct call *call, struct trace_summary *summary, size_t limit,
                                  struct why *why)
{
    struct params_range range = {clock_now_ms() - RANGE_MS, clock_now_ms()};
    struct traceql *query CLEANUP(traceql_freep) = NULL;
    struct traceql_answer answer;

    TRY(params_range(call, &range, why));
    struct traceql_request request = {
        .from_ms = range.start_ms,
        .to_ms = range.end_ms,
        .traces_max = limit < TRACEQL_TRACES_MAX ? limit : TRACEQL_TRACES_MAX,
        .spans_max = TRACEQL_SPANS_SHOWN,
    };
    TRY(traceql_parse(call_parameter(call, "q"), call->arena, &query, why));
    TRY(traceql_search(query, call->view, &request, call->arena, &answer, why));
    for (size_t i = 0; i < answer.count; i++)
        TRY(trace_summary_found(summary, &answer.traces[i], traceql_has_stages(query), why));
    if (answer.is_cut)
        trace_summary_cut(summary);
    return ERR_NONE;
}

static enum err work_summary(struct call *call, struct why *why)
{
    struct trace_summary *summary CLEANUP(trace_summary_freep) = trace_summary_new(call->arena);
    enum trace_order order;
    uint64_t limit;

    if (summary == NULL)
        return arena_spent(call->arena, "the overview of traces", why);
    TRY(read_order(call, &order, why));
    TRY(params_count(call, "limit", LIMIT_DEFAULT, LIMIT_MAX, &limit, why));
    limit = limit == 0 ? LIMIT_MAX : limit;
    TRY(traces_needed(call, why));
    if (call_parameter(call, "q").size > 0)
        TRY(summarise_traceql(call, summary, limit, why));
    else
        TRY(summarise_fields(call, summary, why));
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '{');
    TRY(trace_summary_write(summary, order, limit, &json, why));
    json_close(&json, '}');
    call->answer.content_type = MEDIA_JSON;
    return ERR_NONE;
}

void route_traces_summary(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_summary);
}
