/* SPDX-License-Identifier: Apache-2.0 */
/* A commit wakes the loop, the loop picks the subscriptions that are due and lends them to a worker
 * as one round; meanwhile commits only note that another round is wanted.
 *
 *     writer: accept ─► newest time      commit ─► wake (once until the loop has seen it)
 *     loop:   due = those whose step has a newer time ─► round ─► worker asks ─► loop sends
 *
 * A subscription that ends during a round is marked and freed when the round is back, so the worker
 * never meets freed memory. Time is that of the newest batch, not the wall clock: then a point that
 * is pushed is one that is there. */
#include "serve/live_priv.h"
#include "serve/tenant_view.h"

#include "base/clock.h"
#include "base/json.h"
#include "hub/sink.h"
#include "io/websocket.h"
#include "query/promql.h"
#include "store/store_read.h"

#include <stdlib.h>

#define LIVE_PARSE_BYTES (4 * 1024 * 1024)  /* Arena for reading it. */
#define LIVE_ROUND_BYTES ((size_t)64 << 20) /* Arena of one question. */
#define LIVE_TIMEOUT_MS  10000

/* ---- Sending. ---- */

static void send(struct peer *peer, struct buf *message)
{
    enum err err = websocket_send_text(peer->websocket, buf_view(message));

    if (err == ERR_BUSY) {
        peer->dropped_count++;
        peer->live->stats.dropped++;
    } else if (err == ERR_NONE) {
        peer->live->stats.pushed++;
    } /* ERR_CLOSED: on_closed follows. */
}

static void write_error(struct buf *out, struct str id, enum err err, const struct why *why)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    if (id.size > 0) {
        json_put_str(&json, "id", id);
    }
    json_key(&json, "error");
    json_open(&json, '{');
    json_put_text(&json, "code", err_code(err));
    json_put_text(&json, "message", why->text);
    if (why->hint[0] != '\0') {
        json_put_text(&json, "hint", why->hint);
    }
    if (why->position >= 0) {
        json_put_i64(&json, "position", why->position);
    }
    json_close(&json, '}');
    json_close(&json, '}');
}

void peer_send_error(struct peer *peer, struct str id, enum err err, const struct why *why)
{
    struct buf out = {0};

    write_error(&out, id, err, why);
    send(peer, &out);
    buf_done(&out);
}

static void on_drained(void *self, struct websocket *websocket)
{
    struct peer *peer = self;
    struct buf out = {0};

    (void)websocket;
    if (peer->dropped_count == 0)
        return;
    buf_printf(&out,
               "{\"notice\":{\"code\":\"slow\",\"message\":\"This connection is too slow: points "
               "were left out.\",\"dropped_count\":%llu}}",
               (unsigned long long)peer->dropped_count);
    peer->dropped_count = 0;
    send(peer, &out);
    buf_done(&out);
}

static void begin_round(struct live *live);

static void on_message(void *self, struct websocket *websocket, struct str message, bool is_text)
{
    struct peer *peer = self;
    struct why why = WHY_INIT;
    enum err err;

    (void)websocket;
    if (!is_text) {
        err = fail(&why, ERR_INVALID, "messages are JSON text, not bytes");
    } else {
        struct arena *arena = arena_new(LIVE_PARSE_BYTES);
        err = peer_read(peer, message, arena, &why);
        arena_free(arena);
    }
    if (err != ERR_NONE)
        peer_send_error(peer, STR_NONE, err, &why);
    begin_round(peer->live);
}

static void on_closed(void *self, struct websocket *websocket, int code)
{
    struct peer *peer = self;
    struct live *live = peer->live;

    (void)websocket;
    (void)code;
    while (peer->subscriptions != NULL) {
        struct subscription *subscription = peer->subscriptions;
        peer->subscriptions = subscription->next;
        subscription_end(subscription);
    }
    *peer->previous = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    live->stats.connections--;
    free(peer);
}

static const struct websocket_handler websocket_handler = {
    .message = on_message,
    .drained = on_drained,
    .closed = on_closed,
};

