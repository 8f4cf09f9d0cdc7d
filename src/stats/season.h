/* SPDX-License-Identifier: Apache-2.0 */
/* season - what repeats in a series, what remains, and what comes next.
 *
 * Values are evenly spaced in time and hold no NaN. Pure; any thread. */
#pragma once
#include "stats/describe.h"

/* The period in steps, or 0 when nothing repeats clearly. It must fit in at least three times. With
 * `strength` (may be NULL) the correlation of the series with itself one period later. */
size_t season_period(const double *values, size_t count, double *ret_strength);

/* values = trend + season + rest, each `count` long, into what the caller provides. period 0 or
 * over count / 2: season is 0. Medians throughout, so wild values stay in the rest. */
void season_decompose(const double *values, size_t count, size_t period, double *ret_trend,
                      double *ret_season, double *ret_rest);

/* Holt and Winters, additive, with a damped trend; parameters chosen by the one-step errors. */
struct season_forecast {
    double level, trend;            /* At the end of the series. */
    double alpha, beta, gamma, phi; /* Weights of the newest in level, trend, season; damping. */
    double error;                   /* Standard deviation of one-step errors. */
};

#define SEASON_FORECAST_COUNT_MIN 4

/* Forecasts ret_values[0 … steps - 1] and, where ret_intervals is not NULL, the intervals that hold
 * with `level`. period 0: no season. False when there are fewer than SEASON_FORECAST_COUNT_MIN
 * values (or two periods of them). */
bool season_forecast(const double *values, size_t count, size_t period, size_t steps, double level,
                     double *ret_values, struct interval *ret_intervals,
                     struct season_forecast *ret_model);
