/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "test.h"

static int64_t parsed(const char *text)
{
    int64_t time_ms = -1;

    return clock_parse(text, strlen(text), &time_ms) ? time_ms : INT64_MIN;
}

TEST(times_are_written_and_read_in_rfc_3339)
{
    char text[CLOCK_TEXT_SIZE];

    (void)clock_text(text, INT64_C(1763658245678)); /* The size is not needed. */
    EXPECT_TEXT(text, "2025-11-20T17:04:05.678Z");
    EXPECT(parsed(text) == INT64_C(1763658245678));
    EXPECT(parsed("2025-11-20T18:04:05.678+01:00") == INT64_C(1763658245678));
    EXPECT(parsed("1969-12-31T23:59:59Z") == -1000);
    EXPECT(parsed("1763658245.678") == INT64_C(1763658245678));
    (void)clock_text(text, -1);
    EXPECT_TEXT(text, "1969-12-31T23:59:59.999Z");
}

TEST(what_is_no_time_is_refused)
{
    EXPECT(parsed("") == INT64_MIN);
    EXPECT(parsed("2025-13-01T00:00:00Z") == INT64_MIN);
    EXPECT(parsed("2025-11-20") == INT64_MIN);
    EXPECT(parsed("2025-11-20T18:04:05") == INT64_MIN);
    EXPECT(parsed("NaN") == INT64_MIN);
    EXPECT(parsed("1e300") == INT64_MIN);
}

TEST(civil_days_go_there_and_back)
{
    for (int64_t day = -800000; day < 800000; day += 137) {
        int64_t year;
        unsigned month;
        unsigned date;
        clock_civil_from_days(day, &year, &month, &date);
        if (clock_days_from_civil(year, month, date) != day) {
            EXPECT(clock_days_from_civil(year, month, date) == day);
            return;
        }
    }
    EXPECT(clock_days_from_civil(2000, 3, 1) == 11017);
}

TEST(monotonic_time_does_not_go_back)
{
    int64_t before = clock_monotonic_ns();
    int64_t boot = 0;

    EXPECT(clock_monotonic_ns() >= before);
    EXPECT(clock_boottime(&boot, NULL) == ERR_NONE && boot > 0);
}

TEST_MAIN
