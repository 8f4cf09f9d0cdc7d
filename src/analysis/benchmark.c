/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/benchmark.h"

#include "analysis/services.h"
#include "codec/node.h"
#include "model/label.h"
#include "query/promql.h"

#include <math.h>

#define RANGE_MS     (INT64_C(3600) * 1000)
#define RANGE_STEPS  60
#define STEP_MS_MIN  1000
#define EVERY_MS_MIN (INT64_C(10) * 1000)

/* ---- Reading. ---- */

static enum err check_name(const struct node *node, struct str name, struct why *why)
{
    bool good = name.size > 0 && name.size <= BENCHMARK_NAME_BYTES_MAX;

    for (size_t i = 0; good && i < name.size; i++) {
        char byte = name.data[i];
        good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
               (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.' ||
               (byte == ' ' && i > 0);
    }
    if (good)
        return ERR_NONE;
    return node_fail(node, why, "a name is 1 to %d letters, digits, '-', '_', '.' and blanks",
                     BENCHMARK_NAME_BYTES_MAX);
}

static enum err read_better(const struct node *node, int *ret_better, struct why *why)
{
    struct str text;

    if (node == NULL)
        return ERR_NONE;
    TRY(node_text(node, &text, why));
    if (!str_eq(text, STR("higher")) && !str_eq(text, STR("lower")))
        return node_fail(node, why, "must be 'higher' or 'lower'");
    *ret_better = str_eq(text, STR("higher")) ? 1 : -1;
    return ERR_NONE;
}

/* "name": "expr" or "name": {"query": "expr", "unit": "s", "better": "lower"}. */
static enum err read_query(const struct node *node, struct benchmark_query *ret_query,
                           struct why *why)
{
    static const char *const keys[] = {"query", "unit", "better"};
    const struct node *expr = node;

    *ret_query = (struct benchmark_query){.name = node->key};
    if (node->key.size == 0)
        return node_fail(node, why, "a query needs a name");
    if (node->kind == NODE_MAP) {
        const struct node *unit = node_get(node, "unit");
        TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
        TRY(node_need(node, "query", &expr, why));
        TRY(read_better(node_get(node, "better"), &ret_query->better, why));
        if (unit != NULL)
            TRY(node_text(unit, &ret_query->unit, why));
    }
    TRY(node_text(expr, &ret_query->expr, why));
    struct promql_expression *expression CLEANUP(promql_freep) = NULL;
    struct why reason = WHY_INIT;
    if (promql_parse(ret_query->expr, &expression, &reason) != ERR_NONE)
        return node_fail(expr, why, "%s", reason.text);
    return ERR_NONE;
}

static enum err read_queries(const struct node *map, struct arena *arena,
                             struct benchmark *benchmark, struct why *why)
{
    if (map == NULL)
        return ERR_NONE;
    TRY(node_map(map, why));
    if (map->count > BENCHMARK_QUERIES_MAX)
        return node_fail(map, why, "more than %d queries", BENCHMARK_QUERIES_MAX);
    benchmark->queries = ARENA_ARRAY(arena, map->count + 1, struct benchmark_query);
    if (benchmark->queries == NULL)
        return arena_spent(arena, "the queries", why);
    NODE_EACH(map, node)
    TRY(read_query(node, &benchmark->queries[benchmark->queries_count++], why));
    return ERR_NONE;
}

static enum err read_ms(const struct node *root, const char *key, int64_t *value, struct why *why)
{
    const struct node *node = node_get(root, key);

    return node == NULL ? ERR_NONE : node_i64(node, value, why);
}

static enum err read_duration(const struct node *root, const char *key, int64_t least,
                              int64_t *value, struct why *why)
{
    const struct node *node = node_get(root, key);

    if (node == NULL)
        return ERR_NONE;
    TRY(node_duration_ms(node, value, why));
    return *value >= least ? ERR_NONE
                           : node_fail(node, why, "must be %lld ms at least", (long long)least);
}

static enum err read_stretch(const struct node *root, int64_t now_ms, struct benchmark *benchmark,
                             struct why *why)
{
    int64_t range_ms = RANGE_MS;

