/* SPDX-License-Identifier: Apache-2.0 */
/* A record is the report as it came, with when it was and how it ended; what lists and comparisons
 * need is read out of it when they are asked for. */
#include "serve/load_kept.h"
#include "serve/benchmarks.h"
#include "serve/figures.h"
#include "serve/load_explain.h"
#include "serve/params.h"
#include "serve/server_priv.h"

#include "analysis/bench_load.h"
#include "base/clock.h"
#include "codec/json_tree.h"
#include "store/record.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define LOAD_RUN_KIND STR("load_run")

enum { LIST_MAX = 500, KEPT_MAX = 1000 };

static double number_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);
    double value;

    return child != NULL && node_double(child, &value, NULL) == ERR_NONE ? value : NAN;
}

enum err load_kept_add(struct store *store, const char *tenant, const struct load_kept *kept,
                       struct why *why)
{
    const struct record record = {LOAD_RUN_KIND, kept->id, kept->started_ms, kept->body};

    TRY(store_record_put(store, tenant, &record, why));
    return store_record_trim(store, tenant, LOAD_RUN_KIND, STR(""), KEPT_MAX, why);
}

/* ---- One of them. ---- */

static enum err load_record(struct call *call, struct str id, struct record *ret_record,
                            struct why *why)
{
    enum err err = store_record_get(call->server->options.store, call->identity.tenant,
                                    LOAD_RUN_KIND, id, call->arena, ret_record, why);

    if (err == ERR_NOT_FOUND) {
        (void)fail(why, ERR_NOT_FOUND, "there is no load %.*s", STR_ARG(id));
        hint(why, "GET /api/v1/load/runs lists them");
    }
    return err;
}

/* How this machine did meanwhile. */
static enum err put_host(struct call *call, struct json *json, const struct node *root,
                         int64_t started_ms, struct why *why)
{
    double duration_s = number_at(node_get(root, "report"), "duration_s");
    static const char *const names[] = {"cpu_percent", "memory_percent", "load1"};

    json_key(json, "host");
    json_open(json, '{');
    for (size_t i = 0; i < figures_count && !isnan(duration_s); i++) {
        const struct figure_range range = {
            started_ms, started_ms + (int64_t)(duration_s * CLOCK_MS_PER_S),
            duration_s > 240 ? (int64_t)(duration_s * CLOCK_MS_PER_S / 240) : CLOCK_MS_PER_S};
        struct promql_result result;
        double sum = 0;
        double most = NAN;
        bool wanted = false;
        for (size_t k = 0; k < ARRAY_COUNT(names); k++)
            wanted = wanted || strcmp(figures[i].name, names[k]) == 0;
        if (!wanted)
            continue;
        TRY(figure_ask(call, &figures[i], &range, &result, why));
        size_t count = result.series_count == 0 ? 0 : result.series[0].count;
        for (size_t k = 0; k < count; k++) {
            sum += result.series[0].values[k];
            most = fmax(most, result.series[0].values[k]);
        }
        json_key(json, figures[i].name);
        json_open(json, '{');
        json_put_double(json, "average", count == 0 ? NAN : sum / (double)count);
        json_put_double(json, "maximum", most);
        json_close(json, '}');
    }
    json_close(json, '}');
    return ERR_NONE;
}

static enum err work_get(struct call *call, struct why *why)
{
    struct record record;
    const struct node *root;

    TRY(load_record(call, call->captures[0], &record, why));
    TRY(json_read(record.body, "load", record.body.size, call->arena, &root, why));
    struct json json = json_begin(&call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_key(&json, "run");
    json_add_raw(&json, record.body);
    TRY(put_host(call, &json, root, record.time_ms, why));
    json_close(&json, '}');
    return ERR_NONE;
}

void load_kept_get(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_get);
}

/* ---- All of them. ---- */

static void put_percentiles(struct json *json, const struct node *report)
{
    const struct node *latency = node_get(report, "latency_ms");
    static const char *const keys[] = {"p50", "p95", "p99"};
    static const char *const names[] = {"p50_ms", "p95_ms", "p99_ms"};

    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        json_put_double(json, names[i], number_at(latency, keys[i]));
}

static struct str text_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);

    return child != NULL && child->kind == NODE_SCALAR ? child->text : STR("");
}

static enum err put_kept(struct json *json, const struct record *record, struct arena *arena,
                         struct why *why)
{
    const struct node *root;

    TRY(json_read(record->body, "load", record->body.size, arena, &root, why));
    const struct node *report = node_get(root, "report");
    json_open(json, '{');
    json_put_str(json, "id", record->name);
    json_put_str(json, "title", text_at(report == NULL ? root : report, "title"));
    json_put_str(json, "state", text_at(root, "state"));
    json_put_i64(json, "started_ms", record->time_ms);
    json_put_double(json, "duration_s", number_at(report, "duration_s"));
    json_put_double(json, "requests", number_at(report, "requests"));
    json_put_double(json, "errors", number_at(report, "errors"));
    json_put_double(json, "rate", number_at(report, "rate"));
    put_percentiles(json, report);
    json_put_str(json, "verdict", text_at(report, "verdict"));
    json_close(json, '}');
    return ERR_NONE;
}

