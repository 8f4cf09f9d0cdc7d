/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "test.h"

static double parsed(const char *text)
{
    double value = -12345;

    if (!str_to_double(str_of(text), &value))
        printf("# '%s' was refused\n", text);
    return value;
}

static bool is_number(const char *text)
{
    double value;

    return str_to_double(str_of(text), &value);
}

static const char *written(double value)
{
    static char text[STR_DOUBLE_SIZE + 1];

    text[str_from_double(text, value)] = '\0';
    return text;
}

TEST(doubles_are_written_as_prometheus_writes_them)
{
    EXPECT_TEXT(written(0), "0");
    EXPECT_TEXT(written(-0.0), "-0");
    EXPECT_TEXT(written(1), "1");
    EXPECT_TEXT(written(-1.5), "-1.5");
    EXPECT_TEXT(written(0.1), "0.1");
    EXPECT_TEXT(written(0.000001), "0.000001");
    EXPECT_TEXT(written(0.00000012), "1.2e-07");
    EXPECT_TEXT(written(1e21), "1e+21");
    EXPECT_TEXT(written(123456789012345678.0), "123456789012345680");
    EXPECT_TEXT(written(1.7976931348623157e308), "1.7976931348623157e+308");
    EXPECT_TEXT(written(5e-324), "5e-324");
    EXPECT_TEXT(written(1.0 / 3), "0.3333333333333333");
    EXPECT_TEXT(written(1763659012.345), "1763659012.345");
    EXPECT_TEXT(written(INFINITY), "+Inf");
    EXPECT_TEXT(written(-INFINITY), "-Inf");
    EXPECT_TEXT(written(NAN), "NaN");
}

TEST(every_double_reads_back_as_itself)
{
    uint64_t state = 42;

    for (int i = 0; i < 200000; i++) {
        double value;
        char text[STR_DOUBLE_SIZE];
        double again = 0;

        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = i % 2 == 0 ? state : (state >> 12) | UINT64_C(0x3ff0000000000000);
        memcpy(&value, &bits, sizeof(value));
        if (i % 5 == 0)
            value = (double)(int64_t)(state >> 40) / 1000;
        if (isnan(value))
            continue;
        size_t size = str_from_double(text, value);
        if (!str_to_double((struct str){text, size}, &again) || again != value) {
            printf("# %.17g became %.*s\n", value, (int)size, text);
            EXPECT(again == value);
            return;
        }
    }
}

TEST(doubles_are_read_exactly)
{
    EXPECT(parsed("1e3") == 1000);
    EXPECT(parsed("0x1p4") == 16);
    EXPECT(parsed("+1.25") == 1.25);
    EXPECT(parsed(".5") == 0.5);
    EXPECT(parsed("5.") == 5);
    EXPECT(parsed("123456789012345678901234567890") == 123456789012345678901234567890.0);
    EXPECT(parsed("0.1") == 0.1);
    EXPECT(parsed("9007199254740993") == 9007199254740993.0);
    EXPECT(isinf(parsed("+Inf")) && isinf(parsed("-inf")) && isnan(parsed("NaN")));
    EXPECT(!is_number("") && !is_number("-") && !is_number("1x") && !is_number(" 1"));
    EXPECT(!is_number("1 ") && !is_number("1e") && !is_number(".") && !is_number("nano"));
}

TEST(integers_outside_their_range_are_refused)
{
    int64_t value = 0;
    uint64_t natural = 0;

    EXPECT(str_to_i64(STR("-9223372036854775808"), &value) && value == INT64_MIN);
    EXPECT(str_to_i64(STR("9223372036854775807"), &value) && value == INT64_MAX);
    EXPECT(!str_to_i64(STR("9223372036854775808"), &value));
    EXPECT(!str_to_i64(STR("-"), &value) && !str_to_i64(STR(""), &value));
    EXPECT(str_to_u64(STR("18446744073709551615"), &natural) && natural == UINT64_MAX);
    EXPECT(!str_to_u64(STR("18446744073709551616"), &natural) && !str_to_u64(STR("-1"), &natural));
}

TEST(durations_are_read_in_prometheus_order)
{
    int64_t ms = 0;

    EXPECT(str_to_duration_ms(STR("1m30s"), &ms) && ms == 90000);
    EXPECT(str_to_duration_ms(STR("250ms"), &ms) && ms == 250);
    EXPECT(str_to_duration_ms(STR("1y2w3d"), &ms) && ms == (365 + 14 + 3) * INT64_C(86400000));
    EXPECT(str_to_duration_ms(STR("0"), &ms) && ms == 0);
    EXPECT(!str_to_duration_ms(STR("30s1m"), &ms));
    EXPECT(!str_to_duration_ms(STR("5"), &ms) && !str_to_duration_ms(STR("s"), &ms));
    EXPECT(!str_to_duration_ms(STR("99999999999999y"), &ms) && !str_to_duration_ms(STR(""), &ms));
}

TEST(text_that_is_no_utf8_is_told_apart)
{
    EXPECT(str_is_utf8(STR("grün \xE2\x82\xAC \xF0\x9F\x98\x80")));
    EXPECT(!str_is_utf8(STR("\xC0\x80")));         /* Overlong. */
    EXPECT(!str_is_utf8(STR("\xED\xA0\x80")));     /* Surrogate. */
    EXPECT(!str_is_utf8(STR("\xF4\x90\x80\x80"))); /* Past U+10FFFF. */
    EXPECT(!str_is_utf8(STR("\xE2\x82")));         /* Cut. */
}

TEST(one_is_no_plural_and_none_is)
{
    EXPECT_TEXT(str_plural(1), "");
    EXPECT_TEXT(str_plural(0), "s");
    EXPECT_TEXT(str_plural(2), "s");
}

TEST(splitting_gives_every_part_once)
{
    struct str rest = STR("a,,b");

    EXPECT(str_eq(str_split(&rest, ','), STR("a")));
    EXPECT(str_eq(str_split(&rest, ','), STR("")));
    EXPECT(str_eq(str_split(&rest, ','), STR("b")));
    EXPECT(rest.data == NULL);
}

TEST_MAIN
