/* SPDX-License-Identifier: Apache-2.0 */
#include "load/stream.h"

#include "load/stream_tally.h"
#include "test.h"

#define MS INT64_C(1000000)

static void feed(struct stream *stream, const char *text, int64_t now_ms)
{
    if (!stream_feed(stream, str_of(text), now_ms * MS, NULL))
        printf("# refused\n");
}

#define CHUNK(delta) \
    "data: {\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}\n\n"

TEST(the_first_token_is_the_first_text_and_not_the_first_chunk)
{
    struct stream stream = {0};

    feed(&stream, CHUNK("{\"role\":\"assistant\",\"content\":\"\"}"), 10);
    EXPECT(stream.chunks == 0);
    feed(&stream, CHUNK("{\"content\":\"a\"}"), 20);
    feed(&stream, CHUNK("{\"content\":\"b\"}"), 25);
    EXPECT(stream.chunks == 2 && stream.first_ns == 20 * MS && stream.last_ns == 25 * MS);
    EXPECT(!stream.ended && stream_tokens(&stream) == 2);
    feed(&stream,
         "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":7,"
         "\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\ndata: [DONE]\n\n",
         30);
    EXPECT(stream.ended && stream_tokens(&stream) == 7);
    EXPECT(stream_tokens_in(&stream) == 9 && stream_tokens_cached(&stream) == 4);
    stream_done(&stream);
}

TEST(reasoning_and_arguments_are_tokens)
{
    struct stream stream = {0};

    feed(&stream, CHUNK("{\"reasoning_content\":\"hm\"}"), 1);
    feed(&stream, CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]}"), 2);
    EXPECT(stream.chunks == 2);
    stream_done(&stream);
}

TEST(anthropic_counts_its_cache_beside)
{
    struct stream stream = {0};

    feed(&stream,
         "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],"
         "\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":40,"
         "\"cache_creation_input_tokens\":2,\"output_tokens\":1}}}\n\n",
         1);
    feed(&stream,
         "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
         "\"thinking_delta\",\"thinking\":\"a\"}}\n\n",
         2);
    feed(&stream,
         "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
         "\"text_delta\",\"text\":\"a\"}}\n\n",
         3);
    feed(&stream,
         "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
         "\"usage\":{\"output_tokens\":12}}\n\n",
         4);
    EXPECT(stream.chunks == 2 && !stream.ended);
    feed(&stream, "data: {\"type\":\"message_stop\"}\n\n", 5);
    EXPECT(stream.ended && stream_tokens(&stream) == 12);
    EXPECT(stream_tokens_in(&stream) == 47 && stream_tokens_cached(&stream) == 40);
    stream_done(&stream);
}

TEST(responses_and_ollama_are_understood)
{
    struct stream stream = {0};

    feed(&stream, "data: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n", 1);
    feed(&stream,
         "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,"
         "\"output_tokens\":1}}}\n\n",
         2);
    EXPECT(stream.chunks == 1 && stream.ended && stream_tokens_in(&stream) == 3);
    stream_begin(&stream);
    feed(&stream, "{\"message\":{\"role\":\"assistant\",\"content\":\"x\"},\"done\":false}\n", 1);
    feed(&stream,
         "{\"message\":{\"content\":\"\"},\"done\":true,\"prompt_eval_count\":8,"
         "\"eval_count\":6}",
         2);
    stream_finish(&stream, 3 * MS, NULL);
    EXPECT(stream.chunks == 1 && stream.ended && stream_tokens(&stream) == 6);
    stream_done(&stream);
}

TEST(errors_within_a_stream_are_seen)
{
    struct stream stream = {0};

    feed(&stream, "data: {\"error\":{\"message\":\"x\"}}\n\n", 1);
    EXPECT(stream.failed);
    stream_begin(&stream);
    feed(&stream, "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n", 1);
    EXPECT(stream.failed);
    stream_begin(&stream);
    feed(&stream, CHUNK("{\"content\":\"a\"}"), 1);
    feed(&stream, "data: {\"error\":null}\n\ndata: {broken\n\n: a comment\n\n", 1);
    EXPECT(!stream.failed && stream.chunks == 1);
    stream_done(&stream);
}

TEST(it_does_not_matter_where_the_bytes_are_cut)
{
    static const char text[] = CHUNK("{\"content\":\"a\"}") "\r\n" CHUNK("{\"content\":\"b\\n\"}");

    size_t size = sizeof(text) - 1;

    for (size_t cut = 0; cut <= size; cut++) {
        struct stream stream = {0};
        EXPECT(stream_feed(&stream, (struct str){text, cut}, MS, NULL));
        EXPECT(stream_feed(&stream, (struct str){text + cut, size - cut}, MS, NULL));
        EXPECT(stream.chunks == 2);
        stream_done(&stream);
    }
}

