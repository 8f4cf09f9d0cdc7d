/* SPDX-License-Identifier: Apache-2.0 */
#include "http_peer.h"

#include "io/websocket.h"

#define HANDSHAKE                                                                              \
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
/* The frames of RFC 6455 section 5.7. */
#define MASKED_HELLO   "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
#define UNMASKED_HELLO "\x81\x05Hello"
#define MASKED_CLOSE   "\x88\x82\x00\x00\x00\x00\x03\xe8"

struct host {
    struct loop *loop;
    struct http_server *server;
    uint16_t port;
    struct websocket *websocket;
    int opened;
    int closed;
    int code;
    int drained;
    struct buf heard;
    enum err refused;
};

static void message(void *self, struct websocket *websocket, struct str text, bool is_text)
{
    struct host *host = self;

    buf_printf(&host->heard, "%s:%zu ", is_text ? "text" : "binary", text.size);
    enum err err =
        is_text ? websocket_send_text(websocket, text) : websocket_send_binary(websocket, text);
    EXPECT(err == ERR_NONE || err == ERR_BUSY);
}

static void drained(void *self, struct websocket *websocket)
{
    (void)websocket;
    ((struct host *)self)->drained++;
}

static void closed(void *self, struct websocket *websocket, int code)
{
    struct host *host = self;

    EXPECT(host->websocket == websocket);
    host->websocket = NULL;
    host->closed++;
    host->code = code;
}

static const struct websocket_handler websocket_handler = {
    .message = message, .drained = drained, .closed = closed};

static void on_request(void *self, struct exchange *exchange)
{
    struct host *host = self;
    struct why why = WHY_INIT;

    host->refused = exchange_upgrade_websocket(exchange, &websocket_handler, host, STR_NONE,
                                               &host->websocket, &why);
    if (host->refused == ERR_NONE)
        host->opened++;
    else
        exchange_respond_error(exchange, host->refused, &why);
}

static const struct http_handler http_handler = {.request = on_request};

static void host_open(struct host *host, const struct http_limits *limits)
{
    struct why why = WHY_INIT;

    *host = (struct host){0};
    EXPECT(loop_open(NULL, &host->loop, &why) == ERR_NONE);
    host->server = http_server_new(&(struct http_server_options){
        .loop = host->loop, .handler = &http_handler, .self = host, .limits = limits});
    EXPECT(http_server_listen(host->server, STR("127.0.0.1:0"), NULL, &host->port, &why) ==
           ERR_NONE);
}

static void host_close(struct host *host)
{
    host->server = http_server_free(host->server);
    host->loop = loop_close(host->loop);
    buf_done(&host->heard);
}

/* Connects, shakes hands, and forgets the handshake's answer. */
static struct peer open_peer(struct host *host)
{
    struct peer peer = peer_connect(host->loop, host->port);

    peer_send(&peer, STR(HANDSHAKE));
    EXPECT(peer_awaits(&peer, "\r\n\r\n", 1));
    buf_clear(&peer.in);
    return peer;
}

static bool heard_is(const struct host *host, const char *text)
{
    return str_eq(buf_view(&host->heard), str_of(text));
}

TEST(the_handshake_of_rfc_6455_is_answered_as_there)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR(HANDSHAKE));
    EXPECT(peer_awaits(&peer, "\r\n\r\n", 1));
    EXPECT(status_of(buf_view(&peer.in)) == 101);
    EXPECT(str_find_str(buf_view(&peer.in),
                        STR("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) > 0);
    EXPECT(host.opened == 1);
    peer_close(&peer);
    host_close(&host);
    EXPECT(host.closed == 1);
}

TEST(the_example_frames_of_rfc_6455_are_understood)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = open_peer(&host);
    peer_send(&peer, STR(MASKED_HELLO));
    EXPECT(peer_awaits(&peer, UNMASKED_HELLO, 1));
    /* "Hel" and "lo" in two frames, with a ping between, byte by byte. */
    struct str frames = STR("\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d"
                            "\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
                            "\x80\x82\x3d\x37\xfa\x21\x51\x58");
    buf_clear(&peer.in);
    for (size_t i = 0; i < frames.size; i++) {
        peer_send(&peer, (struct str){frames.data + i, 1});
        turn(host.loop);
    }
    EXPECT(peer_awaits(&peer, "\x8a\x05Hello", 1)); /* The pong. */
    EXPECT(peer_awaits(&peer, UNMASKED_HELLO, 1));
    EXPECT(heard_is(&host, "text:5 text:5 "));
    peer_close(&peer);
    host_close(&host);
}

TEST(frames_that_come_with_the_handshake_are_not_lost)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR(HANDSHAKE MASKED_HELLO MASKED_HELLO));
    EXPECT(peer_awaits(&peer, UNMASKED_HELLO, 2));
    peer_close(&peer);
    host_close(&host);
}

