/* SPDX-License-Identifier: Apache-2.0 */
#include "load/histogram.h"

#include "stats/random.h"
#include "test.h"

static struct histogram *histogram_new(void)
{
    return calloc(1, sizeof(struct histogram));
}

TEST(every_duration_falls_into_the_bucket_that_holds_it)
{
    for (int shift = 0; shift < 42; shift++) {
        for (int64_t near = -2; near <= 2; near++) {
            int64_t value = (INT64_C(1) << shift) + near;
            if (value < 0 || value > HISTOGRAM_MAX_NS)
                continue;
            size_t index = histogram_index((uint64_t)value);
            EXPECT(index < HISTOGRAM_BUCKETS);
            EXPECT(histogram_lower_ns(index) <= value && value < histogram_upper_ns(index));
        }
    }
    EXPECT(histogram_index(HISTOGRAM_MAX_NS) == HISTOGRAM_BUCKETS - 1);
}

TEST(quantiles_are_within_four_thousandths_of_the_truth)
{
    enum { COUNT = 20000 };
    static double values[COUNT];
    struct histogram *histogram = histogram_new();
    struct random random = random_begin(3);

    for (int i = 0; i < COUNT; i++) {
        values[i] = floor(exp(8 + 10 * random_unit(&random)));
        histogram_add(histogram, (int64_t)values[i]);
    }
    for (int i = 1; i < COUNT; i++) { /* Values are few: insertion by steps will do. */
        double value = values[i];
        int at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
    for (double q = 0.001; q < 1; q += 0.0037) {
        double truth = values[(int)ceil(q * COUNT) - 1];
        EXPECT_NEAR(histogram_at(histogram, q) / truth, 1, 0.004);
    }
    EXPECT(histogram_at(histogram, 1) == values[COUNT - 1]);
    EXPECT_NEAR(histogram_share_within(histogram, (int64_t)values[COUNT / 2]), 0.5, 0.002);
    free(histogram);
}

TEST(an_empty_one_knows_nothing)
{
    struct histogram *histogram = histogram_new();

    EXPECT(isnan(histogram_at(histogram, 0.5)));
    EXPECT(isnan(histogram_mean(histogram)));
    EXPECT(isnan(histogram_share_within(histogram, 5)));
    free(histogram);
}

TEST(draining_finds_each_duration_once)
{
    struct histogram *live = histogram_new();
    struct histogram *seen = histogram_new();
    struct histogram *into = histogram_new();
    struct random random = random_begin(9);

    for (int round = 0; round < 50; round++) {
        uint64_t count = random_below(&random, 100);
        for (uint64_t i = 0; i < count; i++)
            histogram_add(live, (int64_t)random_below(&random, 1000000000));
        EXPECT(histogram_drain(live, seen, into) == count);
    }
    EXPECT(memcmp(live->counts, into->counts, sizeof(live->counts)) == 0);
    EXPECT(live->count == into->count && live->sum_ns == into->sum_ns);
    EXPECT(live->max_ns == into->max_ns);
    free(live);
    free(seen);
    free(into);
}

TEST(merging_adds_up)
{
    struct histogram *a = histogram_new();
    struct histogram *b = histogram_new();

    histogram_add(a, 100);
    histogram_add(b, 300);
    histogram_add(b, -5);
    histogram_add(b, INT64_MAX);
    histogram_merge(a, b);
    EXPECT(a->count == 4);
    EXPECT(a->max_ns == HISTOGRAM_MAX_NS);
    EXPECT(a->counts[0] == 1);
    free(a);
    free(b);
}

TEST_MAIN