/* Each by itself, as if nothing had come before. */
static void feed_apart(struct stream *stream, const char *text, int64_t now_ms)
{
    buf_clear(&stream->event);
    feed(stream, text, now_ms);
}

TEST(an_event_like_the_last_one_means_the_same_as_read_by_itself)
{
    static const char *const events[] = {
        CHUNK("{\"content\":\"a\"}"),
        CHUNK("{\"content\":\"bcd\"}"),
        CHUNK("{\"content\":\"\"}"),
        CHUNK("{\"content\":\"\\\\\"}"),
        CHUNK("{\"content\":\"\\\"}"),
        CHUNK("{\"content\":\"\\\"\"}"),
        CHUNK("{\"content\":\"\",\"x\":\"y\"}"),
        CHUNK("{\"content\":\"a\",\"x\":\"y\"}"),
        CHUNK("{\"content\":\"\\n\"}"),
        CHUNK("{\"content\":null}"),
        CHUNK("{\"role\":\"assistant\"}"),
        "data: "
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"completion_tokens\":3}}\n",
        "data: {\"choices\":[],\"usage\":{\"completion_tokens\":7}}\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n",
        "{\"a\n",
        "{}\n",
    };
    uint32_t draw = 1;

    for (int round = 0; round < 200; round++) {
        struct stream stream = {0};
        struct stream apart = {0};
        for (int i = 0; i < 60; i++) {
            draw = draw * 1664525 + 1013904223;
            const char *event = events[(draw >> 16) % ARRAY_COUNT(events)];
            for (uint32_t again = 0; again <= (draw >> 9) % 3; again++) {
                feed(&stream, event, i + 1);
                feed_apart(&apart, event, i + 1);
            }
            EXPECT(stream.chunks == apart.chunks && stream.last_ns == apart.last_ns);
            EXPECT(stream.ended == apart.ended && stream.failed == apart.failed);
            EXPECT(stream.told == apart.told && stream.tokens_out == apart.tokens_out);
        }
        stream_done(&stream);
        stream_done(&apart);
    }
}

TEST(a_line_without_end_is_refused)
{
    struct stream stream = {0};
    char piece[65536];
    bool taken = true;

    memset(piece, 'x', sizeof(piece));
    for (size_t sent = 0; sent <= STREAM_LINE_BYTES_MAX && taken; sent += sizeof(piece))
        taken = stream_feed(&stream, (struct str){piece, sizeof(piece)}, 1, NULL);
    EXPECT(!taken);
    stream_done(&stream);
}

TEST(a_stream_is_good_when_it_keeps_every_promise)
{
    struct stream_tally *tally = calloc(1, sizeof(*tally));
    struct stream_tally *seen = calloc(1, sizeof(*seen));
    struct stream_tally *sum = calloc(1, sizeof(*sum));
    const struct slo slo = {.ttft_ns = 100 * MS, .tpot_ns = 10 * MS, .e2e_ns = 1000 * MS};
    const struct price price = {.input = 2, .output = 10, .cached = 1};
    struct stream stream = {.first_ns = 90 * MS,
                            .last_ns = 189 * MS,
                            .chunks = 12,
                            .tokens_in = 100,
                            .tokens_cached = 40,
                            .tokens_out = 12,
                            .told = true};

    stream_tally_add(tally, &stream, 0, &slo);
    EXPECT(tally->good == 1); /* (189 - 90) / 11 = 9 ms a token. */
    EXPECT_NEAR(histogram_at(&tally->tpot, 0.5), 9 * MS, 0.05 * MS);
    stream.last_ns = 250 * MS;
    stream_tally_add(tally, &stream, 0, &slo);
    stream.first_ns = 101 * MS;
    stream.last_ns = 150 * MS;
    stream_tally_add(tally, &stream, 0, &slo);
    EXPECT(tally->good == 1 && tally->streams == 3);
    EXPECT_NEAR(stream_tally_cost(tally, &price), 3 * (60 * 2 + 40 * 1 + 12 * 10) / 1e6, 1e-12);
    stream_tally_drain(tally, seen, sum);
    stream_tally_drain(tally, seen, sum);
    EXPECT(sum->streams == 3 && sum->tokens_out == 36 && sum->ttft.count == 3);
    free(tally);
    free(seen);
    free(sum);
}

TEST_MAIN
