/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 over a connection: nghttp2 keeps the protocol's state, we keep the streams' bodies.
 *
 * nghttp2 never touches the socket: what was read is fed to it, what it wants to send is copied to
 * the connection's queue as long as that is short. Its callbacks only note things and may answer;
 * nothing that could end the session is called from within them.
 *
 * A stream outlives its exchange: the exchange goes when the handler has answered, the stream when
 * the peer's window has let the body through.
 *
 * The head of a request is written, as nghttp2 hands it over field by field, to the exchange's
 * head_bytes, and looks from there on like one of HTTP/1: method, target, fields; ":authority"
 * becomes "host".
 *
 * Floods: frames that cost work and bring no request are counted per second (nuisance). */
#include "io/http_server_priv.h"

#include "base/clock.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STREAM_WINDOW_BYTES = 1 << 20,
    CONNECTION_WINDOW_BYTES = 2 << 20,
    SEND_BYTES = 256 * 1024,     /* With more in the queue, nghttp2 is not asked for more. */
    DISCARD_BYTES_MAX = 1 << 20, /* Of a body whose request was answered early. */
    CHECK_S = 5,                 /* How often slow streams are looked for. */
    FIELDS_SENT_MAX = HTTP_RESPONSE_HEADERS_MAX + 10,
};

struct http2_stream {
    struct http2_stream *next;
    struct http2_stream *previous;
    struct connection *connection;
    struct exchange *exchange; /* NULL once answered. */
    int32_t id;
    bool head_too_large;
    bool complete; /* The whole request has come. */
    bool answered;
    bool ended;          /* Nothing will be added to the body. */
    bool waiting;        /* nghttp2 was told to wait for more body. */
    struct str borrowed; /* The body, or */
    struct buf body;     /* the body, moved or streamed in, */
    size_t sent;         /* of which so much has been taken. */
    struct buf trailers; /* Behind it: name, NUL, value, NUL, and so on. */
    uint64_t received_at_check;
    int64_t started_ns;
    uint64_t discarded;
};

struct http2 {
    nghttp2_session *session;
    struct http2_stream *streams;
    size_t streams_count;
    int64_t check_ns;
    int64_t nuisance_ns; /* Start of the second in which they are counted. */
    size_t nuisance_count;
    bool broken; /* Say goodbye and close. */
};

static const struct exchange_protocol exchange_http2;

/* ---- Streams. ---- */

static struct http2_stream *stream_new(struct connection *connection, int32_t id)
{
    struct http2 *http2 = connection->http2;
    struct http2_stream *stream = calloc(1, sizeof(*stream));

    if (stream == NULL)
        must_memory(sizeof(*stream));
    stream->connection = connection;
    stream->id = id;
    stream->started_ns = loop_now_ns(connection->server->loop);
    stream->next = http2->streams;
    if (stream->next != NULL)
        stream->next->previous = stream;
    http2->streams = stream;
    if (http2->streams_count++ == 0)
        http2->check_ns = loop_now_ns(connection->server->loop) + CHECK_S * CLOCK_NS_PER_S;
    return stream;
}

static void stream_free(struct http2_stream *stream)
{
    struct http2 *http2 = stream->connection->http2;

    if (stream->previous != NULL)
        stream->previous->next = stream->next;
    else
        http2->streams = stream->next;
    if (stream->next != NULL)
        stream->next->previous = stream->previous;
    http2->streams_count--;
    if (stream->exchange != NULL) {
        stream->exchange->stream = NULL;
        exchange_detach(stream->exchange);
    }
    buf_done(&stream->body);
    buf_done(&stream->trailers);
    free(stream);
}

static struct str stream_left(const struct http2_stream *stream)
{
    struct str body = stream->borrowed.data != NULL ? stream->borrowed : buf_view(&stream->body);

    return (struct str){body.data + stream->sent, body.size - stream->sent};
}

/* ---- Answering. ---- */

static nghttp2_nv field_of(struct str name, struct str value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.data,
        .namelen = name.size,
        .value = (uint8_t *)(uintptr_t)(value.data == NULL ? "" : value.data),
        .valuelen = value.size,
    };
}

