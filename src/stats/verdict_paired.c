/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics that are judged by their pairs and those that are not are two families of tests. Each has
 * the share of alpha that its number is of all, so that together they raise no more false alarms
 * than one: its adjusted p values are multiplied by the inverse of that share. What is constant is
 * no test in either.
 *
 * A wandering machine leaves little in the ratios of neighbours, but not nothing: they are asked
 * for their resemblance like any series, and p is averaged over what is believed of it. */
#include "stats/verdict_paired.h"
#include "base/must.h"
#include "stats/array.h"
#include "stats/distribution.h"
#include "stats/paired.h"
#include "stats/verdict_priv.h"

#include <math.h>
#include <stdlib.h>

#define INTERVAL_LEVEL 0.95

/* ---- Which metrics. ---- */

static bool varies(const struct verdict_input *input)
{
    const double *any = input->before_count > 0 ? input->before : input->after;

    for (size_t i = 0; i < input->before_count; i++) {
        if (input->before[i] != *any)
            return true;
    }
    for (size_t i = 0; i < input->after_count; i++) {
        if (input->after[i] != *any)
            return true;
    }
    return false;
}

/* A ratio to nothing is none, and of a metric that can be 0 the machine's speed is no factor. */
static bool has_ratios(const struct verdict_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        if (!(pairs->before[i] > 0) || !(pairs->after[i] > 0))
            return false;
    }
    return true;
}

struct families {
    bool *paired;
    size_t paired_count;
    double tests; /* Metrics that vary. */
    double paired_tests;
};

static struct families divide(const struct verdict_input *inputs, const struct verdict_pairs *pairs,
                              size_t count)
{
    struct families families = {.paired = calloc(count + 1, sizeof(bool))};

    if (families.paired == NULL)
        must_memory(count + 1);
    for (size_t i = 0; i < count; i++)
        families.tests += varies(&inputs[i]);
    for (size_t i = 0; i < count; i++) {
        if (paired_p_min(pairs[i].count) * fmax(families.tests, 1) > inputs[i].options.alpha ||
            !has_ratios(&pairs[i]))
            continue;
        families.paired[i] = true;
        families.paired_count++;
        families.paired_tests += varies(&inputs[i]);
    }
    return families;
}

/* ---- Without pairs. ---- */

static void judge_unpaired(const struct verdict_input *inputs, const struct families *families,
                           size_t count, struct verdict *verdicts)
{
    double tests = families->tests - families->paired_tests;
    double share = families->tests > 0 && tests > 0 ? tests / families->tests : 1;
    size_t left = count - families->paired_count;
    struct verdict_input *chosen = calloc(left + 1, sizeof(*chosen));
    struct verdict *judged = calloc(left + 1, sizeof(*judged));
    size_t at = 0;

    if (chosen == NULL || judged == NULL)
        must_memory((left + 1) * (sizeof(*chosen) + sizeof(*judged)));
    for (size_t i = 0; i < count; i++) {
        if (families->paired[i])
            continue;
        chosen[at] = inputs[i];
        chosen[at++].options.alpha *= share;
    }
    verdict_judge_all(chosen, left, judged);
    for (size_t i = count; i-- > 0;) {
        if (families->paired[i])
            continue;
        verdicts[i] = judged[--at];
        verdicts[i].p_adjusted = fmin(1, verdicts[i].p_adjusted / share);
    }
    free(chosen);
    free(judged);
}

/* ---- With pairs. ---- */

static double *ratios_of(const struct verdict_pairs *pairs)
{
    double *ratios = array_new(pairs->count);

    for (size_t i = 0; i < pairs->count; i++)
        ratios[i] = log(pairs->after[i]) - log(pairs->before[i]);
    return ratios;
}

/* Of a single run, but for what it shares with its neighbour. */
static double noise_of(const double *ratios, size_t count)
{
    return verdict_scatter(ratios, count) / M_SQRT2;
}

/* For each correlation of neighbours, how likely so large a mean ratio is by chance. A second
 * sample of nothing but zeros makes the distance of two means that of one from 0: it adds no
 * scatter, and what it adds to the certainty of the mean is taken back by its degrees of freedom,
 * but for the tails of Student's t, which are put right. */
