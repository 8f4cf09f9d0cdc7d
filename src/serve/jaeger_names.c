/* SPDX-License-Identifier: Apache-2.0 */
/* Jaeger's questions that need no spans: which services and operations there are, and who calls
 * whom. The metrics that spans become as they arrive know it; what the newest spans came to and the
 * store has not been told yet is asked of the receiver.
 *
 * Who calls whom is counted exactly: the counters of the service graph begin with zero, so the sum
 * of their steps in the range is the number of calls. */
#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "codec/jaeger_json.h"
#include "serve/jaeger.h"
#include "serve/server_priv.h"
#include "sources/otlp.h"
#include "sources/span_metrics.h"
#include "store/store_read.h"

#include <stdlib.h>

#define LOOKBACK_MS     CLOCK_MS_PER_DAY
#define TOLD_EACH_MS    120000 /* Twice the time after which an unchanged counter is told again. */
#define LOOKBACK_NOW_MS 15000  /* What was not told yet is no older. */

/* ---- Names: what is told of each, without repetition. ---- */

struct name {
    struct str first;  /* Service; operation; parent. */
    struct str second; /* Kind; child. */
    uint64_t calls;
};

struct names {
    struct arena *arena;
    struct map map; /* first NUL second, to struct name. */
    bool spent;
};

static void names_done(struct names *names)
{
    map_done(&names->map);
}

static void count_name(struct names *names, struct str first, struct str second, uint64_t calls)
{
    char *key = arena_alloc(names->arena, first.size + second.size + 1);

    names->spent = names->spent || key == NULL;
    if (key == NULL)
        return;
    if (first.size > 0)
        memcpy(key, first.data, first.size);
    if (second.size > 0)
        memcpy(key + first.size + 1, second.data, second.size);
    struct str whole = {key, first.size + second.size + 1};
    struct name *name = map_get(&names->map, whole);
    if (name == NULL) {
        name = ARENA_NEW(names->arena, struct name);
        names->spent = names->spent || name == NULL;
        if (name == NULL)
            return;
        name->first = (struct str){key, first.size};
        name->second = (struct str){key + first.size + 1, second.size};
        (void)map_put(&names->map, whole, name);
    }
    name->calls += calls;
}

static int by_name(const void *a, const void *b)
{
    const struct name *const *left = a;
    const struct name *const *right = b;
    int order = str_compare((*left)->first, (*right)->first);

    return order != 0 ? order : str_compare((*left)->second, (*right)->second);
}

static enum err sort_names(struct names *names, const struct name ***ret_sorted, struct why *why)
{
    const struct name **sorted = ARENA_ARRAY(names->arena, names->map.count, const struct name *);
    size_t count = 0;

    if (names->spent || sorted == NULL)
        return arena_spent(names->arena, "the names of services", why);
    MAP_EACH (&names->map, entry) {
        sorted[count++] = entry->value;
    }
    if (count > 1)
        qsort(sorted, count, sizeof(*sorted), by_name);
    *ret_sorted = sorted;
    return ERR_NONE;
}

/* ---- Series of the store and of the receiver. ---- */

/* What is looked for, and where it goes. */
struct question {
    struct call *call;
    struct names names;
    struct str service; /* STR_NONE: the services themselves. */
    struct str kind;    /* STR_NONE: any. */
};

static struct str value_of(const struct label *labels, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(labels[i].name, name))
            return labels[i].value;
    }
    return STR("");
}

/* SPAN_KIND_SERVER → server. */
static struct str kind_of(struct str name)
{
    static const struct str names[] = {STR("SPAN_KIND_UNSPECIFIED"), STR("SPAN_KIND_INTERNAL"),
                                       STR("SPAN_KIND_SERVER"),      STR("SPAN_KIND_CLIENT"),
                                       STR("SPAN_KIND_PRODUCER"),    STR("SPAN_KIND_CONSUMER")};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_eq(names[i], name))
            return i == SPAN_KIND_UNSPECIFIED ? STR("unspecified") : jaeger_kind((enum span_kind)i);
    }
    return STR("");
}

static void take(struct question *question, struct str service, struct str operation,
                 struct str kind_name)
{
    struct str kind = kind_of(kind_name);

