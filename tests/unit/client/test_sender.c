/* SPDX-License-Identifier: Apache-2.0 */
/* The sender against servers of a few lines: what arrives is what was recorded, and no server,
 * dead, silent or mad, is noticed by the program. */
#include "codec/otlp.h"
#include "codec/otlp_metrics.h"
#include "sketch/quantile.h"
#include "sonde/sonde.h"
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BODIES_MAX = 64 };

/* Reads requests one after the other and answers each with `answer`; an empty answer closes. */
struct server {
    int fd;
    int port;
    pthread_t thread;
    pthread_mutex_t lock;
    const char *answer;
    atomic_bool silent;
    atomic_int delay_us; /* Before each answer. */
    struct buf bodies[BODIES_MAX];
    bool is_traces[BODIES_MAX];
    size_t count;
};

static bool read_request(int fd, struct buf *request, size_t *ret_head_size)
{
    for (;;) {
        char *end = request->size == 0 ? NULL : strstr(buf_cstr(request), "\r\n\r\n");
        if (end != NULL) {
            *ret_head_size = (size_t)(end - request->data) + 4;
            const char *length = strstr(request->data, "Content-Length: ");
            size_t wanted = *ret_head_size + strtoul(length + 16, NULL, 10);
            if (request->size >= wanted)
                return true;
        }
        char *place = buf_reserve(request, 65536);
        ssize_t size = recv(fd, place, 65536, 0);
        if (size <= 0)
            return false;
        request->size += (size_t)size;
    }
}

static void keep_body(struct server *server, const struct buf *request, size_t head_size)
{
    (void)pthread_mutex_lock(&server->lock); /* Ours alone; cannot fail. */
    if (server->count < BODIES_MAX) {
        server->is_traces[server->count] = strncmp(request->data, "POST /v1/traces ", 16) == 0;
        buf_append(&server->bodies[server->count++], request->data + head_size,
                   request->size - head_size);
    }
    (void)pthread_mutex_unlock(&server->lock); /* Locked above. */
}

static void *serve(void *argument)
{
    struct server *server = argument;

    for (;;) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        for (;;) {
            struct buf request CLEANUP(buf_done) = {0};
            size_t head_size;
            if (!read_request(fd, &request, &head_size))
                break;
            if (atomic_load(&server->silent))
                continue;
            (void)usleep((useconds_t)atomic_load(&server->delay_us)); /* Shorter does no harm. */
            (void)pthread_mutex_lock(&server->lock);                  /* Ours alone; cannot fail. */
            const char *answer = server->answer;
            (void)pthread_mutex_unlock(&server->lock); /* Locked above. */
            if (strstr(answer, " 200 ") != NULL)
                keep_body(server, &request, head_size);
            (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL); /* Else the sender complains. */
            if (strstr(answer, "Content-Length") == NULL)
                break;
        }
        (void)close(fd); /* Nothing more is wanted of it. */
    }
}

static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static void server_start(struct server *server, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    *server = (struct server){.answer = answer};
    (void)pthread_mutex_init(&server->lock, NULL); /* Cannot fail. */
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(server->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    MUST(listen(server->fd, 16) == 0);
    MUST(getsockname(server->fd, (struct sockaddr *)&address, &size) == 0);
    server->port = ntohs(address.sin_port);
    MUST(pthread_create(&server->thread, NULL, serve, server) == 0);
}

static void server_answer(struct server *server, const char *answer)
{
    (void)pthread_mutex_lock(&server->lock); /* Ours alone; cannot fail. */
    server->answer = answer;
    (void)pthread_mutex_unlock(&server->lock); /* Locked above. */
}

/* Call when the sender is closed, so that its connection is. */
static void server_stop(struct server *server)
{
    (void)shutdown(server->fd, SHUT_RDWR); /* Wakes accept. */
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd); /* Nothing more is wanted of it. */
    for (size_t i = 0; i < server->count; i++)
        buf_done(&server->bodies[i]);
}

