/* SPDX-License-Identifier: Apache-2.0 */
/* The watch is edge-triggered and asks for everything once, so a request costs no epoll_ctl: one
 * send when it starts, one recv when its answer is there. A recv that fills less than the buffer
 * has emptied the socket, and whatever comes later makes a new edge; only when the peer has closed
 * as well (EPOLLRDHUP) is read on to the end.
 *
 * Requests are written from wherever the wish to send arises. What the kernel does not take at once
 * waits in `output` for the next EPOLLOUT edge. */
#include "load/link.h"

#include "base/clock.h"
#include "io/tls_client.h"
#include "load/driver.h"
#include "load/lookup.h"
#include "load/user.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum { READS_PER_EVENT = 16, PROXY_HEAD_BYTES_MAX = 32 << 10 };
#define STAMP_AGE_MAX_NS CLOCK_NS_PER_S
#define LINK_EVENTS      (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* ---- Lists. ---- */

void user_list_append(struct user_list *list, struct user *user)
{
    user->next = NULL;
    if (list->first == NULL)
        list->first = user;
    else
        list->last->next = user;
    list->last = user;
}

struct user *user_list_take(struct user_list *list)
{
    struct user *user = list->first;

    if (user != NULL) {
        list->first = user->next;
        user->next = NULL;
    }
    return user;
}

bool user_list_remove(struct user_list *list, struct user *user)
{
    struct user *before = NULL;

    for (struct user *at = list->first; at != NULL; before = at, at = at->next) {
        if (at != user)
            continue;
        if (before == NULL)
            list->first = user->next;
        else
            before->next = user->next;
        if (list->last == user)
            list->last = before;
        user->next = NULL;
        return true;
    }
    return false;
}

/* ---- Closing. ---- */

/* The connection is gone; the lists stay. */
static void drop(struct link *link)
{
    struct tally_links *counts = link->driver->counts;
    bool was_opening = link->state != LINK_CLOSED && link->state != LINK_READY;

    if (link->state == LINK_CLOSED)
        return;
    if (link->protocol->closed != NULL)
        link->protocol->closed(link);
    link->tls = tls_session_close(link->tls);
    if (link->state != LINK_RESOLVING) {
        int fd = link->watch.fd;
        loop_watch_stop(link->driver->loop, &link->watch);
        close(fd);
    }
    if (link->state > LINK_CONNECTING)
        COUNTER_ADD(counts->connections_open, -1);
    link->state = LINK_CLOSED;
    link->epoch++;
    link->answers = 0;
    link->in_body = false;
    link->body_bytes = 0;
    link->asked_write = false;
    buf_done(&link->input);
    buf_done(&link->output);
    link->output_sent = 0;
    if (was_opening)
        driver_link_opened(link->driver);
}

/* Fails those who were on the link when it closed, and not those who join while this goes on. */
static void fail_all(struct user_list users, enum fault fault)
{
    int64_t now_ns = clock_monotonic_ns();
    struct user *user;

    while ((user = user_list_take(&users)) != NULL)
        user_failed(user, fault, now_ns);
}

void link_fail(struct link *link, enum fault fault)
{
    struct user_list underway = link->underway;
    struct user_list waiting = link->waiting;

    link->underway = (struct user_list){0};
    link->waiting = (struct user_list){0};
    drop(link);
    fail_all(underway, fault);
    fail_all(waiting, fault);
}

void link_close(struct link *link)
{
    struct user_list underway = link->underway;

    link->underway = (struct user_list){0};
    drop(link);
    fail_all(underway, FAULT_CLOSED);
    if (link->waiting.first != NULL && link->state == LINK_CLOSED)
        link_open(link);
}

/* ---- Writing. ---- */

