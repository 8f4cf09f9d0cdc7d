/* SPDX-License-Identifier: Apache-2.0 */
/* Moves bytes for whatever protocol the connection speaks.
 *
 * Input buffers belong to connections only while they are needed. After each event an unread rest
 * is copied to memory of just its size (`parked`) and the 32 KiB go back to the pool, so ten
 * thousand peers that stop in the middle of a header cost what they have sent.
 *
 * Output is a list of blocks, sent with one system call where the kernel takes it all. EPOLLOUT is
 * asked for only when it did not.
 *
 * The life of a connection:
 *
 *     accept ─► (TLS handshake) ─► HTTP/1 ──preface/ALPN──► HTTP/2
 *                                    └──upgrade──► WebSocket
 *     any ─► closing (queue drains) ─► lingering (peer reads on) ─► closed ─► freed
 */
#include "io/http_server_priv.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    VECTORS = 16,
    LINGER_NS = 2000000000,
};

/* ---- Pools. ---- */

static struct chunk *chunk_take(struct http_server *server)
{
    struct chunk *chunk = server->chunks_free;

    if (chunk != NULL) {
        server->chunks_free = chunk->next_free;
        server->chunks_free_count--;
        return chunk;
    }
    chunk = malloc(sizeof(*chunk));
    if (chunk == NULL)
        must_memory(sizeof(*chunk));
    return chunk;
}

void chunk_give(struct http_server *server, struct chunk *chunk)
{
    if (chunk == NULL)
        return;
    if (server->chunks_free_count == POOL_MAX) {
        free(chunk);
        return;
    }
    chunk->next_free = server->chunks_free;
    server->chunks_free = chunk;
    server->chunks_free_count++;
}

static struct block *block_new(size_t room)
{
    struct block *block = malloc(sizeof(*block) + room);

    if (block == NULL)
        must_memory(sizeof(*block) + room);
    *block = (struct block){.is_copy = room > 0};
    block->data = block->bytes;
    return block;
}

static struct block *block_take(struct http_server *server)
{
    struct block *block = server->blocks_free;

    if (block == NULL)
        return block_new(BLOCK_BYTES);
    server->blocks_free = block->next;
    server->blocks_free_count--;
    block->next = NULL;
    block->size = block->sent = 0;
    return block;
}

static void block_give(struct http_server *server, struct block *block)
{
    if (block->is_copy && server->blocks_free_count < POOL_MAX) {
        block->next = server->blocks_free;
        server->blocks_free = block;
        server->blocks_free_count++;
        return;
    }
    buf_done(&block->moved);
    free(block);
}

/* ---- Input. ---- */

/* Does an exchange's head lie in the chunk, so that the bytes must stay where they are? */
static bool chunk_is_held(const struct connection *connection)
{
    const struct exchange *exchange = connection->exchange;

    return exchange != NULL && exchange->state != EXCHANGE_HEAD && exchange->head_bytes.size == 0;
}

bool connection_has_room(const struct connection *connection)
{
    return connection->chunk == NULL || connection->in_end < CHUNK_BYTES ||
           (connection->in_start > 0 && !chunk_is_held(connection));
}

bool connection_ensure_chunk(struct connection *connection)
{
    if (connection->chunk == NULL) {
        connection->chunk = chunk_take(connection->server);
        MUST(connection->parked.size < CHUNK_BYTES);
        if (connection->parked.size > 0)
            memcpy(connection->chunk->data, connection->parked.data, connection->parked.size);
        connection->in_start = 0;
        connection->in_end = (uint32_t)connection->parked.size;
        buf_done(&connection->parked);
        return true;
    }
    if (connection->in_end < CHUNK_BYTES)
        return true;
    if (connection->in_start == 0 || chunk_is_held(connection))
        return false;
    connection->in_end -= connection->in_start;
    memmove(connection->chunk->data, connection->chunk->data + connection->in_start,
            connection->in_end);
    connection->in_start = 0;
    return true;
}

void connection_release_chunk(struct connection *connection)
{
    if (connection->chunk == NULL || chunk_is_held(connection))
        return;
    size_t unread = connection->in_end - connection->in_start;
    if (unread == CHUNK_BYTES)
        return;
    if (unread > 0)
        buf_append(&connection->parked, connection->chunk->data + connection->in_start, unread);
    chunk_give(connection->server, connection->chunk);
    connection->chunk = NULL;
    connection->in_start = connection->in_end = 0;
}

static void block_write(struct connection *connection)
{
    if (!connection->write_blocked)
        connection->blocked_ns = loop_now_ns(connection->server->loop);
    connection->write_blocked = true;
}

