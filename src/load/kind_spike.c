/* SPDX-License-Identifier: Apache-2.0 */
/* spike - how does it take a sudden crowd, and when is it itself again? A tenth of the load, all of
 * it, a tenth again. Recovered is the moment from which P95 stays near what it was before. */
#include "base/clock.h"
#include "load/kind.h"

#include <math.h>

#define BASE_SHARE 0.1
/* P95 may be so much above what it was before the spike. */
#define NEAR_FACTOR 1.5
#define NEAR_MS     2.0
#define UNMOVED     1.1 /* No more than this is no change. */

static enum err shape(struct plan *plan, double level, int64_t length_ns, struct why *why)
{
    double base = level * BASE_SHARE;

    return pattern_spike(&plan->pattern, plan->model == MODEL_CLOSED ? ceil(base) : base, level,
                         length_ns, why);
}

static bool is_calm(const struct outcome_point *point, double base_ms)
{
    return !(point->p95_ms > base_ms * NEAR_FACTOR + NEAR_MS) && point->failures == 0;
}

/* The end of the last interval that was not calm, after from_s; from_s when all were. */
static double unrest_until(const struct outcome *outcome, double from_s, double base_ms)
{
    double until_s = from_s;

    for (size_t i = 0; i < outcome->points_count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        if (point->time_s > from_s && point->requests > 0 && !is_calm(point, base_ms))
            until_s = point->time_s;
    }
    return until_s;
}

static void judge(const struct outcome *outcome, struct judgement *judgement)
{
    if (outcome->stages_count < 3 || outcome->stages[0].requests == 0) {
        judgement_note(judgement, NOTE_WARNING,
                       "Too little was measured before or after the spike.");
        return;
    }
    const struct outcome_stage *before = &outcome->stages[0];
    const struct outcome_stage *spike = &outcome->stages[1];
    const struct outcome_stage *after = &outcome->stages[2];
    double base_ms = histogram_at(&before->latency, 0.95) / (double)CLOCK_NS_PER_MS;
    double spike_ms = histogram_at(&spike->latency, 0.95) / (double)CLOCK_NS_PER_MS;
    char before_text[KIND_TEXT_SIZE], spike_text[KIND_TEXT_SIZE];
    double recovery_s = unrest_until(outcome, after->start_s, base_ms) - after->start_s;

    judgement_figure(judgement, "before_p95_ms", "P95 before (ms)", base_ms);
    judgement_figure(judgement, "spike_p95_ms", "P95 in the spike (ms)", spike_ms);
    if (after->start_s + recovery_s >= outcome->duration_s) {
        judgement_note(judgement, NOTE_BAD,
                       "It had not recovered at the end, %.1f s after the spike.",
                       outcome->duration_s - after->start_s);
        return;
    }
    judgement_figure(judgement, "recovery_s", "Recovery (s)", recovery_s);
    kind_ms(before_text, base_ms);
    kind_ms(spike_text, spike_ms);
    if (spike_ms <= base_ms * UNMOVED && recovery_s == 0)
        judgement_note(judgement, NOTE_GOOD,
                       "The spike did not slow it: P95 %s ms before, %s ms in it.", before_text,
                       spike_text);
    else if (recovery_s == 0)
        judgement_note(judgement, NOTE_GOOD,
                       "P95 went from %s ms to %s ms in the spike; it was itself again at once.",
                       before_text, spike_text);
    else
        judgement_note(judgement, NOTE_GOOD,
                       "P95 went from %s ms to %s ms in the spike; it was itself again %.1f s "
                       "after.",
                       before_text, spike_text, recovery_s);
}

const struct kind kind_spike = {
    .name = "spike",
    .summary = "How does it take a sudden crowd, and how soon does it recover?",
    .length_ns = 60 * CLOCK_NS_PER_S,
    .errors_allowed = 0.05,
    .shape = shape,
    .judge = judge,
};