/* One attempt. Returns how much was taken; -1 when the link has failed. */
static ssize_t write_some(struct link *link, struct str bytes)
{
    size_t taken = 0;

    if (link->tls != NULL) {
        enum tls_result result = tls_write(link->tls, bytes.data, bytes.size, &taken);
        if (result == TLS_DONE || result == TLS_WANTS_READ || result == TLS_WANTS_WRITE)
            return result == TLS_DONE ? (ssize_t)taken : 0;
        link_fail(link, FAULT_RESET);
        return -1;
    }
    ssize_t sent = send(link->watch.fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    link_fail(link, fault_of_errno(errno));
    return -1;
}

void link_last_words(struct link *link, struct str bytes)
{
    size_t taken;

    if (link->state != LINK_READY || link->asked_write)
        return;
    if (link->tls != NULL)
        (void)tls_write(link->tls, bytes.data, bytes.size, &taken);
    else
        (void)!send(link->watch.fd, bytes.data, bytes.size, MSG_NOSIGNAL);
}

static void flush_output(struct link *link)
{
    while (link->output_sent < link->output.size) {
        ssize_t sent = write_some(link, (struct str){link->output.data + link->output_sent,
                                                     link->output.size - link->output_sent});
        if (sent <= 0)
            return;
        link->output_sent += (size_t)sent;
    }
    buf_done(&link->output);
    link->output_sent = 0;
    link->asked_write = false;
}

void link_write(struct link *link, struct str bytes)
{
    ssize_t sent = 0;

    if (!link->asked_write) {
        sent = write_some(link, bytes);
        if (sent < 0)
            return;
        if ((size_t)sent == bytes.size)
            return;
    }
    buf_append(&link->output, bytes.data + sent, bytes.size - (size_t)sent);
    link->asked_write = true;
    /* The kernel took a part: it may take more now, or tells us when. */
    if (sent > 0)
        flush_output(link);
}

/* ---- Reading. ---- */

enum read_result {
    READ_FULL,  /* The buffer was filled: there may be more. */
    READ_SHORT, /* The socket was emptied. */
    READ_EMPTY, /* There was nothing. */
    READ_ENDED, /* The peer has closed. */
    READ_GONE,  /* The link was closed meanwhile. */
};

static enum read_result read_tls(struct link *link, size_t *ret_size)
{
    switch (tls_read(link->tls, link->driver->buffer, DRIVER_BUFFER_BYTES, ret_size)) {
    case TLS_DONE:
        return READ_FULL; /* A record; the next may be in OpenSSL's buffer. */
    case TLS_WANTS_READ:
    case TLS_WANTS_WRITE:
        return READ_EMPTY;
    case TLS_CLOSED:
        return READ_ENDED;
    case TLS_FAILED:
        break;
    }
    link_fail(link, FAULT_RESET);
    return READ_GONE;
}

static enum read_result read_some(struct link *link, ssize_t count, size_t *ret_size)
{
    if (count > 0) {
        *ret_size = (size_t)count;
        return count == DRIVER_BUFFER_BYTES ? READ_FULL : READ_SHORT;
    }
    if (count == 0)
        return READ_ENDED;
    if (errno == EAGAIN || errno == EINTR)
        return READ_EMPTY;
    link_fail(link, fault_of_errno(errno));
    return READ_GONE;
}

static enum read_result read_plain(struct link *link, size_t *ret_size)
{
    return read_some(link, recv(link->watch.fd, link->driver->buffer, DRIVER_BUFFER_BYTES, 0),
                     ret_size);
}

/* A stamp of the wall clock as monotonic time: by its age, which must be a sensible one, because
 * that clock may have been set meanwhile. 0: it is not. */
static int64_t stamp_ns(const struct msghdr *message)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR((struct msghdr *)message); at != NULL;
         at = CMSG_NXTHDR((struct msghdr *)message, at)) {
        struct timespec stamp;
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&stamp, CMSG_DATA(at), sizeof(stamp));
        int64_t age_ns = clock_now_ns() - (stamp.tv_sec * CLOCK_NS_PER_S + stamp.tv_nsec);
        return age_ns >= 0 && age_ns < STAMP_AGE_MAX_NS ? clock_monotonic_ns() - age_ns : 0;
    }
    return 0;
}

/* Also asks when the last of the bytes came to this machine. */
static enum read_result read_stamped(struct link *link, size_t *ret_size, int64_t *ret_came_ns)
{
    _Alignas(struct cmsghdr) char control[128];
    struct iovec piece = {link->driver->buffer, DRIVER_BUFFER_BYTES};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t count = recvmsg(link->watch.fd, &message, 0);

    if (count > 0)
        *ret_came_ns = stamp_ns(&message);
    return read_some(link, count, ret_size);
}

static enum read_result read_once(struct link *link)
{
    uint32_t epoch = link->epoch;
    size_t size = 0;
    int64_t came_ns = 0;
    enum read_result result = link->tls != NULL      ? read_tls(link, &size)
                              : link->driver->stamps ? read_stamped(link, &size, &came_ns)
                                                     : read_plain(link, &size);

