/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.0 and 1.1 over a connection: one exchange at a time, in the order of arrival.
 *
 * Pipelined requests wait in the input buffer, which bounds them. While the handler answers from
 * within its call, one request after the other is worked off and all answers leave in one write.
 * A header stays in the input buffer while its exchange lives; only when a body does not arrive
 * with it are its bytes moved to memory of their own, before anyone has looked at them.
 *
 * A connection is kept only when both sides know where the next message begins: after an answer
 * given before the request was read to its end, the connection closes. */
#include "io/http_server_priv.h"

#include "base/clock.h"

#include <stdio.h>

enum {
    BODY_READ_BYTES = 64 * 1024, /* Of a long body at a time, straight into place. */
    HEAD_LINE_BYTES = 512,       /* Status line, Date, length: fits. */
    RATE_WINDOW_S = 5,
};

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static const struct exchange_protocol exchange_http1;

/* ---- Writing. ---- */

static char *put(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

#define PUT(at, literal) put((at), literal, sizeof(literal) - 1)

static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[sizeof(digits) - ++count] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put(at, digits + sizeof(digits) - count, count);
}

/* "HTTP/1.1 200 OK", Date, how long the body is, whether the connection stays. */
static void write_start(struct connection *connection, const struct exchange *exchange,
                        const struct answer *answer)
{
    char *start = connection_out(connection, HEAD_LINE_BYTES);
    char *at = PUT(start, "HTTP/1.1 ");
    const char *reason = http_reason(answer->status);
    bool is_1_0 = exchange->parser.head.version == HTTP_1_0;

    at = put_number(at, (uint64_t)answer->status);
    *at++ = ' ';
    at = put(at, reason, strlen(reason));
    at = PUT(at, "\r\nDate: ");
    at = put(at, http_server_date(connection->server), HTTP_DATE_SIZE - 1);
    if (answer->has_length) {
        at = PUT(at, "\r\nContent-Length: ");
        at = put_number(at, answer->content_length);
    } else if (exchange->chunked_out) {
        at = PUT(at, "\r\nTransfer-Encoding: chunked");
    }
    if (!exchange->keep_alive)
        at = PUT(at, "\r\nConnection: close");
    else if (is_1_0)
        at = PUT(at, "\r\nConnection: keep-alive");
    at = PUT(at, "\r\n");
    connection_out_used(connection, (size_t)(at - start));
}

static void write_headers(struct connection *connection, const struct answer *answer)
{
    for (size_t i = 0; i < answer->headers_count; i++) {
        const struct http_header *header = &answer->headers[i];
        size_t size = header->name.size + header->value.size + 4;
        if (size > BLOCK_BYTES) { /* Too long for one block: in pieces. */
            connection_out_copy(connection, header->name);
            connection_out_copy(connection, STR(": "));
            connection_out_copy(connection, header->value);
            connection_out_copy(connection, STR("\r\n"));
            continue;
        }
        char *at = connection_out(connection, size);
        at = put(at, header->name.data, header->name.size);
        at = PUT(at, ": ");
        if (header->value.size > 0)
            at = put(at, header->value.data, header->value.size);
        (void)PUT(at, "\r\n");
        connection_out_used(connection, size);
    }
    memcpy(connection_out(connection, 2), "\r\n", 2);
    connection_out_used(connection, 2);
}

/* May the connection carry another request after this one? */
static bool may_keep(const struct connection *connection, const struct exchange *exchange)
{
    return exchange->complete && exchange->parser.keep_alive && !connection->server->stopping &&
           !connection->eof;
}

/* The exchange has been answered; the next message may be read. */
static void finish(struct connection *connection, struct exchange *exchange)
{
    connection->exchange = NULL;
    connection->message_ns = 0;
    if (!exchange->keep_alive) {
        connection->closing = true;
        connection->linger_after = !exchange->complete || connection_input(connection).size > 0;
    }
    if (!connection->processing)
        connection_flush_later(connection);
}

static void http1_answer(struct exchange *exchange, const struct answer *answer)
{
    struct connection *connection = exchange->connection;

    exchange->keep_alive = may_keep(connection, exchange);
    write_start(connection, exchange, answer);
    write_headers(connection, answer);
    if (answer->without_body || answer->body.size == 0) {
        /* Nothing follows the header. */
    } else if (answer->body.size <= COPY_BYTES_MAX) {
        connection_out_copy(connection, answer->body);
    } else if (answer->body_is_static) {
        connection_out_static(connection, answer->body);
    } else {
        connection_out_moved(connection, answer->moved);
    }
    finish(connection, exchange);
}