static void distances_of(const double *ratios, size_t count, double ret_p[RESEMBLANCE_COUNT])
{
    double *zeros CLEANUP(array_freep) = array_new(count);
    double freedom = (double)count - 1;

    resemblance_distance(ratios, count, zeros, count, ret_p);
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++) {
        if (ret_p[k] > 0)
            ret_p[k] = 2 * student_sf(-student_quantile(ret_p[k] / 2, 2 * freedom), freedom);
    }
}

/* Averaged over what is believed of the ratios' resemblance; never less than ranks say. */
static double timed_p(const struct signed_rank *test, const double *ratios, size_t count,
                      const struct resemblance *belief)
{
    double distances[RESEMBLANCE_COUNT];
    double p = 0;

    if (belief->weight[0] >= 1)
        return test->p;
    distances_of(ratios, count, distances);
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++) {
        if (belief->weight[k] > 0)
            p += belief->weight[k] * (k == 0 ? test->p : fmax(test->p, distances[k]));
    }
    return fmin(p, 1);
}

static void measure(const struct verdict_input *input, const double *ratios, size_t count,
                    const struct resemblance *belief, struct verdict *verdict)
{
    const struct verdict_options *options = &input->options;
    struct signed_rank test = paired_signed_rank(ratios, count, COMPARE_AUTO);
    struct shift shift = paired_shift(ratios, count, INTERVAL_LEVEL);

    *verdict = verdict_judge(input); /* Medians and hills are those of the sides. */
    verdict->pairs = count;
    verdict->by_means = false;
    verdict->inflation = resemblance_inflation(belief);
    double widen = sqrt(verdict->inflation);
    verdict->change = verdict->shift = expm1(shift.shift);
    verdict->change_interval.low = expm1(shift.shift - widen * (shift.shift - shift.interval.low));
    verdict->change_interval.high =
        expm1(shift.shift + widen * (shift.interval.high - shift.shift));
    verdict->p = timed_p(&test, ratios, count, belief);
    verdict->p_min = paired_p_min(count);
    verdict->cliff = test.dominance;
    verdict->method = verdict->inflation > 1 ? COMPARE_NORMAL : test.method;
    verdict->noise = noise_of(ratios, count);
    double noise = verdict->noise * widen;
    double needed =
        noise > 0 ? compare_runs_needed(options->threshold, noise, options->alpha, VERDICT_POWER)
                  : VERDICT_COUNT_MIN;
    verdict->more_runs = fmax(needed - (double)count, 0);
}

static void judge_pairs(const struct verdict_input *inputs, const struct verdict_pairs *pairs,
                        const struct families *families, size_t count, struct verdict *verdicts)
{
    struct resemblance *seen = calloc(count + 1, sizeof(*seen));
    double **ratios = calloc(count + 1, sizeof(*ratios));
    double *p CLEANUP(array_freep) = array_new(count);
    double *adjusted CLEANUP(array_freep) = array_new(count);

    if (seen == NULL || ratios == NULL)
        must_memory((count + 1) * (sizeof(*seen) + sizeof(*ratios)));
    for (size_t i = 0; i < count; i++) {
        if (!families->paired[i])
            continue;
        ratios[i] = ratios_of(&pairs[i]);
        seen[i] = resemblance_of(ratios[i], pairs[i].count, NULL, 0);
    }
    struct resemblance prior = resemblance_learn(seen, count);
    for (size_t i = 0; i < count; i++) {
        p[i] = NAN;
        if (!families->paired[i])
            continue;
        struct resemblance belief = resemblance_believe(&prior, &seen[i]);
        measure(&inputs[i], ratios[i], pairs[i].count, &belief, &verdicts[i]);
        p[i] = varies(&inputs[i]) ? verdicts[i].p : NAN;
        array_free(ratios[i]);
    }
    free(seen);
    free(ratios);
    compare_adjust(p, count, adjusted);
    for (size_t i = 0; i < count; i++) {
        if (!families->paired[i])
            continue;
        verdicts[i].p_adjusted =
            isnan(adjusted[i]) ? verdicts[i].p
                               : fmin(1, adjusted[i] * families->tests / families->paired_tests);
        verdict_decide(&inputs[i].options, &verdicts[i]);
    }
}

void verdict_judge_paired(const struct verdict_input *inputs, const struct verdict_pairs *pairs,
                          size_t count, struct verdict *ret_verdicts)
{
    struct families families = divide(inputs, pairs, count);

    judge_unpaired(inputs, &families, count, ret_verdicts);
    judge_pairs(inputs, pairs, &families, count, ret_verdicts);
    free(families.paired);
}