    if (str_eq(service, STR(SPAN_METRICS_OTHERS)))
        return;
    if (question->service.data == NULL)
        count_name(&question->names, service, STR(""), 1);
    else if (str_eq(service, question->service) &&
             (question->kind.data == NULL || str_eq(kind, question->kind)))
        count_name(&question->names, operation, kind, 1);
}

static void take_untold(void *self, const struct span_series *series)
{
    const struct label *labels = series->labels;
    size_t count = series->labels_count;

    if (!series->is_edge)
        take(self, value_of(labels, count, STR("service")),
             value_of(labels, count, STR("span_name")), value_of(labels, count, STR("span_kind")));
}

static enum err ask_names(struct question *question, struct why *why)
{
    struct call *call = question->call;
    const struct matcher matchers[] = {
        {.op = MATCH_EQUAL, .name = LABEL_NAME, .value = STR("traces_span_metrics_calls_total")},
        {.op = MATCH_EQUAL, .name = STR("service"), .value = question->service},
    };
    struct series_set set;

    question->names.arena = call->arena;
    TRY(call->view->ops->select(call->view, matchers, question->service.data == NULL ? 1 : 2,
                                INT64_MIN, INT64_MAX, call->arena, &set, why));
    for (size_t i = 0; i < set.count; i++)
        take(question, labels_get(set.items[i].labels, STR("service")),
             labels_get(set.items[i].labels, STR("span_name")),
             labels_get(set.items[i].labels, STR("span_kind")));
    otlp_receiver_each(call->server->otlp, call->identity.tenant, take_untold, question);
    return ERR_NONE;
}

static void question_done(struct question *question)
{
    names_done(&question->names);
}

/* ---- Answers. ---- */

static enum err work_services(struct call *call, struct why *why)
{
    struct question question CLEANUP(question_done) = {.call = call};
    const struct name **sorted;

    TRY(ask_names(&question, why));
    TRY(sort_names(&question.names, &sorted, why));
    size_t count = question.names.map.count;
    struct json json = jaeger_begin(call);
    jaeger_open_list(&json, count == 0);
    for (size_t i = 0; i < count; i++)
        json_add_str(&json, sorted[i]->first);
    jaeger_end(&json, count == 0, count);
    return ERR_NONE;
}

void route_jaeger_services(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_services);
}

static enum err work_service_operations(struct call *call, struct why *why)
{
    struct question question CLEANUP(question_done) = {.call = call, .service = call->captures[0]};
    const struct name **sorted;
    size_t unique = 0;

    TRY(ask_names(&question, why));
    TRY(sort_names(&question.names, &sorted, why));
    size_t count = question.names.map.count;
    struct json json = jaeger_begin(call);
    jaeger_open_list(&json, count == 0);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && str_eq(sorted[i]->first, sorted[i - 1]->first))
            continue; /* The same name with another kind. */
        json_add_str(&json, sorted[i]->first);
        unique++;
    }
    jaeger_end(&json, count == 0, unique);
    return ERR_NONE;
}

void route_jaeger_service_operations(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_service_operations);
}

static enum err work_operations(struct call *call, struct why *why)
{
    struct question question CLEANUP(question_done) = {.call = call};
    struct str kind = call_parameter(call, "spanKind");
    const struct name **sorted;

    question.service = call_parameter(call, "service");
    if (question.service.size == 0)
        return fail(why, ERR_INVALID, "parameter 'service' is required");
    if (kind.size > 0)
        question.kind = kind;
    TRY(ask_names(&question, why));
    TRY(sort_names(&question.names, &sorted, why));
    size_t count = question.names.map.count;
    struct json json = jaeger_begin(call);
    jaeger_open_list(&json, false);
    for (size_t i = 0; i < count; i++) {
        json_open(&json, '{');
        json_put_str(&json, "name", sorted[i]->first);
        json_put_str(&json, "spanKind", sorted[i]->second);
        json_close(&json, '}');
    }
    jaeger_end(&json, false, count);
    return ERR_NONE;
}

void route_jaeger_operations(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_operations);
}

/* ---- Who calls whom. ---- */

struct range {
    int64_t from_ms;
    int64_t to_ms;
};

static enum err read_range(struct call *call, struct range *ret_range, struct why *why)
{
    struct str end = call_parameter(call, "endTs");
    struct str lookback = call_parameter(call, "lookback");
    int64_t lookback_ms = LOOKBACK_MS;

