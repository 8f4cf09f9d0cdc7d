/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_priv - what the files of the HTTP server share: server, connection, exchange.
 *
 *     http_server.c      listens, accepts, bounds, counts, stops
 *     http_connection.c  moves bytes: reading, the output queue, TLS, timers, closing
 *     http1_server.c     a protocol: HTTP/1.1 over a connection
 *     http2.c            a protocol: HTTP/2, many exchanges at a time
 *     websocket.c        a protocol: what an HTTP/1.1 connection may become
 *     exchange.c         what the handler sees; answers through the protocol that brought it
 *
 * Nothing is freed under somebody's feet: connection_close only detaches, and the memory goes
 * when the round of the loop ends. */
#pragma once
#include "base/map.h"
#include "io/http1.h"
#include "io/http_coding.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "io/tls.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/types.h>

struct connection;
struct http2;
struct http2_stream;

enum {
    CHUNK_BYTES = 32 * 1024,     /* An input buffer: the longest header fits twice. */
    READS_PER_EVENT = 8,         /* Then others get their turn. */
    BLOCK_BYTES = 16 * 1024,     /* An output block. */
    COPY_BYTES_MAX = 8 * 1024,   /* Bodies up to here are copied behind their header. */
    DRAIN_LOW_BYTES = 64 * 1024, /* exchange_on_drained fires below. */
    PIPELINE_BYTES = 256 * 1024, /* With more answers waiting, no further request is read. */
    POOL_MAX = 64,               /* Free chunks, blocks and exchanges kept for reuse. */
    COMPRESS_BYTES_MIN = 1024,
    COMPRESS_BYTES_MAX = 4 << 20, /* Beyond, the loop would stand still for too long. */
    PEER_TEXT_SIZE = INET6_ADDRSTRLEN,
};

#define CONNECTION_MAGIC UINT32_C(0x434f4e4e)
#define EXCHANGE_MAGIC   UINT32_C(0x45584348)
#define SERVER_MAGIC     UINT32_C(0x53455256)

/* ---- Pieces of memory that are used again. ---- */

/* Input. */
struct chunk {
    struct chunk *next_free;
    char data[CHUNK_BYTES];
};

/* Output: bytes of its own, bytes moved in, or bytes borrowed. */
struct block {
    struct block *next;
    const char *data;
    size_t size;
    size_t sent;
    struct buf moved;
    bool is_copy; /* `bytes` follow. */
    char bytes[];
};

/* ---- Exchange. ---- */

enum exchange_state {
    EXCHANGE_HEAD,      /* Reading the header. */
    EXCHANGE_BODY,      /* Reading the body. */
    EXCHANGE_HANDLING,  /* With the handler, complete. */
    EXCHANGE_STREAMING, /* exchange_begin was called. */
    EXCHANGE_ANSWERED,  /* Going back to the pool. */
};

/* An answer as the protocol is to send it. */
struct answer {
    int status;
    const struct http_header *headers; /* Checked, complete but for Date and framing. */
    size_t headers_count;
    const struct http_header *trailers; /* HTTP/2 sends them behind a body. */
    size_t trailers_count;
    struct str body;
    struct buf *moved;       /* When body lies in it: may be taken. */
    uint64_t content_length; /* Announced; of the body that HEAD leaves out. */
    bool has_length;         /* False: streamed, or a status without a body. */
    bool body_is_static;
    bool without_body; /* HEAD, 204, 304. */
};

/* How an exchange answers over the protocol that brought it. */
struct exchange_protocol {
    void (*answer)(struct exchange *exchange, const struct answer *answer);
    void (*begin)(struct exchange *exchange, const struct answer *answer);
    void (*write)(struct exchange *exchange, struct str bytes);
    void (*end)(struct exchange *exchange);
    size_t (*queued)(const struct exchange *exchange);
};

struct exchange {
    uint32_t magic;
    atomic_bool cancelled;
    uint8_t state; /* enum exchange_state */
    uint8_t calls; /* Of the handler's functions under way: not reused before they return. */
    bool seen;     /* head or request was called, so done is due. */
    bool complete; /* The whole request has been read. */
    bool is_tls;
    bool was_full;     /* The queue went over DRAIN_LOW_BYTES since the last drained. */
    bool without_body; /* Streamed answer to HEAD. */
    bool chunked_out;  /* Streamed over HTTP/1.1. */
    bool keep_alive;   /* HTTP/1: as promised in the streamed answer's header. */
    bool params_read;
    struct http_server *server;
    const struct exchange_protocol *protocol; /* NULL once the peer has gone. */
    struct connection *connection;            /* NULL once the peer has gone. */
    struct exchange *next;                    /* In the pool. */
    void *data;