static struct sonde *opened(int port)
{
    char endpoint[64];
    struct sonde_options options;

    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", port); /* Fits. */
    sonde_options_init(&options);
    options.service_name = "shop";
    options.endpoint = endpoint;
    return sonde_open(&options);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail with this clock. */
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- What arrives. ---- */

static struct batch *spans_of(const struct server *server)
{
    struct batch *batch = batch_new("default", "test", 16 << 20);
    struct why why;

    for (size_t i = 0; i < server->count; i++) {
        if (server->is_traces[i])
            EXPECT(otlp_read_traces(buf_view(&server->bodies[i]), batch, &why) == ERR_NONE);
    }
    return batch;
}

static struct batch *metrics_of(const struct server *server, struct otlp_metrics *metrics)
{
    struct batch *batch = batch_new("default", "test", 64 << 20);
    struct why why;

    for (size_t i = 0; i < server->count; i++) {
        if (!server->is_traces[i])
            EXPECT(otlp_read_metrics(metrics, buf_view(&server->bodies[i]), batch, &why) ==
                   ERR_NONE);
    }
    EXPECT(batch->rejected_count == 0);
    return batch;
}

static bool has(const struct labels *labels, const char *name, const char *value)
{
    return str_eq(labels_get(labels, str_of(name)), str_of(value));
}

/* The last value told of a series; -1: none. */
static double last_of(const struct batch *batch, const char *name, const char *label,
                      const char *value)
{
    double last = -1;

    for (size_t i = 0; i < batch->samples.count; i++) {
        const struct sample *sample = &batch->samples.items[i];
        if (has(sample->labels, "__name__", name) &&
            (label == NULL || has(sample->labels, label, value)))
            last = sample->value;
    }
    return last;
}

TEST(spans_arrive_as_they_were)
{
    struct server server;
    struct sonde_context from_outside;

    server_start(&server, OK);
    struct sonde *sonde = opened(server.port);
    ASSERT(sonde_context_read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                              &from_outside));
    struct sonde_span span;
    sonde_span_begin(&span, sonde, "GET /items", SONDE_SERVER, &from_outside);
    sonde_span_note(&span, "http.route", "/items");
    sonde_span_note_integer(&span, "size", -5);
    sonde_span_note_number(&span, "share", 0.5);
    sonde_span_note_bool(&span, "cached", true);
    sonde_span_fail(&span, "no such item");
    (void)sonde_span_end(&span); /* Only recorded. */
    EXPECT(sonde_flush(sonde, 10000));
    sonde_close(sonde);

    struct batch *batch = spans_of(&server);
    ASSERT(batch->spans.count == 1);
    const struct span *got = &batch->spans.items[0];
    EXPECT(str_eq(got->name, STR("GET /items")) && got->kind == SPAN_KIND_SERVER);
    EXPECT(memcmp(got->trace_id, from_outside.trace_id, 16) == 0);
    EXPECT(memcmp(got->parent_span_id, from_outside.span_id, 8) == 0);
    EXPECT(memcmp(got->span_id, span.context.span_id, 8) == 0);
    EXPECT(got->status == SPAN_STATUS_ERROR && str_eq(got->status_message, STR("no such item")));
    EXPECT(got->end_ns > got->start_ns && got->flags == 1);
    EXPECT(str_eq(got->resource->service_name, STR("shop")));
    ASSERT(got->attributes.count == 4);
    EXPECT(attributes_get(&got->attributes, STR("size"))->integer == -5);
    EXPECT(attributes_get(&got->attributes, STR("share"))->number == 0.5);
    EXPECT(attributes_get(&got->attributes, STR("cached"))->boolean);
    batch_free(batch);
    server_stop(&server);
}

