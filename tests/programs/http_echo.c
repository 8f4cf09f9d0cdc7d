/* SPDX-License-Identifier: Apache-2.0 */
/* http_echo - a small server that shows every way to answer; tests and benches drive it.
 *
 *     http_echo [--tls CERTIFICATE KEY] [--quick] [--connections N] [ADDRESS:PORT]
 *
 * Prints "listening on PORT" once it does, ends on SIGTERM or SIGINT. --quick shortens the times
 * of patience to a second or two, for tests.
 *
 *     /healthz           "ok", borrowed, small: for throughput
 *     /echo              the body, with its content type
 *     /describe          method, path, parameters, peer, version, one per line
 *     /later?ms=N        answers "later" by a timer
 *     /big?bytes=N       text of that size; /static the same with an ETag, borrowed
 *     /stream?bytes=N    text, streamed with heed to the queue
 *     /count             the size of a body that is streamed in, not kept
 *     /small             takes bodies up to 1,000 bytes
 *     /early             answers 403 from the header, body unread
 *     /websocket         sends back what comes; "close" closes, "flood" sends until busy
 *     /stats             the server's counters, one per line */
#include "base/clock.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "io/tls.h"
#include "io/websocket.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { STATIC_BYTES = 100000, BIG_BYTES_MAX = 64 << 20, STREAM_PIECE = 4096 };

struct echo {
    struct loop *loop;
    struct http_server *server;
    struct tls_server *tls;
    char *text; /* STATIC_BYTES of it. */
    uint64_t exchanges_done;
};

static void respond_text(struct exchange *exchange, int status, struct buf *body)
{
    exchange_respond(exchange, &(struct http_response){
                                   .status = status,
                                   .content_type = STR("text/plain; charset=utf-8"),
                                   .body = body,
                               });
}

static void fill_text(struct buf *body, size_t size)
{
    static const char line[] = "the quick brown fox jumps over the lazy dog, and again\n";
    char *at = buf_reserve(body, size);

    for (size_t i = 0; i < size; i++)
        at[i] = line[i % (sizeof(line) - 1)];
    body->size += size;
}

static uint64_t number_param(struct exchange *exchange, struct str name, uint64_t otherwise)
{
    uint64_t number;

    return str_to_u64(exchange_param(exchange, name), &number) ? number : otherwise;
}

/* ---- Routes. ---- */

static void route_healthz(struct echo *echo, struct exchange *exchange)
{
    (void)echo;
    exchange_respond(exchange, &(struct http_response){
                                   .content_type = STR("text/plain; charset=utf-8"),
                                   .static_body = STR("ok\n"),
                               });
}

static void route_echo(struct echo *echo, struct exchange *exchange)
{
    struct str type = exchange_header(exchange, STR("content-type"));
    struct buf body;

    (void)echo;
    exchange_take_body(exchange, &body);
    exchange_respond(exchange, &(struct http_response){.content_type = type, .body = &body});
}

static void route_describe(struct echo *echo, struct exchange *exchange)
{
    struct buf body = {0};
    const struct http_header *params;
    struct why why = WHY_INIT;
    size_t count;

    (void)echo;
    enum err err = exchange_params(exchange, &params, &count, &why);
    if (err != ERR_NONE) {
        exchange_respond_error(exchange, err, &why);
        return;
    }
    struct str method = exchange_method_text(exchange);
    struct str path = exchange_path(exchange);
    struct str peer = exchange_peer(exchange);
    buf_printf(&body, "method %.*s\npath %.*s\npeer %.*s\nversion %d\ntls %d\n", STR_ARG(method),
               STR_ARG(path), STR_ARG(peer), exchange_version(exchange), exchange_is_tls(exchange));
    for (size_t i = 0; i < count; i++)
        buf_printf(&body, "param %.*s=%.*s\n", STR_ARG(params[i].name), STR_ARG(params[i].value));
    respond_text(exchange, 200, &body);
}

struct later {
    struct loop_timer timer;
    struct exchange *exchange;
};

static void answer_later(struct loop_timer *timer)
{
    struct later *later = CONTAINER_OF(timer, struct later, timer);
    struct buf body = {0};

    buf_text(&body, "later\n");
    respond_text(later->exchange, 200, &body);
    free(later);
}

static void route_later(struct echo *echo, struct exchange *exchange)
{
    struct later *later = calloc(1, sizeof(*later));
    int64_t wait_ms = (int64_t)number_param(exchange, STR("ms"), 10);

    later->exchange = exchange;
    loop_timer_start(echo->loop, &later->timer, loop_now_ns(echo->loop) + wait_ms * CLOCK_NS_PER_MS,
                     answer_later);
}

static void route_big(struct echo *echo, struct exchange *exchange)
{
    struct buf body = {0};
    uint64_t size = number_param(exchange, STR("bytes"), 100000);

    (void)echo;
    fill_text(&body, size > BIG_BYTES_MAX ? BIG_BYTES_MAX : (size_t)size);
    respond_text(exchange, 200, &body);
}

