/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/quantile.h"
#include "store_fixture.h"

#define DAY_1_MS (INT64_C(1794268800) * 1000) /* 2026-11-10 00:00 UTC. */

enum { PERIOD_MS = 10000, ROWS = 2 * 8640, SERIES = 3 };

/* A counter, a gauge and a constant. */
static double value_of(int number, int64_t row)
{
    if (number == 0)
        return (double)(row * 3);
    return number == 1 ? (double)(row * 7919 % 101) : 42;
}

static bool fill_two_days(struct fixture *fixture)
{
    for (int64_t row = 0; row < ROWS; row += 100) {
        struct batch *batch = fixture_batch(fixture);
        for (int64_t i = row; i < row + 100 && i < ROWS; i++) {
            for (int number = 0; number < SERIES; number++)
                fixture_add(fixture, batch, "rolled", number, DAY_1_MS + i * PERIOD_MS,
                            value_of(number, i));
        }
        if (fixture_send(fixture, batch) != 0)
            return false;
    }
    return true;
}

/* Ticks at a time when all days are long over, until there is nothing left to do. */
static void pass_time(struct fixture *fixture, int64_t now_ms)
{
    for (int i = 0; i < 20; i++)
        store_tick(fixture->store, now_ms + i * 1000);
}

static struct samples read_field(struct fixture *fixture, int number, int64_t step_ms,
                                 enum field field)
{
    struct store_view *view = fixture_view(fixture);
    struct samples samples = {0};
    struct series_set set = {0};
    char text[32];

    arena_clear(fixture->arena);
    (void)snprintf(text, sizeof(text), "%d", number);
    struct matcher matchers[] = {fixture_is("number", text)};
    struct read_request request = {DAY_1_MS, DAY_1_MS + 2 * CLOCK_MS_PER_DAY, step_ms, field};
    enum err err = view->ops->select(view, matchers, 1, request.from_ms, request.to_ms,
                                     fixture->arena, &set, &fixture->why);
    if (err == ERR_NONE && set.count == 1)
        err = view->ops->read(view, &set, &request, fixture->arena, &samples, &fixture->why);
    if (err != ERR_NONE)
        printf("# %s\n", fixture->why.text);
    store_view_release(view);
    return samples;
}

/* The gauge folded by hand over `per` rows from `row` on. */
static double fold_by_hand(int number, int64_t row, int per, enum field field)
{
    double result = value_of(number, row);

    for (int64_t i = row; i < row + per; i++) {
        double value = value_of(number, i);
        if (field == FIELD_LAST || (field == FIELD_MIN && value < result) ||
            (field == FIELD_MAX && value > result))
            result = value;
        else if (field == FIELD_SUM && i > row)
            result += value;
    }
    return field == FIELD_COUNT ? per : result;
}

static void expect_steps(struct fixture *fixture, int64_t step_ms)
{
    int per = (int)(step_ms / PERIOD_MS);

    for (int number = 0; number < SERIES; number++) {
        for (int field = FIELD_LAST; field <= FIELD_COUNT; field++) {
            struct samples samples = read_field(fixture, number, step_ms, (enum field)field);
            EXPECT(samples.count == ROWS / (size_t)per);
            bool good = true;
            for (size_t i = 0; i < samples.count; i++)
                good = good && samples.time_ms[i] == DAY_1_MS + (int64_t)(i + 1) * step_ms - 1 &&
                       samples.value[i] ==
                           fold_by_hand(number, (int64_t)i * per, per, (enum field)field);
            EXPECT(good);
        }
    }
}

TEST(long_questions_in_coarse_steps_are_answered_from_roll_ups)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    ASSERT(fill_two_days(&fixture));
    EXPECT(read_field(&fixture, 1, 60000, FIELD_LAST).count == ROWS); /* Not over yet. */
    pass_time(&fixture, clock_now_ms() + 2 * CLOCK_MS_PER_DAY);
    expect_steps(&fixture, 60000);
    expect_steps(&fixture, 3600000);
    EXPECT(read_field(&fixture, 1, 0, FIELD_LAST).count == ROWS); /* Samples are there, too. */
    fixture_done(&fixture);
}

TEST(roll_ups_stay_when_samples_are_over_and_survive_opening)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    ASSERT(fill_two_days(&fixture));
    pass_time(&fixture, clock_now_ms() + 2 * CLOCK_MS_PER_DAY);
    fixture.store = store_close(fixture.store);
    fixture.options.retention_raw_ms = CLOCK_MS_PER_DAY;
    ASSERT(fixture_open(&fixture));
    pass_time(&fixture, clock_now_ms() + 2 * CLOCK_MS_PER_DAY);
    struct store_stats stats;
    store_read_stats(fixture.store, &stats);
    EXPECT(stats.days_removed == 2);
    expect_steps(&fixture, 60000);
    EXPECT(read_field(&fixture, 1, 0, FIELD_LAST).count == ROWS / 6);
    fixture_done(&fixture);
}

TEST(late_samples_are_rolled_up_again)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    ASSERT(fill_two_days(&fixture));
    pass_time(&fixture, clock_now_ms() + 2 * CLOCK_MS_PER_DAY);
    /* A new series may begin in the past. */
    EXPECT(fixture_put(&fixture, "late", 77, DAY_1_MS + 5000, 8) == 0);
    EXPECT(fixture_put(&fixture, "rolled", 1, DAY_1_MS + ROWS * PERIOD_MS - 5000, 1000) == 0);
    pass_time(&fixture, clock_now_ms() + 3 * CLOCK_MS_PER_DAY);
    struct samples samples = read_field(&fixture, 77, 3600000, FIELD_MAX);
    EXPECT(samples.count == 1 && samples.value[0] == 8);
    samples = read_field(&fixture, 1, 3600000, FIELD_MAX);
    EXPECT(samples.count == 48 && samples.value[47] == 1000 && samples.value[46] == 100);
    fixture_done(&fixture);
}

TEST(sketches_of_a_step_are_merged)
{
    struct fixture fixture = fixture_new();
    struct quantile *sketch = quantile_new(0, 0);
    struct buf bytes CLEANUP(buf_done) = {0};

    ASSERT(fixture_open(&fixture));
    for (int i = 0; i < 12; i++) {
        struct batch *batch = fixture_batch(&fixture);
        quantile_clear(sketch);
        quantile_add_many(sketch, i + 1, 10);
        buf_clear(&bytes);
        quantile_write(sketch, &bytes);
        ASSERT(batch_sketch(batch, fixture_labels(&fixture, "latency", 5), DAY_1_MS + i * PERIOD_MS,
                            buf_view(&bytes), &fixture.why) == ERR_NONE);
        ASSERT(fixture_send(&fixture, batch) == 0);
    }
    struct samples samples = read_field(&fixture, 5, 0, FIELD_LAST);
    EXPECT(samples.count == 12 && samples.sketch != NULL && samples.value[3] == 10);
    pass_time(&fixture, clock_now_ms() + 2 * CLOCK_MS_PER_DAY);
    samples = read_field(&fixture, 5, 60000, FIELD_LAST);
    ASSERT(samples.count == 2 && samples.sketch != NULL);
    struct quantile *merged = NULL;
    ASSERT(quantile_read(samples.sketch[1], &merged, &fixture.why) == ERR_NONE);
    EXPECT(quantile_count(merged) == 60 && samples.value[1] == 60);
    EXPECT_NEAR(quantile_at(merged, 1), 12, 0.13);
    EXPECT_NEAR(quantile_at(merged, 0), 7, 0.08);
    quantile_free(merged);
    quantile_free(sketch);
    fixture_done(&fixture);
}

TEST_MAIN
