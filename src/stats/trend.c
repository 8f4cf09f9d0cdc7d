/* SPDX-License-Identifier: Apache-2.0 */
/* Both halves count pairs. Pairs that rise less pairs that fall are counted by a merge sort. The
 * median of all slopes is found the same way, without making them: slopes up to s are the pairs
 * with y_j - s x_j <= y_i - s x_i, so a merge sort of y - s x counts them, and bisecting s over all
 * doubles (array_key) ends at the slope of the wanted rank. Few values just make them all.
 *
 * The test alone is wrong one time in two for a series that wanders. After detrending, the
 * correlation r of neighbours (its bias put back, at most 0.99) multiplies the variance of S by
 * (1 + r) / (1 - r), and Student's t with what is left of the degrees of freedom replaces the
 * normal.
 */
#include "stats/trend.h"
#include "base/must.h"
#include "stats/array.h"
#include "stats/distribution.h"

#include <math.h>
#include <string.h>

#define PAIRS_DIRECT    200000
#define CORRELATION_MAX 0.99
#define INTERVAL_Z      1.959963984540054

/* ---- Counting pairs. ---- */

/* Sorts values; returns the pairs i < j with values[j] <= values[i] (or < with strict). */
static uint64_t count_falling(double *values, double *scratch, size_t count, bool strict)
{
    size_t half = count / 2;
    uint64_t falling;

    if (count < 2)
        return 0;
    falling = count_falling(values, scratch, half, strict) +
              count_falling(values + half, scratch, count - half, strict);
    memcpy(scratch, values, count * sizeof(*values));
    for (size_t i = 0, j = half, at = 0; at < count; at++) {
        bool take_right =
            j < count &&
            (i >= half || (strict ? scratch[j] < scratch[i] : scratch[j] <= scratch[i]));
        if (take_right)
            falling += half - i;
        values[at] = take_right ? scratch[j++] : scratch[i++];
    }
    return falling;
}

struct mann_kendall trend_mann_kendall(const double *y, size_t count)
{
    double *sorted CLEANUP(array_freep) = array_copy(y, count);
    double *scratch CLEANUP(array_freep) = array_new(count);
    double n = (double)count;
    double pairs = n * (n - 1) / 2;
    double tied = 0;
    double tie_variance = 0;
    double fall = (double)count_falling(sorted, scratch, count, true);

    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && sorted[end] == sorted[i];)
            end++;
        double t = (double)(end - i);
        tied += t * (t - 1) / 2;
        tie_variance += t * (t - 1) * (2 * t + 5);
    }
    double s = pairs - tied - 2 * fall;
    return (struct mann_kendall){
        .s = s,
        .tau = pairs > tied ? s / sqrt(pairs * (pairs - tied)) : 0,
        .variance = (n * (n - 1) * (2 * n + 5) - tie_variance) / 18,
    };
}

/* ---- Slopes in order. ---- */

struct slopes {
    double *x; /* From 0, so that s x keeps its digits. */
    const double *y;
    size_t count;
    double *sorted; /* All of them, when few. */
    double *tilted; /* Else two scratch arrays. */
    double *scratch;
};

static void slopes_done(struct slopes *slopes)
{
    array_free(slopes->x);
    array_free(slopes->sorted);
    array_free(slopes->tilted);
    array_free(slopes->scratch);
}

static uint64_t slopes_pairs(const struct slopes *slopes)
{
    return (uint64_t)slopes->count * (slopes->count - 1) / 2;
}

static void slopes_init(struct slopes *slopes, const double *x, const double *y, size_t count)
{
    *slopes = (struct slopes){.x = array_copy(x, count), .y = y, .count = count};
    for (size_t i = 0; i < count; i++)
        slopes->x[i] -= x[0];
    uint64_t pairs = slopes_pairs(slopes);
    if (pairs > PAIRS_DIRECT) {
        slopes->tilted = array_new(count);
        slopes->scratch = array_new(count);
        return;
    }
    slopes->sorted = array_new(pairs);
    size_t at = 0;
    for (size_t j = 1; j < count; j++) {
        for (size_t i = 0; i < j; i++)
            slopes->sorted[at++] = (y[j] - y[i]) / (slopes->x[j] - slopes->x[i]);
    }
    array_sort(slopes->sorted, pairs);
}

