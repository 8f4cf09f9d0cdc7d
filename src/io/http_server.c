/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets, and what bounds the whole server: connections, peers, open files, stopping.
 *
 * When the process has no file descriptor left, accepting would fail for ever while the kernel
 * keeps reporting the waiting peer. So one descriptor is held in reserve: it is closed, the peer
 * accepted, told 503 and closed, and the reserve taken again; then accepting rests for a moment. */
#include "io/http_server_priv.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_EVENT = 64,
    BACKLOG = 4096,
    ACCEPT_REST_NS = 100000000,
    FILES_FOR_OTHERS = 256, /* Left to files, children and outbound connections. */
};

const struct http_limits http_limits_default = {
    .head_bytes_max = 16 * 1024,
    .fields_max = 100,
    .body_bytes_max = (size_t)64 << 20,
    .params_max = 1000,
    .arena_bytes_max = (size_t)64 << 20,
    .head_ns_max = 10 * CLOCK_NS_PER_S,
    .request_ns_max = 60 * CLOCK_NS_PER_S,
    .body_rate_min = 100,
    .write_ns_max = 30 * CLOCK_NS_PER_S,
    .queue_bytes_max = (size_t)4 << 20,
    .idle_ns_max = 75 * CLOCK_NS_PER_S,
    .streams_max = 128,
    .websocket_message_bytes_max = (size_t)1 << 20,
    .websocket_queue_bytes_max = (size_t)1 << 20,
    .websocket_ping_ns = 30 * CLOCK_NS_PER_S,
    .nuisance_per_second_max = 200,
    .connections_max = 20000,
    .connections_per_peer_max = 1000,
    .bodies_bytes_max = (size_t)512 << 20,
};

/* ---- Small services to the other files. ---- */

const char *http_server_date(struct http_server *server)
{
    int64_t second = (int64_t)time(NULL);

    if (second != server->date_second) {
        http_date(server->date, second);
        server->date_second = second;
    }
    return server->date;
}

static void destroy(struct http_server *server)
{
    while (server->chunks_free != NULL) {
        struct chunk *chunk = server->chunks_free;
        server->chunks_free = chunk->next_free;
        free(chunk);
    }
    while (server->blocks_free != NULL) {
        struct block *block = server->blocks_free;
        server->blocks_free = block->next;
        free(block);
    }
    while (server->exchanges_free != NULL) {
        struct exchange *exchange = server->exchanges_free;
        server->exchanges_free = exchange->next;
        exchange_destroy(exchange);
    }
    http_gzip_free(server->gzip);
    map_done(&server->peers);
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    server->magic = 0;
    free(server);
}

void http_server_exchange_gone(struct http_server *server)
{
    if (server->freed && server->stats.exchanges_open == 0)
        destroy(server);
}

/* ---- Peers. ---- */