    benchmark->end_ms = now_ms;
    TRY(read_ms(root, "end_ms", &benchmark->end_ms, why));
    TRY(read_duration(root, "range", 4 * STEP_MS_MIN, &range_ms, why));
    benchmark->start_ms = benchmark->end_ms - range_ms;
    TRY(read_ms(root, "start_ms", &benchmark->start_ms, why));
    range_ms = benchmark->end_ms - benchmark->start_ms;
    if (range_ms < 4 * STEP_MS_MIN)
        return node_fail(root, why, "the end must be four seconds after the start at least");
    benchmark->step_ms =
        range_ms / RANGE_STEPS < STEP_MS_MIN ? STEP_MS_MIN : range_ms / RANGE_STEPS;
    TRY(read_duration(root, "step", STEP_MS_MIN, &benchmark->step_ms, why));
    TRY(read_ms(root, "step_ms", &benchmark->step_ms, why));
    if (benchmark->step_ms < STEP_MS_MIN || range_ms / benchmark->step_ms < VERDICT_COUNT_MIN ||
        range_ms / benchmark->step_ms > BENCHMARK_STEPS_MAX)
        return node_fail(root, why, "range and step make %lld values; %d to %d are compared",
                         (long long)(range_ms / (benchmark->step_ms < 1 ? 1 : benchmark->step_ms)),
                         VERDICT_COUNT_MIN, BENCHMARK_STEPS_MAX);
    return ERR_NONE;
}

enum err benchmark_read(const struct node *root, int64_t now_ms, struct arena *arena,
                        struct benchmark *ret_benchmark, struct why *why)
{
    static const char *const keys[] = {"name",    "description", "queries", "services", "end_ms",
                                       "range",   "step",        "every",   "start_ms", "step_ms",
                                       "made_ms", "every_ms",    "metrics", "replace"};
    struct benchmark benchmark = {0};
    const struct node *name;
    const struct node *description = node_get(root, "description");
    const struct node *services = node_get(root, "services");
    const struct node *replace = node_get(root, "replace");

    TRY(node_map(root, why));
    TRY(node_only(root, keys, ARRAY_COUNT(keys), why));
    TRY(node_need(root, "name", &name, why));
    TRY(node_text(name, &benchmark.name, why));
    TRY(check_name(name, benchmark.name, why));
    if (description != NULL)
        TRY(node_text(description, &benchmark.description, why));
    TRY(read_queries(node_get(root, "queries"), arena, &benchmark, why));
    benchmark.services = benchmark.queries_count == 0;
    if (services != NULL)
        TRY(node_bool(services, &benchmark.services, why));
    if (replace != NULL)
        TRY(node_bool(replace, &benchmark.replace, why));
    if (!benchmark.services && benchmark.queries_count == 0)
        return node_fail(root, why, "needs queries, or services: true");
    TRY(read_stretch(root, now_ms, &benchmark, why));
    TRY(read_duration(root, "every", EVERY_MS_MIN, &benchmark.every_ms, why));
    TRY(read_ms(root, "every_ms", &benchmark.every_ms, why));
    TRY(read_ms(root, "made_ms", &benchmark.made_ms, why));
    *ret_benchmark = benchmark;
    return ERR_NONE;
}

/* ---- Writing. ---- */

void benchmark_put_queries(const struct benchmark *benchmark, struct json *json)
{
    json_put_bool(json, "services", benchmark->services);
    json_key(json, "queries");
    json_open(json, '{');
    for (size_t i = 0; i < benchmark->queries_count; i++) {
        const struct benchmark_query *query = &benchmark->queries[i];
        json_key_str(json, query->name);
        json_open(json, '{');
        json_put_str(json, "query", query->expr);
        if (query->unit.size > 0)
            json_put_str(json, "unit", query->unit);
        if (query->better != 0)
            json_put_text(json, "better", query->better > 0 ? "higher" : "lower");
        json_close(json, '}');
    }
    json_close(json, '}');
}

void benchmark_write(const struct benchmark *benchmark, const struct bench_result *values,
                     struct buf *out)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_put_str(&json, "name", benchmark->name);
    json_put_str(&json, "description", benchmark->description);
    json_put_i64(&json, "made_ms", benchmark->made_ms);
    json_put_i64(&json, "start_ms", benchmark->start_ms);
    json_put_i64(&json, "end_ms", benchmark->end_ms);
    json_put_i64(&json, "step_ms", benchmark->step_ms);
    json_put_i64(&json, "every_ms", benchmark->every_ms);
    benchmark_put_queries(benchmark, &json);
    if (values != NULL) {
        json_key(&json, "metrics");
        bench_result_write_metrics(values, &json);
    }
    json_close(&json, '}');
}

/* ---- Gathering. ---- */

static struct str unit_of(const struct benchmark_query *query)
{
    static const struct {
        const char *end;
        const char *unit;
    } units[] = {{"_seconds", "s"}, {"_bytes", "B"}, {"_percent", "%"}, {"_ms", "ms"}};

    for (size_t i = 0; query->unit.size == 0 && i < ARRAY_COUNT(units); i++) {
        if (str_ends(query->name, str_of(units[i].end)))
            return str_of(units[i].unit);
    }
    return query->unit;
}

static struct bench_metric *add_metric(struct bench_result *result, struct str name,
                                       struct str unit, int better)
{
    struct bench_metric *metric = bench_result_metric(result, name, unit);

    if (metric != NULL && better != 0)
        metric->higher_is_better = better > 0;
    return metric;
}

static enum err too_many(struct why *why)
{
    return fail(why, ERR_LIMIT, "the queries have more than %d series", BENCH_METRICS_MAX);
}

/* name{a="b"}: the series' labels but for its own name. */
static void write_series_name(struct buf *out, struct str name, const struct labels *labels)
{
    struct label label;
    bool first = true;
    size_t at = 0;

    buf_str(out, name);
    while (labels_next(labels, &at, &label)) {
        if (str_eq(label.name, LABEL_NAME))
            continue;
        buf_printf(out, "%s%.*s=\"%.*s\"", first ? "{" : ",", STR_ARG(label.name),
                   STR_ARG(label.value));
        first = false;
    }
    if (!first)
        buf_byte(out, '}');
}