static enum err work_list(struct call *call, struct why *why)
{
    struct arena *one CLEANUP(arena_freep) = arena_new(LOAD_KEPT_BYTES);
    struct record_list list;
    uint64_t limit;

    TRY(params_count(call, "limit", 50, LIST_MAX, &limit, why));
    const struct record_question question = {LOAD_RUN_KIND, STR(""), limit, true};
    TRY(store_record_list(call->server->options.store, call->identity.tenant, &question,
                          call->arena, &list, why));
    struct json json = json_begin(&call->answer.body);
    json.comma = str_ends(buf_view(&call->answer.body), STR("}"));
    for (size_t i = 0; i < list.count; i++) {
        TRY(put_kept(&json, &list.items[i], one, why));
        arena_clear(one);
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return ERR_NONE;
}

void load_kept_list(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_list);
}

static enum err work_remove(struct call *call, struct why *why)
{
    TRY(store_record_remove(call->server->options.store, call->identity.tenant, LOAD_RUN_KIND,
                            call->captures[0], why));
    call->answer.status = 204;
    return ERR_NONE;
}

void route_load_remove(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_remove);
}

/* ---- A report that was made elsewhere. ---- */

static enum err work_keep(struct call *call, struct why *why)
{
    struct str text = exchange_body(call->exchange);
    struct buf body CLEANUP(buf_done) = {0};
    char id[LOAD_ID_SIZE];
    const struct node *root;
    int64_t now_ms = clock_now_ms();

    TRY(json_read(text, "body", text.size, call->arena, &root, why));
    /* One in which nothing was answered has no latencies, and is a report all the same. */
    if (!bench_load_is(root) && !load_explain_can(root)) {
        (void)fail(why, ERR_INVALID, "body: this is no report of a load");
        hint(why, "send what `sonde load --json` prints");
        return ERR_INVALID;
    }
    double duration_s = number_at(root, "duration_s");
    int64_t started_ms = now_ms - (isfinite(duration_s) && duration_s > 0 && duration_s < 1e7
                                       ? (int64_t)(duration_s * CLOCK_MS_PER_S)
                                       : 0);
    (void)snprintf(id, sizeof(id), "%013" PRId64 "-%08x", started_ms,
                   (unsigned)(clock_monotonic_ns() & 0xffffffff));
    struct json json = json_begin(&body);
    json_open(&json, '{');
    json_put_text(&json, "id", id);
    json_put_i64(&json, "started_ms", started_ms);
    json_put_text(&json, "state", "done");
    json_key(&json, "report");
    json_add_raw(&json, str_trim(text));
    json_close(&json, '}');
    const struct load_kept kept = {str_of(id), started_ms, buf_view(&body)};
    TRY(load_kept_add(call->server->options.store, call->identity.tenant, &kept, why));
    struct json answer = json_begin(&call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    call->answer.status = 201;
    json_open(&answer, '{');
    json_put_text(&answer, "id", id);
    json_close(&answer, '}');
    return ERR_NONE;
}

void route_load_keep(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_keep);
}

/* ---- Comparing. ---- */

static enum err read_side(struct call *call, struct str id, struct bench_results *ret_results,
                          struct why *why)
{
    struct bench_results results CLEANUP(bench_results_done) = {0};
    struct record record;
    const struct node *root;

    TRY(load_record(call, id, &record, why));
    TRY(json_read(record.body, "load", record.body.size, call->arena, &root, why));
    const struct node *report = node_get(root, "report");
    if (report == NULL)
        return fail(why, ERR_INVALID, "the load %.*s has no report", STR_ARG(id));
    TRY(bench_load_add_timeline(report, bench_results_add(&results, id), why));
    *ret_results = results;
    results = (struct bench_results){0};
    return ERR_NONE;
}

static enum err work_compare(struct call *call, struct why *why)
{
    struct bench_results before CLEANUP(bench_results_done) = {0};
    struct bench_results after CLEANUP(bench_results_done) = {0};
    struct bench_comparison comparison CLEANUP(bench_comparison_done) = {0};
    struct str against = call_parameter(call, "against");

    if (against.size == 0)
        return fail(why, ERR_INVALID, "missing parameter \"against\": the id of an earlier load");
    TRY(read_side(call, against, &before, why));
    TRY(read_side(call, call->captures[0], &after, why));
    bench_compare(&before.results[0], &after.results[0], &benchmark_judging_default, &comparison);
    struct json json = json_begin(&call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_put_str(&json, "before", against);
    json_put_str(&json, "after", call->captures[0]);
    bench_comparison_put(&comparison, &json);
    json_close(&json, '}');
    return ERR_NONE;
}

void route_load_compare(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_compare);
}