void live_accept(struct live *live, struct call *call)
{
    struct why why = WHY_INIT;
    struct peer *peer = calloc(1, sizeof(*peer));

    if (peer == NULL)
        must_memory(sizeof(*peer));
    peer->live = live;
    peer->identity = call->identity;
    enum err err = live->server->is_stopping
                       ? fail(&why, ERR_CLOSED, "the daemon is stopping")
                       : exchange_upgrade_websocket(call->exchange, &websocket_handler, peer,
                                                    STR_NONE, &peer->websocket, &why);
    if (err != ERR_NONE) {
        free(peer);
        hint(&why, "open this address as a WebSocket, version 13 over HTTP/1.1");
        call_fail(call, err, &why);
        return;
    }
    peer->next = live->peers;
    peer->previous = &live->peers;
    if (live->peers != NULL)
        live->peers->previous = &peer->next;
    live->peers = peer;
    live->stats.connections++;
}

void route_live(struct call *call)
{
    struct why why = WHY_INIT;
    enum err err = auth_check_origin(call->exchange, &why);

    if (err != ERR_NONE)
        call_fail(call, err, &why);
    else
        live_accept(call->server->live, call);
}

/* ---- Rounds. ---- */

static void write_series(struct json *json, const struct promql_series *series)
{
    char text[STR_DOUBLE_SIZE];
    struct label label;
    size_t at = 0;

    json_open(json, '{');
    json_key(json, "metric");
    json_open(json, '{');
    while (series->labels != NULL && labels_next(series->labels, &at, &label)) {
        json_key_str(json, label.name);
        json_add_str(json, label.value);
    }
    json_close(json, '}');
    json_put_str(json, "value", (struct str){text, str_from_double(text, series->values[0])});
    json_close(json, '}');
}

static void write_points(struct subscription *subscription, const struct promql_result *result,
                         int64_t time_ms)
{
    struct json json = json_begin(&subscription->message);
    struct promql_series scalar = {.values = &result->scalar, .count = 1};

    json_open(&json, '{');
    json_put_str(&json, "id", id_of(subscription));
    json_put_i64(&json, "time_ms", time_ms);
    json_key(&json, "result");
    json_open(&json, '[');
    if (result->type == PROMQL_SCALAR)
        write_series(&json, &scalar);
    for (size_t i = 0; i < result->series_count && i < LIVE_SERIES_MAX; i++)
        write_series(&json, &result->series[i]);
    json_close(&json, ']');
    if (result->series_count > LIVE_SERIES_MAX) {
        json_put_u64(&json, "cut_count", result->series_count - LIVE_SERIES_MAX);
    }
    json_close(&json, '}');
}

static void ask(struct live *live, struct subscription *subscription, struct store_view *view,
                struct arena *arena)
{
    const struct promql_query query = {
        .source = view,
        .start_ms = live->round_ms,
        .end_ms = live->round_ms,
        .timeout_ms = LIVE_TIMEOUT_MS,
        .arena = arena,
    };
    struct promql_result result;
    struct why why = WHY_INIT;

    buf_clear(&subscription->message);
    enum err err = promql_eval_instant(subscription->expression, &query, &result, &why);
    if (err == ERR_NONE) {
        write_points(subscription, &result, live->round_ms);
        buf_clear(&subscription->error);
        return;
    }
    write_error(&subscription->message, id_of(subscription), err, &why);
    if (str_eq(buf_view(&subscription->message), buf_view(&subscription->error))) {
        buf_clear(&subscription->message); /* Said already. */
    } else {
        buf_clear(&subscription->error);
        buf_str(&subscription->error, buf_view(&subscription->message));
    }
}

/* On a worker. Subscriptions of one tenant stand together often enough to keep the view. */
static void round_run(struct job *job)
{
    struct live *live = CONTAINER_OF(job, struct live, job);
    CLEANUP(store_view_releasep) struct store_view *view = NULL;
    struct arena *arena = arena_pool_take(live->server->arenas, LIVE_ROUND_BYTES);
    const char *tenant = NULL;

    for (struct subscription *at = live->round; at != NULL; at = at->next_in_round) {
        struct why why = WHY_INIT;
        if (tenant == NULL || strcmp(tenant, at->tenant) != 0) {
            store_view_releasep(&view);
            tenant = at->tenant;
            if (tenant_view_open(live->server->options.store, tenant, NULL, &view, &why) !=
                ERR_NONE) {
                tenant = NULL;
                buf_clear(&at->message);
                write_error(&at->message, id_of(at), why.err, &why);
                continue;
            }
        }
        ask(live, at, view, arena);
        arena_clear(arena);
    }
    arena_free(arena);
}

