/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that says anything to a whole server, over a socket pair. The first byte chooses how it
 * begins (raw, HTTP/2's preface, a WebSocket handshake) and how finely its bytes are cut; the
 * server's handler answers in every way there is. Demanded: no crash, no leak, and that every
 * exchange and connection has gone in the end. */
#include "base/clock.h"
#include "io/http_server_priv.h"
#include "io/websocket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT_MAX = 64, ROUNDS_MAX = 200 };

struct host {
    struct loop *loop;
    struct http_server *server;
    struct exchange *kept[KEPT_MAX]; /* Answered when all has been said. */
    size_t kept_count;
};

static const char text[3000] = "text that is long enough to be compressed";

static void message(void *self, struct websocket *websocket, struct str bytes, bool is_text)
{
    (void)self;
    /* Busy or closed: the peer's own doing. */
    enum err err =
        is_text ? websocket_send_text(websocket, bytes) : websocket_send_binary(websocket, bytes);
    (void)err;
    if (bytes.size > 0 && bytes.data[0] == 'c')
        websocket_close(websocket, WEBSOCKET_CLOSE_NORMAL, STR("bye"));
}

static void closed(void *self, struct websocket *websocket, int code)
{
    (void)self;
    (void)websocket;
    MUST(code >= 1000 && code < 5000);
}

static const struct websocket_handler websocket_handler = {.message = message, .closed = closed};

static void answer(struct exchange *exchange)
{
    struct buf body = {0};
    const struct http_header *params;
    size_t count;

    if (exchange_params(exchange, &params, &count, NULL) == ERR_NONE)
        MUST(count == 0 || params[0].name.data != NULL);
    exchange_take_body(exchange, &body);
    buf_append(&body, text, sizeof(text));
    exchange_respond(exchange, &(struct http_response){.content_type = STR("text/plain"),
                                                       .etag = STR("\"x\""),
                                                       .body = &body});
}

static void on_request(void *self, struct exchange *exchange)
{
    struct host *host = self;
    struct str path = exchange_path(exchange);
    char choice = path.size > 1 ? path.data[1] : '\0';
    struct websocket *websocket;

    MUST(path.size > 0);
    if (choice == 'k' && host->kept_count < KEPT_MAX) {
        host->kept[host->kept_count++] = exchange;
    } else if (choice == 's') {
        exchange_begin(exchange, &(struct http_response){.status = 200});
        exchange_write(exchange, exchange_body(exchange));
        exchange_write(exchange, (struct str){text, sizeof(text)});
        exchange_end(exchange);
    } else if (choice == 'w') {
        enum err err = exchange_upgrade_websocket(exchange, &websocket_handler, host, STR_NONE,
                                                  &websocket, NULL);
        if (err != ERR_NONE)
            exchange_respond_error(exchange, err, NULL);
    } else {
        answer(exchange);
    }
}

static void on_head(void *self, struct exchange *exchange, struct http_intake *intake)
{
    struct str path = exchange_path(exchange);
    char choice = path.size > 1 ? path.data[1] : '\0';

    (void)self;
    intake->stream = choice == 'i';
    intake->raw_body = choice == 'r';
    if (choice == 'e')
        exchange_respond_error(exchange, ERR_DENIED, NULL);
}

static void on_body(void *self, struct exchange *exchange, struct str piece)
{
    (void)self;
    if (piece.size > 5 && piece.data[0] == 'x')
        exchange_respond_error(exchange, ERR_INVALID, NULL);
}

static void on_done(void *self, struct exchange *exchange, const struct http_outcome *outcome)
{
    (void)self;
    (void)exchange;
    MUST(outcome->duration_ns >= 0);
}

static const struct http_handler handler = {
    .head = on_head, .body = on_body, .request = on_request, .done = on_done};

static void turn(struct host *host, int fd)
{
    char scrap[65536];

    MUST(loop_once(host->loop, 0, NULL) == ERR_NONE);
    while (recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT) > 0) {
    }
}

/* Sends in pieces of `step` bytes until all is said or the server has closed. */
static void say(struct host *host, int fd, struct str bytes, size_t step)
{
    for (int round = 0; bytes.size > 0 && round < ROUNDS_MAX; round++) {
        size_t size = bytes.size < step || round == ROUNDS_MAX - 1 ? bytes.size : step;
        ssize_t done = send(fd, bytes.data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        turn(host, fd);
        if (done < 0 && errno != EAGAIN)
            return;
        if (done > 0)
            bytes = (struct str){bytes.data + done, bytes.size - (size_t)done};
    }
}

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define HANDSHAKE                                                                 \
    "GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

static const struct str beginnings[] = {
    {"", 0},
    {PREFACE, sizeof(PREFACE) - 1},
    {HANDSHAKE, sizeof(HANDSHAKE) - 1},
};

static void answer_kept(struct host *host)
{
    while (host->kept_count > 0)
        answer(host->kept[--host->kept_count]);
}

static void meet(struct host *host, struct str bytes, uint8_t choice)
{
    const struct sockaddr_in6 nowhere = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fds[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    connection_open(host->server, fds[0], &nowhere, NULL, NULL);
    say(host, fds[1], beginnings[choice % ARRAY_COUNT(beginnings)], 4096);
    say(host, fds[1], bytes, (size_t)(choice / ARRAY_COUNT(beginnings)) * 8 + 1);
    answer_kept(host);
    turn(host, fds[1]);
    close(fds[1]);
    for (int i = 0; i < 4 || host->kept_count > 0; i++) {
        MUST(loop_once(host->loop, 0, NULL) == ERR_NONE);
        answer_kept(host); /* May let the next request of a pipeline in. */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_limits limits = http_limits_default;
    struct host host = {0};
    struct http_stats stats;

    if (size < 2)
        return 0;
    limits.body_bytes_max = 100000;
    limits.head_bytes_max = 2000;
    limits.nuisance_per_second_max = 50;
    MUST(loop_open(NULL, &host.loop, NULL) == ERR_NONE);
    host.server = http_server_new(&(struct http_server_options){
        .loop = host.loop, .handler = &handler, .self = &host, .limits = &limits});
    meet(&host, (struct str){(const char *)data + 1, size - 1}, data[0]);
    http_server_stats(host.server, &stats);
    MUST(stats.exchanges_open == 0 && stats.bodies_bytes == 0);
    MUST(stats.connections_open == 0 && stats.websockets_open == 0);
    http_server_free(host.server);
    loop_close(host.loop);
    return 0;
}
