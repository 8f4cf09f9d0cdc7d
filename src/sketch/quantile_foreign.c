/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign buckets are ranges. Each is spread over the buckets of ours that it covers, so that their
 * quantiles agree with interpolation in the foreign ones, to within one error of each kind. */
#include "sketch/quantile_priv.h"

#include <float.h>
#include <math.h>

#define SCALE_MIN -10
#define SCALE_MAX 20

/* base^index for base = 2^(2^-scale); infinity or 0 when out of range. */
static double exponential_bound(int64_t index, int32_t scale)
{
    return exp2(ldexp((double)index, -scale));
}

enum err quantile_add_exponential(struct quantile *sketch, bool negative,
                                  const struct quantile_exponential *side, struct why *why)
{
    if (side->scale < SCALE_MIN || side->scale > SCALE_MAX)
        return fail(why, ERR_INVALID, "exponential histogram: scale %d is not in %d … %d",
                    side->scale, SCALE_MIN, SCALE_MAX);
    for (size_t i = 0; i < side->counts_size; i++) {
        int64_t index = (int64_t)side->offset + (int64_t)i;
        double lower = exponential_bound(index, side->scale);
        double upper = exponential_bound(index + 1, side->scale);

        if (side->counts[i] == 0)
            continue;
        if (!(upper >= DBL_MIN) || !(lower <= DBL_MAX))
            return fail(why, ERR_INVALID,
                        "exponential histogram: bucket %lld of scale %d holds no double",
                        (long long)index, side->scale);
        lower = lower < DBL_MIN ? DBL_MIN : lower;
        upper = upper > DBL_MAX ? DBL_MAX : upper;
        if (negative)
            quantile_add_range(sketch, -upper, -lower, true, side->counts[i]);
        else
            quantile_add_range(sketch, lower, upper, true, side->counts[i]);
    }
    return ERR_NONE;
}

int32_t quantile_exponential_index(double value, int32_t scale)
{
    double magnitude = fabs(value);
    int32_t index = (int32_t)ceil(ldexp(log2(magnitude), scale)) - 1;

    /* The logarithm may be off by a hair at a bound; the bounds decide. */
    if (magnitude > exponential_bound((int64_t)index + 1, scale))
        index++;
    else if (magnitude <= exponential_bound(index, scale))
        index--;
    return index;
}

/* A good end for a bucket that has none: the extreme if known, else the bound's own double or half,
 * or zero, as interpolation elsewhere assumes for the first bucket of positive numbers. */
static double open_lower(double bound, double min)
{
    if (min <= bound)
        return min;
    return bound > 0 ? 0 : bound;
}

static double open_upper(double bound, double max)
{
    return max >= bound ? max : bound;
}

void quantile_add_explicit(struct quantile *sketch, const double *bounds, size_t bounds_count,
                           const uint64_t *counts, double min, double max)
{
    if (bounds_count == 0) {
        if (isfinite(min) && isfinite(max))
            quantile_add_range(sketch, min, max, false, counts[0]);
        return;
    }
    for (size_t i = 0; i <= bounds_count; i++) {
        double lower = i == 0 ? open_lower(bounds[0], min) : bounds[i - 1];
        double upper = i == bounds_count ? open_upper(bounds[bounds_count - 1], max) : bounds[i];

        /* min and max also narrow the closed bucket that they lie in. */
        if (min > lower && min <= upper)
            lower = min;
        if (max >= lower && max < upper)
            upper = max;
        quantile_add_range(sketch, lower, upper, false, counts[i]);
    }
}
