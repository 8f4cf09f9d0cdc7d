/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json_walk.h"

#include "test.h"

static const char text[] = "{\"a\": [1, {\"b\": \"x\\\"y\", \"c\": []}, null], \"d/e~f\": {}, "
                           "\"g\": -1.5e3, \"h\\u0041\": true}";

static bool finds(const char *pointer, enum json_walk_kind kind, const char *wanted)
{
    struct str value;
    enum json_walk_kind found = json_walk_find(str_of(text), str_of(pointer), &value);

    if (found != kind)
        return false;
    return wanted == NULL || str_eq(value, str_of(wanted));
}

TEST(every_value_is_told_with_its_place)
{
    struct json_walk walk = json_walk_begin(str_of("{\"a\":[7,{\"b\":\"c\"}],\"d\":true}"));
    struct str value;

    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_MAP && walk.depth == 1);
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_LIST);
    EXPECT(str_eq(walk.levels[0].key, STR("a")) && walk.depth == 2);
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_NUMBER && str_eq(value, STR("7")));
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_MAP && walk.levels[1].index == 1);
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_TEXT && str_eq(value, STR("c")));
    EXPECT(str_eq(walk.levels[2].key, STR("b")));
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_CLOSE);
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_CLOSE);
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_WORD && str_eq(walk.levels[0].key, STR("d")));
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_CLOSE);
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_END);
    EXPECT(json_walk_next(&walk, &value) == JSON_WALK_END);
}

TEST(pointers_find_values)
{
    EXPECT(finds("/a/0", JSON_WALK_NUMBER, "1"));
    EXPECT(finds("/a/1/b", JSON_WALK_TEXT, "x\\\"y"));
    EXPECT(finds("/a/1", JSON_WALK_MAP, "{\"b\": \"x\\\"y\", \"c\": []}"));
    EXPECT(finds("/a/1/c", JSON_WALK_LIST, "[]"));
    EXPECT(finds("/a/2", JSON_WALK_WORD, "null"));
    EXPECT(finds("/d~1e~0f", JSON_WALK_MAP, "{}"));
    EXPECT(finds("/g", JSON_WALK_NUMBER, "-1.5e3"));
    EXPECT(finds("/hA", JSON_WALK_WORD, "true"));
    EXPECT(finds("", JSON_WALK_MAP, text));
}

TEST(pointers_to_nothing_find_nothing)
{
    EXPECT(finds("/b", JSON_WALK_END, NULL));
    EXPECT(finds("/a/3", JSON_WALK_END, NULL));
    EXPECT(finds("/a/0/x", JSON_WALK_END, NULL));
    EXPECT(finds("/a/1/c/0", JSON_WALK_END, NULL));
    EXPECT(finds("/a/-", JSON_WALK_END, NULL));
}

TEST(what_is_no_json_is_broken)
{
    static const char *const bad[] = {"",    "{",    "[1 2]", "{\"a\" 1}", "{a:1}",    "[1,",
                                      "tru", "[1]x", "\"abc", "{\"a\":}",  "{\"a\\\"}"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct json_walk walk = json_walk_begin(str_of(bad[i]));
        enum json_walk_kind kind;
        struct str value;
        do {
            kind = json_walk_next(&walk, &value);
        } while (kind != JSON_WALK_END && kind != JSON_WALK_BROKEN);
        EXPECT(kind == JSON_WALK_BROKEN);
    }
}

TEST(depth_is_bounded)
{
    char deep[JSON_WALK_DEPTH_MAX + 2];
    struct json_walk walk;
    struct str value;
    int levels = 0;

    memset(deep, '[', sizeof(deep));
    walk = json_walk_begin((struct str){deep, sizeof(deep)});
    while (json_walk_next(&walk, &value) == JSON_WALK_LIST)
        levels++;
    EXPECT(levels == JSON_WALK_DEPTH_MAX);
}

TEST(escapes_mean_what_they_say)
{
    struct buf out CLEANUP(buf_done) = {0};

    json_walk_unescape(STR("a\\n\\\"\\u00e9\\ud83d\\ude00\\ud800x\\q\\"), &out);
    EXPECT(str_eq(buf_view(&out), STR("a\n\"\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbdx\\q\\")));
}

TEST_MAIN
