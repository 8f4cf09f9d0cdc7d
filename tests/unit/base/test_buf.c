/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/json.h"
#include "test.h"

TEST(what_is_appended_stands_there)
{
    struct buf buf CLEANUP(buf_done) = {0};

    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%d,", i);
    EXPECT(buf.size == 3890);
    EXPECT(strncmp(buf_cstr(&buf), "0,1,2,3,", 8) == 0);
    buf_consume(&buf, 4);
    EXPECT(strncmp(buf_cstr(&buf), "2,3,", 4) == 0);
    buf_consume(&buf, buf.size);
    EXPECT_TEXT(buf_cstr(&buf), "");
}

TEST(varints_follow_leb128)
{
    struct buf buf CLEANUP(buf_done) = {0};

    buf_varint(&buf, 300);
    EXPECT(buf.size == 2 && (uint8_t)buf.data[0] == 0xAC && buf.data[1] == 0x02);
    buf_clear(&buf);
    buf_varint(&buf, UINT64_MAX);
    EXPECT(buf.size == 10);
}

TEST(varints_are_taken_off_the_front_or_refused)
{
    struct str rest = STR("\xAC\x02\x07\x80");
    uint64_t value = 0;

    EXPECT(buf_take_varint(&rest, &value) && value == 300);
    EXPECT(buf_take_varint(&rest, &value) && value == 7);
    EXPECT(!buf_take_varint(&rest, &value) && rest.size == 1);
    rest = STR("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01");
    EXPECT(buf_take_varint(&rest, &value) && value == UINT64_MAX);
    rest = STR("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02");
    EXPECT(!buf_take_varint(&rest, &value));
}

TEST(zigzag_goes_there_and_back)
{
    const int64_t values[] = {0, -1, 1, INT64_MIN, INT64_MAX, -64};

    for (size_t i = 0; i < ARRAY_COUNT(values); i++)
        EXPECT(unzigzag(zigzag(values[i])) == values[i]);
    EXPECT(zigzag(-1) == 1 && zigzag(1) == 2);
}

TEST(json_text_is_escaped_and_repaired)
{
    struct buf buf CLEANUP(buf_done) = {0};

    json_str(&buf, STR("a\"b\\c\n\x01 gr\xC3\xBCn \xFF"));
    EXPECT_TEXT(buf_cstr(&buf), "\"a\\\"b\\\\c\\n\\u0001 gr\xC3\xBCn \xEF\xBF\xBD\"");
}

TEST(the_json_writer_places_commas)
{
    struct buf buf CLEANUP(buf_done) = {0};
    struct json json = json_begin(&buf);

    json_open(&json, '{');
    json_key(&json, "a");
    json_open(&json, '[');
    json_add_i64(&json, -1);
    json_add_double(&json, 0.5);
    json_add_double(&json, NAN);
    json_close(&json, ']');
    json_key(&json, "b");
    json_add_bool(&json, true);
    json_key(&json, "c");
    json_add_text(&json, NULL);
    json_close(&json, '}');
    EXPECT_TEXT(buf_cstr(&buf), "{\"a\":[-1,0.5,null],\"b\":true,\"c\":null}");
}

TEST_MAIN