static void http1_begin(struct exchange *exchange, const struct answer *answer)
{
    struct connection *connection = exchange->connection;
    bool is_1_0 = exchange->parser.head.version == HTTP_1_0;

    exchange->chunked_out = !is_1_0 && !answer->without_body;
    /* Towards HTTP/1.0 the end of the connection is the end of the body. */
    exchange->keep_alive = may_keep(connection, exchange) && (!is_1_0 || answer->without_body);
    write_start(connection, exchange, answer);
    write_headers(connection, answer);
    connection_flush_later(connection);
}

static void http1_write(struct exchange *exchange, struct str bytes)
{
    struct connection *connection = exchange->connection;

    if (exchange->chunked_out) {
        char *start = connection_out(connection, 20);
        int size = snprintf(start, 20, "%zx\r\n", bytes.size);
        connection_out_used(connection, (size_t)size);
    }
    connection_out_copy(connection, bytes);
    if (exchange->chunked_out)
        connection_out_copy(connection, STR("\r\n"));
    connection_flush_later(connection);
}

static void http1_end(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;

    if (exchange->chunked_out)
        connection_out_copy(connection, STR("0\r\n\r\n"));
    finish(connection, exchange);
}

static size_t http1_queued(const struct exchange *exchange)
{
    return exchange->connection->out_bytes;
}

/* ---- Reading. ---- */

static void refuse(struct connection *connection, int status)
{
    struct http_server *server = connection->server;
    struct exchange *exchange = connection->exchange;

    /* Whatever follows cannot be trusted to be a message. */
    exchange->parser.keep_alive = false;
    exchange->complete = false;
    exchange_refuse(exchange, status, &server->why);
}

/* Moves the head to memory of its own, so that the chunk is free while the body trickles in. */
static void pin_head(struct exchange *exchange, const char *head)
{
    buf_append(&exchange->head_bytes, head, exchange->parser.head_bytes);
    exchange->parser.head.base = exchange->head_bytes.data;
}

/* Is the whole request in the buffer already? Chunked bodies are not looked through. */
static bool has_whole_body(const struct exchange *exchange, size_t behind_head)
{
    return exchange->parser.framing == HTTP1_BODY_NONE ||
           (exchange->parser.framing == HTTP1_BODY_LENGTH &&
            exchange->parser.content_length <= behind_head);
}