static void keep_trailers(struct http2_stream *stream, const struct answer *answer)
{
    MUST(answer->trailers_count <= HTTP_RESPONSE_HEADERS_MAX);
    for (size_t i = 0; i < answer->trailers_count; i++) {
        buf_str(&stream->trailers, answer->trailers[i].name);
        buf_byte(&stream->trailers, 0);
        buf_str(&stream->trailers, answer->trailers[i].value);
        buf_byte(&stream->trailers, 0);
    }
}

static void submit_trailers(struct http2_stream *stream)
{
    struct str rest = buf_view(&stream->trailers);
    nghttp2_nv fields[HTTP_RESPONSE_HEADERS_MAX];
    size_t count = 0;

    while (rest.size > 0 && count < ARRAY_COUNT(fields)) {
        struct str name = str_split(&rest, '\0');
        fields[count++] = field_of(name, str_split(&rest, '\0'));
    }
    /* Copies the fields. Fails only for a stream that is gone, and then nobody waits. */
    (void)nghttp2_submit_trailer(stream->connection->http2->session, stream->id, fields, count);
}

static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *self)
{
    struct http2_stream *stream = source->ptr;
    struct str left = stream_left(stream);

    (void)session;
    (void)stream_id;
    (void)self;
    if (left.size < size)
        size = left.size;
    if (size == 0 && !stream->ended) {
        stream->waiting = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (size > 0)
        memcpy(data, left.data, size);
    stream->sent += size;
    if (stream->borrowed.data == NULL && stream->sent == stream->body.size) {
        buf_clear(&stream->body);
        stream->sent = 0;
    }
    if (stream->ended && size == left.size) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->trailers.size > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(stream);
        }
    }
    return (ssize_t)size;
}

/* RFC 9113 section 8.2.2: fields of the connection have no meaning here. */
static bool is_forbidden(struct str name)
{
    static const struct str names[] = {
        {"connection", 10}, {"keep-alive", 10}, {"transfer-encoding", 17}, {"upgrade", 7}};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_eq_nocase(name, names[i]))
            return true;
    }
    return false;
}

static void submit(struct exchange *exchange, const struct answer *answer, bool has_body)
{
    struct http2_stream *stream = exchange->stream;
    struct connection *connection = stream->connection;
    nghttp2_nv fields[FIELDS_SENT_MAX];
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_body};
    char status[12], length[24];
    size_t count = 0;

    int size = snprintf(status, sizeof(status), "%d", answer->status);
    fields[count++] = field_of(STR(":status"), (struct str){status, (size_t)size});
    fields[count++] = field_of(
        STR("date"), (struct str){http_server_date(connection->server), HTTP_DATE_SIZE - 1});
    if (answer->has_length) {
        size = snprintf(length, sizeof(length), "%llu", (unsigned long long)answer->content_length);
        fields[count++] = field_of(STR("content-length"), (struct str){length, (size_t)size});
    }
    for (size_t i = 0; i < answer->headers_count; i++) {
        if (!is_forbidden(answer->headers[i].name))
            fields[count++] = field_of(answer->headers[i].name, answer->headers[i].value);
    }
    MUST(count <= FIELDS_SENT_MAX);
    stream->answered = true;
    int result = nghttp2_submit_response(connection->http2->session, stream->id, fields, count,
                                         has_body ? &provider : NULL);
    if (result == NGHTTP2_ERR_NOMEM)
        must_memory(sizeof(fields));
    if (result != 0) /* The stream is closing already. */
        (void)nghttp2_submit_rst_stream(connection->http2->session, NGHTTP2_FLAG_NONE, stream->id,
                                        NGHTTP2_INTERNAL_ERROR);
}

/* The exchange goes, the stream stays until its body is through. */
static void part(struct exchange *exchange)
{
    struct http2_stream *stream = exchange->stream;

    stream->exchange = NULL;
    stream->ended = true;
    exchange->stream = NULL;
    if (!stream->connection->processing)
        connection_flush_later(stream->connection);
}

