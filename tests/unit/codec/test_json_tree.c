/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "codec/json_tree.h"
#include "test.h"

static void arena_done(struct arena **arena)
{
    *arena = arena_free(*arena);
}

#define READ(text)                                                \
    struct arena *arena CLEANUP(arena_done) = arena_new(1 << 20); \
    struct why why = WHY_INIT;                                    \
    const struct node *root = NULL;                               \
    enum err err = json_read(str_of(text), "body", 1 << 16, arena, &root, &why)

TEST(values_keep_their_kind_order_and_exactness)
{
    READ("{\"z\": 9007199254740993, \"a\": [1.5, true, null, \"x\"], \"t\": \"true\"}");
    int64_t number;
    double fraction;
    bool truth;

    ASSERT(err == ERR_NONE);
    EXPECT(str_eq(root->first->key, STR("z")));
    EXPECT(node_i64(node_get(root, "z"), &number, &why) == ERR_NONE);
    EXPECT(number == INT64_C(9007199254740993));
    const struct node *list = node_get(root, "a");
    ASSERT(list->count == 4);
    EXPECT(node_double(list->first, &fraction, &why) == ERR_NONE && fraction == 1.5);
    EXPECT(node_bool(list->first->next, &truth, &why) == ERR_NONE && truth);
    EXPECT(list->first->next->next->kind == NODE_NULL);
    EXPECT(node_bool(node_get(root, "t"), &truth, &why) == ERR_INVALID);
    EXPECT_TEXT(why.text, "body: t: 'true' is not true or false");
}

TEST(errors_tell_the_path_or_the_place)
{
    {
        READ("{\"a\": [{\"b\": \"x\"}]}");
        int64_t number;
        ASSERT(err == ERR_NONE);
        EXPECT(node_i64(node_get(node_get(root, "a")->first, "b"), &number, &why) == ERR_INVALID);
        EXPECT_TEXT(why.text, "body: a[0].b: 'x' is not a whole number");
    }
    {
        READ("{\"a\": 1,\n  oops}");
        EXPECT(err == ERR_INVALID);
        EXPECT(strncmp(why.text, "body:2:", 7) == 0);
        EXPECT(why.position > 0);
    }
    {
        READ("{\"a\": 1, \"a\": 2}");
        EXPECT(err == ERR_INVALID);
    }
    {
        READ("");
        EXPECT(err == ERR_INVALID);
    }
}

TEST(nothing_hides_behind_a_zero_byte)
{
    struct arena *arena CLEANUP(arena_done) = arena_new(1 << 20);
    const struct node *root = NULL;

    EXPECT(json_read((struct str){"1\0", 2}, "body", 99, arena, &root, NULL) == ERR_INVALID);
    EXPECT(json_read((struct str){"[1]\0x", 5}, "body", 99, arena, &root, NULL) == ERR_INVALID);
    EXPECT(root == NULL);
}

TEST(depth_and_size_are_bounded)
{
    char deep[300];

    memset(deep, '[', 150);
    memset(deep + 150, ']', 149);
    deep[299] = '\0';
    memmove(deep + 149, deep + 150, 150);
    READ(deep);
    EXPECT(err == ERR_LIMIT);
    EXPECT(json_read(STR("[1,2,3]"), "body", 3, arena, &root, &why) == ERR_TOO_LARGE);
}

TEST_MAIN
