/* SPDX-License-Identifier: Apache-2.0 */
#include "export/target.h"
#include "test.h"

static const int64_t SECOND = INT64_C(1000000000);

TEST(an_address_says_protocol_and_path)
{
    struct target target;

    EXPECT(target_init(&target, STR("http://box:4318"), NULL) == ERR_NONE);
    EXPECT(strcmp(target.url[OTLP_LOGS], "http://box:4318/v1/logs") == 0 && !target.is_grpc);
    target_done(&target);
    EXPECT(target_init(&target, STR("https://box/otlp/v1/traces/"), NULL) == ERR_NONE);
    EXPECT(strcmp(target.url[OTLP_TRACES], "https://box/otlp/v1/traces") == 0);
    target_done(&target);
    EXPECT(target_init(&target, STR("grpcs://box:4317"), NULL) == ERR_NONE);
    EXPECT(strcmp(target.url[OTLP_TRACES],
                  "https://box:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export") ==
               0 &&
           target.is_grpc);
    target_done(&target);
}

TEST(what_is_no_address_is_refused)
{
    static const char *const bad[] = {"",           "box:4318",        "http://",
                                      "ftp://box",  "http://a b",      "http://me:secret@box",
                                      "http:///v1", "grpc://box/path/"};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        EXPECT(target_check(str_of(bad[i]), NULL) == ERR_INVALID);
}

TEST(failures_make_the_pauses_longer_and_one_success_ends_them)
{
    struct target target;
    struct answer_meaning later = {.verdict = VERDICT_LATER};
    struct answer_meaning fine = {.verdict = VERDICT_ARRIVED};
    int64_t now = 100 * SECOND;
    int64_t before = 0;
    int64_t wake;

    ASSERT(target_init(&target, STR("http://box"), NULL) == ERR_NONE);
    EXPECT(target_is_free(&target, now, &wake));
    for (int i = 0; i < 12; i++) {
        target_began(&target);
        target_ended(&target, &later, now);
        EXPECT(!target_is_free(&target, now, &wake) && wake > now);
        if (i % 3 == 2) { /* Jitter is less than three doublings. */
            EXPECT(wake - now > before || wake - now >= 30 * SECOND);
            before = wake - now;
        }
        EXPECT(wake - now <= 60 * SECOND);
        EXPECT(i == 0 ? target_is_worth_waiting(&target, now)
                      : !target_is_worth_waiting(&target, now));
        now = wake;
    }
    target_began(&target); /* One tries the way, */
    EXPECT(!target_is_free(&target, now, &wake) && wake == INT64_MAX);
    target_ended(&target, &fine, now); /* and then all may go. */
    EXPECT(target_is_free(&target, now, &wake));
    target_done(&target);
}

TEST(a_receiver_that_says_when_is_not_asked_before)
{
    struct target target;
    struct answer_meaning later = {.verdict = VERDICT_LATER, .wait_ns = 30 * SECOND};
    int64_t wake;

    ASSERT(target_init(&target, STR("http://box"), NULL) == ERR_NONE);
    target_began(&target);
    target_ended(&target, &later, SECOND);
    EXPECT(!target_is_free(&target, 30 * SECOND, &wake) && wake == 31 * SECOND);
    EXPECT(!target_is_worth_waiting(&target, SECOND)); /* Another may take it meanwhile. */
    target_done(&target);
}

TEST_MAIN
