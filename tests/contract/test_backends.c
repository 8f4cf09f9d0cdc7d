/* SPDX-License-Identifier: Apache-2.0 */
/* One suite for every backend of the store: the same batches in, the same answers out. A backend
 * that this machine cannot run says ERR_UNSUPPORTED and is passed by. */
#include "model/metric.h"
#include "store/backend.h"

#include "../unit/store/store_fixture.h"

#define NOON_MS (INT64_C(1794312000) * 1000) /* 2026-11-10 12:00 UTC. */

/* Runs one story over each backend. */
static void over_all(void (*story)(struct fixture *fixture))
{
    int ran = 0;

    for (size_t i = 0; backends[i] != NULL; i++) {
        struct fixture fixture = fixture_new();
        fixture.options.backend = backends[i]->name;
        fixture.options.path = fixture.folder;
        enum err err = store_open(&fixture.options, &fixture.store, &fixture.why);
        if (err == ERR_NONE) {
            printf("# %s: %s\n", backends[i]->name, backends[i]->summary);
            story(&fixture);
            ran++;
        } else {
            EXPECT(err == ERR_UNSUPPORTED);
        }
        fixture_done(&fixture);
    }
    EXPECT(ran > 0);
}

static double value_of(int number, int row)
{
    return number == 0 ? row * 0.1 : (double)((row * 31 + number) % 97);
}

static void ingest_and_read(struct fixture *fixture)
{
    enum { SERIES = 75, ROWS = 300 };

    for (int row = 0; row < ROWS; row++) {
        struct batch *batch = fixture_batch(fixture);
        for (int number = 0; number < SERIES; number++)
            fixture_add(fixture, batch, "answers", number, NOON_MS + row * 15000,
                        value_of(number, row));
        EXPECT(fixture_send(fixture, batch) == 0);
        if (row == ROWS / 2)
            EXPECT(store_compact(fixture->store, &fixture->why) == ERR_NONE);
    }
    for (int number = 0; number < SERIES; number++) {
        struct samples samples =
            fixture_read(fixture, "answers", number, NOON_MS + 15000, NOON_MS + 200 * 15000);
        bool good = samples.count == 200;
        for (int i = 0; good && i < 200; i++)
            good = samples.time_ms[i] == NOON_MS + (i + 1) * 15000 &&
                   samples.value[i] == value_of(number, i + 1);
        EXPECT(good);
    }
}

static void refuse_and_accept(struct fixture *fixture)
{
    int64_t window_ms = fixture->options.out_of_order_ms;

    EXPECT(fixture_put(fixture, "order", 1, NOON_MS, 1) == 0);
    EXPECT(fixture_put(fixture, "order", 1, NOON_MS - window_ms, 2) == 0);
    EXPECT(fixture_put(fixture, "order", 1, NOON_MS - window_ms - 1, 3) == 1);
    EXPECT(fixture_put(fixture, "order", 1, NOON_MS, 1) == 0);
    EXPECT(fixture_put(fixture, "order", 1, NOON_MS, 9) == 1);
    EXPECT(fixture_put(fixture, "order", 1, NOON_MS + 1, metric_stale()) == 0);
    struct samples samples = fixture_read(fixture, "order", 1, 0, INT64_MAX / 2);
    ASSERT(samples.count == 3);
    EXPECT(samples.value[0] == 2 && samples.value[1] == 1 && metric_is_stale(samples.value[2]));
}

static void describe(struct fixture *fixture)
{
    struct metric_info info = {STR("described"), STR("seconds"), STR("How long."), METRIC_GAUGE};
    struct batch *batch = fixture_batch(fixture);
    struct metric_info_list list = {0};

    EXPECT(batch_info(batch, &info, &fixture->why) == ERR_NONE);
    fixture_add(fixture, batch, "described", 1, NOON_MS, 1);
    EXPECT(fixture_send(fixture, batch) == 0);
    struct store_view *view = fixture_view(fixture);
    ASSERT(view != NULL);
    EXPECT(view->ops->metadata(view, STR("described"), fixture->arena, &list, &fixture->why) ==
           ERR_NONE);
    EXPECT(list.count == 1 && list.items[0].kind == METRIC_GAUGE &&
           str_eq(list.items[0].unit, STR("seconds")));
    store_view_release(view);
}

static void ask_for_nobody(struct fixture *fixture)
{
    struct store_view *view = NULL;

    EXPECT(store_view(fixture->store, "nobody", NULL, &view, &fixture->why) == ERR_NOT_FOUND);
    EXPECT(fixture_put(fixture, "somebody", 1, NOON_MS, 1) == 0);
    EXPECT(fixture_read(fixture, "somebody", 2, 0, INT64_MAX / 2).count == 0);
    EXPECT(fixture_read(fixture, "somebody", 1, NOON_MS + 1, INT64_MAX / 2).count == 0);
}

static void survive_opening(struct fixture *fixture)
{
    for (int row = 0; row < 50; row++)
        EXPECT(fixture_put(fixture, "again", 1, NOON_MS + row * 1000, row) == 0);
    fixture->store = store_close(fixture->store);
    ASSERT(store_open(&fixture->options, &fixture->store, &fixture->why) == ERR_NONE);
    EXPECT(fixture_read(fixture, "again", 1, 0, INT64_MAX / 2).count == 50);
}

TEST(every_backend_answers_what_it_was_given)
{
    over_all(ingest_and_read);
}

TEST(every_backend_refuses_the_same)
{
    over_all(refuse_and_accept);
}

TEST(every_backend_keeps_descriptions)
{
    over_all(describe);
}

TEST(every_backend_says_when_there_is_nothing)
{
    over_all(ask_for_nobody);
}

TEST(every_backend_keeps_it_over_opening)
{
    over_all(survive_opening);
}

TEST_MAIN
