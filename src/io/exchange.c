/* SPDX-License-Identifier: Apache-2.0 */
/* The handler's side of a request, the same for every protocol.
 *
 *     HEAD ──head_done──► BODY ──body_done──► HANDLING ──begin──► STREAMING
 *       └──────┴────────────┴── respond / refuse ─┴───────── end ────┘
 *                                     ▼
 *                                 ANSWERED ──► pool
 *
 * An exchange may be answered from inside each call into the handler. `calls` counts those under
 * way; the memory goes back to the pool when the last of them has returned. Callers learn of the
 * answer by the connection's (or stream's) own pointer, which the protocol sets to NULL. */
#include "io/http_server_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum {
    ARENA_KEEP_BYTES = 64 * 1024, /* What a pooled exchange may hold on to. */
    BODY_KEEP_BYTES = 16 * 1024,
    HEADERS_ADDED = 6,
};

/* ---- Life. ---- */

struct exchange *exchange_acquire(struct http_server *server, struct connection *connection,
                                  const struct exchange_protocol *protocol)
{
    struct exchange *exchange = server->exchanges_free;

    if (exchange != NULL) {
        server->exchanges_free = exchange->next;
        server->exchanges_free_count--;
        exchange->next = NULL;
    } else {
        exchange = calloc(1, sizeof(*exchange));
        if (exchange == NULL)
            must_memory(sizeof(*exchange));
        exchange->magic = EXCHANGE_MAGIC;
    }
    server->stats.exchanges_open++;
    exchange->server = server;
    exchange->connection = connection;
    exchange->protocol = protocol;
    exchange->is_tls = connection->tls != NULL;
    exchange->started_ns = loop_now_ns(server->loop);
    exchange->peer_address = connection->address.sin6_addr;
    exchange->intake = (struct http_intake){.body_bytes_max = server->limits.body_bytes_max};
    return exchange;
}

/* Forgets all but the memory worth keeping. */
static void wipe(struct exchange *exchange)
{
    if (exchange->arena != NULL && arena_used(exchange->arena) > ARENA_KEEP_BYTES)
        exchange->arena = arena_free(exchange->arena);
    else if (exchange->arena != NULL && arena_used(exchange->arena) > 0)
        arena_clear(exchange->arena);
    if (exchange->body.capacity > BODY_KEEP_BYTES)
        buf_done(&exchange->body);
    buf_clear(&exchange->body);
    buf_clear(&exchange->head_bytes);
    chunk_give(exchange->server, exchange->chunk);

    /* The parser's tables need no wiping; its start does that which it needs. */
    struct arena *arena = exchange->arena;
    struct buf body = exchange->body;
    struct buf head_bytes = exchange->head_bytes;
    memset((void *)exchange, 0, offsetof(struct exchange, parser));
    memset((char *)exchange + offsetof(struct exchange, chunked), 0,
           sizeof(*exchange) - offsetof(struct exchange, chunked));
    exchange->magic = EXCHANGE_MAGIC;
    exchange->arena = arena;
    exchange->body = body;
    exchange->head_bytes = head_bytes;
}

void exchange_destroy(struct exchange *exchange)
{
    arena_free(exchange->arena);
    buf_done(&exchange->body);
    buf_done(&exchange->head_bytes);
    exchange->magic = 0;
    free(exchange);
}

static void recycle(struct exchange *exchange)
{
    struct http_server *server = exchange->server;

    wipe(exchange);
    if (server->exchanges_free_count == POOL_MAX) {
        exchange_destroy(exchange);
    } else {
        exchange->next = server->exchanges_free;
        server->exchanges_free = exchange;
        server->exchanges_free_count++;
    }
    server->stats.exchanges_open--;
    http_server_exchange_gone(server);
}

static void account_body(struct exchange *exchange, size_t size)
{
    exchange->server->stats.bodies_bytes -= exchange->body_accounted;
    exchange->server->stats.bodies_bytes += size;
    exchange->body_accounted = size;
}

