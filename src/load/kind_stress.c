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
    size_t steps = STEPS;

    if (plan->model == MODEL_OPEN)
        return pattern_steps(&plan->pattern, level / STEPS, level, STEPS, length_ns, why);
    if (level < STEPS) /* There are no parts of users. */
        steps = level < 1 ? 1 : (size_t)level;
    for (size_t i = 1; i <= steps; i++) {
        double users = round(level * (double)i / (double)steps);
        TRY(pattern_line(&plan->pattern, users, users, length_ns / (int64_t)steps, why));
    }
    return ERR_NONE;
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
    char level[KIND_TEXT_SIZE], rate[KIND_TEXT_SIZE], p95[KIND_TEXT_SIZE];

    judgement_figure(judgement, "knee_level", "Knee, load", stage->level);
    judgement_figure(judgement, "knee_rate", "Knee, requests a second", rate_of(stage));
    judgement_figure(judgement, "knee_p95_ms", "Knee, P95 (ms)",
                     milliseconds(histogram_at(&stage->latency, 0.95)));
    judgement_note(judgement, NOTE_INFO,
                   "The knee is at %s %s: %s requests a second with a P95 of %s ms.",
                   kind_rate(level, stage->level), unit, kind_rate(rate, rate_of(stage)),
                   kind_ms(p95, milliseconds(histogram_at(&stage->latency, 0.95))));
}

static void judge_open(const struct outcome *outcome, struct judgement *judgement)
{
    const struct outcome_stage *first = &outcome->stages[0];
    char level[KIND_TEXT_SIZE], rate[KIND_TEXT_SIZE], p95[KIND_TEXT_SIZE];
    size_t kept = 0;

    while (kept < outcome->stages_count && is_kept(first, &outcome->stages[kept]))
        kept++;
    if (kept == 0) {
        judgement_note(judgement, NOTE_BAD,
                       "Already the first step, %s a second, is more than it can answer.",
                       kind_rate(level, first->level));
        return;
    }
    if (kept == outcome->stages_count) {
        judgement_note(judgement, NOTE_GOOD,
                       "It never broke: all of %s a second was answered. Ask for more to find "
                       "the knee.",
                       kind_rate(level, outcome->stages[kept - 1].level));
        return;
    }
    tell_knee(judgement, &outcome->stages[kept - 1], "requests a second");
    const struct outcome_stage *broken = &outcome->stages[kept];
    judgement_note(
        judgement, NOTE_INFO, "At %s a second it answered %s, P95 %s ms, %.2f %% errors.",
        kind_rate(level, broken->level), kind_rate(rate, rate_of(broken)),
        kind_ms(p95, milliseconds(histogram_at(&broken->latency, 0.95))),
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
