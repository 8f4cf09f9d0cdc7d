/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/array.h"
#include "stats/random.h"
#include "stats/trend.h"
#include "test.h"

static void wander(double *values, size_t count, double correlation, struct random *random)
{
    double here = random_normal(random);

    for (size_t i = 0; i < count; i++) {
        values[i] = here;
        here = correlation * here + sqrt(1 - correlation * correlation) * random_normal(random);
    }
}

static double *clock_ticks(size_t count)
{
    double *x = array_new(count);

    for (size_t i = 0; i < count; i++)
        x[i] = (double)i;
    return x;
}

TEST(a_straight_line_is_found_in_spite_of_wild_values)
{
    double *x CLEANUP(array_freep) = clock_ticks(100);
    double y[100];

    for (int i = 0; i < 100; i++)
        y[i] = i % 4 == 0 ? 1e6 : 3 + 0.5 * i;
    struct trend_line line = trend_theil_sen(x, y, 100);
    EXPECT_NEAR(line.slope, 0.5, 0.2);
    for (int i = 0; i < 100; i++)
        y[i] = i % 10 == 0 ? -1e6 : 3 + 0.5 * i;
    line = trend_theil_sen(x, y, 100);
    EXPECT_NEAR(line.slope, 0.5, 1e-9);
    EXPECT_NEAR(line.intercept, 3, 1e-6);
}

/* Many values take another road than few; both must end at the same slope. */
TEST(counting_slopes_agrees_with_making_them)
{
    const size_t count = 700; /* 244,650 pairs: above what is made. */
    double *x CLEANUP(array_freep) = array_new(count);
    double *y CLEANUP(array_freep) = array_new(count);
    double *slopes CLEANUP(array_freep) = array_new(count * (count - 1) / 2);
    struct random random = random_begin(1);
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        x[i] = 1e9 + (double)i * 15 + random_unit(&random);
        y[i] = 2e-3 * (double)i + random_normal(&random);
    }
    for (size_t j = 1; j < count; j++) {
        for (size_t i = 0; i < j; i++)
            slopes[at++] = (y[j] - y[i]) / (x[j] - x[i]);
    }
    double wanted = describe_median(slopes, at);
    EXPECT_NEAR(trend_theil_sen(x, y, count).slope / wanted, 1, 1e-9);
}

TEST(kendalls_s_agrees_with_counting_pairs)
{
    struct random random = random_begin(2);

    for (int round = 0; round < 50; round++) {
        double y[40];
        double s = 0;
        for (int i = 0; i < 40; i++)
            y[i] = (double)random_below(&random, 8);
        for (int j = 1; j < 40; j++) {
            for (int i = 0; i < j; i++)
                s += (y[j] > y[i]) - (y[j] < y[i]);
        }
        EXPECT(trend_mann_kendall(y, 40).s == s);
    }
}

/* Gilbert (1987): n = 10 without ties has a variance of 125; three equal values take 3.67 away. */
TEST(kendalls_variance_is_that_of_the_textbook)
{
    double y[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

    EXPECT_NEAR(trend_mann_kendall(y, 10).variance, 125, 1e-12);
    EXPECT(trend_mann_kendall(y, 10).s == 45);
    y[4] = y[5] = y[3];
    EXPECT_NEAR(trend_mann_kendall(y, 10).variance, 125 - 66.0 / 18, 1e-12);
}

static double false_alarms(double correlation, size_t count, int rounds)
{
    double *x CLEANUP(array_freep) = clock_ticks(count);
    double *y CLEANUP(array_freep) = array_new(count);
    struct random random = random_begin(3);
    int alarms = 0;

    for (int round = 0; round < rounds; round++) {
        wander(y, count, correlation, &random);
        struct trend answer = trend(x, y, count);
        alarms += answer.enough && answer.p <= 0.05;
    }
    return (double)alarms / rounds;
}

TEST(a_wandering_series_is_no_leak)
{
    static const double correlations[] = {0, 0.3, 0.6, 0.9};

    for (size_t k = 0; k < ARRAY_COUNT(correlations); k++) {
        double alarms = false_alarms(correlations[k], 200, 300);
        printf("# r = %.1f: %.3f\n", correlations[k], alarms);
        EXPECT(alarms <= 0.08);
    }
}

TEST(a_leak_is_found_and_its_speed_told)
{
    double *x CLEANUP(array_freep) = clock_ticks(200);
    double y[200];
    struct random random = random_begin(4);

    wander(y, 200, 0.6, &random);
    for (int i = 0; i < 200; i++)
        y[i] += 0.05 * i;
    struct trend answer = trend(x, y, 200);
    EXPECT(answer.enough && answer.p < 1e-4 && answer.kendall.tau > 0.5);
    EXPECT(answer.slope_interval.low < 0.05 && answer.slope_interval.high > 0.05);
    EXPECT(answer.slope_interval.low > 0.02);
}

TEST(too_little_is_said_to_be_too_little)
{
    double *x CLEANUP(array_freep) = clock_ticks(30);
    double y[30];

    for (int i = 0; i < 30; i++)
        y[i] = i;
    EXPECT(!trend(x, y, 4).enough && isnan(trend(x, y, 4).p));
    EXPECT(!trend(x, y, 9).enough);
    EXPECT(trend(x, y, 30).enough && trend(x, y, 30).p < 0.001);
    for (int i = 0; i < 30; i++)
        y[i] = 7;
    EXPECT(trend(x, y, 30).p == 1);
}

TEST_MAIN
