/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/baseline.h"
#include "test.h"

#include <math.h>

#define HOUR_MS   (INT64_C(3600) * 1000)
#define MONDAY_MS (INT64_C(1794182400) * 1000) /* 2026-11-09 0:00 UTC, a Monday. */

TEST(the_week_begins_on_monday_at_midnight)
{
    EXPECT(baseline_hour(MONDAY_MS) == 0);
    EXPECT(baseline_hour(MONDAY_MS - 1) == 167);
    EXPECT(baseline_hour(MONDAY_MS + 25 * HOUR_MS) == 25);
    EXPECT(baseline_hour(0) == 72); /* 1970 began on a Thursday. */
    EXPECT(baseline_hour(-1) == 71);
}

TEST(an_hour_is_judged_by_what_was_usual_in_it)
{
    enum { WEEKS = 4, PER_HOUR = 4, COUNT = WEEKS * BASELINE_HOURS * PER_HOUR };
    static int64_t times_ms[COUNT];
    static double values[COUNT];
    struct baseline baseline;

    for (int i = 0; i < COUNT; i++) {
        times_ms[i] = MONDAY_MS + i * HOUR_MS / PER_HOUR;
        unsigned hour = baseline_hour(times_ms[i]);
        values[i] = (hour == 30 ? 1000 : 100) + (i * 7 % 5 - 2);
    }
    values[5] = NAN;
    baseline_learn(times_ms, values, COUNT, &baseline);
    EXPECT(baseline.hours[30].reach == BASELINE_HOUR && baseline.hours[30].count == 16);
    EXPECT_NEAR(baseline.hours[30].median, 1000, 2);
    EXPECT(baseline.hours[1].count == 15);
    EXPECT(baseline_judge(&baseline, MONDAY_MS + 30 * HOUR_MS, 1001) == BASELINE_USUAL);
    EXPECT(baseline_judge(&baseline, MONDAY_MS + 30 * HOUR_MS, 100) == BASELINE_BELOW);
    EXPECT(baseline_judge(&baseline, MONDAY_MS + 31 * HOUR_MS, 1000) == BASELINE_ABOVE);
    EXPECT(baseline_judge(&baseline, MONDAY_MS, NAN) == BASELINE_UNKNOWN);
}

TEST(few_values_are_helped_out_by_other_days_and_none_by_nobody)
{
    int64_t times_ms[16];
    double values[16];
    struct baseline baseline;

    for (int day = 0; day < 16; day++) {
        times_ms[day] = MONDAY_MS + (day * 24 + 9) * HOUR_MS;
        values[day] = 50;
    }
    baseline_learn(times_ms, values, 16, &baseline);
    EXPECT(baseline.hours[9].reach == BASELINE_DAY_HOUR && baseline.hours[9].count == 16);
    EXPECT(baseline.hours[10].reach == BASELINE_ALL_HOURS);
    EXPECT(baseline_judge(&baseline, times_ms[0], 50.4) == BASELINE_USUAL);
    EXPECT(baseline_judge(&baseline, times_ms[0], 51) == BASELINE_ABOVE);
    baseline_learn(times_ms, values, 7, &baseline);
    EXPECT(baseline.hours[9].reach == BASELINE_NONE);
    EXPECT(baseline_judge(&baseline, times_ms[0], 50) == BASELINE_UNKNOWN);
    baseline_learn(NULL, NULL, 0, &baseline);
    EXPECT(baseline.hours[0].reach == BASELINE_NONE);
}

TEST_MAIN
