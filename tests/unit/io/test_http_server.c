/* SPDX-License-Identifier: Apache-2.0 */
#include "http_peer.h"

#include "io/http_coding.h"

#include <errno.h>
#include <sys/resource.h>

enum { STREAM_BYTES = 16000000 }; /* More than the kernel takes for a peer that does not read. */

/* A server whose handler does as the path says, and remembers. */
struct host {
    struct loop *loop;
    struct http_server *server;
    uint16_t port;
    struct exchange *kept; /* /keep leaves its exchange here. */
    int requests;
    int done;
    struct http_outcome last;
    size_t body_seen; /* /stream-in */
    int body_pieces;
    bool stopped;
    size_t left; /* /stream-out */
};

static void respond(struct exchange *exchange, struct str text)
{
    exchange_respond(
        exchange, &(struct http_response){.content_type = STR("text/plain"), .static_body = text});
}

static void stream_out(void *self, struct exchange *exchange)
{
    static const char piece[1000] = {0};
    struct host *host = self;

    if (exchange_cancelled(exchange))
        host->left = 0;
    while (host->left > 0 && exchange_queued_bytes(exchange) < 100000) {
        exchange_write(exchange, (struct str){piece, sizeof(piece)});
        host->left -= sizeof(piece);
    }
    if (host->left == 0)
        exchange_end(exchange);
}

static const char long_text[5000] = "all the rest is NUL";

static void on_request(void *self, struct exchange *exchange)
{
    struct host *host = self;
    struct str path = exchange_path(exchange);
    struct buf body = {0};

    host->requests++;
    if (str_eq(path, STR("/keep"))) {
        host->kept = exchange;
    } else if (str_eq(path, STR("/echo"))) {
        exchange_take_body(exchange, &body);
        exchange_respond(exchange, &(struct http_response){.body = &body});
    } else if (str_eq(path, STR("/long"))) {
        exchange_respond(exchange, &(struct http_response){
                                       .content_type = STR("text/plain"),
                                       .etag = STR("\"long\""),
                                       .static_body = {long_text, sizeof(long_text)},
                                   });
    } else if (str_eq(path, STR("/headers"))) {
        const struct http_header headers[] = {
            {STR("X-Good"), STR("yes")},
            {STR("X-Bad"), STR("a\r\nSet-Cookie: stolen")},
            {STR("Bad Name"), STR("x")},
        };
        exchange_respond(exchange, &(struct http_response){.status = 201,
                                                           .headers = headers,
                                                           .headers_count = 3,
                                                           .static_body = STR("made")});
    } else if (str_eq(path, STR("/stream-out"))) {
        host->left = STREAM_BYTES;
        exchange_on_drained(exchange, stream_out, host);
        exchange_begin(exchange, &(struct http_response){.status = 200});
        stream_out(host, exchange);
    } else if (str_eq(path, STR("/overflow"))) {
        exchange_begin(exchange, &(struct http_response){.status = 200});
        for (int i = 0; i < 100; i++)
            exchange_write(exchange, (struct str){long_text, sizeof(long_text)});
        exchange_end(exchange);
    } else if (str_eq(path, STR("/nothing"))) {
        exchange_respond(exchange, &(struct http_response){.status = 204});
    } else {
        respond(exchange, STR("fine"));
    }
}

static void on_head(void *self, struct exchange *exchange, struct http_intake *intake)
{
    struct str path = exchange_path(exchange);

    if (str_eq(path, STR("/stream-in")))
        intake->stream = true;
    if (str_eq(path, STR("/tiny")))
        intake->body_bytes_max = 10;
    if (str_eq(path, STR("/raw")))
        intake->raw_body = true;
    if (str_eq(path, STR("/early")))
        respond(exchange, STR("no need"));
    (void)self;
}

static void on_body(void *self, struct exchange *exchange, struct str piece)
{
    struct host *host = self;

    (void)exchange;
    host->body_seen += piece.size;
    host->body_pieces++;
}

static void on_done(void *self, struct exchange *exchange, const struct http_outcome *outcome)
{
    struct host *host = self;

    (void)exchange;
    host->done++;
    host->last = *outcome;
}

static const struct http_handler handler = {
    .head = on_head, .body = on_body, .request = on_request, .done = on_done};