    if (size == 0)
        return result;
    int64_t now_ns =
        came_ns != 0 ? came_ns : clock_monotonic_ns(); /* Before anything is looked at. */
    link->protocol->receive(link, (struct str){link->driver->buffer, size}, now_ns);
    return link->epoch == epoch ? result : READ_GONE;
}

/* to_the_end: the peer has closed or failed, and no other edge will tell. */
static void read_ready(struct link *link, bool to_the_end)
{
    for (int i = 0; i < READS_PER_EVENT; i++) {
        switch (read_once(link)) {
        case READ_FULL:
            continue;
        case READ_SHORT:
            if (to_the_end)
                continue;
            return;
        case READ_EMPTY:
        case READ_GONE:
            return;
        case READ_ENDED:
            if (link->underway.first == NULL)
                COUNTER_ADD(link->driver->counts->closed_early, 1);
            link->protocol->hung_up(link);
            return;
        }
    }
    /* An endless answer must not keep the others from their turn. */
    if (!link->read_deferred) {
        link->read_deferred = true;
        loop_defer(link->driver->loop, &link->read_on);
    }
}

static void read_all(struct link *link, bool to_the_end)
{
    uint32_t epoch = link->epoch;

    read_ready(link, to_the_end);
    if (link->epoch == epoch && link->protocol->settle != NULL)
        link->protocol->settle(link);
}

static void read_on(struct loop_task *task)
{
    struct link *link = CONTAINER_OF(task, struct link, read_on);

    link->read_deferred = false;
    if (link->state >= LINK_GREETING)
        read_all(link, true);
}

/* ---- Opening. ---- */

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

static void ready(struct loop_watch *watch, uint32_t events);
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
    drop(link);
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

static void ready(struct loop_watch *watch, uint32_t events)
{
    struct link *link = CONTAINER_OF(watch, struct link, watch);
    uint32_t epoch = link->epoch;

    if (link->state < LINK_READY)
        link->driver->now_ns = clock_monotonic_ns();
    switch (link->state) {
    case LINK_CONNECTING:
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            finish_connect(link);
        break;
    case LINK_TUNNELING:
        if (link->asked_write && (events & EPOLLOUT))
            flush_output(link);
        if (link->epoch == epoch && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            hear_proxy(link);
        break;
    case LINK_SECURING:
        secure(link);
        break;
    case LINK_GREETING:
    case LINK_READY:
        break;
    case LINK_CLOSED:
    case LINK_RESOLVING:
        return;
    }
    if (link->epoch != epoch || link->state < LINK_GREETING)
        return;
    bool to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (link->tls != NULL)
        tls_session_readable(link->tls, to_the_end);
    if (link->asked_write && (events & EPOLLOUT))
        flush_output(link);
    if (link->epoch == epoch && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        read_all(link, to_the_end);
}

static void fail_before_start(struct link *link, enum fault fault)
{
    struct user_list waiting = link->waiting;

    link->waiting = (struct user_list){0};
    fail_all(waiting, fault);
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
    if (loop_watch_start(driver->loop, &link->watch, fd, LINK_EVENTS, ready, &why) != ERR_NONE) {
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

/* ---- Users. ---- */

void link_submit(struct link *link, struct user *user)
{
    if (link->state == LINK_READY) {
        link->protocol->send(link, user);
        return;
    }
    user_list_append(&link->waiting, user);
    if (link->state == LINK_CLOSED)
        link_open(link);
}

void link_forget(struct link *link, struct user *user)
{
    if (user_list_remove(&link->waiting, user))
        return;
    if (link->protocol->forget != NULL) {
        link->protocol->forget(link, user);
        return;
    }
    /* An answer may still come, and would be taken for the next user's. */
    (void)user_list_remove(&link->underway, user);
    link_close(link);
}

void link_init(struct link *link, struct driver *driver, const struct origin *origin,
               size_t origin_index, const struct protocol *protocol)
{
    *link = (struct link){.driver = driver,
                          .origin = origin,
                          .origin_index = origin_index,
                          .protocol = protocol,
                          .watch.fd = -1,
                          .read_on.run = read_on};
}

void link_done(struct link *link)
{
    link->waiting = (struct user_list){0};
    link->underway = (struct user_list){0};
    if (link->driver != NULL)
        drop(link);
    buf_done(&link->input);
    buf_done(&link->output);
    free(link->own);
    link->own = NULL;
}
