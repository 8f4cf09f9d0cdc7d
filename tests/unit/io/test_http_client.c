/* SPDX-License-Identifier: Apache-2.0 */
/* Client and server share one loop here, so nothing waits for another thread. */
#include "http_peer.h"

#include "io/http_client.h"

struct host {
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    uint16_t port;
    struct exchange *kept;
};

struct seen {
    int times;
    enum err err;
    char text[WHY_TEXT_SIZE];
    int status;
    struct buf body;
    struct buf mark; /* The header X-Mark. */
};

static char long_text[100000];

static void on_request(void *self, struct exchange *exchange)
{
    struct host *host = self;
    struct str path = exchange_path(exchange);
    const struct http_header headers[] = {{STR("X-Mark"), STR("here  and there")}};
    struct http_response response = {.content_type = STR("text/plain"),
                                     .headers = headers,
                                     .headers_count = 1,
                                     .static_body = STR("hello")};
    struct buf body = {0};

    if (str_eq(path, STR("/keep"))) {
        if (host->kept != NULL) /* One is enough. */
            exchange_respond(exchange, &response);
        else
            host->kept = exchange;
        return;
    }
    if (str_eq(path, STR("/echo"))) {
        struct str method = exchange_method_text(exchange);
        struct str token = exchange_header(exchange, STR("x-token"));
        struct str sent = exchange_body(exchange);
        buf_printf(&body, "%.*s %.*s %.*s", STR_ARG(method), STR_ARG(token), STR_ARG(sent));
        response.body = &body;
    } else if (str_eq(path, STR("/long"))) {
        response.static_body = (struct str){long_text, sizeof(long_text)};
    } else if (str_eq(path, STR("/missing"))) {
        response.status = 404;
    }
    exchange_respond(exchange, &response);
}

static const struct http_handler handler = {.request = on_request};

static void host_open(struct host *host)
{
    struct why why = WHY_INIT;

    *host = (struct host){0};
    memset(long_text, 'x', sizeof(long_text));
    EXPECT(loop_open(NULL, &host->loop, &why) == ERR_NONE);
    host->server = http_server_new(
        &(struct http_server_options){.loop = host->loop, .handler = &handler, .self = host});
    EXPECT(http_server_listen(host->server, STR("127.0.0.1:0"), NULL, &host->port, &why) ==
           ERR_NONE);
    host->client = http_client_new(host->loop);
}

static void host_close(struct host *host)
{
    EXPECT(http_client_free(host->client) == NULL);
    http_server_free(host->server);
    loop_close(host->loop);
}

static void finished(void *self, const struct http_reply *reply)
{
    struct seen *seen = self;

    seen->times++;
    seen->err = reply->err;
    seen->status = reply->status;
    memcpy(seen->text, reply->why->text, sizeof(seen->text));
    buf_str(&seen->body, reply->body);
    for (size_t i = 0; i < reply->headers_count; i++) {
        if (str_eq_nocase(reply->headers[i].name, STR("x-mark")))
            buf_str(&seen->mark, reply->headers[i].value);
    }
}

static void seen_done(struct seen *seen)
{
    buf_done(&seen->body);
    buf_done(&seen->mark);
}

static void await(struct host *host, const struct seen *seen)
{
    int64_t end_ns = clock_monotonic_ns() + 2 * PEER_PATIENCE_NS;

    while (seen->times == 0 && clock_monotonic_ns() < end_ns)
        turn(host->loop);
    EXPECT(seen->times == 1);
}

/* One call to a path of the host, to its end. */
static struct seen call(struct host *host, const char *path, struct http_call_options options)
{
    struct seen seen = {0};
    struct why why = WHY_INIT;
    char url[128];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", (unsigned)host->port, path);
    options.url = url;
    enum err err = http_client_send(host->client, &options, finished, &seen, NULL, &why);
    if (err != ERR_NONE)
        printf("# %s\n", why.text);
    EXPECT(err == ERR_NONE);
    EXPECT(seen.times == 0); /* Later, never from within. */
    await(host, &seen);
    return seen;
}

TEST(a_get_brings_status_headers_and_body)
{
    struct host host;

    host_open(&host);
    struct seen seen = call(&host, "/", (struct http_call_options){0});
    EXPECT(seen.err == ERR_NONE && seen.status == 200);
    EXPECT(str_eq(buf_view(&seen.body), STR("hello")));
    EXPECT(str_eq(buf_view(&seen.mark), STR("here  and there")));
    seen_done(&seen);
    seen = call(&host, "/missing", (struct http_call_options){0});
    EXPECT(seen.err == ERR_NONE && seen.status == 404);
    seen_done(&seen);
    seen = call(&host, "/", (struct http_call_options){.method = "HEAD"});
    EXPECT(seen.err == ERR_NONE && seen.status == 200 && seen.body.size == 0);
    seen_done(&seen);
    host_close(&host);
}