static void http2_answer(struct exchange *exchange, const struct answer *answer)
{
    struct http2_stream *stream = exchange->stream;
    bool has_body = !answer->without_body && answer->body.size > 0;

    if (has_body && answer->body_is_static) {
        stream->borrowed = answer->body;
    } else if (has_body) {
        stream->body = *answer->moved;
        *answer->moved = (struct buf){0};
    }
    stream->ended = true;
    if (has_body)
        keep_trailers(stream, answer);
    submit(exchange, answer, has_body);
    part(exchange);
}

static void http2_begin(struct exchange *exchange, const struct answer *answer)
{
    submit(exchange, answer, !answer->without_body);
    connection_flush_later(exchange->connection);
}

static void go_on_with_body(struct http2_stream *stream)
{
    if (stream->waiting) {
        stream->waiting = false;
        /* Fails only when the stream has gone, and then nobody waits. */
        (void)nghttp2_session_resume_data(stream->connection->http2->session, stream->id);
    }
    connection_flush_later(stream->connection);
}

static void http2_write(struct exchange *exchange, struct str bytes)
{
    struct http2_stream *stream = exchange->stream;

    /* What was taken makes room, before the memory would grow. */
    if (stream->sent > 0 && stream->body.size + bytes.size > stream->body.capacity) {
        buf_consume(&stream->body, stream->sent);
        stream->sent = 0;
    }
    buf_str(&stream->body, bytes);
    go_on_with_body(stream);
}

static void http2_end(struct exchange *exchange)
{
    struct http2_stream *stream = exchange->stream;

    part(exchange);
    go_on_with_body(stream);
}

static size_t http2_queued(const struct exchange *exchange)
{
    return stream_left(exchange->stream).size + exchange->connection->out_bytes;
}

/* ---- Floods. ---- */

static void count_nuisance(struct connection *connection)
{
    struct http2 *http2 = connection->http2;
    struct http_server *server = connection->server;
    int64_t now_ns = loop_now_ns(server->loop);

    if (now_ns - http2->nuisance_ns >= CLOCK_NS_PER_S) {
        http2->nuisance_ns = now_ns;
        http2->nuisance_count = 0;
    }
    if (++http2->nuisance_count <= server->limits.nuisance_per_second_max || http2->broken)
        return;
    server->stats.connections_flooded++;
    http2->broken = true;
    /* Fails only without memory for the frame; the connection closes anyway. */
    (void)nghttp2_session_terminate_session(http2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static bool is_nuisance(const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PRIORITY:
    case NGHTTP2_RST_STREAM:
        return true;
    case NGHTTP2_DATA:
        return frame->hd.length == 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0;
    default:
        return false;
    }
}

/* ---- Reading: what nghttp2 calls. ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    struct connection *connection = self;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct http2_stream *stream = stream_new(connection, frame->hd.stream_id);
    struct exchange *exchange = exchange_acquire(connection->server, connection, &exchange_http2);
    http1_init(&exchange->parser, HTTP1_REQUEST, &connection->server->parser_limits, false);
    exchange->parser.head.version = HTTP_2;
    exchange->stream = stream;
    stream->exchange = exchange;
    /* Fails only for a stream that does not exist. */
    (void)nghttp2_session_set_stream_user_data(session, stream->id, stream);
    return 0;
}

static struct http_span keep_text(struct exchange *exchange, struct str text)
{
    struct http_span span = {(uint16_t)exchange->head_bytes.size, (uint16_t)text.size};

    buf_str(&exchange->head_bytes, text);
    return span;
}

static void keep_field(struct exchange *exchange, struct str name, struct str value)
{
    struct http_head *head = &exchange->parser.head;

    head->names[head->fields_count] = keep_text(exchange, name);
    head->values[head->fields_count] = keep_text(exchange, value);
    head->fields_count++;
}

