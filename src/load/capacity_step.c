/* SPDX-License-Identifier: Apache-2.0 */
/* What is under way (arrived and not yet done, wherever it waits) is counted at each interval.
 * While the target keeps up it is level; when it does not, it grows by the difference of both rates
 * each second. So the slope over the rate is the share that is not answered, long before latencies
 * pass any bound, and no answer has to come for it to show. Theil and Sen's slope does not heed a
 * hiccup; Mann and Kendall's test keeps noise from being taken for growth. */
#include "load/capacity_step.h"

#include "base/clock.h"
#include "stats/trend.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define GROWTH_Z         2.33 /* One-sided, 1 %. */
#define GROWTH_LEAST     3.0  /* Requests: less is where in its interval a look falls. */
#define HOPELESS_SHARE   0.85 /* Answered; below, after half of the time, a probe ends. */
#define CONNECTIONS_WAIT 0.5  /* Arrivals that waited for one. */
#define SERVICE_SAME     1.25

enum { COURSE_POINTS_MIN = 5 };

static double milliseconds(double ns)
{
    return ns / (double)CLOCK_NS_PER_MS;
}

static double length_s(const struct outcome *outcome)
{
    return (double)pattern_length_ns(&outcome->plan->pattern) / (double)CLOCK_NS_PER_S;
}

/* Share of the rate that was answered; 1 where nothing says otherwise. */
static double answered_share(const struct capacity_course *course, double rate)
{
    if (course->count < COURSE_POINTS_MIN)
        return 1;
    struct mann_kendall test = trend_mann_kendall(course->under_way, course->count);
    struct trend_line line = trend_theil_sen(course->times_s, course->under_way, course->count);
    double span_s = course->times_s[course->count - 1] - course->times_s[0];

    if (!(test.variance > 0) || test.s < GROWTH_Z * sqrt(test.variance) ||
        line.slope * span_s < GROWTH_LEAST)
        return 1;
    return fmax(0, 1 - line.slope / rate);
}

bool capacity_course_add(struct capacity_course *course, const struct outcome *outcome, double rate,
                         double settle_s)
{
    const struct tally_links *links = &outcome->links;

    if (outcome->points_count == 0 || course->count == CAPACITY_COURSE_MAX)
        return false;
    const struct outcome_point *point = &outcome->points[outcome->points_count - 1];
    /* While connections open and first answers are awaited it has to grow; at the end it falls. */
    if (point->time_s <= settle_s || point->time_s > length_s(outcome))
        return false;
    course->times_s[course->count] = point->time_s;
    course->under_way[course->count++] =
        (double)links->arrivals - (double)links->dropped - (double)links->iterations;
    return point->time_s > length_s(outcome) / 2 && answered_share(course, rate) < HOPELESS_SHARE;
}

bool capacity_is_of_errors(const struct criterion *criterion)
{
    return criterion->measure == MEASURE_ERROR_RATE || criterion->measure == MEASURE_ERRORS;
}

bool capacity_takes(const struct criterion *criterion)
{
    switch (criterion->measure) {
    case MEASURE_RATE:
    case MEASURE_REQUESTS:
    case MEASURE_GOODPUT:
    case MEASURE_TOKEN_RATE:
    case MEASURE_COST:
        return false;
    default:
        return true;
    }
}

bool capacity_is_of_time(const struct criterion *criterion)
{
    return capacity_takes(criterion) && !capacity_is_of_errors(criterion) &&
           criterion->measure != MEASURE_DROPPED;
}

/* ---- What broke it. ---- */

static void broke(struct capacity_step *step, const char *format, ...) PRINTF_LIKE(2, 3);

/* The first reason is told. */
static void broke(struct capacity_step *step, const char *format, ...)
{
    va_list arguments;

    if (step->limit != CAPACITY_LIMIT_NONE)
        return;
    step->limit = CAPACITY_LIMIT_TARGET;
    va_start(arguments, format);
    (void)vsnprintf(step->reason, sizeof(step->reason), format, arguments);
    va_end(arguments);
}

static void judge_criteria(const struct outcome *outcome, const struct criterion *criteria,
                           size_t count, struct capacity_step *step)
{
    for (size_t i = 0; i < count; i++) {
        struct buf text CLEANUP(buf_done) = {0};
        double measured = criterion_measure(&criteria[i], outcome);
        if (criterion_holds(&criteria[i], measured))
            continue;
        criterion_write_value(&criteria[i], measured, &text);
        broke(step, "%.*s: %s", STR_ARG(criteria[i].text), buf_cstr(&text));
    }
}

