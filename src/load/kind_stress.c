/* SPDX-License-Identifier: Apache-2.0 */
/* stress - where does it break? Ten steps up to the level, and the knee between them.
 *
 * In the open model a step is kept when what was asked for was answered, without errors, and not
 * much slower than at the first step. In the closed model users wait for answers, so demand never
 * outruns supply; there the knee is where throughput bends away from growing with the users. */
#include "base/clock.h"
#include "load/kind.h"
#include "load/scaling.h"

#include <math.h>

enum { STEPS = 10 };

#define ANSWERED_LEAST  0.95
#define SLOWER_ALLOWED  3.0
#define SLOWER_LEAST_MS 5.0
#define ERRORS_ALLOWED  0.01

static enum err shape(struct plan *plan, double level, int64_t length_ns, struct why *why)
{
    return pattern_steps(&plan->pattern, level / STEPS, level, STEPS, length_ns, why);
}

static double milliseconds(double ns)
{
    return ns / (double)CLOCK_NS_PER_MS;
}

static double rate_of(const struct outcome_stage *stage)
{
    return stage->seconds > 0 ? (double)stage->requests / stage->seconds : 0;
}

static bool is_kept(const struct outcome_stage *first, const struct outcome_stage *stage)
{
    double base_ms = milliseconds(histogram_at(&first->latency, 0.95));
    double p95_ms = milliseconds(histogram_at(&stage->latency, 0.95));

    return rate_of(stage) >= stage->level * ANSWERED_LEAST &&
           (double)stage->failures <= (double)stage->requests * ERRORS_ALLOWED &&
           (p95_ms <= base_ms * SLOWER_ALLOWED || p95_ms - base_ms <= SLOWER_LEAST_MS);
}

static void tell_knee(struct judgement *judgement, const struct outcome_stage *stage,
                      const char *unit)
{
    judgement_figure(judgement, "knee_level", "Knee, load", stage->level);
    judgement_figure(judgement, "knee_rate", "Knee, requests a second", rate_of(stage));
    judgement_figure(judgement, "knee_p95_ms", "Knee, P95 (ms)",
                     milliseconds(histogram_at(&stage->latency, 0.95)));
    judgement_note(judgement, NOTE_INFO,
                   "The knee is at %.4g %s: %.5g requests a second with a P95 of %.1f ms.",
                   stage->level, unit, rate_of(stage),
                   milliseconds(histogram_at(&stage->latency, 0.95)));
}

static void judge_open(const struct outcome *outcome, struct judgement *judgement)
{
    const struct outcome_stage *first = &outcome->stages[0];
    size_t kept = 0;

    while (kept < outcome->stages_count && is_kept(first, &outcome->stages[kept]))
        kept++;
    if (kept == 0) {
        judgement_note(judgement, NOTE_BAD,
                       "Already the first step, %.4g a second, is more than it can answer.",
                       first->level);
        return;
    }
    if (kept == outcome->stages_count) {
        judgement_note(judgement, NOTE_GOOD,
                       "It never broke: all of %.4g a second was answered. Ask for more to find "
                       "the knee.",
                       outcome->stages[kept - 1].level);
        return;
    }
    tell_knee(judgement, &outcome->stages[kept - 1], "requests a second");
    const struct outcome_stage *broken = &outcome->stages[kept];
    judgement_note(
        judgement, NOTE_INFO, "At %.4g a second it answered %.5g, P95 %.1f ms, %.2f %% errors.",
        broken->level, rate_of(broken), milliseconds(histogram_at(&broken->latency, 0.95)),
        broken->requests == 0 ? 0 : 100 * (double)broken->failures / (double)broken->requests);
}

static void judge_closed(const struct outcome *outcome, struct judgement *judgement)
{
    double users[OUTCOME_STAGES_MAX], rates[OUTCOME_STAGES_MAX];

    for (size_t i = 0; i < outcome->stages_count; i++) {
        users[i] = outcome->stages[i].level;
        rates[i] = rate_of(&outcome->stages[i]);
    }
    size_t knee = scaling_knee(users, rates, outcome->stages_count);
    if (knee == outcome->stages_count)
        judgement_note(judgement, NOTE_INFO,
                       "No knee: throughput grew with the users up to %.4g. Ask for more.",
                       users[outcome->stages_count - 1]);
    else
        tell_knee(judgement, &outcome->stages[knee], "users");
}

static void judge(const struct outcome *outcome, struct judgement *judgement)
{
    if (outcome->stages_count < 2 || outcome->stages[0].requests == 0) {
        judgement_note(judgement, NOTE_WARNING, "Too little was measured to find a knee.");
        return;
    }
    if (outcome->plan->model == MODEL_OPEN)
        judge_open(outcome, judgement);
    else
        judge_closed(outcome, judgement);
}

const struct kind kind_stress = {
    .name = "stress",
    .summary = "Where does it break? Ten steps up, and the knee between them.",
    .length_ns = 60 * CLOCK_NS_PER_S,
    .errors_allowed = 1, /* Breaking is what it is for. */
    .shape = shape,
    .judge = judge,
};