TEST(a_model_call_arrives_with_all_that_is_known)
{
    struct server server;
    struct why why;

    server_start(&server, OK);
    struct sonde *sonde = opened(server.port);
    struct sonde_llm_call call = SONDE_LLM_CALL_INIT;
    call.backend = "openai";
    call.model = "gpt-4o";
    call.session_id = "s-7";
    call.duration_ns = 1500000000;
    call.first_token_ns = 250000000;
    call.input_tokens = 1200;
    call.output_tokens = 0;
    call.error_type = "rate_limit";
    call.retries = 2;
    call.network_ns = 30000000;
    call.processing_ns = 1470000000;
    call.cost_nano_usd = 12345678;
    call.circuit_open = call.streamed = true;
    sonde_llm_record(sonde, &call, NULL);
    EXPECT(sonde_flush(sonde, 10000));
    sonde_close(sonde);

    struct batch *batch = spans_of(&server);
    ASSERT(batch->spans.count == 1);
    const struct span *span = &batch->spans.items[0];
    const struct llm_call *llm = NULL;
    ASSERT(otlp_llm_read(span, batch->arena, &llm, &why) == ERR_NONE && llm != NULL);
    EXPECT(str_eq(span->name, STR("chat gpt-4o")) && span->kind == SPAN_KIND_CLIENT);
    EXPECT(span->end_ns - span->start_ns == 1500000000 && span->status == SPAN_STATUS_ERROR);
    EXPECT(str_eq(llm->provider, STR("openai")) && str_eq(llm->conversation_id, STR("s-7")));
    EXPECT(llm->input_tokens == 1200 && llm->output_tokens == 0);
    EXPECT(llm->cache_read_tokens == LLM_MISSING && llm->time_to_first_chunk_ns == 250000000);
    EXPECT(str_eq(llm->error_type, STR("rate_limit")) && llm->retry_count == 2);
    EXPECT(llm->network_ns == 30000000 && llm->processing_ns == 1470000000);
    EXPECT(llm->cost_nano_usd == 12345678 && llm->circuit_open && llm->streamed);
    batch_free(batch);
    server_stop(&server);
}

TEST(statistics_arrive_and_merge_to_the_same_quantiles)
{
    struct server server;

    server_start(&server, OK);
    struct sonde *sonde = opened(server.port);
    struct sonde_operation *operation = sonde_operation(sonde, "retrieval");
    for (int i = 1; i <= 2000; i++) {
        sonde_record(operation, i * INT64_C(100000), i % 100 == 0);
        if (i % 500 == 0)
            EXPECT(sonde_flush(sonde, 10000));
    }
    sonde_count_add(sonde_counter(sonde, "items"), 7);
    sonde_gauge_set(sonde_gauge(sonde, "queue"), 2.5);
    double p50_ms = sonde_quantile_ms(operation, 0.5);
    double p99_ms = sonde_quantile_ms(operation, 0.99);
    sonde_close(sonde);

    struct otlp_metrics *metrics = otlp_metrics_new(16 << 20);
    struct batch *batch = metrics_of(&server, metrics);
    EXPECT(last_of(batch, "sonde_operation_calls_total", "outcome", "ok") == 1980);
    EXPECT(last_of(batch, "sonde_operation_calls_total", "outcome", "error") == 20);
    EXPECT(last_of(batch, "items_total", NULL, NULL) == 7);
    EXPECT(last_of(batch, "queue", NULL, NULL) == 2.5);
    EXPECT(last_of(batch, "sonde_client_dropped_total", "reason", "spans") == 0);
    struct quantile *all = quantile_new(0, 0);
    for (size_t i = 0; i < batch->sketches.count; i++) {
        const struct sketch_sample *sample = &batch->sketches.items[i];
        struct quantile *one = NULL;
        struct why why;
        EXPECT(has(sample->labels, "job", "shop") && has(sample->labels, "operation", "retrieval"));
        EXPECT(has(sample->labels, "__name__", "sonde_operation_duration_seconds"));
        ASSERT(quantile_read(sample->sketch, &one, &why) == ERR_NONE);
        quantile_merge(all, one);
        quantile_free(one);
    }
    EXPECT(quantile_count(all) == 2000);
    EXPECT_NEAR(quantile_sum(all), 200.1, 1e-6);
    EXPECT_NEAR(quantile_at(all, 0.5) * 1e3, p50_ms, p50_ms * 0.012);
    EXPECT_NEAR(quantile_at(all, 0.99) * 1e3, p99_ms, p99_ms * 0.012);
    quantile_free(all);
    batch_free(batch);
    otlp_metrics_free(metrics);
    server_stop(&server);
}