    struct http1 parser; /* Its head serves HTTP/2 as well. */
    struct http1_chunked chunked;
    struct buf head_bytes; /* The head, where it does not lie in the connection's chunk. */
    struct chunk *chunk;   /* Taken over from a connection that went. */
    struct str path;
    struct str query;
    struct http_header *params;
    size_t params_count;

    struct http_intake intake;
    struct buf body;
    uint64_t body_received; /* As it came. */
    size_t body_accounted;  /* In stats.bodies_bytes. */

    struct arena *arena;
    int64_t started_ns;
    int status;
    uint64_t body_sent;
    struct http2_stream *stream; /* HTTP/2. */

    void (*drained)(void *self, struct exchange *exchange);
    void *drained_self;

    struct in6_addr peer_address; /* IPv4 as mapped. */
    char peer_text[PEER_TEXT_SIZE];
};

/* exchange.c */
struct exchange *exchange_acquire(struct http_server *server, struct connection *connection,
                                  const struct exchange_protocol *protocol);
void exchange_destroy(struct exchange *exchange); /* One of the pool. */
/* After the answer: tells done, and keeps the memory for the next. */
void exchange_release(struct exchange *exchange);
/* The peer has gone. An exchange that the handler holds lives on until it is answered. */
void exchange_detach(struct exchange *exchange);
/* The header is complete in parser.head: split the target, ask head(). On error the caller
 * refuses with *ret_status. May answer: look at state. */
CHECKED enum err exchange_head_done(struct exchange *exchange, int *ret_status, struct why *why);
/* A piece of body came: keep it or hand it on. May answer. */
CHECKED enum err exchange_body_piece(struct exchange *exchange, struct str piece, int *ret_status,
                                     struct why *why);
/* As exchange_body_piece for `size` bytes that the caller appended to exchange->body itself. */
CHECKED enum err exchange_body_grew(struct exchange *exchange, size_t size, int *ret_status,
                                    struct why *why);
/* The body is complete: decode it and call the handler. */
CHECKED enum err exchange_body_done(struct exchange *exchange, int *ret_status, struct why *why);
/* Answers with an error of the server's own. */
void exchange_refuse(struct exchange *exchange, int status, const struct why *why);
void exchange_maybe_drained(struct exchange *exchange);

/* ---- Connection. ---- */

/* What a protocol does when something happens to its connection. */
struct connection_protocol {
    void (*readable)(struct connection *connection);
    void (*flushed)(struct connection *connection); /* The queue is shorter than it was. */
    /* The deadline came that `deadline` had named. */
    void (*expired)(struct connection *connection, int64_t now_ns);
    int64_t (*deadline)(struct connection *connection); /* INT64_MAX: none. */
    void (*closed)(struct connection *connection);      /* Detach exchanges, free own state. */
    void (*stopping)(struct connection *connection);    /* The server wants to stop. */
};

struct peer {
    uint8_t address[16]; /* IPv4-mapped, or an IPv6 /64. */
    uint32_t connections;
};

struct connection {
    uint32_t magic;
    bool closed;
    bool closing;    /* Close when the queue is empty. */
    bool eof;        /* The peer will send no more. */
    bool processing; /* The protocol is at work further up the stack. */
    bool task_queued;
    bool write_blocked;
    bool read_paused;
    bool preface_seen; /* The first bytes were looked at: HTTP/1 it is. */
    bool doomed;       /* Closed when the round ends, not under the caller's feet. */
    bool linger_after; /* The peer may still be sending: closing at once would reset it. */
    struct http_server *server;
    const struct connection_protocol *protocol;
    struct tls_session *tls;
    struct loop_watch watch;
    struct loop_timer timer;
    struct loop_task task;
    struct connection *next;
    struct connection *previous;
    struct peer *peer;

    /* Input: unread bytes are chunk->data[in_start … in_end), or, between events, `parked`. */
    struct chunk *chunk;
    uint32_t in_start;
    uint32_t in_end;
    struct buf parked;

    /* Output. */
    struct block *out_first;
    struct block *out_last;
    size_t out_bytes;

