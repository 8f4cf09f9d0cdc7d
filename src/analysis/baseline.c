/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/baseline.h"

#include "base/must.h"
#include "stats/array.h"
#include "stats/describe.h"

#include <math.h>
#include <stdlib.h>

#define HOUR_MS         (INT64_C(3600) * 1000)
#define BAND_DEVIATIONS 3.0
#define BAND_SHARE_MIN                                                                           \
    0.01                    /* Of the median: what never moved is not alarmed by its first step. \
                             */
#define THURSDAY_TO_HOUR 72 /* 1970 began on a Thursday, the fourth day. */

unsigned baseline_hour(int64_t time_ms)
{
    int64_t hours = time_ms / HOUR_MS - (time_ms % HOUR_MS < 0);
    int64_t hour = (hours + THURSDAY_TO_HOUR) % BASELINE_HOURS;

    return (unsigned)(hour < 0 ? hour + BASELINE_HOURS : hour);
}

static struct baseline_band band_of(const double *values, size_t count, enum baseline_reach reach)
{
    struct baseline_band band = {
        .reach = reach, .count = count, .median = NAN, .low = NAN, .high = NAN};

    if (count < BASELINE_VALUES_MIN) {
        band.reach = BASELINE_NONE;
        return band;
    }
    band.median = describe_median(values, count);
    double width = BAND_DEVIATIONS * DESCRIBE_MAD_SCALE * describe_mad(values, count);
    width = fmax(width, BAND_SHARE_MIN * fabs(band.median));
    band.low = band.median - width;
    band.high = band.median + width;
    return band;
}

/* The numbers whose hour leaves `rest` when divided by `every`, into out. */
static size_t pick(const int64_t *times_ms, const double *values, size_t count, unsigned every,
                   unsigned rest, double *out)
{
    size_t picked = 0;

    for (size_t i = 0; i < count; i++) {
        if (!isnan(values[i]) && baseline_hour(times_ms[i]) % every == rest)
            out[picked++] = values[i];
    }
    return picked;
}

void baseline_learn(const int64_t *times_ms, const double *values, size_t count,
                    struct baseline *ret_baseline)
{
    double *picked CLEANUP(array_freep) = array_new(count + 1);
    struct baseline_band days[24];
    struct baseline_band all =
        band_of(picked, pick(times_ms, values, count, 1, 0, picked), BASELINE_ALL_HOURS);

    for (unsigned hour = 0; hour < 24; hour++) {
        size_t found = pick(times_ms, values, count, 24, hour, picked);
        days[hour] = band_of(picked, found, BASELINE_DAY_HOUR);
    }
    for (unsigned hour = 0; hour < BASELINE_HOURS; hour++) {
        size_t found = pick(times_ms, values, count, BASELINE_HOURS, hour, picked);
        struct baseline_band band = band_of(picked, found, BASELINE_HOUR);
        if (band.reach == BASELINE_NONE)
            band = days[hour % 24];
        ret_baseline->hours[hour] = band.reach == BASELINE_NONE ? all : band;
    }
}

enum baseline_verdict baseline_judge(const struct baseline *baseline, int64_t time_ms, double value)
{
    const struct baseline_band *band = &baseline->hours[baseline_hour(time_ms)];

    if (band->reach == BASELINE_NONE || isnan(value))
        return BASELINE_UNKNOWN;
    return value > band->high  ? BASELINE_ABOVE
           : value < band->low ? BASELINE_BELOW
                               : BASELINE_USUAL;
}

const char *baseline_verdict_name(enum baseline_verdict verdict)
{
    static const char *const names[] = {[BASELINE_UNKNOWN] = "unknown",
                                        [BASELINE_USUAL] = "usual",
                                        [BASELINE_ABOVE] = "above",
                                        [BASELINE_BELOW] = "below"};

    return names[verdict];
}

const char *baseline_reach_name(enum baseline_reach reach)
{
    static const char *const names[] = {[BASELINE_NONE] = "none",
                                        [BASELINE_HOUR] = "hour of the week",
                                        [BASELINE_DAY_HOUR] = "hour of the day",
                                        [BASELINE_ALL_HOURS] = "all hours"};

    return names[reach];
}
