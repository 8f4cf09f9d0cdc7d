/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars lead from a metric to a trace that it counted. Those that programs send with metrics of
 * their own are kept beside them (store/exemplars.h). Those of metrics of spans are not: the spans
 * are, and those that can be shown are just those that sampling and retention have left. The range
 * is cut into stretches, and of each the slowest span that is found of a series stands for it, so
 * that a slow moment is not lost among many quick ones. */
#include "store/exemplars.h"
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

/* A series that was sent with exemplars. */
struct sent {
    const struct labels *labels;
    const struct exemplar *items; /* Oldest first. */
    size_t count;
    struct sent *next;
};

struct question {
    struct call *call;
    struct params_range range;
    struct map groups; /* By group_key. */
    struct map sent;   /* By labels: a series that is asked for twice is told once. */
    struct sent *first_sent;
    struct sent **last_sent;
    size_t series_count;
};

static void question_done(struct question *question)
{
    map_done(&question->groups);
    map_done(&question->sent);
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

static enum err take_sent(struct question *question, const struct labels *labels, struct why *why)
{
    const struct exemplar_question asked = {question->call->identity.tenant, labels,
                                            question->range.start_ms, question->range.end_ms};
    struct str key = {labels->bytes, labels->size};
    struct exemplar *items;
    size_t count;

    if (map_get(&question->sent, key) != NULL)
        return ERR_NONE;
    TRY(exemplars_find(question->call->server->options.exemplars, &asked, question->call->arena,
                       &items, &count, why));
    if (count == 0)
        return ERR_NONE;
    struct sent *sent = ARENA_NEW(question->call->arena, struct sent);
    if (sent == NULL)
        return spent(question->call, why);
    *sent = (struct sent){labels, items, count, NULL};
    *question->last_sent = sent;
    question->last_sent = &sent->next;
    (void)map_put(&question->sent, key, sent); /* Was absent. */
    return ERR_NONE;
}

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
        if (++question->series_count > SERIES_MAX)
            return fail(why, ERR_LIMIT, "more than %d series are asked for", SERIES_MAX);
        TRY(take_sent(question, labels, why));
        if (str_starts(labels_get(labels, LABEL_NAME), METRIC_PREFIX) &&
            !str_eq(labels_get(labels, STR("service")), STR(SPAN_METRICS_OTHERS)))
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

static void open_series(struct json *json, const struct labels *labels)
{
    struct label label;

    json_open(json, '{');
    json_key(json, "seriesLabels");
    json_open(json, '{');
    for (size_t at = 0; labels_next(labels, &at, &label);) {
        json_key_str(json, label.name);
        json_add_str(json, label.value);
    }
    json_close(json, '}');
    json_key(json, "exemplars");
    json_open(json, '[');
}

static void close_series(struct json *json)
{
    json_close(json, ']');
    json_close(json, '}');
}

/* Behind its labels, which are open. */
static void end_exemplar(struct json *json, double value, int64_t time_ms)
{
    char text[STR_DOUBLE_SIZE];

    json_close(json, '}');
    json_put_str(json, "value", (struct str){text, str_from_double(text, value)});
    json_put_double(json, "timestamp", (double)time_ms / 1000);
    json_close(json, '}');
}

static void add_sent(struct json *json, const struct sent *sent)
{
    open_series(json, sent->labels);
    for (size_t i = 0; i < sent->count; i++) {
        const struct exemplar *exemplar = &sent->items[i];
        json_open(json, '{');
        json_key(json, "labels");
        json_open(json, '{');
        for (size_t k = 0; k < exemplar->pairs_count; k++) {
            json_key_str(json, exemplar->pairs[k].name);
            json_add_str(json, exemplar->pairs[k].value);
        }
        end_exemplar(json, exemplar->value, exemplar->time_ms);
    }
    close_series(json);
}

static void put_id(struct json *json, const char *key, const uint8_t *id, size_t size)
{
    char text[2 * TRACE_ID_BYTES + 1];

    for (size_t i = 0; i < size; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", id[i]); /* Two digits each. */
    json_put_text(json, key, text);
}

static void add_exemplar(struct json *json, const struct span *span)
{
    double seconds = duration_of(span) > 0 ? (double)duration_of(span) / 1e9 : 0;

    json_open(json, '{');
    json_key(json, "labels");
    json_open(json, '{');
    put_id(json, "span_id", span->span_id, SPAN_ID_BYTES);
    put_id(json, "trace_id", span->trace_id, TRACE_ID_BYTES);
    end_exemplar(json, seconds, span->start_ns / 1000000);
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
    bool any = false;

    for (size_t i = 0; i < STRETCHES; i++) {
        const struct span *span = group->slowest[i];
        if (span == NULL || !has_span(group, target, span))
            continue;
        if (!any)
            open_series(json, target->labels);
        any = true;
        add_exemplar(json, span);
    }
    if (any)
        close_series(json);
}

static enum err work_exemplars(struct call *call, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) =
        arena_new_beside(call->arena, arena_budget(call->arena));
    struct promql_expression *expression CLEANUP(promql_freep) = NULL;
    int64_t now_ms = clock_now_ms();
    struct question question CLEANUP(question_done) = {
        .call = call, .range = {now_ms - RANGE_DEFAULT_MS, now_ms}};
    question.last_sent = &question.first_sent;

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
    for (const struct sent *sent = question.first_sent; sent != NULL; sent = sent->next)
        add_sent(&json, sent);
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
