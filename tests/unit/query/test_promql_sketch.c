/* SPDX-License-Identifier: Apache-2.0 */
/* Series of sketches: what histogram functions read from them is what merging by hand gives. */
#include "memory_view.h"

#include "base/buf.h"
#include "query/promql.h"
#include "sketch/quantile.h"

#include "test.h"

#include <math.h>

enum { SERIES = 3, SAMPLES = 120, PERIOD_MS = 1000, EACH = 20 };

struct fixture {
    struct memory_view memory;
    struct arena *arena;
    struct quantile *sketches[SERIES][SAMPLES];
    struct str bytes[SERIES][SAMPLES];
};

/* Durations in seconds, another spread for each series and rising with time. */
static double observation(int series, int sample, int number)
{
    return 0.001 * (1 + number) * (1 + 10 * series) * (1 + sample / 30);
}

static void fill(struct fixture *fixture)
{
    memory_view_init(&fixture->memory);
    fixture->arena = arena_new((size_t)256 << 20);
    for (int s = 0; s < SERIES; s++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "%d", s); /* Fits. */
        struct label pairs[] = {{LABEL_NAME, STR("took")}, {STR("id"), str_of(id)}};
        struct memory_series *series = memory_view_series(&fixture->memory, pairs, 2);
        for (int i = 0; i < SAMPLES; i++) {
            struct buf bytes CLEANUP(buf_done) = {0};
            struct quantile *sketch = quantile_new(0, 0);
            for (int n = 0; n < EACH; n++)
                quantile_add(sketch, observation(s, i, n));
            quantile_write(sketch, &bytes);
            fixture->sketches[s][i] = sketch;
            fixture->bytes[s][i] = arena_str(fixture->arena, buf_view(&bytes));
            memory_series_add(series, (int64_t)i * PERIOD_MS, EACH);
        }
        series->sketches = fixture->bytes[s];
    }
    struct label plain[] = {{LABEL_NAME, STR("plain")}};
    memory_series_add(memory_view_series(&fixture->memory, plain, 1), 60 * PERIOD_MS, 7);
}

static void done(struct fixture *fixture)
{
    for (int s = 0; s < SERIES; s++) {
        for (int i = 0; i < SAMPLES; i++)
            quantile_free(fixture->sketches[s][i]);
    }
    memory_view_done(&fixture->memory);
    arena_free(fixture->arena);
}

static struct promql_result ask(struct fixture *fixture, const char *text, int64_t start_ms,
                                int64_t end_ms, int64_t step_ms)
{
    struct promql_expression *expression CLEANUP(promql_freep) = NULL;
    struct promql_query query = {.source = &fixture->memory.view,
                                 .start_ms = start_ms,
                                 .end_ms = end_ms,
                                 .step_ms = step_ms,
                                 .arena = fixture->arena};
    struct promql_result result = {0};
    struct why why = WHY_INIT;

    enum err err = promql_parse(str_of(text), &expression, &why);
    if (err == ERR_NONE)
        err = step_ms > 0 ? promql_eval_range(expression, &query, &result, &why)
                          : promql_eval_instant(expression, &query, &result, &why);
    if (err != ERR_NONE)
        printf("# %s: %s\n", text, why.text);
    EXPECT(err == ERR_NONE);
    return result;
}

/* The one number at a moment; NaN when there is none. */
static double ask_one(struct fixture *fixture, const char *text, int64_t at_ms)
{
    struct promql_result result = ask(fixture, text, at_ms, at_ms, 0);

    return result.series_count == 1 ? result.series[0].values[0] : (double)NAN;
}

/* Samples in (end - range, end] of series first … last, merged by hand. */
static struct quantile *merged(const struct fixture *fixture, int first, int last, int64_t range_ms,
                               int64_t end_ms)
{
    struct quantile *all = quantile_new(0, 0);

    for (int s = first; s <= last; s++) {
        for (int i = 0; i < SAMPLES; i++) {
            int64_t time_ms = (int64_t)i * PERIOD_MS;
            if (time_ms > end_ms - range_ms && time_ms <= end_ms)
                quantile_merge(all, fixture->sketches[s][i]);
        }
    }
    return all;
}

TEST(to_other_functions_a_sketch_is_how_many_it_holds)
{
    struct fixture fixture;

    fill(&fixture);
    EXPECT_NEAR(ask_one(&fixture, "sum(took)", 60000), SERIES * EACH, 0);
    EXPECT_NEAR(ask_one(&fixture, "rate(took{id=\"0\"}[10s])", 60000), EACH, 1e-9);
    EXPECT_NEAR(ask_one(&fixture, "increase(took{id=\"0\"}[10s])", 60000), 10 * EACH, 1e-9);
    EXPECT_NEAR(ask_one(&fixture, "sum(rate(took[10s])) > 10", 60000), SERIES * EACH, 1e-9);
    done(&fixture);
}

