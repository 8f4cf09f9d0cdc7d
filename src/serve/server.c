/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a request:
 *
 *     head complete ──► guard: route? role? origin? ──► body arrives ──► handler ──► answer
 *                          │ no                                           │
 *                          └──► answered at once, body unread             └─► a worker, then the
 * loop
 *
 * Guarding at the head means that a stranger's body is never read, and that a body may be as large
 * as its route says and not larger. */
#include "serve/assets.h"
#include "serve/benchmarks.h"
#include "serve/health_watch.h"
#include "serve/live.h"
#include "serve/load_runs.h"
#include "serve/openapi.h"
#include "serve/origins.h"
#include "serve/otlp.h"
#include "serve/push_pool.h"
#include "serve/server_priv.h"
#include "sources/otlp.h"

#include "base/clock.h"
#include "io/http_coding.h"

#include <stdlib.h>

#define STATS_PERIOD_NS   CLOCK_NS_PER_S
#define ARENAS_KEPT_BYTES ((size_t)16 << 20) /* For the next large question. */
#define TAKE_BACK_ROUNDS  100

static const struct server_options defaults = {
    .query_timeout_ms = 120 * 1000,
    .query_memory_bytes = (size_t)256 << 20,
    .queries_max = 128,
    .live_max = 512,
};

static void answer_asset(struct call *call, const struct asset *asset)
{
    struct str packed = {(const char *)asset->gzip, asset->gzip_size};

    call->answer.content_type = str_of(asset->media_type);
    call->answer.etag = str_of(asset->etag);
    call->answer.as_is = true;
    call_header(call, "Cache-Control",
                asset->is_hashed ? STR("public, max-age=31536000, immutable") : STR("no-cache"));
    call_header(call, "Vary", STR("Accept-Encoding"));
    if (http_accepts_coding(exchange_header(call->exchange, STR("accept-encoding")), STR("gzip"))) {
        call_header(call, "Content-Encoding", STR("gzip"));
        call->answer.static_body = packed;
    } else {
        struct why why = WHY_INIT;
        enum err err =
            http_decode_body(STR("gzip"), packed, asset->plain_size, &call->answer.body, &why);
        if (err != ERR_NONE) {
            call_fail(call, err, &why);
            return;
        }
    }
    call_answer(call);
}

/* No route has the path: a file of the dashboard, its page, or nothing. */
static void answer_elsewhere(struct call *call, enum http_method method)
{
    struct str path = exchange_path(call->exchange);
    const struct asset *asset = NULL;
    struct why why = WHY_INIT;

    if (method == HTTP_GET || method == HTTP_HEAD) {
        asset = asset_find(path);
        if (asset == NULL)
            asset = asset_page(path);
    }
    if (asset != NULL) {
        answer_asset(call, asset);
        return;
    }
    (void)fail(&why, ERR_NOT_FOUND, "there is nothing at %.*s", STR_ARG(path));
    hint(&why, "all addresses are listed in /api/openapi.json");
    call_fail(call, ERR_NOT_FOUND, &why);
}

static void answer_method(struct call *call, enum http_method method, const char *allow)
{
    struct str allowed = arena_str(exchange_arena(call->exchange), str_of(allow));
    struct why why = WHY_INIT;

    call_header(call, "Allow", allowed);
    if (method == HTTP_OPTIONS) {
        call->answer.status = 204;
        call_answer(call);
        return;
    }
    (void)fail(&why, ERR_METHOD, "%.*s is not possible here",
               STR_ARG(exchange_method_text(call->exchange)));
    hint(&why, "allowed: %s", allow);
    call_fail(call, ERR_METHOD, &why);
}

/* What takes spans, metrics and logs in, which pages of other sites may be allowed to call. */
static bool is_open_to_pages(const struct route *route)
{
    return route != NULL && (route->form == FORM_OTLP || route->handler == route_zipkin_spans);
}

/* The question that a browser asks before it lets a page post. Answers, and is true, when it is. */
static bool answer_preflight(struct call *call, enum http_method method)
{
    struct route_match match;

    if (method != HTTP_OPTIONS ||
        exchange_header(call->exchange, STR("access-control-request-method")).size == 0)
        return false;
    router_find(&call->server->router, HTTP_POST, exchange_path(call->exchange), &match);
    if (!is_open_to_pages(match.route))
        return false;
    origins_answer_preflight(call->server->origins, call);
    return true;
}

