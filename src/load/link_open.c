/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to a connection that can be spoken on: each address is tried in turn, then a proxy is
 * asked for the way, then it is secured, then the protocol greets. What fails on the way fails the
 * users who wait for the link. */
#include "load/link_priv.h"

#include "base/clock.h"
#include "io/tls_client.h"
#include "load/driver.h"
#include "load/lookup.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROXY_HEAD_BYTES_MAX = 32 << 10 };
#define LINK_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

void link_ready(struct link *link)
{
    uint32_t epoch = link->epoch;
    struct user *user;

    link->state = LINK_READY;
    driver_link_opened(link->driver);
    while (link->epoch == epoch && (user = user_list_take(&link->waiting)) != NULL)
        link->protocol->send(link, user);
}

static void greet(struct link *link)
{
    link->state = LINK_GREETING;
    if (link->protocol->greet != NULL)
        link->protocol->greet(link);
    else
        link_ready(link);
}

static void secure(struct link *link)
{
    struct tally_links *counts = link->driver->counts;

    tls_session_readable(link->tls, false);
    switch (tls_handshake(link->tls)) {
    case TLS_DONE:
        histogram_add(&counts->tls, clock_monotonic_ns() - link->opened_ns);
        if (tls_session_resumed(link->tls))
            COUNTER_ADD(counts->resumed, 1);
        if (link->protocol->alpn != NULL && !tls_session_speaks(link->tls, link->protocol->alpn)) {
            link_fail(link, FAULT_TLS);
            return;
        }
        greet(link);
        return;
    case TLS_WANTS_READ:
    case TLS_WANTS_WRITE:
        return;
    case TLS_CLOSED:
    case TLS_FAILED:
        link_fail(link, FAULT_TLS);
        return;
    }
}

/* The way to the target is there. */
static void go_through(struct link *link)
{
    if (scheme_is_tls(link->origin->scheme)) {
        link->state = LINK_SECURING;
        link->opened_ns = clock_monotonic_ns();
        link->tls = tls_peer_connect(link->driver->tls_peers[link->origin_index], link->watch.fd);
        secure(link);
        return;
    }
    greet(link);
}

/* Asks the proxy for a tunnel (RFC 9110, section 9.3.6). */
static void ask_proxy(struct link *link)
{
    const struct proxy *proxy = &link->driver->plan->proxy;
    const struct origin *origin = link->origin;
    bool is_v6 = str_find(origin->host, ':') >= 0;
    struct buf request CLEANUP(buf_done) = {0};
    struct buf target CLEANUP(buf_done) = {0};

    link->state = LINK_TUNNELING;
    buf_printf(&target, is_v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(origin->host), origin->port);
    buf_printf(&request, "CONNECT %.*s HTTP/1.1\r\nHost: %.*s\r\n", STR_ARG(buf_view(&target)),
               STR_ARG(buf_view(&target)));
    if (proxy->authorization.size > 0)
        buf_printf(&request, "Proxy-Authorization: %.*s\r\n", STR_ARG(proxy->authorization));
    buf_text(&request, "\r\n");
    link_write(link, buf_view(&request));
}

/* The proxy's answer comes; behind its head it has nothing to say before we do. */
static void hear_proxy(struct link *link)
{
    static const struct http1_limits limits = {.head_bytes_max = PROXY_HEAD_BYTES_MAX,
                                               .fields_max = HTTP_FIELDS_MAX};
    char bytes[4096];
    struct http1 parser;
    bool done = false;

    for (;;) {
        ssize_t count = recv(link->watch.fd, bytes, sizeof(bytes), 0);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (count <= 0) {
            link_fail(link, FAULT_PROXY);
            return;
        }
        buf_append(&link->input, bytes, (size_t)count);
        if (link->input.size > PROXY_HEAD_BYTES_MAX)
            break;
    }
    http1_init(&parser, HTTP1_RESPONSE, &limits, false);
    if (link->input.size > 0 &&
        http1_parse(&parser, link->input.data, link->input.size, &done, NULL) != ERR_NONE) {
        link_fail(link, FAULT_PROXY);
        return;
    }
    if (!done)
        return;
    bool good = parser.head.status >= 200 && parser.head.status < 300 &&
                parser.head_bytes == link->input.size;
    buf_clear(&link->input);
    if (good)
        go_through(link);
    else
        link_fail(link, FAULT_PROXY);
}