TEST(method_headers_and_body_are_sent)
{
    struct host host;
    const struct http_header headers[] = {{STR("X-Token"), STR("abc")}};
    struct buf body = {0};

    host_open(&host);
    buf_text(&body, "payload");
    struct seen seen =
        call(&host, "/echo",
             (struct http_call_options){.headers = headers, .headers_count = 1, .body = &body});
    EXPECT(body.size == 0 && body.data == NULL); /* Moved. */
    EXPECT(str_eq(buf_view(&seen.body), STR("POST abc payload")));
    seen_done(&seen);
    seen = call(&host, "/echo", (struct http_call_options){.method = "PUT", .body = &body});
    EXPECT(str_eq(buf_view(&seen.body), STR("PUT  ")));
    seen_done(&seen);
    host_close(&host);
}

TEST(connections_are_used_again)
{
    struct host host;
    struct http_stats stats;

    host_open(&host);
    for (int i = 0; i < 5; i++) {
        struct seen seen = call(&host, "/", (struct http_call_options){0});
        EXPECT(seen.status == 200);
        seen_done(&seen);
    }
    http_server_stats(host.server, &stats);
    EXPECT(stats.connections_accepted == 1);
    host_close(&host);
}

TEST(an_answer_over_its_bound_is_an_error_even_when_it_came_compressed)
{
    struct host host;

    host_open(&host);
    struct seen seen =
        call(&host, "/long", (struct http_call_options){.response_bytes_max = 99999});
    EXPECT(seen.err == ERR_TOO_LARGE);
    EXPECT_TEXT(seen.text, "the answer is more than 99999 bytes");
    seen_done(&seen);
    seen = call(&host, "/long", (struct http_call_options){.response_bytes_max = 100000});
    EXPECT(seen.err == ERR_NONE && seen.body.size == 100000);
    seen_done(&seen);
    host_close(&host);
}

TEST(an_answer_that_does_not_come_times_out)
{
    struct host host;

    host_open(&host);
    struct seen seen =
        call(&host, "/keep", (struct http_call_options){.timeout_ns = 100 * CLOCK_NS_PER_MS});
    EXPECT(seen.err == ERR_TIMEOUT);
    EXPECT(host.kept != NULL);
    exchange_respond(host.kept, &(struct http_response){.static_body = STR("late")});
    seen_done(&seen);
    host_close(&host);
}

TEST(a_port_where_nobody_listens_is_the_other_sides_failure)
{
    struct host host;

    host_open(&host);
    uint16_t port = host.port;
    http_server_free(host.server);
    host.server = NULL;
    host.port = port;
    struct seen seen = call(&host, "/", (struct http_call_options){0});
    EXPECT(seen.err == ERR_UPSTREAM && seen.status == 0);
    EXPECT(strstr(seen.text, "onnect") != NULL);
    seen_done(&seen);
    host_close(&host);
}

TEST(what_cannot_be_sent_is_refused_at_once)
{
    struct host host;
    struct why why = WHY_INIT;
    const struct http_header broken = {STR("X"), STR("a\r\nb: c")};
    static const char *const urls[] = {"",          "file:///etc/passwd", "ftp://host/",
                                       "localhost", "http://a b/",        "http://a/\r\nX: y"};

    host_open(&host);
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++)
        EXPECT(http_client_send(host.client, &(struct http_call_options){.url = urls[i]}, finished,
                                NULL, NULL, &why) == ERR_INVALID);
    EXPECT(http_client_send(host.client,
                            &(struct http_call_options){
                                .url = "http://a/", .headers = &broken, .headers_count = 1},
                            finished, NULL, NULL, &why) == ERR_INVALID);
    EXPECT(http_client_send(host.client,
                            &(struct http_call_options){.url = "http://a/", .method = "G T"},
                            finished, NULL, NULL, &why) == ERR_INVALID);
    EXPECT(http_client_pending(host.client) == 0);
    host_close(&host);
}

TEST(a_cancelled_call_is_not_heard_of_again)
{
    struct host host;
    struct seen seen = {0};
    struct http_call *one;
    struct why why = WHY_INIT;
    char url[128];

    host_open(&host);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/keep", (unsigned)host.port);
    EXPECT(http_client_send(host.client, &(struct http_call_options){.url = url}, finished, &seen,
                            &one, &why) == ERR_NONE);
    while (host.kept == NULL)
        turn(host.loop);
    EXPECT(http_client_send(host.client, &(struct http_call_options){.url = url}, finished, &seen,
                            NULL, &why) == ERR_NONE);
    http_call_cancel(one);
    EXPECT(http_client_pending(host.client) == 1);
    host.client = http_client_free(host.client); /* Drops the other one. */
    for (int i = 0; i < 20; i++)
        turn(host.loop);
    EXPECT(seen.times == 0);
    exchange_respond(host.kept, &(struct http_response){.static_body = STR("late")});
    host_close(&host);
}

TEST_MAIN
