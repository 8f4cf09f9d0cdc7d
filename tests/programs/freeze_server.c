/* SPDX-License-Identifier: Apache-2.0 */
/* freeze_server - answers at once, but stands still for a while once a period, and knows when.
 *
 *     freeze_server FREEZE_MS PERIOD_MS [LOG]
 *
 * Prints "listening on PORT" (loopback). When SIGTERM ends it, LOG holds the truth as lines of
 * monotonic nanoseconds: "freeze BEGIN END" and "answer TIME", the latter in the order of sending.
 * One thread, so a freeze holds everything up, as a stop of a garbage collector would. */
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
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 16 << 10, ANSWERS_MAX = 4 << 20 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

struct server {
    struct loop *loop;
    struct loop_watch listener;
    struct loop_timer timer;
    int64_t freeze_ns;
    int64_t period_ns;
    int64_t *answers;
    size_t answers_count;
    struct buf freezes;
};

struct peer {
    struct loop_watch watch;
    struct server *server;
    int matched; /* Of the empty line that ends a request. */
};

static void peer_close(struct peer *peer)
{
    int fd = peer->watch.fd;

    loop_watch_stop(peer->server->loop, &peer->watch);
    close(fd);
    free(peer);
}

static void answer_once(struct peer *peer)
{
    struct server *server = peer->server;

    if (server->answers_count < ANSWERS_MAX)
        server->answers[server->answers_count++] = clock_monotonic_ns();
    /* Forty bytes always fit; a peer that has gone is noticed when it is read. */
    (void)send(peer->watch.fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
}

static void peer_ready(struct loop_watch *watch, uint32_t events)
{
    static const char end[] = "\r\n\r\n";
    struct peer *peer = CONTAINER_OF(watch, struct peer, watch);
    char data[READ_BYTES];

    (void)events;
    ssize_t size = recv(watch->fd, data, sizeof(data), 0);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN)
            peer_close(peer);
        return;
    }
    for (ssize_t i = 0; i < size; i++) {
        peer->matched = data[i] == end[peer->matched] ? peer->matched + 1 : data[i] == '\r';
        if (peer->matched == 4) {
            peer->matched = 0;
            answer_once(peer);
        }
    }
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

static void freeze(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, timer);
    int64_t begin_ns = clock_monotonic_ns();
    int64_t end_ns = begin_ns + server->freeze_ns;
    struct timespec until = {end_ns / CLOCK_NS_PER_S, end_ns % CLOCK_NS_PER_S};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
    buf_printf(&server->freezes, "freeze %" PRId64 " %" PRId64 "\n", begin_ns,
               clock_monotonic_ns());
    loop_timer_start(server->loop, timer, begin_ns + server->period_ns, freeze);
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
    struct buf text CLEANUP(buf_done) = {0};
    const struct loop_options options = {.timer_slack_ns = LOOP_PRECISE};

    TRY(loop_open(&options, &server->loop, why));
    TRY(loop_signal(server->loop, SIGTERM, caught, server, why));
    TRY(loop_signal(server->loop, SIGINT, caught, server, why));
    TRY(listen_here(server, why));
    if (server->freeze_ns > 0)
        loop_timer_start(server->loop, &server->timer, clock_monotonic_ns() + server->period_ns,
                         freeze);
    TRY(loop_run(server->loop, why));
    if (log == NULL)
        return ERR_NONE;
    buf_str(&text, buf_view(&server->freezes));
    for (size_t i = 0; i < server->answers_count; i++)
        buf_printf(&text, "answer %" PRId64 "\n", server->answers[i]);
    return file_write(log, buf_view(&text), 0644, why);
}

int main(int count, char **texts)
{
    struct server server = {0};
    struct why why = WHY_INIT;

    if (count < 3 || count > 4) {
        (void)fprintf(stderr, "usage: freeze_server FREEZE_MS PERIOD_MS [LOG]\n");
        return EXIT_FAILURE;
    }
    server.freeze_ns = strtol(texts[1], NULL, 10) * CLOCK_NS_PER_MS;
    server.period_ns = strtol(texts[2], NULL, 10) * CLOCK_NS_PER_MS;
    server.answers = calloc(ANSWERS_MAX, sizeof(*server.answers));
    if (server.answers == NULL)
        must_memory(ANSWERS_MAX * sizeof(*server.answers));
    enum err err = run(&server, count == 4 ? texts[3] : NULL, &why);
    if (err != ERR_NONE)
        (void)fprintf(stderr, "freeze_server: %s\n", why.text);
    free(server.answers);
    buf_done(&server.freezes);
    return err == ERR_NONE ? EXIT_SUCCESS : EXIT_FAILURE;
}
