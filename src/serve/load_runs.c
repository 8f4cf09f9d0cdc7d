/* SPDX-License-Identifier: Apache-2.0 */
/* A run begins as a child and ends as a record:
 *
 *     POST ─► running (process) ─► exited ─► keeping (a job on a worker) ─► record, place free
 *                                               └─► spans are still to come: once more, later
 *
 * While it is in its place, questions about it are answered from there. */
#include "serve/load_runs.h"
#include "serve/benchmarks.h"
#include "serve/figures.h"
#include "serve/load_explain.h"
#include "serve/load_request.h"
#include "serve/params.h"
#include "serve/server_priv.h"
#include "serve/tenant_view.h"

#include "analysis/bench_load.h"
#include "base/clock.h"
#include "codec/json_tree.h"
#include "io/process.h"
#include "store/record.h"
#include "store/store_read.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LOAD_RUN_KIND STR("load_run")
#define KEEP_BYTES    ((size_t)512 << 20)
#define MARGIN_NS     (60 * CLOCK_NS_PER_S)

enum {
    RUNNING_MAX = 2,
    LIST_MAX = 500,
    KEPT_MAX = 1000,
    ID_SIZE = 48,
    OUTPUT_BYTES_MAX = RECORD_BODY_BYTES_MAX,
};

/* How long spans of a run that has ended are waited for: SDKs send every five seconds. */
#define SPANS_WAIT_NS (7 * CLOCK_NS_PER_S)

enum state { STATE_FREE, STATE_RUNNING, STATE_KEEPING };

struct running {
    struct load_desk *desk;
    enum state state;
    char id[ID_SIZE];
    char tenant[BATCH_TENANT_BYTES];
    int64_t started_ms;
    int64_t length_ms;
    struct buf title;
    struct process *process;
    struct buf report; /* Or what it complained when it failed. */
    bool failed;
    bool waits;      /* For spans of the run: it is looked at once more. */
    bool has_waited; /* … and that was this time. */
    struct loop_timer timer;
    struct job job;
};

struct load_desk {
    struct server *server;
    struct running places[RUNNING_MAX];
    uint32_t count; /* Of runs begun: a part of ids. */
};

/* ---- Keeping. ---- */

static double number_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);
    double value;

    return child != NULL && node_double(child, &value, NULL) == ERR_NONE ? value : NAN;
}

static void put_failure(struct json *json, const struct running *running)
{
    json_put_str(json, "title", buf_view(&running->title));
    json_put_str(json, "error", str_trim(buf_view(&running->report)));
}

static void write_record(const struct running *running, struct buf *out)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_put_text(&json, "id", running->id);
    json_put_i64(&json, "started_ms", running->started_ms);
    json_put_text(&json, "state", running->failed ? "failed" : "done");
    if (running->failed) {
        put_failure(&json, running);
    } else {
        json_key(&json, "report");
        json_add_raw(&json, str_trim(buf_view(&running->report)));
    }
    json_close(&json, '}');
}

/* Puts what this daemon saw of the target into the report, as its "target". */
static enum err explain(struct running *running, struct why *why)
{
    struct server *server = running->desk->server;
    struct arena *arena CLEANUP(arena_freep) = arena_new(KEEP_BYTES);
    CLEANUP(store_view_releasep) struct store_view *view = NULL;
    struct buf told CLEANUP(buf_done) = {0};
    struct str report = str_trim(buf_view(&running->report));
    const struct node *root;

    TRY(json_read(report, "report", report.size, arena, &root, why));
    if (!load_explain_can(root) || !str_ends(report, STR("}")))
        return ERR_NONE; /* A sweep, or nothing was measured. */
    TRY(tenant_view_open(server->options.store, running->tenant, NULL, &view, why));
    if (!running->has_waited) {
        TRY(load_explain_waits(server, view, root, arena, &running->waits, why));
        if (running->waits)
            return ERR_NONE;
    }
    const struct load_explain_question question = load_explain_question_of(root);
    TRY(load_explain_write(server, view, &question, arena, &told, why));
    running->report.size = (size_t)(report.data + report.size - 1 - running->report.data);
    buf_printf(&running->report, ",\"target\":%.*s}", STR_ARG(buf_view(&told)));
    return ERR_NONE;
}

