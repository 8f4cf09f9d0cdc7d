/* SPDX-License-Identifier: Apache-2.0 */
/* http_server - HTTP/1.1, HTTP/2 and WebSocket on one port, on one loop.
 *
 * Which protocol a connection speaks is found out from its first bytes (HTTP/2's preface) or from
 * TLS (ALPN). Answers are written straight from the event that brought the request; answers to
 * pipelined requests leave together. All functions belong to the loop thread.
 *
 * Every limit has a name in struct http_limits and what it turned away has a counter in
 * struct http_stats. */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "io/exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct tls_server;
struct http_server;

struct http_limits {
    /* One message. */
    size_t head_bytes_max;  /* 16 KiB; 431 or 414. */
    size_t fields_max;      /* 100; 431. */
    size_t body_bytes_max;  /* 64 MiB, after decompression; 413. */
    size_t params_max;      /* 1,000. */
    size_t arena_bytes_max; /* 64 MiB: budget of an exchange's arena. */
    int64_t head_ns_max;    /* 10 s from the first byte to the end of the header; 408. */
    int64_t request_ns_max; /* 60 s from the first byte to the end of the body; 408. */
    size_t body_rate_min;   /* 100 bytes per second, looked at every 5 s; 408. 0: any. */
    int64_t write_ns_max;   /* 30 s in which the peer takes nothing; closed. */
    size_t queue_bytes_max; /* 4 MiB streamed and not taken by the peer; closed. */

    /* One connection. */
    int64_t idle_ns_max; /* 75 s between requests. */
    size_t streams_max;  /* 128 requests in flight over HTTP/2. HTTP/1.1 has one at a time. */
    size_t websocket_message_bytes_max; /* 1 MiB; close code 1009. */
    size_t websocket_queue_bytes_max;   /* 1 MiB; websocket_send says ERR_BUSY. */
    int64_t websocket_ping_ns;          /* 30 s of silence, then a ping; as long again, closed. */
    /* What a peer may do per second over HTTP/2 that costs us and brings no request: resets,
     * pings, settings, empty frames, window updates without need. */
    size_t nuisance_per_second_max; /* 200; GOAWAY with ENHANCE_YOUR_CALM. */

    /* The server. The process's soft limit of open files is raised for them as far as it may be;
     * where that is not enough, fewer connections are let in. */
    size_t connections_max;          /* 20,000; 503 and Retry-After. */
    size_t connections_per_peer_max; /* 1,000 from one IPv4 address or IPv6 /64; not loopback. */
    size_t bodies_bytes_max;         /* 512 MiB of request bodies at any time; 503. */
};

extern const struct http_limits http_limits_default;

struct http_stats {
    uint64_t requests_1xx, requests_2xx, requests_3xx, requests_4xx, requests_5xx; /* Answered. */
    uint64_t requests_http1, requests_http2; /* Heads understood. */
    uint64_t bytes_in, bytes_out;            /* On the wire, before TLS. */
    uint64_t connections_accepted;
    uint64_t connections_refused;       /* Over connections_max. */
    uint64_t connections_refused_peer;  /* Over connections_per_peer_max. */
    uint64_t connections_refused_files; /* No file descriptor left. */
    uint64_t connections_timed_out;     /* Any of the times above, idle excepted. */
    uint64_t connections_idled_out;
    uint64_t connections_flooded; /* Over nuisance_per_second_max. */
    uint64_t handshakes_failed;   /* TLS. */
    uint64_t parse_errors;        /* Requests that are not HTTP. */
    uint64_t bodies_refused;      /* Over body_bytes_max or bodies_bytes_max. */
    uint64_t queue_overflows;     /* Over queue_bytes_max. */
    uint64_t cancelled;           /* The peer went before the answer. */
    uint64_t websocket_messages_in, websocket_messages_out, websocket_busy;
    size_t connections_open;
    size_t connections_max; /* As in force. */
    size_t exchanges_open;
    size_t websockets_open;
    size_t bodies_bytes;
};

/* What head() may decide about a request whose body is still to come. */
struct http_intake {
    size_t body_bytes_max; /* As the limits say, unless changed. */
    bool stream;           /* Hand the body to body() piece by piece instead of keeping it. */
    bool raw_body;         /* Leave Content-Encoding to the handler (http_decode_body). Without
                              it gzip, deflate and zstd are decoded and others answered 415. */
};

/* How an exchange ended; for logs and metrics. */
struct http_outcome {
    int status;          /* 0: never answered. */
    uint64_t body_bytes; /* Sent, as encoded. */
    int64_t duration_ns; /* From the first byte of the request to the answer's hand-over. */
    bool cancelled;
};

/* All optional but request. Called on the loop thread, in the order head, body…, request, done. */
struct http_handler {
    /* The head is complete. May change the intake, or answer at once: the rest is not read. */
    void (*head)(void *self, struct exchange *exchange, struct http_intake *intake);
    /* With intake.stream: the next piece, valid during the call. May answer. */
    void (*body)(void *self, struct exchange *exchange, struct str piece);
    /* The request is complete: answer it, now or later. */
    void (*request)(void *self, struct exchange *exchange);
    /* The last word on an exchange that head or request has seen: release its data. */
    void (*done)(void *self, struct exchange *exchange, const struct http_outcome *outcome);
    /* Gives form to an error of the server's own (400, 413 …): appends to body and returns the
     * content type. Without it the sentence is sent as plain text. */
    struct str (*error_body)(void *self, int status, const struct why *why, struct buf *body);
    /* The server itself refuses the request (413, a body that cannot be decoded …). May answer in
     * its own way and return true; false leaves it to the server. */
    bool (*refused)(void *self, struct exchange *exchange, int status, const struct why *why);
};

struct http_server_options {
    struct loop *loop;
    const struct http_handler *handler;
    void *self;
    const struct http_limits *limits; /* NULL: http_limits_default. Copied. */
};

struct http_server *http_server_new(const struct http_server_options *options);
/* Closes what is still open; exchanges in flight are cancelled and must be answered before the
 * loop closes. Always returns NULL. */
struct http_server *http_server_free(struct http_server *server);

/* Listens on "127.0.0.1:7070", "[::1]:7070", ":7070" (all) or port 0 (any free). May be called
 * several times. tls may be NULL; otherwise it outlives the server.
 * ERR_INVALID: not an address; ERR_EXISTS: the port is in use; ERR_DENIED. */
CHECKED enum err http_server_listen(struct http_server *server, struct str address,
                                    struct tls_server *tls, uint16_t *ret_port, struct why *why);

/* Stops accepting, lets what is in flight finish until deadline_ns (monotonic), then calls
 * stopped(self) from the loop. */
void http_server_stop(struct http_server *server, int64_t deadline_ns, void (*stopped)(void *self),
                      void *self);

void http_server_stats(const struct http_server *server, struct http_stats *ret_stats);