void exchange_release(struct exchange *exchange)
{
    const struct http_handler *handler = exchange->server->handler;

    MUST_BE(exchange, EXCHANGE_MAGIC);
    exchange->state = EXCHANGE_ANSWERED;
    account_body(exchange, 0);
    if (exchange->seen && handler->done != NULL) {
        struct http_outcome outcome = {
            .status = exchange->status,
            .body_bytes = exchange->body_sent,
            .duration_ns = loop_now_ns(exchange->server->loop) - exchange->started_ns,
            .cancelled = exchange_cancelled(exchange),
        };
        handler->done(exchange->server->self, exchange, &outcome);
    }
    if (exchange->calls == 0)
        recycle(exchange);
}

/* Around each call into the handler. */
static void enter(struct exchange *exchange)
{
    exchange->calls++;
}

/* False: answered meanwhile, and not to be touched any more. */
static bool leave(struct exchange *exchange)
{
    exchange->calls--;
    if (exchange->state != EXCHANGE_ANSWERED)
        return true;
    if (exchange->calls == 0)
        recycle(exchange);
    return false;
}

void exchange_detach(struct exchange *exchange)
{
    bool held = exchange->state >= EXCHANGE_HANDLING;

    MUST_BE(exchange, EXCHANGE_MAGIC);
    if (exchange->state == EXCHANGE_ANSWERED)
        return;
    exchange->protocol = NULL;
    exchange->connection = NULL;
    atomic_store_explicit(&exchange->cancelled, true, memory_order_release);
    if (exchange->seen)
        exchange->server->stats.cancelled++;
    if (held && exchange->drained != NULL) {
        enter(exchange);
        exchange->drained(exchange->drained_self, exchange);
        (void)leave(exchange); /* Touched no more either way. */
        return;
    }
    /* Whoever is inside head() or body() may still answer; the last one out frees. */
    if (!held && exchange->calls == 0)
        exchange_release(exchange);
}

/* ---- Reading the request. ---- */

static enum err begin_body(struct exchange *exchange, int *ret_status, struct why *why)
{
    struct http_server *server = exchange->server;
    struct str coding = exchange_header(exchange, STR("content-encoding"));

    if (exchange->parser.framing == HTTP1_BODY_LENGTH &&
        exchange->parser.content_length > exchange->intake.body_bytes_max) {
        server->stats.bodies_refused++;
        *ret_status = 413;
        return fail(why, ERR_TOO_LARGE, "the body of %llu bytes is more than %zu",
                    (unsigned long long)exchange->parser.content_length,
                    exchange->intake.body_bytes_max);
    }
    if (!exchange->intake.raw_body && !http_coding_is_known(coding)) {
        *ret_status = 415;
        return fail(why, ERR_UNSUPPORTED, "the Content-Encoding '%.*s' is not understood here",
                    STR_ARG(coding));
    }
    return ERR_NONE;
}

enum err exchange_head_done(struct exchange *exchange, int *ret_status, struct why *why)
{
    struct http_server *server = exchange->server;

    exchange->state = EXCHANGE_BODY;
    *ret_status = 400;
    TRY(http_target_split(http_span_str(&exchange->parser.head, exchange->parser.head.target),
                          exchange_arena(exchange), &exchange->path, &exchange->query, why));
    if (server->handler->head != NULL) {
        exchange->seen = true;
        enter(exchange);
        server->handler->head(server->self, exchange, &exchange->intake);
        if (!leave(exchange))
            return ERR_NONE;
        if (exchange->connection == NULL) {
            exchange_release(exchange);
            return ERR_NONE;
        }
    }
    return begin_body(exchange, ret_status, why);
}

static enum err check_budget(struct exchange *exchange, int *ret_status, struct why *why)
{
    struct http_server *server = exchange->server;

    if (exchange->body_received > exchange->intake.body_bytes_max) {
        server->stats.bodies_refused++;
        *ret_status = 413;
        return fail(why, ERR_TOO_LARGE, "the body is more than %zu bytes",
                    exchange->intake.body_bytes_max);
    }
    if (exchange->intake.stream)
        return ERR_NONE;
    account_body(exchange, exchange->body.size);
    if (server->stats.bodies_bytes > server->limits.bodies_bytes_max) {
        server->stats.bodies_refused++;
        *ret_status = 503;
        return fail(why, ERR_BUSY, "too many request bodies are on their way in at this time");
    }
    return ERR_NONE;
}

