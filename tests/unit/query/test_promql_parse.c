/* SPDX-License-Identifier: Apache-2.0 */
/* What people get wrong, what they are told, and that printing and parsing are inverse. */
#include "query/promql.h"

#include "base/buf.h"
#include "test.h"

static enum err parse(const char *text, struct why *why)
{
    struct promql_expression *expression = NULL;

    enum err err = promql_parse(str_of(text), &expression, why);
    expression = promql_free(expression);
    return err;
}

struct mistake {
    const char *text;
    int position;
    const char *sentence; /* Part of it. */
    const char *hint;     /* Part of it, or NULL. */
};

static void expect_mistakes(const struct mistake *mistakes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct why why = WHY_INIT;
        enum err err = parse(mistakes[i].text, &why);
        bool as_wanted = err == ERR_INVALID && why.position == mistakes[i].position &&
                         strstr(why.text, mistakes[i].sentence) != NULL && why.hint[0] != '\0' &&
                         (mistakes[i].hint == NULL || strstr(why.hint, mistakes[i].hint) != NULL);
        if (!as_wanted)
            printf("# %s: %s (byte %d; %s)\n", mistakes[i].text, why.text, (int)why.position,
                   why.hint);
        EXPECT(as_wanted);
    }
}

TEST(mistakes_in_syntax_are_placed_and_explained)
{
    static const struct mistake mistakes[] = {
        {"", 0, "no expression found in input", NULL},
        {"up{job=\"a\"", 10, "unexpected end of input", "close the selector with }"},
        {"up{job=\"a\" mode=\"b\"}", 11, "unexpected identifier \"mode\"", "comma"},
        {"up{job==\"a\"}", 6, "unexpected \"==\"", "single ="},
        {"up{job=a}", 7, "expected string", "quotes"},
        {"up{job}", 6, "expected label matching operator", "job="},
        {"sum(rate(x[5m])", 15, "unexpected end of input", "closing )"},
        {"(1 + 2", 0, "unclosed left parenthesis", "close the ("},
        {"1 + 2)", 5, "unexpected \")\"", "remove it"},
        {"up = 1", 3, "unexpected \"=\"", "=="},
        {"rate(x[5])+y[5min]", 13, "bad number or duration syntax: \"5min\"", "units"},
        {"x[]", 2, "missing duration in range selector", "[5m]"},
        {"x[5m", 4, "expected \":\" or \"]\"", "]"},
        {"x[0s]", 2, "duration must be greater than 0", NULL},
        {"x offset", 8, "unexpected end of input", NULL},
        {"x \"y\"", 2, "unexpected string", NULL},
        {"\"open", 0, "unterminated quoted string", "close the string"},
        {"\"a\\qb\"", 2, "unknown escape sequence", "backticks"},
        {"x{a=~\"(\"}", 5, "error parsing regexp", NULL},
        {"x{a=~\"(?=b)\"}", 5, "invalid or unsupported Perl syntax", NULL},
        {"a ! b", 2, "unexpected character after '!'", NULL},
        {"{}", 0, "must contain at least one non-empty matcher", "name a metric"},
        {"{a=~\".*\"}", 0, "must contain at least one non-empty matcher", NULL},
        {"x{__name__=\"y\"}", 0, "metric name must not be set twice: \"x\" or \"y\"", NULL},
        {"x[5m] offset 1m offset 2m", 16, "offset may not be set multiple times", NULL},
        {"(x + y) offset 1m", 8, "offset modifier must be preceded by", NULL},
        {"x offset 1m[5m]", 11, "no offset modifiers allowed before range", NULL},
    };

    expect_mistakes(mistakes, ARRAY_COUNT(mistakes));
}

TEST(mistakes_in_types_name_the_remedy)
{
    static const struct mistake mistakes[] = {
        {"rate(x)", 5,
         "expected type range vector in call to function \"rate\", got instant vector", "x[5m]"},
        {"rate(sum(x))", 5, "expected type range vector", "subquery: sum(x)[1h:1m]"},
        {"abs(x[5m])", 4, "expected type instant vector", "drop the [range]"},
        {"vector(x)", 7, "expected type scalar", "scalar("},
        {"x[5m] + 1", 0, "binary expression must contain only scalar and instant vector types",
         "rate(x[5m])"},
        {"sum(x[5m])", 4, "expected type instant vector in aggregation expression", NULL},
        {"(x + y)[5m]", 7, "ranges only allowed for vector selectors", "subquery"},
        {"1 == 1", 2, "comparisons between scalars must use BOOL modifier", "== bool"},
        {"1 and 1", 2, "set operator \"and\" not allowed in binary scalar expression", NULL},
        {"x + bool y", 2, "bool modifier can only be used on comparison operators", NULL},
        {"x and on(a) group_left y", 2, "no grouping allowed for \"and\" operation", NULL},
        {"x + on(a) group_left(a) y", 2, "must not occur in ON and GROUP clause at once", NULL},
        {"1 + on(a) y", 2, "vector matching only allowed between instant vectors", NULL},
        {"topk(x)", 0, "wrong number of arguments for aggregate expression provided, expected 2",
         "topk(5, x)"},
        {"round()", 0, "expected at least 1 argument(s) in call to \"round\", got 0", NULL},
        {"time(1)", 0, "expected 0 argument(s) in call to \"time\", got 1", NULL},
        {"-\"a\"", 0, "unary expression only allowed on", NULL},
        {"rat(x[5m])", 0, "unknown function with name \"rat\"", "did you mean rate()?"},
        {"summ(x)", 0, "unknown function with name \"summ\"", "did you mean sum()?"},
        {"avg_over_tyme(x[5m])", 0, "unknown function", "did you mean avg_over_time()?"},
        {"1\n + rat(x[5m])", 5, "2:4: parse error: unknown function", NULL},
    };

    expect_mistakes(mistakes, ARRAY_COUNT(mistakes));
}