/* nghttp2 has checked the syntax, that pseudo-fields come first and once, and content-length. */
static void keep_header(struct exchange *exchange, struct str name, struct str value)
{
    struct http1 *parser = &exchange->parser;

    if (str_eq(name, STR(":method"))) {
        parser->head.method = (uint8_t)http_method_of(value);
        parser->head.method_text = keep_text(exchange, value);
    } else if (str_eq(name, STR(":path"))) {
        parser->head.target = keep_text(exchange, value);
    } else if (str_eq(name, STR(":authority"))) {
        keep_field(exchange, STR("host"), value);
    } else if (name.size > 0 && name.data[0] != ':') {
        keep_field(exchange, name, value);
    }
    if (str_eq(name, STR("content-length")) && str_to_u64(value, &parser->content_length))
        parser->framing = HTTP1_BODY_LENGTH;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *self)
{
    struct connection *connection = self;
    struct http2_stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    const struct http_limits *limits = &connection->server->limits;

    (void)flags;
    if (stream == NULL || stream->exchange == NULL ||
        frame->headers.cat != NGHTTP2_HCAT_REQUEST) /* Trailers are dropped. */
        return 0;
    struct exchange *exchange = stream->exchange;
    size_t size = exchange->head_bytes.size + name_size + value_size;
    if (size > limits->head_bytes_max || exchange->parser.head.fields_count >= limits->fields_max)
        stream->head_too_large = true;
    if (!stream->head_too_large)
        keep_header(exchange, (struct str){(const char *)name, name_size},
                    (struct str){(const char *)value, value_size});
    return 0;
}

static void refuse(struct http2_stream *stream, int status)
{
    if (stream->exchange != NULL)
        exchange_refuse(stream->exchange, status, &stream->connection->server->why);
}

static void head_done(struct http2_stream *stream)
{
    struct http_server *server = stream->connection->server;
    struct exchange *exchange = stream->exchange;
    int status;

    server->stats.requests_http2++;
    exchange->parser.head.base = exchange->head_bytes.data;
    if (stream->head_too_large) {
        server->stats.parse_errors++;
        (void)fail(&server->why, ERR_TOO_LARGE,
                   "the header is longer than %zu bytes or has more than %zu fields",
                   server->limits.head_bytes_max, server->limits.fields_max);
        refuse(stream, 431);
        return;
    }
    if (exchange_head_done(exchange, &status, &server->why) != ERR_NONE)
        refuse(stream, status);
}

static void request_done(struct http2_stream *stream)
{
    int status;

    stream->complete = true;
    if (stream->exchange == NULL)
        return;
    if (exchange_body_done(stream->exchange, &status, &stream->connection->server->why) != ERR_NONE)
        refuse(stream, status);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    struct connection *connection = self;
    struct http2_stream *stream;

    if (is_nuisance(frame))
        count_nuisance(connection);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream == NULL)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST &&
        stream->exchange != NULL)
        head_done(stream);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        request_done(stream);
    return 0;
}

/* Told to stop at once (RFC 9113 section 8.1 allows it), some clients forget the answer that they
 * have. So a body that is not wanted may come to its end, unless it is long or slow. */
static void stop_body(struct http2_stream *stream)
{
    (void)nghttp2_submit_rst_stream(stream->connection->http2->session, NGHTTP2_FLAG_NONE,
                                    stream->id, NGHTTP2_NO_ERROR); /* Fails if it is gone. */
}

static void discard(struct http2_stream *stream, size_t size)
{
    bool was_within = stream->discarded <= DISCARD_BYTES_MAX;

    stream->discarded += size;
    if (was_within && stream->discarded > DISCARD_BYTES_MAX)
        stop_body(stream);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                         const uint8_t *data, size_t size, void *self)
{
    struct connection *connection = self;
    struct http2_stream *stream = nghttp2_session_get_stream_user_data(session, stream_id);
    int status;

    (void)flags;
    if (stream == NULL)
        return 0;
    if (stream->exchange == NULL) {
        discard(stream, size);
        return 0;
    }
    if (exchange_body_piece(stream->exchange, (struct str){(const char *)data, size}, &status,
                            &connection->server->why) != ERR_NONE)
        refuse(stream, status);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                           void *self)
{
    struct http2_stream *stream = nghttp2_session_get_stream_user_data(session, stream_id);

    (void)error_code;
    (void)self;
    if (stream != NULL)
        stream_free(stream);
    return 0;
}

/* ---- Session. ---- */

