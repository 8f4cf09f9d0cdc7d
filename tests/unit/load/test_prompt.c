/* SPDX-License-Identifier: Apache-2.0 */
#include "load/prompt.h"

#include "load/session.h"
#include "stats/random.h"
#include "test.h"

static struct length parsed(const char *text)
{
    struct length length = {0};
    struct why why = WHY_INIT;

    if (length_parse(str_of(text), &length, &why) != ERR_NONE)
        printf("# %s\n", why.text);
    return length;
}

/* Mean and deviation of many draws, in ret; every draw is at least 1. */
static bool draws(const char *text, double *ret_mean, double *ret_deviation)
{
    struct length length = parsed(text);
    struct random random = random_begin(7);
    double sum = 0, squares = 0;
    enum { COUNT = 20000 };

    for (int i = 0; i < COUNT; i++) {
        double drawn = (double)length_draw(&length, &random);
        if (drawn < 1)
            return false;
        sum += drawn;
        squares += drawn * drawn;
    }
    *ret_mean = sum / COUNT;
    *ret_deviation = sqrt(squares / COUNT - *ret_mean * *ret_mean);
    return true;
}

TEST(lengths_follow_their_distribution)
{
    double mean, deviation;

    ASSERT(draws("200", &mean, &deviation));
    EXPECT(mean == 200 && deviation == 0);
    ASSERT(draws("uniform(100, 300)", &mean, &deviation));
    EXPECT_NEAR(mean, 200, 2);
    EXPECT_NEAR(deviation, 201 / sqrt(12), 1.5);
    ASSERT(draws("normal(500, 50)", &mean, &deviation));
    EXPECT_NEAR(mean, 500, 2);
    EXPECT_NEAR(deviation, 50, 1.5);
    ASSERT(draws("lognormal(300, 0.5)", &mean, &deviation));
    EXPECT_NEAR(mean, 300 * exp(0.125), 5);
    ASSERT(draws("normal(1, 50)", &mean, &deviation));
}

TEST(lengths_that_are_none_are_refused)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "0",
                                      "-3",
                                      "uniform(3, 1)",
                                      "normal(5)",
                                      "normal(5, -1)",
                                      "2000000",
                                      "poisson(3, 4)",
                                      "uniform(1, 2",
                                      "lognormal(5, 50)"};
    struct length length;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        EXPECT(length_parse(str_of(bad[i]), &length, NULL) == ERR_INVALID);
}

TEST(the_path_tells_the_api)
{
    EXPECT(prompt_api_of_path(STR("/v1/chat/completions")) == PROMPT_OPENAI);
    EXPECT(prompt_api_of_path(STR("/proxy/v1/messages")) == PROMPT_ANTHROPIC);
    EXPECT(prompt_api_of_path(STR("/api/chat")) == PROMPT_OLLAMA);
    EXPECT(prompt_api_of_path(STR("/")) == PROMPT_OPENAI);
}

TEST(bodies_say_what_their_api_wants)
{
    static const struct {
        enum prompt_api api;
        const char *words;
    } cases[] = {{PROMPT_OPENAI, "\"stream_options\":{\"include_usage\":true},\"temperature\": 0}"},
                 {PROMPT_ANTHROPIC, "\"max_tokens\":9,\"stream\":true,\"temperature\": 0}"},
                 {PROMPT_OLLAMA, "\"options\":{\"num_predict\":9},\"temperature\": 0}"}};
    struct plan *plan = plan_new(1 << 20);
    struct session *session = session_new(plan, 0);
    struct random random = random_begin(1);
    struct prompt prompt = {
        .model = STR("a\"b"), .input = parsed("5"), .output = parsed("9"), .prefixes = 1};

    ASSERT(prompt_set_extra(plan, STR(" {\"temperature\": 0} "), &prompt, NULL) == ERR_NONE);
    EXPECT(prompt_set_extra(plan, STR("[]"), &prompt, NULL) == ERR_INVALID);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out CLEANUP(buf_done) = {0};
        prompt.api = cases[i].api;
        prompt_write(&prompt, session, &random, &out);
        EXPECT(str_starts(buf_view(&out), STR("{\"model\":\"a\\\"b\",\"messages\":[{\"role\":")));
        EXPECT(str_ends(buf_view(&out), str_of(cases[i].words)));
    }
    (void)session_free(session);
    (void)plan_free(plan);
}

TEST_MAIN
