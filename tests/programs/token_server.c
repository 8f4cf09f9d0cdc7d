/* SPDX-License-Identifier: Apache-2.0 */
/* token_server - a language model's server that streams tokens of chat completions on time, and
 * knows when it did.
 *
 *     token_server FIRST_MS GAP_MS TOKENS [LOG]
 *
 * Prints "listening on PORT" (loopback). When SIGTERM ends it, LOG holds, for each stream that was
 * sent whole, a line "stream RECEIVED FIRST LAST": monotonic nanoseconds of the request's arrival
 * and of the first and last token's sending. One thread; tokens keep to their schedule, whatever
 * the one before was late by. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "io/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_BYTES_MAX = 64 << 10 };

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n";
static const char token[] =
    "data: "
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,"
    "\"finish_reason\":null}]}\n\n";
static const char last[] =
    "data: "
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
    "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n"
    "data: [DONE]\n\n";

struct server {
    struct loop *loop;
    struct loop_watch listener;
    int64_t first_ns, gap_ns;
    long tokens;
    struct buf log;
};

struct peer {
    struct loop_watch watch;
    struct loop_timer timer;
    struct server *server;
    struct buf request;
    int64_t received_ns, first_ns;
    long sent; /* Tokens of the stream under way. */
};

static void peer_close(struct peer *peer)
{
    int fd = peer->watch.fd;

    loop_timer_stop(peer->server->loop, &peer->timer);
    loop_watch_stop(peer->server->loop, &peer->watch);
    close(fd);
    buf_done(&peer->request);
    free(peer);
}

/* A few hundred bytes at a time always fit; a peer that has gone is noticed when it is read. */
static void send_chunk(struct peer *peer, const char *text, size_t size, const char *behind)
{
    char chunk[1024];
    int written =
        snprintf(chunk, sizeof(chunk), "%zx\r\n%.*s\r\n%s", size, (int)size, text, behind);

    (void)send(peer->watch.fd, chunk, (size_t)written, MSG_NOSIGNAL);
}

static void token_due(struct loop_timer *timer)
{
    struct peer *peer = CONTAINER_OF(timer, struct peer, timer);
    struct server *server = peer->server;
    int64_t now_ns = clock_monotonic_ns();

    if (peer->sent == 0)
        peer->first_ns = now_ns;
    send_chunk(peer, token, sizeof(token) - 1, "");
    if (++peer->sent < server->tokens) {
        loop_timer_start(server->loop, timer, timer->deadline_ns + server->gap_ns, token_due);
        return;
    }
    buf_printf(&server->log, "stream %" PRId64 " %" PRId64 " %" PRId64 "\n", peer->received_ns,
               peer->first_ns, now_ns);
    send_chunk(peer, last, sizeof(last) - 1, "0\r\n\r\n");
}

/* Is the request there, with as much body as it says? */
static bool is_complete(const struct peer *peer)
{
    struct str request = buf_view(&peer->request);
    ptrdiff_t end = str_find_str(request, STR("\r\n\r\n"));
    ptrdiff_t length = str_find_str(request, STR("Content-Length: "));

    if (end < 0 || length < 0)
        return false;
    return request.size >= (size_t)end + 4 + strtoul(request.data + length + 16, NULL, 10);
}

static void peer_ready(struct loop_watch *watch, uint32_t events)
{
    struct peer *peer = CONTAINER_OF(watch, struct peer, watch);
    struct server *server = peer->server;
    char *data = buf_reserve(&peer->request, REQUEST_BYTES_MAX);

    (void)events;
    ssize_t size = recv(watch->fd, data, REQUEST_BYTES_MAX, 0);
    if (size <= 0 || peer->request.size > REQUEST_BYTES_MAX) {
        if (size >= 0 || errno != EAGAIN)
            peer_close(peer);
        return;
    }
    peer->request.size += (size_t)size;
    if (!is_complete(peer))
        return;
    buf_clear(&peer->request);
    peer->received_ns = clock_monotonic_ns();
    peer->sent = 0;
    (void)send(watch->fd, head, sizeof(head) - 1, MSG_NOSIGNAL);
    loop_timer_start(server->loop, &peer->timer, peer->received_ns + server->first_ns, token_due);
}

static void listener_ready(struct loop_watch *watch, uint32_t events)
{
    struct server *server = CONTAINER_OF(watch, struct server, listener);
    struct peer *peer = calloc(1, sizeof(*peer));
    int one = 1;

    (void)events;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 || peer == NULL) {
        free(peer);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* Only faster. */
    peer->server = server;
    if (loop_watch_start(server->loop, &peer->watch, fd, EPOLLIN, peer_ready, NULL) != ERR_NONE) {
        close(fd);
        free(peer);
    }
}

static void caught(void *self, int signal_number)
{
    struct server *server = self;

    (void)signal_number;
    loop_stop(server->loop);
}

static enum err listen_here(struct server *server, struct why *why)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return fail_errno(why, errno, "listening on loopback");
    TRY(loop_watch_start(server->loop, &server->listener, fd, EPOLLIN, listener_ready, why));
    printf("listening on %u\n", (unsigned)ntohs(address.sin_port));
    (void)fflush(stdout); /* Whoever reads it has gone, or gets it. */
    return ERR_NONE;
}

static enum err run(struct server *server, const char *log, struct why *why)
{
    const struct loop_options options = {.timer_slack_ns = LOOP_PRECISE};

    TRY(loop_open(&options, &server->loop, why));
    TRY(loop_signal(server->loop, SIGTERM, caught, server, why));
    TRY(loop_signal(server->loop, SIGINT, caught, server, why));
    TRY(listen_here(server, why));
    TRY(loop_run(server->loop, why));
    return log == NULL ? ERR_NONE : file_write(log, buf_view(&server->log), 0644, why);
}

int main(int count, char **texts)
{
    struct server server = {0};
    struct why why = WHY_INIT;

    if (count < 4 || count > 5) {
        (void)fprintf(stderr, "usage: token_server FIRST_MS GAP_MS TOKENS [LOG]\n");
        return EXIT_FAILURE;
    }
    server.first_ns = strtol(texts[1], NULL, 10) * CLOCK_NS_PER_MS;
    server.gap_ns = strtol(texts[2], NULL, 10) * CLOCK_NS_PER_MS;
    server.tokens = strtol(texts[3], NULL, 10);
    enum err err = run(&server, count == 5 ? texts[4] : NULL, &why);
    if (err != ERR_NONE)
        (void)fprintf(stderr, "token_server: %s\n", why.text);
    buf_done(&server.log);
    return err == ERR_NONE ? EXIT_SUCCESS : EXIT_FAILURE;
}