static bool is_loopback(const struct in6_addr *address)
{
    return IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

/* The peer's count, made when it is the first; NULL for loopback, which is not bounded. */
static struct peer *peer_find(struct http_server *server, const struct in6_addr *address)
{
    uint8_t key[sizeof(address->s6_addr)];

    if (is_loopback(address))
        return NULL;
    memcpy(key, address->s6_addr, sizeof(key));
    if (!IN6_IS_ADDR_V4MAPPED(address)) /* One host commonly owns a whole /64. */
        memset(key + 8, 0, 8);
    struct peer *peer = map_get(&server->peers, (struct str){(const char *)key, sizeof(key)});
    if (peer != NULL)
        return peer;
    peer = calloc(1, sizeof(*peer));
    if (peer == NULL)
        must_memory(sizeof(*peer));
    memcpy(peer->address, key, sizeof(key));
    (void)map_put(&server->peers, (struct str){(const char *)peer->address, sizeof(key)}, peer);
    return peer; /* map_put replaced nothing: it was absent. */
}

static void peer_leave(struct http_server *server, struct peer *peer)
{
    if (peer == NULL || --peer->connections > 0)
        return;
    (void)map_remove(&server->peers, (struct str){(const char *)peer->address,
                                                  sizeof(peer->address)}); /* It is peer. */
    free(peer);
}

void http_server_connection_gone(struct http_server *server, struct connection *connection)
{
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    connection->next = connection->previous = NULL;
    server->stats.connections_open--;
    peer_leave(server, connection->peer);
    connection->peer = NULL;
    if (server->stopping && server->connections == NULL && loop_timer_running(&server->stop_timer))
        loop_timer_start(server->loop, &server->stop_timer, loop_now_ns(server->loop),
                         server->stop_timer.expired);
}

/* ---- Accepting. ---- */

/* Says so and closes; without waiting, and not in TLS's words. */
static void turn_away(int fd, bool is_tls)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Retry-After: 1\r\nContent-Length: 0\r\n"
                                 "Connection: close\r\n\r\n";
    char scrap[4096];

    if (!is_tls) {
        /* Closing with unread bytes would reset the connection and lose the answer. Neither
         * matters enough to wait for. */
        (void)recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);
        (void)send(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
    }
    close(fd);
}

static void admit(struct listener *listener, int fd, const struct sockaddr_in6 *address)
{
    struct http_server *server = listener->server;

    server->stats.connections_accepted++;
    if (server->stats.connections_open >= server->limits.connections_max) {
        server->stats.connections_refused++;
        turn_away(fd, listener->tls != NULL);
        return;
    }
    struct peer *peer = peer_find(server, &address->sin6_addr);
    if (peer != NULL) {
        peer->connections++;
        if (peer->connections > server->limits.connections_per_peer_max) {
            server->stats.connections_refused_peer++;
            peer_leave(server, peer);
            turn_away(fd, listener->tls != NULL);
            return;
        }
    }
    connection_open(server, fd, address, peer, listener->tls);
}

static void watch_listeners(struct http_server *server, uint32_t events)
{
    for (struct listener *listener = server->listeners; listener != NULL; listener = listener->next)
        loop_watch_change(server->loop, &listener->watch, events);
}

static void accept_again(struct loop_timer *timer)
{
    watch_listeners(CONTAINER_OF(timer, struct http_server, accept_timer), EPOLLIN);
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void out_of_files(struct listener *listener)
{
    struct http_server *server = listener->server;

    if (server->reserve_fd >= 0) {
        close(server->reserve_fd);
        int fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            server->stats.connections_refused_files++;
            turn_away(fd, listener->tls != NULL);
        }
    }
    server->reserve_fd = open_reserve();
    watch_listeners(server, 0);
    loop_timer_start(server->loop, &server->accept_timer,
                     loop_now_ns(server->loop) + ACCEPT_REST_NS, accept_again);
}

static struct sockaddr_in6 as_ipv6(const struct sockaddr_storage *address)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};

    if (address->ss_family == AF_INET6) {
        memcpy(&mapped, address, sizeof(mapped));
        return mapped;
    }
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)address;
    mapped.sin6_port = ipv4->sin_port;
    memset(mapped.sin6_addr.s6_addr + 10, 0xff, 2);
    memcpy(mapped.sin6_addr.s6_addr + 12, &ipv4->sin_addr, 4);
    return mapped;
}