static size_t read_tls(struct connection *connection, char *data, size_t size)
{
    size_t got = 0;

    switch (tls_read(connection->tls, data, size, &got)) {
    case TLS_DONE:
        return got;
    case TLS_WANTS_READ:
        return 0;
    case TLS_WANTS_WRITE:
        block_write(connection);
        return 0;
    case TLS_CLOSED:
        connection->eof = true;
        return 0;
    case TLS_FAILED:
        break;
    }
    connection_close(connection);
    return 0;
}

static size_t read_plain(struct connection *connection, char *data, size_t size)
{
    ssize_t got = recv(connection->watch.fd, data, size, MSG_DONTWAIT);

    if (got > 0)
        return (size_t)got;
    if (got == 0)
        connection->eof = true;
    else if (errno != EAGAIN && errno != EINTR)
        connection_close(connection);
    return 0;
}

size_t connection_read_into(struct connection *connection, char *data, size_t size)
{
    size_t got = connection->tls != NULL ? read_tls(connection, data, size)
                                         : read_plain(connection, data, size);

    if (got > 0) {
        connection->active_ns = loop_now_ns(connection->server->loop);
        connection->server->stats.bytes_in += got;
        connection->rate_bytes += got;
    }
    return got;
}

size_t connection_read(struct connection *connection)
{
    MUST(connection->chunk != NULL && connection->in_end < CHUNK_BYTES);
    size_t got = connection_read_into(connection, connection->chunk->data + connection->in_end,
                                      CHUNK_BYTES - connection->in_end);
    connection->in_end += (uint32_t)got;
    return got;
}

void connection_read_turn(struct connection *connection,
                          bool (*feed)(struct connection *connection))
{
    for (int reads = 0; reads < READS_PER_EVENT; reads++) {
        if (connection->closed || connection->closing || connection->eof ||
            !connection_ensure_chunk(connection))
            return;
        size_t wanted = CHUNK_BYTES - connection->in_end;
        size_t got = connection_read(connection);
        /* A short read of a plain socket has emptied it; TLS may hold more. */
        if (got == 0 || !feed(connection) || (got < wanted && connection->tls == NULL))
            return;
    }
}

/* ---- Output. ---- */

static void append_block(struct connection *connection, struct block *block)
{
    if (connection->out_last == NULL)
        connection->out_first = block;
    else
        connection->out_last->next = block;
    connection->out_last = block;
}

char *connection_out(struct connection *connection, size_t size)
{
    struct block *last = connection->out_last;

    MUST(size <= BLOCK_BYTES);
    if (last == NULL || !last->is_copy || BLOCK_BYTES - last->size < size) {
        last = block_take(connection->server);
        append_block(connection, last);
    }
    return last->bytes + last->size;
}

void connection_out_used(struct connection *connection, size_t size)
{
    connection->out_last->size += size;
    connection->out_bytes += size;
}

void connection_out_copy(struct connection *connection, struct str bytes)
{
    while (bytes.size > 0) {
        size_t size = bytes.size < BLOCK_BYTES ? bytes.size : BLOCK_BYTES;
        memcpy(connection_out(connection, size), bytes.data, size);
        connection_out_used(connection, size);
        bytes = (struct str){bytes.data + size, bytes.size - size};
    }
}

void connection_out_moved(struct connection *connection, struct buf *moved)
{
    struct block *block = block_new(0);

    block->moved = *moved;
    block->data = block->moved.data;
    block->size = block->moved.size;
    *moved = (struct buf){0};
    append_block(connection, block);
    connection->out_bytes += block->size;
}

void connection_out_static(struct connection *connection, struct str bytes)
{
    struct block *block = block_new(0);

    block->data = bytes.data;
    block->size = bytes.size;
    append_block(connection, block);
    connection->out_bytes += bytes.size;
}

static void sent(struct connection *connection, size_t size)
{
    connection->server->stats.bytes_out += size;
    connection->out_bytes -= size;
    connection->active_ns = loop_now_ns(connection->server->loop);
    connection->blocked_ns = connection->active_ns;
    while (connection->out_first != NULL) {
        struct block *first = connection->out_first;
        size_t left = first->size - first->sent;
        if (size < left) {
            first->sent += size;
            return;
        }
        size -= left;
        connection->out_first = first->next;
        if (connection->out_first == NULL)
            connection->out_last = NULL;
        block_give(connection->server, first);
    }
}

