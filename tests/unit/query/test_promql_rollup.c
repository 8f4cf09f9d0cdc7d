/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about days of which only roll-ups are left: what folds samples folds the roll-ups'
 * own sums, counts and extremes, so that the answer is that of the samples. */
#include "unit/store/store_fixture.h"

#include "query/promql.h"

#include <math.h>

#define DAY_1_MS (INT64_C(1794268800) * 1000) /* 2026-11-10 00:00 UTC. */

enum { PERIOD_MS = 10000, ROWS = 2 * 8640, BATCH = 90 };

/* Busy hours have all their samples, quiet ones one in five: a mean of means would be wrong. */
static bool is_there(int64_t row)
{
    return row / 360 % 2 == 0 || row % 5 == 0;
}

static double value_of(int64_t row)
{
    return (double)(row * 7919 % 1009) + (row / 360 % 2 == 0 ? 5000 : 0);
}

static void pass_time(struct fixture *fixture)
{
    for (int i = 0; i < 20; i++)
        store_tick(fixture->store, clock_now_ms() + 2 * CLOCK_MS_PER_DAY + i * 1000);
}

/* Two days of samples, rolled up; then the samples are gone. */
static bool fill(struct fixture *fixture)
{
    if (!fixture_open(fixture))
        return false;
    for (int64_t row = 0; row < ROWS; row += BATCH) {
        struct batch *batch = fixture_batch(fixture);
        for (int64_t i = row; i < row + BATCH; i++)
            if (is_there(i))
                fixture_add(fixture, batch, "rolled", 1, DAY_1_MS + i * PERIOD_MS, value_of(i));
        if (fixture_send(fixture, batch) != 0)
            return false;
    }
    pass_time(fixture);
    fixture->store = store_close(fixture->store);
    fixture->options.retention_raw_ms = CLOCK_MS_PER_DAY;
    if (!fixture_open(fixture))
        return false;
    pass_time(fixture);
    return true;
}

/* The one number of an instant question, or NaN. */
static double ask(struct fixture *fixture, const char *text, int64_t at_ms)
{
    struct promql_expression *expression CLEANUP(promql_freep) = NULL;
    struct store_view *view CLEANUP(store_view_releasep) = fixture_view(fixture);
    struct promql_result result = {0};
    double value = NAN;

    arena_clear(fixture->arena);
    struct promql_query query = {
        .source = view, .start_ms = at_ms, .end_ms = at_ms, .arena = fixture->arena};
    if (promql_parse(str_of(text), &expression, &fixture->why) != ERR_NONE ||
        promql_eval_instant(expression, &query, &result, &fixture->why) != ERR_NONE)
        printf("# %s: %s\n", text, fixture->why.text);
    else if (result.series_count == 1)
        value = result.series[0].values[0];
    return value;
}

struct by_hand {
    double sum, count, min, max;
};

/* Of the samples in [from, to). */
static struct by_hand fold_by_hand(int64_t from_ms, int64_t to_ms)
{
    struct by_hand hand = {0, 0, INFINITY, -INFINITY};

    for (int64_t row = 0; row < ROWS; row++) {
        int64_t time_ms = DAY_1_MS + row * PERIOD_MS;
        if (time_ms < from_ms || time_ms >= to_ms || !is_there(row))
            continue;
        hand.sum += value_of(row);
        hand.count++;
        hand.min = fmin(hand.min, value_of(row));
        hand.max = fmax(hand.max, value_of(row));
    }
    return hand;
}

static bool about(double value, double wanted)
{
    if (fabs(value - wanted) <= 1e-9 * fabs(wanted))
        return true;
    printf("# %.17g instead of %.17g\n", value, wanted);
    return false;
}

TEST(windows_over_roll_ups_fold_their_sums_and_counts)
{
    struct fixture fixture = fixture_new();
    struct store_stats stats;

    ASSERT(fill(&fixture));
    store_read_stats(fixture.store, &stats);
    ASSERT(stats.days_removed >= 2); /* No samples are left. */
    for (int64_t hour = 6; hour <= 48; hour += 7) {
        int64_t at_ms = DAY_1_MS + hour * 3600000;
        struct by_hand hand = fold_by_hand(at_ms - 5 * INT64_C(3600000), at_ms);
        EXPECT(about(ask(&fixture, "avg_over_time(rolled[5h])", at_ms), hand.sum / hand.count));
        EXPECT(about(ask(&fixture, "sum_over_time(rolled[5h])", at_ms), hand.sum));
        EXPECT(about(ask(&fixture, "count_over_time(rolled[5h])", at_ms), hand.count));
        EXPECT(about(ask(&fixture, "min_over_time(rolled[5h])", at_ms), hand.min));
        EXPECT(about(ask(&fixture, "max_over_time(rolled[5h])", at_ms), hand.max));
    }
    fixture_done(&fixture);
}

TEST_MAIN
