/* SPDX-License-Identifier: Apache-2.0 */
/* What the PromQL engine itself costs: the store is an array in memory, so what is measured is
 * selecting, sliding, grouping and writing JSON. 24 hours of samples, 10 s apart.
 *
 *     bench_promql [REPEATS]
 *
 * Prints one line per question: its median, in milliseconds, and the bound it should keep where
 * the figures of the whole store are bounded. */
#include "../tests/unit/query/memory_view.h"

#include "base/clock.h"
#include "query/promql_json.h"

#include <stdio.h>

enum { DAY_MS = 24 * 3600 * 1000, SAMPLE_MS = 10000, HOSTS = 2000, CPUS = 100, REPEATS = 15 };

struct question {
    const char *what;
    const char *text;
    int64_t start_ms;
    int64_t end_ms;
    int64_t step_ms;
    double bound_ms; /* 0: none. */
};

static const struct question questions[] = {
    {"one gauge, 24 h / 60 s", "temperature{host=\"7\"}", 0, DAY_MS, 60000, 0.5},
    {"sum by (mode) (rate[5m]), 100 series, 24 h / 60 s", "sum by (mode) (rate(cpu_total[5m]))", 0,
     DAY_MS, 60000, 5},
    {"quantile(0.95) over 2,000 series, one instant", "quantile(0.95, temperature)", DAY_MS / 2, 0,
     0, 1},
    {"topk(5) over 2,000 series, one instant", "topk(5, temperature)", DAY_MS / 2, 0, 0, 0},
    {"avg_over_time[1h], 100 series, 24 h / 60 s", "avg by (mode) (avg_over_time(cpu_total[1h]))",
     0, DAY_MS, 60000, 0},
    {"vector matching, 100 series, 24 h / 60 s", "cpu_total / on (cpu, mode) (cpu_total + 1)", 0,
     DAY_MS, 60000, 0},
};

static void fill(struct memory_view *memory)
{
    static const char *const modes[] = {"idle", "user", "system", "iowait"};
    uint64_t noise = 1;

    memory_view_init(memory);
    for (int s = 0; s < HOSTS + CPUS; s++) {
        char number[16];
        bool is_cpu = s >= HOSTS;
        (void)snprintf(number, sizeof(number), "%d", is_cpu ? (s - HOSTS) / 4 : s); /* Fits. */
        struct label gauge[] = {{LABEL_NAME, STR("temperature")}, {STR("host"), str_of(number)}};
        struct label counter[] = {{LABEL_NAME, STR("cpu_total")},
                                  {STR("cpu"), str_of(number)},
                                  {STR("mode"), str_of(modes[s % 4])}};
        struct memory_series *series =
            memory_view_series(memory, is_cpu ? counter : gauge, is_cpu ? 3 : 2);
        double value = 20;
        for (int64_t t = 0; t <= DAY_MS; t += SAMPLE_MS) {
            noise = noise * UINT64_C(6364136223846793005) + 1;
            value += is_cpu ? (double)(noise >> 60) / 10 : (double)(noise >> 61) - 3.5;
            memory_series_add(series, t, value);
        }
    }
}

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

static double ask(struct memory_view *memory, const struct promql_expression *expression,
                  const struct question *question, struct buf *json)
{
    struct promql_query query = {
        .source = &memory->view,
        .start_ms = question->start_ms,
        .end_ms = question->end_ms,
        .step_ms = question->step_ms,
        .arena = arena_new(1 << 30),
    };
    struct promql_result result;
    struct why why = WHY_INIT;
    int64_t start_ns = clock_monotonic_ns();

    enum err err = question->step_ms > 0 ? promql_eval_range(expression, &query, &result, &why)
                                         : promql_eval_instant(expression, &query, &result, &why);
    if (err != ERR_NONE) {
        fprintf(stderr, "%s: %s\n", question->text, why.text);
        exit(1);
    }
    int64_t end_ns = clock_monotonic_ns();
    buf_clear(json);
    promql_json_result(&result, json);
    query.arena = arena_free(query.arena);
    return (double)(end_ns - start_ns) / 1e6;
}

int main(int count, char **arguments)
{
    int repeats = count > 1 ? atoi(arguments[1]) : REPEATS;
    double times[1000];
    struct memory_view memory;
    struct buf json = {0};

    if (repeats < 1 || repeats > 1000)
        repeats = REPEATS;
    fill(&memory);
    for (size_t q = 0; q < ARRAY_COUNT(questions); q++) {
        struct promql_expression *expression = NULL;
        struct why why = WHY_INIT;
        if (promql_parse(str_of(questions[q].text), &expression, &why) != ERR_NONE) {
            fprintf(stderr, "%s\n", why.text);
            return 1;
        }
        for (int i = 0; i < repeats; i++)
            times[i] = ask(&memory, expression, &questions[q], &json);
        qsort(times, (size_t)repeats, sizeof(*times), by_size);
        printf("%-52s %8.3f ms", questions[q].what, times[repeats / 2]);
        if (questions[q].bound_ms > 0)
            printf("  (whole store: at most %g)", questions[q].bound_ms);
        printf("\n");
        expression = promql_free(expression);
    }
    buf_done(&json);
    memory_view_done(&memory);
    return 0;
}
