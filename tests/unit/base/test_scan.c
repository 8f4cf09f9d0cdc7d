/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scan.h"

#include "test.h"

#include <math.h>
#include <string.h>

enum { MOST = 70 };

TEST(bits_are_found_wherever_they_stand_and_only_they)
{
    const uint64_t wanted = UINT64_C(0x7ff0000000000002);
    double marker;
    double values[MOST];

    memcpy(&marker, &wanted, sizeof(marker));
    for (size_t i = 0; i < MOST; i++)
        values[i] = i % 3 == 0 ? (double)NAN : (double)i;
    for (size_t count = 0; count < MOST; count++) {
        EXPECT(!scan_holds_bits(values, count, wanted));
        for (size_t at = 0; at < count; at++) {
            double kept = values[at];
            memcpy(&values[at], &wanted, sizeof(wanted));
            EXPECT(scan_holds_bits(values, count, wanted));
            EXPECT(!scan_holds_bits(values, at, wanted));
            values[at] = kept;
        }
    }
    EXPECT(isnan(marker));
}

TEST(a_fall_is_seen_between_any_two)
{
    double values[MOST];

    for (size_t count = 0; count < MOST; count++) {
        for (size_t i = 0; i < MOST; i++)
            values[i] = (double)(i / 2); /* Equal ones are no fall. */
        EXPECT(!scan_falls(values, count));
        for (size_t at = 1; at < count; at++) {
            double kept = values[at];
            values[at] = values[at - 1] - 0.5;
            EXPECT(scan_falls(values, count));
            values[at] = kept;
        }
    }
}

TEST(nothing_falls_from_or_to_what_is_no_number)
{
    const double values[] = {1, (double)NAN, 0, (double)NAN, -1};

    EXPECT(!scan_falls(values, sizeof(values) / sizeof(values[0])));
}

TEST_MAIN
