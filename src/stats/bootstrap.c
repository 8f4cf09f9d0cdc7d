/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/bootstrap.h"
#include "base/must.h"
#include "stats/array.h"
#include "stats/distribution.h"
#include "stats/random.h"

#include <math.h>
#include <string.h>

struct resampler {
    const struct bootstrap *plan;
    struct random random;
    double *a;
    double *b;
};

double bootstrap_mean(double *a, size_t a_count, double *b, size_t b_count)
{
    (void)b;
    (void)b_count;
    return describe_mean(a, a_count);
}

double bootstrap_median(double *a, size_t a_count, double *b, size_t b_count)
{
    (void)b;
    (void)b_count;
    double upper = array_select(a, a_count, a_count / 2);
    double lower = a_count % 2 == 1 ? upper : array_select(a, a_count, a_count / 2 - 1);
    return 0.5 * lower + 0.5 * upper;
}

double bootstrap_median_change(double *a, size_t a_count, double *b, size_t b_count)
{
    return bootstrap_median(b, b_count, NULL, 0) / bootstrap_median(a, a_count, NULL, 0) - 1;
}

static void draw(struct random *random, const double *from, double *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[random_below(random, count)];
}

static double resampled(struct resampler *resampler)
{
    const struct bootstrap *plan = resampler->plan;

    draw(&resampler->random, plan->a, resampler->a, plan->a_count);
    if (plan->b != NULL)
        draw(&resampler->random, plan->b, resampler->b, plan->b_count);
    return plan->statistic(resampler->a, plan->a_count, resampler->b, plan->b_count);
}

static double observed(struct resampler *resampler)
{
    const struct bootstrap *plan = resampler->plan;

    memcpy(resampler->a, plan->a, plan->a_count * sizeof(double));
    if (plan->b != NULL)
        memcpy(resampler->b, plan->b, plan->b_count * sizeof(double));
    return plan->statistic(resampler->a, plan->a_count, resampler->b, plan->b_count);
}

/* The statistic with value `left_out` of one sample missing. */
static double jackknifed(struct resampler *resampler, bool second, size_t left_out)
{
    const struct bootstrap *plan = resampler->plan;
    const double *from = second ? plan->b : plan->a;
    double *to = second ? resampler->b : resampler->a;
    size_t count = second ? plan->b_count : plan->a_count;

    memcpy(resampler->a, plan->a, plan->a_count * sizeof(double));
    if (plan->b != NULL)
        memcpy(resampler->b, plan->b, plan->b_count * sizeof(double));
    memmove(to + left_out, from + left_out + 1, (count - left_out - 1) * sizeof(double));
    return plan->statistic(resampler->a, plan->a_count - !second, resampler->b,
                           plan->b_count - second);
}

/* Adds one sample's influence values to the sums of squares and cubes. */
static void add_influence(struct resampler *resampler, bool second, double *squares, double *cubes)
{
    size_t count = second ? resampler->plan->b_count : resampler->plan->a_count;
    double *left CLEANUP(array_freep) = array_new(count);
    double n = (double)count;

    for (size_t i = 0; i < count; i++)
        left[i] = jackknifed(resampler, second, i);
    double mean = describe_mean(left, count);
    for (size_t i = 0; i < count; i++) {
        double influence = (n - 1) * (mean - left[i]);
        *squares += influence * influence / (n * n);
        *cubes += influence * influence * influence / (n * n * n);
    }
}

static double acceleration(struct resampler *resampler)
{
    double squares = 0;
    double cubes = 0;

    add_influence(resampler, false, &squares, &cubes);
    if (resampler->plan->b != NULL)
        add_influence(resampler, true, &squares, &cubes);
    return squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
}

static bool read_interval(const double *sorted, size_t count, double at, double level, double skew,
                          struct interval *ret_interval)
{
    size_t below = 0;
    size_t ties = 0;

    for (size_t i = 0; i < count && sorted[i] <= at; i++) {
        below += sorted[i] < at;
        ties += sorted[i] == at;
    }
    double share = ((double)below + 0.5 * (double)ties) / (double)count;
    if (share <= 0 || share >= 1) { /* All on one side: nothing tells the bias. */
        *ret_interval = (struct interval){sorted[0], sorted[count - 1]};
        return true;
    }
    double bias = normal_quantile(share);
    double side = normal_quantile((1 - level) / 2);
    double ends[2];
    for (int i = 0; i < 2; i++) {
        double z = bias + (i == 0 ? side : -side);
        double moved = normal_cdf(bias + z / (1 - skew * z));
        ends[i] = describe_quantile_sorted(sorted, count, moved);
    }
    *ret_interval = (struct interval){ends[0], ends[1]};
    return isfinite(ends[0]) && isfinite(ends[1]);
}

bool bootstrap_interval(const struct bootstrap *bootstrap, struct interval *ret_interval)
{
    size_t resamples = bootstrap->resamples == 0 ? BOOTSTRAP_RESAMPLES : bootstrap->resamples;
    double *a CLEANUP(array_freep) = array_new(bootstrap->a_count);
    double *b CLEANUP(array_freep) = array_new(bootstrap->b_count);
    double *drawn CLEANUP(array_freep) = array_new(resamples);
    struct resampler resampler = {bootstrap, random_begin(bootstrap->seed), a,
                                  bootstrap->b == NULL ? NULL : b};

    if (bootstrap->a_count < 2 || (bootstrap->b != NULL && bootstrap->b_count < 2))
        return false;
    double at = observed(&resampler);
    for (size_t i = 0; i < resamples; i++) {
        drawn[i] = resampled(&resampler);
        if (!isfinite(drawn[i]))
            return false;
    }
    double skew = acceleration(&resampler);
    if (!isfinite(at) || !isfinite(skew))
        return false;
    array_sort(drawn, resamples);
    return read_interval(drawn, resamples, at, bootstrap->level, skew, ret_interval);
}