/* May this caller have this route? Answers when not. */
static bool admit(struct call *call)
{
    struct why why = WHY_INIT;
    bool is_page = is_open_to_pages(call->route) && origins_admit(call->server->origins, call);
    enum err err =
        auth_identify(call->server->auth, call->exchange, call->route->role, &call->identity, &why);

    if (err == ERR_NONE && call->identity.role < call->route->role) {
        err = fail(&why, ERR_DENIED, "this needs the role %s, the token has %s",
                   role_name(call->route->role), role_name(call->identity.role));
        hint(&why, "ask the operator for a token with that role");
    }
    if (err == ERR_NONE && call->route->role >= ROLE_WRITER && !is_page)
        err = auth_check_origin(call->exchange, &why);
    if (err == ERR_NONE)
        return true;
    atomic_fetch_add_explicit(&call->server->counters.denied, 1, memory_order_relaxed);
    call_fail(call, err, &why);
    return false;
}

static void limit_intake(const struct route *route, struct http_intake *intake)
{
    const struct route_body *body = route_body_of(route);

    if (body != NULL && body->is_raw)
        intake->raw_body = true;
    if ((body == NULL || !body->is_large) && intake->body_bytes_max > ROUTE_BODY_BYTES)
        intake->body_bytes_max = ROUTE_BODY_BYTES;
}

static void on_head(void *self, struct exchange *exchange, struct http_intake *intake)
{
    struct server *server = self;
    enum http_method method = exchange_method(exchange);
    struct route_match match;

    MUST_BE(server, SERVER_MAGIC);
    struct call *call = call_new(server, exchange);
    if (call == NULL) {
        struct why why = WHY_INIT;
        exchange_respond_error(exchange, fail(&why, ERR_LIMIT, "the request is too large"), &why);
        return;
    }
    router_find(&server->router, method, exchange_path(exchange), &match);
    if (!match.path_exists) {
        answer_elsewhere(call, method);
    } else if (match.route == NULL) {
        if (!answer_preflight(call, method))
            answer_method(call, method, match.allow);
    } else {
        call->route = match.route;
        call->form = match.route->form;
        memcpy(call->captures, match.captures, sizeof(call->captures));
        if (admit(call))
            limit_intake(match.route, intake);
    }
}

static void on_request(void *self, struct exchange *exchange)
{
    struct call *call = exchange_data(exchange);

    (void)self;
    MUST_BE(call, CALL_MAGIC);
    call->route->handler(call);
}

static void on_done(void *self, struct exchange *exchange, const struct http_outcome *outcome)
{
    struct call *call = exchange_data(exchange);

    (void)self;
    (void)outcome;
    if (call != NULL) {
        MUST_BE(call, CALL_MAGIC);
        buf_done(&call->answer.body);
        call->magic = 0;
        exchange_set_data(exchange, NULL);
    }
}

static struct str on_error(void *self, int status, const struct why *why, struct buf *body)
{
    (void)self;
    (void)status;
    (void)call_error_body(FORM_PLAIN, false, why->err, why, body);
    return MEDIA_JSON;
}

/* What the server refuses by itself of OpenTelemetry's calls is told in their form too. */
static bool on_refused(void *self, struct exchange *exchange, int status, const struct why *why)
{
    struct call *call = exchange_data(exchange);

    (void)self;
    (void)status;
    if (call == NULL || (call->form != FORM_OTLP && call->form != FORM_GRPC))
        return false;
    MUST_BE(call, CALL_MAGIC);
    otlp_fail(call, why->err, why);
    return true;
}

static const struct http_handler handler = {
    .head = on_head,
    .request = on_request,
    .done = on_done,
    .error_body = on_error,
    .refused = on_refused,
};

static void copy_stats(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, stats_timer);
    struct http_stats stats;

    http_server_stats(server->http, &stats);
    pthread_mutex_lock(&server->stats_lock);
    server->http_stats = stats;
    live_read_stats(server->live, &server->live_stats);
    pthread_mutex_unlock(&server->stats_lock);
    arena_pool_trim(server->arenas);
    loop_timer_start(server->options.loop, timer,
                     loop_now_ns(server->options.loop) + STATS_PERIOD_NS, copy_stats);
}

