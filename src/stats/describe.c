/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/describe.h"
#include "base/must.h"
#include "stats/array.h"
#include "stats/distribution.h"
#include "stats/fourier.h"

#include <math.h>

/* ---- Sums. ---- */

/* Neumaier's: what rounding took away is kept beside the sum. */
static double sum_powers(const double *values, size_t count, double centre, bool square)
{
    double sum = 0;
    double lost = 0;

    for (size_t i = 0; i < count; i++) {
        double term = values[i] - centre;
        if (square)
            term *= term;
        double next = sum + term;
        lost += fabs(sum) >= fabs(term) ? (sum - next) + term : (term - next) + sum;
        sum = next;
    }
    return isfinite(lost) ? sum + lost : sum;
}

double describe_mean(const double *values, size_t count)
{
    return count == 0 ? NAN : sum_powers(values, count, 0, false) / (double)count;
}

double describe_variance(const double *values, size_t count)
{
    if (count < 2)
        return NAN;
    return sum_powers(values, count, describe_mean(values, count), true) / (double)(count - 1);
}

/* ---- Order. ---- */

double describe_quantile_sorted(const double *sorted, size_t count, double share)
{
    if (count == 0)
        return NAN;
    double place = share * (double)(count - 1);
    size_t below = (size_t)place;
    if (below + 1 >= count)
        return sorted[count - 1];
    double fraction = place - (double)below;
    if (fraction == 0 || sorted[below] == sorted[below + 1])
        return sorted[below];
    return sorted[below] + fraction * (sorted[below + 1] - sorted[below]);
}

double describe_quantile(const double *values, size_t count, double share)
{
    double *sorted CLEANUP(array_freep) = array_sorted(values, count);

    return describe_quantile_sorted(sorted, count, share);
}

/* Reorders values. */
static double median_of(double *values, size_t count)
{
    if (count == 0)
        return NAN;
    double upper = array_select(values, count, count / 2);
    if (count % 2 == 1)
        return upper;
    double lower = values[0]; /* The largest of those below. */
    for (size_t i = 1; i < count / 2; i++)
        lower = values[i] > lower ? values[i] : lower;
    return lower == upper ? lower : 0.5 * lower + 0.5 * upper;
}

double describe_median(const double *values, size_t count)
{
    double *copy CLEANUP(array_freep) = array_copy(values, count);

    return median_of(copy, count);
}

double describe_mad(const double *values, size_t count)
{
    double *copy CLEANUP(array_freep) = array_copy(values, count);
    double centre = median_of(copy, count);

    for (size_t i = 0; i < count; i++)
        copy[i] = fabs(values[i] - centre);
    return median_of(copy, count);
}

double describe_trimmed_mean(const double *values, size_t count, double share)
{
    double *sorted CLEANUP(array_freep) = array_sorted(values, count);
    size_t cut = (size_t)(share * (double)count);

    return 2 * cut >= count ? NAN : describe_mean(sorted + cut, count - 2 * cut);
}

struct describe describe(const double *values, size_t count)
{
    double *sorted CLEANUP(array_freep) = array_sorted(values, count);

    return (struct describe){
        .count = count,
        .mean = describe_mean(values, count),
        .deviation = sqrt(describe_variance(values, count)),
        .min = count == 0 ? NAN : sorted[0],
        .max = count == 0 ? NAN : sorted[count - 1],
        .median = describe_quantile_sorted(sorted, count, 0.5),
        .mad = describe_mad(values, count),
        .quartile_low = describe_quantile_sorted(sorted, count, 0.25),
        .quartile_high = describe_quantile_sorted(sorted, count, 0.75),
        .effective_count = describe_effective_count(values, count),
    };
}

/* The widest step inwards that keeps the level: the median lies between the k-th smallest and the
 * k-th largest unless fewer than k of n coins fall on one side. */
bool describe_median_interval(const double *values, size_t count, double level,
                              struct interval *ret_interval)
{
    double side = (1 - level) / 2;
    double n = (double)count;
    double start = n / 2 - 5 * sqrt(n);
    size_t k = start < 0 ? 0 : (size_t)start;

    while (2 * (k + 1) <= count && binomial_cdf((double)k, n, 0.5) <= side)
        k++;
    if (k == 0)
        return false;
    double *sorted CLEANUP(array_freep) = array_sorted(values, count);
    *ret_interval = (struct interval){sorted[k - 1], sorted[count - k]};
    return true;
}

/* ---- Correlation in time. ---- */

double describe_autocorrelation(const double *values, size_t count, size_t lag)
{
    double mean = describe_mean(values, count);
    double total = 0;
    double shared = 0;

    if (count < 2 || lag >= count)
        return NAN;
    for (size_t i = 0; i < count; i++) {
        double here = values[i] - mean;
        total += here * here;
        shared += i >= lag ? here * (values[i - lag] - mean) : 0;
    }
    return total > 0 ? shared / total : 0;
}

void describe_autocorrelations(const double *values, size_t count, double *ret_lags,
                               size_t lags_count)
{
    double mean = describe_mean(values, count);
    size_t size = fourier_size(2 * count);
    double *real CLEANUP(array_freep) = array_new(size);
    double *imaginary CLEANUP(array_freep) = array_new(size);

    for (size_t i = 0; i < count; i++)
        real[i] = values[i] - mean;
    fourier(real, imaginary, size);
    for (size_t i = 0; i < size; i++) {
        real[i] = real[i] * real[i] + imaginary[i] * imaginary[i];
        imaginary[i] = 0;
    }
    fourier(real, imaginary, size); /* Twice forward is backward, mirrored and scaled. */
    for (size_t lag = 0; lag < lags_count; lag++)
        ret_lags[lag] = lag >= count ? NAN : real[0] > 0 ? real[lag] / real[0] : 0;
}

double describe_effective_count(const double *values, size_t count)
{
    double sum = 0;

    if (count < 4)
        return (double)count;
    double *lags CLEANUP(array_freep) = array_new(count);
    describe_autocorrelations(values, count, lags, count);
    /* Pairs (0,1), (2,3), ... of a reversible chain are positive and falling. */
    double before = INFINITY;
    for (size_t lag = 0; lag + 1 < count; lag += 2) {
        double pair = fmin(lags[lag] + lags[lag + 1], before);
        if (pair <= 0)
            break;
        sum += pair;
        before = pair;
    }
    double effective = (double)count / fmax(2 * sum - 1, 1);
    return fmax(effective, 1);
}
