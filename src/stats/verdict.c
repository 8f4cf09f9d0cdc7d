/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/verdict.h"
#include "stats/array.h"
#include "stats/distribution.h"
#include "stats/verdict_priv.h"

#include <math.h>
#include <stdlib.h>

#define DIP_P_MAX      0.01
#define DIP_COUNT_MIN  10
#define MORE_RUNS_MAX  10000 /* Nobody will make more. */
#define INTERVAL_LEVEL 0.95

static const char *const kind_names[VERDICT_KIND_COUNT] = {"cannot tell", "stable", "improved",
                                                           "degraded"};
static const char *const severity_names[VERDICT_SEVERITY_COUNT] = {"info", "warning", "critical"};

const char *verdict_kind_name(enum verdict_kind kind)
{
    MUST((unsigned)kind < VERDICT_KIND_COUNT);
    return kind_names[kind];
}

const char *verdict_severity_name(enum verdict_severity severity)
{
    MUST((unsigned)severity < VERDICT_SEVERITY_COUNT);
    return severity_names[severity];
}

/* ---- Measuring. ---- */

/* A growth from nothing is infinite, no growth from nothing is none. */
static double relative(double difference, double base)
{
    if (difference == 0)
        return 0;
    return base == 0 ? copysign(INFINITY, difference) : difference / fabs(base);
}

/* Values on a coarse grid have gaps that are no valleys: most must differ. */
static bool has_many_hills(const double *values, size_t count)
{
    if (count < DIP_COUNT_MIN)
        return false;
    double *sorted CLEANUP(array_freep) = array_sorted(values, count);
    size_t distinct = 1;
    for (size_t i = 1; i < count; i++)
        distinct += sorted[i] != sorted[i - 1];
    return 2 * distinct > count && describe_dip(values, count).p <= DIP_P_MAX;
}

double verdict_scatter(const double *values, size_t count)
{
    double robust = DESCRIBE_MAD_SCALE * describe_mad(values, count);

    /* More than half the runs equal: the rest still scatters. */
    return robust > 0 ? robust : sqrt(fmax(describe_variance(values, count), 0));
}

/* Runs still missing on each side to see a change of the threshold, at the scatter seen. */
static double runs_missing(const struct verdict_input *input, const struct verdict *verdict)
{
    size_t have =
        input->before_count < input->after_count ? input->before_count : input->after_count;
    double noise = verdict->noise * sqrt(verdict->inflation);
    double needed = noise > 0 && isfinite(noise)
                        ? compare_runs_needed(input->options.threshold, noise, input->options.alpha,
                                              VERDICT_POWER)
                        : VERDICT_COUNT_MIN;
    return fmax(needed - (double)have, 0);
}

/* Where most runs are equal (no errors, no faults) medians are blind to how often the others
 * happen; means are not. */
static void measure_means(const struct verdict_input *input, struct verdict *verdict)
{
    const double *a = input->before;
    const double *b = input->after;
    double a_mean = describe_mean(a, input->before_count);
    double difference = describe_mean(b, input->after_count) - a_mean;
    double reach = normal_quantile((1 + INTERVAL_LEVEL) / 2) * sqrt(verdict->inflation) *
                   sqrt(describe_variance(a, input->before_count) / (double)input->before_count +
                        describe_variance(b, input->after_count) / (double)input->after_count);

    verdict->by_means = true;
    verdict->change = verdict->shift = relative(difference, a_mean);
    verdict->change_interval = (struct interval){relative(difference - reach, a_mean),
                                                 relative(difference + reach, a_mean)};
}

static struct verdict measure(const struct verdict_input *input, const struct resemblance *belief)
{
    const double *a = input->before;
    const double *b = input->after;
    size_t a_count = input->before_count;
    size_t b_count = input->after_count;
    struct verdict verdict = {.before = describe_median(a, a_count),
                              .after = describe_median(b, b_count),
                              .p_min = compare_p_min(a_count, b_count)};
    struct mann_whitney test = compare_mann_whitney_timed(a, a_count, b, b_count, belief);
    struct shift shift = compare_shift(a, a_count, b, b_count, INTERVAL_LEVEL);

    verdict.inflation = resemblance_inflation(belief);
    double widen = sqrt(verdict.inflation);
    verdict.change = relative(verdict.after - verdict.before, verdict.before);
    verdict.shift = relative(shift.shift, verdict.before);
    verdict.change_interval.low =
        relative(shift.shift - widen * (shift.shift - shift.interval.low), verdict.before);
    verdict.change_interval.high =
        relative(shift.shift + widen * (shift.interval.high - shift.shift), verdict.before);
    verdict.p = verdict.p_adjusted = test.p;
    verdict.cliff = test.cliff;
    verdict.method = test.method;
    if (shift.shift == 0 && test.cliff != 0 && a_count > 1 && b_count > 1)
        measure_means(input, &verdict);
    verdict.noise = fmax(relative(verdict_scatter(a, a_count), verdict.before),
                         relative(verdict_scatter(b, b_count), verdict.after));
    verdict.before_many_hills = has_many_hills(a, a_count);
    verdict.after_many_hills = has_many_hills(b, b_count);
    verdict.more_runs = runs_missing(input, &verdict);
    return verdict;
}

/* ---- Deciding. ---- */

