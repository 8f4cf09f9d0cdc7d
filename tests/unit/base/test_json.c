/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "test.h"

#include <math.h>

TEST(commas_stand_between_values_and_nowhere_else)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);

    json_open(&json, '{');
    json_key(&json, "empty");
    json_open(&json, '[');
    json_close(&json, ']');
    json_key(&json, "list");
    json_open(&json, '[');
    json_add_i64(&json, -1);
    json_add_null(&json);
    json_open(&json, '{');
    json_close(&json, '}');
    json_close(&json, ']');
    json_put_bool(&json, "last", true);
    json_close(&json, '}');
    EXPECT(str_eq(buf_view(&out), STR("{\"empty\":[],\"list\":[-1,null,{}],\"last\":true}")));
}

TEST(a_key_and_its_value_go_in_one_call)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);

    json_open(&json, '{');
    json_put_str(&json, "a", STR("x"));
    json_put_text(&json, "b", NULL);
    json_put_double(&json, "c", 0.5);
    json_put_i64(&json, "d", INT64_MIN);
    json_put_u64(&json, "e", UINT64_MAX);
    json_close(&json, '}');
    EXPECT(
        str_eq(buf_view(&out), STR("{\"a\":\"x\",\"b\":null,\"c\":0.5,\"d\":-9223372036854775808,"
                                   "\"e\":18446744073709551615}")));
}

TEST(text_is_quoted_and_what_is_no_utf8_is_replaced)
{
    struct buf out CLEANUP(buf_done) = {0};

    json_str(&out, (struct str){"q\" b\\ n\n c\1 \xc3\xa4 \xff", 16});
    EXPECT(str_eq(buf_view(&out), STR("\"q\\\" b\\\\ n\\n c\\u0001 \xc3\xa4 \xef\xbf\xbd\"")));
}

TEST(what_is_no_number_in_json_is_null)
{
    struct buf out CLEANUP(buf_done) = {0};

    json_double(&out, NAN);
    json_double(&out, INFINITY);
    json_double(&out, -INFINITY);
    EXPECT(str_eq(buf_view(&out), STR("nullnullnull")));
}

TEST_MAIN
