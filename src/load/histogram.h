/* SPDX-License-Identifier: Apache-2.0 */
/* histogram - durations counted in a flat array, cheap enough for every request.
 *
 * Log-linear: 128 buckets an octave, so the middle of a bucket is within 0.4 % of what fell into
 * it. Whole nanoseconds from 0 to 73 minutes (2^42); longer ones count as the longest. The storage
 * is the caller's and all zero is empty; adding allocates nothing.
 *
 * One thread adds; any other may look at the same time (histogram_drain): every counter is read and
 * written whole, though a look may find a duration in one counter and not yet in the other. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 7,
    HISTOGRAM_SUB = 1 << HISTOGRAM_SUB_BITS,
    HISTOGRAM_OCTAVES = 42,
    HISTOGRAM_BUCKETS = (HISTOGRAM_OCTAVES - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB,
};
#define HISTOGRAM_MAX_NS ((INT64_C(1) << HISTOGRAM_OCTAVES) - 1)

struct histogram {
    uint64_t count;
    uint64_t sum_ns; /* Of what was added, not of buckets. */
    int64_t max_ns;  /* Exact. */
    uint64_t counts[HISTOGRAM_BUCKETS];
};

/* One writer needs no read-modify-write, only whole stores that others can read. */
#define COUNTER_GET(counter)        __atomic_load_n(&(counter), __ATOMIC_RELAXED)
#define COUNTER_SET(counter, value) __atomic_store_n(&(counter), (value), __ATOMIC_RELAXED)
#define COUNTER_ADD(counter, more)  COUNTER_SET(counter, COUNTER_GET(counter) + (more))

static inline size_t histogram_index(uint64_t duration_ns)
{
    if (duration_ns < HISTOGRAM_SUB)
        return (size_t)duration_ns;
    unsigned shift = 63 - (unsigned)__builtin_clzll(duration_ns) - HISTOGRAM_SUB_BITS;
    return ((size_t)shift << HISTOGRAM_SUB_BITS) + (size_t)(duration_ns >> shift);
}

/* Negative durations, which a stepping clock could make, count as 0. */
static inline void histogram_add(struct histogram *histogram, int64_t duration_ns)
{
    int64_t kept = duration_ns < 0                  ? 0
                   : duration_ns > HISTOGRAM_MAX_NS ? HISTOGRAM_MAX_NS
                                                    : duration_ns;
    uint64_t *bucket = &histogram->counts[histogram_index((uint64_t)kept)];

    COUNTER_ADD(*bucket, 1);
    COUNTER_ADD(histogram->count, 1);
    COUNTER_ADD(histogram->sum_ns, (uint64_t)kept);
    if (kept > histogram->max_ns)
        COUNTER_SET(histogram->max_ns, kept);
}

/* The durations that fall into a bucket: from lower up to, not including, upper. */
int64_t histogram_lower_ns(size_t index);
int64_t histogram_upper_ns(size_t index);

/* Adds all of `from`; its thread may add meanwhile, as for a drain. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* Adds to `into` (NULL: nowhere) what came to `live` since the last drain, and brings `seen`, at
 * first all zero, up to date. Returns how many durations it found. */
uint64_t histogram_drain(const struct histogram *live, struct histogram *seen,
                         struct histogram *into);

void histogram_clear(struct histogram *histogram);

/* The duration below which a share q of all lies, in ns; NAN when empty. The first and the last
 * rank are not exact but the largest is never above max_ns. */
double histogram_at(const struct histogram *histogram, double q);
double histogram_mean(const struct histogram *histogram); /* NAN when empty. */
double histogram_deviation(const struct histogram *histogram);
/* The share of durations of at most bound_ns, 0 … 1; NAN when empty. */
double histogram_share_within(const struct histogram *histogram, int64_t bound_ns);
