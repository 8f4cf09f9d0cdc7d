/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a period: less its slope and its wild values, a series that repeats resembles itself one
 * period later more than at the lags around it. The first such hill of the autocorrelation counts,
 * unless a later one is clearly higher (half of a lopsided day also resembles the other half). The
 * hill must stand above what a series without season shows by chance, and the second period must
 * resemble, too.
 *
 * Decomposing: a running mean over exactly one period holds no season and is a first trend (carried
 * on straight at both ends); the median of what is left in each phase is the season; what is left
 * without it, clipped and smoothed, is the trend proper.
 *
 * Forecasting: the parameters are found by trying a coarse grid and then halving steps around the
 * best; errors of one-step forecasts decide. */
#include "stats/season.h"
#include "base/must.h"
#include "stats/array.h"
#include "stats/distribution.h"
#include "stats/trend.h"

#include <math.h>

#define PERIODS_MIN       3
#define STRENGTH_MIN      0.25
#define STRENGTH_CHANCE   3.0  /* Standard errors. */
#define LATER_MUST_BE     1.15 /* Times as high as the first hill. */
#define DETREND_COUNT_MAX 2000 /* Values that suffice to know the slope. */
#define CLIP_MADS         5
#define CLIP_WIDTH_MAX    25

/* ---- Period. ---- */

static void detrend(const double *values, size_t count, double *ret_rest)
{
    size_t step = count / DETREND_COUNT_MAX + 1;
    size_t kept = (count + step - 1) / step;
    double *x CLEANUP(array_freep) = array_new(kept);
    double *y CLEANUP(array_freep) = array_new(kept);

    for (size_t i = 0; i < kept; i++) {
        x[i] = (double)(i * step);
        y[i] = values[i * step];
    }
    struct trend_line line = trend_theil_sen(x, y, kept);
    for (size_t i = 0; i < count; i++)
        ret_rest[i] = values[i] - line.intercept - line.slope * (double)i;
    double reach = CLIP_MADS * DESCRIBE_MAD_SCALE * describe_mad(ret_rest, count);
    for (size_t i = 0; i < count && reach > 0; i++)
        ret_rest[i] = fmax(-reach, fmin(reach, ret_rest[i]));
}

/* Is lag the top of a hill that spans a fair part of it? */
static bool is_hill(const double *lags, size_t lag, size_t lags_count)
{
    size_t reach = lag / 4 < 1 ? 1 : lag / 4;

    for (size_t off = 1; off <= reach; off++) {
        if (lags[lag - off] > lags[lag])
            return false;
        if (lag + off < lags_count && lags[lag + off] > lags[lag])
            return false;
    }
    return true;
}

size_t season_period(const double *values, size_t count, double *ret_strength)
{
    size_t lags_count = count / PERIODS_MIN + 1;
    size_t period = 0;
    double strength = 0;

    if (ret_strength != NULL)
        *ret_strength = 0;
    if (count < 4 * PERIODS_MIN)
        return 0;
    double *rest CLEANUP(array_freep) = array_new(count);
    double *lags CLEANUP(array_freep) = array_new(2 * lags_count);
    detrend(values, count, rest);
    describe_autocorrelations(rest, count, lags, 2 * lags_count);
    double chance = STRENGTH_CHANCE / sqrt((double)count);
    double lowest = 1;
    for (size_t lag = 1; lag < lags_count; lag++) {
        lowest = fmin(lowest, lags[lag]);
        /* A later lag has fewer pairs: what it would show with all of them. */
        double fair = lags[lag] * (double)count / (double)(count - lag);
        bool repeats = lags[2 * lag] > chance;
        if (lag < 2 || fair < fmax(STRENGTH_MIN, chance) || fair - lowest < STRENGTH_MIN ||
            !repeats || !is_hill(lags, lag, 2 * lags_count))
            continue;
        if (period == 0 || fair > LATER_MUST_BE * strength) {
            period = lag;
            strength = fair;
        }
    }
    if (ret_strength != NULL)
        *ret_strength = fmin(strength, 1);
    return period;
}

/* ---- Decomposition. ---- */

/* The mean over a window of `width` around each value; an even width weighs its two ends half. With
 * whole, places too near an end for a full window stay NAN; without, their window shrinks. */
static void running_mean(const double *values, size_t count, size_t width, bool whole,
                         double *ret_means)
{
    double *sums CLEANUP(array_freep) = array_new(count + 1);
    size_t half = width / 2;

    for (size_t i = 0; i < count; i++)
        sums[i + 1] = sums[i] + values[i];
    for (size_t i = 0; i < count; i++) {
        size_t room = i < count - 1 - i ? i : count - 1 - i;
        size_t reach = half < room ? half : room;
        double sum = sums[i + reach + 1] - sums[i - reach];
        double weight = (double)(2 * reach + 1);
        if (width % 2 == 0 && reach == half) {
            sum -= 0.5 * (values[i - reach] + values[i + reach]);
            weight -= 1;
        }
        ret_means[i] = whole && room < half ? NAN : sum / weight;
    }
}

