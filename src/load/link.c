/* SPDX-License-Identifier: Apache-2.0 */
/* The watch is edge-triggered and asks for everything once, so a request costs no epoll_ctl: one
 * send when it starts, one recv when its answer is there. A recv that fills less than the buffer
 * has emptied the socket, and whatever comes later makes a new edge; only when the peer has closed
 * as well (EPOLLRDHUP) is read on to the end.
 *
 * Requests are written from wherever the wish to send arises. What the kernel does not take at once
 * waits in `output` for the next EPOLLOUT edge. */
#include "load/link_priv.h"

#include "base/clock.h"
#include "io/tls_client.h"
#include "load/driver.h"
#include "load/user.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READS_PER_EVENT = 16 };
#define STAMP_AGE_MAX_NS CLOCK_NS_PER_S

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

void link_drop(struct link *link)
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

void link_fail_all(struct user_list users, enum fault fault)
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
    link_drop(link);
    link_fail_all(underway, fault);
    link_fail_all(waiting, fault);
}

void link_close(struct link *link)
{
    struct user_list underway = link->underway;

    link->underway = (struct user_list){0};
    link_drop(link);
    link_fail_all(underway, FAULT_CLOSED);
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

void link_flush(struct link *link)
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
        link_flush(link);
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

/* ---- Events. ---- */

void link_event(struct loop_watch *watch, uint32_t events)
{
    struct link *link = CONTAINER_OF(watch, struct link, watch);
    uint32_t epoch = link->epoch;

    if (link->state < LINK_READY)
        link->driver->now_ns = clock_monotonic_ns();
    if (link->state < LINK_GREETING)
        link_open_on(link, events);
    if (link->epoch != epoch || link->state < LINK_GREETING)
        return;
    bool to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (link->tls != NULL)
        tls_session_readable(link->tls, to_the_end);
    if (link->asked_write && (events & EPOLLOUT))
        link_flush(link);
    if (link->epoch == epoch && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        read_all(link, to_the_end);
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
        link_drop(link);
    buf_done(&link->input);
    buf_done(&link->output);
    free(link->own);
    link->own = NULL;
}