static void write_plain(struct connection *connection)
{
    struct iovec vectors[VECTORS];
    struct msghdr message = {.msg_iov = vectors};
    size_t wanted = 0;

    for (struct block *block = connection->out_first; block != NULL && message.msg_iovlen < VECTORS;
         block = block->next) {
        size_t left = block->size - block->sent;
        vectors[message.msg_iovlen++] =
            (struct iovec){(void *)(uintptr_t)(block->data + block->sent), left};
        wanted += left;
    }
    ssize_t done =
        message.msg_iovlen == 1
            ? send(connection->watch.fd, vectors[0].iov_base, wanted, MSG_DONTWAIT | MSG_NOSIGNAL)
            : sendmsg(connection->watch.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0) {
        if (errno == EAGAIN)
            block_write(connection);
        else if (errno != EINTR)
            connection_close(connection);
        return;
    }
    sent(connection, (size_t)done);
    if ((size_t)done < wanted)
        block_write(connection);
}

static void write_tls(struct connection *connection)
{
    struct block *first = connection->out_first;
    size_t done = 0;

    switch (
        tls_write(connection->tls, first->data + first->sent, first->size - first->sent, &done)) {
    case TLS_DONE:
        sent(connection, done);
        return;
    case TLS_WANTS_READ: /* The next readable event tries again. */
    case TLS_WANTS_WRITE:
        block_write(connection);
        return;
    case TLS_CLOSED:
    case TLS_FAILED:
        connection_close(connection);
        return;
    }
}

static void start_lingering(struct connection *connection);

bool connection_flush(struct connection *connection)
{
    while (!connection->closed && connection->out_first != NULL && !connection->write_blocked) {
        if (connection->tls != NULL)
            write_tls(connection);
        else
            write_plain(connection);
    }
    if (!connection->closed && connection->closing && connection->out_first == NULL) {
        if (connection->linger_after && !connection->eof)
            start_lingering(connection);
        else
            connection_close(connection);
    }
    return !connection->closed;
}

/* ---- Work at the end of the round. ---- */

static void run_task(struct loop_task *task)
{
    struct connection *connection = CONTAINER_OF(task, struct connection, task);

    MUST_BE(connection, CONNECTION_MAGIC);
    connection->task_queued = false;
    if (connection->closed) {
        connection->magic = 0;
        free(connection);
        return;
    }
    if (connection->doomed) {
        connection_close(connection);
        return;
    }
    if (!connection_flush(connection))
        return;
    connection->protocol->flushed(connection);
    connection_settle(connection);
}

static void queue_task(struct connection *connection)
{
    if (connection->task_queued)
        return;
    connection->task_queued = true;
    connection->task.run = run_task;
    loop_defer(connection->server->loop, &connection->task);
}

void connection_flush_later(struct connection *connection)
{
    if (!connection->closed)
        queue_task(connection);
}

/* ---- Deadlines and events. ---- */

static void expired(struct loop_timer *timer)
{
    struct connection *connection = CONTAINER_OF(timer, struct connection, timer);
    struct http_server *server = connection->server;
    int64_t now_ns = loop_now_ns(server->loop);

    MUST_BE(connection, CONNECTION_MAGIC);
    if (connection->write_blocked &&
        now_ns >= connection->blocked_ns + server->limits.write_ns_max) {
        server->stats.connections_timed_out++;
        connection_close(connection);
        return;
    }
    connection->protocol->expired(connection, now_ns);
    connection_settle(connection);
}

void connection_settle(struct connection *connection)
{
    struct http_server *server = connection->server;
    uint32_t events = 0;

    if (connection->closed)
        return;
    connection_release_chunk(connection);
    if (!connection->eof && !connection->read_paused)
        events |= EPOLLIN;
    if (connection->write_blocked)
        events |= EPOLLOUT;
    loop_watch_change(server->loop, &connection->watch, events);

    int64_t deadline_ns = connection->protocol->deadline(connection);
    if (connection->write_blocked &&
        deadline_ns > connection->blocked_ns + server->limits.write_ns_max)
        deadline_ns = connection->blocked_ns + server->limits.write_ns_max;
    if (deadline_ns == INT64_MAX)
        loop_timer_stop(server->loop, &connection->timer);
    else
        loop_timer_start(server->loop, &connection->timer, deadline_ns, expired);
}

static void ready(struct loop_watch *watch, uint32_t events)
{
    struct connection *connection = CONTAINER_OF(watch, struct connection, watch);

    MUST_BE(connection, CONNECTION_MAGIC);
    /* Reset, or shut on both sides: nobody reads an answer. Bytes still to be read come first. */
    if ((events & (EPOLLERR | EPOLLHUP)) != 0 && (connection->eof || (events & EPOLLIN) == 0)) {
        connection_close(connection);
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        connection->write_blocked = false;
        if (!connection_flush(connection))
            return;
        connection->protocol->flushed(connection);
    }
    if (!connection->closed && (events & EPOLLIN) != 0)
        connection->protocol->readable(connection);
    connection_settle(connection);
}

/* ---- Lingering: a protocol that reads and forgets. ---- */