enum err exchange_body_piece(struct exchange *exchange, struct str piece, int *ret_status,
                             struct why *why)
{
    struct http_server *server = exchange->server;

    if (!exchange->intake.stream) {
        buf_str(&exchange->body, piece);
        return exchange_body_grew(exchange, piece.size, ret_status, why);
    }
    exchange->body_received += piece.size;
    TRY(check_budget(exchange, ret_status, why));
    if (server->handler->body == NULL || piece.size == 0)
        return ERR_NONE;
    enter(exchange);
    server->handler->body(server->self, exchange, piece);
    if (leave(exchange) && exchange->connection == NULL)
        exchange_release(exchange);
    return ERR_NONE;
}

enum err exchange_body_grew(struct exchange *exchange, size_t size, int *ret_status,
                            struct why *why)
{
    exchange->body_received += size;
    return check_budget(exchange, ret_status, why);
}

static enum err decode(struct exchange *exchange, int *ret_status, struct why *why)
{
    struct str coding = exchange_header(exchange, STR("content-encoding"));
    struct buf plain;

    if (exchange->intake.raw_body || exchange->intake.stream || exchange->body.size == 0 ||
        coding.size == 0)
        return ERR_NONE;
    enum err err = http_decode_body(coding, buf_view(&exchange->body),
                                    exchange->intake.body_bytes_max, &plain, why);
    if (err != ERR_NONE) {
        exchange->server->stats.bodies_refused += err == ERR_TOO_LARGE;
        *ret_status = err == ERR_UNSUPPORTED ? 415 : err_http_status(err);
        return err;
    }
    buf_done(&exchange->body);
    exchange->body = plain;
    return check_budget(exchange, ret_status, why);
}

enum err exchange_body_done(struct exchange *exchange, int *ret_status, struct why *why)
{
    struct http_server *server = exchange->server;

    exchange->complete = true;
    TRY(decode(exchange, ret_status, why));
    exchange->state = EXCHANGE_HANDLING;
    exchange->seen = true;
    enter(exchange);
    server->handler->request(server->self, exchange);
    (void)leave(exchange); /* Touched no more either way. */
    return ERR_NONE;
}

/* ---- Accessors. ---- */

enum http_method exchange_method(const struct exchange *exchange)
{
    return (enum http_method)exchange->parser.head.method;
}

struct str exchange_method_text(const struct exchange *exchange)
{
    return http_span_str(&exchange->parser.head, exchange->parser.head.method_text);
}

enum http_version exchange_version(const struct exchange *exchange)
{
    return (enum http_version)exchange->parser.head.version;
}

bool exchange_is_tls(const struct exchange *exchange)
{
    return exchange->is_tls;
}

struct str exchange_path(const struct exchange *exchange)
{
    return exchange->path;
}

struct str exchange_query(const struct exchange *exchange)
{
    return exchange->query;
}

/* The query, and behind it a form body, as one text. */
static enum err params_text(struct exchange *exchange, struct str *ret_text, struct why *why)
{
    struct str type = exchange_header(exchange, STR("content-type"));
    struct str form = exchange_body(exchange);

    *ret_text = exchange->query;
    if (form.size == 0 || !http_media_type_is(type, STR("application/x-www-form-urlencoded")))
        return ERR_NONE;
    char *joined = arena_alloc(exchange->arena, exchange->query.size + 1 + form.size);
    if (joined == NULL)
        return arena_spent(exchange->arena, "reading the parameters", why);
    if (exchange->query.size > 0)
        memcpy(joined, exchange->query.data, exchange->query.size);
    joined[exchange->query.size] = '&';
    memcpy(joined + exchange->query.size + 1, form.data, form.size);
    *ret_text = (struct str){joined, exchange->query.size + 1 + form.size};
    return ERR_NONE;
}

