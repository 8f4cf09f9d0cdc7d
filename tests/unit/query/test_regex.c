/* SPDX-License-Identifier: Apache-2.0 */
#include "query/regex.h"

#include "base/buf.h"
#include "test.h"

static bool matches(const char *pattern, const char *value)
{
    struct regex *regex = NULL;

    if (regex_new(str_of(pattern), &regex, NULL) != ERR_NONE)
        return false;
    bool result = regex_matches(regex, str_of(value));
    regex = regex_free(regex);
    return result;
}

static bool refused(const char *pattern)
{
    struct regex *regex = NULL;
    struct why why = WHY_INIT;

    bool result = regex_new(str_of(pattern), &regex, &why) == ERR_INVALID &&
                  strstr(why.text, "error parsing regexp") != NULL;
    regex = regex_free(regex);
    return result;
}

TEST(the_whole_value_must_match)
{
    EXPECT(matches("abc", "abc"));
    EXPECT(!matches("abc", "xabc"));
    EXPECT(!matches("abc", "abcx"));
    EXPECT(!matches("b+", "abbc"));
    EXPECT(matches("a|b", "b"));
    EXPECT(!matches("a|b", "ab"));
    EXPECT(!matches("a|b", "bc"));
    EXPECT(matches("a$", "a"));
    EXPECT(!matches("a$", "a\n"));
    EXPECT(matches("", ""));
    EXPECT(!matches("", "a"));
}

/* Each pattern in a form that the engine must see, beside one that it need not. */
TEST(short_cuts_agree_with_the_engine)
{
    static const char *const pairs[][2] = {
        {".*", "(?:.*)"},       {".+", "(?:.+)"},       {"a.*", "(?:a).*"},   {".*a", ".*(?:a)"},
        {".*a.*", ".*(?:a).*"}, {"a|ab|", "(?:a|ab|)"}, {"(a|b)", "(?:a|b)"}, {"", "(?:)"},
    };
    static const char *const values[] = {"", "a", "b", "ab", "ba", "bab", "a\nb", "aa", "\n"};

    for (size_t p = 0; p < ARRAY_COUNT(pairs); p++)
        for (size_t v = 0; v < ARRAY_COUNT(values); v++)
            EXPECT(matches(pairs[p][0], values[v]) == matches(pairs[p][1], values[v]));
}

TEST(alternatives_of_plain_values_can_be_looked_up)
{
    struct regex *regex = NULL;
    const struct str *values;
    struct str literal;

    ASSERT(regex_new(STR("idle|user"), &regex, NULL) == ERR_NONE);
    EXPECT(regex_alternatives(regex, &values) == 2);
    EXPECT(str_eq(values[0], STR("idle")) && str_eq(values[1], STR("user")));
    EXPECT(!regex_is_literal(regex, &literal));
    regex = regex_free(regex);
    ASSERT(regex_new(STR("idle"), &regex, NULL) == ERR_NONE);
    EXPECT(regex_is_literal(regex, &literal) && str_eq(literal, STR("idle")));
    regex = regex_free(regex);
    ASSERT(regex_new(STR("id.e|user"), &regex, NULL) == ERR_NONE);
    EXPECT(regex_alternatives(regex, &values) == 0);
    regex = regex_free(regex);
}

TEST(what_re2_does_not_know_is_refused)
{
    EXPECT(refused("(a)\\1"));
    EXPECT(refused("a(?=b)"));
    EXPECT(refused("(?<!a)b"));
    EXPECT(refused("(?>a+)b"));
    EXPECT(refused("(?R)"));
    EXPECT(refused("a++"));
    EXPECT(refused("(*LIMIT_MATCH=9)a"));
    EXPECT(refused("(a"));
    EXPECT(refused("[a"));
    EXPECT(matches("(?i)ABC", "abc"));
    EXPECT(matches("(?i:A)b", "ab"));
    EXPECT(matches("[+*]+", "+*"));
    EXPECT(matches("a\\++", "a++"));
    EXPECT(matches("\\Q(?=\\E", "(?="));
    EXPECT(matches("\\d+\\.\\d+", "10.5"));
}

TEST(a_hostile_pattern_gives_up_and_says_so)
{
    struct regex *regex = NULL;

    ASSERT(regex_new(STR("(a+)+b"), &regex, NULL) == ERR_NONE);
    EXPECT(!regex_gave_up(regex));
    EXPECT(regex_matches(regex, STR("aab")));
    EXPECT(!regex_gave_up(regex));
    EXPECT(!regex_matches(regex, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac")));
    bool engine_was_clever = !regex_gave_up(regex);
    regex = regex_free(regex);
    if (engine_was_clever) {
        ASSERT(regex_new(STR("(?:(?:x|x)+)+y"), &regex, NULL) == ERR_NONE);
        EXPECT(!regex_matches(regex, STR("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy_xxy_")));
        EXPECT(regex_gave_up(regex));
        regex = regex_free(regex);
    }
}

static bool expands(const char *pattern, const char *value, const char *template,
                    const char *wanted)
{
    struct regex *regex = NULL;
    struct buf buf = {0};
    bool result;

    if (regex_new(str_of(pattern), &regex, NULL) != ERR_NONE)
        return false;
    result = regex_expand(regex, str_of(value), str_of(template), &buf) &&
             str_eq(buf_view(&buf), str_of(wanted));
    buf_done(&buf);
    regex = regex_free(regex);
    return result;
}

TEST(replacements_take_groups_by_number_and_name)
{
    EXPECT(expands("(.*)-(.*)", "a-b", "$2/$1", "b/a"));
    EXPECT(expands("(?P<first>.)(.*)", "xyz", "${first}_$2", "x_yz"));
    EXPECT(expands("(.)", "x", "$1_a", "")); /* The name is 1_a, and there is none. */
    EXPECT(expands("(.)", "x", "${1}_a", "x_a"));
    EXPECT(expands("(.)", "x", "$$1 $", "$1 $"));
    EXPECT(expands("(a)|(b)", "b", "[$1][$2]", "[][b]"));
    EXPECT(expands("", "", "whole", "whole"));
    EXPECT(!expands("a", "b", "x", "x"));
}

TEST_MAIN