static void host_open(struct host *host, const struct http_limits *limits)
{
    struct why why = WHY_INIT;

    *host = (struct host){0};
    EXPECT(loop_open(NULL, &host->loop, &why) == ERR_NONE);
    host->server = http_server_new(&(struct http_server_options){
        .loop = host->loop, .handler = &handler, .self = host, .limits = limits});
    if (http_server_listen(host->server, STR("127.0.0.1:0"), NULL, &host->port, &why) != ERR_NONE)
        printf("# %s\n", why.text);
}

static void host_close(struct host *host)
{
    host->server = http_server_free(host->server);
    host->loop = loop_close(host->loop);
}

static struct http_stats stats_of(const struct host *host)
{
    struct http_stats stats;

    http_server_stats(host->server, &stats);
    return stats;
}

/* Asks, checks status and body, closes. */
static void expect_answer(struct host *host, struct str request, int status, const char *body)
{
    struct peer peer;
    struct str answer = peer_ask(&peer, host->loop, host->port, request);

    if (status_of(answer) != status)
        printf("# got: %.*s\n", STR_ARG(answer));
    EXPECT(status_of(answer) == status);
    EXPECT(body == NULL || str_eq(body_of(answer), str_of(body)));
    peer_close(&peer);
}

#define CLOSE "Host: a\r\nConnection: close\r\n"

/* ---- Connections. ---- */

TEST(a_connection_is_kept_and_requests_may_come_byte_by_byte)
{
    struct host host;
    struct str request = STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");

    host_open(&host, NULL);
    struct peer peer = peer_connect(host.loop, host.port);
    for (size_t times = 1; times <= 3; times++) {
        for (size_t i = 0; i < request.size; i++) {
            peer_send(&peer, (struct str){request.data + i, 1});
            turn(host.loop);
        }
        EXPECT(peer_awaits(&peer, "\r\n\r\nbody", times));
    }
    EXPECT(stats_of(&host).connections_accepted == 1);
    EXPECT(stats_of(&host).requests_2xx == 3);
    EXPECT(host.done == 3);
    EXPECT(host.last.status == 200 && host.last.body_bytes == 4);
    peer_close(&peer);
    host_close(&host);
}

TEST(pipelined_requests_are_answered_in_order)
{
    struct host host;
    struct buf requests = {0};

    host_open(&host, NULL);
    for (int i = 0; i < 1000; i++)
        buf_printf(&requests, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n<%03d>",
                   i);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, buf_view(&requests));
    EXPECT(peer_awaits(&peer, "<999>", 1));
    struct str rest = buf_view(&peer.in);
    for (int i = 0; i < 1000; i++) {
        char wanted[16];
        (void)snprintf(wanted, sizeof(wanted), "<%03d>", i);
        ptrdiff_t at = str_find_str(rest, str_of(wanted));
        ASSERT(at >= 0);
        rest = (struct str){rest.data + at, rest.size - (size_t)at};
    }
    EXPECT(host.requests == 1000);
    peer_close(&peer);
    buf_done(&requests);
    host_close(&host);
}

TEST(requests_behind_one_that_is_answered_later_wait_for_it)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("GET /keep?x=1 HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n"
                         "Host: a\r\n\r\n"));
    while (host.kept == NULL)
        turn(host.loop);
    turn(host.loop);
    EXPECT(host.requests == 1);
    EXPECT(str_eq(exchange_query(host.kept), STR("x=1")));
    EXPECT(!exchange_cancelled(host.kept));
    respond(host.kept, STR("first"));
    EXPECT(peer_awaits(&peer, "fine", 1));
    EXPECT(peer_awaits(&peer, "first", 1));
    EXPECT(str_find_str(buf_view(&peer.in), STR("first")) <
           str_find_str(buf_view(&peer.in), STR("fine")));
    peer_close(&peer);
    host_close(&host);
}

