/* SPDX-License-Identifier: Apache-2.0 */
/* One look is a job on a worker with the analysis' own state, which therefore only ever one job
 * holds. Who asks while a look is under way waits for it; who asks shortly after gets the same. */
#include "serve/health_watch.h"
#include "serve/server_priv.h"
#include "serve/tenant_view.h"

#include "analysis/health.h"
#include "base/clock.h"
#include "base/json.h"
#include "store/store_read.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define FRESH_NS        (2 * CLOCK_NS_PER_S)
#define PERIOD_NS       (15 * CLOCK_NS_PER_S)
#define FIRST_NS        (3 * CLOCK_NS_PER_S)
#define LOOK_BYTES      ((size_t)128 << 20)
#define LOOK_TIMEOUT_MS 5000
#define WAITING_MAX     256
#define TENANT          "default"

struct health_watch {
    struct server *server;
    void *state; /* Of the analysis; lent to the job under way. */
    struct loop_timer timer;
    struct job job;
    bool is_looking;
    char host[HOST_NAME_MAX + 1]; /* Whose health it is; empty when it has no name. */

    /* What the job makes. */
    enum err err;
    struct why why;
    struct finding_list list;
    struct buf body;

    int64_t looked_ns; /* Monotonic; 0: never. */
    char status[16];
    int64_t status_since_ms;
    struct call *waiting[WAITING_MAX];
    size_t waiting_count;
};

static void write_finding(struct json *json, const struct finding *finding)
{
    json_open(json, '{');
    json_put_str(json, "id", finding->id);
    json_put_text(json, "severity", severity_name(finding->severity));
    json_put_str(json, "claim", finding->claim);
    json_put_str(json, "evidence", finding->evidence);
    json_put_str(json, "next_step", finding->next_step);
    json_put_str(json, "expr", finding->expr);
    json_put_double(json, "confidence", finding->confidence);
    json_put_i64(json, "since_ms", finding->since_ms);
    json_close(json, '}');
}

static void write_look(struct health_watch *watch, int64_t now_ms)
{
    const char *status = finding_status(&watch->list);
    struct json json = json_begin(&watch->body);

    if (strcmp(status, watch->status) != 0) {
        (void)strncpy(watch->status, status, sizeof(watch->status) - 1);
        watch->status_since_ms = now_ms;
    }
    buf_clear(&watch->body);
    json_open(&json, '{');
    json_put_text(&json, "status", status);
    if (watch->host[0] != '\0')
        json_put_text(&json, "host", watch->host);
    json_put_i64(&json, "checked_at_ms", now_ms);
    json_put_i64(&json, "status_since_ms", watch->status_since_ms);
    json_key(&json, "findings");
    json_open(&json, '[');
    for (size_t i = 0; i < watch->list.count; i++)
        write_finding(&json, &watch->list.items[i]);
    json_close(&json, ']');
    json_put_u64(&json, "dropped_count", watch->list.dropped_count);
    json_close(&json, '}');
}

/* On a worker. The sources' own failures are not series, so they are not judged here: a source that
 * fails ends its series, and /api/v1/status names it. */
static void look_run(struct job *job)
{
    struct health_watch *watch = CONTAINER_OF(job, struct health_watch, job);
    CLEANUP(store_view_releasep) struct store_view *view = NULL;
    CLEANUP(arena_freep) struct arena *arena = arena_new(LOOK_BYTES);
    struct analysis_input input = {
        .now_ms = clock_now_ms(),
        .timeout_ms = LOOK_TIMEOUT_MS,
        .arena = arena,
    };

    watch->list.count = 0;
    watch->list.dropped_count = 0;
    watch->why = WHY_INIT;
    watch->err = tenant_view_open(watch->server->options.store, TENANT, NULL, &view, &watch->why);
    if (watch->err != ERR_NONE)
        return;
    input.view = view;
    watch->err = analysis_health.run(watch->state, &input, &watch->list, &watch->why);
    if (watch->err == ERR_NONE)
        write_look(watch, input.now_ms);
}

static void answer(struct health_watch *watch, struct call *call)
{
    if (watch->err != ERR_NONE) {
        call_fail(call, watch->err, &watch->why);
        return;
    }
    call->answer.content_type = MEDIA_JSON;
    buf_str(&call->answer.body, buf_view(&watch->body));
    call_header(call, "Cache-Control", STR("no-store"));
    call_answer(call);
}

static void answer_waiting(struct health_watch *watch)
{
    size_t count = watch->waiting_count;

    watch->waiting_count = 0;
    for (size_t i = 0; i < count; i++)
        answer(watch, watch->waiting[i]);
}

static void look_again(struct loop_timer *timer);

static void look_done(struct job *job)
{
    struct health_watch *watch = CONTAINER_OF(job, struct health_watch, job);

    watch->is_looking = false;
    watch->looked_ns = clock_monotonic_ns();
    answer_waiting(watch);
    if (!watch->server->is_stopping)
        loop_timer_start(watch->server->options.loop, &watch->timer, watch->looked_ns + PERIOD_NS,
                         look_again);
}

static void look(struct health_watch *watch)
{
    if (watch->is_looking)
        return;
    watch->is_looking = true;
    watch->job = (struct job){.run = look_run, .done = look_done};
    watch->err = fail(&watch->why, ERR_CLOSED, "the daemon is stopping");
    enum err err = workers_submit(watch->server->options.workers, &watch->job);
    if (err == ERR_NONE)
        return;
    watch->err = fail(&watch->why, err, "too much work is waiting");
    look_done(&watch->job);
}

static void look_again(struct loop_timer *timer)
{
    look(CONTAINER_OF(timer, struct health_watch, timer));
}

struct health_watch *health_watch_new(struct server *server)
{
    struct health_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        must_memory(sizeof(*watch));
    watch->server = server;
    if (gethostname(watch->host, sizeof(watch->host) - 1) != 0)
        watch->host[0] = '\0';
    watch->why = WHY_INIT;
    watch->state = analysis_health.open();
    loop_timer_start(server->options.loop, &watch->timer, clock_monotonic_ns() + FIRST_NS,
                     look_again);
    return watch;
}

struct health_watch *health_watch_free(struct health_watch *watch)
{
    if (watch == NULL)
        return NULL;
    loop_timer_stop(watch->server->options.loop, &watch->timer);
    analysis_health.close(watch->state);
    buf_done(&watch->body);
    free(watch);
    return NULL;
}

void health_watch_answer(struct health_watch *watch, struct call *call)
{
    struct why why = WHY_INIT;

    if (watch->looked_ns != 0 && !watch->is_looking &&
        clock_monotonic_ns() - watch->looked_ns < FRESH_NS) {
        answer(watch, call);
        return;
    }
    if (watch->waiting_count == WAITING_MAX) {
        call_fail(call, fail(&why, ERR_BUSY, "%d others wait for the same look", WAITING_MAX),
                  &why);
        return;
    }
    watch->waiting[watch->waiting_count++] = call;
    look(watch);
}

struct str health_watch_newest(const struct health_watch *watch, struct arena *arena)
{
    struct str copied = STR_NONE;

    /* While a look is under way the body belongs to the worker. */
    if (!watch->is_looking && watch->looked_ns != 0 && watch->err == ERR_NONE)
        copied = arena_str(arena, buf_view(&watch->body));
    return copied.data == NULL ? STR("null") : copied;
}

void route_health(struct call *call)
{
    health_watch_answer(call->server->health, call);
}
