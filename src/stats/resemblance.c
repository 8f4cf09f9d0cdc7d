/* SPDX-License-Identifier: Apache-2.0 */
/* The model is a series in which each value leans on the one before, AR(1): correlation r of
 * neighbours, r^d at a distance of d. Its likelihood with mean and scatter unknown has a closed
 * form (the restricted one, which the estimate of the mean does not bias):
 *
 *     -1/2 log |R| - 1/2 log 1'S1 - (n-1)/2 log(x'Sx - (1'Sx)^2 / 1'S1),   S = R^-1, R_ij = r^|i-j|
 *
 * where R's determinant and inverse need only five sums over the values. One wild run is no
 * correlation, but would hide it, so values are first clipped to the median and four scaled MADs.
 *
 * A single estimate of r from thirty runs is off by a tenth and more, and whoever tests with it as
 * if it were known is wrong just where it came out too small. So all of it is kept, and p values
 * are averaged over it (compare_timed). What is believed beforehand counts for much there; it is
 * learnt from all metrics of a comparison together (empirical Bayes, the mixing distribution by
 * expectation and maximization), what is usual counting as one metric more: runs are as likely
 * independent as not, and if not, weak resemblance is likelier than strong.
 *
 * Where r is given, the difference of two means over its error is exactly Student's t with n - 2
 * degrees of freedom (generalized least squares): each value, less r times the one before, is a
 * fresh look at the scatter, however few independent looks at the mean there are.
 *
 * The same on the ranks of all values together (Conover and Iman 1981) is a rank test for such a
 * series: neither tails nor hills make it err. As in the rank test of independent runs, scatter is
 * that about the common mean, of n - 1 degrees, which holds the false alarms down where the memory
 * is not quite that of the model. Nothing is taken from the degrees of freedom for the resemblance:
 * that would see 69 instead of 84 of 100 shifts of 5 % in 30 + 30 runs that scatter by 3 % with
 * r = 0.6, where who knew r would see 91 (bench/noise.py). */
#include "stats/resemblance.h"
#include "stats/array.h"
#include "stats/describe.h"
#include "stats/distribution.h"

#include <math.h>

#define CLIP_MADS    4
#define COUNT_MIN    16  /* Of both samples; fewer tell next to nothing of resemblance. */
#define INDEPENDENT  0.5 /* Of what is usual. */
#define FALLING      3   /* The rest falls as (1 - r) to this power. */
#define USUAL_WEIGHT 1   /* Of what is usual, in metrics. */
#define ROUNDS       30  /* Of expectation and maximization. */
#define NEGLIGIBLE   1e-12

static double correlation_at(size_t k)
{
    return (double)k / RESEMBLANCE_COUNT;
}

double resemblance_inflation_at(size_t k)
{
    double r = correlation_at(k);

    return (1 + r) / (1 - r);
}

struct sums {
    double centre;
    double square;  /* Of all values about the middle. */
    double product; /* Of neighbours. */
    double total;   /* Of the values. */
    double end;     /* The first and the last, added. */
    double end_square;
};

static struct sums sums_of(const double *values, size_t count)
{
    double centre = describe_median(values, count);
    double reach = CLIP_MADS * DESCRIBE_MAD_SCALE * describe_mad(values, count);
    struct sums sums = {.centre = centre};
    double before = 0;

    for (size_t i = 0; i < count; i++) {
        double here = values[i] - centre;
        if (reach > 0)
            here = fmax(-reach, fmin(reach, here));
        if (i == 0 || i + 1 == count) {
            sums.end += here;
            sums.end_square += here * here;
        }
        sums.square += here * here;
        sums.product += here * before;
        sums.total += here;
        before = here;
    }
    return sums;
}

/* Of values that need no clipping. */
static struct sums sums_of_ranks(const double *ranks, size_t count)
{
    struct sums sums = {.end = ranks[0] + ranks[count - 1],
                        .end_square = ranks[0] * ranks[0] + ranks[count - 1] * ranks[count - 1]};