/* Fills the NAN at both ends straight on, by the slope over the nearest `reach` places. */
static void carry_on(double *means, size_t count, size_t gap, size_t reach)
{
    size_t first = gap;
    size_t last = count - 1 - gap;
    size_t span = last - first < reach ? last - first : reach;
    double head = span == 0 ? 0 : (means[first + span] - means[first]) / (double)span;
    double tail = span == 0 ? 0 : (means[last] - means[last - span]) / (double)span;

    for (size_t i = 0; i < gap; i++) {
        means[first - 1 - i] = means[first] - head * (double)(i + 1);
        means[last + 1 + i] = means[last] + tail * (double)(i + 1);
    }
}

/* Medians of what is left in each phase, together 0. */
static void phase_medians(const double *values, const double *trend, size_t count, size_t period,
                          double *ret_season)
{
    double *phase CLEANUP(array_freep) = array_new(count / period + 1);
    double sum = 0;

    for (size_t k = 0; k < period; k++) {
        size_t found = 0;
        for (size_t i = k; i < count; i += period)
            phase[found++] = values[i] - trend[i];
        ret_season[k] = describe_median(phase, found);
        sum += ret_season[k];
    }
    for (size_t k = 0; k < period; k++)
        ret_season[k] -= sum / (double)period;
    for (size_t i = period; i < count; i++)
        ret_season[i] = ret_season[i - period];
}

/* Holds values to the running median of a short window: a wild one must not bend the trend. */
static void clip_wild(double *values, size_t count, size_t width)
{
    double *middle CLEANUP(array_freep) = array_new(count);
    double *off CLEANUP(array_freep) = array_new(count);
    size_t half = (width < CLIP_WIDTH_MAX ? width : CLIP_WIDTH_MAX) / 2;

    for (size_t i = 0; i < count; i++) {
        size_t low = i < half ? 0 : i - half;
        size_t high = i + half + 1 < count ? i + half + 1 : count;
        middle[i] = describe_median(values + low, high - low);
        off[i] = fabs(values[i] - middle[i]);
    }
    double reach = CLIP_MADS * DESCRIBE_MAD_SCALE * describe_median(off, count);
    for (size_t i = 0; i < count && reach > 0; i++)
        values[i] = fmax(middle[i] - reach, fmin(middle[i] + reach, values[i]));
}

void season_decompose(const double *values, size_t count, size_t period, double *ret_trend,
                      double *ret_season, double *ret_rest)
{
    bool seasonal = period >= 2 && period <= count / 2;
    size_t width = seasonal ? period : count / 10 + 3;
    double *bare CLEANUP(array_freep) = array_copy(values, count);

    for (size_t i = 0; i < count; i++)
        ret_season[i] = 0;
    if (seasonal) {
        running_mean(values, count, period, true, ret_trend);
        carry_on(ret_trend, count, period / 2, period);
        phase_medians(values, ret_trend, count, period, ret_season);
        for (size_t i = 0; i < count; i++)
            bare[i] = values[i] - ret_season[i];
        clip_wild(bare, count, width);
        running_mean(bare, count, width | 1, false, ret_trend);
        phase_medians(values, ret_trend, count, period, ret_season);
    } else {
        clip_wild(bare, count, width);
        running_mean(bare, count, width | 1, false, ret_trend);
    }
    for (size_t i = 0; i < count; i++)
        ret_rest[i] = values[i] - ret_trend[i] - ret_season[i];
}

/* ---- Forecast. ---- */

enum weight { ALPHA, BETA, GAMMA, PHI, WEIGHTS_COUNT };

static const double weight_low[WEIGHTS_COUNT] = {0.01, 0, 0, 0.8};
static const double weight_high[WEIGHTS_COUNT] = {0.99, 0.5, 0.6, 1};
static const double weight_step[WEIGHTS_COUNT] = {0.2, 0.1, 0.15, 0.05};

struct smoother {
    const double *values;
    size_t count;
    size_t period;       /* 0: no season. */
    double level, trend; /* At the start. */
    double *season;      /* At the start: one period. */
    double *now;         /* The season as it goes on. */
    double end_level, end_trend;
};