    int64_t accepted_ns;
    int64_t active_ns;   /* Last byte in or out. */
    int64_t blocked_ns;  /* Since when the peer takes nothing. */
    int64_t message_ns;  /* First byte of the message under way, or 0. */
    int64_t rate_ns;     /* Start of the window in which the body's rate is judged. */
    uint64_t rate_bytes; /* Received since. */

    struct exchange *exchange; /* HTTP/1: the one under way. */
    struct http2 *http2;
    struct websocket *websocket;
    struct sockaddr_in6 address; /* IPv4 as mapped. */
};

/* http_connection.c */
void chunk_give(struct http_server *server, struct chunk *chunk); /* Back to the pool; or NULL. */
void connection_open(struct http_server *server, int fd, const struct sockaddr_in6 *address,
                     struct peer *peer, struct tls_server *tls);
void connection_close(struct connection *connection);
/* Reads behind in_end. > 0: bytes; 0: nothing now, or end of file (eof), or closed. */
size_t connection_read(struct connection *connection);
/* Reads into room of the caller's, for bodies; as connection_read. */
size_t connection_read_into(struct connection *connection, char *data, size_t size);
/* For protocols that consume all that was read at once: reads and feeds until nothing is left, feed
 * says false, or it is others' turn. */
void connection_read_turn(struct connection *connection,
                          bool (*feed)(struct connection *connection));
bool connection_ensure_chunk(struct connection *connection);   /* False: no room to read into. */
bool connection_has_room(const struct connection *connection); /* Could it be read into? */
void connection_release_chunk(struct connection *connection);
static inline struct str connection_input(const struct connection *connection)
{
    return connection->chunk == NULL ? STR_NONE
                                     : (struct str){connection->chunk->data + connection->in_start,
                                                    connection->in_end - connection->in_start};
}

/* Contiguous room at the end of the queue, at most BLOCK_BYTES; then say how much was used. */
char *connection_out(struct connection *connection, size_t size);
void connection_out_used(struct connection *connection, size_t size);
void connection_out_copy(struct connection *connection, struct str bytes);
void connection_out_moved(struct connection *connection, struct buf *moved);
void connection_out_static(struct connection *connection, struct str bytes);
/* Writes what the kernel takes. False: the connection is closed now. */
bool connection_flush(struct connection *connection);
/* Flushes at the end of the round, once, however often it is called. */
void connection_flush_later(struct connection *connection);
/* After an event: closes what is done, parks input, sets watch and timer. */
void connection_settle(struct connection *connection);
extern const struct connection_protocol connection_http1;
extern const struct connection_protocol connection_http2;
extern const struct connection_protocol connection_websocket;

/* http2.c: the connection starts to speak HTTP/2. False: closed. */
bool http2_start(struct connection *connection);

/* websocket.c: takes the upgraded connection over. */
struct websocket *websocket_start(struct connection *connection,
                                  const struct websocket_handler *handler, void *self);

/* ---- Server. ---- */

struct listener {
    struct listener *next;
    struct http_server *server;
    struct tls_server *tls;
    struct loop_watch watch;
};

struct http_server {
    uint32_t magic;
    struct loop *loop;
    const struct http_handler *handler;
    void *self;
    struct http_limits limits;
    struct http1_limits parser_limits;
    struct http_stats stats;
    struct listener *listeners;
    struct connection *connections;
    struct map peers;

    struct chunk *chunks_free;
    size_t chunks_free_count;
    struct block *blocks_free; /* Copy blocks only. */
    size_t blocks_free_count;
    struct exchange *exchanges_free;
    size_t exchanges_free_count;
    struct http_gzip *gzip; /* Made when first needed. */

    int reserve_fd; /* Given up to be able to refuse when files run out. */
    struct loop_timer accept_timer;
    bool stopping;
    struct loop_timer stop_timer;
    bool freed; /* Only waits for exchanges that handlers hold. */
    void (*stopped)(void *self);
    void *stopped_self;

    int64_t date_second;
    char date[HTTP_DATE_SIZE];
    struct why why; /* Scratch. */
};

/* http_server.c */
const char *http_server_date(struct http_server *server); /* HTTP_DATE_SIZE - 1 bytes. */
void http_server_connection_gone(struct http_server *server, struct connection *connection);
void http_server_exchange_gone(struct http_server *server);
