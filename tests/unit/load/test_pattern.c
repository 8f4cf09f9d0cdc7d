/* SPDX-License-Identifier: Apache-2.0 */
#include "load/pattern.h"

#include "base/clock.h"
#include "test.h"

#define S CLOCK_NS_PER_S

static struct pattern parsed(const char *text)
{
    struct pattern pattern = {0};
    struct why why = WHY_INIT;

    if (pattern_parse(str_of(text), &pattern, &why) != ERR_NONE)
        printf("# %s\n", why.text);
    return pattern;
}

TEST(stages_follow_each_other)
{
    struct pattern pattern = parsed("50 for 10s, ramp 50..150 over 20s, step 10..30 in 3 over 30s");

    ASSERT(pattern.count == 5);
    EXPECT(pattern_length_ns(&pattern) == 60 * S);
    EXPECT_NEAR(pattern_level(&pattern, 5 * S), 50, 1e-9);
    EXPECT_NEAR(pattern_level(&pattern, 20 * S), 100, 1e-9);
    EXPECT_NEAR(pattern_level(&pattern, 35 * S), 10, 1e-9);
    EXPECT_NEAR(pattern_level(&pattern, 45 * S), 20, 1e-9);
    EXPECT_NEAR(pattern_level(&pattern, 60 * S), 0, 1e-9);
    EXPECT_NEAR(pattern_peak(&pattern), 150, 1e-9);
    EXPECT_NEAR(pattern_area(&pattern, 60 * S), 500 + 2000 + 600, 1e-6);
    pattern_done(&pattern);
}

TEST(a_spike_stands_between_its_base)
{
    struct pattern pattern = parsed("spike 10..100 over 40s");

    EXPECT_NEAR(pattern_level(&pattern, 9 * S), 10, 1e-9);
    EXPECT_NEAR(pattern_level(&pattern, 11 * S), 100, 1e-9);
    EXPECT_NEAR(pattern_level(&pattern, 21 * S), 10, 1e-9);
    EXPECT(pattern_length_ns(&pattern) == 40 * S);
    pattern_done(&pattern);
}

TEST(a_wave_swings_around_its_middle)
{
    struct pattern pattern = parsed("wave 50..150 every 20s for 40s");

    EXPECT_NEAR(pattern_level(&pattern, 0), 100, 1e-6);
    EXPECT_NEAR(pattern_level(&pattern, 5 * S), 150, 0.2);
    EXPECT_NEAR(pattern_level(&pattern, 15 * S), 50, 0.2);
    EXPECT_NEAR(pattern_area(&pattern, 40 * S), 4000, 1);
    pattern_done(&pattern);
}

TEST(random_levels_stay_between_their_ends_and_repeat_for_a_seed)
{
    struct pattern a = {0}, b = {0};

    ASSERT(pattern_random(&a, 10, 90, S, 60 * S, 7, NULL) == ERR_NONE);
    ASSERT(pattern_random(&b, 10, 90, S, 60 * S, 7, NULL) == ERR_NONE);
    double low = 1e9, high = 0;
    for (int i = 0; i < 60; i++) {
        double level = pattern_level(&a, i * S);
        EXPECT(level == pattern_level(&b, i * S));
        low = fmin(low, level);
        high = fmax(high, level);
    }
    EXPECT(low >= 10 && low < 30 && high <= 90 && high > 70);
    pattern_done(&a);
    pattern_done(&b);
}

TEST(the_time_of_an_area_undoes_the_area_of_a_time)
{
    struct pattern pattern = parsed("ramp 0..200 over 7s, 200 for 3s, ramp 200..0 over 5s, "
                                    "wave 10..90 every 3s for 9s");
    size_t hint = 0;

    for (int64_t at_ns = S / 100; at_ns < 23 * S; at_ns += S / 7) {
        double area = pattern_area(&pattern, at_ns);
        EXPECT_NEAR((double)pattern_time_of(&pattern, area, &hint), (double)at_ns, 1000);
    }
    EXPECT(pattern_time_of(&pattern, 1e9, &hint) == INT64_MAX);
    pattern_done(&pattern);
}

TEST(constant_arrivals_do_not_drift)
{
    struct pattern pattern = parsed("3333 for 1h");
    size_t hint = 0;
    int64_t last_ns = pattern_time_of(&pattern, 3333.0 * 3599, &hint);

    EXPECT_NEAR((double)last_ns, 3599.0 * (double)S, 100);
    pattern_done(&pattern);
}

TEST(mistakes_name_the_stage)
{
    static const char *const texts[] = {"",
                                        "50",
                                        "50 for soon",
                                        "hill 1..2 for 1s",
                                        "ramp 5 over 1s",
                                        "1..2 for 3s",
                                        "50 for 1s,",
                                        "-3 for 1s",
                                        "wave 1..2 every 0s for 1s",
                                        "1e99 for 1s",
                                        "50 for 1s for",
                                        "step 1..2 in 0 over 1s"};

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct pattern pattern = {0};
        struct why why = WHY_INIT;
        EXPECT(pattern_parse(str_of(texts[i]), &pattern, &why) == ERR_INVALID);
        EXPECT(strstr(why.text, "stage") != NULL);
        pattern_done(&pattern);
    }
}

TEST_MAIN
