/* SPDX-License-Identifier: Apache-2.0 */
/* An interval is added up in one tally and becomes a point of the time line when it ends; totals
 * and steps grow meanwhile. */
#include "load/account.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

enum { POINTS_WANTED = 20, INTERVALS_PER_STAGE = 10 };
#define INTERVAL_MIN_NS (100 * CLOCK_NS_PER_MS)

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL)
        must_memory(count * size);
    return memory;
}

static double milliseconds(double ns)
{
    return ns / (double)CLOCK_NS_PER_MS;
}

static double seconds(int64_t ns)
{
    return (double)ns / (double)CLOCK_NS_PER_S;
}

/* ---- Life. ---- */

static bool has_stages(const struct plan *plan)
{
    return plan->pattern.count > 1 && plan->pattern.count <= OUTCOME_STAGES_MAX;
}

static int64_t interval_of(const struct plan *plan)
{
    int64_t length_ns = pattern_length_ns(&plan->pattern);
    int64_t interval_ns = CLOCK_NS_PER_S;

    for (size_t i = 0; has_stages(plan) && i < plan->pattern.count; i++) {
        int64_t stage_ns = plan->pattern.pieces[i].length_ns / INTERVALS_PER_STAGE;
        if (stage_ns < interval_ns)
            interval_ns = stage_ns;
    }

    if (length_ns / interval_ns < POINTS_WANTED)
        interval_ns = length_ns / POINTS_WANTED;
    if (length_ns / OUTCOME_POINTS_MAX > interval_ns)
        interval_ns = length_ns / OUTCOME_POINTS_MAX + 1;
    return interval_ns < INTERVAL_MIN_NS ? INTERVAL_MIN_NS : interval_ns;
}

static void make_stages(struct outcome *outcome)
{
    const struct plan *plan = outcome->plan;

    if (!has_stages(plan))
        return;
    outcome->stages = zeroed(plan->pattern.count, sizeof(struct outcome_stage));
    outcome->stages_count = plan->pattern.count;
    for (size_t i = 0; i < plan->pattern.count; i++) {
        const struct pattern_piece *piece = &plan->pattern.pieces[i];
        outcome->stages[i].start_s = seconds(piece->start_ns);
        outcome->stages[i].length_s = seconds(piece->length_ns);
        outcome->stages[i].level = (piece->from + piece->to) / 2;
    }
}

void account_open(struct account *account, const struct plan *plan, struct outcome *ret_outcome)
{
    ret_outcome->plan = plan;
    ret_outcome->steps = zeroed(plan->steps_count, sizeof(struct tally));
    ret_outcome->points = zeroed(OUTCOME_POINTS_MAX, sizeof(struct outcome_point));
    make_stages(ret_outcome);
    *account =
        (struct account){.plan = plan, .outcome = ret_outcome, .interval_ns = interval_of(plan)};
    account->interval = zeroed(1, sizeof(struct tally));
    if (plan->has_streams) {
        ret_outcome->streams = zeroed(1, sizeof(struct stream_tally));
        ret_outcome->step_streams = zeroed(plan->steps_count, sizeof(struct stream_tally));
        account->streams_interval = zeroed(1, sizeof(struct stream_tally));
    }
}

void account_close(struct account *account)
{
    free(account->interval);
    free(account->streams_interval);
    *account = (struct account){0};
}

/* ---- An interval. ---- */

void account_add(struct account *account, size_t step, const struct tally *tally,
                 const struct stream_tally *streams)
{
    MUST(step < account->plan->steps_count);
    tally_merge(account->interval, tally);
    tally_merge(&account->outcome->steps[step], tally);
    if (streams != NULL && account->streams_interval != NULL) {
        stream_tally_merge(account->streams_interval, streams);
        stream_tally_merge(&account->outcome->step_streams[step], streams);
    }
}

static void add_streams(const struct account *account, struct outcome_point *point)
{
    const struct stream_tally *tally = account->streams_interval;

    if (tally == NULL)
        return;
    point->streams = tally->streams;
    point->good = tally->good;
    point->tokens_out = tally->tokens_out;
    point->ttft_p50_ms = milliseconds(histogram_at(&tally->ttft, 0.5));
    point->ttft_p95_ms = milliseconds(histogram_at(&tally->ttft, 0.95));
}

static void add_point(struct account *account, int64_t until_ns)
{
    struct outcome *outcome = account->outcome;
    const struct tally *tally = account->interval;
    int64_t length_ns = until_ns - account->point_ns;

    if (outcome->points_count == OUTCOME_POINTS_MAX)
        return;
    outcome->points[outcome->points_count++] = (struct outcome_point){
        .time_s = seconds(until_ns),
        .length_s = seconds(length_ns),
        .requests = tally->requests,
        .failures = tally->failures,
        .answers = tally->answers,
        .bytes_in = tally->bytes_in,
        .p50_ms = milliseconds(histogram_at(&tally->latency, 0.5)),
        .p95_ms = milliseconds(histogram_at(&tally->latency, 0.95)),
        .p99_ms = milliseconds(histogram_at(&tally->latency, 0.99)),
        .max_ms = tally->latency.count == 0 ? NAN : milliseconds((double)tally->latency.max_ns),
        .level = pattern_level(&account->plan->pattern, until_ns - length_ns / 2),
        .users = outcome->links.users_active,
        .backlog = outcome->links.backlog,
    };
    add_streams(account, &outcome->points[outcome->points_count - 1]);
}

/* Counts the interval for the stage it lies in; the first of a stage still sees the one before. */
static void add_to_stage(struct account *account, int64_t until_ns)
{
    struct outcome *outcome = account->outcome;
    const struct tally *tally = account->interval;
    double from_s = seconds(account->point_ns);
    double to_s = seconds(until_ns);
    double settle_s = seconds(account->interval_ns) / 2;

    for (size_t i = 0; i < outcome->stages_count; i++) {
        struct outcome_stage *stage = &outcome->stages[i];
        double middle_s = (from_s + to_s) / 2;
        if (middle_s >= stage->start_s + stage->length_s || middle_s < stage->start_s)
            continue;
        if (from_s < stage->start_s + settle_s)
            return;
        stage->seconds += to_s - from_s;
        stage->requests += tally->requests;
        stage->answers += tally->answers;
        stage->failures += tally->failures;
        histogram_merge(&stage->latency, &tally->latency);
        return;
    }
}

void account_end_interval(struct account *account, int64_t until_ns)
{
    struct outcome *outcome = account->outcome;
    int64_t measured_ns = until_ns - account->plan->warmup_ns;

    outcome->elapsed_s = measured_ns < 0 ? 0 : seconds(measured_ns);
    tally_merge(&outcome->total, account->interval);
    if (outcome->streams != NULL)
        stream_tally_merge(outcome->streams, account->streams_interval);
    add_to_stage(account, until_ns);
    add_point(account, until_ns);
    account->point_ns = until_ns;
    tally_clear(account->interval);
    if (account->streams_interval != NULL)
        memset(account->streams_interval, 0, sizeof(*account->streams_interval));
}
