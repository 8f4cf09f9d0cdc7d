/* SPDX-License-Identifier: Apache-2.0 */
/* quantile_key - which bucket a number falls into: equal ratios, exact bounds, integers only.
 *
 * Every octave [2^n, 2^(n+1)) is cut into S buckets, each 2^(1/S) times as wide as the one before.
 * A bucket stands for one value, chosen so that all others in it are within the relative error
 * (2^(1/S) - 1) / (2^(1/S) + 1):
 *
 *     precision      0       1       2       3
 *     S             35      70     140     280
 *     error     0.990 % 0.495 % 0.248 % 0.124 %
 *
 * The fraction of a double is looked up by its highest bits, which can be wrong by one bucket at
 * most, and then compared with that bucket's bound. So the bounds are the same everywhere, and two
 * buckets of one precision are exactly one of the next coarser: key >> 1. Pure; any thread. */
#pragma once
#include <stdint.h>
#include <string.h>

#define QUANTILE_PRECISION_MAX 3
#define QUANTILE_COARSE        35  /* Buckets in an octave at precision 0. */
#define QUANTILE_FINE          280 /* … and at precision 3. */

/* Where buckets of an octave start, as the 52 bits of a double's fraction; and the bucket in which
 * each 64th (512th) part of the octave starts. */
extern const uint64_t quantile_coarse_bounds[QUANTILE_COARSE + 1];
extern const uint8_t quantile_coarse_guess[64];
extern const uint64_t quantile_fine_bounds[QUANTILE_FINE + 1];
extern const uint16_t quantile_fine_guess[512];

/* The bits of a normal, positive double as a key of precision 0. */
static inline int32_t quantile_key_coarse(uint64_t bits)
{
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    uint32_t guess = quantile_coarse_guess[fraction >> 46];

    guess += fraction >= quantile_coarse_bounds[guess + 1];
    return ((int32_t)(bits >> 52) - 1023) * QUANTILE_COARSE + (int32_t)guess;
}

/* value is normal and positive. */
static inline int32_t quantile_key(double value, unsigned precision)
{
    uint64_t bits;
    uint64_t fraction;
    uint32_t guess;

    memcpy(&bits, &value, sizeof bits);
    if (precision == 0)
        return quantile_key_coarse(bits);
    fraction = bits & ((UINT64_C(1) << 52) - 1);
    guess = quantile_fine_guess[fraction >> 43];
    guess += fraction >= quantile_fine_bounds[guess + 1];
    return (((int32_t)(bits >> 52) - 1023) * QUANTILE_FINE + (int32_t)guess) >>
           (QUANTILE_PRECISION_MAX - precision);
}

/* The least value of a bucket; that of key + 1 is its end. Infinity behind the last. */
double quantile_key_lower(int32_t key, unsigned precision);
/* The value that a bucket stands for. */
double quantile_key_value(int32_t key, unsigned precision);
/* Half the width of a bucket, relative to the value that stands for it: 0.0099 for precision 0. */
double quantile_error(unsigned precision);

/* Which of count sorted values, from 0, is the quantile q: the least that as many as q of them do
 * not exceed. So the P99 of twenty calls is the slowest of them, not the one before it. count > 0,
 * q within 0 … 1. */
uint64_t quantile_rank(double q, uint64_t count);

/* Keys of the least and the greatest finite, normal double. */
int32_t quantile_key_min(unsigned precision);
int32_t quantile_key_max(unsigned precision);
