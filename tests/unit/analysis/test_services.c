/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/services.h"
#include "fake_view.h"
#include "sketch/quantile.h"
#include "test.h"

#define T0 INT64_C(1800000000000)

/* The newest sample becomes a sketch of `count` durations of that many milliseconds. */
static void fake_sketch(struct fake_view *fake, int64_t time_ms, double ms, uint64_t count)
{
    struct fake_series *series = fake->series[fake->count - 1];
    struct quantile *sketch = quantile_new(0, 0);
    struct buf bytes CLEANUP(buf_done) = {0};

    if (series->sketches == NULL)
        series->sketches = ARENA_ARRAY(fake->arena, FAKE_SAMPLES_MAX, struct str);
    quantile_add_many(sketch, ms / 1e3, count);
    quantile_write(sketch, &bytes);
    fake_sample(fake, time_ms, (double)count);
    series->sketches[series->count - 1] = arena_str(fake->arena, buf_view(&bytes));
    quantile_free(sketch);
}

static void add_calls(struct fake_view *fake, const char *service, const char *operation,
                      const char *outcome, const char *instance)
{
    fake_add(fake, "sonde_operation_calls_total", "job", service, "operation", operation, "outcome",
             outcome, "instance", instance, NULL);
}

static void add_durations(struct fake_view *fake, const char *service, const char *operation)
{
    fake_add(fake, "sonde_operation_duration_seconds", "job", service, "operation", operation,
             NULL);
}

static struct services asked(struct fake_view *fake, int64_t from_ms, int64_t to_ms)
{
    const struct services_question question = {from_ms, to_ms, STR_NONE, STR_NONE};
    struct services services = {0};
    struct why why = WHY_INIT;

    EXPECT(services_read(&fake->view, &question, fake->arena, &services, &why) == ERR_NONE);
    return services;
}

TEST(rises_of_all_instances_are_added_and_sketches_merged)
{
    struct fake_view *fake = fake_new();

    for (int instance = 0; instance < 2; instance++) {
        add_calls(fake, "shop", "sell", "ok", instance == 0 ? "a" : "b");
        fake_sample(fake, T0 - 5000, 100); /* Before the stretch of time. */
        fake_sample(fake, T0 + 5000, 110);
        fake_sample(fake, T0 + 9000, 190);
    }
    add_calls(fake, "shop", "sell", "error", "a");
    fake_sample(fake, T0 - 5000, 0);
    fake_sample(fake, T0 + 5000, 20);
    add_durations(fake, "shop", "sell");
    fake_sketch(fake, T0 - 5000, 9999, 100);
    fake_sketch(fake, T0 + 5000, 10, 100);
    fake_sketch(fake, T0 + 9000, 100, 100);

    struct services services = asked(fake, T0, T0 + 10000);
    ASSERT(services.operations_count == 1 && services.totals_count == 1);
    const struct service_numbers *numbers = &services.operations[0].numbers;
    EXPECT(numbers->measure.count == 200 && numbers->failures == 20);
    EXPECT_NEAR(numbers->measure.success_rate, 0.9, 1e-12);
    EXPECT_NEAR(numbers->measure.throughput_rps, 20, 1e-9);
    EXPECT_NEAR(numbers->measure.p50_ms, 10, 0.1);
    EXPECT_NEAR(numbers->measure.p95_ms, 100, 1);
    EXPECT(services.all.numbers.measure.count == 200);
    fake_free(fake);
}

TEST(who_was_out_of_reach_goes_on_where_it_was)
{
    struct fake_view *fake = fake_new();

    add_calls(fake, "shop", "sell", "ok", "a");
    fake_sample(fake, T0 - 600000, 5000);
    fake_sample(fake, T0 + 1000, 5007);
    add_calls(fake, "shop", "sell", "ok", "b"); /* Restarted meanwhile. */
    fake_sample(fake, T0 - 600000, 5000);
    fake_sample(fake, T0 + 1000, 3);
    struct services services = asked(fake, T0, T0 + 10000);
    ASSERT(services.operations_count == 1);
    EXPECT(services.operations[0].numbers.measure.count == 10);
    fake_free(fake);
}

TEST(a_restart_counts_from_nothing)
{
    struct fake_view *fake = fake_new();

    add_calls(fake, "shop", "sell", "ok", "a");
    fake_sample(fake, T0 - 1000, 50);
    fake_sample(fake, T0 + 1000, 60);
    fake_sample(fake, T0 + 2000, 7);
    fake_sample(fake, T0 + 3000, 8);
    struct services services = asked(fake, T0, T0 + 10000);
    ASSERT(services.operations_count == 1);
    EXPECT(services.operations[0].numbers.measure.count == 18);
    EXPECT(isnan(services.operations[0].numbers.measure.p95_ms));
    fake_free(fake);
}

TEST(what_began_in_the_midst_has_the_throughput_of_its_own_time)
{
    struct fake_view *fake = fake_new();

    add_calls(fake, "shop", "sell", "ok", "a");
    fake_sample(fake, T0 + 50001, 5);
    fake_sample(fake, T0 + 59001, 50);
    struct services services = asked(fake, T0, T0 + 59001);
    ASSERT(services.operations_count == 1);
    EXPECT_NEAR(services.operations[0].numbers.measure.throughput_rps, 5, 1e-9);
    fake_free(fake);
}