static void round_done(struct job *job)
{
    struct live *live = CONTAINER_OF(job, struct live, job);
    struct subscription *next;

    for (struct subscription *at = live->round; at != NULL; at = next) {
        next = at->next_in_round;
        at->in_round = false;
        if (at->peer == NULL) {
            subscription_free(at);
            continue;
        }
        if (at->message.size > 0)
            send(at->peer, &at->message);
        buf_clear(&at->message);
    }
    live->round = NULL;
    live->in_round = false;
    if (live->is_again)
        begin_round(live);
}

static bool is_due(const struct subscription *subscription, int64_t time_ms)
{
    return time_ms > subscription->told_ms &&
           time_ms / subscription->step_ms != subscription->told_ms / subscription->step_ms;
}

static void gather(struct live *live, int64_t time_ms)
{
    for (struct peer *peer = live->peers; peer != NULL; peer = peer->next) {
        for (struct subscription *at = peer->subscriptions; at != NULL; at = at->next) {
            if (!is_due(at, time_ms))
                continue;
            at->told_ms = time_ms;
            at->in_round = true;
            at->next_in_round = live->round;
            live->round = at;
        }
    }
}

static void begin_round(struct live *live)
{
    int64_t now_ms = clock_now_ms();
    int64_t newest_ms = atomic_load(&live->newest_ms);

    live->is_again = live->in_round;
    if (live->in_round || newest_ms == 0)
        return;
    live->round_ms = newest_ms < now_ms ? newest_ms : now_ms;
    gather(live, live->round_ms);
    if (live->round == NULL)
        return;
    live->in_round = true;
    live->stats.rounds++;
    live->job = (struct job){.run = round_run, .done = round_done};
    if (workers_submit(live->server->options.workers, &live->job) != ERR_NONE)
        round_done(&live->job); /* Too busy: this round's points are left out. */
}

/* ---- Word from the writer. ---- */

static void on_wake(struct loop_task *task)
{
    struct live *live = CONTAINER_OF(task, struct live, wake);

    atomic_store(&live->is_woken, false);
    begin_round(live);
}

void live_committed(struct live *live)
{
    if (atomic_load(&live->wanted) > 0 && !atomic_exchange(&live->is_woken, true))
        loop_send(live->server->options.loop, &live->wake);
}

static enum err sink_accept(void *self, struct batch *batch, struct why *why)
{
    struct server *server = self;

    (void)why;
    MUST_BE(server, SERVER_MAGIC);
    if (batch->time_ms > server->live->accepted_ms)
        server->live->accepted_ms = batch->time_ms;
    return ERR_NONE;
}

static enum err sink_commit(void *self, struct why *why)
{
    struct server *server = self;

    (void)why;
    atomic_store(&server->live->newest_ms, server->live->accepted_ms);
    live_committed(server->live);
    return ERR_NONE;
}

static void sink_tick(void *self, int64_t now_ms)
{
    struct server *server = self;

    MUST_BE(server, SERVER_MAGIC);
    cleanup_tick(server, now_ms);
}

const struct sink_ops server_live_sink = {
    .name = "live",
    .accept = sink_accept,
    .commit = sink_commit,
    .tick = sink_tick,
};

/* ---- Life. ---- */

struct live *live_new(struct server *server)
{
    struct live *live = calloc(1, sizeof(*live));

    if (live == NULL)
        must_memory(sizeof(*live));
    live->server = server;
    live->wake.run = on_wake;
    return live;
}

struct live *live_free(struct live *live)
{
    struct subscription *next;

    if (live == NULL)
        return NULL;
    MUST(live->peers == NULL);
    /* A round whose answer nobody waits for any more. */
    for (struct subscription *at = live->round; at != NULL; at = next) {
        next = at->next_in_round;
        subscription_free(at);
    }
    free(live);
    return NULL;
}

void live_stop(struct live *live)
{
    struct peer *next;

    for (struct peer *peer = live->peers; peer != NULL; peer = next) {
        next = peer->next;
        websocket_close(peer->websocket, WEBSOCKET_CLOSE_GOING_AWAY, STR("the daemon is stopping"));
    }
}

void live_read_stats(const struct live *live, struct live_stats *ret_stats)
{
    *ret_stats = live->stats;
}
