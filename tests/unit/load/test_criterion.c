/* SPDX-License-Identifier: Apache-2.0 */
#include "load/criterion.h"

#include "test.h"

static bool parses(const char *text, struct criterion *criterion)
{
    return criterion_parse(str_of(text), criterion, NULL) == ERR_NONE;
}

TEST(criteria_read_as_people_write_them)
{
    struct criterion criterion;

    ASSERT(parses("p95 < 300ms", &criterion));
    EXPECT(criterion.measure == MEASURE_QUANTILE);
    EXPECT_NEAR(criterion.q, 0.95, 1e-12);
    EXPECT_NEAR(criterion.bound, 300e6, 1);
    EXPECT(criterion.comparison == COMPARISON_LESS);
    ASSERT(parses("service_p99.9<=1.5s", &criterion));
    EXPECT(criterion.measure == MEASURE_SERVICE);
    EXPECT_NEAR(criterion.q, 0.999, 1e-12);
    EXPECT_NEAR(criterion.bound, 1.5e9, 1);
    ASSERT(parses("error_rate < 1%", &criterion));
    EXPECT_NEAR(criterion.bound, 0.01, 1e-12);
    ASSERT(parses(" rps >= 200 ", &criterion));
    EXPECT(criterion.comparison == COMPARISON_AT_LEAST);
    ASSERT(parses("log in.p99.9 < 20us", &criterion));
    EXPECT(str_eq(criterion.step, STR("log in")));
    EXPECT_NEAR(criterion.q, 0.999, 1e-12);
    ASSERT(parses("checkout.error_rate < 0.5%", &criterion));
    EXPECT(criterion.measure == MEASURE_ERROR_RATE);
}

TEST(mistakes_are_refused)
{
    static const char *const texts[] = {"",        "p95",        "p95 < soon", "p101 < 3ms",
                                        "p < 3ms", "p95 = 3ms",  "rps > many", "error_rate < x",
                                        "rsp > 1", "p95 < -3ms", "< 3",        "p95 <",
                                        ". < 3",   "max < 3"};
    struct criterion criterion;

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct why why = WHY_INIT;
        EXPECT(criterion_parse(str_of(texts[i]), &criterion, &why) == ERR_INVALID);
        EXPECT(strncmp(why.text, "criterion '", 11) == 0);
    }
}

TEST(a_near_miss_is_told_what_it_meant)
{
    struct criterion criterion;
    struct why why = WHY_INIT;

    EXPECT(criterion_parse(STR("eror_rate < 1%"), &criterion, &why) == ERR_INVALID);
    EXPECT(strstr(why.hint, "error_rate") != NULL);
}

static struct outcome *outcome_of(struct plan *plan, int count, int64_t fast_ns, int slow_count,
                                  int64_t slow_ns)
{
    struct outcome *outcome = calloc(1, sizeof(*outcome));

    outcome->plan = plan;
    outcome->elapsed_s = 2;
    for (int i = 0; i < count; i++)
        tally_answer(&outcome->total, i < slow_count ? slow_ns : fast_ns, fast_ns, fast_ns, 200);
    return outcome;
}

TEST(measures_come_from_the_outcome)
{
    struct plan *plan = plan_new(1 << 20);
    struct outcome *outcome = outcome_of(plan, 1000, 1000000, 20, 900000000);
    struct criterion criterion;

    ASSERT(parses("p99 < 300ms", &criterion));
    EXPECT(!criterion_holds(&criterion, criterion_measure(&criterion, outcome)));
    ASSERT(parses("p95 < 300ms", &criterion));
    EXPECT(criterion_holds(&criterion, criterion_measure(&criterion, outcome)));
    ASSERT(parses("rps > 499", &criterion));
    EXPECT_NEAR(criterion_measure(&criterion, outcome), 500, 1e-9);
    ASSERT(parses("error_rate < 1%", &criterion));
    EXPECT(criterion_holds(&criterion, criterion_measure(&criterion, outcome)));
    free(outcome);
    plan_free(plan);
}

TEST(nothing_measured_keeps_no_promise)
{
    struct plan *plan = plan_new(1 << 20);
    struct outcome *outcome = outcome_of(plan, 0, 1, 0, 1);
    struct criterion criterion;

    ASSERT(parses("p99 < 300ms", &criterion));
    EXPECT(!criterion_holds(&criterion, criterion_measure(&criterion, outcome)));
    free(outcome);
    plan_free(plan);
}

TEST(a_run_is_given_up_only_when_nothing_can_mend_it)
{
    struct plan *plan = plan_new(1 << 20);
    struct criterion criterion;

    /* 1,000 in 2 of 20 s: 10,000 are to be expected, of which 5 % may be slow. */
    ASSERT(pattern_line(&plan->pattern, 1, 1, INT64_C(20000000000), NULL) == ERR_NONE);
    ASSERT(parses("p95 < 300ms", &criterion));
    struct outcome *outcome = outcome_of(plan, 1000, 1000000, 400, 900000000);
    EXPECT(!criterion_is_hopeless(&criterion, outcome));
    free(outcome);
    outcome = outcome_of(plan, 1000, 1000000, 600, 900000000);
    EXPECT(criterion_is_hopeless(&criterion, outcome));
    free(outcome);
    plan_free(plan);
}

TEST_MAIN