static void judge_presets(const struct criterion *criteria, size_t count,
                          const struct capacity_rest *rest, struct capacity_step *step)
{
    double bound_ms = fmax(rest->p99_ms * CAPACITY_SLOWER_MOST, CAPACITY_SLOW_LEAST_MS);
    bool of_errors = false, of_time = false;

    for (size_t i = 0; i < count; i++) {
        of_errors = of_errors || capacity_is_of_errors(&criteria[i]);
        of_time = of_time || capacity_is_of_time(&criteria[i]);
    }
    if (!of_errors && step->error_rate >= CAPACITY_ERRORS_MOST)
        broke(step, "%.3g %% errors", step->error_rate * 100);
    if (!of_time && rest->rate > 0 && step->p99_ms > bound_ms)
        broke(step, "P99 %.0f ms, allowed are %.0f ms", step->p99_ms, bound_ms);
}

/* Whose fault was it? */
static void blame(const struct outcome *outcome, const struct capacity_rest *rest,
                  struct capacity_step *step)
{
    const struct tally_links *links = &outcome->links;
    double service_ms = milliseconds(histogram_at(&outcome->total.service, 0.5));

    if (step->limit == CAPACITY_LIMIT_NONE)
        return;
    if (outcome->saturated)
        step->limit = CAPACITY_LIMIT_GENERATOR;
    else if ((double)links->queued.count + (double)links->dropped >
                 (double)links->arrivals * CONNECTIONS_WAIT &&
             rest->rate > 0 && rest->rate < step->rate &&
             service_ms <= rest->service_p50_ms * SERVICE_SAME)
        step->limit = CAPACITY_LIMIT_CONNECTIONS;
}

static void learn_rest(const struct outcome *outcome, const struct capacity_step *step,
                       struct capacity_rest *rest)
{
    if (outcome->total.latency.count == 0 || (rest->rate > 0 && rest->rate <= step->rate))
        return;
    *rest = (struct capacity_rest){
        .rate = step->rate,
        .p99_ms = step->p99_ms,
        .service_p50_ms = milliseconds(histogram_at(&outcome->total.service, 0.5)),
    };
}

void capacity_step_judge(const struct outcome *outcome, const struct capacity_course *course,
                         double rate, const struct criterion *criteria, size_t criteria_count,
                         struct capacity_rest *rest, struct capacity_step *ret_step)
{
    const struct tally *total = &outcome->total;
    struct capacity_step *step = ret_step;

    *step = (struct capacity_step){
        .rate = rate,
        .seconds = outcome->duration_s,
        .answered = answered_share(course, rate),
        .error_rate = outcome_error_rate(outcome),
        .requests = total->requests,
        .p50_ms = milliseconds(histogram_at(&total->latency, 0.5)),
        .p95_ms = milliseconds(histogram_at(&total->latency, 0.95)),
        .p99_ms = milliseconds(histogram_at(&total->latency, 0.99)),
        .connections = outcome->plan->connections / outcome->plan->lanes,
    };
    learn_rest(outcome, step, rest);
    if (total->answers == 0)
        broke(step, "nothing was answered");
    if (step->answered < CAPACITY_ANSWERED_LEAST)
        broke(step, "%.1f %% of the rate was answered", step->answered * 100);
    judge_criteria(outcome, criteria, criteria_count, step);
    judge_presets(criteria, criteria_count, rest, step);
    uint64_t unanswered = outcome->links.dropped + outcome->links.unfinished;
    if (!outcome->interrupted && unanswered > 0)
        broke(step, "%" PRIu64 " request%s never answered", unanswered,
              unanswered == 1 ? " was" : "s were");
    blame(outcome, rest, step);
}

double capacity_step_beyond(const struct capacity_step *step)
{
    double share = step->answered * (1 - step->error_rate);

    if (step->limit != CAPACITY_LIMIT_TARGET || share <= 0 || share >= CAPACITY_ANSWERED_LEAST)
        return NAN;
    return step->rate * share;
}

const char *capacity_limit_name(enum capacity_limit limit)
{
    static const char *const names[] = {"none", "target", "generator", "connections"};

    return names[limit];
}
