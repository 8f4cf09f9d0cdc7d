/* SPDX-License-Identifier: Apache-2.0 */
/* exchange - one request and its answer, whatever the HTTP version.
 *
 * The server lends the exchange to the handler (io/http_server.h) and takes it back when it is
 * answered: by exchange_respond, or exchange_begin … exchange_end, or exchange_upgrade_websocket.
 * Until then every str from it stays where it is. It must be answered exactly once, now or later,
 * on the loop thread; when the peer has gone meanwhile, answering is harmless and only frees it.
 *
 * To work on another thread, carry the pointer there, read the request, use the arena (one thread
 * at a time), look at exchange_cancelled from time to time, and come back by loop_send or
 * loop_post to answer. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "io/http.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct exchange;
struct loop;
struct websocket;
struct websocket_handler;

/* ---- The request. ---- */

enum http_method exchange_method(const struct exchange *exchange);
struct str exchange_method_text(const struct exchange *exchange);
enum http_version exchange_version(const struct exchange *exchange);
bool exchange_is_tls(const struct exchange *exchange);

/* Percent-decoded, begins with '/', free of dot segments and encoded slashes; or "*". */
struct str exchange_path(const struct exchange *exchange);
struct str exchange_query(const struct exchange *exchange); /* Raw; STR_NONE without '?'. */

/* The parameters of the query, then those of a body of application/x-www-form-urlencoded; both
 * decoded. Read once, kept in the arena. ERR_INVALID, ERR_LIMIT. */
CHECKED enum err exchange_params(struct exchange *exchange, const struct http_header **ret_params,
                                 size_t *ret_count, struct why *why);
/* The first of that name, or STR_NONE; also when the parameters cannot be read. */
struct str exchange_param(struct exchange *exchange, struct str name);

struct str exchange_header(const struct exchange *exchange, struct str name); /* Or STR_NONE. */
const struct http_head *exchange_head(const struct exchange *exchange);

/* Decoded from its Content-Encoding, unless head() asked for it raw. */
struct str exchange_body(const struct exchange *exchange);
/* Moves the body into *ret_body, which is overwritten. */
void exchange_take_body(struct exchange *exchange, struct buf *ret_body);

struct str exchange_peer(struct exchange *exchange); /* "192.0.2.7", "2001:db8::1". */
bool exchange_peer_is_loopback(const struct exchange *exchange);
int64_t exchange_started_ns(const struct exchange *exchange); /* Monotonic. */

struct arena *exchange_arena(struct exchange *exchange); /* Dies with the exchange. */
struct loop *exchange_loop(const struct exchange *exchange);

/* Room for one pointer of the handler's. */
void exchange_set_data(struct exchange *exchange, void *data);
void *exchange_data(const struct exchange *exchange);

/* Any thread: has the peer gone, so that nobody waits for the answer? */
bool exchange_cancelled(const struct exchange *exchange);
/* The flag itself, for those who look at it often; lives until the exchange is answered. */
const atomic_bool *exchange_cancel_flag(const struct exchange *exchange);

/* ---- The answer. ---- */

#define HTTP_RESPONSE_HEADERS_MAX 32

struct http_response {
    int status; /* 0 is 200. */
    struct str content_type;
    struct str etag; /* Quoted. A GET that has it already is answered 304. */
    /* Beside Date, Content-Type, Content-Length and ETag; at most HTTP_RESPONSE_HEADERS_MAX. One
     * that would break the message (a line break in its value) is left out. */
    const struct http_header *headers;
    size_t headers_count;
    struct buf *body;       /* Moved: empty afterwards. */
    struct str static_body; /* Or borrowed: lives as long as the server. */
    bool as_is;             /* Never compress. */
    /* Fields behind the body, at most HTTP_RESPONSE_HEADERS_MAX; sent over HTTP/2 only, and only by
     * exchange_respond with a body. */
    const struct http_header *trailers;
    size_t trailers_count;
};

/* Answers and gives the exchange back. Text over a kilobyte is compressed when the peer takes
 * gzip and the headers name no Content-Encoding. */
void exchange_respond(struct exchange *exchange, const struct http_response *response);

/* Answers with err's status and why's sentence and hint, in the form that the handler's
 * error_body gives to errors. */
void exchange_respond_error(struct exchange *exchange, enum err err, const struct why *why);

/* A streamed answer: response's body fields are ignored, its length is open. */
void exchange_begin(struct exchange *exchange, const struct http_response *response);
/* Copies. Nothing waits: heed exchange_queued_bytes, or be closed as too slow. */
void exchange_write(struct exchange *exchange, struct str bytes);
size_t exchange_queued_bytes(const struct exchange *exchange); /* Not yet with the kernel. */
/* drained(self, exchange) is called on the loop when the queue has fallen below 64 KiB after
 * exchange_queued_bytes was above, and once when the peer goes. */
void exchange_on_drained(struct exchange *exchange,
                         void (*drained)(void *self, struct exchange *exchange), void *self);
void exchange_end(struct exchange *exchange); /* Gives the exchange back. */

/* Turns the connection into a WebSocket (RFC 6455) and gives the exchange back. On error nothing
 * has happened: answer it. ERR_INVALID: not a WebSocket handshake; ERR_UNSUPPORTED: version other
 * than 13 or not HTTP/1.1. protocol is the subprotocol chosen, or STR_NONE. */
CHECKED enum err exchange_upgrade_websocket(struct exchange *exchange,
                                            const struct websocket_handler *handler, void *self,
                                            struct str protocol, struct websocket **ret_websocket,
                                            struct why *why);
