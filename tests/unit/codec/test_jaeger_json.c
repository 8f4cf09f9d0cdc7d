/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/jaeger_json.h"
#include "test.h"

/* The rest is compared with Jaeger itself: tests/scenario/test_jaeger.py. */

static const struct resource shop = {.service_name = STR("shop")};

static struct span a_span(uint8_t id, uint8_t parent, int64_t start_ns, int64_t end_ns)
{
    struct span span = {.trace_id = {0xab},
                        .span_id = {[7] = id},
                        .parent_span_id = {[7] = parent},
                        .start_ns = start_ns,
                        .end_ns = end_ns,
                        .name = STR("op"),
                        .resource = &shop};

    return span;
}

static bool says(const struct span *spans, size_t count, bool raw, const char *part)
{
    struct arena *arena = arena_new(1 << 20);
    struct buf out = {0};
    struct json json = json_begin(&out);

    EXPECT(jaeger_write_trace(spans, count, raw, arena, &json, NULL) == ERR_NONE);
    bool found = str_find_str(buf_view(&out), str_of(part)) >= 0;
    buf_done(&out);
    arena_free(arena);
    return found;
}

TEST(durations_are_written_in_the_way_of_go)
{
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {1100, "1.1µs"},
        {-2200000, "-2.2ms"},
        {1500000000, "1.5s"},
        {INT64_C(300001000000), "5m0.001s"},
        {INT64_C(3600000000000), "1h0m0s"},
        {INT64_MAX, "2562047h47m16.854775807s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };
    char text[JAEGER_DURATION_SIZE];

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        EXPECT(str_eq(jaeger_duration(cases[i].ns, text), str_of(cases[i].text)));
}

TEST(an_id_with_an_empty_upper_half_is_short)
{
    uint8_t id[TRACE_ID_BYTES] = {[15] = 0x2a};
    char text[JAEGER_ID_SIZE];

    EXPECT(str_eq((struct str){text, jaeger_trace_id(id, text)}, STR("000000000000002a")));
    id[0] = 1;
    EXPECT(jaeger_trace_id(id, text) == 32 && memcmp(text, "0100", 4) == 0);
}

TEST(a_span_outside_its_parent_is_marked_and_left_where_it_is)
{
    struct span spans[] = {a_span(1, 0, 1000000, 9000000), a_span(2, 1, 0, 4000000)};

    EXPECT(says(spans, 2, false, "not applying calculated delta of 3ms"));
    EXPECT(says(spans, 2, false, "\"startTime\":0"));
    EXPECT(!says(spans, 2, true, "calculated delta"));
}

TEST(parents_in_a_circle_and_parents_that_are_missing_end)
{
    struct span spans[] = {a_span(1, 2, 0, 5), a_span(2, 1, 0, 5), a_span(3, 9, 0, 5),
                           a_span(4, 4, 0, 5)};

    EXPECT(says(spans, 4, false, "invalid parent span IDs=0000000000000009"));
}

TEST(a_chain_as_deep_as_the_trace_is_long_needs_no_stack)
{
    enum { DEPTH = 50000 };
    struct span *spans = calloc(DEPTH, sizeof(*spans));
    struct arena *arena = arena_new((size_t)256 << 20);
    struct buf out = {0};
    struct json json = json_begin(&out);

    ASSERT(spans != NULL);
    for (uint32_t i = 0; i < DEPTH; i++) {
        uint32_t id = i + 1;
        spans[i] = a_span(0, 0, (int64_t)i, 10000000);
        memcpy(spans[i].span_id, &id, sizeof(id));
        memcpy(spans[i].parent_span_id, &i, sizeof(i));
    }
    EXPECT(jaeger_write_trace(spans, DEPTH, false, arena, &json, NULL) == ERR_NONE);
    buf_done(&out);
    arena_free(arena);
    free(spans);
}

TEST(a_server_that_shares_its_clients_id_gets_one_of_its_own)
{
    struct span spans[] = {a_span(5, 0, 0, 100), a_span(5, 0, 10, 90), a_span(6, 5, 20, 30)};

    spans[0].kind = SPAN_KIND_CLIENT;
    spans[1].kind = SPAN_KIND_SERVER;
    EXPECT(says(spans, 3, false, "\"spanID\":\"0000000000000001\""));
    EXPECT(says(spans, 3, false,
                "\"references\":[{\"refType\":\"CHILD_OF\",\"traceID\":"
                "\"ab000000000000000000000000000000\",\"spanID\":\"0000000000000005\"}]"));
    EXPECT(says(spans, 3, false,
                "\"references\":[{\"refType\":\"CHILD_OF\",\"traceID\":"
                "\"ab000000000000000000000000000000\",\"spanID\":\"0000000000000001\"}]"));
}

TEST(equal_senders_are_one_process)
{
    const struct attribute pairs[] = {{STR("host"), {.kind = VALUE_TEXT, .text = STR("a")}}};
    const struct resource here = {{pairs, 1, 0}, STR("shop"), STR("")};
    const struct resource there = here;
    struct span spans[] = {a_span(1, 0, 0, 1), a_span(2, 0, 1, 2), a_span(3, 0, 2, 3)};

    spans[0].resource = &here;
    spans[1].resource = &there;
    EXPECT(says(spans, 2, false,
                "\"processes\":{\"p1\":{\"serviceName\":\"shop\",\"tags\":["
                "{\"key\":\"host\",\"type\":\"string\",\"value\":\"a\"}]}}"));
    EXPECT(says(spans, 3, false, "\"p2\":{\"serviceName\":\"shop\",\"tags\":[]}"));
}

TEST(tags_are_found_in_the_span_its_sender_and_its_logs)
{
    const struct attribute status[] = {{STR("code"), {.kind = VALUE_INTEGER, .integer = 200}}};
    const struct attribute field[] = {{STR("level"), {.kind = VALUE_TEXT, .text = STR("warn")}}};
    const struct resource sender = {{status, 1, 0}, STR("shop"), STR("")};
    const struct span_event event = {1, STR("e"), {field, 1, 0}};
    struct arena *arena = arena_new(1 << 16);
    struct span span = a_span(1, 0, 0, 1);
    static const struct {
        const char *key, *value;
        bool has;
    } cases[] = {{"code", "200", true},        {"code", "201", false},  {"level", "warn", true},
                 {"event", "e", true},         {"error", "true", true}, {"error", "false", false},
                 {"span.kind", "client", true}};

    span.resource = &sender;
    span.events = &event;
    span.event_count = 1;
    span.kind = SPAN_KIND_CLIENT;
    span.status = SPAN_STATUS_ERROR;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        bool has;
        EXPECT(jaeger_has_tag(&span, str_of(cases[i].key), str_of(cases[i].value), arena, &has,
                              NULL) == ERR_NONE &&
               has == cases[i].has);
    }
    arena_free(arena);
}

TEST_MAIN
