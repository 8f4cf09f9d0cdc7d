/* SPDX-License-Identifier: Apache-2.0 */
/* The same questions to the store and to arrays in memory must have the same answers, to the bit:
 * while rows are pending, and after they were sealed into blocks on both sides of midnight. */
#include "memory_view.h"
#include "unit/store/store_fixture.h"

#include "query/promql.h"

enum { SERIES = 12, SCRAPES = 1080, SCRAPE_MS = 10000, SCRAPES_PER_BATCH = 60 };

#define MIDNIGHT_MS INT64_C(1736467200000) /* 2025-01-10. */
#define START_MS    (MIDNIGHT_MS - INT64_C(5400000))
#define END_MS      (START_MS + (int64_t)SCRAPES * SCRAPE_MS)

struct both {
    struct fixture fixture;
    struct memory_view memory;
    uint64_t noise;
};

static double noise(struct both *both)
{
    both->noise = both->noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(both->noise >> 40) / (1 << 24);
}

static double stale_marker(void)
{
    uint64_t bits = UINT64_C(0x7ff0000000000002);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void add(struct both *both, struct batch *batch, const char *name, int number,
                int64_t time_ms, double value)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", number); /* Fits. */
    struct label pairs[] = {{LABEL_NAME, str_of(name)}, {STR("number"), str_of(text)}};
    memory_series_add(memory_view_series(&both->memory, pairs, 2), time_ms, value);
    fixture_add(&both->fixture, batch, name, number, time_ms, value);
}

static void scrape(struct both *both, struct batch *batch, int index, double *counters)
{
    int64_t time_ms = START_MS + (int64_t)index * SCRAPE_MS;

    for (int s = 0; s < SERIES; s++) {
        double chance = noise(both);
        counters[s] = chance < 0.002 ? 0 : counters[s] + (int)(chance * 40);
        add(both, batch, "work_total", s, time_ms, counters[s]);
        if (chance > 0.98)
            continue; /* A gap. */
        add(both, batch, "level", s, time_ms + s,
            chance > 0.97 ? stale_marker() : s + (int)(chance * 1000) / 8.0);
        if (index == SCRAPES / 2 && s < 3)
            add(both, batch, "rare", s, time_ms, chance);
    }
}

static bool fill(struct both *both)
{
    double counters[SERIES] = {0};
    struct batch *batch = NULL;

    *both = (struct both){.fixture = fixture_new(), .noise = 7};
    memory_view_init(&both->memory);
    if (!fixture_open(&both->fixture))
        return false;
    for (int i = 0; i < SCRAPES; i++) {
        if (i % SCRAPES_PER_BATCH == 0)
            batch = fixture_batch(&both->fixture);
        scrape(both, batch, i, counters);
        if ((i + 1) % SCRAPES_PER_BATCH == 0 && fixture_send(&both->fixture, batch) != 0)
            return false;
    }
    return true;
}

static const char *const questions[] = {
    "level",
    "level{number=~\"1|2|5\"} offset 7m",
    "level{number!=\"3\"} @ 1736467200",
    "timestamp(level)",
    "work_total{number=~\"1.*\"}",
    "sum(rate(work_total[5m]))",
    "increase(work_total[1h])",
    "irate(work_total[1m])",
    "avg by (number) (avg_over_time(level[10m]))",
    "count_over_time(level[33m])",
    "max_over_time(level[2h]) - min_over_time(level[2h])",
    "quantile(0.9, level)",
    "topk(3, level)",
    "stddev_over_time(level[15m]) > 20",
    "rare",
    "last_over_time(rare[3h])",
    "absent(rare)",
    "present_over_time(level[20s])",
    "max_over_time(sum(rate(work_total[5m]))[1h:5m])",
    "level / on (number) work_total",
    "{__name__=~\"level|rare\", number=\"0\"}",
    "count({number=~\".+\"})",
    "nothing",
};

static enum err ask(const char *text, struct store_view *view, int64_t start_ms, int64_t end_ms,
                    int64_t step_ms, struct arena *arena, struct promql_result *result)
{
    struct promql_expression *expression = NULL;
    struct why why = WHY_INIT;
    struct promql_query query = {
        .source = view, .start_ms = start_ms, .end_ms = end_ms, .step_ms = step_ms, .arena = arena};

    enum err err = promql_parse(str_of(text), &expression, &why);
    if (err == ERR_NONE)
        err = step_ms > 0 ? promql_eval_range(expression, &query, result, &why)
                          : promql_eval_instant(expression, &query, result, &why);
    if (err != ERR_NONE)
        printf("# %s: %s\n", text, why.text);
    expression = promql_free(expression);
    return err;
}

static bool same_series(const struct promql_series *a, const struct promql_series *b)
{
    return labels_eq(a->labels, b->labels) && a->count == b->count &&
           memcmp(a->times_ms, b->times_ms, a->count * sizeof(int64_t)) == 0 &&
           memcmp(a->values, b->values, a->count * sizeof(double)) == 0;
}

static bool same_result(const struct promql_result *a, const struct promql_result *b)
{
    if (a->type != b->type || a->series_count != b->series_count)
        return false;
    for (size_t i = 0; i < a->series_count; i++)
        if (!same_series(&a->series[i], &b->series[i]))
            return false;
    return true;
}

static void expect_same(struct both *both, const char *text, int64_t start_ms, int64_t end_ms,
                        int64_t step_ms)
{
    struct promql_result stored;
    struct promql_result wanted;
    struct arena *arena = arena_new(256 << 20);
    struct store_view *view = fixture_view(&both->fixture);

    ASSERT(view != NULL);
    EXPECT(ask(text, view, start_ms, end_ms, step_ms, arena, &stored) == ERR_NONE);
    EXPECT(ask(text, &both->memory.view, start_ms, end_ms, step_ms, arena, &wanted) == ERR_NONE);
    bool same = same_result(&stored, &wanted);
    if (!same)
        printf("# %s from %lld to %lld step %lld: %zu series, expected %zu\n", text,
               (long long)start_ms, (long long)end_ms, (long long)step_ms, stored.series_count,
               wanted.series_count);
    EXPECT(same);
    store_view_release(view);
    arena = arena_free(arena);
}

static void expect_all_same(struct both *both)
{
    static const int64_t moments[] = {START_MS - 1,        START_MS + 5,   MIDNIGHT_MS,
                                      MIDNIGHT_MS + 12345, END_MS - 10000, END_MS + 200000};

    for (size_t q = 0; q < sizeof(questions) / sizeof(questions[0]); q++) {
        for (size_t m = 0; m < sizeof(moments) / sizeof(moments[0]); m++)
            expect_same(both, questions[q], moments[m], moments[m], 0);
        expect_same(both, questions[q], START_MS, END_MS, 60000);
        expect_same(both, questions[q], MIDNIGHT_MS - 100000, MIDNIGHT_MS + 100000, 7000);
    }
}

TEST(the_store_answers_like_memory)
{
    struct both both;

    ASSERT(fill(&both));
    expect_all_same(&both);
    both.fixture.store = store_close(both.fixture.store);
    ASSERT(fixture_open(&both.fixture));
    expect_all_same(&both);
    EXPECT(store_compact(both.fixture.store, &both.fixture.why) == ERR_NONE);
    expect_all_same(&both);
    memory_view_done(&both.memory);
    fixture_done(&both.fixture);
}

TEST_MAIN