    for (size_t i = 0; i < count; i++) {
        sums.square += ranks[i] * ranks[i];
        sums.product += i > 0 ? ranks[i] * ranks[i - 1] : 0;
        sums.total += ranks[i];
    }
    return sums;
}

/* A sample seen under one correlation, in units of the series' variance. */
struct fit {
    double above; /* The best guess of the mean, less the middle. */
    double ones;  /* 1'S1: what the sample says of the mean, in independent values. */
    double rest;  /* What the best guess leaves unexplained: its square, by S. */
};

static struct fit fit_at(const struct sums *sums, size_t count, double r)
{
    double n = (double)count;
    double square =
        ((1 + r * r) * sums->square - r * r * sums->end_square - 2 * r * sums->product) /
        (1 - r * r);
    double total = ((1 - r) * sums->total + r * sums->end) / (1 + r);
    double ones = (n - (n - 2) * r) / (1 + r);

    return (struct fit){total / ones, ones, square - total * total / ones};
}

/* Adds to the logarithms; false when the sample says nothing. */
static bool add_sample(const double *values, size_t count, double logs[RESEMBLANCE_COUNT])
{
    double added[RESEMBLANCE_COUNT];
    double n = (double)count;

    if (count < 3)
        return false;
    struct sums sums = sums_of(values, count);
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++) {
        double r = correlation_at(k);
        struct fit fit = fit_at(&sums, count, r);
        if (!(fit.rest > 0) || !isfinite(fit.rest))
            return false; /* Constant. */
        added[k] = -0.5 * ((n - 1) * (log(1 - r * r) + log(fit.rest)) + log(fit.ones));
    }
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++)
        logs[k] += added[k];
    return true;
}

void resemblance_distance(const double *a, size_t a_count, const double *b, size_t b_count,
                          double ret_p[RESEMBLANCE_COUNT])
{
    bool enough = a_count >= 2 && b_count >= 2;
    struct sums a_sums = enough ? sums_of(a, a_count) : (struct sums){0};
    struct sums b_sums = enough ? sums_of(b, b_count) : (struct sums){0};
    double freedom = (double)(a_count + b_count) - 2;

    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++) {
        ret_p[k] = NAN;
        if (!enough)
            continue;
        struct fit a_fit = fit_at(&a_sums, a_count, correlation_at(k));
        struct fit b_fit = fit_at(&b_sums, b_count, correlation_at(k));
        double variance = (a_fit.rest + b_fit.rest) / freedom;
        double difference = b_sums.centre + b_fit.above - a_sums.centre - a_fit.above;
        double t = difference / sqrt(variance * (1 / a_fit.ones + 1 / b_fit.ones));
        if (variance > 0 && isfinite(t))
            ret_p[k] = 2 * student_sf(fabs(t), freedom);
    }
}

static size_t count_below(const double *sorted, size_t count, double value, bool or_equal)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sorted[middle] < value || (or_equal && sorted[middle] == value))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of each value among those of both samples, about 0; ties share the middle. Returns a's, then b's;
 * the caller frees them. */
static double *ranks_of(const double *a, size_t a_count, const double *b, size_t b_count)
{
    size_t all = a_count + b_count;
    double *sorted CLEANUP(array_freep) = array_new(all);
    double *ranks = array_new(all);

    for (size_t i = 0; i < all; i++)
        sorted[i] = i < a_count ? a[i] : b[i - a_count];
    array_sort(sorted, all);
    for (size_t i = 0; i < all; i++) {
        double value = i < a_count ? a[i] : b[i - a_count];
        size_t below = count_below(sorted, all, value, false);
        size_t up_to = count_below(sorted, all, value, true);
        ranks[i] = 0.5 * ((double)below + (double)up_to - (double)all);
    }
    return ranks;
}

