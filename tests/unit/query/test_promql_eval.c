/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds that an evaluation keeps, and answers as JSON. What the language means is told by the
 * files of cases (test_promql_files.c). */
#include "memory_view.h"

#include "base/clock.h"
#include "query/promql_json.h"

#include "test.h"

enum { SERIES = 50, SAMPLES = 200, STEP_MS = 1000 };

static void fill(struct memory_view *memory)
{
    memory_view_init(memory);
    for (int s = 0; s < SERIES; s++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "%d", s);
        struct label pairs[] = {{LABEL_NAME, STR("load")}, {STR("id"), str_of(id)}};
        struct memory_series *series = memory_view_series(memory, pairs, 2);
        for (int i = 0; i < SAMPLES; i++)
            memory_series_add(series, (int64_t)i * STEP_MS, s + i / 8.0);
    }
}

struct question {
    const char *text;
    struct promql_query query;
    size_t budget;
};

/* Asks for a range when there is a step. */
static enum err ask(const struct question *question, struct buf *json, struct why *why)
{
    struct promql_query query = question->query;
    struct promql_expression *expression = NULL;
    struct promql_result result;
    struct memory_view memory;

    fill(&memory);
    query.source = &memory.view;
    query.arena = arena_new(question->budget == 0 ? 64 << 20 : question->budget);
    enum err err = promql_parse(str_of(question->text), &expression, why);
    if (err == ERR_NONE)
        err = query.step_ms != 0 ? promql_eval_range(expression, &query, &result, why)
                                 : promql_eval_instant(expression, &query, &result, why);
    if (err == ERR_NONE && json != NULL)
        promql_json_result(&result, json);
    expression = promql_free(expression);
    query.arena = arena_free(query.arena);
    memory_view_done(&memory);
    return err;
}

static void expect_refused(const struct question *question, enum err wanted, const char *part)
{
    struct why why = WHY_INIT;

    enum err err = ask(question, NULL, &why);
    if (err != wanted || strstr(why.text, part) == NULL)
        printf("# %s: %s: %s\n", question->text, err_code(err), why.text);
    EXPECT(err == wanted);
    EXPECT(strstr(why.text, part) != NULL);
}

TEST(too_wide_a_question_names_the_bound)
{
    expect_refused(&(struct question){"load", {.end_ms = 11000000, .step_ms = 1000}, 0}, ERR_LIMIT,
                   "exceeded maximum resolution of 11,000 points per timeseries");
    expect_refused(&(struct question){"load", {.start_ms = 5000, .series_max = 49}, 0}, ERR_LIMIT,
                   "a selector finds 50 series; 49 are allowed");
    expect_refused(
        &(struct question){
            "sum(rate(load[1m]))",
            {.start_ms = 100000, .end_ms = 10000000, .step_ms = 1000, .samples_max = 1000},
            0},
        ERR_LIMIT, "the query touches more than 1000 samples");
    expect_refused(&(struct question){"load", {.end_ms = 10000000, .step_ms = 1000}, 1 << 20},
                   ERR_LIMIT, "memory budget of 1048576 bytes");
    expect_refused(&(struct question){"max_over_time(load[1y:1ms])", {.start_ms = 0}, 0}, ERR_LIMIT,
                   "a subquery has 31536000000 steps; 1000000 are allowed");
}

TEST(a_question_can_be_cancelled_and_runs_out_of_time)
{
    atomic_bool cancelled = true;

    expect_refused(&(struct question){"load", {.start_ms = 5000, .cancelled = &cancelled}, 0},
                   ERR_CANCELLED, "cancelled");
    expect_refused(&(struct question){"count_values(\"v\", load * time())",
                                      {.end_ms = 10999000, .step_ms = 1000, .timeout_ms = 1},
                                      1 << 30},
                   ERR_TIMEOUT, "the query took longer than 1 ms");
}

TEST(impossible_ranges_are_refused)
{
    expect_refused(&(struct question){"load", {.start_ms = 10, .end_ms = 5, .step_ms = 1}, 0},
                   ERR_INVALID, "end timestamp must not be before start time");
    expect_refused(&(struct question){"load", {.end_ms = 5, .step_ms = -1}, 0}, ERR_INVALID,
                   "zero or negative query resolution");
    expect_refused(&(struct question){"load[5m]", {.end_ms = 5, .step_ms = 1}, 0}, ERR_INVALID,
                   "invalid expression type \"range vector\" for range query");
    expect_refused(&(struct question){"\"a\"", {.end_ms = 5, .step_ms = 1}, 0}, ERR_INVALID,
                   "invalid expression type \"string\" for range query");
    expect_refused(
        &(struct question){"load", {.start_ms = INT64_MIN, .end_ms = INT64_MAX, .step_ms = 1}, 0},
        ERR_INVALID, "out of range");
    expect_refused(&(struct question){"load offset 1e16", {.start_ms = 5}, 0}, ERR_INVALID,
                   "duration out of range");
}

static void expect_json(const struct question *question, const char *wanted)
{
    struct why why = WHY_INIT;
    struct buf json = {0};

    enum err err = ask(question, &json, &why);
    EXPECT(err == ERR_NONE);
    if (err != ERR_NONE)
        printf("# %s: %s\n", question->text, why.text);
    else if (strcmp(buf_cstr(&json), wanted) != 0)
        printf("# got  %s\n# want %s\n", buf_cstr(&json), wanted);
    EXPECT(strcmp(buf_cstr(&json), wanted) == 0);
    buf_done(&json);
}

TEST(answers_are_written_as_prometheus_writes_them)
{
    expect_json(
        &(struct question){"load{id=\"3\"}", {.start_ms = 16500}, 0},
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":"
        "{\"__name__\":\"load\",\"id\":\"3\"},\"value\":[16.500,\"5\"]}]}}");
    expect_json(&(struct question){"1/3", {.start_ms = 1000}, 0},
                "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,"
                "\"0.3333333333333333\"]}}");
    expect_json(&(struct question){"\"a\\\"b\"", {.start_ms = 1000}, 0},
                "{\"status\":\"success\",\"data\":{\"resultType\":\"string\",\"result\":[1,"
                "\"a\\\"b\"]}}");
    expect_json(
        &(struct question){"load{id=\"0\"} > 1", {.end_ms = 16000, .step_ms = 8000}, 0},
        "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":"
        "{\"__name__\":\"load\",\"id\":\"0\"},\"values\":[[16,\"2\"]]}]}}");
    expect_json(&(struct question){"none", {.start_ms = 1000}, 0},
                "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}");
    expect_json(
        &(struct question){"rate(load{id=\"0\"}[8s])", {.start_ms = 16000}, 0},
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":"
        "{\"id\":\"0\"},\"value\":[16,\"0.125\"]}]},\"infos\":[\"PromQL info: metric might "
        "not be a counter, name does not end in _total/_sum/_count/_bucket: \\\"load\\\" "
        "(1:6)\"]}");
}

TEST(errors_are_written_with_their_place_and_the_next_step)
{
    struct why why = WHY_INIT;
    struct buf json = {0};

    EXPECT(ask(&(struct question){"rate(load)", {.start_ms = 1000}, 0}, NULL, &why) == ERR_INVALID);
    promql_json_error(&why, &json);
    EXPECT(strcmp(buf_cstr(&json),
                  "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"1:6: parse error: "
                  "expected type range vector in call to function \\\"rate\\\", got instant "
                  "vector\",\"code\":\"invalid\",\"hint\":\"say how far back to look: "
                  "load[5m]\",\"position\":5}") == 0);
    buf_done(&json);
}

TEST_MAIN
