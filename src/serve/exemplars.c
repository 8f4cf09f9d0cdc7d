/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars lead from a metric of spans to a trace that it counted. They are not kept beside the
 * metric: the spans are, and those that can be shown are just those that sampling and retention
 * have left. The range is cut into stretches, and of each the slowest span that is found of a
 * series stands for it, so that a slow moment is not lost among many quick ones. */
#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "query/promql_ast.h"
#include "serve/params.h"
#include "serve/server_priv.h"
#include "sources/span_metrics.h"
#include "store/trace_read.h"

#include <math.h>
#include <stdio.h>

enum {
    STRETCHES = 10,
    SPANS_EACH = 500, /* Looked at in a stretch, the newest. */
    SERIES_MAX = 100000,
    RANGE_DEFAULT_MS = 3600000,
};

#define METRIC_PREFIX STR("traces_span_metrics_")

/* Series of one operation, kind and status: what a span can stand for. */
struct target {
    const struct labels *labels;
    double bound; /* Of a bucket; NaN: the series has all. */
    struct target *next;
};

struct group {
    struct str service, name;
    struct target *targets;
    const struct span *slowest[STRETCHES];
};

struct question {
    struct call *call;
    struct params_range range;
    struct map groups; /* By group_key. */
    size_t series_count;
};

static void question_done(struct question *question)
{
    map_done(&question->groups);
}

static enum err spent(const struct call *call, struct why *why)
{
    return arena_spent(call->arena, "the exemplars", why);
}

/* service NUL name NUL kind NUL status */
static struct str group_key(struct arena *arena, const struct str parts[4])
{
    size_t size = 4;
    size_t at = 0;

    for (size_t i = 0; i < 4; i++)
        size += parts[i].size;
    char *key = arena_alloc(arena, size);
    if (key == NULL)
        return STR_NONE;
    for (size_t i = 0; i < 4; i++) {
        if (parts[i].size > 0)
            memcpy(key + at, parts[i].data, parts[i].size);
        at += parts[i].size + 1; /* The arena's bytes are zero. */
    }
    return (struct str){key, size};
}

/* ---- Which series were asked for. ---- */

static enum err take_series(struct question *question, const struct labels *labels, struct why *why)
{
    struct arena *arena = question->call->arena;
    const struct str parts[] = {
        labels_get(labels, STR("service")), labels_get(labels, STR("span_name")),
        labels_get(labels, STR("span_kind")), labels_get(labels, STR("status_code"))};
    struct str bound = labels_get(labels, STR("le"));
    struct str key = group_key(arena, parts);
    struct target *target = ARENA_NEW(arena, struct target);

    if (key.data == NULL || target == NULL)
        return spent(question->call, why);
    struct group *group = map_get(&question->groups, key);
    if (group == NULL) {
        group = ARENA_NEW(arena, struct group);
        if (group == NULL)
            return spent(question->call, why);
        group->service = parts[0];
        group->name = parts[1];
        (void)map_put(&question->groups, key, group);
    }
    target->labels = labels;
    target->bound = NAN;
    if (bound.size > 0 && !str_to_double(bound, &target->bound))
        return ERR_NONE; /* No bucket of ours. */
    target->next = group->targets;
    group->targets = target;
    return ERR_NONE;
}

static enum err take_selector(struct question *question, const struct node_selector *selector,
                              struct why *why)
{
    struct store_view *view = question->call->view;
    struct series_set set;

    TRY(view->ops->select(view, selector->matchers, selector->matchers_count,
                          question->range.start_ms, question->range.end_ms + PROMQL_LOOKBACK_MS,
                          question->call->arena, &set, why));
    for (size_t i = 0; i < set.count; i++) {
        const struct labels *labels = set.items[i].labels;
        if (!str_starts(labels_get(labels, LABEL_NAME), METRIC_PREFIX) ||
            str_eq(labels_get(labels, STR("service")), STR(SPAN_METRICS_OTHERS)))
            continue;
        if (++question->series_count > SERIES_MAX)
            return fail(why, ERR_LIMIT, "more than %d series are asked for", SERIES_MAX);
        TRY(take_series(question, labels, why));
    }
    return ERR_NONE;
}

/* The parser has bounded the depth. */
static enum err take_node(struct question *question, const struct node *node, struct why *why)
{
    switch (node->kind) {
    case NODE_SELECTOR:
        return take_selector(question, &node->selector, why);
    case NODE_SUBQUERY:
        return take_node(question, node->subquery.expression, why);
    case NODE_CALL:
        for (size_t i = 0; i < node->call.arguments_count; i++)
            TRY(take_node(question, node->call.arguments[i], why));
        return ERR_NONE;
    case NODE_AGGREGATE:
        return take_node(question, node->aggregate.expression, why);
    case NODE_BINARY:
        TRY(take_node(question, node->binary.left, why));
        return take_node(question, node->binary.right, why);
    case NODE_UNARY:
        return take_node(question, node->unary.operand, why);
    case NODE_PAREN:
        return take_node(question, node->paren, why);
    case NODE_NUMBER:
    case NODE_STRING:
        break;
    }
    return ERR_NONE;
}

/* ---- Spans that stand for them. ---- */

static int64_t duration_of(const struct span *span)
{
    return (int64_t)((uint64_t)span->end_ns - (uint64_t)span->start_ns);
}