enum err exchange_params(struct exchange *exchange, const struct http_header **ret_params,
                         size_t *ret_count, struct why *why)
{
    struct str text;

    if (!exchange->params_read) {
        struct arena *arena = exchange_arena(exchange);
        TRY(params_text(exchange, &text, why));
        TRY(http_params_parse(text, exchange->server->limits.params_max, arena, &exchange->params,
                              &exchange->params_count, why));
        exchange->params_read = true;
    }
    *ret_params = exchange->params;
    *ret_count = exchange->params_count;
    return ERR_NONE;
}

struct str exchange_param(struct exchange *exchange, struct str name)
{
    const struct http_header *params;
    size_t count;

    if (exchange_params(exchange, &params, &count, NULL) != ERR_NONE)
        return STR_NONE;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(params[i].name, name))
            return params[i].value;
    }
    return STR_NONE;
}

struct str exchange_header(const struct exchange *exchange, struct str name)
{
    return http_head_get(&exchange->parser.head, name);
}

const struct http_head *exchange_head(const struct exchange *exchange)
{
    return &exchange->parser.head;
}

struct str exchange_body(const struct exchange *exchange)
{
    return buf_view(&exchange->body);
}

void exchange_take_body(struct exchange *exchange, struct buf *ret_body)
{
    *ret_body = exchange->body;
    exchange->body = (struct buf){0};
}

struct str exchange_peer(struct exchange *exchange)
{
    const struct in6_addr *address = &exchange->peer_address;
    bool is_ipv4 = IN6_IS_ADDR_V4MAPPED(address);

    if (exchange->peer_text[0] == '\0') {
        const void *bytes = is_ipv4 ? (const void *)(address->s6_addr + 12) : address;
        MUST(inet_ntop(is_ipv4 ? AF_INET : AF_INET6, bytes, exchange->peer_text,
                       sizeof(exchange->peer_text)) != NULL);
    }
    return str_of(exchange->peer_text);
}