static void keep_run(struct job *job)
{
    struct running *running = CONTAINER_OF(job, struct running, job);
    struct store *store = running->desk->server->options.store;
    struct buf body CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    running->waits = false;
    if (!running->failed && explain(running, &why) != ERR_NONE)
        fprintf(stderr, "sonde: the load %s is kept without its target: %s\n", running->id,
                why.text);
    if (running->waits)
        return;
    write_record(running, &body);
    const struct record record = {LOAD_RUN_KIND, str_of(running->id), running->started_ms,
                                  buf_view(&body)};
    enum err err = store_record_put(store, running->tenant, &record, &why);
    if (err == ERR_NONE)
        err = store_record_trim(store, running->tenant, LOAD_RUN_KIND, STR(""), KEPT_MAX, &why);
    if (err != ERR_NONE)
        fprintf(stderr, "sonde: the load %s was not kept: %s\n", running->id, why.text);
}

static void free_place(struct running *running)
{
    buf_done(&running->title);
    buf_done(&running->report);
    *running = (struct running){.desk = running->desk};
}

static void begin_keeping(struct running *running);

static void waited(struct loop_timer *timer)
{
    struct running *running = CONTAINER_OF(timer, struct running, timer);

    running->has_waited = true;
    begin_keeping(running);
}

static void kept(struct job *job)
{
    struct running *running = CONTAINER_OF(job, struct running, job);
    struct server *server = running->desk->server;

    if (!running->waits) {
        free_place(running);
    } else if (server->is_stopping) { /* Now or never. */
        running->has_waited = true;
        keep_run(job);
        free_place(running);
    } else {
        loop_timer_start(server->options.loop, &running->timer,
                         clock_monotonic_ns() + SPANS_WAIT_NS, waited);
    }
}

static void begin_keeping(struct running *running)
{
    struct server *server = running->desk->server;

    running->job = (struct job){.run = keep_run, .done = kept};
    if (workers_submit(server->options.workers, &running->job) == ERR_NONE)
        return;
    running->has_waited = true; /* Too much work waits: this one is not lost. */
    keep_run(&running->job);
    kept(&running->job);
}

/* What it said that is no progress. */
static void take_complaint(struct running *running, const struct process_result *result)
{
    struct str said = result->errors;

    while (said.size > 0) {
        struct str line = str_split(&said, '\n');
        if (line.size > 0 && line.data[0] != '{')
            buf_printf(&running->report, "%.*s\n", STR_ARG(line));
    }
    if (running->report.size == 0)
        buf_text(&running->report, result->output_cut ? "the report is too large to be kept"
                                                      : "it ended without a report");
}

/* Exit code 1 is a verdict, not a failure. */
static void finished(void *self, const struct process_result *result)
{
    struct running *running = self;

    running->process = NULL;
    running->failed = result->output.size == 0 || result->output_cut ||
                      (result->exit_code != 0 && result->exit_code != 1);
    if (running->failed)
        take_complaint(running, result);
    else
        buf_str(&running->report, result->output);
    running->state = STATE_KEEPING;
    begin_keeping(running);
}

/* ---- Starting. ---- */

static struct running *find_free(struct load_desk *desk)
{
    for (size_t i = 0; i < RUNNING_MAX; i++) {
        if (desk->places[i].state == STATE_FREE)
            return &desk->places[i];
    }
    return NULL;
}

static enum err start(struct call *call, struct running *running, struct why *why)
{
    struct load_desk *desk = call->server->load_desk;
    struct arena *arena CLEANUP(arena_freep) = arena_new((size_t)8 << 20);
    struct load_request request;

    TRY(load_request_read(exchange_body(call->exchange), arena, &request, why));
    running->length_ms = request.length_ms;
    buf_str(&running->title, request.title);
    running->started_ms = clock_now_ms();
    (void)snprintf(running->id, sizeof(running->id), "%013" PRId64 "-%u", running->started_ms,
                   ++desk->count);
    (void)snprintf(running->tenant, sizeof(running->tenant), "%s", call->identity.tenant);
    const struct process_options how = {
        .arguments = request.items,
        .timeout_ns = running->length_ms * CLOCK_NS_PER_MS + MARGIN_NS,
        .grace_ns = MARGIN_NS,
        .output_bytes_max = OUTPUT_BYTES_MAX,
    };
    TRY(process_start(call->server->options.loop, &how, finished, running, &running->process, why));
    running->state = STATE_RUNNING;
    return ERR_NONE;
}

static void put_running(struct json *json, const struct running *running)
{
    json_open(json, '{');
    json_put_text(json, "id", running->id);
    json_put_str(json, "title", buf_view(&running->title));
    json_put_text(json, "state", "running");
    json_put_i64(json, "started_ms", running->started_ms);
    json_put_double(json, "elapsed_s",
                    (double)(clock_now_ms() - running->started_ms) / CLOCK_MS_PER_S);
    json_close(json, '}');
}

