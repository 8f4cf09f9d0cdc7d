/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "codec/trace_context.h"
#include "test.h"

#define IDS "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"

TEST(a_traceparent_is_read_and_written)
{
    struct trace_context context;
    char text[TRACEPARENT_SIZE + 1];

    EXPECT(traceparent_read(STR("00-" IDS "-01"), &context, NULL) == ERR_NONE);
    EXPECT(context.trace_id[0] == 0x0a && context.span_id[7] == 0x31 && context.flags == 1);
    traceparent_write(&context, text);
    EXPECT(strcmp(text, "00-" IDS "-01") == 0);
    EXPECT(traceparent_read(STR("cc-" IDS "-01-later"), &context, NULL) == ERR_NONE);
}

TEST(what_is_no_traceparent_is_refused)
{
    static const char *const bad[] = {
        "",
        "00-" IDS,
        "00-" IDS "-01-more",
        "ff-" IDS "-01",
        "00-" IDS "-0x",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "cc-" IDS "-01later",
    };
    struct trace_context context;

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        EXPECT(traceparent_read(str_of(bad[i]), &context, NULL) == ERR_INVALID);
}

TEST(a_tracestate_keeps_its_order_and_the_newest_goes_first)
{
    struct trace_pair_text pairs[TRACE_STATE_PAIRS_MAX];
    struct buf out = {0};
    size_t count;

    EXPECT(tracestate_read(STR("a=1, ,b@c=2 x"), pairs, &count, NULL) == ERR_NONE && count == 2);
    EXPECT(str_eq(pairs[1].key, STR("b@c")) && str_eq(pairs[1].value, STR("2 x")));
    EXPECT(tracestate_read(STR("a=1,a=2"), pairs, &count, NULL) == ERR_INVALID);
    EXPECT(tracestate_read(STR("A=1"), pairs, &count, NULL) == ERR_INVALID);
    EXPECT(tracestate_read(STR("a"), pairs, &count, NULL) == ERR_INVALID);
    tracestate_update(STR("a=1,b=2,c=3"), STR("b"), STR("9"), &out);
    EXPECT(str_eq(buf_view(&out), STR("b=9,a=1,c=3")));
    buf_done(&out);
}

TEST(baggage_is_decoded_and_encoded)
{
    struct trace_pair_text pairs[BAGGAGE_PAIRS_MAX];
    struct arena *arena = arena_new(1 << 16);
    struct buf out = {0};
    size_t count;

    EXPECT(baggage_read(STR("user = a%20b;p=1 , junk, n=%zz"), arena, pairs, &count, NULL) ==
           ERR_NONE);
    EXPECT(count == 2 && str_eq(pairs[0].key, STR("user")));
    EXPECT(str_eq(pairs[0].value, STR("a b")) && str_eq(pairs[1].value, STR("%zz")));
    baggage_add(STR("user"), STR("a b"), &out);
    baggage_add(STR("x"), STR("1,2"), &out);
    EXPECT(str_eq(buf_view(&out), STR("user=a%20b,x=1%2C2")));
    buf_done(&out);
    arena_free(arena);
}

TEST(b3_comes_in_one_header_or_in_four)
{
    struct trace_context context;
    char text[B3_SIZE + 1];

    EXPECT(b3_read(STR(IDS "-d-05e3ac9a4f6e3b90"), &context, NULL) == ERR_NONE);
    EXPECT(context.is_debug && context.flags == TRACE_FLAG_SAMPLED);
    b3_write(&context, text);
    EXPECT(strcmp(text, IDS "-d") == 0);
    EXPECT(b3_read(STR(IDS), &context, NULL) == ERR_NONE && !context.is_decided);
    EXPECT(b3_read(STR("0"), &context, NULL) == ERR_NONE && context.is_decided);
    EXPECT(context.flags == 0);
    EXPECT(b3_read(STR(IDS "-x"), &context, NULL) == ERR_INVALID);
    EXPECT(b3_read(STR(""), &context, NULL) == ERR_INVALID);
    EXPECT(b3_read_headers(STR("8448EB211C80319C"), STR("b7ad6b7169203331"), STR("1"), STR_NONE,
                           &context, NULL) == ERR_NONE);
    EXPECT(context.trace_id[0] == 0 && context.trace_id[8] == 0x84 && context.flags == 1);
    EXPECT(b3_read_headers(STR_NONE, STR_NONE, STR_NONE, STR_NONE, &context, NULL) == ERR_INVALID);
}

TEST_MAIN