static void repeat(struct buf *buf, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_text(buf, text);
}

TEST(hostile_sizes_are_refused_by_name)
{
    struct buf text = {0};
    struct why why = WHY_INIT;

    repeat(&text, "(", 5000);
    EXPECT(parse(buf_cstr(&text), &why) == ERR_LIMIT);
    EXPECT(strstr(why.text, "nested more than 100 deep") != NULL);
    buf_clear(&text);
    repeat(&text, "-", 5000);
    EXPECT(parse(buf_cstr(&text), &why) == ERR_LIMIT);
    buf_clear(&text);
    buf_text(&text, "1");
    repeat(&text, "+1", 3000);
    EXPECT(parse(buf_cstr(&text), &why) == ERR_LIMIT);
    EXPECT(strstr(why.text, "operators deep") != NULL);
    buf_clear(&text);
    buf_text(&text, "x[1");
    repeat(&text, "+1", 3000);
    buf_text(&text, "]");
    EXPECT(parse(buf_cstr(&text), &why) == ERR_LIMIT);
    buf_clear(&text);
    repeat(&text, " ", PROMQL_TEXT_SIZE_MAX + 1);
    EXPECT(parse(buf_cstr(&text), &why) == ERR_LIMIT);
    EXPECT(strstr(why.text, "65536 are allowed") != NULL);
    buf_done(&text);
}

static void expect_printed(const char *text, const char *printed)
{
    struct promql_expression *expression = NULL;
    struct why why = WHY_INIT;
    struct buf buf = {0};

    enum err err = promql_parse(str_of(text), &expression, &why);
    EXPECT(err == ERR_NONE);
    if (err != ERR_NONE) {
        printf("# %s: %s\n", text, why.text);
        return;
    }
    promql_format(expression, &buf);
    if (strcmp(buf_cstr(&buf), printed) != 0)
        printf("# %s prints as %s\n", text, buf_cstr(&buf));
    EXPECT(strcmp(buf_cstr(&buf), printed) == 0);
    buf_done(&buf);
    expression = promql_free(expression);
}

TEST(expressions_print_in_canonical_form)
{
    expect_printed("up", "up");
    expect_printed("SUM BY(a,b)(rate( up{job = 'x' , } [5m] ))",
                   "sum by (a, b) (rate(up{job=\"x\"}[5m]))");
    expect_printed("sum(x) without (a)", "sum without (a) (x)");
    expect_printed("topk(3, x)", "topk(3, x)");
    expect_printed("a+b*c", "a + b * c");
    expect_printed("-a^2", "-a ^ 2");
    expect_printed("a / on(x) group_left(y) b", "a / on (x) group_left (y) b");
    expect_printed("a == bool b", "a == bool b");
    expect_printed("x[1h30m:5m] @ 10.5 offset -1m", "x[1h30m:5m] @ 10.500 offset -1m");
    expect_printed("{\"my.metric\", \"a.b\"=~\"c\\n\"}",
                   "{__name__=\"my.metric\",\"a.b\"=~\"c\\n\"}");
    expect_printed("x[90]", "x[1m30s]");
    expect_printed("1e3 + Inf - -nan", "1000 + +Inf - NaN");
    expect_printed("sum", "sum");
    expect_printed("offset + on(by) bool", "offset + on (by) bool");
}

TEST(words_are_keywords_only_where_one_may_stand)
{
    struct why why = WHY_INIT;

    EXPECT(parse("sum + avg", &why) == ERR_NONE);
    EXPECT(parse("on{by=\"a\", without=\"b\", and=\"c\"}", &why) == ERR_NONE);
    EXPECT(parse("sum by (by, without, inf) (bool)", &why) == ERR_NONE);
    EXPECT(parse("fill + fill(0) fill", &why) == ERR_NONE);
    EXPECT(parse("a AND b Or c unLESS d", &why) == ERR_NONE);
    EXPECT(parse(":rule:sum + a:b", &why) == ERR_NONE);
    EXPECT(parse("x # the rest is a remark\n + y", &why) == ERR_NONE);
}

TEST_MAIN