TEST(what_was_not_called_is_not_told)
{
    struct fake_view *fake = fake_new();

    add_calls(fake, "shop", "idle", "ok", "a");
    fake_sample(fake, T0 - 5000, 50);
    fake_sample(fake, T0 + 5000, 50);
    EXPECT(asked(fake, T0, T0 + 10000).operations_count == 0);
    EXPECT(asked(fake, T0, T0 + 10000).all.numbers.measure.success_rate == 1);
    fake_free(fake);
}

TEST(spans_count_only_for_services_that_tell_nothing_themselves)
{
    static const char *const services_of[] = {"shop", "bank"};
    struct fake_view *fake = fake_new();

    add_calls(fake, "shop", "sell", "ok", "a");
    fake_sample(fake, T0 + 5000, 3);
    for (int i = 0; i < 2; i++) {
        fake_add(fake, "traces_span_metrics_calls_total", "service", services_of[i], "span_name",
                 "sell", "status_code", "STATUS_CODE_ERROR", NULL);
        fake_sample(fake, T0 + 5000, 40);
    }
    struct services services = asked(fake, T0, T0 + 10000);
    ASSERT(services.totals_count == 2);
    EXPECT(str_eq(services.totals[0].service, STR("bank")));
    EXPECT(services.totals[0].numbers.measure.count == 40 &&
           services.totals[0].numbers.failures == 40);
    EXPECT(services.totals[1].numbers.measure.count == 3);
    fake_free(fake);
}

TEST(a_trend_has_its_steps_and_changes_no_sum)
{
    struct fake_view *fake = fake_new();
    struct services_question question = {T0, T0 + 30000, STR_NONE, STR_NONE, 3};
    struct services services;
    struct why why = WHY_INIT;

    add_calls(fake, "shop", "sell", "error", "a");
    fake_sample(fake, T0 + 10000, 5);
    fake_sample(fake, T0 + 30000, 9);
    add_durations(fake, "shop", "sell");
    fake_sketch(fake, T0 + 10000, 10, 5);
    fake_sketch(fake, T0 + 30000, 500, 4);
    ASSERT(services_read(&fake->view, &question, fake->arena, &services, &why) == ERR_NONE);
    ASSERT(services.operations_count == 1);
    const struct service_trend *trend = &services.operations[0].trend;
    EXPECT(trend->calls[0] == 5 && trend->calls[1] == 0 && trend->calls[2] == 4);
    EXPECT(trend->failures[2] == 4);
    EXPECT_NEAR(trend->p95_ms[0], 10, 0.1);
    EXPECT(isnan(trend->p95_ms[1]));
    EXPECT_NEAR(services.operations[0].numbers.measure.p50_ms, 10, 0.1);
    EXPECT_NEAR(services.operations[0].numbers.max_ms, 500, 5);
    question.trend_steps = SERVICES_TREND_MAX + 1;
    EXPECT(services_read(&fake->view, &question, fake->arena, &services, &why) == ERR_INVALID);
    fake_free(fake);
}

TEST(over_all_services_each_is_counted_once)
{
    struct fake_view *fake = fake_new();
    const struct services_question question = {T0, T0 + 10000, STR_NONE, STR_NONE, 0};
    struct service_history history;
    struct why why = WHY_INIT;

    add_calls(fake, "shop", "sell", "ok", "a");
    fake_sample(fake, T0 + 5000, 3);
    static const char *const services_of[] = {"shop", "bank"};
    for (int i = 0; i < 2; i++) {
        fake_add(fake, "traces_span_metrics_calls_total", "service", services_of[i], "span_name",
                 "sell", "status_code", "STATUS_CODE_OK", NULL);
        fake_sample(fake, T0 + 5000, 40);
    }
    ASSERT(services_history(&fake->view, &question, 10000, fake->arena, &history, &why) ==
           ERR_NONE);
    EXPECT(history.calls[0] == 43);
    fake_free(fake);
}

TEST(over_time_each_step_has_its_own)
{
    struct fake_view *fake = fake_new();
    const struct services_question question = {T0, T0 + 30000, STR("shop"), STR("sell")};
    struct service_history history;
    struct why why = WHY_INIT;

    add_calls(fake, "shop", "sell", "ok", "a");
    fake_sample(fake, T0 - 1000, 10);
    fake_sample(fake, T0 + 10000, 15); /* The end of the first step is in it. */
    fake_sample(fake, T0 + 10001, 16);
    fake_sample(fake, T0 + 30000, 20);
    add_durations(fake, "shop", "sell");
    fake_sketch(fake, T0 + 10000, 0.05, 2);
    fake_sketch(fake, T0 + 30000, 3, 4);
    ASSERT(services_history(&fake->view, &question, 10000, fake->arena, &history, &why) ==
           ERR_NONE);
    ASSERT(history.count == 3);
    EXPECT(history.times_ms[0] == T0 + 10000 && history.times_ms[2] == T0 + 30000);
    EXPECT(history.calls[0] == 5 && history.calls[1] == 1 && history.calls[2] == 4);
    EXPECT_NEAR(history.p50_ms[0], 0.05, 0.001);
    EXPECT(isnan(history.p50_ms[1]));
    EXPECT_NEAR(history.p99_ms[2], 3, 0.03);
    EXPECT(history.heat[0] == 2);                                 /* Up to 0.1 ms. */
    EXPECT(history.heat[2 * (SERVICES_HEAT_ROWS + 1) + 10] == 4); /* 2.3 to 3.2 ms. */
    EXPECT(services_history(&fake->view, &question, 1, fake->arena, &history, &why) == ERR_INVALID);
    EXPECT(services_history(&fake->view, &question, 0, fake->arena, &history, &why) == ERR_INVALID);
    fake_free(fake);
}

TEST_MAIN
