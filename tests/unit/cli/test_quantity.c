/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/quantity.h"
#include "test.h"

static const char *text_of(double value, enum unit unit)
{
    static struct buf text;

    buf_clear(&text);
    quantity_write(&text, value, unit, 3);
    return buf_cstr(&text);
}

TEST(numbers_get_the_unit_that_people_read)
{
    EXPECT_TEXT(text_of(0, UNIT_BYTES), "0 B");
    EXPECT_TEXT(text_of(1536, UNIT_BYTES), "1.50 KiB");
    EXPECT_TEXT(text_of(3.5 * 0x1p30, UNIT_BYTES_PER_SECOND), "3.50 GiB/s");
    EXPECT_TEXT(text_of(0.0032, UNIT_SECONDS), "3.20 ms");
    EXPECT_TEXT(text_of(7200, UNIT_SECONDS), "2 h");
    EXPECT_TEXT(text_of(0.125, UNIT_RATIO), "12.5 %");
    EXPECT_TEXT(text_of(12.5, UNIT_PERCENT), "12.5 %");
    EXPECT_TEXT(text_of(4120, UNIT_PER_SECOND), "4.12 k/s");
    EXPECT_TEXT(text_of(-1500, UNIT_NONE), "-1.50 k");
    EXPECT_TEXT(text_of(NAN, UNIT_BYTES), "-");
    EXPECT_TEXT(text_of(INFINITY, UNIT_NONE), "+Inf");
}

TEST(ticks_lose_their_last_zeros)
{
    struct buf text CLEANUP(buf_done) = {0};

    quantity_write_short(&text, 22.5 * 0x1p30, UNIT_BYTES, 4);
    EXPECT_TEXT(buf_cstr(&text), "22.5 GiB");
    buf_clear(&text);
    quantity_write_short(&text, 100, UNIT_NONE, 4);
    EXPECT_TEXT(buf_cstr(&text), "100");
    buf_clear(&text);
    quantity_write_short(&text, 0.5, UNIT_NONE, 4);
    EXPECT_TEXT(buf_cstr(&text), "0.5");
}

TEST(ages_use_their_largest_unit)
{
    struct buf text CLEANUP(buf_done) = {0};

    quantity_write_age(&text, 59);
    buf_byte(&text, ' ');
    quantity_write_age(&text, 3599);
    buf_byte(&text, ' ');
    quantity_write_age(&text, 3660);
    buf_byte(&text, ' ');
    quantity_write_age(&text, 3 * 86400.0);
    EXPECT_TEXT(buf_cstr(&text), "59s 59m 1h01 3d");
}

TEST(the_unit_is_read_from_the_names)
{
    EXPECT(unit_of_expression(STR("node_memory_MemFree_bytes")) == UNIT_BYTES);
    EXPECT(unit_of_expression(STR("rate(node_disk_read_bytes_total[1m])")) ==
           UNIT_BYTES_PER_SECOND);
    EXPECT(unit_of_expression(STR("rate(node_cpu_seconds_total[1m])")) == UNIT_NONE);
    EXPECT(unit_of_expression(STR("sonde_source_collect_seconds")) == UNIT_SECONDS);
    EXPECT(unit_of_expression(STR("a_bytes / b_bytes")) == UNIT_NONE);
    EXPECT(unit_of_expression(STR("node_load1")) == UNIT_NONE);
}

TEST_MAIN