static void accept_ready(struct loop_watch *watch, uint32_t events)
{
    struct listener *listener = CONTAINER_OF(watch, struct listener, watch);

    (void)events; /* Only readability is waited for. */
    for (int i = 0; i < ACCEPTS_PER_EVENT && listener->watch.active; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        int fd =
            accept4(watch->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            struct sockaddr_in6 mapped = as_ipv6(&address);
            admit(listener, fd, &mapped);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            out_of_files(listener);
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

/* ---- Listening. ---- */

/* "127.0.0.1:80", "[::1]:80", "localhost:80", ":80", "*:80". */
static enum err parse_address(struct str text, struct sockaddr_storage *ret_address,
                              socklen_t *ret_size, struct why *why)
{
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)ret_address;
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)ret_address;
    char host_text[INET6_ADDRSTRLEN];
    size_t colon = text.size;
    uint64_t port;

    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon == 0 || !str_to_u64((struct str){text.data + colon, text.size - colon}, &port) ||
        port > 65535) {
        enum err err =
            fail(why, ERR_INVALID, "'%.*s' does not end in ':' and a port", STR_ARG(text));
        hint(why, "write an address like 127.0.0.1:7070, [::1]:7070 or :7070");
        return err;
    }
    struct str host = {text.data, colon - 1};
    if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
        host = (struct str){host.data + 1, host.size - 2};
    if (str_eq(host, STR("localhost")))
        host = STR("127.0.0.1");
    if (host.size == 0 || str_eq(host, STR("*")))
        host = STR("::");
    memset(ret_address, 0, sizeof(*ret_address));
    if (host.size < sizeof(host_text)) {
        memcpy(host_text, host.data, host.size);
        host_text[host.size] = '\0';
        if (inet_pton(AF_INET, host_text, &ipv4->sin_addr) == 1) {
            ipv4->sin_family = AF_INET;
            ipv4->sin_port = htons((uint16_t)port);
            *ret_size = sizeof(*ipv4);
            return ERR_NONE;
        }
        memset(ret_address, 0, sizeof(*ret_address));
        if (inet_pton(AF_INET6, host_text, &ipv6->sin6_addr) == 1) {
            ipv6->sin6_family = AF_INET6;
            ipv6->sin6_port = htons((uint16_t)port);
            *ret_size = sizeof(*ipv6);
            return ERR_NONE;
        }
    }
    enum err err = fail(why, ERR_INVALID, "'%.*s' is not an IP address", STR_ARG(host));
    hint(why, "write an address like 127.0.0.1:7070, [::1]:7070 or :7070");
    return err;
}

static enum err bind_failed(int error, struct str address, struct why *why)
{
    enum err err;

    switch (error) {
    case EADDRINUSE:
        err = fail(why, ERR_EXISTS, "%.*s is in use by another program", STR_ARG(address));
        hint(why, "stop that program (see `ss -ltnp`) or listen on another port");
        return err;
    case EADDRNOTAVAIL:
        err = fail(why, ERR_INVALID, "%.*s is not an address of this machine", STR_ARG(address));
        hint(why, "see `ip address`, or listen on 127.0.0.1");
        return err;
    case EACCES:
        err =
            fail(why, ERR_DENIED, "%.*s needs more rights than this process has", STR_ARG(address));
        hint(why, "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher port");
        return err;
    default:
        return fail_errno(why, error, "listening on %.*s", STR_ARG(address));
    }
}

static enum err open_socket(struct str address, int *ret_fd, struct why *why)
{
    struct sockaddr_storage socket_address;
    socklen_t size = 0;
    int on = 1, off = 0;

    TRY(parse_address(address, &socket_address, &size, why));
    int fd = socket(socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(why, errno, "making a socket for %.*s", STR_ARG(address));
    /* Comforts, inherited by what is accepted: without them the server still works. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (socket_address.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, (const struct sockaddr *)&socket_address, size) < 0 || listen(fd, BACKLOG) < 0) {
        enum err err = bind_failed(errno, address, why);
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return ERR_NONE;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    MUST(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    /* sin_port and sin6_port share their place. */
    return ntohs(((const struct sockaddr_in *)&address)->sin_port);
}

enum err http_server_listen(struct http_server *server, struct str address, struct tls_server *tls,
                            uint16_t *ret_port, struct why *why)
{
    int fd = -1;

    MUST_BE(server, SERVER_MAGIC);
    TRY(open_socket(address, &fd, why));
    struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL)
        must_memory(sizeof(*listener));
    listener->server = server;
    listener->tls = tls;
    enum err err = loop_watch_start(server->loop, &listener->watch, fd, EPOLLIN, accept_ready, why);
    if (err != ERR_NONE) {
        close(fd);
        free(listener);
        return err;
    }
    listener->next = server->listeners;
    server->listeners = listener;
    if (ret_port != NULL)
        *ret_port = port_of(fd);
    return ERR_NONE;
}