static enum err gather_query(const struct benchmark *benchmark, const struct benchmark_query *query,
                             const struct benchmark_question *question, struct bench_result *result,
                             struct why *why)
{
    struct promql_expression *expression CLEANUP(promql_freep) = NULL;
    struct promql_result answer;
    const struct promql_query range = {
        .source = question->view,
        .start_ms = question->start_ms + benchmark->step_ms,
        .end_ms = question->end_ms,
        .step_ms = benchmark->step_ms,
        .timeout_ms = question->timeout_ms,
        .cancelled = question->cancelled,
        .arena = question->arena,
    };

    TRY(promql_parse(query->expr, &expression, why));
    TRY(promql_eval_range(expression, &range, &answer, why));
    for (size_t i = 0; i < answer.series_count; i++) {
        const struct promql_series *series = &answer.series[i];
        struct buf name CLEANUP(buf_done) = {0};
        if (answer.series_count == 1)
            buf_str(&name, query->name);
        else
            write_series_name(&name, query->name, series->labels);
        struct bench_metric *metric =
            add_metric(result, buf_view(&name), unit_of(query), query->better);
        if (metric == NULL)
            return too_many(why);
        for (size_t k = 0; k < series->count; k++)
            (void)bench_metric_add(metric, series->values[k]); /* Steps are fewer than its bound. */
    }
    return ERR_NONE;
}

static enum err add_values(struct bench_result *result, const struct service_operation *operation,
                           const char *what, const char *unit, const double *values, size_t count,
                           struct why *why)
{
    struct buf name CLEANUP(buf_done) = {0};

    buf_printf(&name, "%.*s %.*s %s", STR_ARG(operation->service), STR_ARG(operation->operation),
               what);
    struct bench_metric *metric = add_metric(result, buf_view(&name), str_of(unit), -1);
    if (metric == NULL)
        return too_many(why);
    for (size_t i = 0; i < count; i++)
        (void)bench_metric_add(metric, values[i]); /* Steps are fewer than its bound. */
    return ERR_NONE;
}

static enum err gather_operation(const struct benchmark *benchmark,
                                 const struct service_operation *operation,
                                 const struct benchmark_question *question,
                                 struct bench_result *result, struct why *why)
{
    const struct services_question asked = {question->start_ms, question->end_ms,
                                            operation->service, operation->operation};
    struct service_history history;

    TRY(services_history(question->view, &asked, benchmark->step_ms, question->arena, &history,
                         why));
    double *errors = ARENA_ARRAY(question->arena, history.count + 1, double);
    if (errors == NULL)
        return arena_spent(question->arena, "the shares of errors", why);
    for (size_t i = 0; i < history.count; i++)
        errors[i] = history.calls[i] == 0
                        ? NAN
                        : 100 * (double)history.failures[i] / (double)history.calls[i];
    TRY(add_values(result, operation, "p50", "ms", history.p50_ms, history.count, why));
    TRY(add_values(result, operation, "p95", "ms", history.p95_ms, history.count, why));
    return add_values(result, operation, "errors", "%", errors, history.count, why);
}

static enum err gather_services(const struct benchmark *benchmark,
                                const struct benchmark_question *question,
                                struct bench_result *result, struct why *why)
{
    const struct services_question asked = {question->start_ms, question->end_ms, STR_NONE,
                                            STR_NONE};
    struct services services;

    TRY(services_read(question->view, &asked, question->arena, &services, why));
    for (size_t i = 0; i < services.operations_count && i < BENCHMARK_OPERATIONS_MAX; i++)
        TRY(gather_operation(benchmark, &services.operations[i], question, result, why));
    return ERR_NONE;
}

static bool has_values(const struct bench_result *result)
{
    for (size_t i = 0; i < result->metrics_count; i++) {
        for (size_t k = 0; k < result->metrics[i].count; k++) {
            if (!isnan(result->metrics[i].values[k]))
                return true;
        }
    }
    return false;
}

enum err benchmark_gather(const struct benchmark *benchmark,
                          const struct benchmark_question *question,
                          struct bench_results *ret_results, struct why *why)
{
    struct bench_results results CLEANUP(bench_results_done) = {0};
    struct bench_result *result = bench_results_add(&results, benchmark->name);

    for (size_t i = 0; i < benchmark->queries_count; i++)
        TRY(gather_query(benchmark, &benchmark->queries[i], question, result, why));
    if (benchmark->services)
        TRY(gather_services(benchmark, question, result, why));
    if (!has_values(result)) {
        (void)fail(why, ERR_INVALID, "nothing that '%.*s' asks for has a value in that time",
                   STR_ARG(benchmark->name));
        hint(why, "look at the expressions with `sonde query`, or choose another time");
        return ERR_INVALID;
    }
    *ret_results = results;
    results = (struct bench_results){0};
    return ERR_NONE;
}