static void route_static(struct echo *echo, struct exchange *exchange)
{
    exchange_respond(exchange, &(struct http_response){
                                   .content_type = STR("text/plain; charset=utf-8"),
                                   .etag = STR("\"v1\""),
                                   .static_body = {echo->text, STATIC_BYTES},
                               });
}

struct stream {
    size_t left;
    struct exchange *exchange;
};

static void stream_on(void *self, struct exchange *exchange)
{
    struct stream *stream = self;
    struct buf piece = {0};

    fill_text(&piece, STREAM_PIECE);
    while (stream->left > 0 && exchange_queued_bytes(exchange) < 128 * 1024 &&
           !exchange_cancelled(exchange)) {
        size_t size = stream->left < STREAM_PIECE ? stream->left : STREAM_PIECE;
        exchange_write(exchange, (struct str){piece.data, size});
        stream->left -= size;
    }
    buf_done(&piece);
    if (stream->left == 0 || exchange_cancelled(exchange)) {
        free(stream);
        exchange_end(exchange);
    }
}

static void route_stream(struct echo *echo, struct exchange *exchange)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    (void)echo;
    stream->left = (size_t)number_param(exchange, STR("bytes"), 1000000);
    exchange_on_drained(exchange, stream_on, stream);
    exchange_begin(exchange, &(struct http_response){.content_type = STR("text/plain")});
    stream_on(stream, exchange);
}

static void route_count(struct echo *echo, struct exchange *exchange)
{
    struct buf body = {0};

    (void)echo;
    buf_printf(&body, "%zu\n", (size_t)exchange_data(exchange));
    respond_text(exchange, 200, &body);
}

static void echo_message(void *self, struct websocket *websocket, struct str message, bool is_text)
{
    (void)self;
    if (str_eq(message, STR("close"))) {
        websocket_close(websocket, WEBSOCKET_CLOSE_NORMAL, STR("as you wish"));
        return;
    }
    if (str_eq(message, STR("flood"))) {
        while (websocket_send_text(websocket, STR("a message of the flood")) == ERR_NONE) {
        }
        return;
    }
    /* The peer that does not read loses messages; that is what busy is for. */
    enum err err = is_text ? websocket_send_text(websocket, message)
                           : websocket_send_binary(websocket, message);
    (void)err;
}

static void echo_closed(void *self, struct websocket *websocket, int code)
{
    (void)self;
    (void)websocket;
    (void)code;
}

static void route_websocket(struct echo *echo, struct exchange *exchange)
{
    static const struct websocket_handler handler = {.message = echo_message,
                                                     .closed = echo_closed};
    struct websocket *websocket;
    struct why why = WHY_INIT;

    enum err err = exchange_upgrade_websocket(exchange, &handler, echo, STR_NONE, &websocket, &why);
    if (err != ERR_NONE)
        exchange_respond_error(exchange, err, &why);
}

static void route_stats(struct echo *echo, struct exchange *exchange)
{
    struct http_stats stats;
    struct buf body = {0};

    http_server_stats(echo->server, &stats);
#define FIELD(name) buf_printf(&body, #name " %" PRIu64 "\n", (uint64_t)stats.name)
    FIELD(requests_1xx);
    FIELD(requests_2xx);
    FIELD(requests_3xx);
    FIELD(requests_4xx);
    FIELD(requests_5xx);
    FIELD(requests_http1);
    FIELD(requests_http2);
    FIELD(bytes_in);
    FIELD(bytes_out);
    FIELD(connections_accepted);
    FIELD(connections_refused);
    FIELD(connections_refused_peer);
    FIELD(connections_refused_files);
    FIELD(connections_timed_out);
    FIELD(connections_idled_out);
    FIELD(connections_flooded);
    FIELD(handshakes_failed);
    FIELD(parse_errors);
    FIELD(bodies_refused);
    FIELD(queue_overflows);
    FIELD(cancelled);
    FIELD(websocket_messages_in);
    FIELD(websocket_messages_out);
    FIELD(websocket_busy);
    FIELD(connections_open);
    FIELD(connections_max);
    FIELD(exchanges_open);
    FIELD(websockets_open);
    FIELD(bodies_bytes);
#undef FIELD
    buf_printf(&body, "exchanges_done %" PRIu64 "\n", echo->exchanges_done);
    respond_text(exchange, 200, &body);
}

static const struct {
    struct str path;
    void (*answer)(struct echo *echo, struct exchange *exchange);
} routes[] = {
    {{"/healthz", 8}, route_healthz},   {{"/echo", 5}, route_echo},
    {{"/describe", 9}, route_describe}, {{"/later", 6}, route_later},
    {{"/big", 4}, route_big},           {{"/static", 7}, route_static},
    {{"/stream", 7}, route_stream},     {{"/count", 6}, route_count},
    {{"/small", 6}, route_echo},        {{"/websocket", 10}, route_websocket},
    {{"/stats", 6}, route_stats},
};