TEST(a_close_is_answered_and_its_code_told)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = open_peer(&host);
    peer_send(&peer, STR(MASKED_CLOSE));
    EXPECT(peer_awaits_eof(&peer));
    EXPECT(peer.in.size == 4 && memcmp(peer.in.data, "\x88\x02\x03\xe8", 4) == 0);
    EXPECT(host.closed == 1 && host.code == 1000);
    peer_close(&peer);
    host_close(&host);
}

TEST(a_peer_that_just_goes_is_told_as_1006)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = open_peer(&host);
    peer_close(&peer);
    int64_t end_ns = clock_monotonic_ns() + PEER_PATIENCE_NS;
    while (host.closed == 0 && clock_monotonic_ns() < end_ns)
        turn(host.loop);
    EXPECT(host.closed == 1 && host.code == 1006);
    host_close(&host);
}

TEST(our_own_close_waits_for_the_answer)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = open_peer(&host);
    websocket_close(host.websocket, WEBSOCKET_CLOSE_TRY_LATER, STR("later"));
    EXPECT(websocket_send_text(host.websocket, STR("x")) == ERR_CLOSED);
    EXPECT(peer_awaits(&peer, "\x88\x07\x03\xf5later", 1));
    EXPECT(host.closed == 0);
    peer_send(&peer, STR(MASKED_CLOSE));
    EXPECT(peer_awaits_eof(&peer));
    EXPECT(host.closed == 1 && host.code == 1000);
    peer_close(&peer);
    host_close(&host);
}

TEST(frames_against_the_rules_end_the_connection_with_a_reason)
{
    static const struct {
        struct str frame;
        const char *answer;
    } rows[] = {
        {{UNMASKED_HELLO, 7}, "\x88\x02\x03\xea"},                     /* 1002 */
        {{"\xc1\x80\x00\x00\x00\x00", 6}, "\x88\x02\x03\xea"},         /* A reserved bit. */
        {{"\x83\x80\x00\x00\x00\x00", 6}, "\x88\x02\x03\xea"},         /* Opcode 3. */
        {{"\x80\x80\x00\x00\x00\x00", 6}, "\x88\x02\x03\xea"},         /* Nothing was begun. */
        {{"\x09\x80\x00\x00\x00\x00", 6}, "\x88"},                     /* A ping in parts. */
        {{"\x81\x82\x00\x00\x00\x00\xc3\x28", 8}, "\x88\x02\x03\xef"}, /* 1007: UTF-8. */
        {{"\x82\xff\x00\x00\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00x", 15},
         "\x88\x02\x03\xf1"}, /* 1009: 2 MiB. */
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct host host;
        host_open(&host, NULL);
        struct peer peer = open_peer(&host);
        peer_send(&peer, rows[i].frame);
        EXPECT(peer_awaits_eof(&peer));
        bool fine = str_starts(buf_view(&peer.in), str_of(rows[i].answer));
        if (!fine)
            printf("# row %zu\n", i);
        EXPECT(fine);
        EXPECT(host.closed == 1);
        EXPECT(host.heard.size == 0);
        peer_close(&peer);
        host_close(&host);
    }
}

TEST(long_messages_go_both_ways)
{
    enum { SIZE = 300000 };
    struct host host;
    struct buf frame = {0};

    host_open(&host, NULL);
    struct peer peer = open_peer(&host);
    buf_append(&frame, "\x82\xff\x00\x00\x00\x00\x00\x04\x93\xe0\x01\x02\x03\x04", 14);
    for (int i = 0; i < SIZE; i++)
        buf_byte(&frame, (uint8_t)((i * 11) ^ (i % 4 + 1)));
    peer_send(&peer, buf_view(&frame));
    EXPECT(peer_awaits_bytes(&peer, SIZE + 10));
    EXPECT(heard_is(&host, "binary:300000 "));
    bool same = memcmp(peer.in.data, "\x82\x7f\x00\x00\x00\x00\x00\x04\x93\xe0", 10) == 0;
    for (int i = 0; i < SIZE && same; i++)
        same = (uint8_t)peer.in.data[10 + i] == (uint8_t)(i * 11);
    EXPECT(same);
    peer_close(&peer);
    buf_done(&frame);
    host_close(&host);
}

