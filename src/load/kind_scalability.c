/* SPDX-License-Identifier: Apache-2.0 */
/* scalability - what do more users bring? Steps of 1, 2, 4 … users, each as long as the others; the
 * laws of Amdahl and Gunther say what holds it back and how many are best. Closed model only: the
 * laws speak of concurrency. */
#include "base/clock.h"
#include "load/kind.h"
#include "load/scaling.h"

#include <math.h>

#define SHARE_LEAST 0.001
#define FIT_LEAST   0.8 /* A poorer fit is told, not believed. */

static enum err shape(struct plan *plan, double level, int64_t length_ns, struct why *why)
{
    size_t steps = 1;

    if (plan->model == MODEL_OPEN)
        return fail(why, ERR_INVALID,
                    "a scalability test counts users: give --connections, not --rate");
    for (double users = 1; users < level; users *= 2)
        steps++;
    double users = 1;
    for (size_t i = 0; i < steps; i++, users *= 2) {
        double kept = users > level ? level : users;
        TRY(pattern_line(&plan->pattern, kept, kept, length_ns / (int64_t)steps, why));
    }
    return ERR_NONE;
}

static void tell_law(const struct scaling *law, struct judgement *judgement)
{
    bool queues = law->sigma >= SHARE_LEAST;
    bool agrees = law->kappa >= SHARE_LEAST / 100;

    if (!queues && !agrees)
        judgement_note(judgement, NOTE_INFO,
                       "Users do not get in each other's way: no queue and no price of agreeing "
                       "was seen.");
    if (queues)
        judgement_note(judgement, NOTE_INFO, "%.1f %% of the work queues for something common.",
                       law->sigma * 100);
    if (agrees)
        judgement_note(judgement, NOTE_INFO, "Each pair of users costs %.2g %% to agree.",
                       law->kappa * 100);
}

static void judge_law(const struct scaling *law, const double *users, const double *rates,
                      size_t count, struct judgement *judgement)
{
    char rate[KIND_TEXT_SIZE], most[KIND_TEXT_SIZE];
    size_t best = 0;

    for (size_t i = 1; i < count; i++) {
        if (rates[i] > rates[best])
            best = i;
    }
    judgement_figure(judgement, "usl_lambda", "One user alone (requests a second)", law->lambda);
    judgement_figure(judgement, "usl_sigma", "Contention (sigma)", law->sigma);
    judgement_figure(judgement, "usl_kappa", "Coherency (kappa)", law->kappa);
    judgement_figure(judgement, "usl_r2", "Fit of the law (R²)", law->r2);
    double ideal = scaling_best(law);
    if (law->r2 < FIT_LEAST) {
        judgement_note(judgement, NOTE_WARNING,
                       "The law fits poorly (R² %.2f); the best step measured was %.4g users with "
                       "%s requests a second.",
                       law->r2, users[best], kind_rate(rate, rates[best]));
    } else if (ideal <= users[count - 1] * 2) {
        judgement_figure(judgement, "best_users", "Best concurrency", ideal);
        judgement_note(judgement, NOTE_INFO,
                       "Best at about %.0f users: %s requests a second by the law. More users make "
                       "it slower. Of the steps, %.4g users did most: %s.",
                       fmax(1, ideal), kind_rate(rate, scaling_at(law, fmax(1, ideal))),
                       users[best], kind_rate(most, rates[best]));
    } else {
        judgement_note(judgement, NOTE_INFO,
                       "Throughput does not fall within what was tried: %s requests a second at "
                       "%.4g users.",
                       kind_rate(rate, rates[best]), users[best]);
    }
    if (law->r2 >= FIT_LEAST)
        tell_law(law, judgement);
}

static void judge(const struct outcome *outcome, struct judgement *judgement)
{
    double users[OUTCOME_STAGES_MAX] = {0};
    double rates[OUTCOME_STAGES_MAX] = {0};
    struct scaling usl, amdahl;
    size_t count = 0;

    for (size_t i = 0; i < outcome->stages_count; i++) {
        const struct outcome_stage *stage = &outcome->stages[i];
        if (stage->answers == 0 || stage->seconds <= 0)
            continue;
        users[count] = stage->level;
        rates[count++] = (double)stage->answers / stage->seconds;
    }
    if (!scaling_fit_usl(users, rates, count, &usl)) {
        judgement_note(judgement, NOTE_WARNING,
                       "Too few steps to fit a law: allow at least %d, as with 8 connections.",
                       SCALING_POINTS_MIN);
        return;
    }
    judge_law(&usl, users, rates, count, judgement);
    if (scaling_fit_amdahl(users, rates, count, &amdahl) && amdahl.sigma > 0) {
        judgement_figure(judgement, "amdahl_serial", "Serial share (Amdahl)", amdahl.sigma);
        judgement_figure(judgement, "amdahl_limit", "Amdahl's limit (requests a second)",
                         amdahl.lambda / amdahl.sigma);
    }
}

const struct kind kind_scalability = {
    .name = "scalability",
    .summary = "What do more users bring? Steps of 1, 2, 4 …, and the laws behind.",
    .length_ns = 60 * CLOCK_NS_PER_S,
    .errors_allowed = 0.05,
    .shape = shape,
    .judge = judge,
};