/* The slope of that rank, from 0. */
static double slopes_at(struct slopes *slopes, uint64_t rank)
{
    uint64_t low = array_key(-INFINITY) + 1;
    uint64_t high = array_key(INFINITY) - 1;

    if (slopes->sorted != NULL)
        return slopes->sorted[rank];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        double s = array_from_key(middle);
        for (size_t i = 0; i < slopes->count; i++)
            slopes->tilted[i] = fmax(-1e308, fmin(1e308, slopes->y[i] - s * slopes->x[i]));
        if (count_falling(slopes->tilted, slopes->scratch, slopes->count, false) > rank)
            high = middle;
        else
            low = middle + 1;
    }
    return array_from_key(low);
}

static struct trend_line line_of(struct slopes *slopes, const double *x)
{
    uint64_t pairs = slopes_pairs(slopes);
    double slope = slopes_at(slopes, pairs / 2);
    double *rest CLEANUP(array_freep) = array_new(slopes->count);

    if (pairs % 2 == 0)
        slope = 0.5 * slope + 0.5 * slopes_at(slopes, pairs / 2 - 1);
    for (size_t i = 0; i < slopes->count; i++)
        rest[i] = slopes->y[i] - slope * slopes->x[i];
    return (struct trend_line){slope, describe_median(rest, slopes->count) - slope * x[0]};
}

struct trend_line trend_theil_sen(const double *x, const double *y, size_t count)
{
    struct slopes slopes CLEANUP(slopes_done) = {0};

    if (count < 2)
        return (struct trend_line){NAN, NAN};
    slopes_init(&slopes, x, y, count);
    return line_of(&slopes, x);
}

/* ---- The test. ---- */

static double correlation_about(const struct trend_line *line, const double *x, const double *y,
                                size_t count)
{
    double *rest CLEANUP(array_freep) = array_new(count);
    double n = (double)count;

    for (size_t i = 0; i < count; i++)
        rest[i] = y[i] - line->slope * (x[i] - x[0]);
    double r = describe_autocorrelation(rest, count, 1);
    return fmax(0, fmin((n * r + 2) / (n - 4), CORRELATION_MAX));
}

/* Sen's: the slopes as far from the middle rank as S may wander by chance. */
static struct interval slope_interval(struct slopes *slopes, double deviation)
{
    double pairs = (double)slopes_pairs(slopes);
    double reach = fmin(INTERVAL_Z * deviation, pairs);
    double low = fmax(floor((pairs - reach) / 2), 0);
    double high = fmin(ceil((pairs + reach) / 2), pairs - 1);

    return (struct interval){slopes_at(slopes, (uint64_t)low), slopes_at(slopes, (uint64_t)high)};
}

struct trend trend(const double *x, const double *y, size_t count)
{
    struct slopes slopes CLEANUP(slopes_done) = {0};
    struct trend trend = {
        .line = {NAN, NAN}, .slope_interval = {NAN, NAN}, .p = NAN, .effective_count = 0};

    if (count < 5)
        return trend;
    slopes_init(&slopes, x, y, count);
    trend.line = line_of(&slopes, x);
    trend.kendall = trend_mann_kendall(y, count);
    trend.correlation = correlation_about(&trend.line, x, y, count);
    double inflation = (1 + trend.correlation) / (1 - trend.correlation);
    trend.effective_count = (double)count / inflation;
    double deviation = sqrt(trend.kendall.variance * inflation);
    trend.slope_interval = slope_interval(&slopes, deviation);
    trend.enough = count >= TREND_COUNT_MIN && trend.effective_count >= TREND_EFFECTIVE_MIN;
    if (!trend.enough)
        return trend;
    double distance = fmax(fabs(trend.kendall.s) - 1, 0);
    trend.p = deviation > 0
                  ? fmin(1, 2 * student_sf(distance / deviation, trend.effective_count - 2))
                  : 1;
    return trend;
}