/* ---- When the daemon is away. ---- */

TEST(nothing_is_lost_while_the_daemon_says_later)
{
    struct server server;
    struct sonde_delivery delivery;

    server_start(&server, "HTTP/1.1 503 Later\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\nno");
    struct sonde *sonde = opened(server.port);
    for (int i = 0; i < 10; i++) {
        struct sonde_span span;
        sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
        (void)sonde_span_end(&span); /* Only recorded. */
        if (i == 4)
            EXPECT(!sonde_flush(sonde, 10000));
    }
    sonde_read_delivery(sonde, &delivery);
    EXPECT(delivery.is_away && delivery.posts_failed > 0 && delivery.spans_waiting == 10);
    EXPECT(strstr(delivery.last_error, "answered 503") != NULL);
    server_answer(&server, OK);
    EXPECT(sonde_flush(sonde, 10000));
    sonde_read_delivery(sonde, &delivery);
    EXPECT(!delivery.is_away && delivery.spans_waiting == 0 && delivery.spans_sent == 10);
    sonde_close(sonde);

    struct otlp_metrics *metrics = otlp_metrics_new(16 << 20);
    struct batch *batch = metrics_of(&server, metrics);
    EXPECT(last_of(batch, "sonde_operation_calls_total", "outcome", "ok") == 10);
    batch_free(batch);
    otlp_metrics_free(metrics);
    server_stop(&server);
}

struct busy {
    struct sonde *sonde;
    atomic_bool stop;
};

static void *end_spans(void *argument)
{
    struct busy *busy = argument;

    while (!atomic_load(&busy->stop)) {
        struct sonde_span span;
        sonde_span_begin(&span, busy->sonde, "busy", SONDE_INTERNAL, NULL);
        (void)usleep(1000);          /* Shorter does no harm. */
        (void)sonde_span_end(&span); /* Only recorded. */
    }
    return NULL;
}

static bool has_metrics(struct server *server)
{
    bool found = false;

    (void)pthread_mutex_lock(&server->lock); /* Ours alone; cannot fail. */
    for (size_t i = 0; i < server->count; i++)
        found |= !server->is_traces[i];
    (void)pthread_mutex_unlock(&server->lock); /* Locked above. */
    return found;
}

TEST(statistics_do_not_wait_for_a_busy_program_to_pause)
{
    struct server server;
    pthread_t thread;

    server_start(&server, OK);
    atomic_store(&server.delay_us, 50000); /* There are new spans at the end of each post. */
    struct busy busy = {.sonde = opened(server.port)};
    ASSERT(pthread_create(&thread, NULL, end_spans, &busy) == 0);
    for (int64_t end_ms = now_ms() + 5000; now_ms() < end_ms && !has_metrics(&server);)
        (void)usleep(10000); /* Shorter does no harm. */
    EXPECT(has_metrics(&server));
    atomic_store(&busy.stop, true);
    EXPECT(pthread_join(thread, NULL) == 0);
    sonde_close(busy.sonde);
    server_stop(&server);
}

