/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that has been upgraded. wslay frames and unframes; it reads from the connection's
 * input and writes to its output queue, never to the socket.
 *
 * Messages are queued in wslay and moved to the output at the end of the round, so a burst of
 * sends leaves in one write. Both queues count against websocket_queue_bytes_max.
 *
 * Silence is answered with a ping, silence after a ping with the end. */
#include "io/websocket.h"

#include "base/clock.h"
#include "io/http_server_priv.h"

#include <stdlib.h>
#include <wslay/wslay.h>

enum {
    SHA1_BYTES = 20,
    KEY_BYTES = 24,    /* 16 bytes in base64. */
    ACCEPT_BYTES = 28, /* 20 bytes in base64. */
    CODE_NONE = 1006,
};

#define WEBSOCKET_MAGIC UINT32_C(0x57534f43)
#define GUID            "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define CLOSE_WAIT_NS   (5 * CLOCK_NS_PER_S)

struct websocket {
    uint32_t magic;
    struct connection *connection;
    wslay_event_context_ptr context;
    const struct websocket_handler *handler;
    void *self;
    int64_t heard_ns;
    int64_t pinged_ns; /* 0: not since we heard of the peer. */
    int64_t close_ns;  /* When we began to close, or 0. */
    bool was_full;
    bool broken; /* The peer's frames made no sense; say goodbye. */
};

/* ---- Handshake. ---- */

static uint32_t rotate_left(uint32_t value, int bits)
{
    return value << bits | value >> (32 - bits);
}