TEST(a_slow_peer_loses_messages_and_the_sender_learns_when_to_go_on)
{
    static const char text[10000] = {0};
    struct host host;
    struct http_limits limits = http_limits_default;
    struct http_stats stats;
    int sent = 0;

    limits.websocket_queue_bytes_max = 100000;
    host_open(&host, &limits);
    struct peer peer = open_peer(&host);
    while (websocket_send_binary(host.websocket, (struct str){text, sizeof(text)}) == ERR_NONE) {
        EXPECT(websocket_queued_bytes(host.websocket) <= 100000);
        sent++;
        ASSERT(sent <= 10);
    }
    EXPECT(sent == 10);
    http_server_stats(host.server, &stats);
    EXPECT(stats.websocket_busy == 1);
    EXPECT(stats.websocket_messages_out == 10);
    EXPECT(peer_awaits_bytes(&peer, 100000));
    turn(host.loop);
    EXPECT(host.drained == 1);
    EXPECT(websocket_send_text(host.websocket, STR("again")) == ERR_NONE);
    EXPECT(peer_awaits(&peer,
                       "\x81\x05"
                       "again",
                       1));
    peer_close(&peer);
    host_close(&host);
}

TEST(silence_is_answered_with_a_ping_and_then_with_the_end)
{
    struct host host;
    struct http_limits limits = http_limits_default;

    limits.websocket_ping_ns = 30 * CLOCK_NS_PER_MS;
    host_open(&host, &limits);
    struct peer peer = open_peer(&host);
    EXPECT(peer_awaits_bytes(&peer, 2));
    EXPECT(memcmp(peer.in.data, "\x89\x00", 2) == 0);
    buf_clear(&peer.in);
    peer_send(&peer, STR("\x8a\x80\x00\x00\x00\x00")); /* A pong buys another period. */
    EXPECT(peer_awaits_bytes(&peer, 2));
    EXPECT(host.closed == 0);
    EXPECT(peer_awaits_eof(&peer));
    EXPECT(host.closed == 1 && host.code == 1006);
    peer_close(&peer);
    host_close(&host);
}

TEST(what_is_no_handshake_is_answered_as_http)
{
    static const struct {
        enum err err;
        const char *request;
    } rows[] = {
        {ERR_INVALID, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
        {ERR_INVALID, "POST /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade, close\r\nContent-Length: 0\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                      "Sec-WebSocket-Version: 13\r\n\r\n"},
        {ERR_UNSUPPORTED, "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade, close\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Sec-WebSocket-Version: 8\r\n\r\n"},
        {ERR_INVALID, "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade, close\r\nSec-WebSocket-Key: c2hvcnQ=\r\n"
                      "Sec-WebSocket-Version: 13\r\n\r\n"},
        {ERR_UNSUPPORTED, "GET /ws HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Sec-WebSocket-Version: 13\r\n\r\n"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct host host;
        struct peer peer;
        host_open(&host, NULL);
        struct str answer = peer_ask(&peer, host.loop, host.port, str_of(rows[i].request));
        EXPECT(host.refused == rows[i].err);
        EXPECT(status_of(answer) == err_http_status(rows[i].err));
        EXPECT(host.opened == 0);
        peer_close(&peer);
        host_close(&host);
    }
}

static void note_stop(void *self)
{
    (void)self;
}

TEST(a_stopping_server_says_that_it_is_going_away)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = open_peer(&host);
    http_server_stop(host.server, loop_now_ns(host.loop) + PEER_PATIENCE_NS, note_stop, NULL);
    EXPECT(peer_awaits(&peer, "\x88\x0f\x03\xe9shutting down", 1));
    peer_send(&peer, STR("\x88\x82\x00\x00\x00\x00\x03\xe9"));
    EXPECT(peer_awaits_eof(&peer));
    EXPECT(host.closed == 1 && host.code == 1001);
    peer_close(&peer);
    host_close(&host);
}

TEST_MAIN
