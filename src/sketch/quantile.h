/* SPDX-License-Identifier: Apache-2.0 */
/* quantile - a mergeable summary that answers any quantile within a stated relative error.
 *
 * Values fall into buckets whose bounds grow by gamma = (1 + e) / (1 - e), so a bucket's middle is
 * within e of everything in it (Masson, Rim, Lee: "DDSketch", VLDB 2019). The bucket of a value is
 * found from its exponent and a cubic in its mantissa instead of a logarithm, which costs 1 % more
 * buckets. Negative values have buckets of their own; magnitudes below QUANTILE_ZERO count as zero.
 *
 * At most QUANTILE_OCTAVES_MAX doublings of each sign are kept: past that the lowest magnitudes are
 * folded together, so high quantiles keep their error and `collapsed` tells that low ones may
 * not. No duration and no size comes near it.
 *
 * One thread at a time. `struct quantile` may be embedded; quantile_init first. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define QUANTILE_ERROR_DEFAULT 0.01
#define QUANTILE_ERROR_MIN     0.001
#define QUANTILE_ERROR_MAX     0.1
#define QUANTILE_OCTAVES_MAX   58 /* 2,030 buckets at 1 %. */
#define QUANTILE_ZERO          1e-12

/* A run of buckets: index `first` is counts[0]. */
struct quantile_side {
    uint64_t *counts;
    int32_t first;
    int32_t count;    /* Buckets in use. */
    int32_t capacity; /* Buckets allocated. */
};

struct quantile {
    double error;
    double multiplier;   /* Buckets per octave, before the mantissa's cubic. */
    int32_t buckets_max; /* Of each side. */
    struct quantile_side positive;
    struct quantile_side negative; /* By magnitude. */
    uint64_t zero_count;
    uint64_t count;
    double sum;
    double min; /* +infinity when empty. */
    double max; /* -infinity when empty. */
    bool collapsed;
};

/* 7 / (10 ln gamma) for an error: see quantile_index. */
double quantile_multiplier(double error);

/* The bucket of a positive, normal value: floor(multiplier × (exponent + cubic(mantissa))). The
 * cubic of DDSketch, s (10/7 + s (-3/5 + s 6/35)), runs from 0 to 1 and is never flatter against
 * log2 than 10/7 ln 2, which the multiplier makes up for. */
static inline int32_t quantile_index(double multiplier, double value)
{
    uint64_t bits;
    double mantissa;

    memcpy(&bits, &value, sizeof(bits));
    double exponent = (double)((int32_t)(bits >> 52) - 1023);
    bits = (bits & UINT64_C(0x000FFFFFFFFFFFFF)) | UINT64_C(0x3FF0000000000000);
    memcpy(&mantissa, &bits, sizeof(mantissa));
    double s = mantissa - 1;
    double place = multiplier * (exponent + s * (10.0 / 7 + s * (-3.0 / 5 + s * (6.0 / 35))));
    int32_t index = (int32_t)place;
    return index - (place < index);
}

/* The value that stands for a bucket: within error of all that fall into it. */
double quantile_bucket_value(double error, int32_t index);

/* error from QUANTILE_ERROR_MIN to QUANTILE_ERROR_MAX. */
void quantile_init(struct quantile *quantile, double error);
void quantile_done(struct quantile *quantile);
void quantile_clear(struct quantile *quantile); /* Keeps memory and error. */

/* NaN and infinities are not observations: they are ignored. */
void quantile_add(struct quantile *quantile, double value);
void quantile_add_count(struct quantile *quantile, double value, uint64_t count);

/* Counts of bucket `index` found elsewhere with the same error (libsonde's recorder). Does not
 * touch sum, min and max: quantile_add_totals does. */
void quantile_add_bucket(struct quantile *quantile, int32_t index, uint64_t count);
void quantile_add_totals(struct quantile *quantile, double sum, double min, double max);

/* ERR_INVALID: the errors differ. `from` stays as it is. */
CHECKED enum err quantile_merge(struct quantile *into, const struct quantile *from,
                                struct why *why);

/* The value at rank q × (count - 1), q from 0 to 1, clamped to [min, max]; NAN when empty. */
double quantile_get(const struct quantile *quantile, double q);
/* Share of observations that are at most value, 0 … 1; NAN when empty. */
double quantile_rank(const struct quantile *quantile, double value);

/* Bytes: see the head of quantile.c. Equal sketches give equal bytes. */
void quantile_write(const struct quantile *quantile, struct buf *out);
/* Initialises *ret_quantile. ERR_CORRUPT: the bytes are no sketch; nothing is kept. */
CHECKED enum err quantile_read(struct str bytes, struct quantile *ret_quantile, struct why *why);

/* An OpenTelemetry exponential histogram: bucket i of base 2^(2^-scale) covers
 * (base^(offset + i), base^(offset + i + 1)]; each goes in at its geometric middle, so its own
 * width adds to the error. scale from -10 to 20. */
struct exponential_buckets {
    int32_t offset;
    const uint64_t *counts;
    size_t count;
};
CHECKED enum err quantile_add_exponential(struct quantile *quantile, int32_t scale,
                                          const struct exponential_buckets *positive,
                                          const struct exponential_buckets *negative,
                                          uint64_t zero_count, struct why *why);
