/* SPDX-License-Identifier: Apache-2.0 */
/* volume - how does it take much data? All of the load all the time; the verdict speaks of bytes
 * and of what a request of this size costs as more and more are stored. */
#include "base/clock.h"
#include "load/kind.h"
#include "load/kind_trend.h"

#define SMALL_BYTES 10240.0 /* Below, it is requests that are tried, not volume. */

static enum err shape(struct plan *plan, double level, int64_t length_ns, struct why *why)
{
    return pattern_line(&plan->pattern, level, level, length_ns, why);
}

static void judge(const struct outcome *outcome, struct judgement *judgement)
{
    double seconds = outcome->duration_s;
    double in = (double)outcome->total.bytes_in / 1e6;
    double out = (double)outcome->total.bytes_out / 1e6;

    if (seconds <= 0)
        return;
    judgement_figure(judgement, "received_mb_per_s", "Received (MB/s)", in / seconds);
    judgement_figure(judgement, "sent_mb_per_s", "Sent (MB/s)", out / seconds);
    judgement_note(judgement, NOTE_INFO, "%.1f MB received (%.2f MB/s), %.1f MB sent (%.2f MB/s).",
                   in, in / seconds, out, out / seconds);
    if (outcome->total.requests > 0 &&
        (in + out) * 1e6 / (double)outcome->total.requests < SMALL_BYTES)
        judgement_note(judgement, NOTE_INFO,
                       "That is %.0f bytes for each request and its answer: to try volume, send "
                       "much (--body-file) or ask for what is large.",
                       (in + out) * 1e6 / (double)outcome->total.requests);
    kind_judge_trends(outcome, judgement);
}

const struct kind kind_volume = {
    .name = "volume",
    .summary = "How does it take much data? The whole load all the time, told in bytes.",
    .length_ns = 60 * CLOCK_NS_PER_S,
    .errors_allowed = 0.01,
    .shape = shape,
    .judge = judge,
};