/* FIPS 180-4. The handshake asks for SHA-1 as a fingerprint, not for secrecy. */
static void sha1_block(uint32_t state[5], const uint8_t block[64])
{
    uint32_t w[80];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate_left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotate_left(a, 5) + f + e + w[i];
        e = d;
        d = c;
        c = rotate_left(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* Of a key and the GUID: 60 bytes, so two blocks with padding and length. */
static void sha1_of_key(const char key[KEY_BYTES], uint8_t digest[SHA1_BYTES])
{
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    const unsigned bits = (KEY_BYTES + sizeof(GUID) - 1) * 8;

    memcpy(blocks, key, KEY_BYTES);
    memcpy(blocks + KEY_BYTES, GUID, sizeof(GUID) - 1);
    blocks[KEY_BYTES + sizeof(GUID) - 1] = 0x80;
    blocks[126] = (uint8_t)(bits >> 8);
    blocks[127] = (uint8_t)bits;
    sha1_block(state, blocks);
    sha1_block(state, blocks + 64);
    for (int i = 0; i < SHA1_BYTES; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64_of_digest(const uint8_t digest[SHA1_BYTES], char text[ACCEPT_BYTES])
{
    for (int i = 0; i < 7; i++) { /* 20 bytes: six groups of three and one of two. */
        uint32_t third = i < 6 ? digest[3 * i + 2] : 0;
        uint32_t bits = (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 | third;
        for (int j = 0; j < 4; j++)
            text[4 * i + j] = base64_digits[bits >> (18 - 6 * j) & 63];
    }
    text[ACCEPT_BYTES - 1] = '=';
}

static bool is_key(struct str key)
{
    if (key.size != KEY_BYTES || !str_ends(key, STR("==")))
        return false;
    for (size_t i = 0; i < KEY_BYTES - 2; i++) {
        if (memchr(base64_digits, key.data[i], 64) == NULL)
            return false;
    }
    return true;
}

static enum err check_handshake(struct exchange *exchange, struct why *why)
{
    const struct http_head *head = exchange_head(exchange);

    if (exchange_version(exchange) != HTTP_1_1)
        return fail(why, ERR_UNSUPPORTED, "a WebSocket starts with HTTP/1.1");
    if (exchange_method(exchange) != HTTP_GET || !exchange->parser.upgrade ||
        !http_head_has_token(head, STR("upgrade"), STR("websocket")))
        return fail(why, ERR_INVALID, "this is for WebSockets: send an upgrade handshake");
    if (!str_eq(http_head_get(head, STR("sec-websocket-version")), STR("13")))
        return fail(why, ERR_UNSUPPORTED, "only WebSocket version 13 is spoken here");
    if (!is_key(http_head_get(head, STR("sec-websocket-key"))))
        return fail(why, ERR_INVALID, "Sec-WebSocket-Key must be 16 bytes in base64");
    return ERR_NONE;
}

static void write_handshake(struct connection *connection, struct exchange *exchange,
                            struct str protocol)
{
    struct str key = exchange_header(exchange, STR("sec-websocket-key"));
    uint8_t digest[SHA1_BYTES];
    char accept[ACCEPT_BYTES];

    sha1_of_key(key.data, digest);
    base64_of_digest(digest, accept);
    connection_out_copy(connection, STR("HTTP/1.1 101 Switching Protocols\r\n"
                                        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                        "Sec-WebSocket-Accept: "));
    connection_out_copy(connection, (struct str){accept, sizeof(accept)});
    if (protocol.size > 0 && http_is_token(protocol)) {
        connection_out_copy(connection, STR("\r\nSec-WebSocket-Protocol: "));
        connection_out_copy(connection, protocol);
    }
    connection_out_copy(connection, STR("\r\n\r\n"));
}

enum err exchange_upgrade_websocket(struct exchange *exchange,
                                    const struct websocket_handler *handler, void *self,
                                    struct str protocol, struct websocket **ret_websocket,
                                    struct why *why)
{
    struct connection *connection = exchange->connection;

    MUST_BE(exchange, EXCHANGE_MAGIC);
    MUST(exchange->state == EXCHANGE_HANDLING);
    TRY(check_handshake(exchange, why));
    if (connection == NULL || connection->eof || connection->server->stopping)
        return fail(why, ERR_CLOSED, "the connection is closing");
    write_handshake(connection, exchange, protocol);
    exchange->status = 101;
    connection->server->stats.requests_1xx++;
    connection->exchange = NULL;
    connection->message_ns = 0;
    exchange_release(exchange);
    *ret_websocket = websocket_start(connection, handler, self);
    return ERR_NONE;
}

/* ---- What wslay calls. ---- */

static ssize_t give_input(wslay_event_context_ptr context, uint8_t *data, size_t size, int flags,
                          void *self)
{
    struct websocket *websocket = self;
    struct connection *connection = websocket->connection;
    struct str input = connection_input(connection);

    (void)flags;
    if (input.size == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (size > input.size)
        size = input.size;
    memcpy(data, input.data, size);
    connection->in_start += (uint32_t)size;
    return (ssize_t)size;
}

static ssize_t take_output(wslay_event_context_ptr context, const uint8_t *data, size_t size,
                           int flags, void *self)
{
    struct websocket *websocket = self;

    (void)context;
    (void)flags;
    connection_out_copy(websocket->connection, (struct str){(const char *)data, size});
    return (ssize_t)size;
}

static void message_came(wslay_event_context_ptr context,
                         const struct wslay_event_on_msg_recv_arg *message, void *self)
{
    struct websocket *websocket = self;

    (void)context;
    if (wslay_is_ctrl_frame(message->opcode)) /* wslay answers these itself. */
        return;
    websocket->connection->server->stats.websocket_messages_in++;
    websocket->handler->message(websocket->self, websocket,
                                (struct str){(const char *)message->msg, message->msg_length},
                                message->opcode == WSLAY_TEXT_FRAME);
}

/* ---- Sending. ---- */

size_t websocket_queued_bytes(const struct websocket *websocket)
{
    return wslay_event_get_queued_msg_length(websocket->context) + websocket->connection->out_bytes;
}

static enum err queue_message(struct websocket *websocket, uint8_t opcode, struct str bytes)
{
    struct http_server *server = websocket->connection->server;
    struct wslay_event_msg message = {opcode, (const uint8_t *)bytes.data, bytes.size};

    MUST_BE(websocket, WEBSOCKET_MAGIC);
    if (websocket_queued_bytes(websocket) + bytes.size > server->limits.websocket_queue_bytes_max) {
        websocket->was_full = true;
        server->stats.websocket_busy++;
        return ERR_BUSY;
    }
    int result = wslay_event_queue_msg(websocket->context, &message);
    if (result == WSLAY_ERR_NOMEM)
        must_memory(bytes.size);
    if (result != 0) /* A close frame is queued or sent. */
        return ERR_CLOSED;
    connection_flush_later(websocket->connection);
    return ERR_NONE;
}

enum err websocket_send_text(struct websocket *websocket, struct str text)
{
    TRY(queue_message(websocket, WSLAY_TEXT_FRAME, text));
    websocket->connection->server->stats.websocket_messages_out++;
    return ERR_NONE;
}

enum err websocket_send_binary(struct websocket *websocket, struct str bytes)
{
    TRY(queue_message(websocket, WSLAY_BINARY_FRAME, bytes));
    websocket->connection->server->stats.websocket_messages_out++;
    return ERR_NONE;
}

void websocket_close(struct websocket *websocket, enum websocket_close code, struct str reason)
{
    MUST_BE(websocket, WEBSOCKET_MAGIC);
    MUST(reason.size <= 123);
    /* Refused when a close is under way already, which is what was wanted. */
    (void)wslay_event_queue_close(websocket->context, (uint16_t)code, (const uint8_t *)reason.data,
                                  reason.size);
    if (websocket->close_ns == 0)
        websocket->close_ns = loop_now_ns(websocket->connection->server->loop);
    connection_flush_later(websocket->connection);
}

/* ---- Events. ---- */

/* Moves what wslay has queued to the output, and sends it. */
static void go_on(struct connection *connection)
{
    struct websocket *websocket = connection->websocket;

    if (connection->closed || connection->protocol != &connection_websocket)
        return;
    if (wslay_event_send(websocket->context) != 0) {
        connection_close(connection);
        return;
    }
    if (wslay_event_get_close_received(websocket->context) && websocket->close_ns == 0)
        websocket->close_ns = loop_now_ns(connection->server->loop);
    bool done = !wslay_event_want_write(websocket->context) &&
                (!wslay_event_get_read_enabled(websocket->context) ||
                 (wslay_event_get_close_received(websocket->context) &&
                  wslay_event_get_close_sent(websocket->context)));
    if (done || websocket->broken || connection->eof)
        connection->closing = connection->linger_after = true;
    if (!connection_flush(connection) || connection->protocol != &connection_websocket)
        return;
    connection->read_paused =
        connection->out_bytes > connection->server->limits.websocket_queue_bytes_max;
}

/* False: after a close frame, or one that breaks the rules, nothing more is read. */
static bool feed(struct connection *connection)
{
    struct websocket *websocket = connection->websocket;

    if (connection_input(connection).size == 0)
        return !websocket->broken;
    websocket->heard_ns = loop_now_ns(connection->server->loop);
    websocket->pinged_ns = 0;
    int result = wslay_event_recv(websocket->context);
    if (result == WSLAY_ERR_NOMEM)
        must_memory(CHUNK_BYTES);
    connection->in_start = connection->in_end = 0;
    websocket->broken = result != 0;
    return !websocket->broken;
}

static void websocket_readable(struct connection *connection)
{
    connection_read_turn(connection, feed);
    go_on(connection);
}

static void websocket_flushed(struct connection *connection)
{
    struct websocket *websocket = connection->websocket;
    size_t low = connection->server->limits.websocket_queue_bytes_max / 4;

    /* Frames may have come in the same segment as the handshake. */
    if (connection->chunk != NULL || connection->parked.size > 0) {
        (void)connection_ensure_chunk(connection); /* There is room: all was read by now. */
        (void)feed(connection);                    /* go_on sees whether it broke. */
    }
    go_on(connection);
    if (connection->tls != NULL && !connection->closed && !connection->closing)
        websocket_readable(connection);
    if (connection->closed || connection->protocol != &connection_websocket ||
        !websocket->was_full || websocket_queued_bytes(websocket) > low)
        return;
    websocket->was_full = false;
    if (websocket->handler->drained != NULL)
        websocket->handler->drained(websocket->self, websocket);
}

static int64_t websocket_deadline(struct connection *connection)
{
    const struct websocket *websocket = connection->websocket;
    int64_t ping_ns = connection->server->limits.websocket_ping_ns;

    if (websocket->close_ns != 0)
        return websocket->close_ns + CLOSE_WAIT_NS;
    return (websocket->pinged_ns != 0 ? websocket->pinged_ns : websocket->heard_ns) + ping_ns;
}

static void websocket_expired(struct connection *connection, int64_t now_ns)
{
    struct websocket *websocket = connection->websocket;
    struct wslay_event_msg ping = {WSLAY_PING, NULL, 0};

    if (websocket_deadline(connection) > now_ns)
        return;
    if (websocket->close_ns != 0 || websocket->pinged_ns != 0) {
        connection->server->stats.connections_timed_out += websocket->close_ns == 0;
        connection_close(connection);
        return;
    }
    websocket->pinged_ns = now_ns;
    /* Refused only when a close is under way. */
    (void)wslay_event_queue_msg(websocket->context, &ping);
    go_on(connection);
}

static void websocket_closed(struct connection *connection)
{
    struct websocket *websocket = connection->websocket;

    if (websocket == NULL)
        return;
    int code = wslay_event_get_status_code_received(websocket->context);
    if (!wslay_event_get_close_received(websocket->context))
        code = CODE_NONE;
    connection->server->stats.websockets_open--;
    websocket->handler->closed(websocket->self, websocket, code);
    connection->websocket = NULL;
    wslay_event_context_free(websocket->context);
    websocket->magic = 0;
    free(websocket);
}

static void websocket_stopping(struct connection *connection)
{
    websocket_close(connection->websocket, WEBSOCKET_CLOSE_GOING_AWAY, STR("shutting down"));
}

struct websocket *websocket_start(struct connection *connection,
                                  const struct websocket_handler *handler, void *self)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = give_input,
        .send_callback = take_output,
        .on_msg_recv_callback = message_came,
    };
    struct websocket *websocket = calloc(1, sizeof(*websocket));

    if (websocket == NULL)
        must_memory(sizeof(*websocket));
    websocket->magic = WEBSOCKET_MAGIC;
    websocket->connection = connection;
    websocket->handler = handler;
    websocket->self = self;
    websocket->heard_ns = loop_now_ns(connection->server->loop);
    if (wslay_event_context_server_init(&websocket->context, &callbacks, websocket) != 0)
        must_memory(sizeof(*websocket));
    wslay_event_config_set_max_recv_msg_length(
        websocket->context, connection->server->limits.websocket_message_bytes_max);
    connection->websocket = websocket;
    connection->protocol = &connection_websocket;
    connection->read_paused = false;
    connection->server->stats.websockets_open++;
    connection_flush_later(connection);
    return websocket;
}

const struct connection_protocol connection_websocket = {
    .readable = websocket_readable,
    .flushed = websocket_flushed,
    .expired = websocket_expired,
    .deadline = websocket_deadline,
    .closed = websocket_closed,
    .stopping = websocket_stopping,
};
