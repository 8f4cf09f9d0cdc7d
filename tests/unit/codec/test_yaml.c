/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "codec/yaml.h"
#include "test.h"

static void arena_done(struct arena **arena)
{
    *arena = arena_free(*arena);
}

#define READ(text)                                                \
    struct arena *arena CLEANUP(arena_done) = arena_new(1 << 20); \
    struct why why = WHY_INIT;                                    \
    const struct node *root = NULL;                               \
    enum err err = yaml_read(str_of(text), "a.yaml", arena, &root, &why)

TEST(maps_lists_and_scalars_become_a_tree)
{
    READ("listen: 127.0.0.1:7070\n"
         "retention:\n"
         "  raw: 30d\n"
         "  bytes: 2GiB\n"
         "collectors:\n"
         "  - name: backup\n"
         "    command: [/bin/echo, 'a: b']\n"
         "  - {name: other, on: false, share: 10%, n: -5, x: 1.5}\n"
         "nothing: ~\n");
    struct str text;
    int64_t number;
    double fraction;
    bool truth;

    ASSERT(err == ERR_NONE);
    EXPECT(root->kind == NODE_MAP && root->count == 4);
    EXPECT(node_text(node_get(root, "listen"), &text, &why) == ERR_NONE);
    EXPECT(str_eq(text, STR("127.0.0.1:7070")));
    const struct node *retention = node_get(root, "retention");
    EXPECT(node_duration_ms(node_get(retention, "raw"), &number, &why) == ERR_NONE);
    EXPECT(number == INT64_C(30) * 86400000);
    EXPECT(node_size(node_get(retention, "bytes"), &number, &why) == ERR_NONE);
    EXPECT(number == INT64_C(2) << 30);
    const struct node *collectors = node_get(root, "collectors");
    ASSERT(node_list(collectors, &why) == ERR_NONE && collectors->count == 2);
    const struct node *first = collectors->first;
    EXPECT(node_get(first, "command")->count == 2);
    EXPECT(str_eq(node_get(first, "command")->first->next->text, STR("a: b")));
    const struct node *second = first->next;
    EXPECT(node_bool(node_get(second, "on"), &truth, &why) == ERR_NONE && !truth);
    EXPECT(node_ratio(node_get(second, "share"), &fraction, &why) == ERR_NONE);
    EXPECT_NEAR(fraction, 0.1, 1e-12);
    EXPECT(node_i64(node_get(second, "n"), &number, &why) == ERR_NONE && number == -5);
    EXPECT(node_double(node_get(second, "x"), &fraction, &why) == ERR_NONE);
    EXPECT(node_get(root, "nothing") == NULL);
    EXPECT(node_get(NULL, "any") == NULL);
}

TEST(an_empty_document_is_nothing)
{
    READ("# only a comment\n");
    ASSERT(err == ERR_NONE);
    EXPECT(root->kind == NODE_NULL);
    EXPECT(node_get(root, "x") == NULL);
}

TEST(errors_carry_line_column_and_path)
{
    READ("a:\n  b:\n    - every: soon\n");
    int64_t number;

    ASSERT(err == ERR_NONE);
    const struct node *every = node_get(node_get(node_get(root, "a"), "b")->first, "every");
    EXPECT(node_duration_ms(every, &number, &why) == ERR_INVALID);
    EXPECT_TEXT(why.text, "a.yaml:3:14: a.b[0].every: 'soon' is not a duration such as 250ms, "
                          "15s, 2h or 30d");
    EXPECT(node_need(root, "c", &every, &why) == ERR_INVALID);
    EXPECT_TEXT(why.text, "a.yaml:1:1: the key 'c' is missing");
    EXPECT(node_i64(node_get(root, "a"), &number, &why) == ERR_INVALID);
    EXPECT_TEXT(why.text, "a.yaml:1:1: a: expected a whole number, found a map of keys");
}

TEST(unknown_keys_are_told_with_the_nearest)
{
    static const char *const keys[] = {"name", "command", "every"};
    READ("name: x\ncomand: y\n");

    ASSERT(err == ERR_NONE);
    EXPECT(node_only(root, keys, ARRAY_COUNT(keys), &why) == ERR_INVALID);
    EXPECT_TEXT(why.text, "a.yaml:2:9: comand: unknown key 'comand'");
    EXPECT_TEXT(why.hint, "did you mean 'command'?");
}

TEST(quoted_text_is_no_truth_value)
{
    READ("a: 'true'\n");
    bool truth;

    ASSERT(err == ERR_NONE);
    EXPECT(node_bool(node_get(root, "a"), &truth, &why) == ERR_INVALID);
}

static void expect_refusal(const char *text, const char *complaint)
{
    READ(text);

    EXPECT(err == ERR_INVALID);
    EXPECT_TEXT(why.text, complaint);
}

TEST(what_configuration_does_not_need_is_refused)
{
    expect_refusal("a: 1\nb: 2\na: 3\n", "a.yaml:3:4: a: the key was already given in line 1");
    expect_refusal("a: &x 1\n", "a.yaml:1:4: anchors (&name) are not accepted; repeat the value");
    expect_refusal("a: *x\n", "a.yaml:1:4: aliases (*name) are not accepted; repeat the value");
    expect_refusal("a: !!str 1\n", "a.yaml:1:4: tags (!name) are not accepted");
    expect_refusal("[1, 2]: 3\n", "a.yaml:1:1: a key must be a text");
    expect_refusal("a: 1\n---\nb: 2\n",
                   "a.yaml:2:1: a second document begins here; one file holds one");
}

TEST(broken_text_is_told_with_its_place)
{
    READ("a: 1\n\tb: 2\n");

    EXPECT(err == ERR_INVALID);
    EXPECT(strncmp(why.text, "a.yaml:2:1: ", 12) == 0);
    EXPECT(why.hint[0] != '\0');
}

TEST(depth_and_budget_are_bounded)
{
    char deep[400];

    memset(deep, '[', sizeof(deep));
    deep[sizeof(deep) - 1] = '\0';
    READ(deep);
    EXPECT(err == ERR_INVALID && strstr(why.text, "nested too deeply") != NULL);

    struct arena *small CLEANUP(arena_done) = arena_new(300);
    EXPECT(yaml_read(STR("[1, 2, 3, 4, 5, 6, 7, 8]"), "b", small, &root, &why) == ERR_LIMIT);
}

TEST_MAIN
