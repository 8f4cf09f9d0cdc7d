/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer - a client for tests that shares its thread with the server's loop: whoever waits for
 * an answer turns the loop meanwhile, so tests are deterministic and need no locks. */
#pragma once
#include "test.h"

#include "base/clock.h"
#include "io/http_server.h"
#include "io/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_PATIENCE_NS (30 * CLOCK_NS_PER_S)

struct peer {
    struct loop *loop;
    int fd;
    struct buf in;
    bool eof;
};

static inline void turn(struct loop *loop)
{
    struct why why = WHY_INIT;

    EXPECT(loop_once(loop, CLOCK_NS_PER_MS, &why) == ERR_NONE);
}

static inline struct peer peer_connect(struct loop *loop, uint16_t port)
{
    struct peer peer = {.loop = loop, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    EXPECT(connect(peer.fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return peer;
}

static inline void peer_close(struct peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
    buf_done(&peer->in);
}

static inline void peer_read(struct peer *peer)
{
    char *room = buf_reserve(&peer->in, 65536);
    ssize_t got = recv(peer->fd, room, 65536, MSG_DONTWAIT);

    if (got > 0)
        peer->in.size += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        peer->eof = true;
}

/* Sends all, turning the loop when the kernel is full; what comes back meanwhile is kept. */
static inline void peer_send(struct peer *peer, struct str bytes)
{
    int64_t end_ns = clock_monotonic_ns() + PEER_PATIENCE_NS;

    while (bytes.size > 0 && clock_monotonic_ns() < end_ns) {
        ssize_t done = send(peer->fd, bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done > 0) {
            bytes = (struct str){bytes.data + done, bytes.size - (size_t)done};
            continue;
        }
        if (errno != EAGAIN)
            return;
        turn(peer->loop);
        peer_read(peer);
    }
}

/* Turns the loop until `text` has come `times` times. */
static inline bool peer_awaits(struct peer *peer, const char *text, size_t times)
{
    int64_t end_ns = clock_monotonic_ns() + PEER_PATIENCE_NS;
    size_t searched = 0; /* Of what has come; the text begins nowhere in it. */

    for (;;) {
        struct str rest = buf_view(&peer->in);
        if (searched > 0)
            rest = (struct str){rest.data + searched, rest.size - searched};
        ptrdiff_t at;
        while (times > 0 && rest.size > 0 && (at = str_find_str(rest, str_of(text))) >= 0) {
            times--;
            rest = (struct str){rest.data + at + 1, rest.size - (size_t)at - 1};
        }
        if (times == 0)
            return true;
        if (peer->eof || clock_monotonic_ns() >= end_ns)
            return false;
        size_t overlap = rest.size < strlen(text) ? rest.size : strlen(text) - 1;
        searched = peer->in.size - overlap;
        turn(peer->loop);
        peer_read(peer);
    }
}

static inline bool peer_awaits_bytes(struct peer *peer, size_t size)
{
    int64_t end_ns = clock_monotonic_ns() + PEER_PATIENCE_NS;

    while (peer->in.size < size && !peer->eof && clock_monotonic_ns() < end_ns) {
        turn(peer->loop);
        peer_read(peer);
    }
    return peer->in.size >= size;
}

static inline bool peer_awaits_eof(struct peer *peer)
{
    int64_t end_ns = clock_monotonic_ns() + PEER_PATIENCE_NS;

    while (!peer->eof && clock_monotonic_ns() < end_ns) {
        turn(peer->loop);
        peer_read(peer);
    }
    return peer->eof;
}

/* One request on a connection of its own, whole answer until the server closes. */
static inline struct str peer_ask(struct peer *peer, struct loop *loop, uint16_t port,
                                  struct str request)
{
    *peer = peer_connect(loop, port);
    peer_send(peer, request);
    EXPECT(peer_awaits_eof(peer));
    return buf_view(&peer->in);
}

static inline struct str body_of(struct str answer)
{
    ptrdiff_t at = str_find_str(answer, STR("\r\n\r\n"));

    return at < 0 ? STR_NONE : (struct str){answer.data + at + 4, answer.size - (size_t)at - 4};
}

static inline int status_of(struct str answer)
{
    uint64_t status = 0;

    if (answer.size > 12)
        (void)str_to_u64((struct str){answer.data + 9, 3}, &status); /* 0 says it. */
    return (int)status;
}