TEST(answering_after_the_peer_has_gone_is_harmless)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("GET /keep HTTP/1.1\r\nHost: a\r\nX-Mark: here\r\n\r\n"));
    while (host.kept == NULL)
        turn(host.loop);
    struct linger abort = {1, 0};
    EXPECT(setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)) == 0);
    peer_close(&peer);
    while (!exchange_cancelled(host.kept))
        turn(host.loop);
    EXPECT(str_eq(exchange_header(host.kept, STR("x-mark")), STR("here")));
    EXPECT(stats_of(&host).connections_open == 0);
    EXPECT(stats_of(&host).exchanges_open == 1);
    respond(host.kept, STR("nobody hears"));
    EXPECT(stats_of(&host).exchanges_open == 0);
    EXPECT(stats_of(&host).cancelled == 1);
    EXPECT(host.done == 1 && host.last.cancelled);
    host_close(&host);
}

TEST(a_server_freed_with_an_exchange_out_waits_for_it)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("GET /keep HTTP/1.1\r\nHost: a\r\n\r\n"));
    while (host.kept == NULL)
        turn(host.loop);
    host.server = http_server_free(host.server);
    EXPECT(exchange_cancelled(host.kept));
    respond(host.kept, STR("late"));
    EXPECT(host.done == 1);
    peer_close(&peer);
    host_close(&host);
}

TEST(http_1_0_is_spoken)
{
    struct host host;

    host_open(&host, NULL);
    expect_answer(&host, STR("GET / HTTP/1.0\r\n\r\n"), 200, "fine");
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    EXPECT(peer_awaits(&peer, "Connection: keep-alive\r\n", 1));
    peer_send(&peer, STR("GET /stream-out HTTP/1.0\r\n\r\n"));
    EXPECT(peer_awaits_eof(&peer)); /* Its length is told by the end. */
    EXPECT(str_find_str(buf_view(&peer.in), STR("chunked")) < 0);
    EXPECT(peer.in.size > STREAM_BYTES);
    peer_close(&peer);
    host_close(&host);
}

/* ---- Bodies. ---- */

