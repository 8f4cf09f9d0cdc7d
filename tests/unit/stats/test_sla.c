/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/sla.h"
#include "test.h"

static const struct sla_measure measured = {.count = 100,
                                            .p50_ms = 80,
                                            .p95_ms = 325.4,
                                            .p99_ms = 600,
                                            .throughput_rps = 8.5,
                                            .success_rate = 0.923};

static const char *sentence(struct str operation, const struct sla_violation *violation)
{
    static char text[256];
    struct buf out CLEANUP(buf_done) = {0};

    sla_write(&out, operation, violation);
    (void)snprintf(text, sizeof(text), "%s", buf_cstr(&out)); /* Fits. */
    return text;
}

TEST(violations_are_told_in_the_words_users_know)
{
    struct sla_targets targets = SLA_TARGETS_NONE;
    struct sla_violation violations[SLA_KIND_COUNT];

    targets.max_p95_latency_ms = 300;
    targets.min_throughput_rps = 10;
    targets.min_success_rate = 0.95;
    ASSERT(sla_check(&targets, &measured, violations) == 3);
    EXPECT_TEXT(sentence(STR_NONE, &violations[0]),
                "Overall P95 latency (325.4ms) exceeds target (300.0ms)");
    EXPECT_TEXT(sentence(STR_NONE, &violations[1]),
                "Overall throughput (8.5 RPS) below target (10.0 RPS)");
    EXPECT_TEXT(sentence(STR_NONE, &violations[2]),
                "Overall success rate (92.3%) below target (95.0%)");
    violations[0].measured = 125.6;
    violations[0].target = 100;
    EXPECT_TEXT(sentence(STR("retrieval"), &violations[0]),
                "Operation 'retrieval' P95 (125.6ms) exceeds target (100.0ms)");
}

TEST(what_is_not_set_or_not_measured_is_not_judged)
{
    struct sla_targets targets = SLA_TARGETS_NONE;
    struct sla_violation violations[SLA_KIND_COUNT];
    struct sla_measure nothing = {0};

    EXPECT(sla_check(&targets, &measured, violations) == 0);
    targets.min_throughput_rps = 10;
    EXPECT(sla_check(&targets, &nothing, violations) == 0);
}

TEST(a_target_that_is_just_met_is_kept)
{
    struct sla_targets targets = {80, 325.4, 600, 8.5, 0.923};
    struct sla_violation violations[SLA_KIND_COUNT];

    EXPECT(sla_check(&targets, &measured, violations) == 0);
}

TEST(suggested_targets_leave_room)
{
    struct sla_violation violations[SLA_KIND_COUNT];
    struct sla_targets targets = sla_suggest(&measured, SLA_LATENCY_FACTOR, SLA_THROUGHPUT_FACTOR);

    EXPECT_NEAR(targets.max_p95_latency_ms, 391, 1e-9); /* 390.48, up. */
    EXPECT_NEAR(targets.max_p50_latency_ms, 96, 1e-9);
    EXPECT_NEAR(targets.min_throughput_rps, 6.8, 1e-9);
    EXPECT_NEAR(targets.min_success_rate, 0.8845, 1e-9);
    EXPECT(sla_check(&targets, &measured, violations) == 0);
}

TEST(keys_name_their_fields)
{
    struct sla_targets targets = SLA_TARGETS_NONE;

    *sla_target(&targets, SLA_P99) = 7;
    EXPECT(targets.max_p99_latency_ms == 7);
    EXPECT_TEXT(sla_key(SLA_P99), "max_p99_latency_ms");
    EXPECT_TEXT(sla_key(SLA_SUCCESS_RATE), "min_success_rate");
}

TEST_MAIN