static void link_connected(struct link *link)
{
    struct driver *driver = link->driver;
    int64_t now_ns = clock_monotonic_ns();

    COUNTER_ADD(driver->counts->connected, 1);
    COUNTER_ADD(driver->counts->connections_open, 1);
    histogram_add(&driver->counts->connect, now_ns - link->opened_ns);
    link->addresses_tried = 0;
    if (link->origin->tunnels)
        ask_proxy(link);
    else
        go_through(link);
}

static void link_connect(struct link *link);

/* The next address after a failure; the fault of the last one counts. */
static bool try_next_address(struct link *link)
{
    size_t count = link->own != NULL ? link->own->count : link->origin->addresses_count;

    if (link->addresses_tried >= count)
        return false;
    link->address = (link->address + 1) % count;
    struct user_list waiting = link->waiting;
    link->waiting = (struct user_list){0};
    driver_link_opening_again(link->driver);
    link_drop(link);
    link->waiting = waiting;
    link_connect(link);
    return true;
}

static void connect_failed(struct link *link, int error)
{
    if (error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH) {
        if (try_next_address(link))
            return;
    }
    link->addresses_tried = 0;
    link_fail(link, fault_of_errno(error));
}

static void finish_connect(struct link *link)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(link->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error != 0)
        connect_failed(link, error);
    else
        link_connected(link);
}

void link_open_on(struct link *link, uint32_t events)
{
    uint32_t epoch = link->epoch;

    switch (link->state) {
    case LINK_CONNECTING:
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            finish_connect(link);
        break;
    case LINK_TUNNELING:
        if (link->asked_write && (events & EPOLLOUT))
            link_flush(link);
        if (link->epoch == epoch && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            hear_proxy(link);
        break;
    case LINK_SECURING:
        secure(link);
        break;
    default:
        break;
    }
}

static void fail_before_start(struct link *link, enum fault fault)
{
    struct user_list waiting = link->waiting;

    link->waiting = (struct user_list){0};
    link_fail_all(waiting, fault);
    driver_link_opened(link->driver);
}

static void link_connect(struct link *link)
{
    const struct sockaddr_storage *address = link->own != NULL
                                                 ? &link->own->items[link->address]
                                                 : &link->origin->addresses[link->address];
    struct driver *driver = link->driver;
    socklen_t size = address->ss_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                                    : (socklen_t)sizeof(struct sockaddr_in);
    int one = 1;
    struct why why = WHY_INIT;

    link->opened_ns = clock_monotonic_ns();
    link->addresses_tried++;
    COUNTER_ADD(driver->counts->connects, 1);
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        link->addresses_tried = 0;
        fail_before_start(link, fault_of_errno(errno));
        return;
    }
    /* Whoever measures must not wait for Nagle; without it only the numbers would differ. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (driver->stamps) /* Without stamps the time of reading counts. */
        (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
    int result = connect(fd, (const struct sockaddr *)address, size);
    int error = result < 0 ? errno : 0;
    link->watch.active = false;
    if (loop_watch_start(driver->loop, &link->watch, fd, LINK_EVENTS, link_event, &why) !=
        ERR_NONE) {
        close(fd);
        fail_before_start(link, FAULT_NO_FILES);
        return;
    }
    link->state = LINK_CONNECTING;
    if (error != 0 && error != EINPROGRESS)
        connect_failed(link, error);
}

void link_resolved(struct link *link, struct addresses *addresses, enum fault fault)
{
    histogram_add(&link->driver->counts->dns, clock_monotonic_ns() - link->opened_ns);
    free(link->own);
    link->own = addresses;
    link->address = 0;
    link->addresses_tried = 0;
    if (addresses == NULL) {
        link_fail(link, fault);
        return;
    }
    link->state = LINK_CLOSED;
    link_connect(link);
}

void link_open(struct link *link)
{
    MUST(link->state == LINK_CLOSED);
    if (!link->driver->plan->resolves_each) {
        link_connect(link);
        return;
    }
    link->opened_ns = clock_monotonic_ns();
    link->state = LINK_RESOLVING;
    if (!lookup_begin(link)) {
        link->state = LINK_CLOSED;
        fail_before_start(link, FAULT_DNS);
    }
}