TEST(bodies_come_whole_chunked_or_compressed)
{
    struct host host;

    host_open(&host, NULL);
    expect_answer(&host, STR("POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 3\r\n\r\nabc"), 200,
                  "abc");
    expect_answer(&host,
                  STR("POST /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"
                      "2\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n"),
                  200, "abc");
    struct http_gzip *gzip = http_gzip_new();
    struct buf packed = {0}, request = {0};
    http_gzip_compress(gzip, STR("abcabcabc"), &packed);
    buf_printf(&request,
               "POST /echo HTTP/1.1\r\n" CLOSE
               "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
               packed.size);
    buf_str(&request, buf_view(&packed));
    expect_answer(&host, buf_view(&request), 200, "abcabcabc");
    expect_answer(&host,
                  STR("POST /echo HTTP/1.1\r\n" CLOSE
                      "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
                  400, NULL);
    expect_answer(&host,
                  STR("POST /echo HTTP/1.1\r\n" CLOSE
                      "Content-Encoding: snappy\r\nContent-Length: 3\r\n\r\nabc"),
                  415, NULL);
    expect_answer(&host,
                  STR("POST /raw HTTP/1.1\r\n" CLOSE
                      "Content-Encoding: snappy\r\nContent-Length: 3\r\n\r\nabc"),
                  200, "fine");
    http_gzip_free(gzip);
    buf_done(&packed);
    buf_done(&request);
    host_close(&host);
}

TEST(a_long_body_arrives_as_it_was_sent)
{
    enum { SIZE = 3000000 };
    struct host host;
    struct buf request = {0};

    host_open(&host, NULL);
    buf_printf(&request, "POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: %d\r\n\r\n", SIZE);
    size_t head = request.size;
    for (int i = 0; i < SIZE; i++)
        buf_byte(&request, (uint8_t)(i * 7 + (i >> 8)));
    struct peer peer;
    struct str answer = peer_ask(&peer, host.loop, host.port, buf_view(&request));
    EXPECT(str_eq(body_of(answer), (struct str){request.data + head, SIZE}));
    EXPECT(stats_of(&host).bodies_bytes == 0);
    peer_close(&peer);
    buf_done(&request);
    host_close(&host);
}

TEST(a_streamed_body_is_handed_on_and_not_kept)
{
    enum { SIZE = 1000000 };
    struct host host;
    struct buf request = {0};
    struct http_limits limits = http_limits_default;

    limits.bodies_bytes_max = 1000; /* Would refuse it if it were kept. */
    host_open(&host, &limits);
    buf_printf(&request, "POST /stream-in HTTP/1.1\r\n" CLOSE "Content-Length: %d\r\n\r\n", SIZE);
    for (int i = 0; i < SIZE; i++)
        buf_byte(&request, 'x');
    expect_answer(&host, buf_view(&request), 200, "fine");
    EXPECT(host.body_seen == SIZE);
    EXPECT(host.body_pieces > 10);
    expect_answer(&host, STR("POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 2\r\n\r\nab"), 200,
                  "ab");
    buf_done(&request);
    host_close(&host);
}

TEST(a_body_over_its_limit_is_refused_before_it_is_read)
{
    struct host host;

    host_open(&host, NULL);
    expect_answer(&host, STR("POST /tiny HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"), 413,
                  "the body of 11 bytes is more than 10\n");
    expect_answer(&host,
                  STR("POST /tiny HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "b\r\n01234567890\r\n"),
                  413, "the body is more than 10 bytes\n");
    expect_answer(&host, STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n"),
                  413, NULL);
    EXPECT(stats_of(&host).bodies_refused == 3);
    EXPECT(host.requests == 0);
    host_close(&host);
}

TEST(an_answer_from_the_header_ends_the_connection_when_a_body_was_to_come)
{
    struct host host;

    host_open(&host, NULL);
    expect_answer(&host, STR("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), 200,
                  "no need");
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("GET /early HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT(peer_awaits(&peer, "no need", 1));
    peer_send(&peer, STR("GET /early HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT(peer_awaits(&peer, "no need", 2)); /* Without a body it is kept. */
    EXPECT(host.requests == 0 && host.done == 3);
    peer_close(&peer);
    host_close(&host);
}

TEST(who_asks_before_sending_is_told_to_continue)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                         "Content-Length: 4\r\n\r\n"));
    EXPECT(peer_awaits(&peer, "HTTP/1.1 100 Continue\r\n\r\n", 1));
    peer_send(&peer, STR("body"));
    EXPECT(peer_awaits(&peer, "\r\n\r\nbody", 1));
    peer_close(&peer);
    expect_answer(&host,
                  STR("POST /tiny HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                      "Content-Length: 40\r\n\r\n"),
                  413, NULL);
    host_close(&host);
}

/* ---- Answers. ---- */

TEST(head_has_the_header_and_no_body)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer;
    struct str answer =
        peer_ask(&peer, host.loop, host.port, STR("HEAD /long HTTP/1.1\r\n" CLOSE "\r\n"));
    EXPECT(status_of(answer) == 200);
    EXPECT(str_find_str(answer, STR("Content-Length: 5000\r\n")) > 0);
    EXPECT(body_of(answer).size == 0);
    peer_close(&peer);
    answer =
        peer_ask(&peer, host.loop, host.port, STR("HEAD /stream-out HTTP/1.1\r\n" CLOSE "\r\n"));
    EXPECT(status_of(answer) == 200);
    EXPECT(body_of(answer).size == 0);
    peer_close(&peer);
    host_close(&host);
}

TEST(what_the_peer_has_already_is_not_sent_again)
{
    struct host host;

    host_open(&host, NULL);
    expect_answer(&host, STR("GET /long HTTP/1.1\r\n" CLOSE "If-None-Match: W/\"long\"\r\n\r\n"),
                  304, "");
    expect_answer(&host, STR("GET /long HTTP/1.1\r\n" CLOSE "If-None-Match: \"other\"\r\n\r\n"),
                  200, NULL);
    expect_answer(&host, STR("GET /nothing HTTP/1.1\r\n" CLOSE "\r\n"), 204, "");
    host_close(&host);
}

TEST(long_text_is_compressed_for_those_who_ask)
{
    struct host host;
    struct buf plain = {0};
    struct why why = WHY_INIT;

    host_open(&host, NULL);
    struct peer peer;
    struct str answer = peer_ask(
        &peer, host.loop, host.port,
        STR("GET /long HTTP/1.1\r\n" CLOSE "Accept-Encoding: deflate, gzip;q=0.5\r\n\r\n"));
    EXPECT(str_find_str(answer, STR("Content-Encoding: gzip\r\n")) > 0);
    EXPECT(str_find_str(answer, STR("Vary: Accept-Encoding\r\n")) > 0);
    EXPECT(str_find_str(answer, STR("ETag: W/\"long\"\r\n")) > 0);
    EXPECT(body_of(answer).size < 200);
    EXPECT(http_decode_body(STR("gzip"), body_of(answer), 5000, &plain, &why) == ERR_NONE);
    EXPECT(str_eq(buf_view(&plain), (struct str){long_text, sizeof(long_text)}));
    peer_close(&peer);
    answer = peer_ask(&peer, host.loop, host.port,
                      STR("GET / HTTP/1.1\r\n" CLOSE "Accept-Encoding: gzip\r\n\r\n"));
    EXPECT(str_find_str(answer, STR("Content-Encoding")) < 0); /* Too short to gain. */
    peer_close(&peer);
    buf_done(&plain);
    host_close(&host);
}

TEST(a_header_that_would_break_the_message_is_left_out)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer;
    struct str answer =
        peer_ask(&peer, host.loop, host.port, STR("GET /headers HTTP/1.1\r\n" CLOSE "\r\n"));
    EXPECT(status_of(answer) == 201);
    EXPECT(str_find_str(answer, STR("X-Good: yes\r\n")) > 0);
    EXPECT(str_find_str(answer, STR("Set-Cookie")) < 0);
    EXPECT(str_find_str(answer, STR("Bad Name")) < 0);
    peer_close(&peer);
    host_close(&host);
}

TEST(a_stream_waits_for_a_slow_peer_and_arrives_whole)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("GET /stream-out HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (int i = 0; i < 20; i++)
        turn(host.loop); /* Nobody reads: the handler must have stopped writing. */
    EXPECT(host.left > 0);
    EXPECT(peer_awaits(&peer, "\r\n0\r\n\r\n", 1));
    EXPECT(host.left == 0);
    EXPECT(peer.in.size > STREAM_BYTES + STREAM_BYTES / 1000 * 7); /* "3e8" and line ends. */
    peer_send(&peer, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT(peer_awaits(&peer, "fine", 1));
    peer_close(&peer);
    host_close(&host);
}

TEST(a_stream_ends_when_its_peer_goes)
{
    struct host host;

    host_open(&host, NULL);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("GET /stream-out HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT(peer_awaits_bytes(&peer, 1000));
    peer_close(&peer);
    int64_t end_ns = clock_monotonic_ns() + PEER_PATIENCE_NS;
    while (host.done == 0 && clock_monotonic_ns() < end_ns)
        turn(host.loop);
    EXPECT(host.done == 1);
    EXPECT(stats_of(&host).exchanges_open == 0);
    host_close(&host);
}

TEST(a_handler_that_does_not_heed_the_queue_is_cut_off)
{
    struct host host;
    struct http_limits limits = http_limits_default;

    limits.queue_bytes_max = 100000;
    host_open(&host, &limits);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("GET /overflow HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT(peer_awaits_eof(&peer));
    EXPECT(stats_of(&host).queue_overflows == 1);
    EXPECT(stats_of(&host).connections_open == 0);
    peer_close(&peer);
    host_close(&host);
}

/* ---- Limits. ---- */

TEST(what_is_not_http_is_refused_and_counted)
{
    struct host host;

    host_open(&host, NULL);
    expect_answer(&host, STR("\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\n"), 400, NULL);
    expect_answer(&host, STR("GET / HTTP/1.1\nHost: a\n\n"), 400, "a line must end with CR LF\n");
    expect_answer(&host, STR("GET /../secret HTTP/1.1\r\n" CLOSE "\r\n"), 400, NULL);
    expect_answer(&host,
                  STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n"
                      "Host: a\r\n\r\n"),
                  400, "Content-Length and Transfer-Encoding exclude each other\n");
    EXPECT(stats_of(&host).parse_errors == 3);
    EXPECT(host.requests == 0);
    host_close(&host);
}

TEST(a_header_over_16_kib_is_refused)
{
    struct host host;
    struct buf request = {0};

    host_open(&host, NULL);
    buf_text(&request, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    while (request.size < 20000)
        buf_byte(&request, 'x');
    buf_text(&request, "\r\n\r\n");
    expect_answer(&host, buf_view(&request), 431, NULL);
    request.size = 16000;
    buf_text(&request, "\r\nConnection: close\r\n\r\n");
    expect_answer(&host, buf_view(&request), 200, "fine");
    buf_done(&request);
    host_close(&host);
}

TEST(peers_that_dawdle_are_told_so)
{
    struct host host;
    struct http_limits limits = http_limits_default;

    limits.head_ns_max = 50 * CLOCK_NS_PER_MS;
    limits.request_ns_max = 100 * CLOCK_NS_PER_MS;
    limits.idle_ns_max = 150 * CLOCK_NS_PER_MS;
    host_open(&host, &limits);
    expect_answer(&host, STR("GET / HTTP/1.1\r\nHo"), 408, "the header took too long to arrive\n");
    expect_answer(&host, STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"), 408,
                  "the request took too long to arrive\n");
    struct peer silent = peer_connect(host.loop, host.port);
    EXPECT(peer_awaits_eof(&silent));
    EXPECT(silent.in.size == 0);
    peer_close(&silent);
    EXPECT(stats_of(&host).connections_timed_out == 2);
    EXPECT(stats_of(&host).connections_idled_out == 1);
    host_close(&host);
}

TEST(a_peer_that_takes_nothing_is_closed)
{
    struct host host;
    struct http_limits limits = http_limits_default;

    limits.write_ns_max = 100 * CLOCK_NS_PER_MS;
    host_open(&host, &limits);
    struct peer peer = peer_connect(host.loop, host.port);
    peer_send(&peer, STR("GET /stream-out HTTP/1.1\r\nHost: a\r\n\r\n"));
    int64_t end_ns = clock_monotonic_ns() + PEER_PATIENCE_NS;
    while (host.done == 0 && clock_monotonic_ns() < end_ns)
        turn(host.loop);
    EXPECT(host.done == 1);
    EXPECT(stats_of(&host).connections_timed_out == 1);
    peer_close(&peer);
    host_close(&host);
}

TEST(connections_over_the_limit_are_told_to_come_back)
{
    struct host host;
    struct http_limits limits = http_limits_default;

    limits.connections_max = 2;
    host_open(&host, &limits);
    struct peer first = peer_connect(host.loop, host.port);
    struct peer second = peer_connect(host.loop, host.port);
    struct peer third = peer_connect(host.loop, host.port);
    EXPECT(peer_awaits(&third, "503 Service Unavailable\r\nRetry-After: 1", 1));
    EXPECT(peer_awaits_eof(&third));
    EXPECT(stats_of(&host).connections_refused == 1);
    peer_close(&third);
    peer_close(&first);
    while (stats_of(&host).connections_open == 2)
        turn(host.loop);
    expect_answer(&host, STR("GET / HTTP/1.1\r\n" CLOSE "\r\n"), 200, "fine");
    peer_close(&second);
    host_close(&host);
}

TEST(a_peer_is_told_so_when_no_file_is_left_and_the_next_is_served)
{
    struct host host;
    struct rlimit before;

    host_open(&host, NULL);
    ASSERT(getrlimit(RLIMIT_NOFILE, &before) == 0);
    struct peer unlucky = peer_connect(host.loop, host.port); /* Waits in the backlog. */
    int fillers[64]; /* Take the lowest free numbers, so that none is left below the last. */
    for (size_t i = 0; i < ARRAY_COUNT(fillers); i++)
        fillers[i] = dup(unlucky.fd);
    struct rlimit none_left = {(rlim_t)fillers[ARRAY_COUNT(fillers) - 1] + 1, before.rlim_max};
    ASSERT(setrlimit(RLIMIT_NOFILE, &none_left) == 0);
    EXPECT(peer_awaits(&unlucky, "503 Service Unavailable\r\nRetry-After: 1", 1));
    EXPECT(stats_of(&host).connections_refused_files == 1);
    for (size_t i = 0; i < ARRAY_COUNT(fillers); i++)
        close(fillers[i]);
    ASSERT(setrlimit(RLIMIT_NOFILE, &before) == 0);
    peer_close(&unlucky);
    expect_answer(&host, STR("GET / HTTP/1.1\r\n" CLOSE "\r\n"), 200, "fine");
    host_close(&host);
}

TEST(request_bodies_in_flight_are_bounded_together)
{
    struct host host;
    struct http_limits limits = http_limits_default;

    limits.bodies_bytes_max = 1000;
    host_open(&host, &limits);
    struct peer first = peer_connect(host.loop, host.port);
    struct buf request = {0};
    buf_text(&request, "POST /keep HTTP/1.1\r\nHost: a\r\nContent-Length: 700\r\n\r\n");
    for (int i = 0; i < 700; i++)
        buf_byte(&request, 'x');
    peer_send(&first, buf_view(&request));
    while (host.kept == NULL)
        turn(host.loop);
    struct peer second = peer_connect(host.loop, host.port);
    peer_send(&second, buf_view(&request));
    EXPECT(peer_awaits(&second, "HTTP/1.1 503", 1));
    EXPECT(peer_awaits(&second, "Retry-After: 1\r\n", 1));
    respond(host.kept, STR("done"));
    EXPECT(peer_awaits(&first, "done", 1));
    EXPECT(stats_of(&host).bodies_bytes == 0);
    peer_close(&first);
    peer_close(&second);
    buf_done(&request);
    host_close(&host);
}

/* ---- Listening and stopping. ---- */

TEST(addresses_that_cannot_be_listened_on_say_why)
{
    struct host host;
    struct why why = WHY_INIT;
    char taken[64];

    host_open(&host, NULL);
    (void)snprintf(taken, sizeof(taken), "127.0.0.1:%u", (unsigned)host.port);
    EXPECT(http_server_listen(host.server, str_of(taken), NULL, NULL, &why) == ERR_EXISTS);
    EXPECT(strstr(why.text, "is in use by another program") != NULL);
    EXPECT(why.hint[0] != '\0');
    static const char *const rows[] = {
        "",        "127.0.0.1",    "127.0.0.1:",  "127.0.0.1:99999", "127.0.0.1:x", "nonsense:80",
        "[::1:80", "1.2.3.4.5:80", "192.0.2.1:80"};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        EXPECT(http_server_listen(host.server, str_of(rows[i]), NULL, NULL, &why) == ERR_INVALID);
    uint16_t port = 0;
    EXPECT(http_server_listen(host.server, STR("localhost:0"), NULL, &port, &why) == ERR_NONE);
    EXPECT(port != 0);
    host_close(&host);
}

static void note_stop(void *self)
{
    ((struct host *)self)->stopped = true;
}

TEST(stopping_lets_what_is_in_flight_finish)
{
    struct host host;

    host_open(&host, NULL);
    struct peer idle = peer_connect(host.loop, host.port);
    struct peer busy = peer_connect(host.loop, host.port);
    peer_send(&busy, STR("GET /keep HTTP/1.1\r\nHost: a\r\n\r\n"));
    while (host.kept == NULL)
        turn(host.loop);
    http_server_stop(host.server, loop_now_ns(host.loop) + PEER_PATIENCE_NS, note_stop, &host);
    EXPECT(peer_awaits_eof(&idle));
    EXPECT(!host.stopped);
    respond(host.kept, STR("finished"));
    EXPECT(peer_awaits(&busy, "Connection: close\r\n", 1));
    EXPECT(peer_awaits(&busy, "finished", 1));
    EXPECT(peer_awaits_eof(&busy));
    for (int i = 0; i < 10 && !host.stopped; i++)
        turn(host.loop);
    EXPECT(host.stopped);
    peer_close(&idle);
    peer_close(&busy);
    host_close(&host);
}

TEST(stopping_does_not_wait_for_ever)
{
    struct host host;

    host_open(&host, NULL);
    struct peer busy = peer_connect(host.loop, host.port);
    peer_send(&busy, STR("GET /keep HTTP/1.1\r\nHost: a\r\n\r\n"));
    while (host.kept == NULL)
        turn(host.loop);
    http_server_stop(host.server, loop_now_ns(host.loop) + 20 * CLOCK_NS_PER_MS, note_stop, &host);
    EXPECT(peer_awaits_eof(&busy));
    EXPECT(host.stopped);
    EXPECT(exchange_cancelled(host.kept));
    respond(host.kept, STR("too late"));
    peer_close(&busy);
    host_close(&host);
}

TEST_MAIN
