/* SPDX-License-Identifier: Apache-2.0 */
/* quantile_fixed - a quantile sketch of durations that never allocates: for timers inside loops.
 *
 * The storage is the caller's, below 8 KB, and all zero is empty. It holds whole nanoseconds from 0
 * to 73 minutes (2^42) at precision 0, 0.99 %; longer ones count as the longest. Buckets are those
 * of quantile_key.h, so that it merges into a struct quantile without loss.
 *
 * One thread adds, any other may drain at the same time: every counter is read and written whole,
 * though a drain may see a duration in one counter and not yet in the other. */
#pragma once
#include "sketch/quantile.h"

#define QUANTILE_FIXED_OCTAVES 42
#define QUANTILE_FIXED_BUCKETS (QUANTILE_FIXED_OCTAVES * QUANTILE_COARSE + 1)
#define QUANTILE_FIXED_MAX     ((UINT64_C(1) << QUANTILE_FIXED_OCTAVES) - 1)

struct quantile_fixed {
    uint64_t sum;                            /* Wraps. */
    uint32_t counts[QUANTILE_FIXED_BUCKETS]; /* Zero, then by key; each wraps. */
};

_Static_assert(sizeof(struct quantile_fixed) <= 8192, "a timer's sketch stays below 8 KB");

static inline uint32_t quantile_fixed_index(uint64_t duration_ns)
{
    double value = (double)(int64_t)duration_ns; /* Exact: below 2^53. */
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return (uint32_t)quantile_key_coarse(bits) + 1;
}

static inline void quantile_fixed_add(struct quantile_fixed *fixed, uint64_t duration_ns)
{
    uint64_t kept = duration_ns > QUANTILE_FIXED_MAX ? QUANTILE_FIXED_MAX : duration_ns;
    uint32_t *count = &fixed->counts[kept == 0 ? 0 : quantile_fixed_index(kept)];

    /* A single writer needs no read-modify-write. */
    __atomic_store_n(count, __atomic_load_n(count, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&fixed->sum, __atomic_load_n(&fixed->sum, __ATOMIC_RELAXED) + duration_ns,
                     __ATOMIC_RELAXED);
}

/* Adds to `into` what has come since the last drain, and brings `seen`, at first all zero and owned
 * by who drains, up to date. Values are those that stand for their buckets, the sum is exact. Must
 * happen before one bucket counts to 2^32 again. Returns how many durations it found. */
uint64_t quantile_fixed_drain(const struct quantile_fixed *fixed, struct quantile_fixed *seen,
                              struct quantile *into);