    ret_range->to_ms = clock_now_ms();
    if (end.size > 0 && !str_to_i64(end, &ret_range->to_ms))
        return fail(why, ERR_INVALID,
                    "unable to parse param 'endTs': '%.*s' is no number of milliseconds",
                    STR_ARG(end));
    if (lookback.size > 0 && (!str_to_i64(lookback, &lookback_ms) || lookback_ms < 0))
        return fail(why, ERR_INVALID,
                    "unable to parse param 'lookback': '%.*s' is no number of milliseconds",
                    STR_ARG(lookback));
    ret_range->from_ms =
        ret_range->to_ms > INT64_MIN + lookback_ms ? ret_range->to_ms - lookback_ms : INT64_MIN;
    return ERR_NONE;
}

/* Steps up, and what stands after a step down: the daemon was started anew. */
static double calls_in(const struct samples *samples, int64_t from_ms)
{
    double calls = 0;

    for (size_t i = 1; i < samples->count; i++) {
        double step = samples->value[i] - samples->value[i - 1];
        if (samples->time_ms[i] <= from_ms)
            continue;
        if (step >= 0)
            calls += step;
        else if (samples->value[i] > 0)
            calls += samples->value[i];
    }
    return calls;
}

static enum err ask_edges(struct call *call, const struct range *range, struct names *names,
                          struct why *why)
{
    const struct matcher matchers[] = {
        {.op = MATCH_EQUAL, .name = LABEL_NAME, .value = STR("traces_service_graph_request_total")},
        {.op = MATCH_EQUAL, .name = STR("connection_type"), .value = STR("")},
    };
    int64_t from_ms =
        range->from_ms > INT64_MIN + TOLD_EACH_MS ? range->from_ms - TOLD_EACH_MS : INT64_MIN;
    const struct read_request request = {from_ms, range->to_ms, 0, FIELD_LAST};
    struct series_set set;

    TRY(call->view->ops->select(call->view, matchers, ARRAY_COUNT(matchers), from_ms, range->to_ms,
                                call->arena, &set, why));
    struct samples *samples = ARENA_ARRAY(call->arena, set.count, struct samples);
    if (samples == NULL)
        return arena_spent(call->arena, "the calls between services", why);
    TRY(call->view->ops->read(call->view, &set, &request, call->arena, samples, why));
    for (size_t i = 0; i < set.count; i++) {
        const struct labels *labels = set.items[i].labels;
        double calls = calls_in(&samples[i], range->from_ms);
        if (calls > 0)
            count_name(names, labels_get(labels, STR("client")), labels_get(labels, STR("server")),
                       (uint64_t)calls);
    }
    return ERR_NONE;
}

static void take_untold_edge(void *self, const struct span_series *series)
{
    const struct label *labels = series->labels;
    size_t count = series->labels_count;

    if (series->is_edge && series->untold_calls > 0 &&
        value_of(labels, count, STR("connection_type")).size == 0)
        count_name(self, value_of(labels, count, STR("client")),
                   value_of(labels, count, STR("server")), series->untold_calls);
}

static enum err work_dependencies(struct call *call, struct why *why)
{
    struct names names CLEANUP(names_done) = {.arena = call->arena};
    struct str service = call_parameter(call, "service");
    const struct name **sorted;
    struct range range;

    TRY(read_range(call, &range, why));
    TRY(ask_edges(call, &range, &names, why));
    int64_t now_ms = clock_now_ms();
    if (range.from_ms <= now_ms && range.to_ms >= now_ms - LOOKBACK_NOW_MS)
        otlp_receiver_each(call->server->otlp, call->identity.tenant, take_untold_edge, &names);
    TRY(sort_names(&names, &sorted, why));
    struct json json = jaeger_begin(call);
    jaeger_open_list(&json, false);
    for (size_t i = 0; i < names.map.count; i++) {
        bool concerns = service.size == 0 || str_eq(service, sorted[i]->first) ||
                        str_eq(service, sorted[i]->second);
        if (!concerns || str_eq(sorted[i]->first, sorted[i]->second))
            continue; /* Calls within a service are no dependency. */
        json_open(&json, '{');
        json_put_str(&json, "parent", sorted[i]->first);
        json_put_str(&json, "child", sorted[i]->second);
        json_put_u64(&json, "callCount", sorted[i]->calls);
        json_close(&json, '}');
    }
    jaeger_end(&json, false, 0);
    return ERR_NONE;
}

void route_jaeger_dependencies(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_dependencies);
}