static void close_listeners(struct http_server *server)
{
    while (server->listeners != NULL) {
        struct listener *listener = server->listeners;
        int fd = listener->watch.fd;
        server->listeners = listener->next;
        loop_watch_stop(server->loop, &listener->watch);
        close(fd);
        free(listener);
    }
    loop_timer_stop(server->loop, &server->accept_timer);
}

/* ---- Life. ---- */

/* As many connections as there are files for them, or can be had by raising the soft limit. */
static size_t bound_by_files(size_t connections_max)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return connections_max;
    size_t wanted = connections_max + FILES_FOR_OTHERS;
    if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* Up to the hard limit it is always allowed. */
    }
    size_t files = limit.rlim_cur;
    size_t bound = files > 2 * FILES_FOR_OTHERS ? files - FILES_FOR_OTHERS : files / 2 + 1;
    return connections_max < bound ? connections_max : bound;
}

struct http_server *http_server_new(const struct http_server_options *options)
{
    struct http_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        must_memory(sizeof(*server));
    server->magic = SERVER_MAGIC;
    server->loop = options->loop;
    server->handler = options->handler;
    server->self = options->self;
    server->limits = options->limits == NULL ? http_limits_default : *options->limits;
    server->limits.connections_max = bound_by_files(server->limits.connections_max);
    server->stats.connections_max = server->limits.connections_max;
    MUST(server->limits.head_bytes_max < CHUNK_BYTES);
    server->parser_limits =
        (struct http1_limits){server->limits.head_bytes_max, server->limits.fields_max};
    server->date_second = -1;
    /* Addresses are chosen by strangers. Without randomness the fixed seed must do. */
    if (getrandom(&server->peers.seed, sizeof(server->peers.seed), GRND_NONBLOCK) < 0)
        server->peers.seed = UINT64_C(0x9e3779b97f4a7c15);
    server->reserve_fd = open_reserve();
    return server;
}

struct http_server *http_server_free(struct http_server *server)
{
    if (server == NULL)
        return NULL;
    MUST_BE(server, SERVER_MAGIC);
    close_listeners(server);
    loop_timer_stop(server->loop, &server->stop_timer);
    while (server->connections != NULL)
        connection_close(server->connections);
    server->freed = true;
    if (server->stats.exchanges_open == 0)
        destroy(server);
    return NULL;
}

static void stop_now(struct loop_timer *timer)
{
    struct http_server *server = CONTAINER_OF(timer, struct http_server, stop_timer);

    while (server->connections != NULL)
        connection_close(server->connections);
    loop_timer_stop(server->loop, &server->stop_timer);
    server->stopped(server->stopped_self);
}

void http_server_stop(struct http_server *server, int64_t deadline_ns, void (*stopped)(void *self),
                      void *self)
{
    MUST_BE(server, SERVER_MAGIC);
    server->stopping = true;
    server->stopped = stopped;
    server->stopped_self = self;
    close_listeners(server);
    struct connection *next = server->connections;
    while (next != NULL) {
        struct connection *connection = next;
        next = connection->next;
        connection->protocol->stopping(connection);
    }
    loop_timer_start(server->loop, &server->stop_timer,
                     server->connections == NULL ? loop_now_ns(server->loop) : deadline_ns,
                     stop_now);
}

void http_server_stats(const struct http_server *server, struct http_stats *ret_stats)
{
    *ret_stats = server->stats;
}