void verdict_decide(const struct verdict_options *options, struct verdict *verdict)
{
    double size = fabs(verdict->shift);
    bool unlikely = verdict->p_adjusted <= options->alpha;
    bool excluded = verdict->change_interval.low > -options->threshold &&
                    verdict->change_interval.high < options->threshold;

    verdict->kind = VERDICT_CANNOT_TELL;
    verdict->severity = VERDICT_INFO;
    if (unlikely && size >= options->min_change && fabs(verdict->cliff) >= options->min_cliff) {
        bool better = (verdict->shift > 0) == options->higher_is_better;
        verdict->kind = better ? VERDICT_IMPROVED : VERDICT_DEGRADED;
        verdict->reason = VERDICT_REASON_CHANGED;
        verdict->severity = size >= 2 * options->threshold ? VERDICT_CRITICAL
                            : size >= options->threshold   ? VERDICT_WARNING
                                                           : VERDICT_INFO;
    } else if (excluded) {
        verdict->kind = VERDICT_STABLE;
        verdict->reason = unlikely ? VERDICT_REASON_SMALL : VERDICT_REASON_EXCLUDED;
    } else {
        verdict->reason = verdict->inflation > 2 ? VERDICT_REASON_CORRELATED : VERDICT_REASON_NOISE;
    }
}

void verdict_judge_all(const struct verdict_input *inputs, size_t count,
                       struct verdict *ret_verdicts)
{
    double *p CLEANUP(array_freep) = array_new(count);
    double *adjusted CLEANUP(array_freep) = array_new(count);
    struct resemblance *seen = calloc(count == 0 ? 1 : count, sizeof(*seen));

    if (seen == NULL)
        must_memory(count * sizeof(*seen));
    for (size_t i = 0; i < count; i++)
        seen[i] = resemblance_of(inputs[i].before, inputs[i].before_count, inputs[i].after,
                                 inputs[i].after_count);
    struct resemblance prior = resemblance_learn(seen, count);
    for (size_t i = 0; i < count; i++) {
        struct resemblance belief = resemblance_believe(&prior, &seen[i]);
        ret_verdicts[i] = measure(&inputs[i], &belief);
        /* What is the same constant on both sides is no test, and makes no other one dearer. */
        bool constant = ret_verdicts[i].noise == 0 && ret_verdicts[i].shift == 0;
        p[i] = constant ? NAN : ret_verdicts[i].p;
    }
    free(seen);
    compare_adjust(p, count, adjusted);
    for (size_t i = 0; i < count; i++) {
        const struct verdict_input *input = &inputs[i];
        bool enough = input->before_count >= VERDICT_COUNT_MIN &&
                      input->after_count >= VERDICT_COUNT_MIN &&
                      ret_verdicts[i].p_min <= input->options.alpha;
        ret_verdicts[i].p_adjusted = isnan(adjusted[i]) ? ret_verdicts[i].p : adjusted[i];
        verdict_decide(&input->options, &ret_verdicts[i]);
        if (enough)
            continue;
        ret_verdicts[i].kind = VERDICT_CANNOT_TELL;
        ret_verdicts[i].severity = VERDICT_INFO;
        ret_verdicts[i].reason = VERDICT_REASON_FEW;
    }
}

struct verdict verdict_judge(const struct verdict_input *input)
{
    struct verdict verdict;

    verdict_judge_all(input, 1, &verdict);
    return verdict;
}

void verdict_write_reason(const struct verdict *verdict, const struct verdict_options *options,
                          struct buf *out)
{
    double percent = options->threshold * 100;

    switch (verdict->reason) {
    case VERDICT_REASON_CHANGED:
        buf_printf(out, "p=%.3f, Cliff's delta %+.2f", verdict->p_adjusted, verdict->cliff);
        break;
    case VERDICT_REASON_SMALL:
        buf_printf(out, "a change, but below what matters (%.3g %%)", options->min_change * 100);
        break;
    case VERDICT_REASON_EXCLUDED:
        buf_printf(out, "a change of %.3g %% is ruled out", percent);
        break;
    case VERDICT_REASON_FEW:
        buf_printf(out, "need >= %d samples of each", VERDICT_COUNT_MIN);
        break;
    case VERDICT_REASON_CORRELATED:
        buf_printf(out, "runs resemble their neighbours: %.3g of them say as much as one",
                   verdict->inflation);
        break;
    case VERDICT_REASON_NOISE:
        if (isfinite(verdict->noise))
            buf_printf(out, "noise of %.3g %%", verdict->noise * 100);
        else
            buf_text(out, "values scatter about 0, of which nothing is a share");
        break;
    }
    if (verdict->kind != VERDICT_CANNOT_TELL || verdict->reason != VERDICT_REASON_NOISE)
        return;
    if (verdict->more_runs > 0 && verdict->more_runs <= MORE_RUNS_MAX)
        buf_printf(out, "; needs %.0f more run%s to see %.3g %%", verdict->more_runs,
                   verdict->more_runs == 1 ? "" : "s", percent);
    else if (verdict->more_runs == 0 && isfinite(verdict->change_interval.low) &&
             isfinite(verdict->change_interval.high)) /* Single wild runs, not the usual noise. */
        buf_printf(out, "; anything from %+.3g to %+.3g %% is left open",
                   verdict->change_interval.low * 100, verdict->change_interval.high * 100);
}