void resemblance_rank_distance(const double *a, size_t a_count, const double *b, size_t b_count,
                               double ret_p[RESEMBLANCE_COUNT])
{
    bool enough = a_count >= 2 && b_count >= 2;
    double *ranks CLEANUP(array_freep) = ranks_of(a, a_count, b, b_count);
    struct sums a_sums = enough ? sums_of_ranks(ranks, a_count) : (struct sums){0};
    struct sums b_sums = enough ? sums_of_ranks(ranks + a_count, b_count) : (struct sums){0};
    double all = (double)(a_count + b_count);

    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++) {
        ret_p[k] = NAN;
        if (!enough)
            continue;
        struct fit a_fit = fit_at(&a_sums, a_count, correlation_at(k));
        struct fit b_fit = fit_at(&b_sums, b_count, correlation_at(k));
        double difference = b_fit.above - a_fit.above;
        double error = 1 / a_fit.ones + 1 / b_fit.ones;
        double rest = a_fit.rest + b_fit.rest + difference * difference / error;
        double z = difference / sqrt(rest / (all - 1) * error);
        if (isfinite(z))
            ret_p[k] = 2 * student_sf(fabs(z), all - 2);
    }
}

struct resemblance resemblance_of(const double *a, size_t a_count, const double *b, size_t b_count)
{
    struct resemblance likelihood = {.known = false};
    double logs[RESEMBLANCE_COUNT] = {0};
    double most = -INFINITY;

    if (a_count + b_count >= COUNT_MIN) {
        bool a_known = add_sample(a, a_count, logs);
        bool b_known = add_sample(b, b_count, logs);
        likelihood.known = a_known || b_known;
    }
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++)
        most = fmax(most, logs[k]);
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++)
        likelihood.weight[k] = exp(logs[k] - most);
    return likelihood;
}

static struct resemblance usual(void)
{
    struct resemblance prior = {.known = true};
    double sum = 0;

    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++) {
        prior.weight[k] = pow(1 - correlation_at(k), FALLING);
        sum += prior.weight[k];
    }
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++)
        prior.weight[k] *= (1 - INDEPENDENT) / sum;
    prior.weight[0] += INDEPENDENT;
    return prior;
}

struct resemblance resemblance_believe(const struct resemblance *prior,
                                       const struct resemblance *likelihood)
{
    struct resemblance belief = {.known = likelihood->known};
    double sum = 0;

    if (!likelihood->known) {
        belief.weight[0] = 1;
        return belief;
    }
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++) {
        belief.weight[k] = prior->weight[k] * likelihood->weight[k];
        sum += belief.weight[k];
    }
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++)
        belief.weight[k] = belief.weight[k] < NEGLIGIBLE * sum ? 0 : belief.weight[k] / sum;
    return belief;
}

struct resemblance resemblance_learn(const struct resemblance *likelihoods, size_t count)
{
    const struct resemblance base = usual();
    struct resemblance prior = base;

    for (int round = 0; round < ROUNDS; round++) {
        struct resemblance next = base;
        double metrics = USUAL_WEIGHT;
        for (size_t k = 0; k < RESEMBLANCE_COUNT; k++)
            next.weight[k] *= USUAL_WEIGHT;
        for (size_t i = 0; i < count; i++) {
            if (!likelihoods[i].known)
                continue;
            struct resemblance belief = resemblance_believe(&prior, &likelihoods[i]);
            for (size_t k = 0; k < RESEMBLANCE_COUNT; k++)
                next.weight[k] += belief.weight[k];
            metrics += 1;
        }
        for (size_t k = 0; k < RESEMBLANCE_COUNT; k++)
            next.weight[k] /= metrics;
        prior = next;
    }
    return prior;
}

double resemblance_inflation(const struct resemblance *belief)
{
    double sum = 0;

    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++) {
        sum += belief->weight[k];
        if (sum >= 0.5)
            return resemblance_inflation_at(k);
    }
    return 1; /* Rounding; weights add up to 1. */
}
