/* SPDX-License-Identifier: Apache-2.0 */
/* quantile - how numbers are distributed, in little memory, mergeable without loss.
 *
 * Any quantile of what was added comes back within a stated relative error, 1 % by default. Merging
 * sketches is exact: the merged one is the sketch of all numbers together, whatever the order.
 * Numbers are counted in buckets of equal ratio (quantile_key.h); negative ones in a mirror of
 * them, and zero, with everything nearer to it than 2.3e-308, for itself. NaN and infinities are
 * not counted.
 *
 * Memory is bounded: when a side spans more buckets than allowed, those nearest to zero are
 * collapsed into one. Then quantiles up to quantile_collapsed() ranks from zero are only known to
 * be no farther from zero than told. One thread at a time. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "sketch/quantile_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quantile;

/* Buckets on either side of zero. The default spans 58 octaves, 1 ns to 9 years. */
#define QUANTILE_BUCKETS_DEFAULT(precision) (2048u << (precision))
#define QUANTILE_BUCKETS_MAX                65536

/* precision as in quantile_key.h, 0 for 1 %. buckets_max 0: the default. */
struct quantile *quantile_new(unsigned precision, uint32_t buckets_max);
struct quantile *quantile_free(struct quantile *sketch); /* Always returns NULL. */
void quantile_freep(struct quantile **sketch);           /* For CLEANUP. */
void quantile_clear(struct quantile *sketch);            /* Keeps the memory. */

void quantile_add(struct quantile *sketch, double value);
void quantile_add_many(struct quantile *sketch, double value, uint64_t count);
/* count numbers spread evenly over [lower, upper], or evenly over its logarithm where both ends
 * are positive or both negative and `by_ratio` is set. */
void quantile_add_range(struct quantile *sketch, double lower, double upper, bool by_ratio,
                        uint64_t count);
/* Adds all of `from`. The result has the coarser of both precisions. */
void quantile_merge(struct quantile *sketch, const struct quantile *from);
/* Sums of what was added by ranges are guesses; whoever knows the truth sets it. */
void quantile_set_sum(struct quantile *sketch, double sum);
void quantile_set_extremes(struct quantile *sketch, double min, double max);

uint64_t quantile_count(const struct quantile *sketch);
double quantile_sum(const struct quantile *sketch);
double quantile_min(const struct quantile *sketch); /* NaN when empty, as are max and mean. */
double quantile_max(const struct quantile *sketch);
double quantile_mean(const struct quantile *sketch);
unsigned quantile_precision(const struct quantile *sketch);
uint64_t quantile_collapsed(const struct quantile *sketch);

/* The value of that quantile_rank in sorted order, exact for the first and the last; q is clamped
 * to 0 … 1. NaN if empty. */
double quantile_at(const struct quantile *sketch, double q);
/* About how many numbers are <= bound; half-filled buckets count in proportion. */
double quantile_count_below(const struct quantile *sketch, double bound);

/* The buckets from the lowest values to the highest, only those with something in them. */
struct quantile_bucket {
    double lower, upper; /* Both 0 for the zero bucket. */
    uint64_t count;
};
struct quantile_walk {
    int side;    /* 0 negative, 1 zero, 2 positive, 3 over. */
    size_t next; /* Within the side. */
};
#define QUANTILE_WALK_INIT ((struct quantile_walk){0, 0})
bool quantile_next(const struct quantile *sketch, struct quantile_walk *walk,
                   struct quantile_bucket *ret_bucket);

/* Compact bytes with a version; layout at the top of quantile_bytes.c. */
void quantile_write(const struct quantile *sketch, struct buf *out);
/* bytes is exactly one sketch. ERR_CORRUPT; ERR_UNSUPPORTED: of a newer version. */
CHECKED enum err quantile_read(struct str bytes, struct quantile **ret_sketch, struct why *why);

/* OpenTelemetry's exponential histogram, one side: counts[i] numbers are in
 * (base^(offset + i), base^(offset + i + 1)], base = 2^(2^-scale), scale -10 … 20. */
struct quantile_exponential {
    int32_t scale;
    int32_t offset;
    const uint64_t *counts;
    size_t counts_size;
};
/* Adds that side, negative or positive. ERR_INVALID: the scale or an index is out of bounds. */
CHECKED enum err quantile_add_exponential(struct quantile *sketch, bool negative,
                                          const struct quantile_exponential *side, struct why *why);
/* The index of the exponential bucket that |value|, normal and not zero, falls into. */
int32_t quantile_exponential_index(double value, int32_t scale);

/* Explicit buckets, as Prometheus' and OpenTelemetry's histograms have them: counts[i] numbers in
 * (bounds[i-1], bounds[i]], not cumulative, with one count more than bounds; bounds rise. Numbers
 * are taken as spread evenly; those of the open ends as well, up to min and max. Where these are
 * not known (NaN), the first bucket starts at zero if it can, and those behind the last bound are
 * put on it. */
void quantile_add_explicit(struct quantile *sketch, const double *bounds, size_t bounds_count,
                           const uint64_t *counts, double min, double max);
