/* SPDX-License-Identifier: Apache-2.0 */
#include "store/exemplars.h"

#include "test.h"

#include <stdio.h>

struct fixture {
    struct exemplars *exemplars;
    struct label_pool *pool;
    struct arena *arena;
};

static struct fixture fixture_new(int64_t keep_ms)
{
    return (struct fixture){exemplars_new(keep_ms), label_pool_new(16 << 20), arena_new(64 << 20)};
}

static void fixture_done(struct fixture *fixture)
{
    exemplars_free(fixture->exemplars);
    label_pool_unref(fixture->pool);
    arena_free(fixture->arena);
}

static const struct labels *series(struct fixture *fixture, const char *name)
{
    struct label pairs[] = {{LABEL_NAME, str_of(name)}};
    const struct labels *labels = NULL;

    MUST(label_pool_get(fixture->pool, pairs, 1, &labels, NULL) == ERR_NONE);
    return labels;
}

static void put(struct fixture *fixture, const char *tenant, const char *name, int64_t time_ms,
                const char *trace)
{
    struct batch *batch = batch_new(tenant, "test", 1 << 20);
    struct exemplar exemplar = {
        .labels = series(fixture, name), .time_ms = time_ms, .value = (double)time_ms};
    struct exemplar_pairs pairs = {0};

    batch->time_ms = time_ms;
    exemplar_add_pair(&pairs, EXEMPLAR_TRACE_ID, str_of(trace));
    MUST(exemplar_keep_pairs(&exemplar, &pairs, batch->arena));
    MUST(batch_exemplar(batch, &exemplar, NULL) == ERR_NONE);
    EXPECT(exemplars_accept(fixture->exemplars, batch, NULL) == ERR_NONE);
    batch_free(batch);
}

static size_t find(struct fixture *fixture, const char *tenant, const char *name, int64_t from_ms,
                   struct exemplar **ret_items)
{
    const struct exemplar_question question = {tenant, series(fixture, name), from_ms, INT64_MAX};
    size_t count = SIZE_MAX;

    EXPECT(exemplars_find(fixture->exemplars, &question, fixture->arena, ret_items, &count, NULL) ==
           ERR_NONE);
    return count;
}

static struct exemplars_stats stats_of(struct fixture *fixture)
{
    struct exemplars_stats stats;

    exemplars_read_stats(fixture->exemplars, &stats);
    return stats;
}

TEST(they_come_back_by_series_tenant_and_time)
{
    struct fixture fixture = fixture_new(0);
    struct exemplar *items;

    put(&fixture, "default", "a", 20, "t2");
    put(&fixture, "default", "a", 10, "t1");
    put(&fixture, "default", "b", 30, "t3");
    put(&fixture, "other", "a", 40, "t4");
    ASSERT(find(&fixture, "default", "a", 0, &items) == 2);
    EXPECT(items[0].time_ms == 10 && items[1].time_ms == 20 && items[1].value == 20);
    ASSERT(items[0].pairs_count == 1);
    EXPECT(str_eq(items[0].pairs[0].name, STR("trace_id")));
    EXPECT(str_eq(items[0].pairs[0].value, STR("t1")));
    EXPECT(find(&fixture, "default", "a", 11, &items) == 1);
    EXPECT(find(&fixture, "other", "a", 0, &items) == 1);
    EXPECT(find(&fixture, "other", "b", 0, &items) == 0);
    fixture_done(&fixture);
}

TEST(the_same_again_changes_nothing)
{
    struct fixture fixture = fixture_new(0);
    struct exemplar *items;

    for (int i = 0; i < 3; i++) {
        put(&fixture, "default", "a", 10, "t1");
        put(&fixture, "default", "a", 10, "t2");
    }
    EXPECT(find(&fixture, "default", "a", 0, &items) == 2);
    EXPECT(stats_of(&fixture).accepted == 2);
    fixture_done(&fixture);
}

TEST(the_newest_of_a_series_stay)
{
    struct fixture fixture = fixture_new(0);
    struct exemplar *items;

    for (int i = 0; i < EXEMPLARS_OF_SERIES + 10; i++)
        put(&fixture, "default", "a", 100 + i, "t");
    put(&fixture, "default", "a", 1, "older than all");
    ASSERT(find(&fixture, "default", "a", 0, &items) == EXEMPLARS_OF_SERIES);
    EXPECT(items[0].time_ms == 110);
    EXPECT(stats_of(&fixture).replaced == 11 && stats_of(&fixture).kept == EXEMPLARS_OF_SERIES);
    fixture_done(&fixture);
}

TEST(all_together_are_bounded_and_those_that_came_first_go)
{
    struct fixture fixture = fixture_new(0);
    struct exemplar *items;
    char name[32];

    for (int i = 0; i < EXEMPLARS_MAX + 5; i++) {
        (void)snprintf(name, sizeof(name), "m%d", i);
        put(&fixture, "default", name, i + 1, "t");
    }
    EXPECT(stats_of(&fixture).kept == EXEMPLARS_MAX);
    EXPECT(find(&fixture, "default", "m4", 0, &items) == 0);
    EXPECT(find(&fixture, "default", "m5", 0, &items) == 1);
    fixture_done(&fixture);
}

TEST(what_is_too_old_goes)
{
    struct fixture fixture = fixture_new(1000);
    struct exemplar *items;

    put(&fixture, "default", "a", 1000, "t1");
    put(&fixture, "default", "a", 1500, "t2");
    exemplars_tick(fixture.exemplars, 2001);
    EXPECT(find(&fixture, "default", "a", 0, &items) == 1);
    exemplars_set_keep(fixture.exemplars, 0);
    exemplars_tick(fixture.exemplars, 1000000);
    EXPECT(find(&fixture, "default", "a", 0, &items) == 1);
    EXPECT(stats_of(&fixture).expired == 1);
    fixture_done(&fixture);
}

TEST_MAIN