static void open_session(struct connection *connection)
{
    struct http2 *http2 = connection->http2;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;

    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        must_memory(sizeof(*http2));
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_option_set_no_closed_streams(option, 1);
    if (nghttp2_session_server_new2(&http2->session, callbacks, connection, option) != 0)
        must_memory(sizeof(*http2));
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
}

/* Copies what nghttp2 wants to send to the queue, while that is short. */
static void collect(struct connection *connection)
{
    nghttp2_session *session = connection->http2->session;

    while (connection->out_bytes < SEND_BYTES) {
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(session, &data);
        if (size == NGHTTP2_ERR_NOMEM)
            must_memory(SEND_BYTES);
        if (size <= 0)
            return;
        connection_out_copy(connection, (struct str){(const char *)data, (size_t)size});
    }
}

static bool wants_nothing(const struct http2 *http2)
{
    return nghttp2_session_want_read(http2->session) == 0 &&
           nghttp2_session_want_write(http2->session) == 0;
}

/* Sends all that the window, the kernel and fairness allow. */
static void go_on(struct connection *connection)
{
    if (connection->closed || connection->protocol != &connection_http2)
        return;
    size_t before;
    do {
        collect(connection);
        before = connection->out_bytes;
        if (connection->http2->broken || wants_nothing(connection->http2))
            connection->closing = connection->linger_after = true;
        if (connection->eof && connection->http2->streams == NULL)
            connection->closing = true;
        if (!connection_flush(connection) || connection->protocol != &connection_http2)
            return;
    } while (before >= SEND_BYTES && connection->out_bytes < SEND_BYTES);
    if (connection->eof) {
        for (struct http2_stream *stream = connection->http2->streams; stream != NULL;
             stream = stream->next) {
            if (stream->exchange != NULL)
                atomic_store_explicit(&stream->exchange->cancelled, true, memory_order_release);
        }
    }
    /* A peer that asks but does not take answers waits with its questions. */
    connection->read_paused = connection->out_bytes > 2 * SEND_BYTES;
}

/* Feeds the input to nghttp2. */
/* False: the session is broken, nothing more is read. */
static bool feed(struct connection *connection)
{
    struct str input = connection_input(connection);
    struct http2 *http2 = connection->http2;

    if (input.size == 0)
        return !http2->broken;
    connection->processing = true;
    ssize_t used =
        nghttp2_session_mem_recv(http2->session, (const uint8_t *)input.data, input.size);
    connection->processing = false;
    connection->in_start = connection->in_end = 0;
    if (used == NGHTTP2_ERR_NOMEM)
        must_memory(input.size);
    if (used < 0) {
        connection->server->stats.parse_errors++;
        connection->server->stats.connections_flooded += used == NGHTTP2_ERR_FLOODED;
        http2->broken = true;
        /* A courtesy: says why, if the session still can. */
        (void)nghttp2_session_terminate_session(http2->session, used == NGHTTP2_ERR_FLOODED
                                                                    ? NGHTTP2_ENHANCE_YOUR_CALM
                                                                    : NGHTTP2_PROTOCOL_ERROR);
    }
    return !http2->broken;
}

bool http2_start(struct connection *connection)
{
    const struct http_limits *limits = &connection->server->limits;
    struct http2 *http2 = calloc(1, sizeof(*http2));
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)limits->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->head_bytes_max},
    };

    if (http2 == NULL)
        must_memory(sizeof(*http2));
    connection->http2 = http2;
    connection->protocol = &connection_http2;
    connection->message_ns = 0;
    open_session(connection);
    if (nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings,
                                ARRAY_COUNT(settings)) != 0 ||
        nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW_BYTES) != 0)
        must_memory(sizeof(settings));
    (void)feed(connection); /* go_on sees whether it broke. */
    go_on(connection);
    return !connection->closed;
}

/* ---- Events. ---- */

static void http2_readable(struct connection *connection)
{
    if (!connection->http2->broken)
        connection_read_turn(connection, feed);
    go_on(connection);
}