/* Goes through the series; the mean square of one-step errors. */
static double run(struct smoother *smoother, const double weights[WEIGHTS_COUNT])
{
    double level = smoother->level;
    double trend = smoother->trend;
    double squares = 0;

    for (size_t k = 0; k < smoother->period; k++)
        smoother->now[k] = smoother->season[k];
    for (size_t i = 0; i < smoother->count; i++) {
        double *season = smoother->period == 0 ? NULL : &smoother->now[i % smoother->period];
        double expected = level + weights[PHI] * trend;
        double error = smoother->values[i] - expected - (season == NULL ? 0 : *season);
        squares += error * error;
        /* The form by errors: each component moves by its share of what was missed. */
        level = expected + weights[ALPHA] * error;
        trend = weights[PHI] * trend + weights[ALPHA] * weights[BETA] * error;
        if (season != NULL)
            *season += weights[GAMMA] * (1 - weights[ALPHA]) * error;
    }
    smoother->end_level = level;
    smoother->end_trend = trend;
    return squares / (double)smoother->count;
}

/* One weight at a time up or down while that helps, then with half the steps. */
static double settle(struct smoother *smoother, double weights[WEIGHTS_COUNT])
{
    double best = run(smoother, weights);

    for (double scale = 1; scale > 0.02; scale /= 2) {
        for (bool moved = true; moved;) {
            moved = false;
            for (int k = 0; k < 2 * WEIGHTS_COUNT; k++) {
                int at = k / 2;
                double before = weights[at];
                double to = before + (k % 2 == 0 ? scale : -scale) * weight_step[at];
                weights[at] = fmax(weight_low[at], fmin(weight_high[at], to));
                double error = run(smoother, weights);
                if (error < best * (1 - 1e-6)) {
                    best = error;
                    moved = true;
                } else {
                    weights[at] = before;
                }
            }
        }
    }
    return best;
}

static void start(struct smoother *smoother)
{
    size_t count = smoother->count;
    double *trend CLEANUP(array_freep) = array_new(count);
    double *season CLEANUP(array_freep) = array_new(count);
    double *rest CLEANUP(array_freep) = array_new(count);
    size_t near = smoother->period >= 2 ? 2 * smoother->period : count < 10 ? count : 10;
    double *x CLEANUP(array_freep) = array_new(near);

    season_decompose(smoother->values, count, smoother->period, trend, season, rest);
    for (size_t i = 0; i < near; i++)
        x[i] = (double)i;
    struct trend_line line = trend_theil_sen(x, trend, near);
    smoother->trend = line.slope;
    smoother->level = line.intercept - line.slope; /* One step before the first value. */
    for (size_t k = 0; k < smoother->period; k++)
        smoother->season[k] = season[k];
}

/* Variance of the forecast `step` + 1 ahead, in units of the one-step variance: what each error on
 * the way adds to the later value. */
static double spread_at(const double weights[WEIGHTS_COUNT], size_t period, size_t step)
{
    double variance = 1;
    double damped = 0; /* phi + phi^2 + ... */
    double power = 1;

    for (size_t j = 1; j <= step; j++) {
        power *= weights[PHI];
        damped += power;
        double share = weights[ALPHA] * (1 + weights[BETA] * damped);
        if (period > 0 && j % period == 0)
            share += weights[GAMMA] * (1 - weights[ALPHA]);
        variance += share * share;
    }
    return variance;
}

bool season_forecast(const double *values, size_t count, size_t period, size_t steps, double level,
                     double *ret_values, struct interval *ret_intervals,
                     struct season_forecast *ret_model)
{
    double weights[WEIGHTS_COUNT] = {0.3, 0.1, 0.15, 0.98};

    period = period < 2 ? 0 : period;
    if (count < SEASON_FORECAST_COUNT_MIN || count < 2 * period)
        return false;
    double *season CLEANUP(array_freep) = array_new(period);
    double *now CLEANUP(array_freep) = array_new(period);
    struct smoother smoother = {values, count, period, 0, 0, season, now, 0, 0};
    start(&smoother);
    (void)settle(&smoother, weights); /* The last run below is the best. */
    double error = sqrt(run(&smoother, weights));
    double z = normal_quantile((1 + level) / 2);
    double power = 1;
    double damped = 0;
    for (size_t step = 0; step < steps; step++) {
        power *= weights[PHI];
        damped += power;
        ret_values[step] = smoother.end_level + damped * smoother.end_trend +
                           (period == 0 ? 0 : now[(count + step) % period]);
        if (ret_intervals == NULL)
            continue;
        double reach = z * error * sqrt(spread_at(weights, period, step));
        ret_intervals[step] = (struct interval){ret_values[step] - reach, ret_values[step] + reach};
    }
    if (ret_model != NULL)
        *ret_model = (struct season_forecast){
            smoother.end_level, smoother.end_trend, weights[ALPHA], weights[BETA],
            weights[GAMMA],     weights[PHI],       error};
    return true;
}