static enum err take_span(struct question *question, const struct span *span, size_t stretch,
                          struct arena *scratch, struct why *why)
{
    static const struct str kinds[] = {STR("SPAN_KIND_UNSPECIFIED"), STR("SPAN_KIND_INTERNAL"),
                                       STR("SPAN_KIND_SERVER"),      STR("SPAN_KIND_CLIENT"),
                                       STR("SPAN_KIND_PRODUCER"),    STR("SPAN_KIND_CONSUMER")};
    static const struct str statuses[] = {STR("STATUS_CODE_UNSET"), STR("STATUS_CODE_OK"),
                                          STR("STATUS_CODE_ERROR")};
    const struct str parts[] = {span->resource->service_name, span->name, kinds[span->kind],
                                statuses[span->status]};

    arena_clear(scratch);
    struct str key = group_key(scratch, parts);
    if (key.data == NULL)
        return spent(question->call, why);
    struct group *group = map_get(&question->groups, key);
    if (group == NULL)
        return ERR_NONE;
    const struct span *best = group->slowest[stretch];
    if (best == NULL || duration_of(span) > duration_of(best))
        group->slowest[stretch] = span;
    return ERR_NONE;
}

/* What all series share narrows the search. */
static void narrow(const struct question *question, struct trace_query *query)
{
    bool first = true;

    MAP_EACH (&question->groups, entry) {
        const struct group *group = entry->value;
        if (first) {
            query->service = group->service;
            query->name = group->name;
        }
        first = false;
        if (!str_eq(query->service, group->service))
            query->service = STR_NONE;
        if (!str_eq(query->name, group->name))
            query->name = STR_NONE;
    }
}

static enum err find_spans(struct question *question, struct arena *scratch, struct why *why)
{
    struct store_view *view = question->call->view;
    const struct params_range *range = &question->range;
    int64_t step_ms = (range->end_ms - range->start_ms) / STRETCHES + 1;
    struct trace_query query = TRACE_QUERY_ANY;

    narrow(question, &query);
    query.limit = SPANS_EACH;
    for (size_t i = 0; i < STRETCHES; i++) {
        struct span_list spans;
        query.from_ms = range->start_ms + (int64_t)i * step_ms;
        query.to_ms = query.from_ms + step_ms - 1;
        if (query.to_ms > range->end_ms)
            query.to_ms = range->end_ms;
        TRY(view->ops->traces->search(view, &query, question->call->arena, &spans, why));
        for (size_t k = 0; k < spans.count; k++)
            TRY(take_span(question, &spans.items[k], i, scratch, why));
    }
    return ERR_NONE;
}

/* ---- Writing. ---- */

static void put_id(struct json *json, const char *key, const uint8_t *id, size_t size)
{
    char text[2 * TRACE_ID_BYTES + 1];

    for (size_t i = 0; i < size; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", id[i]); /* Two digits each. */
    json_put_text(json, key, text);
}

static void add_exemplar(struct json *json, const struct span *span)
{
    char value[STR_DOUBLE_SIZE];
    double seconds = duration_of(span) > 0 ? (double)duration_of(span) / 1e9 : 0;

    json_open(json, '{');
    json_key(json, "labels");
    json_open(json, '{');
    put_id(json, "span_id", span->span_id, SPAN_ID_BYTES);
    put_id(json, "trace_id", span->trace_id, TRACE_ID_BYTES);
    json_close(json, '}');
    json_put_str(json, "value", (struct str){value, str_from_double(value, seconds)});
    json_put_double(json, "timestamp", (double)(span->start_ns / 1000000) / 1000);
    json_close(json, '}');
}

/* A bucket has the spans for which no smaller one was asked for. */
static bool has_span(const struct group *group, const struct target *target,
                     const struct span *span)
{
    double seconds = duration_of(span) > 0 ? (double)duration_of(span) / 1e9 : 0;

    if (isnan(target->bound))
        return true;
    if (seconds > target->bound)
        return false;
    for (const struct target *other = group->targets; other != NULL; other = other->next) {
        if (other->bound < target->bound && seconds <= other->bound)
            return false;
    }
    return true;
}

static void add_target(struct json *json, const struct group *group, const struct target *target)
{
    struct label label;
    bool any = false;

    for (size_t i = 0; i < STRETCHES; i++) {
        const struct span *span = group->slowest[i];
        if (span == NULL || !has_span(group, target, span))
            continue;
        if (!any) {
            json_open(json, '{');
            json_key(json, "seriesLabels");
            json_open(json, '{');
            for (size_t at = 0; labels_next(target->labels, &at, &label);) {
                json_key_str(json, label.name);
                json_add_str(json, label.value);
            }
            json_close(json, '}');
            json_key(json, "exemplars");
            json_open(json, '[');
        }
        any = true;
        add_exemplar(json, span);
    }
    if (any) {
        json_close(json, ']');
        json_close(json, '}');
    }
}

static enum err work_exemplars(struct call *call, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) =
        arena_new_beside(call->arena, arena_budget(call->arena));
    struct promql_expression *expression CLEANUP(promql_freep) = NULL;
    int64_t now_ms = clock_now_ms();
    struct question question CLEANUP(question_done) = {
        .call = call, .range = {now_ms - RANGE_DEFAULT_MS, now_ms}};

    TRY(params_range(call, &question.range, why));
    TRY(promql_parse(call_parameter(call, "query"), &expression, why));
    TRY(take_node(&question, expression->root, why));
    if (call->view->ops->traces != NULL && question.groups.count > 0)
        TRY(find_spans(&question, scratch, why));
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '{');
    json_put_text(&json, "status", "success");
    json_key(&json, "data");
    json_open(&json, '[');
    MAP_EACH (&question.groups, entry) {
        const struct group *group = entry->value;
        for (const struct target *target = group->targets; target != NULL; target = target->next)
            add_target(&json, group, target);
    }
    json_close(&json, ']');
    json_close(&json, '}');
    call->answer.content_type = MEDIA_JSON;
    return ERR_NONE;
}

void route_exemplars(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_exemplars);
}
