/* SPDX-License-Identifier: Apache-2.0 */
#include "load/template.h"

#include "load/session.h"
#include "stats/random.h"
#include "test.h"

static struct plan *plan;
static struct session *session;
static struct random dice;

static void begin(void)
{
    size_t id, name;

    plan = plan_new(1 << 20);
    if (plan_variable(plan, STR("id"), &id, NULL) != ERR_NONE ||
        plan_variable(plan, STR("u.name"), &name, NULL) != ERR_NONE)
        printf("# no variables\n");
    session = session_new(plan, 3);
    session_set(session, id, STR("7"));
    session_set(session, name, STR("a \"b\"&c"));
    dice = random_begin(1);
}

static void end(void)
{
    session = session_free(session);
    plan = plan_free(plan);
}

static bool gives(const char *text, enum template_escape escape, const char *wanted)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct template template;
    struct why why = WHY_INIT;

    if (template_compile(plan, str_of(text), escape, &template, &why) != ERR_NONE) {
        printf("# %s\n", why.text);
        return false;
    }
    template_write(&template, session, &dice, &out);
    if (!str_eq(buf_view(&out), str_of(wanted)))
        printf("# %s\n", buf_cstr(&out));
    return str_eq(buf_view(&out), str_of(wanted));
}

static bool refuses(const char *text, const char *words)
{
    struct template template;
    struct why why = WHY_INIT;

    return template_compile(plan, str_of(text), TEMPLATE_PLAIN, &template, &why) != ERR_NONE &&
           (strstr(why.text, words) != NULL || strstr(why.hint, words) != NULL);
}

TEST(holes_are_filled_with_what_the_user_has)
{
    begin();
    EXPECT(gives("/x/${id}?n=${ u.name }", TEMPLATE_PLAIN, "/x/7?n=a \"b\"&c"));
    EXPECT(gives("${user} ${iteration}", TEMPLATE_PLAIN, "3 0"));
    EXPECT(gives("", TEMPLATE_PLAIN, ""));
    EXPECT(gives("a $ {} } b", TEMPLATE_PLAIN, "a $ {} } b"));
    EXPECT(gives("$${id}", TEMPLATE_PLAIN, "${id}"));
    end();
}

TEST(what_is_filled_in_is_escaped_for_its_place)
{
    begin();
    EXPECT(gives("{\"n\": \"${u.name}\", \"i\": ${id}, \"t\": ${u.name}}", TEMPLATE_JSON,
                 "{\"n\": \"a \\\"b\\\"&c\", \"i\": 7, \"t\": \"a \\\"b\\\"&c\"}"));
    EXPECT(gives("\\\"${id}", TEMPLATE_JSON, "\\\"7"));
    EXPECT(gives("${u.name}", TEMPLATE_URL, "a%20%22b%22%26c"));
    EXPECT(gives("/${u.name}?q=${u.name}", TEMPLATE_TARGET, "/a \"b\"&c?q=a%20%22b%22%26c"));
    end();
}

TEST(functions_make_something_new)
{
    begin();
    EXPECT(gives("${random(4, 4)}", TEMPLATE_PLAIN, "4"));
    EXPECT(gives("${random(-2,-2)}", TEMPLATE_PLAIN, "-2"));
    EXPECT(gives("${choice( a b )}", TEMPLATE_PLAIN, "a b"));
    EXPECT(gives("${base64(${id}:x)}", TEMPLATE_PLAIN, "Nzp4"));
    struct template template;
    struct buf one CLEANUP(buf_done) = {0};
    struct buf two CLEANUP(buf_done) = {0};
    ASSERT(template_compile(plan, STR("${uuid}"), TEMPLATE_PLAIN, &template, NULL) == ERR_NONE);
    template_write(&template, session, &dice, &one);
    template_write(&template, session, &dice, &two);
    EXPECT(one.size == 36 && one.data[14] == '4' && strchr("89ab", one.data[19]) != NULL);
    EXPECT(!str_eq(buf_view(&one), buf_view(&two)));
    end();
}

TEST(mistakes_are_told)
{
    begin();
    EXPECT(refuses("${idd}", "id"));
    EXPECT(refuses("${", "without"));
    EXPECT(refuses("${random}", "arguments"));
    EXPECT(refuses("${random(2, 1)}", "smaller"));
    EXPECT(refuses("${uuid(1)}", "no arguments"));
    end();
}

TEST(conditions_compare_texts_and_numbers)
{
    static const struct {
        const char *text;
        bool holds;
    } cases[] = {{"${id} == 7", true},   {"${id} != 7", false},    {"${id} < 10", true},
                 {"${id} >= 7.0", true}, {"${u.name} > 1", false}, {"${u.name} < 1", false},
                 {"a == a", true},       {"${id} <= 6", false}};
    const struct condition *condition;

    begin();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ASSERT(condition_compile(plan, str_of(cases[i].text), &condition, NULL) == ERR_NONE);
        EXPECT(condition_holds(condition, session, &dice) == cases[i].holds);
    }
    EXPECT(condition_compile(plan, STR("always"), &condition, NULL) == ERR_INVALID);
    end();
}

TEST_MAIN
