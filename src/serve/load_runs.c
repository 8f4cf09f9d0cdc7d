/* SPDX-License-Identifier: Apache-2.0 */
/* A run begins as a child and ends as a record:
 *
 *     POST ─► running (process) ─► exited ─► keeping (a job on a worker) ─► record, place free
 *                                               └─► spans are still to come: once more, later
 *
 * While it is in its place, questions about it are answered from there. */
#include "serve/load_runs.h"
#include "serve/load_explain.h"
#include "serve/load_kept.h"
#include "serve/load_request.h"
#include "serve/server_priv.h"
#include "serve/tenant_view.h"

#include "base/clock.h"
#include "base/json.h"
#include "codec/json_tree.h"
#include "io/process.h"
#include "store/record.h"
#include "store/store_read.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MARGIN_NS (60 * CLOCK_NS_PER_S)

enum {
    RUNNING_MAX = 2,
    OUTPUT_BYTES_MAX = RECORD_BODY_BYTES_MAX,
};

/* How long spans of a run that has ended are waited for: SDKs send every five seconds. */
#define SPANS_WAIT_NS (7 * CLOCK_NS_PER_S)

enum state { STATE_FREE, STATE_RUNNING, STATE_KEEPING };

struct running {
    struct load_desk *desk;
    enum state state;
    char id[LOAD_ID_SIZE];
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
    struct arena *arena CLEANUP(arena_freep) = arena_new(LOAD_KEPT_BYTES);
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
    const struct load_kept record = {str_of(running->id), running->started_ms, buf_view(&body)};
    if (load_kept_add(store, running->tenant, &record, &why) != ERR_NONE)
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

void route_load_get(struct call *call)
{
    struct running *running = find_running(call, call->captures[0]);

    if (running == NULL) {
        load_kept_get(call);
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
    load_kept_list(call);
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