static void start_body(struct connection *connection, struct exchange *exchange)
{
    struct http_server *server = connection->server;

    connection->rate_ns = loop_now_ns(server->loop);
    connection->rate_bytes = 0;
    http1_chunked_init(&exchange->chunked);
    if (exchange->parser.expect_continue && connection_input(connection).size == 0)
        connection_out_copy(connection, STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* True when something was done and there may be more to do. */
static bool read_head(struct connection *connection, struct exchange *exchange)
{
    struct http_server *server = connection->server;
    struct str input = connection_input(connection);
    bool done;
    int status;

    if (http1_parse(&exchange->parser, input.data, input.size, &done, &server->why) != ERR_NONE) {
        server->stats.parse_errors++;
        refuse(connection, exchange->parser.refusal_status);
        return false;
    }
    if (!done)
        return false;
    server->stats.requests_http1++;
    size_t head_bytes = exchange->parser.head_bytes;
    bool whole = has_whole_body(exchange, input.size - head_bytes);
    if (!whole)
        pin_head(exchange, input.data);
    connection->in_start += (uint32_t)head_bytes;
    /* An answer from within head() ends the connection only if a body is still to come. */
    exchange->complete = exchange->parser.framing == HTTP1_BODY_NONE;
    if (exchange_head_done(exchange, &status, &server->why) != ERR_NONE)
        refuse(connection, status);
    else if (connection->exchange != NULL)
        start_body(connection, exchange);
    return !connection->closed && !connection->closing;
}

static bool body_done(struct connection *connection, struct exchange *exchange)
{
    int status;

    if (exchange_body_done(exchange, &status, &connection->server->why) != ERR_NONE)
        exchange_refuse(exchange, status, &connection->server->why);
    return !connection->closed && !connection->closing;
}

static bool read_body_length(struct connection *connection, struct exchange *exchange)
{
    struct str input = connection_input(connection);
    uint64_t left = exchange->parser.content_length - exchange->body_received;
    int status;

    if (input.size > left)
        input.size = (size_t)left;
    connection->in_start += (uint32_t)input.size;
    if (input.size > 0 &&
        exchange_body_piece(exchange, input, &status, &connection->server->why) != ERR_NONE) {
        refuse(connection, status);
        return false;
    }
    if (connection->exchange == NULL)
        return !connection->closed && !connection->closing;
    if (input.size < left)
        return false;
    return body_done(connection, exchange);
}

static bool read_body_chunked(struct connection *connection, struct exchange *exchange)
{
    struct http_server *server = connection->server;
    bool done = false;
    int status;

    while (!done && connection->exchange != NULL) {
        struct str input = connection_input(connection);
        struct str piece;
        size_t used;
        if (input.size == 0)
            return false;
        if (http1_chunked_next(&exchange->chunked, input, &used, &piece, &done, &server->why) !=
            ERR_NONE) {
            server->stats.parse_errors++;
            refuse(connection, 400);
            return false;
        }
        connection->in_start += (uint32_t)used;
        if (piece.size > 0 &&
            exchange_body_piece(exchange, piece, &status, &server->why) != ERR_NONE) {
            refuse(connection, status);
            return false;
        }
    }
    if (connection->exchange == NULL)
        return !connection->closed && !connection->closing;
    return body_done(connection, exchange);
}

static bool read_body(struct connection *connection, struct exchange *exchange)
{
    switch (exchange->parser.framing) {
    case HTTP1_BODY_LENGTH:
        return read_body_length(connection, exchange);
    case HTTP1_BODY_CHUNKED:
        return read_body_chunked(connection, exchange);
    case HTTP1_BODY_NONE:
    case HTTP1_BODY_UNTIL_CLOSE:
        break;
    }
    return body_done(connection, exchange);
}

static void start_message(struct connection *connection)
{
    struct http_server *server = connection->server;

    connection->exchange = exchange_acquire(server, connection, &exchange_http1);
    connection->message_ns = loop_now_ns(server->loop);
    http1_init(&connection->exchange->parser, HTTP1_REQUEST, &server->parser_limits, false);
}

/* One step through the input. False: nothing more can be done now. */
static bool step(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;

    if (connection->out_bytes > PIPELINE_BYTES)
        return false;
    if (exchange == NULL) {
        if (connection_input(connection).size == 0)
            return false;
        start_message(connection);
        return true;
    }
    if (exchange->state == EXCHANGE_HEAD)
        return read_head(connection, exchange);
    if (exchange->state == EXCHANGE_BODY)
        return read_body(connection, exchange);
    return false;
}

/* The first bytes of a connection: may they be HTTP/2's preface? */
static bool speaks_http2(struct connection *connection, bool *ret_undecided)
{
    struct str input = connection_input(connection);
    size_t size = input.size < sizeof(PREFACE) - 1 ? input.size : sizeof(PREFACE) - 1;

    *ret_undecided = false;
    if (connection->preface_seen || size == 0 || memcmp(input.data, PREFACE, size) != 0) {
        connection->preface_seen = connection->preface_seen || size > 0;
        return false;
    }
    *ret_undecided = size < sizeof(PREFACE) - 1;
    return !*ret_undecided;
}

static void process(struct connection *connection)
{
    bool undecided;

    if (speaks_http2(connection, &undecided)) {
        (void)http2_start(connection); /* Closed is seen by the caller. */
        return;
    }
    if (undecided) {
        if (connection->message_ns == 0)
            connection->message_ns = loop_now_ns(connection->server->loop);
        return;
    }
    connection->processing = true;
    while (!connection->closed && !connection->closing &&
           connection->protocol == &connection_http1 && step(connection)) {
    }
    connection->processing = false;
}

/* ---- Events. ---- */

/* After work: send, notice the end, decide whether to read on. */
static void go_on(struct connection *connection)
{
    struct exchange *exchange;

    if (connection->closed || connection->protocol != &connection_http1 ||
        !connection_flush(connection) || connection->protocol != &connection_http1)
        return;
    exchange = connection->exchange;
    if (connection->eof) {
        if (exchange == NULL || exchange->state < EXCHANGE_HANDLING) {
            if (connection->out_first == NULL)
                connection_close(connection);
            else
                connection->closing = true;
            return;
        }
        /* It will hardly wait for the answer, but gets it if it does. */
        atomic_store_explicit(&exchange->cancelled, true, memory_order_release);
    }
    connection->read_paused = connection->closing || connection->out_bytes > PIPELINE_BYTES ||
                              !connection_has_room(connection);
}

/* A long body is read to where it belongs, without a stop in the chunk. */
static bool reads_straight(const struct connection *connection)
{
    const struct exchange *exchange = connection->exchange;

    return exchange != NULL && exchange->state == EXCHANGE_BODY && !exchange->intake.stream &&
           exchange->parser.framing == HTTP1_BODY_LENGTH &&
           connection->in_start == connection->in_end && connection->parked.size == 0;
}

static size_t read_straight(struct connection *connection, size_t *ret_wanted)
{
    struct exchange *exchange = connection->exchange;
    uint64_t left = exchange->parser.content_length - exchange->body_received;
    size_t wanted = left < BODY_READ_BYTES ? (size_t)left : BODY_READ_BYTES;
    int status;

    *ret_wanted = wanted;
    char *room = buf_reserve(&exchange->body, wanted);
    size_t got = connection_read_into(connection, room, wanted);
    if (got == 0)
        return 0;
    exchange->body.size += got;
    if (exchange_body_grew(exchange, got, &status, &connection->server->why) != ERR_NONE)
        refuse(connection, status);
    return got;
}

static void http1_readable(struct connection *connection)
{
    for (int reads = 0; reads < READS_PER_EVENT; reads++) {
        size_t wanted, got;
        if (connection->closed || connection->closing || connection->eof ||
            connection->protocol != &connection_http1)
            break;
        if (reads_straight(connection)) {
            got = read_straight(connection, &wanted);
        } else {
            if (!connection_ensure_chunk(connection))
                break;
            wanted = CHUNK_BYTES - connection->in_end;
            got = connection_read(connection);
        }
        if (got == 0)
            break;
        process(connection);
        if (got < wanted && connection->tls == NULL)
            break;
    }
    go_on(connection);
}

/* The queue moved, or an answer came later: go on where the input stands. */
static void http1_flushed(struct connection *connection)
{
    if (connection->exchange != NULL && connection->exchange->state == EXCHANGE_STREAMING)
        exchange_maybe_drained(connection->exchange);
    if (connection->closed || connection->closing)
        return;
    if (connection->chunk == NULL && connection->parked.size > 0)
        (void)connection_ensure_chunk(connection); /* Unparks: always possible. */
    process(connection);
    /* What TLS has decrypted already raises no event. */
    if (connection->tls != NULL && !connection->closed)
        http1_readable(connection);
    else
        go_on(connection);
}

static bool is_idle(const struct connection *connection)
{
    return connection->exchange == NULL && connection->message_ns == 0;
}

static int64_t http1_deadline(struct connection *connection)
{
    const struct http_limits *limits = &connection->server->limits;
    const struct exchange *exchange = connection->exchange;

    if (is_idle(connection))
        return connection->active_ns + limits->idle_ns_max;
    if (exchange == NULL || exchange->state == EXCHANGE_HEAD)
        return connection->message_ns + limits->head_ns_max;
    if (exchange->state != EXCHANGE_BODY)
        return INT64_MAX;
    int64_t total = connection->message_ns + limits->request_ns_max;
    int64_t rate = connection->rate_ns + RATE_WINDOW_S * CLOCK_NS_PER_S;
    return total < rate ? total : rate;
}

static void time_out(struct connection *connection, const char *what)
{
    connection->server->stats.connections_timed_out++;
    if (connection->exchange == NULL) {
        connection_close(connection);
        return;
    }
    /* Only fills in the sentence; refuse() sends it. */
    (void)fail(&connection->server->why, ERR_TIMEOUT, "%s", what);
    connection->processing = true;
    refuse(connection, 408);
    connection->processing = false;
    go_on(connection);
}

static void http1_expired(struct connection *connection, int64_t now_ns)
{
    const struct http_limits *limits = &connection->server->limits;
    struct exchange *exchange = connection->exchange;

    if (http1_deadline(connection) > now_ns)
        return;
    if (is_idle(connection)) {
        connection->server->stats.connections_idled_out++;
        connection_close(connection);
    } else if (exchange == NULL || exchange->state == EXCHANGE_HEAD) {
        time_out(connection, "the header took too long to arrive");
    } else if (now_ns >= connection->message_ns + limits->request_ns_max) {
        time_out(connection, "the request took too long to arrive");
    } else if (connection->rate_bytes < limits->body_rate_min * RATE_WINDOW_S) {
        time_out(connection, "the body arrived too slowly");
    } else {
        connection->rate_ns = now_ns;
        connection->rate_bytes = 0;
    }
}

static void http1_closed(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;

    if (exchange == NULL)
        return;
    connection->exchange = NULL;
    if (exchange->state >= EXCHANGE_HANDLING && exchange->head_bytes.size == 0) {
        exchange->chunk = connection->chunk;
        connection->chunk = NULL;
    }
    exchange_detach(exchange);
}

static void http1_stopping(struct connection *connection)
{
    if (is_idle(connection) && connection->out_first == NULL)
        connection_close(connection);
}

static const struct exchange_protocol exchange_http1 = {
    .answer = http1_answer,
    .begin = http1_begin,
    .write = http1_write,
    .end = http1_end,
    .queued = http1_queued,
};

const struct connection_protocol connection_http1 = {
    .readable = http1_readable,
    .flushed = http1_flushed,
    .expired = http1_expired,
    .deadline = http1_deadline,
    .closed = http1_closed,
    .stopping = http1_stopping,
};
