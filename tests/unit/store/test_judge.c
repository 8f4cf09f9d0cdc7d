/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "store/store.h"
#include "store/trace_read.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A judge that keeps traces of even numbers, and what it was told. */
struct judge {
    size_t noted;
    size_t asked;
};

static void noted(void *self, const char *tenant, const struct span *span)
{
    struct judge *judge = self;

    EXPECT(strcmp(tenant, "default") == 0 && span->resource != NULL);
    judge->noted++;
}

static bool keeps(void *self, const char *tenant, const struct span *span)
{
    struct judge *judge = self;

    EXPECT(strcmp(tenant, "default") == 0);
    judge->asked++;
    return span->trace_id[15] % 2 == 0;
}

static char folder[64];

static struct store *open_store(struct judge *judge, int64_t wait_ms, uint64_t waiting_max)
{
    struct store_options options = store_options_default;
    struct store *store = NULL;
    struct why why = WHY_INIT;

    options.path = folder;
    options.free_bytes_min = 0;
    if (judge != NULL)
        options.judge = (struct store_judge){judge, wait_ms, waiting_max, noted, keeps};
    if (store_open(&options, &store, &why) != ERR_NONE)
        printf("# %s\n", why.text);
    return store;
}

static void fresh_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/sonde-judge-XXXXXX");
    char *made = mkdtemp(folder);
    MUST(made != NULL);
}

static void remove_folder(void)
{
    char command[96];

    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    int status = system(command);
    EXPECT(status == 0);
}

/* A commit of `count` spans, each of a trace of its own. */
static void put(struct store *store, uint8_t first, size_t count)
{
    static const struct resource shop = {.service_name = STR("shop")};
    struct batch *batch = batch_new("default", "test", 1 << 20);
    struct why why = WHY_INIT;

    for (size_t i = 0; i < count; i++) {
        struct span *span;
        EXPECT(batch_span(batch, &span, &why) == ERR_NONE);
        span->trace_id[15] = (uint8_t)(first + i);
        span->span_id[0] = 1;
        span->start_ns = clock_now_ns();
        span->end_ns = span->start_ns + 5;
        span->name = STR("op");
        span->resource = &shop;
    }
    EXPECT(store_accept(store, batch, &why) == ERR_NONE);
    EXPECT(store_commit(store, &why) == ERR_NONE);
    batch_free(batch);
}

static size_t count_spans(struct store *store)
{
    struct arena *arena = arena_new(1 << 24);
    struct trace_query any = TRACE_QUERY_ANY;
    struct store_view *view = NULL;
    struct span_list list = {0};
    struct why why = WHY_INIT;

    any.limit = 10000;
    EXPECT(store_view(store, "default", NULL, &view, &why) == ERR_NONE);
    EXPECT(view->ops->traces->search(view, &any, arena, &list, &why) == ERR_NONE);
    store_view_release(view);
    arena_free(arena);
    return list.count;
}

static uint64_t count_waiting(struct store *store)
{
    struct store_stats stats;

    store_read_stats(store, &stats);
    return stats.waiting_items;
}

TEST(spans_wait_in_sight_and_go_when_their_time_has_come)
{
    struct judge judge = {0};

    fresh_folder();
    struct store *store = open_store(&judge, 10000, 0);
    put(store, 1, 20);
    store_tick(store, clock_now_ms());
    EXPECT(count_spans(store) == 20 && count_waiting(store) == 20 && judge.asked == 0);
    store_tick(store, clock_now_ms() + 11000);
    EXPECT(count_spans(store) == 10 && count_waiting(store) == 0 && judge.asked == 20);
    store = store_close(store);
    store = open_store(&judge, 10000, 0);
    EXPECT(count_spans(store) == 10 && judge.noted == 0); /* The verdicts are for good. */
    store_close(store);
    remove_folder();
}

TEST(with_too_many_the_oldest_are_judged_earlier)
{
    struct judge judge = {0};

    fresh_folder();
    struct store *store = open_store(&judge, 3600000, 25);
    for (uint8_t i = 0; i < 5; i++) {
        put(store, (uint8_t)(i * 10), 10);
        usleep(300000); /* So that each commit has a mark of its own. */
    }
    store_tick(store, clock_now_ms());
    EXPECT(judge.asked == 30 && count_spans(store) == 35);
    store_tick(store, clock_now_ms() + 2000); /* Numbers are told anew each second. */
    EXPECT(count_waiting(store) == 20 && judge.asked == 30);
    store_close(store);
    remove_folder();
}

TEST(what_waits_survives_closing_and_is_noted_again_before_it_is_judged)
{
    struct judge judge = {0};

    fresh_folder();
    struct store *store = open_store(&judge, 10000, 0);
    put(store, 0, 10);
    put(store, 10, 10);
    store = store_close(store);
    EXPECT(judge.asked == 0);
    store = open_store(&judge, 10000, 0);
    EXPECT(judge.noted == 20 && count_spans(store) == 20);
    store_tick(store, clock_now_ms() + 5000);
    EXPECT(judge.asked == 0 && count_waiting(store) == 20);
    store_tick(store, clock_now_ms() + 11000);
    EXPECT(judge.asked == 20 && count_spans(store) == 10);
    store_close(store);
    remove_folder();
}

TEST(without_a_judge_everything_that_waited_stays)
{
    struct judge judge = {0};

    fresh_folder();
    struct store *store = open_store(&judge, 10000, 0);
    put(store, 0, 10);
    store = store_close(store);
    store = open_store(NULL, 0, 0);
    store_tick(store, clock_now_ms());
    EXPECT(count_waiting(store) == 0 && count_spans(store) == 10);
    store_close(store);
    remove_folder();
}

TEST(what_stayed_is_sealed_with_the_rest)
{
    struct judge judge = {0};
    struct why why = WHY_INIT;

    fresh_folder();
    struct store *store = open_store(&judge, 0, 0);
    for (int i = 0; i < 10; i++)
        put(store, (uint8_t)(i * 20), 20);
    store_tick(store, clock_now_ms() + 1000);
    EXPECT(store_compact(store, &why) == ERR_NONE);
    EXPECT(count_spans(store) == 100);
    store = store_close(store);
    store = open_store(&judge, 0, 0);
    EXPECT(count_spans(store) == 100);
    store_close(store);
    remove_folder();
}

TEST_MAIN
