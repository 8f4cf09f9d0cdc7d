/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/array.h"
#include "stats/bootstrap.h"
#include "stats/describe.h"
#include "stats/random.h"
#include "test.h"

/* An AR(1) series of unit variance. */
static void wander(double *values, size_t count, double correlation, struct random *random)
{
    double here = random_normal(random);

    for (size_t i = 0; i < count; i++) {
        values[i] = here;
        here = correlation * here + sqrt(1 - correlation * correlation) * random_normal(random);
    }
}

TEST(a_small_sample_is_described_as_by_hand)
{
    double values[] = {2, 9, 4, 4, 1};
    struct describe answer = describe(values, 5);

    EXPECT(answer.count == 5 && answer.min == 1 && answer.max == 9);
    EXPECT_NEAR(answer.mean, 4, 1e-15);
    EXPECT_NEAR(answer.deviation, sqrt(38.0 / 4), 1e-15);
    EXPECT(answer.median == 4 && answer.mad == 2);
    EXPECT(answer.quartile_low == 2 && answer.quartile_high == 4);
    EXPECT_NEAR(describe_quantile(values, 5, 0.9), 7, 1e-14); /* 4 + 0.6 (9 - 4). */
    EXPECT_NEAR(describe_trimmed_mean(values, 5, 0.2), 10.0 / 3, 1e-15);
}

TEST(too_few_values_give_no_number)
{
    double one = 3;
    struct interval interval;

    EXPECT(isnan(describe_median(NULL, 0)) && isnan(describe_mean(NULL, 0)));
    EXPECT(isnan(describe_variance(&one, 1)));
    EXPECT(describe_median(&one, 1) == 3);
    EXPECT(!describe_median_interval(&one, 1, 0.95, &interval));
}

TEST(a_large_offset_does_not_eat_the_variance)
{
    double values[1000];

    for (int i = 0; i < 1000; i++)
        values[i] = 1e9 + i % 2;
    EXPECT_NEAR(describe_variance(values, 1000), 0.25 * 1000 / 999, 1e-12);
    EXPECT(describe_mean(values, 1000) == 1e9 + 0.5);
}

/* Order statistics in Conover's table: 6 values give their whole range, 20 the 6th and 15th. */
TEST(the_median_interval_is_that_of_the_tables)
{
    double values[20];
    struct interval interval;

    for (int i = 0; i < 20; i++)
        values[i] = i + 1;
    ASSERT(describe_median_interval(values, 20, 0.95, &interval));
    EXPECT(interval.low == 6 && interval.high == 15);
    ASSERT(describe_median_interval(values, 6, 0.95, &interval));
    EXPECT(interval.low == 1 && interval.high == 6);
    EXPECT(!describe_median_interval(values, 5, 0.95, &interval));
}

TEST(correlation_by_transform_is_that_by_hand)
{
    double values[50];
    double lags[60];
    struct random random = random_begin(3);

    wander(values, 50, 0.5, &random);
    describe_autocorrelations(values, 50, lags, 60);
    for (size_t lag = 0; lag < 50; lag++)
        EXPECT_NEAR(lags[lag], describe_autocorrelation(values, 50, lag), 1e-12);
    EXPECT(isnan(lags[50]));
}

TEST(a_wandering_series_counts_for_less)
{
    static double values[20000];
    struct random random = random_begin(4);

    wander(values, 20000, 0, &random);
    EXPECT_NEAR(describe_effective_count(values, 20000), 20000, 2500);
    wander(values, 20000, 0.8, &random); /* (1 - r) / (1 + r) of them. */
    EXPECT_NEAR(describe_effective_count(values, 20000), 20000.0 / 9, 450);
}

/* The dip is at least half a step, and half a step when all are evenly spaced. */
TEST(one_hill_and_two_are_told_apart)
{
    static double values[200];
    struct random random = random_begin(5);

    for (int i = 0; i < 200; i++)
        values[i] = i;
    EXPECT_NEAR(describe_dip(values, 200).dip, 1.0 / 400, 1e-12);
    for (int i = 0; i < 200; i++)
        values[i] = random_normal(&random);
    EXPECT(describe_dip(values, 200).p > 0.2);
    for (int i = 0; i < 200; i++)
        values[i] = random_normal(&random) + (i % 2) * 6;
    EXPECT(describe_dip(values, 200).p < 0.01);
    /* All mass in two equal places: the dip is a quarter. */
    for (int i = 0; i < 200; i++)
        values[i] = i % 2;
    EXPECT_NEAR(describe_dip(values, 200).dip, 0.25, 0.01);
}

TEST(a_dip_among_uniform_values_is_found_as_often_as_its_p_says)
{
    struct random random = random_begin(6);
    int rejected = 0;

    for (int round = 0; round < 400; round++) {
        double values[30];
        for (int i = 0; i < 30; i++)
            values[i] = random_unit(&random);
        rejected += describe_dip(values, 30).p <= 0.1;
    }
    EXPECT_NEAR(rejected / 400.0, 0.1, 0.05);
}

TEST(a_bootstrap_interval_holds_the_truth_as_often_as_it_says)
{
    struct random random = random_begin(7);
    int held = 0;

    for (int round = 0; round < 300; round++) {
        double values[40];
        struct interval interval;
        struct bootstrap plan = {values, 40, NULL, 0, bootstrap_mean, 0.9, 500, 1};
        for (int i = 0; i < 40; i++)
            values[i] = -log(1 - random_unit(&random)); /* Skewed; mean 1. */
        ASSERT(bootstrap_interval(&plan, &interval));
        held += interval.low <= 1 && interval.high >= 1;
    }
    EXPECT_NEAR(held / 300.0, 0.9, 0.05);
}

TEST(a_bootstrap_of_two_samples_sees_their_change)
{
    double a[30];
    double b[30];
    struct interval interval;
    struct random random = random_begin(8);
    struct bootstrap plan = {a, 30, b, 30, bootstrap_median_change, 0.95, 1000, 1};

    for (int i = 0; i < 30; i++) {
        a[i] = 100 + random_normal(&random);
        b[i] = 110 + random_normal(&random);
    }
    ASSERT(bootstrap_interval(&plan, &interval));
    EXPECT(interval.low > 0.08 && interval.high < 0.12 && interval.low < interval.high);
    plan.a_count = 1;
    EXPECT(!bootstrap_interval(&plan, &interval));
}

TEST_MAIN