TEST(what_the_daemon_refuses_is_given_up_and_counted)
{
    struct server server;
    struct sonde_delivery delivery;
    struct sonde_span span;

    server_start(&server, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
    struct sonde *sonde = opened(server.port);
    sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
    (void)sonde_span_end(&span); /* Only recorded. */
    EXPECT(!sonde_flush(sonde, 10000));
    sonde_read_delivery(sonde, &delivery);
    EXPECT(delivery.spans_dropped == 1 && delivery.spans_waiting == 0);
    sonde_close(sonde);
    server_stop(&server);
}

TEST(a_connection_that_was_closed_meanwhile_is_made_anew)
{
    struct server server;
    struct sonde_delivery delivery;

    server_start(&server, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    struct sonde *sonde = opened(server.port);
    for (int i = 0; i < 3; i++) {
        sonde_record(sonde_operation(sonde, "x"), 1000, false);
        EXPECT(sonde_flush(sonde, 10000));
    }
    sonde_read_delivery(sonde, &delivery);
    EXPECT(delivery.posts_failed == 0);
    sonde_close(sonde);
    server_stop(&server);
}

TEST(a_silent_server_holds_nobody_up)
{
    struct server server;

    server_start(&server, OK);
    atomic_store(&server.silent, true);
    struct sonde *sonde = opened(server.port);
    struct sonde_span span;
    int64_t start_ms = now_ms();
    sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
    (void)sonde_span_end(&span); /* Only recorded. */
    EXPECT(!sonde_flush(sonde, 50));
    EXPECT(now_ms() - start_ms < 2000);
    start_ms = now_ms();
    sonde_close(sonde);
    EXPECT(now_ms() - start_ms < 4000);
    server_stop(&server);
}

TEST(mad_answers_are_survived)
{
    static const char *const answers[] = {
        "",
        "\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 99 x\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 503 x\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct server server;
        server_start(&server, answers[i]);
        struct sonde *sonde = opened(server.port);
        sonde_record(sonde_operation(sonde, "x"), 1000, false);
        (void)sonde_flush(sonde, 3000); /* Whatever came of it. */
        sonde_close(sonde);
        server_stop(&server);
    }
}

TEST(an_endpoint_that_is_none_is_told_and_harmless)
{
    static const char *const endpoints[] = {"https://h:1", "http://",        "http://:1",
                                            "http://h:0",  "http://h:99999", "http://h:1/a b",
                                            "http://[::1"};
    struct sonde_delivery delivery;
    struct sonde_options options;

    sonde_options_init(&options);
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        options.endpoint = endpoints[i];
        struct sonde *sonde = sonde_open(&options);
        ASSERT(sonde != NULL);
        sonde_record(sonde_operation(sonde, "x"), 1000, false);
        EXPECT(!sonde_flush(sonde, 1000));
        sonde_read_delivery(sonde, &delivery);
        EXPECT(delivery.is_away && delivery.last_error[0] != '\0');
        sonde_close(sonde);
    }
}

TEST(no_descriptor_goes_to_children)
{
    struct server server;

    server_start(&server, OK);
    struct sonde *sonde = opened(server.port);
    sonde_record(sonde_operation(sonde, "x"), 1000, false);
    EXPECT(sonde_flush(sonde, 10000));
    FILE *listing = popen("ls -l /proc/self/fd | grep -c socket:", "re");
    char text[16] = "";
    ASSERT(listing != NULL);
    EXPECT(fgets(text, sizeof(text), listing) != NULL);
    EXPECT(pclose(listing) >= 0);
    EXPECT_TEXT(text, "0\n");
    sonde_close(sonde);
    server_stop(&server);
}

TEST(a_reset_begins_to_count_anew)
{
    struct server server;

    server_start(&server, OK);
    struct sonde *sonde = opened(server.port);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5 + 5 * round; i++)
            sonde_record(sonde_operation(sonde, "x"), 1000000, false);
        EXPECT(sonde_flush(sonde, 10000));
        sonde_reset(sonde);
    }
    sonde_close(sonde);
    struct otlp_metrics *metrics = otlp_metrics_new(16 << 20);
    struct batch *batch = metrics_of(&server, metrics);
    EXPECT(last_of(batch, "sonde_operation_calls_total", "outcome", "ok") == 10);
    EXPECT(batch->sketches.count == 2);
    batch_free(batch);
    otlp_metrics_free(metrics);
    server_stop(&server);
}

TEST_MAIN
