/* SPDX-License-Identifier: Apache-2.0 */
/* endurance - does it stay good for long? The same load for long; the verdict looks for what
 * climbs: latency, errors, and for throughput that falls. */
#include "base/clock.h"
#include "load/kind.h"
#include "load/kind_trend.h"

#define SHORT_S 300.0

static enum err shape(struct plan *plan, double level, int64_t length_ns, struct why *why)
{
    return pattern_line(&plan->pattern, level, level, length_ns, why);
}

static void judge(const struct outcome *outcome, struct judgement *judgement)
{
    kind_judge_trends(outcome, judgement);
    if (outcome->duration_s < SHORT_S)
        judgement_note(judgement, NOTE_INFO,
                       "%.0f s are short: what climbs slowly shows in half an hour, which is the "
                       "default, or in a night.",
                       outcome->duration_s);
}

const struct kind kind_endurance = {
    .name = "endurance",
    .summary = "Does it stay good for long? The same load for half an hour, and what climbs.",
    .length_ns = 1800 * CLOCK_NS_PER_S,
    .errors_allowed = 0.01,
    .shape = shape,
    .judge = judge,
};