/* ---- The handler. ---- */

static void on_request(void *self, struct exchange *exchange)
{
    struct str path = exchange_path(exchange);
    struct why why = WHY_INIT;

    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (str_eq(path, routes[i].path)) {
            routes[i].answer(self, exchange);
            return;
        }
    }
    exchange_respond_error(exchange, fail(&why, ERR_NOT_FOUND, "there is no %.*s", STR_ARG(path)),
                           &why);
}

static void on_head(void *self, struct exchange *exchange, struct http_intake *intake)
{
    struct str path = exchange_path(exchange);

    (void)self;
    if (str_eq(path, STR("/count")))
        intake->stream = true;
    if (str_eq(path, STR("/small")))
        intake->body_bytes_max = 1000;
    if (str_eq(path, STR("/early")))
        exchange_respond_error(exchange, ERR_DENIED, NULL);
}

static void on_body(void *self, struct exchange *exchange, struct str piece)
{
    (void)self;
    exchange_set_data(exchange, (void *)((size_t)exchange_data(exchange) + piece.size));
}

static void on_done(void *self, struct exchange *exchange, const struct http_outcome *outcome)
{
    struct echo *echo = self;

    (void)exchange;
    (void)outcome;
    echo->exchanges_done++;
}

static const struct http_handler handler = {
    .head = on_head,
    .body = on_body,
    .request = on_request,
    .done = on_done,
};

/* ---- Start and stop. ---- */

static void stopped(void *self)
{
    struct echo *echo = self;

    loop_stop(echo->loop);
}

static void caught(void *self, int signal_number)
{
    struct echo *echo = self;

    (void)signal_number;
    http_server_stop(echo->server, loop_now_ns(echo->loop) + 2 * CLOCK_NS_PER_S, stopped, echo);
}

struct arguments {
    const char *address;
    const char *certificate;
    const char *key;
    struct http_limits limits;
};

static bool read_arguments(int count, char **texts, struct arguments *arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(texts[i], "--tls") == 0 && i + 2 < count) {
            arguments->certificate = texts[++i];
            arguments->key = texts[++i];
        } else if (strcmp(texts[i], "--quick") == 0) {
            arguments->limits.head_ns_max = CLOCK_NS_PER_S;
            arguments->limits.request_ns_max = 8 * CLOCK_NS_PER_S;
            arguments->limits.idle_ns_max = 2 * CLOCK_NS_PER_S;
            arguments->limits.write_ns_max = 2 * CLOCK_NS_PER_S;
            arguments->limits.websocket_ping_ns = CLOCK_NS_PER_S;
        } else if (strcmp(texts[i], "--connections") == 0 && i + 1 < count) {
            arguments->limits.connections_max = strtoul(texts[++i], NULL, 10);
        } else if (texts[i][0] != '-') {
            arguments->address = texts[i];
        } else {
            return false;
        }
    }
    return true;
}

static enum err run(struct echo *echo, const struct arguments *arguments, struct why *why)
{
    uint16_t port;

    TRY(loop_open(NULL, &echo->loop, why));
    TRY(loop_signal(echo->loop, SIGTERM, caught, echo, why));
    TRY(loop_signal(echo->loop, SIGINT, caught, echo, why));
    if (arguments->certificate != NULL)
        TRY(tls_server_open(arguments->certificate, arguments->key, &echo->tls, why));
    echo->server = http_server_new(&(struct http_server_options){
        .loop = echo->loop, .handler = &handler, .self = echo, .limits = &arguments->limits});
    TRY(http_server_listen(echo->server, str_of(arguments->address), echo->tls, &port, why));
    printf("listening on %u\n", (unsigned)port);
    (void)fflush(stdout); /* Whoever reads it has gone, or gets it. */
    return loop_run(echo->loop, why);
}

int main(int count, char **texts)
{
    struct arguments arguments = {.address = "127.0.0.1:0", .limits = http_limits_default};
    struct echo echo = {0};
    struct buf text = {0};
    struct why why = WHY_INIT;

    if (!read_arguments(count, texts, &arguments)) {
        (void)fprintf(stderr, "usage: http_echo [--tls CERTIFICATE KEY] [--quick] "
                              "[--connections N] [ADDRESS:PORT]\n");
        return EXIT_FAILURE;
    }
    fill_text(&text, STATIC_BYTES);
    echo.text = text.data;
    enum err err = run(&echo, &arguments, &why);
    if (err != ERR_NONE)
        (void)fprintf(stderr, "http_echo: %s. %s\n", why.text, why.hint);
    http_server_free(echo.server);
    loop_close(echo.loop);
    tls_server_close(echo.tls);
    buf_done(&text);
    return err == ERR_NONE ? EXIT_SUCCESS : EXIT_FAILURE;
}