static void take_options(struct server *server, const struct server_options *options)
{
    struct server_options *own = &server->options;

    *own = *options;
    server->limits = options->limits == NULL ? http_limits_default : *options->limits;
    own->limits = &server->limits;
    if (own->query_timeout_ms == 0)
        own->query_timeout_ms = defaults.query_timeout_ms;
    if (own->query_memory_bytes == 0)
        own->query_memory_bytes = defaults.query_memory_bytes;
    if (own->queries_max == 0)
        own->queries_max = defaults.queries_max;
    if (own->live_max == 0)
        own->live_max = defaults.live_max;
    own->auth = (struct auth_options){0}; /* Copied by auth_new; the caller's may go. */
}

static enum err open_parts(struct server *server, const struct server_options *options,
                           struct why *why)
{
    const struct http_server_options http = {
        .loop = options->loop,
        .handler = &handler,
        .self = server,
        .limits = server->options.limits,
    };

    TRY(auth_new(&options->auth, &server->auth, why));
    TRY(origins_new(options->origins, options->origins_count, &server->origins, why));
    router_init(&server->router);
    openapi_write(&server->openapi);
    server->live = live_new(server);
    server->pushes = push_pool_new();
    server->otlp = otlp_receiver_new();
    server->arenas = arena_pool_new(ARENAS_KEPT_BYTES);
    server->health = health_watch_new(server);
    server->benchmarks = benchmark_watch_new(server);
    server->load_desk = load_desk_new(server);
    server->http = http_server_new(&http);
    copy_stats(&server->stats_timer);
    otlp_start(server);
    return ERR_NONE;
}

enum err server_open(const struct server_options *options, struct server **ret_server,
                     struct why *why)
{
    struct server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        must_memory(sizeof(*server));
    server->magic = SERVER_MAGIC;
    server->started_ms = clock_now_ms();
    server->started_ns = clock_monotonic_ns();
    (void)pthread_mutex_init(&server->stats_lock, NULL); /* Cannot fail without attributes. */
    take_options(server, options);
    enum err err = open_parts(server, options, why);
    if (err != ERR_NONE) {
        server_close(server);
        return err;
    }
    *ret_server = server;
    return ERR_NONE;
}

/* The writer has ended, so what it had to send back is with the loop: one round or two bring it. */
static void take_back(struct server *server)
{
    cleanup_abandon(server);
    for (int round = 0; round < TAKE_BACK_ROUNDS && atomic_load(&server->handed_over) > 0;
         round++) {
        if (loop_once(server->options.loop, 0, NULL) != ERR_NONE)
            return;
    }
}

struct server *server_close(struct server *server)
{
    if (server == NULL)
        return NULL;
    MUST_BE(server, SERVER_MAGIC);
    if (server->http != NULL)
        take_back(server);
    loop_timer_stop(server->options.loop, &server->stats_timer);
    loop_timer_stop(server->options.loop, &server->otlp_timer);
    server->http = http_server_free(server->http); /* Ends live streams as well. */
    server->live = live_free(server->live);
    server->pushes = push_pool_free(server->pushes);
    server->otlp = otlp_receiver_free(server->otlp);
    server->arenas = arena_pool_unref(server->arenas);
    server->health = health_watch_free(server->health);
    server->benchmarks = benchmark_watch_free(server->benchmarks);
    server->load_desk = load_desk_free(server->load_desk);
    router_done(&server->router);
    buf_done(&server->openapi);
    server->auth = auth_free(server->auth);
    server->origins = origins_free(server->origins);
    pthread_mutex_destroy(&server->stats_lock);
    server->magic = 0;
    free(server);
    return NULL;
}

enum err server_listen(struct server *server, struct str address, struct tls_server *tls,
                       uint16_t *ret_port, struct why *why)
{
    TRY(auth_check_listen(server->auth, address, why));
    return http_server_listen(server->http, address, tls, ret_port, why);
}

void server_set_ready(struct server *server, bool is_ready)
{
    server->is_ready = is_ready;
}

void server_stop(struct server *server, int64_t deadline_ns, void (*stopped)(void *self),
                 void *self)
{
    server->is_stopping = true;
    server->is_ready = false;
    live_stop(server->live);
    cleanup_abandon(server);
    http_server_stop(server->http, deadline_ns, stopped, self);
}