static void tell_drained(struct connection *connection)
{
    struct http2_stream *next = connection->http2->streams;

    connection->processing = true;
    while (next != NULL) {
        struct http2_stream *stream = next;
        next = stream->next; /* Streams are freed by nghttp2's callbacks only. */
        if (stream->exchange != NULL && stream->exchange->state == EXCHANGE_STREAMING)
            exchange_maybe_drained(stream->exchange);
    }
    connection->processing = false;
}

static void http2_flushed(struct connection *connection)
{
    tell_drained(connection);
    go_on(connection);
    if (connection->tls != NULL && !connection->closed && connection->protocol == &connection_http2)
        http2_readable(connection);
}

static int64_t http2_deadline(struct connection *connection)
{
    const struct http2 *http2 = connection->http2;

    if (http2->streams == NULL)
        return connection->active_ns + connection->server->limits.idle_ns_max;
    return http2->check_ns;
}

static bool is_too_slow(struct http2_stream *stream, int64_t now_ns)
{
    const struct exchange *exchange = stream->exchange;
    const struct http_limits *limits = &stream->connection->server->limits;

    if (now_ns >= stream->started_ns + limits->request_ns_max)
        return true;
    uint64_t got = exchange->body_received - stream->received_at_check;
    stream->received_at_check = exchange->body_received;
    return got < limits->body_rate_min * CHECK_S &&
           now_ns >= stream->started_ns + CHECK_S * CLOCK_NS_PER_S;
}

/* True: a header that does not come to its end blocks the whole connection. */
static bool check_streams(struct connection *connection, int64_t now_ns)
{
    struct http_server *server = connection->server;
    struct http2_stream *next = connection->http2->streams;

    while (next != NULL) {
        struct http2_stream *stream = next;
        next = stream->next;
        if (stream->complete)
            continue;
        if (stream->exchange == NULL) {
            if (now_ns >= stream->started_ns + server->limits.request_ns_max)
                stop_body(stream);
            continue;
        }
        if (stream->exchange->state == EXCHANGE_HEAD) {
            if (now_ns >= stream->started_ns + server->limits.head_ns_max)
                return true;
            continue;
        }
        if (stream->exchange->state != EXCHANGE_BODY || !is_too_slow(stream, now_ns))
            continue;
        server->stats.connections_timed_out++;
        (void)fail(&server->why, ERR_TIMEOUT, "the request took too long to arrive");
        refuse(stream, 408);
    }
    return false;
}

static void http2_expired(struct connection *connection, int64_t now_ns)
{
    if (http2_deadline(connection) > now_ns)
        return;
    if (connection->http2->streams == NULL) {
        connection->server->stats.connections_idled_out++;
        /* A courtesy; go_on closes either way. */
        (void)nghttp2_session_terminate_session(connection->http2->session, NGHTTP2_NO_ERROR);
        connection->http2->broken = true;
    } else if (check_streams(connection, now_ns)) {
        connection->server->stats.connections_timed_out++;
        connection->http2->broken = true;
    }
    connection->http2->check_ns = now_ns + CHECK_S * CLOCK_NS_PER_S;
    go_on(connection);
}

static void http2_closed(struct connection *connection)
{
    struct http2 *http2 = connection->http2;

    if (http2 == NULL)
        return;
    while (http2->streams != NULL)
        stream_free(http2->streams);
    nghttp2_session_del(http2->session);
    free(http2);
    connection->http2 = NULL;
}

static void http2_stopping(struct connection *connection)
{
    nghttp2_session *session = connection->http2->session;

    if (connection->http2->streams == NULL)
        connection->http2->broken = true;
    /* A courtesy: the peer opens no new streams here. */
    (void)nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_NO_ERROR,
                                NULL, 0);
    connection_flush_later(connection);
}

static const struct exchange_protocol exchange_http2 = {
    .answer = http2_answer,
    .begin = http2_begin,
    .write = http2_write,
    .end = http2_end,
    .queued = http2_queued,
};

const struct connection_protocol connection_http2 = {
    .readable = http2_readable,
    .flushed = http2_flushed,
    .expired = http2_expired,
    .deadline = http2_deadline,
    .closed = http2_closed,
    .stopping = http2_stopping,
};