TEST(quantiles_are_those_of_all_observations_in_the_window)
{
    static const struct {
        const char *text;
        int64_t range_ms;
        int64_t step_ms;
    } cases[] = {
        {"histogram_quantile(0.95, sum(rate(took[1s])))", 1000, 1000},
        {"histogram_quantile(0.95, sum(rate(took[30s])))", 30000, 1000},
        {"histogram_quantile(0.95, sum(increase(took[7s])))", 7000, 3000},
        {"histogram_quantile(0.95, sum(sum_over_time(took[5s])))", 5000, 17000},
        {"histogram_quantile(0.95, avg(rate(took[3m])))", 180000, 1000},
    };
    struct fixture fixture;

    fill(&fixture);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct promql_result result = ask(&fixture, cases[i].text, 500, 130500, cases[i].step_ms);
        ASSERT(result.series_count == 1);
        for (size_t p = 0; p < result.series[0].count; p++) {
            struct quantile *wanted CLEANUP(quantile_freep) =
                merged(&fixture, 0, SERIES - 1, cases[i].range_ms, result.series[0].times_ms[p]);
            EXPECT_NEAR(result.series[0].values[p], quantile_at(wanted, 0.95), 1e-12);
        }
    }
    done(&fixture);
}

TEST(each_reader_tells_its_number)
{
    struct fixture fixture;

    fill(&fixture);
    struct quantile *wanted CLEANUP(quantile_freep) = merged(&fixture, 1, 1, 10000, 60000);
    const char *rate = "rate(took{id=\"1\"}[10s])";
    static const char *const readers[] = {"count", "sum", "avg"};
    double seconds = 10;
    double expected[] = {(double)quantile_count(wanted) / seconds, quantile_sum(wanted) / seconds,
                         quantile_mean(wanted)};
    for (size_t i = 0; i < ARRAY_COUNT(readers); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "histogram_%s(%s)", readers[i], rate); /* Fits. */
        EXPECT_NEAR(ask_one(&fixture, text, 60000), expected[i], 1e-9 * expected[i]);
    }
    EXPECT_NEAR(ask_one(&fixture, "histogram_count(rate(took{id=\"1\"}[10s]) * 10)", 60000),
                (double)quantile_count(wanted), 1e-9);
    EXPECT_NEAR(ask_one(&fixture, "histogram_fraction(0, +Inf, took{id=\"1\"})", 60000), 1, 1e-12);
    EXPECT_NEAR(ask_one(&fixture, "histogram_fraction(-Inf, 0.33, took{id=\"1\"})", 60000),
                quantile_count_below(fixture.sketches[1][60], 0.33) / EACH, 1e-12);
    EXPECT_NEAR(ask_one(&fixture, "histogram_stddev(took{id=\"1\"})", 60000), 0.19, 0.01);
    done(&fixture);
}

TEST(an_instant_reads_the_newest_sample)
{
    struct fixture fixture;

    fill(&fixture);
    const char *text = "histogram_quantile(0.5, took{id=\"2\"})";
    double wanted = quantile_at(fixture.sketches[2][60], 0.5);
    EXPECT_NEAR(ask_one(&fixture, text, 60400), wanted, 1e-12);
    EXPECT_NEAR(ask_one(&fixture, "histogram_quantile(0.5, took{id=\"2\"} @ 60)", 100000), wanted,
                1e-12);
    struct promql_result result = ask(&fixture, text, 58000, 62000, 1000);
    ASSERT(result.series_count == 1 && result.series[0].count == 5);
    EXPECT_NEAR(result.series[0].values[2], wanted, 1e-12);
    EXPECT(ask(&fixture, text, 60000 + 600000, 60000 + 600000, 0).series_count == 0);
    done(&fixture);
}

TEST(what_is_no_distribution_any_more_is_left_out)
{
    static const char *const texts[] = {
        "histogram_quantile(0.5, took + 1)",
        "histogram_quantile(0.5, -took)",
        "histogram_quantile(0.5, sqrt(took))",
        "histogram_quantile(0.5, took > bool 1)",
        "histogram_quantile(0.5, max(took))",
        "histogram_quantile(0.5, clamp_max(took, 3))",
        "histogram_count(plain)",
        "histogram_quantile(0.5, took / took)",
        "histogram_quantile(0.5, 1 / took)",
    };
    struct fixture fixture;

    fill(&fixture);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        EXPECT(ask(&fixture, texts[i], 60000, 60000, 0).series_count == 0);
    done(&fixture);
}

TEST(rates_over_different_times_are_not_mixed)
{
    struct fixture fixture;

    fill(&fixture);
    const char *text = "histogram_quantile(0.5, sum(rate(took{id=\"0\"}[10s]) or "
                       "rate(took{id=\"1\"}[20s])))";
    struct promql_result result = ask(&fixture, text, 60000, 60000, 0);
    EXPECT(result.series_count == 0);
    ASSERT(result.notes_count == 1 && result.notes[0].warning);
    EXPECT(strstr(result.notes[0].text, "sketches were left out") != NULL);
    text = "histogram_quantile(0.5, label_replace(took{id=\"0\"}, \"id\", \"9\", \"\", \"\") or "
           "took{id=\"2\"})";
    EXPECT(ask(&fixture, text, 60000, 60000, 0).series_count == 2);
    done(&fixture);
}

TEST(quantiles_beyond_the_ends_are_infinite)
{
    struct fixture fixture;

    fill(&fixture);
    EXPECT(ask_one(&fixture, "histogram_quantile(2, took{id=\"0\"})", 60000) == (double)INFINITY);
    EXPECT(ask_one(&fixture, "histogram_quantile(-1, took{id=\"0\"})", 60000) == -(double)INFINITY);
    done(&fixture);
}

TEST_MAIN
