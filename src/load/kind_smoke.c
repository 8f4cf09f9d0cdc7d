/* SPDX-License-Identifier: Apache-2.0 */
/* smoke - does it work at all? The least of load, and not one error. */
#include "base/clock.h"
#include "load/kind.h"

static enum err shape(struct plan *plan, double level, int64_t length_ns, struct why *why)
{
    double least = level < 1 ? level : 1;

    return pattern_line(&plan->pattern, least, least, length_ns, why);
}

static void judge(const struct outcome *outcome, struct judgement *judgement)
{
    if (outcome->total.requests > 0 && outcome->total.failures == 0)
        judgement_note(judgement, NOTE_GOOD, "It works: %llu request%s, no error.",
                       (unsigned long long)outcome->total.requests,
                       str_plural(outcome->total.requests));
}

const struct kind kind_smoke = {
    .name = "smoke",
    .summary = "Does it work at all? One user, no error allowed.",
    .length_ns = 10 * CLOCK_NS_PER_S,
    .errors_allowed = 0,
    .shape = shape,
    .judge = judge,
};