/* Closing a socket with unread bytes resets it, and the reset may overtake our last answer. */

static void linger_readable(struct connection *connection)
{
    char scrap[4096];

    while (!connection->closed && !connection->eof) {
        if (connection_read_into(connection, scrap, sizeof(scrap)) < sizeof(scrap))
            break;
    }
    if (!connection->closed && connection->eof)
        connection_close(connection);
}

static void linger_flushed(struct connection *connection)
{
    (void)connection; /* Nothing is sent any more. */
}

static void linger_expired(struct connection *connection, int64_t now_ns)
{
    (void)now_ns; /* There is one deadline only. */
    connection_close(connection);
}

static int64_t linger_deadline(struct connection *connection)
{
    return connection->message_ns + LINGER_NS;
}

static void linger_closed(struct connection *connection)
{
    (void)connection; /* Its exchange was answered. */
}

static const struct connection_protocol lingering = {
    .readable = linger_readable,
    .flushed = linger_flushed,
    .expired = linger_expired,
    .deadline = linger_deadline,
    .closed = linger_closed,
    .stopping = connection_close,
};

static void start_lingering(struct connection *connection)
{
    if (connection->protocol == &lingering)
        return;
    connection->protocol->closed(connection);
    connection->protocol = &lingering;
    connection->message_ns = loop_now_ns(connection->server->loop);
    connection->in_start = connection->in_end = 0;
    connection->read_paused = false;
    if (connection->tls != NULL)
        tls_shutdown(connection->tls);
    /* Failure means that the peer has gone already; the next read sees it. */
    (void)shutdown(connection->watch.fd, SHUT_WR);
}

/* ---- TLS handshake: a protocol that gives way to another. ---- */

static void handshake_go_on(struct connection *connection)
{
    switch (tls_handshake(connection->tls)) {
    case TLS_DONE:
        connection->protocol = &connection_http1;
        if (tls_chose_http2(connection->tls) && !http2_start(connection))
            return;
        /* Its first bytes may have come with the handshake's last. */
        connection->protocol->readable(connection);
        return;
    case TLS_WANTS_READ:
        return;
    case TLS_WANTS_WRITE:
        block_write(connection);
        return;
    case TLS_CLOSED:
    case TLS_FAILED:
        connection->server->stats.handshakes_failed++;
        connection_close(connection);
        return;
    }
}

static void handshake_expired(struct connection *connection, int64_t now_ns)
{
    (void)now_ns; /* There is one deadline only. */
    connection->server->stats.connections_timed_out++;
    connection_close(connection);
}

static int64_t handshake_deadline(struct connection *connection)
{
    return connection->accepted_ns + connection->server->limits.head_ns_max;
}

static const struct connection_protocol handshaking = {
    .readable = handshake_go_on,
    .flushed = handshake_go_on,
    .expired = handshake_expired,
    .deadline = handshake_deadline,
    .closed = linger_closed,
    .stopping = connection_close,
};

/* ---- Life. ---- */

void connection_open(struct http_server *server, int fd, const struct sockaddr_in6 *address,
                     struct peer *peer, struct tls_server *tls)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        must_memory(sizeof(*connection));
    connection->magic = CONNECTION_MAGIC;
    connection->server = server;
    connection->protocol = &connection_http1;
    connection->address = *address;
    connection->peer = peer;
    connection->accepted_ns = connection->active_ns = loop_now_ns(server->loop);
    if (tls != NULL) {
        connection->tls = tls_session_open(tls, fd);
        connection->protocol = &handshaking;
    }
    connection->next = server->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    server->connections = connection;
    server->stats.connections_open++;
    connection->watch.fd = fd;
    if (loop_watch_start(server->loop, &connection->watch, fd, EPOLLIN, ready, &server->why) !=
        ERR_NONE) {
        connection_close(connection);
        return;
    }
    connection_settle(connection);
}

static void free_output(struct connection *connection)
{
    while (connection->out_first != NULL) {
        struct block *first = connection->out_first;
        connection->out_first = first->next;
        block_give(connection->server, first);
    }
    connection->out_last = NULL;
    connection->out_bytes = 0;
}

void connection_close(struct connection *connection)
{
    struct http_server *server = connection->server;

    if (connection->closed)
        return;
    connection->closed = true;
    connection->protocol->closed(connection);
    loop_timer_stop(server->loop, &connection->timer);
    loop_watch_stop(server->loop, &connection->watch);
    connection->tls = tls_session_close(connection->tls);
    close(connection->watch.fd);
    free_output(connection);
    chunk_give(server, connection->chunk);
    connection->chunk = NULL;
    buf_done(&connection->parked);
    queue_task(connection); /* Frees it. */
    http_server_connection_gone(server, connection);
}
