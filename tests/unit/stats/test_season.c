/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/array.h"
#include "stats/random.h"
#include "stats/season.h"
#include "test.h"

static void make(double *values, size_t count, size_t period, double slope, double noise,
                 uint64_t seed)
{
    struct random random = random_begin(seed);

    for (size_t i = 0; i < count; i++)
        values[i] = 50 + slope * (double)i +
                    (period == 0 ? 0 : 10 * sin(2 * M_PI * (double)i / (double)period)) +
                    noise * random_normal(&random);
}

TEST(the_period_is_found_under_slope_and_noise)
{
    static const size_t periods[] = {7, 12, 24, 96};
    static double values[600];
    double strength;

    for (size_t k = 0; k < ARRAY_COUNT(periods); k++) {
        make(values, 600, periods[k], 0.1, 3, k + 1);
        size_t period = season_period(values, 600, &strength);
        EXPECT(period >= periods[k] - periods[k] / 24 && period <= periods[k] + periods[k] / 24);
        EXPECT(strength > 0.5);
    }
}

TEST(a_lopsided_day_is_not_taken_for_half_a_day)
{
    static double values[480];
    struct random random = random_begin(5);

    for (int i = 0; i < 480; i++) /* A large hill at noon, a small one at midnight. */
        values[i] = 10 * exp(-pow((i % 24 - 12) / 2.0, 2)) +
                    5 * exp(-pow((i % 24 < 12 ? i % 24 : i % 24 - 24) / 2.0, 2)) +
                    0.3 * random_normal(&random);
    EXPECT(season_period(values, 480, NULL) == 24);
}

TEST(nothing_repeats_in_noise_slopes_and_wandering)
{
    static double values[300];
    int found = 0;

    for (uint64_t seed = 1; seed <= 50; seed++) {
        make(values, 300, 0, 0.3, 2, seed);
        found += season_period(values, 300, NULL) != 0;
    }
    EXPECT(found <= 1);
    for (int i = 0; i < 300; i++)
        values[i] = 3;
    EXPECT(season_period(values, 300, NULL) == 0);
    EXPECT(season_period(values, 5, NULL) == 0);
}

TEST(the_parts_add_up_and_are_what_went_in)
{
    static double values[240];
    static double trend[240];
    static double season[240];
    static double rest[240];

    make(values, 240, 24, 0.2, 0.5, 6);
    values[100] += 500; /* Wild: it belongs to the rest. */
    season_decompose(values, 240, 24, trend, season, rest);
    for (int i = 0; i < 240; i++) {
        EXPECT_NEAR(trend[i] + season[i] + rest[i], values[i], 1e-9);
        EXPECT_NEAR(season[i], 10 * sin(2 * M_PI * i / 24), 1.5);
        EXPECT_NEAR(trend[i], 50 + 0.2 * i, 2);
    }
    EXPECT(rest[100] > 480);
}

TEST(a_forecast_carries_season_and_slope_on)
{
    static double values[264];
    double ahead[24];
    struct interval intervals[24];
    struct season_forecast model;
    int held = 0;

    make(values, 264, 24, 0.2, 1, 7);
    ASSERT(season_forecast(values, 240, 24, 24, 0.95, ahead, intervals, &model));
    for (int i = 0; i < 24; i++) {
        EXPECT_NEAR(ahead[i], 50 + 0.2 * (240 + i) + 10 * sin(2 * M_PI * i / 24), 3.5);
        held += values[240 + i] >= intervals[i].low && values[240 + i] <= intervals[i].high;
        EXPECT(i == 0 || intervals[i].high - intervals[i].low >=
                             intervals[i - 1].high - intervals[i - 1].low - 1e-9);
    }
    EXPECT(held >= 20);
    EXPECT_NEAR(model.error, 1, 0.5);
}

TEST(intervals_of_a_forecast_hold_as_often_as_they_say)
{
    int held = 0;
    const int rounds = 200;

    for (int round = 0; round < rounds; round++) {
        double values[110];
        double ahead[10];
        struct interval intervals[10];
        struct random random = random_begin((uint64_t)round + 1);
        double here = 0;
        for (int i = 0; i < 110; i++) {
            here += 0.5 * random_normal(&random);
            values[i] = here + random_normal(&random);
        }
        ASSERT(season_forecast(values, 100, 0, 10, 0.9, ahead, intervals, NULL));
        held += values[109] >= intervals[9].low && values[109] <= intervals[9].high;
    }
    EXPECT_NEAR((double)held / rounds, 0.9, 0.07);
}

TEST(too_short_a_series_is_not_forecast)
{
    double values[] = {1, 2, 3, 4, 5, 6};
    double ahead[2];

    EXPECT(!season_forecast(values, 3, 0, 2, 0.95, ahead, NULL, NULL));
    EXPECT(!season_forecast(values, 6, 4, 2, 0.95, ahead, NULL, NULL));
    ASSERT(season_forecast(values, 6, 0, 2, 0.95, ahead, NULL, NULL));
    EXPECT_NEAR(ahead[0], 7, 0.3);
}

TEST_MAIN
