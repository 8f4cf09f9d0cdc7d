/* SPDX-License-Identifier: Apache-2.0 */
/* The functions over the samples of one window. Each returns the value, or ABSENT. */
#include "query/promql_eval_priv.h"

#include "query/promql_functions.h"

/* --- counters and differences --- */

/* What the counter gained, with its resets: after each it counts from 0 again. */
static double gain(const struct window *window, bool counter)
{
    double result = window->values[window->count - 1] - window->values[0];

    for (size_t i = 0; counter && i < window->resets_count; i++)
        result += window->values[window->resets[i] - window->base - 1];
    return result;
}

/* More than what rounding can make of one. */
#define NEARLY (1 + 1e-12)

/* The samples rarely stand at the window's ends. The gain is extrapolated to an end as long as it
 * is within 1.1 of the average distance between samples, else by half of that; and a counter is
 * never taken back below zero. */
static double extrapolated(const struct window *window, bool counter, bool per_second)
{
    size_t last = window->count - 1;

    if (window->count < 2)
        return absent_value();
    /* In milliseconds; only their ratios matter. */
    double result = gain(window, counter);
    double to_start = (double)(window->times[0] - window->start_ms);
    double to_end = (double)(window->end_ms - window->times[last]);
    double sampled = (double)(window->times[last] - window->times[0]);
    double average = sampled / (double)last;
    double threshold = average * 1.1;

    if (to_start >= threshold)
        to_start = average / 2;
    if (counter) {
        double first = window->values[0];
        /* Most counters are far from zero: then there is nothing to divide. */
        if (result > 0 && first >= 0 && sampled * first < to_start * result * NEARLY) {
            double to_zero = sampled * (first / result);
            if (to_zero < to_start)
                to_start = to_zero;
        }
    }
    if (to_end >= threshold)
        to_end = average / 2;
    double factor = (sampled + to_start + to_end) / sampled;
    if (per_second)
        factor /= (double)(window->end_ms - window->start_ms) / 1000;
    return result * factor;
}

double window_rate(const struct window *window)
{
    return extrapolated(window, true, true);
}

double window_increase(const struct window *window)
{
    return extrapolated(window, true, false);
}

double window_delta(const struct window *window)
{
    return extrapolated(window, false, false);
}

double window_irate(const struct window *window)
{
    size_t last = window->count - 1;

    if (window->count < 2)
        return absent_value();
    double newest = window->values[last];
    double before = window->values[last - 1];
    double difference = newest < before ? newest : newest - before;
    return difference / ((double)(window->times[last] - window->times[last - 1]) / 1000);
}

double window_idelta(const struct window *window)
{
    size_t last = window->count - 1;

    if (window->count < 2)
        return absent_value();
    return window->values[last] - window->values[last - 1];
}

double window_resets(const struct window *window)
{
    return (double)window->resets_count;
}

double window_changes(const struct window *window)
{
    size_t changes = 0;

    for (size_t i = 1; i < window->count; i++) {
        double before = window->values[i - 1];
        double now = window->values[i];
        changes += now != before && !(isnan(now) && isnan(before));
    }
    return (double)changes;
}

/* --- sums --- */

double window_sum(const struct window *window)
{
    double sum;
    double rest;

    kahan_sum(window->values, window->count, &sum, &rest);
    return isinf(sum) ? sum : sum + rest;
}

static double weight_of(const struct window *window)
{
    double count = 0;

    if (window->weights == NULL)
        return (double)window->count;
    for (size_t i = 0; i < window->count; i++)
        count += window->weights[i];
    return count;
}

double window_avg(const struct window *window)
{
    struct mean mean = {0};
    double count = weight_of(window);
    double sum;
    double rest;

    kahan_sum(window->values, window->count, &sum, &rest);
    if (isfinite(sum))
        return sum / count + rest / count;
    if (window->weights != NULL)
        return sum / count;
    for (size_t i = 0; i < window->count; i++)
        mean_add(&mean, window->values[i]);
    return mean_result(&mean);
}

/* From a selector the values are counts: 1 of a raw sample, more of a roll-up. */
double window_count(const struct window *window)
{
    double count = 0;

    if (!window->weighed)
        return (double)window->count;
    for (size_t i = 0; i < window->count; i++)
        count += window->values[i];
    return count;
}

double window_stdvar(const struct window *window)
{
    double count = 0;
    double mean = 0;
    double mean_rest = 0;
    double squares = 0;
    double squares_rest = 0;

    for (size_t i = 0; i < window->count; i++) {
        count++;
        double delta = window->values[i] - (mean + mean_rest);
        kahan_add(delta / count, &mean, &mean_rest);
        kahan_add(delta * (window->values[i] - (mean + mean_rest)), &squares, &squares_rest);
    }
    return (squares + squares_rest) / count;
}

