/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/span_metrics.h"

#include "sketch/quantile.h"
#include "test.h"

#include <math.h>

#define T0        INT64_C(1700000000000)
#define NS_PER_MS INT64_C(1000000)

struct fixture {
    struct span_metrics *metrics;
    struct batch *batch;
};

static struct fixture fixture_new(void)
{
    return (struct fixture){span_metrics_new(), batch_new("default", "test", 1 << 20)};
}

static void fixture_free(struct fixture *fixture)
{
    span_metrics_free(fixture->metrics);
    batch_free(fixture->batch);
}

static void add_span(const struct fixture *fixture, int64_t duration_ms, enum span_status status)
{
    static const struct resource resource = {.service_name = {"shop", 4}};
    const struct span span = {
        .span_id = {1},
        .name = STR("sell"),
        .kind = SPAN_KIND_INTERNAL,
        .status = status,
        .end_ns = duration_ms * NS_PER_MS,
        .resource = &resource,
    };

    span_metrics_add(fixture->metrics, &span, 1);
}

static void tell(const struct fixture *fixture, int64_t now_ms)
{
    struct why why = WHY_INIT;

    batch_clear(fixture->batch);
    ASSERT(span_metrics_write(fixture->metrics, now_ms, fixture->batch, &why) == ERR_NONE);
}

static size_t count_named(const struct batch *batch, struct str name)
{
    size_t count = 0;

    for (size_t i = 0; i < batch->samples.count; i++)
        count += str_eq(labels_get(batch->samples.items[i].labels, LABEL_NAME), name);
    return count;
}

TEST(calls_are_counted_by_operation_and_outcome)
{
    struct fixture fixture = fixture_new();

    add_span(&fixture, 10, SPAN_STATUS_OK);
    add_span(&fixture, 20, SPAN_STATUS_OK);
    add_span(&fixture, 30, SPAN_STATUS_ERROR);
    tell(&fixture, T0);
    ASSERT(count_named(fixture.batch, STR("traces_span_metrics_calls_total")) == 4);
    for (size_t i = 0; i < fixture.batch->samples.count; i++) {
        const struct sample *sample = &fixture.batch->samples.items[i];
        if (sample->time_ms < T0 || /* Where each begins, with zero. */
            !str_eq(labels_get(sample->labels, LABEL_NAME), STR("traces_span_metrics_calls_total")))
            continue;
        EXPECT(str_eq(labels_get(sample->labels, STR("service")), STR("shop")));
        EXPECT(str_eq(labels_get(sample->labels, STR("span_name")), STR("sell")));
        bool failed =
            str_eq(labels_get(sample->labels, STR("status_code")), STR("STATUS_CODE_ERROR"));
        EXPECT(sample->value == (failed ? 1 : 2));
    }
    fixture_free(&fixture);
}

TEST(sketches_tell_what_came_since_the_one_before)
{
    struct fixture fixture = fixture_new();
    struct quantile *sketch = NULL;
    struct why why = WHY_INIT;

    for (int i = 0; i < 100; i++)
        add_span(&fixture, 10, SPAN_STATUS_OK);
    tell(&fixture, T0);
    ASSERT(fixture.batch->sketches.count == 1);
    add_span(&fixture, 500, SPAN_STATUS_OK);
    tell(&fixture, T0 + 1000);
    ASSERT(fixture.batch->sketches.count == 1);
    const struct sketch_sample *sample = &fixture.batch->sketches.items[0];
    EXPECT(str_eq(labels_get(sample->labels, LABEL_NAME),
                  STR("traces_span_metrics_duration_seconds")));
    ASSERT(quantile_read(sample->sketch, &sketch, &why) == ERR_NONE);
    EXPECT(quantile_count(sketch) == 1);
    EXPECT_NEAR(quantile_at(sketch, 0.5), 0.5, 0.005);
    quantile_free(sketch);
    fixture_free(&fixture);
}

TEST(counts_are_told_each_second_and_buckets_each_ten)
{
    struct fixture fixture = fixture_new();
    const struct str buckets = STR("traces_span_metrics_duration_seconds_bucket");
    const struct str calls = STR("traces_span_metrics_calls_total");

    add_span(&fixture, 10, SPAN_STATUS_OK);
    tell(&fixture, T0);
    EXPECT(count_named(fixture.batch, buckets) > 0);
    add_span(&fixture, 10, SPAN_STATUS_OK);
    tell(&fixture, T0 + 1000);
    EXPECT(count_named(fixture.batch, calls) == 1);
    EXPECT(count_named(fixture.batch, buckets) == 0);
    tell(&fixture, T0 + 2000);
    EXPECT(fixture.batch->samples.count == 0 && fixture.batch->sketches.count == 0);
    tell(&fixture, T0 + 10000);
    EXPECT(count_named(fixture.batch, buckets) > 0); /* Of the span a second after the first. */
    tell(&fixture, T0 + 20000);
    EXPECT(fixture.batch->samples.count == 0);
    tell(&fixture, T0 + 60000);
    EXPECT(count_named(fixture.batch, calls) == 1); /* Everything, once a minute. */
    EXPECT(fixture.batch->sketches.count == 0);
    fixture_free(&fixture);
}

TEST_MAIN