bool exchange_peer_is_loopback(const struct exchange *exchange)
{
    const struct in6_addr *address = &exchange->peer_address;

    return IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

int64_t exchange_started_ns(const struct exchange *exchange)
{
    return exchange->started_ns;
}

struct arena *exchange_arena(struct exchange *exchange)
{
    if (exchange->arena == NULL)
        exchange->arena = arena_new(exchange->server->limits.arena_bytes_max);
    return exchange->arena;
}

struct loop *exchange_loop(const struct exchange *exchange)
{
    return exchange->server->loop;
}

void exchange_set_data(struct exchange *exchange, void *data)
{
    exchange->data = data;
}

void *exchange_data(const struct exchange *exchange)
{
    return exchange->data;
}

bool exchange_cancelled(const struct exchange *exchange)
{
    return atomic_load_explicit(&exchange->cancelled, memory_order_acquire);
}

const atomic_bool *exchange_cancel_flag(const struct exchange *exchange)
{
    return &exchange->cancelled;
}

/* ---- Answering. ---- */

/* Headers of an answer under construction, with room for what is added. */
struct headers {
    struct http_header list[HTTP_RESPONSE_HEADERS_MAX + HEADERS_ADDED];
    size_t count;
    char weak_etag[256];
};

static void add_header(struct headers *headers, struct str name, struct str value)
{
    MUST(headers->count < ARRAY_COUNT(headers->list));
    headers->list[headers->count++] = (struct http_header){name, value};
}

static bool has_header(const struct http_response *response, struct str name)
{
    for (size_t i = 0; i < response->headers_count; i++) {
        if (str_eq_nocase(response->headers[i].name, name))
            return true;
    }
    return false;
}

static void add_own_headers(struct headers *headers, const struct http_response *response)
{
    MUST(response->headers_count <= HTTP_RESPONSE_HEADERS_MAX);
    if (response->content_type.size > 0)
        add_header(headers, STR("Content-Type"), response->content_type);
    for (size_t i = 0; i < response->headers_count; i++) {
        const struct http_header *header = &response->headers[i];
        if (http_is_token(header->name) && http_is_field_value(header->value))
            add_header(headers, header->name, header->value);
    }
}

static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static bool is_unchanged(const struct exchange *exchange, const struct http_response *response,
                         int status)
{
    enum http_method method = exchange_method(exchange);

    return response->etag.size > 0 && status == 200 &&
           (method == HTTP_GET || method == HTTP_HEAD) &&
           http_etag_matches(exchange_header(exchange, STR("if-none-match")), response->etag);
}

static bool may_compress(const struct exchange *exchange, const struct http_response *response,
                         struct str body)
{
    return !response->as_is && body.size >= COMPRESS_BYTES_MIN && body.size <= COMPRESS_BYTES_MAX &&
           http_media_type_is_text(response->content_type) &&
           !has_header(response, STR("content-encoding"));
}

static void compress(struct exchange *exchange, struct str body, struct buf *out)
{
    struct http_server *server = exchange->server;

    if (server->gzip == NULL)
        server->gzip = http_gzip_new();
    http_gzip_compress(server->gzip, body, out);
}

/* The compressed form is another sequence of bytes, so a strong validator becomes a weak one. */
static void add_etag(struct headers *headers, struct str etag, bool weaken)
{
    if (etag.size == 0 || !http_is_field_value(etag))
        return;
    if (!weaken || str_starts(etag, STR("W/")) || etag.size + 2 > sizeof(headers->weak_etag)) {
        add_header(headers, STR("ETag"), etag);
        return;
    }
    memcpy(headers->weak_etag, "W/", 2);
    memcpy(headers->weak_etag + 2, etag.data, etag.size);
    add_header(headers, STR("ETag"), (struct str){headers->weak_etag, etag.size + 2});
}

static void count_status(struct http_stats *stats, int status)
{
    uint64_t *counters[] = {&stats->requests_1xx, &stats->requests_2xx, &stats->requests_3xx,
                            &stats->requests_4xx, &stats->requests_5xx};
    int class = status / 100 - 1;

    if (class >= 0 && class < (int)ARRAY_COUNT(counters))
        ++*counters[class];
}

static void send_answer(struct exchange *exchange, struct answer *answer)
{
    exchange->status = answer->status;
    count_status(&exchange->server->stats, answer->status);
    if (!answer->without_body)
        exchange->body_sent = answer->body.size;
    if (exchange->protocol != NULL)
        exchange->protocol->answer(exchange, answer);
}

void exchange_respond(struct exchange *exchange, const struct http_response *response)
{
    struct headers headers;
    struct buf compressed = {0};
    struct answer answer = {.status = response->status == 0 ? 200 : response->status};

    MUST_BE(exchange, EXCHANGE_MAGIC);
    MUST(exchange->state < EXCHANGE_STREAMING);
    headers.count = 0;
    if (is_unchanged(exchange, response, answer.status))
        answer.status = 304;
    answer.moved = response->body != NULL && response->body->size > 0 ? response->body : NULL;
    answer.body = answer.moved != NULL ? buf_view(answer.moved) : response->static_body;
    answer.body_is_static = answer.moved == NULL;

    add_own_headers(&headers, response);
    bool textual = may_compress(exchange, response, answer.body);
    bool smaller =
        textual && status_has_body(answer.status) && exchange->protocol != NULL &&
        http_accepts_coding(exchange_header(exchange, STR("accept-encoding")), STR("gzip"));
    if (smaller) {
        compress(exchange, answer.body, &compressed);
        answer.moved = &compressed;
        answer.body = buf_view(&compressed);
        answer.body_is_static = false;
        add_header(&headers, STR("Content-Encoding"), STR("gzip"));
    }
    if (textual)
        add_header(&headers, STR("Vary"), STR("Accept-Encoding"));
    add_etag(&headers, response->etag, smaller);

    answer.headers = headers.list;
    answer.headers_count = headers.count;
    answer.trailers = response->trailers;
    answer.trailers_count = response->trailers_count;
    answer.has_length = status_has_body(answer.status);
    answer.content_length = answer.body.size;
    answer.without_body = !answer.has_length || exchange_method(exchange) == HTTP_HEAD;
    send_answer(exchange, &answer);
    buf_done(&compressed);
    if (response->body != NULL)
        buf_done(response->body);
    exchange_release(exchange);
}

static void respond_plainly(struct exchange *exchange, int status, const struct why *why)
{
    struct http_server *server = exchange->server;
    static const struct http_header later = {{"Retry-After", 11}, {"1", 1}};
    struct buf body = {0};
    struct str type = STR("text/plain; charset=utf-8");

    if (server->handler->error_body != NULL)
        type = server->handler->error_body(server->self, status, why, &body);
    else
        buf_printf(&body, "%s%s%s\n", why->text, why->hint[0] == '\0' ? "" : "; ", why->hint);
    exchange_respond(exchange, &(struct http_response){
                                   .status = status,
                                   .content_type = type,
                                   .headers = &later,
                                   .headers_count = status == 429 || status == 503,
                                   .body = &body,
                               });
}

void exchange_respond_error(struct exchange *exchange, enum err err, const struct why *why)
{
    struct why bare = WHY_INIT;

    if (why == NULL || why->text[0] == '\0') {
        (void)fail(&bare, err, "%s", err_text(err)); /* Only fills in the sentence. */
        why = &bare;
    }
    respond_plainly(exchange, err_http_status(err), why);
}

void exchange_refuse(struct exchange *exchange, int status, const struct why *why)
{
    struct http_server *server = exchange->server;

    if (server->handler->refused != NULL &&
        server->handler->refused(server->self, exchange, status, why))
        return;
    respond_plainly(exchange, status, why);
}

/* ---- Streaming. ---- */

void exchange_begin(struct exchange *exchange, const struct http_response *response)
{
    struct headers headers;
    struct answer answer = {.status = response->status == 0 ? 200 : response->status};

    MUST_BE(exchange, EXCHANGE_MAGIC);
    MUST(exchange->state < EXCHANGE_STREAMING);
    headers.count = 0;
    add_own_headers(&headers, response);
    add_etag(&headers, response->etag, false);
    answer.headers = headers.list;
    answer.headers_count = headers.count;
    answer.without_body = !status_has_body(answer.status) || exchange_method(exchange) == HTTP_HEAD;
    exchange->status = answer.status;
    exchange->without_body = answer.without_body;
    exchange->state = EXCHANGE_STREAMING;
    count_status(&exchange->server->stats, answer.status);
    if (exchange->protocol != NULL)
        exchange->protocol->begin(exchange, &answer);
}

void exchange_write(struct exchange *exchange, struct str bytes)
{
    struct http_server *server = exchange->server;

    MUST_BE(exchange, EXCHANGE_MAGIC);
    MUST(exchange->state == EXCHANGE_STREAMING);
    if (exchange->protocol == NULL || exchange->without_body || bytes.size == 0)
        return;
    exchange->body_sent += bytes.size;
    exchange->protocol->write(exchange, bytes);
    size_t queued = exchange_queued_bytes(exchange);
    if (queued > DRAIN_LOW_BYTES)
        exchange->was_full = true;
    if (queued > server->limits.queue_bytes_max) {
        server->stats.queue_overflows += !exchange->connection->doomed;
        exchange->connection->doomed = true;
        connection_flush_later(exchange->connection);
    }
}

size_t exchange_queued_bytes(const struct exchange *exchange)
{
    return exchange->protocol == NULL ? 0 : exchange->protocol->queued(exchange);
}

void exchange_on_drained(struct exchange *exchange,
                         void (*drained)(void *self, struct exchange *exchange), void *self)
{
    exchange->drained = drained;
    exchange->drained_self = self;
}

void exchange_maybe_drained(struct exchange *exchange)
{
    if (!exchange->was_full || exchange->drained == NULL ||
        exchange_queued_bytes(exchange) >= DRAIN_LOW_BYTES)
        return;
    exchange->was_full = false;
    enter(exchange);
    exchange->drained(exchange->drained_self, exchange);
    (void)leave(exchange); /* Touched no more either way. */
}

void exchange_end(struct exchange *exchange)
{
    MUST_BE(exchange, EXCHANGE_MAGIC);
    MUST(exchange->state == EXCHANGE_STREAMING);
    if (exchange->protocol != NULL)
        exchange->protocol->end(exchange);
    exchange_release(exchange);
}
