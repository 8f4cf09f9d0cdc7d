/* SPDX-License-Identifier: Apache-2.0 */
#include "model/label.h"
#include "test.h"

static struct label pair(const char *name, const char *value)
{
    return (struct label){str_of(name), str_of(value)};
}

TEST(equal_sets_are_one_pointer_whatever_their_order)
{
    struct label_pool *pool = label_pool_new(1 << 20);
    struct label one[] = {pair("b", "2"), pair("__name__", "up"), pair("a", "1"), pair("c", "")};
    struct label two[] = {pair("__name__", "up"), pair("a", "1"), pair("b", "2")};
    const struct labels *first = NULL;
    const struct labels *second = NULL;
    struct buf text CLEANUP(buf_done) = {0};

    ASSERT(label_pool_get(pool, one, 4, &first, NULL) == ERR_NONE);
    ASSERT(label_pool_get(pool, two, 3, &second, NULL) == ERR_NONE);
    EXPECT(first == second && label_pool_count(pool) == 1);
    labels_write(&text, first);
    EXPECT_TEXT(buf_cstr(&text), "up{a=\"1\",b=\"2\"}");
    label_pool_unref(pool);
}

TEST(bad_labels_are_refused_by_name)
{
    struct label_pool *pool = label_pool_new(1 << 20);
    const struct labels *labels;
    struct why why = WHY_INIT;
    struct label twice[] = {pair("x", "1"), pair("x", "2")};
    struct label broken[] = {pair("x", "\xFF")};
    struct label nameless[] = {pair("", "1")};
    static char huge[LABEL_VALUE_BYTES + 2];

    EXPECT(label_pool_get(pool, twice, 2, &labels, &why) == ERR_INVALID);
    EXPECT(strstr(why.text, "'x' stands twice") != NULL);
    EXPECT(label_pool_get(pool, broken, 1, &labels, &why) == ERR_INVALID);
    EXPECT(label_pool_get(pool, nameless, 1, &labels, &why) == ERR_INVALID);
    memset(huge, 'a', sizeof(huge) - 1);
    struct label large[] = {pair("x", huge)};
    EXPECT(label_pool_get(pool, large, 1, &labels, &why) == ERR_LIMIT);
    label_pool_unref(pool);
}

TEST(values_are_escaped_as_prometheus_does)
{
    struct label_pool *pool = label_pool_new(1 << 20);
    struct label pairs[] = {pair("__name__", "m"), pair("path", "C:\\a\n\"b\"")};
    const struct labels *labels = NULL;
    struct buf text CLEANUP(buf_done) = {0};

    ASSERT(label_pool_get(pool, pairs, 2, &labels, NULL) == ERR_NONE);
    labels_write(&text, labels);
    EXPECT_TEXT(buf_cstr(&text), "m{path=\"C:\\\\a\\n\\\"b\\\"\"}");
    EXPECT(str_eq(labels_get(labels, STR("path")), STR("C:\\a\n\"b\"")));
    EXPECT(labels_get(labels, STR("absent")).data == NULL);
    label_pool_unref(pool);
}

TEST(a_memo_knows_a_message_by_position_and_by_content)
{
    struct label_memo *memo = label_memo_new(1 << 20);
    const struct labels *labels[3] = {0};
    const char *raw[] = {"a{}", "b{}", "c{}"};

    label_memo_begin(memo);
    for (int i = 0; i < 3; i++) {
        struct label pairs[] = {pair("__name__", raw[i])};
        EXPECT(label_memo_get(memo, str_of(raw[i])) == NULL);
        EXPECT(label_memo_put(memo, str_of(raw[i]), pairs, 1, &labels[i], NULL) == ERR_NONE);
    }
    label_memo_begin(memo);
    EXPECT(label_memo_get(memo, STR("a{}")) == labels[0]);
    EXPECT(label_memo_get(memo, STR("c{}")) == labels[2]);
    EXPECT(label_memo_get(memo, STR("b{}")) == labels[1]);
    EXPECT(label_memo_get(memo, STR("d{}")) == NULL);
    label_memo_free(memo);
}

TEST(a_memo_follows_a_message_by_how_each_text_begins)
{
    struct label_memo *memo = label_memo_new(1 << 20);
    const char *raw[] = {"a{}", "b{}"};
    const struct labels *labels[2];
    size_t size = 0;

    label_memo_begin(memo);
    for (int i = 0; i < 2; i++) {
        struct label pairs[] = {{LABEL_NAME, str_of(raw[i])}};
        EXPECT(label_memo_follow(memo, str_of(raw[i]), &size) == NULL);
        EXPECT(label_memo_put(memo, str_of(raw[i]), pairs, 1, &labels[i], NULL) == ERR_NONE);
    }
    label_memo_begin(memo);
    EXPECT(label_memo_follow(memo, STR("b{} 1"), &size) == NULL);
    EXPECT(label_memo_follow(memo, STR("a{"), &size) == NULL);
    EXPECT(label_memo_follow(memo, STR("a{} 1"), &size) == labels[0]);
    EXPECT(size == 3);
    EXPECT(label_memo_follow(memo, STR("b{}"), &size) == labels[1]);
    EXPECT(label_memo_follow(memo, STR("b{}"), &size) == NULL);
    label_memo_free(memo);
}

TEST(a_memo_that_has_spent_its_budget_starts_afresh)
{
    struct label_memo *memo = label_memo_new(4000);
    struct label_pool *first = label_pool_ref(label_memo_begin(memo));
    char raw[32];
    int refused = 0;

    for (int i = 0; i < 200; i++) {
        struct label pairs[] = {pair("__name__", raw)};
        const struct labels *labels;
        (void)snprintf(raw, sizeof(raw), "metric_%d", i);
        pairs[0].value = str_of(raw);
        refused += label_memo_put(memo, str_of(raw), pairs, 1, &labels, NULL) == ERR_LIMIT;
    }
    EXPECT(refused > 0);
    struct label_pool *second = label_memo_begin(memo);
    EXPECT(second != first && label_pool_count(second) == 0);
    EXPECT(label_pool_count(first) > 0); /* Held by us: still whole. */
    label_pool_unref(first);
    label_memo_free(memo);
}

TEST(messages_within_the_budget_are_never_refused)
{
    struct label_memo *memo = label_memo_new(4000);
    char raw[32];
    int begun = 0;

    for (int i = 0; i < 1000; i++) {
        if (i % 20 == 0) {
            struct label_pool *pool = label_memo_begin(memo);
            begun += label_pool_count(pool) == 0;
        }
        (void)snprintf(raw, sizeof(raw), "metric_%d", i);
        struct label pairs[] = {pair("__name__", raw)};
        const struct labels *labels;
        EXPECT(label_memo_put(memo, str_of(raw), pairs, 1, &labels, NULL) == ERR_NONE);
    }
    EXPECT(begun > 1);
    label_memo_free(memo);
}

TEST_MAIN
