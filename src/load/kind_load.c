/* SPDX-License-Identifier: Apache-2.0 */
/* load - is it good at the expected load? Up in a tenth of the time, then steadily. The verdict
 * asks whether it stays as it is: the second half of the steady part against the first. */
#include "base/clock.h"
#include "load/kind.h"
#include "stats/compare.h"
#include "stats/describe.h"
#include "stats/trend.h"

#include <math.h>
#include <stdlib.h>

/* The second half may be so much slower. */
#define GROWTH_ALLOWED  1.25
#define GROWTH_LEAST_MS 1.0
#define P_LEAST         0.025 /* Of either test: 5 % in all. */
/* The steady part, as shares of the run. */
#define SETTLED 0.15
#define MIDDLE  0.55

static enum err shape(struct plan *plan, double level, int64_t length_ns, struct why *why)
{
    int64_t up_ns = length_ns / 10;

    TRY(pattern_line(&plan->pattern, 0, level, up_ns, why));
    return pattern_line(&plan->pattern, level, level, length_ns - up_ns, why);
}

/* The points' p95 in a part of the time, in its order; returns how many. */
static size_t p95_values(const struct outcome *outcome, double from_s, double to_s,
                         double *ret_values)
{
    size_t count = 0;

    for (size_t i = 0; i < outcome->points_count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        if (point->time_s > from_s && point->time_s <= to_s && !isnan(point->p95_ms))
            ret_values[count++] = point->p95_ms;
    }
    return count;
}

/* Their median; NAN without any. */
static double typical_p95(const struct outcome *outcome, double from_s, double to_s)
{
    double *values = calloc(outcome->points_count + 1, sizeof(*values));

    if (values == NULL)
        must_memory(outcome->points_count * sizeof(*values));
    size_t count = p95_values(outcome, from_s, to_s, values);
    double typical = count == 0 ? NAN : describe_median(values, count);
    free(values);
    return typical;
}

/* The chance of such a difference where there is none; neighbours that resemble each other count
 * for less. */
static double chance_of(const double *first, size_t first_count, const double *second,
                        size_t second_count)
{
    struct mann_whitney test =
        compare_mann_whitney(first, first_count, second, second_count, COMPARE_AUTO);
    double count = (double)(first_count + second_count);
    double effective = describe_effective_count(first, first_count) +
                       describe_effective_count(second, second_count);

    return compare_inflate(test, first_count + second_count, fmax(1, count / effective)).p;
}

static double chance_of_creeping(const double *values, size_t count)
{
    double *times = calloc(count + 1, sizeof(*times));

    if (times == NULL)
        must_memory(count * sizeof(*times));
    for (size_t i = 0; i < count; i++)
        times[i] = (double)i;
    struct trend found = trend(times, values, count);
    free(times);
    return found.enough && found.line.slope > 0 ? found.p : 1;
}

/* Is it worse in the second half, and more than its intervals scatter by themselves? */
static void judge_halves(const struct outcome *outcome, double first, double second,
                         struct judgement *judgement)
{
    double *values = calloc(2 * outcome->points_count + 2, sizeof(*values));
    double length_s = outcome->duration_s;
    char before[KIND_TEXT_SIZE], after[KIND_TEXT_SIZE];

    if (values == NULL)
        must_memory(2 * outcome->points_count * sizeof(*values));
    double *later = values + outcome->points_count + 1;
    size_t count = p95_values(outcome, length_s * SETTLED, length_s * MIDDLE, values);
    size_t later_count = p95_values(outcome, length_s * MIDDLE, length_s, later);
    bool is_worse = second > first * GROWTH_ALLOWED && second - first > GROWTH_LEAST_MS;
    double p = 1;
    if (is_worse) { /* By a step, or creeping all the time. */
        p = chance_of(values, count, later, later_count);
        memmove(values + count, later, later_count * sizeof(*values));
        p = fmin(p, chance_of_creeping(values, count + later_count));
    }
    kind_ms(before, first);
    kind_ms(after, second);
    if (is_worse && p < P_LEAST)
        judgement_note(judgement, NOTE_BAD,
                       "It does not hold this load: P95 went from %s ms to %s ms while the "
                       "load stayed the same.",
                       before, after);
    else if (is_worse)
        judgement_note(judgement, NOTE_WARNING,
                       "P95 went from %s ms to %s ms while the load stayed the same, but "
                       "intervals scatter so much that this may be chance (p = %.2g). Run it for "
                       "longer.",
                       before, after, p);
    else
        judgement_note(judgement, NOTE_GOOD, "It holds this load: P95 %s ms, then %s ms.", before,
                       after);
    free(values);
}

static void judge(const struct outcome *outcome, struct judgement *judgement)
{
    double length_s = outcome->duration_s;
    double first = typical_p95(outcome, length_s * SETTLED, length_s * MIDDLE);
    double second = typical_p95(outcome, length_s * MIDDLE, length_s);

    if (isnan(first) || isnan(second)) {
        judgement_note(judgement, NOTE_WARNING,
                       "Too short to say whether it stays as it is; run it for longer.");
        return;
    }
    judgement_figure(judgement, "p95_first_half_ms", "P95, first half (ms)", first);
    judgement_figure(judgement, "p95_second_half_ms", "P95, second half (ms)", second);
    judge_halves(outcome, first, second, judgement);
}

const struct kind kind_load = {
    .name = "load",
    .summary = "Is it good at the expected load? Up in a tenth of the time, then steadily.",
    .length_ns = 60 * CLOCK_NS_PER_S,
    .errors_allowed = 0.01,
    .shape = shape,
    .judge = judge,
};