void route_load_start(struct call *call)
{
    struct running *running = find_free(call->server->load_desk);
    struct why why = WHY_INIT;

    if (running == NULL) {
        (void)fail(&why, ERR_BUSY, "%d loads are running already", RUNNING_MAX);
        hint(&why, "stop one, or wait for it: more at once would disturb each other");
        call_fail(call, ERR_BUSY, &why);
        return;
    }
    enum err err = start(call, running, &why);
    if (err != ERR_NONE) {
        free_place(running);
        call_fail(call, err, &why);
        return;
    }
    struct json json = json_begin(&call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    call->answer.status = 202;
    put_running(&json, running);
    call_answer(call);
}

/* ---- Those that run. ---- */

static struct running *find_running(struct call *call, struct str id)
{
    struct load_desk *desk = call->server->load_desk;

    for (size_t i = 0; i < RUNNING_MAX; i++) {
        struct running *running = &desk->places[i];
        if (running->state != STATE_FREE && str_eq(id, str_of(running->id)) &&
            strcmp(running->tenant, call->identity.tenant) == 0)
            return running;
    }
    return NULL;
}

/* Whole lines of JSON, as an array; anything else that was said is passed by. */
static void put_progress(struct json *json, struct str said)
{
    json_key(json, "progress");
    json_open(json, '[');
    while (said.size > 0 && str_find(said, '\n') >= 0) {
        struct str line = str_split(&said, '\n');
        if (line.size > 1 && line.data[0] == '{' && line.data[line.size - 1] == '}')
            json_add_raw(json, line);
    }
    json_close(json, ']');
}

void route_load_stop(struct call *call)
{
    struct running *running = find_running(call, call->captures[0]);
    struct why why = WHY_INIT;

    if (running == NULL) {
        call_fail(call,
                  fail(&why, ERR_NOT_FOUND, "no load %.*s is running", STR_ARG(call->captures[0])),
                  &why);
        return;
    }
    if (running->process != NULL)
        process_end(running->process);
    struct json json = json_begin(&call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    call->answer.status = 202;
    put_running(&json, running);
    call_answer(call);
}

/* ---- Those that were kept. ---- */

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

void route_load_get(struct call *call)
{
    struct running *running = find_running(call, call->captures[0]);

    if (running == NULL) {
        call_work(call, CALL_NEEDS_VIEW, work_get);
        return;
    }
    struct json json = json_begin(&call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_key(&json, "run");
    put_running(&json, running);
    put_progress(&json, running->process == NULL ? STR("") : process_errors(running->process));
    json_close(&json, '}');
    call_answer(call);
}

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
    struct arena *one CLEANUP(arena_freep) = arena_new(KEEP_BYTES);
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

/* Those that run are told here, on the loop; those that were kept behind them, on a worker. */
void route_load_list(struct call *call)
{
    struct load_desk *desk = call->server->load_desk;
    struct json json = json_begin(&call->answer.body);

    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_key(&json, "runs");
    json_open(&json, '[');
    for (size_t i = 0; i < RUNNING_MAX; i++) {
        if (desk->places[i].state != STATE_FREE &&
            strcmp(desk->places[i].tenant, call->identity.tenant) == 0)
            put_running(&json, &desk->places[i]);
    }
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
    char id[ID_SIZE];
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
    const struct record record = {LOAD_RUN_KIND, str_of(id), started_ms, buf_view(&body)};
    TRY(store_record_put(call->server->options.store, call->identity.tenant, &record, why));
    TRY(store_record_trim(call->server->options.store, call->identity.tenant, LOAD_RUN_KIND,
                          STR(""), KEPT_MAX, why));
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

/* ---- The desk. ---- */

struct load_desk *load_desk_new(struct server *server)
{
    struct load_desk *desk = calloc(1, sizeof(*desk));

    if (desk == NULL)
        must_memory(sizeof(*desk));
    desk->server = server;
    for (size_t i = 0; i < RUNNING_MAX; i++)
        desk->places[i].desk = desk;
    return desk;
}

struct load_desk *load_desk_free(struct load_desk *desk)
{
    if (desk == NULL)
        return NULL;
    struct server *server = desk->server;
    for (size_t i = 0; i < RUNNING_MAX; i++) {
        desk->places[i].process = process_kill(desk->places[i].process);
        loop_timer_stop(server->options.loop, &desk->places[i].timer);
        if (desk->places[i].waits) { /* Its report is here: it is kept without what is missing. */
            desk->places[i].has_waited = true;
            keep_run(&desk->places[i].job);
        }
        free_place(&desk->places[i]);
    }
    free(desk);
    return NULL;
}
