/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/sampler.h"
#include "test.h"

static const struct resource shop = {.service_name = STR("shop")};

static struct span a_span(uint64_t trace, const char *name, int64_t duration_ns)
{
    struct span span = {
        .span_id = {1}, .name = str_of(name), .end_ns = duration_ns, .resource = &shop};

    for (size_t i = 0; i < 8; i++)
        span.trace_id[15 - i] = (uint8_t)(trace >> (8 * i));
    return span;
}

static bool stays(struct sampler *sampler, const struct span *span)
{
    return sampler_keeps(sampler, "default", span);
}

TEST(a_share_stays_by_the_last_seven_bytes_of_the_id)
{
    const struct sampler_options options = {.ratio = 0.25, .slow_quantile = 1};
    struct sampler *sampler = sampler_new(&options);
    size_t kept = 0;

    for (uint64_t i = 0; i < 40000; i++) {
        struct span span = a_span(i * UINT64_C(0x9E3779B97F4A7C15), "op", 5);
        sampler_note(sampler, "default", &span);
        kept += stays(sampler, &span);
    }
    EXPECT(kept > 9500 && kept < 10500);
    struct span first = a_span(UINT64_C(0x00c0000000000000), "op", 5);
    struct span last = a_span(UINT64_C(0x00bffffffffff000), "op", 5);
    EXPECT(stays(sampler, &first) && !stays(sampler, &last));
    sampler_free(sampler);
}

TEST(what_failed_later_saves_the_whole_trace_and_only_it)
{
    const struct sampler_options options = {.slow_quantile = 1};
    struct sampler *sampler = sampler_new(&options);
    struct span begun = a_span(7, "op", 5);
    struct span failed = a_span(7, "step", 5);
    struct span other = a_span(8, "op", 5);

    failed.status = SPAN_STATUS_ERROR;
    sampler_note(sampler, "default", &begun);
    sampler_note(sampler, "default", &other);
    sampler_note(sampler, "default", &failed);
    EXPECT(stays(sampler, &begun) && stays(sampler, &failed) && !stays(sampler, &other));
    EXPECT(!sampler_keeps(sampler, "another", &begun)); /* The same id, of somebody else. */
    sampler_free(sampler);
}

TEST(slow_is_what_takes_longer_than_most_of_its_operation)
{
    const struct sampler_options options = {.slow_quantile = 0.99};
    struct sampler *sampler = sampler_new(&options);
    size_t slow = 0;

    for (uint64_t i = 1; i <= 5000; i++) {
        struct span span = a_span(i, "op", 1000000 + (int64_t)(i * 7919 % 1000) * 1000);
        sampler_note(sampler, "default", &span);
        slow += stays(sampler, &span);
    }
    EXPECT(slow > 0 && slow < 250);
    struct span usual_elsewhere = a_span(100000, "report", 900000000);
    struct span slow_here = a_span(100001, "op", 3000000);
    sampler_note(sampler, "default", &usual_elsewhere);
    sampler_note(sampler, "default", &slow_here);
    EXPECT(!stays(sampler, &usual_elsewhere) && stays(sampler, &slow_here));
    sampler_free(sampler);
}

TEST(attributes_are_compared_as_text)
{
    struct sampler_options options = {.slow_quantile = 1};
    const struct attribute pairs[] = {{STR("n"), {.kind = VALUE_INTEGER, .integer = 5}},
                                      {STR("d"), {.kind = VALUE_DOUBLE, .number = 0.5}},
                                      {STR("b"), {.kind = VALUE_BOOL, .boolean = true}}};
    static const struct {
        const char *rule;
        bool stays;
    } cases[] = {{"n=5", true},    {"n = 5", true}, {"n=6", false}, {"d=0.5", true},
                 {"b=true", true}, {"b", true},     {"x", false}};

    EXPECT(sampler_add_rule(&options, STR("=5"), NULL) == ERR_INVALID);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        options.rules_count = 0;
        EXPECT(sampler_add_rule(&options, str_of(cases[i].rule), NULL) == ERR_NONE);
        struct sampler *sampler = sampler_new(&options);
        struct span span = a_span(i + 1, "op", 5);
        span.attributes = (struct attributes){pairs, ARRAY_COUNT(pairs), 0};
        sampler_note(sampler, "default", &span);
        EXPECT(stays(sampler, &span) == cases[i].stays);
        sampler_free(sampler);
    }
}

TEST(verdicts_are_bounded_and_the_share_needs_none)
{
    const struct sampler_options options = {.ratio = 0.5, .slow_quantile = 1, .spans_max = 3};
    struct sampler *sampler = sampler_new(&options);
    struct span kept = a_span(UINT64_C(0x00ff000000000001), "op", 5);

    for (int i = 0; i < 5; i++)
        EXPECT(stays(sampler, &kept) == (i < 3));
    for (uint64_t i = 0; i < 3 * SAMPLER_TRACES; i++) {
        struct span span = a_span(i * UINT64_C(0x9E3779B97F4A7C15), "op", 5);
        (void)stays(sampler, &span); /* Only fills the table. */
    }
    EXPECT(stays(sampler, &kept)); /* Forgotten, and found again by its id. */
    sampler_free(sampler);
}

TEST_MAIN