double window_stddev(const struct window *window)
{
    return sqrt(window_stdvar(window));
}

/* --- extremes and ranks --- */

static size_t extreme(const struct window *window, bool largest, bool latest)
{
    size_t best = 0;

    for (size_t i = 1; i < window->count; i++) {
        double value = window->values[i];
        double held = window->values[best];
        bool better = largest ? value > held : value < held;
        if (better || isnan(held) || (latest && value == held))
            best = i;
    }
    return best;
}

double window_max(const struct window *window)
{
    return window->values[extreme(window, true, false)];
}

double window_min(const struct window *window)
{
    return window->values[extreme(window, false, false)];
}

double window_max_time(const struct window *window)
{
    return (double)window->times[extreme(window, true, true)] / 1000;
}

double window_min_time(const struct window *window)
{
    return (double)window->times[extreme(window, false, true)] / 1000;
}

double window_quantile(const struct window *window)
{
    memcpy(window->scratch, window->values, window->count * sizeof(double));
    return quantile_of(window->scratch, window->count, window->parameters[0]);
}

/* Median absolute deviation. */
double window_mad(const struct window *window)
{
    memcpy(window->scratch, window->values, window->count * sizeof(double));
    double median = quantile_of(window->scratch, window->count, 0.5);
    for (size_t i = 0; i < window->count; i++)
        window->scratch[i] = fabs(window->values[i] - median);
    return quantile_of(window->scratch, window->count, 0.5);
}

/* --- ends --- */

double window_first(const struct window *window)
{
    return window->values[0];
}

double window_last(const struct window *window)
{
    return window->values[window->count - 1];
}

double window_first_time(const struct window *window)
{
    return (double)window->times[0] / 1000;
}

double window_last_time(const struct window *window)
{
    return (double)window->times[window->count - 1] / 1000;
}

double window_present(const struct window *window)
{
    (void)window; /* That it exists is the answer. */
    return 1;
}

/* --- lines --- */

struct line {
    double slope;
    double intercept;
};

static bool is_constant(const struct window *window)
{
    for (size_t i = 1; i < window->count; i++)
        if (window->values[i] != window->values[0])
            return false;
    return true;
}

/* Least squares; x is in seconds from origin_ms. */
static struct line fit_line(const struct window *window, int64_t origin_ms)
{
    double sum_x = 0, sum_y = 0, sum_xy = 0, sum_xx = 0;
    double rest_x = 0, rest_y = 0, rest_xy = 0, rest_xx = 0;
    double n = (double)window->count;

    if (is_constant(window)) {
        if (isinf(window->values[0]))
            return (struct line){(double)NAN, (double)NAN};
        return (struct line){0, window->values[0]};
    }
    for (size_t i = 0; i < window->count; i++) {
        double x = (double)(window->times[i] - origin_ms) / 1000;
        double y = window->values[i];
        kahan_add(x, &sum_x, &rest_x);
        kahan_add(y, &sum_y, &rest_y);
        kahan_add(x * y, &sum_xy, &rest_xy);
        kahan_add(x * x, &sum_xx, &rest_xx);
    }
    sum_x += rest_x;
    sum_y += rest_y;
    sum_xy += rest_xy;
    sum_xx += rest_xx;
    double covariance = sum_xy - sum_x * sum_y / n;
    double variance = sum_xx - sum_x * sum_x / n;
    double slope = covariance / variance;
    return (struct line){slope, sum_y / n - slope * sum_x / n};
}

double window_deriv(const struct window *window)
{
    if (window->count < 2)
        return absent_value();
    return fit_line(window, window->times[0]).slope;
}

double window_predict(const struct window *window)
{
    if (window->count < 2)
        return absent_value();
    struct line line = fit_line(window, window->eval_ms);
    return line.slope * window->parameters[0] + line.intercept;
}

/* Holt's double exponential smoothing. */
double window_smoothing(const struct window *window)
{
    double smoothing = window->parameters[0];
    double trend_factor = window->parameters[1];
    double before = 0;

    if (window->count < 2)
        return absent_value();
    double level = window->values[0];
    double trend = window->values[1] - window->values[0];
    for (size_t i = 1; i < window->count; i++) {
        if (i > 1)
            trend = trend_factor * (level - before) + (1 - trend_factor) * trend;
        double next = smoothing * window->values[i] + (1 - smoothing) * (level + trend);
        before = level;
        level = next;
    }
    return level;
}
