/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#define NOON_MS (INT64_C(1794312000) * 1000) /* 2026-11-10 12:00 UTC. */

TEST(what_was_committed_can_be_asked_at_once)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    EXPECT(fixture_put(&fixture, "up", 1, NOON_MS, 1) == 0);
    EXPECT(fixture_put(&fixture, "up", 1, NOON_MS + 1000, 0.5) == 0);
    struct samples samples = fixture_read(&fixture, "up", 1, 0, INT64_MAX / 2);
    EXPECT(samples.count == 2);
    EXPECT(samples.count == 2 && samples.time_ms[0] == NOON_MS && samples.value[1] == 0.5);
    fixture_done(&fixture);
}

TEST(rows_survive_closing_and_opening)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    for (int i = 0; i < 100; i++)
        EXPECT(fixture_put(&fixture, "up", 1, NOON_MS + i * 1000, i) == 0);
    fixture.store = store_close(fixture.store);
    ASSERT(fixture_open(&fixture));
    struct samples samples = fixture_read(&fixture, "up", 1, NOON_MS + 10000, NOON_MS + 20000);
    EXPECT(samples.count == 11);
    EXPECT(samples.count == 11 && samples.value[0] == 10 && samples.value[10] == 20);
    fixture_done(&fixture);
}

/* Every sample of every series, over blocks of several sizes and the head. */
static void expect_all(struct fixture *fixture, int series, int rows)
{
    for (int number = 0; number < series; number++) {
        struct samples samples = fixture_read(fixture, "load", number, 0, INT64_MAX / 2);
        EXPECT(samples.count == (size_t)rows);
        bool good = samples.count == (size_t)rows;
        for (int i = 0; good && i < rows; i++)
            good = samples.time_ms[i] == NOON_MS + i * 10000 &&
                   samples.value[i] == (double)((i * 7919 + number) % 1000) / 8;
        EXPECT(good);
    }
}

TEST(sealing_and_compacting_change_no_answer)
{
    enum { SERIES = 130, ROWS = 2600 };
    struct fixture fixture = fixture_new();

    fixture.options.head_bytes = 1 << 15; /* About 168 rows a series while they come fast. */
    ASSERT(fixture_open(&fixture));
    for (int row = 0; row < ROWS; row++) {
        struct batch *batch = fixture_batch(&fixture);
        for (int number = 0; number < SERIES; number++)
            fixture_add(&fixture, batch, "load", number, NOON_MS + row * 10000,
                        (double)((row * 7919 + number) % 1000) / 8);
        ASSERT(fixture_send(&fixture, batch) == 0);
    }
    expect_all(&fixture, SERIES, ROWS);
    EXPECT(store_compact(fixture.store, &fixture.why) == ERR_NONE);
    struct store_stats stats;
    store_read_stats(fixture.store, &stats);
    EXPECT(stats.seals > 5 && stats.compactions > 0 && stats.pending_rows == 0);
    expect_all(&fixture, SERIES, ROWS);
    fixture.store = store_close(fixture.store);
    ASSERT(fixture_open(&fixture));
    expect_all(&fixture, SERIES, ROWS);
    fixture_done(&fixture);
}

static int64_t oldest_ms(struct fixture *fixture)
{
    struct store_stats stats;

    store_tick(fixture->store, NOON_MS + 60000); /* It adds up about once a second. */
    store_read_stats(fixture->store, &stats);
    return stats.oldest_ms;
}

TEST(the_oldest_is_the_first_row_and_not_midnight)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    EXPECT(oldest_ms(&fixture) == INT64_MAX);
    EXPECT(fixture_put(&fixture, "up", 1, NOON_MS + 5000, 1) == 0);
    EXPECT(fixture_put(&fixture, "up", 1, NOON_MS + 6000, 2) == 0);
    fixture.store = store_close(fixture.store);
    ASSERT(fixture_open(&fixture));
    EXPECT(oldest_ms(&fixture) == NOON_MS + 5000);
    EXPECT(fixture_put(&fixture, "late", 1, NOON_MS + 1000, 1) == 0);
    EXPECT(store_compact(fixture.store, &fixture.why) == ERR_NONE);
    fixture.store = store_close(fixture.store);
    ASSERT(fixture_open(&fixture));
    EXPECT(oldest_ms(&fixture) == NOON_MS + 1000);
    fixture_done(&fixture);
}

TEST(a_shorter_retention_removes_old_days_at_the_next_tick)
{
    const struct store_retention shorter = {.raw_ms = 2 * CLOCK_MS_PER_DAY};
    const int64_t later_ms = NOON_MS + 10 * CLOCK_MS_PER_DAY;
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    EXPECT(fixture_put(&fixture, "up", 1, NOON_MS, 1) == 0);
    EXPECT(fixture_put(&fixture, "up", 1, later_ms, 2) == 0);
    for (int i = 0; i < 20; i++)
        store_tick(fixture.store, later_ms + CLOCK_MS_PER_DAY + i * 1000);
    EXPECT(fixture_read(&fixture, "up", 1, 0, INT64_MAX / 2).count == 2);
    struct store_stats stats;
    store_tick(fixture.store, clock_now_ms() + 3 * CLOCK_MS_PER_DAY);
    store_read_stats(fixture.store, &stats);
    EXPECT(stats.days_removed == 0);
    store_set_retention(fixture.store, &shorter);
    store_tick(fixture.store, clock_now_ms() + 3 * CLOCK_MS_PER_DAY + 60000);
    store_read_stats(fixture.store, &stats);
    EXPECT(stats.days_removed > 0);
    fixture_done(&fixture);
}

TEST_MAIN
