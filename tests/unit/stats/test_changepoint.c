/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/array.h"
#include "stats/changepoint.h"
#include "stats/random.h"
#include "test.h"

static size_t find(const double *values, size_t count, struct changepoint **ret_changes)
{
    struct changepoint_options options = CHANGEPOINT_OPTIONS_DEFAULT;

    return changepoint_find(values, count, &options, ret_changes);
}

static void wander(double *values, size_t count, double correlation, uint64_t seed)
{
    struct random random = random_begin(seed);
    double here = random_normal(&random);

    for (size_t i = 0; i < count; i++) {
        values[i] = here;
        here = correlation * here + sqrt(1 - correlation * correlation) * random_normal(&random);
    }
}

TEST(levels_are_told_apart_where_they_change)
{
    double values[150];
    struct changepoint *changes CLEANUP(changepoint_freep) = NULL;

    wander(values, 150, 0, 1);
    for (int i = 0; i < 150; i++)
        values[i] += i < 60 ? 100 : i < 100 ? 104 : 97;
    ASSERT(find(values, 150, &changes) == 2);
    EXPECT(changes[0].index >= 59 && changes[0].index <= 61);
    EXPECT(changes[1].index >= 99 && changes[1].index <= 101);
    EXPECT_NEAR(changes[0].before, 100, 0.5);
    EXPECT_NEAR(changes[0].after, 104, 0.5);
    EXPECT_NEAR(changes[1].after, 97, 0.5);
    EXPECT(changes[0].p < 1e-6 && changes[1].p < 1e-6);
}

TEST(noise_wild_values_and_constants_are_no_change)
{
    static double values[300];
    struct changepoint *changes CLEANUP(changepoint_freep) = NULL;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        wander(values, 300, 0, seed);
        values[150] = 60;
        values[40] = -80;
        EXPECT(find(values, 300, &changes) == 0);
    }
    for (int i = 0; i < 300; i++)
        values[i] = 42;
    EXPECT(find(values, 300, &changes) == 0);
    EXPECT(find(values, 2, &changes) == 0);
    EXPECT(find(values, 0, &changes) == 0);
}

TEST(steps_without_any_noise_are_certain)
{
    static double values[120];
    struct changepoint *changes CLEANUP(changepoint_freep) = NULL;

    for (int i = 0; i < 120; i++)
        values[i] = i < 40 ? 0.1 : i < 80 ? 1.1 : 0.3;
    ASSERT(find(values, 120, &changes) == 2);
    EXPECT(changes[0].index == 40 && changes[1].index == 80);
    EXPECT(changes[0].p < 1e-9 && changes[1].p < 1e-9);
}

TEST(resembling_neighbours_seldom_make_a_change)
{
    static double values[200];
    int alarms = 0;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct changepoint *changes CLEANUP(changepoint_freep) = NULL;
        wander(values, 200, 0.5, seed);
        alarms += find(values, 200, &changes) > 0;
    }
    EXPECT(alarms <= 5);
}

TEST(a_slope_is_no_staircase_and_its_jump_is_found)
{
    static double values[200];
    struct changepoint *changes CLEANUP(changepoint_freep) = NULL;
    struct changepoint *jump CLEANUP(changepoint_freep) = NULL;

    wander(values, 200, 0, 3);
    for (int i = 0; i < 200; i++)
        values[i] += 0.5 * i;
    EXPECT(find(values, 200, &changes) == 0);
    for (int i = 120; i < 200; i++)
        values[i] -= 30;
    ASSERT(find(values, 200, &jump) == 1);
    EXPECT(jump[0].index >= 119 && jump[0].index <= 121);
}

TEST(short_plateaus_are_found_by_their_steps)
{
    double values[80];
    struct changepoint *changes CLEANUP(changepoint_freep) = NULL;

    wander(values, 80, 0, 4);
    for (int i = 0; i < 80; i++)
        values[i] = values[i] * 0.3 + (i >= 40 && i < 47 ? 20 : 10);
    ASSERT(find(values, 80, &changes) == 2);
    EXPECT(changes[0].index == 40 && changes[1].index == 47);
}

TEST(units_do_not_matter)
{
    double values[120];
    double scaled[120];
    struct changepoint *changes CLEANUP(changepoint_freep) = NULL;
    struct changepoint *same CLEANUP(changepoint_freep) = NULL;

    wander(values, 120, 0.2, 5);
    for (int i = 0; i < 120; i++) {
        values[i] += i < 70 ? 0 : 3;
        scaled[i] = 1e12 + 1e9 * values[i];
    }
    size_t count = find(values, 120, &changes);
    ASSERT(count == 1 && find(scaled, 120, &same) == 1);
    EXPECT(changes[0].index == same[0].index);
}

TEST_MAIN
