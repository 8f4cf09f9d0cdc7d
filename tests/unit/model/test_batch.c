/* SPDX-License-Identifier: Apache-2.0 */
#include "model/batch.h"
#include "test.h"

static const struct labels *series(struct label_pool *pool, const char *name)
{
    struct label pairs[] = {{LABEL_NAME, str_of(name)}};
    const struct labels *labels = NULL;

    EXPECT(label_pool_get(pool, pairs, 1, &labels, NULL) == ERR_NONE);
    return labels;
}

TEST(a_batch_keeps_its_pools_alive)
{
    struct batch *batch CLEANUP(batch_freep) = batch_new("default", "test", 1 << 20);
    struct label_pool *pool = label_pool_new(1 << 20);
    const struct labels *labels = series(pool, "up");

    batch_hold(batch, pool);
    batch_hold(batch, pool);
    label_pool_unref(pool);
    EXPECT(batch_sample(batch, labels, 1000, 1, NULL) == ERR_NONE);
    EXPECT(str_eq(labels_get(batch->samples.items[0].labels, LABEL_NAME), STR("up")));
    EXPECT(batch_row_count(batch) == 1);
}

TEST(a_histogram_becomes_cumulative_buckets_sum_and_count)
{
    struct batch *batch CLEANUP(batch_freep) = batch_new("default", "test", 1 << 20);
    struct label_pool *pool = label_pool_new(1 << 20);
    const double bounds[] = {0.5, 1};
    const uint64_t counts[] = {3, 2, 1};
    struct label base[] = {{STR("path"), STR("/")}};
    struct histogram histogram = {.name = STR("h"),
                                  .base = base,
                                  .base_count = 1,
                                  .bounds = bounds,
                                  .counts = counts,
                                  .bound_count = 2,
                                  .sum = 4.5,
                                  .time_ms = 7};
    const char *wanted[] = {"h_bucket{le=\"0.5\",path=\"/\"}", "h_bucket{le=\"1\",path=\"/\"}",
                            "h_bucket{le=\"+Inf\",path=\"/\"}", "h_sum{path=\"/\"}",
                            "h_count{path=\"/\"}"};
    const double values[] = {3, 5, 6, 4.5, 6};

    ASSERT(batch_histogram(batch, pool, &histogram, NULL) == ERR_NONE);
    label_pool_unref(pool);
    ASSERT(batch->samples.count == 5);
    for (size_t i = 0; i < 5; i++) {
        struct buf text CLEANUP(buf_done) = {0};
        labels_write(&text, batch->samples.items[i].labels);
        EXPECT_TEXT(buf_cstr(&text), wanted[i]);
        EXPECT(batch->samples.items[i].value == values[i]);
        EXPECT(batch->samples.items[i].time_ms == 7);
    }
}

TEST(rows_of_every_kind_have_a_place)
{
    struct batch *batch CLEANUP(batch_freep) = batch_new("default", "test", 1 << 20);
    struct span *span = NULL;
    struct event *event = NULL;
    struct profile_sample *sample = NULL;

    EXPECT(batch_span(batch, &span, NULL) == ERR_NONE && span->name.size == 0);
    EXPECT(batch_event(batch, &event, NULL) == ERR_NONE && event->severity == 0);
    EXPECT(batch_profile(batch, &sample, NULL) == ERR_NONE && sample->weight == 0);
    EXPECT(batch_row_count(batch) == 3);
    batch_clear(batch);
    EXPECT(batch_row_count(batch) == 0);
}

TEST(texts_over_the_budget_are_refused)
{
    struct batch *batch CLEANUP(batch_freep) = batch_new("default", "test", 100);
    struct metric_info info = {.name = STR("a"), .help = STR("b")};
    struct why why = WHY_INIT;
    static char large[200];

    info.help = (struct str){large, sizeof(large)};
    EXPECT(batch_info(batch, &info, &why) == ERR_LIMIT);
    EXPECT(batch->infos.count == 0);
}

TEST_MAIN
