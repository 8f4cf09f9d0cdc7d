/* SPDX-License-Identifier: Apache-2.0 */
/* Context in and out, and what becomes of a span, as far as it shows without a daemon. */
#include "client/sender.h"
#include "codec/protobuf.h"
#include "test.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

/* With an endpoint where nobody listens: spans wait in the ring. */
static struct sonde *opened(double sample_ratio)
{
    struct sonde_options options;

    sonde_options_init(&options);
    options.service_name = "test";
    options.endpoint = "http://127.0.0.1:9";
    options.sample_ratio = sample_ratio;
    return sonde_open(&options);
}

TEST(a_context_comes_out_as_it_went_in)
{
    struct sonde_context context;
    char text[SONDE_TRACEPARENT_SIZE];

    ASSERT(sonde_context_read(TEXT, &context));
    EXPECT(context.trace_id[0] == 0x4b && context.span_id[7] == 0xb7 && context.flags == 1);
    sonde_context_write(&context, text);
    EXPECT_TEXT(text, TEXT);
}

TEST(what_is_no_traceparent_is_nowhere)
{
    static const char *const wrong[] = {
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        TEXT "-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
    };
    struct sonde_context context;
    char text[SONDE_TRACEPARENT_SIZE] = "x";

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        EXPECT(!sonde_context_read(wrong[i], &context) && client_is_nowhere(&context));
    EXPECT(!sonde_context_read(NULL, &context) && !sonde_context_read(TEXT, NULL));
    sonde_context_write(&context, text);
    EXPECT_TEXT(text, "");
    /* A version to come may say more behind it. */
    EXPECT(sonde_context_read("42-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                              &context));
}

TEST(spans_of_a_thread_are_children_of_what_it_works_for)
{
    struct sonde *sonde = opened(1);
    struct sonde_context from_outside;

    ASSERT(sonde_context_read(TEXT, &from_outside));
    struct sonde_context before = sonde_use(&from_outside);
    EXPECT(client_is_nowhere(&before));
    {
        SONDE_SPAN_SCOPE(outer, sonde, "outer");
        EXPECT(memcmp(&outer.span.parent, &from_outside, sizeof(from_outside)) == 0);
        EXPECT(memcmp(outer.span.context.trace_id, from_outside.trace_id, 16) == 0);
        {
            SONDE_SPAN_SCOPE(inner, sonde, "inner");
            EXPECT(memcmp(&inner.span.parent, &outer.span.context, sizeof(before)) == 0);
        }
        struct sonde_context now = sonde_current();
        EXPECT(memcmp(&now, &outer.span.context, sizeof(now)) == 0);
    }
    struct sonde_context after = sonde_use(NULL);
    EXPECT(memcmp(&after, &from_outside, sizeof(after)) == 0);
    sonde_close(sonde);
}

TEST(spans_are_timers_too)
{
    struct sonde *sonde = opened(1);
    struct sonde_span span;
    struct sonde_stats stats;

    sonde_span_begin(&span, sonde, "early", SONDE_SERVER, NULL);
    sonde_span_fail(&span, "no room");
    sonde_span_rename(&span, "late");
    EXPECT(sonde_span_end(&span) > 0);
    EXPECT(sonde_span_end(&span) == 0);
    EXPECT(!sonde_operation_stats(sonde_operation(sonde, "early"), &stats));
    EXPECT(sonde_operation_stats(sonde_operation(sonde, "late"), &stats) && stats.failures == 1);
    EXPECT(client_ring_at(&sonde->sender->ring, 0) != NULL);
    EXPECT(client_ring_at(&sonde->sender->ring, 1) == NULL);
    sonde_close(sonde);
}

TEST(null_and_disabled_pass_contexts_on_and_record_nothing)
{
    struct sonde *sonde = opened(1);
    struct sonde_llm_call call = SONDE_LLM_CALL_INIT;
    struct sonde_context parent;
    struct sonde_span span;

    ASSERT(sonde_context_read(TEXT, &parent));
    sonde_set_level(sonde, SONDE_DISABLED);
    sonde_span_begin(&span, sonde, "x", SONDE_CLIENT, &parent);
    EXPECT(memcmp(&span.context, &parent, sizeof(parent)) == 0);
    sonde_span_note(&span, "a", "b");
    sonde_span_fail(&span, "why");
    EXPECT(sonde_span_end(&span) == 0);
    sonde_close(sonde);

    sonde_span_begin(&span, NULL, "x", SONDE_CLIENT, NULL);
    sonde_span_note_integer(&span, "a", 1);
    sonde_span_note_llm(&span, &call);
    EXPECT(sonde_span_end(&span) == 0 && sonde_span_end(NULL) == 0);
    sonde_span_begin(NULL, NULL, NULL, SONDE_CLIENT, NULL);
    sonde_span_fail(NULL, NULL);
    sonde_llm_record(NULL, &call, NULL);
    EXPECT(!sonde_flush(NULL, 1));
}

TEST(sampling_keeps_failures_and_slow_calls)
{
    struct sonde *sonde = opened(0);
    struct sonde_operation *operation = sonde_operation(sonde, "x");
    struct sonde_span span;

    for (int i = 0; i < 100; i++) {
        sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
        EXPECT((span.context.flags & 1) == 0);
        (void)sonde_span_end(&span); /* Only recorded. */
    }
    EXPECT(client_ring_at(&sonde->sender->ring, 0) == NULL);
    sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
    sonde_span_fail(&span, NULL);
    (void)sonde_span_end(&span); /* Likewise. */
    EXPECT(client_ring_at(&sonde->sender->ring, 0) != NULL);
    for (int i = 0; i < 500 && atomic_load(&operation->slow_ns) == 0; i++) {
        usleep(10000);
        sonde_record(operation, 1000, false);
    }
    EXPECT(atomic_load(&operation->slow_ns) > 0);
    sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
    usleep(30000);
    (void)sonde_span_end(&span); /* Likewise. */
    EXPECT(client_ring_at(&sonde->sender->ring, 1) != NULL);
    sonde_close(sonde);
}

TEST(a_ratio_keeps_about_that_many_traces)
{
    struct sonde *sonde = opened(0.25);
    struct sonde_span span;
    int kept = 0;

    for (int i = 0; i < 10000; i++) {
        sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
        kept += span.context.flags & 1;
    }
    EXPECT_NEAR(kept, 2500, 250); /* Six standard deviations. */
    sonde_close(sonde);
}

TEST(a_full_ring_drops_and_counts)
{
    struct sonde *sonde = opened(1);
    struct sonde_delivery delivery;
    struct sonde_span span;

    for (int i = 0; i < SPANS_MAX + 100; i++) {
        sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
        (void)sonde_span_end(&span); /* Only recorded. */
    }
    sonde_read_delivery(sonde, &delivery);
    EXPECT(delivery.spans_waiting == SPANS_MAX && delivery.spans_dropped == 100);
    sonde_close(sonde);
}

TEST(attributes_over_the_limit_are_left_out_whole)
{
    struct sonde *sonde = opened(1);
    struct sonde_drops drops;
    struct sonde_span span;
    char longer[4000];

    memset(longer, 'v', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
    sonde_span_note(&span, "small", "kept");
    sonde_span_note(&span, "cut", longer);
    size_t size = span.attributes_size;
    EXPECT(size > SONDE_SPAN_BYTES_MAX / 2);
    sonde_span_note(&span, "too much", longer);
    EXPECT(span.attributes_size == size);
    sonde_span_fail(&span, longer);
    EXPECT(strlen(span.message) == SONDE_MESSAGE_BYTES_MAX);
    struct protobuf message = protobuf_of((struct str){span.attributes, span.attributes_size});
    struct protobuf_field field;
    int count = 0;
    while (protobuf_next(&message, &field))
        count += field.number == 9;
    EXPECT(count == 2 && !message.broken);
    (void)sonde_span_end(&span); /* Only recorded. */
    sonde_read_drops(sonde, &drops);
    EXPECT(drops.names_cut == 2);
    sonde_close(sonde);
}

TEST(an_event_has_a_time_a_name_and_its_pairs)
{
    static const char *const pairs[] = {"key", "docs", "count", "3", NULL};
    struct sonde *sonde = opened(1);
    struct protobuf_field field;
    struct sonde_span span;
    int attributes = 0;

    sonde_span_begin(&span, sonde, "x", SONDE_INTERNAL, NULL);
    sonde_span_event(&span, "cache miss", pairs);
    sonde_span_event(&span, NULL, pairs);
    struct protobuf message = protobuf_of((struct str){span.attributes, span.attributes_size});
    ASSERT(protobuf_next(&message, &field) && field.number == 11);
    struct protobuf event = protobuf_of(field.bytes);
    EXPECT(!protobuf_next(&message, &field) && !message.broken);
    while (protobuf_next(&event, &field)) {
        EXPECT(field.number != 1 || field.value >= (uint64_t)span.start_unix_ns);
        EXPECT(field.number != 2 || str_eq(field.bytes, STR("cache miss")));
        attributes += field.number == 3;
    }
    EXPECT(attributes == 2 && !event.broken);
    for (int i = 0; i < 100; i++) /* What does not fit is left out whole. */
        sonde_span_event(&span, "again", NULL);
    EXPECT(span.attributes_size <= SONDE_SPAN_BYTES_MAX);
    message = protobuf_of((struct str){span.attributes, span.attributes_size});
    while (protobuf_next(&message, &field))
        EXPECT(field.number == 11);
    EXPECT(!message.broken);
    (void)sonde_span_end(&span); /* Only recorded. */
    sonde_close(sonde);
}

static void *end_many(void *argument)
{
    struct sonde *sonde = argument;

    for (int i = 0; i < 5000; i++) {
        struct sonde_span span;
        sonde_span_begin(&span, sonde, "shared", SONDE_INTERNAL, NULL);
        sonde_span_note_integer(&span, "i", i);
        (void)sonde_span_end(&span); /* Only recorded. */
    }
    return NULL;
}

TEST(many_threads_share_the_ring)
{
    struct sonde *sonde = opened(1);
    struct sonde_delivery delivery;
    struct sonde_stats stats;
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        ASSERT(pthread_create(&threads[i], NULL, end_many, sonde) == 0);
    for (int i = 0; i < 8; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    sonde_read_delivery(sonde, &delivery);
    EXPECT(delivery.spans_waiting + delivery.spans_dropped == 40000);
    EXPECT(delivery.spans_waiting == SPANS_MAX);
    EXPECT(sonde_overall_stats(sonde, &stats) && stats.count == 40000);
    sonde_close(sonde);
}

TEST(a_child_draws_other_ids_and_sends_nothing_of_its_parent)
{
#ifdef __SANITIZE_THREAD__
    SKIP("the thread sanitizer cannot follow threads of a forked child");
#endif
    struct sonde *sonde = opened(1);
    struct sonde_span span;
    int ends[2];
    uint8_t of_child[16];
    int status = -1;

    sonde_span_begin(&span, sonde, "before", SONDE_INTERNAL, NULL);
    (void)sonde_span_end(&span); /* Only recorded. */
    ASSERT(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        bool empty = client_ring_at(&sonde->sender->ring, 0) == NULL;
        sonde_span_begin(&span, sonde, "after", SONDE_INTERNAL, NULL);
        bool told = write(ends[1], span.context.trace_id, 16) == 16;
        (void)sonde_span_end(&span); /* Only recorded. */
        bool kept = client_ring_at(&sonde->sender->ring, 0) != NULL;
        sonde_close(sonde);
        _exit(empty && told && kept ? 0 : 1);
    }
    sonde_span_begin(&span, sonde, "after", SONDE_INTERNAL, NULL);
    ASSERT(child > 0 && waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT(read(ends[0], of_child, 16) == 16 && memcmp(of_child, span.context.trace_id, 16) != 0);
    EXPECT(client_ring_at(&sonde->sender->ring, 0) != NULL);
    (void)close(ends[0]); /* Only read. */
    (void)close(ends[1]); /* Likewise. */
    sonde_close(sonde);
}

TEST_MAIN
