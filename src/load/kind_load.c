/* SPDX-License-Identifier: Apache-2.0 */
/* load - is it good at the expected load? Up in a tenth of the time, then steadily. The verdict
 * asks whether it stays as it is: the second half of the steady part against the first. */
#include "base/clock.h"
#include "load/kind.h"
#include "stats/describe.h"

#include <math.h>
#include <stdlib.h>

/* The second half may be so much slower. */
#define GROWTH_ALLOWED  1.25
#define GROWTH_LEAST_MS 1.0

static enum err shape(struct plan *plan, double level, int64_t length_ns, struct why *why)
{
    int64_t up_ns = length_ns / 10;

    TRY(pattern_line(&plan->pattern, 0, level, up_ns, why));
    return pattern_line(&plan->pattern, level, level, length_ns - up_ns, why);
}

/* The median of the points' p95 in a part of the time; NAN without any. */
static double typical_p95(const struct outcome *outcome, double from_s, double to_s)
{
    double *values = calloc(outcome->points_count + 1, sizeof(*values));
    size_t count = 0;

    if (values == NULL)
        must_memory(outcome->points_count * sizeof(*values));
    for (size_t i = 0; i < outcome->points_count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        if (point->time_s > from_s && point->time_s <= to_s && !isnan(point->p95_ms))
            values[count++] = point->p95_ms;
    }
    double typical = count == 0 ? NAN : describe_median(values, count);
    free(values);
    return typical;
}

static void judge(const struct outcome *outcome, struct judgement *judgement)
{
    double length_s = outcome->duration_s;
    double first = typical_p95(outcome, length_s * 0.15, length_s * 0.55);
    double second = typical_p95(outcome, length_s * 0.55, length_s);

    if (isnan(first) || isnan(second)) {
        judgement_note(judgement, NOTE_WARNING,
                       "Too short to say whether it stays as it is; run it for longer.");
        return;
    }
    judgement_figure(judgement, "p95_first_half_ms", "P95, first half (ms)", first);
    judgement_figure(judgement, "p95_second_half_ms", "P95, second half (ms)", second);
    if (second > first * GROWTH_ALLOWED && second - first > GROWTH_LEAST_MS)
        judgement_note(judgement, NOTE_BAD,
                       "It does not hold this load: P95 went from %.1f ms to %.1f ms while the "
                       "load stayed the same.",
                       first, second);
    else
        judgement_note(judgement, NOTE_GOOD, "It holds this load: P95 %.1f ms, then %.1f ms.",
                       first, second);
}

const struct kind kind_load = {
    .name = "load",
    .summary = "Is it good at the expected load? Up in a tenth of the time, then steadily.",
    .length_ns = 60 * CLOCK_NS_PER_S,
    .errors_allowed = 0.01,
    .shape = shape,
    .judge = judge,
};
