/* SPDX-License-Identifier: Apache-2.0 */
/* Counters only ever rise, modulo 2^32, and the drainer remembers what it saw: the difference is
 * what is new, and the adding thread never has to be stopped or asked. */
#include "sketch/quantile_fixed.h"

uint64_t quantile_fixed_drain(const struct quantile_fixed *fixed, struct quantile_fixed *seen,
                              struct quantile *into)
{
    double sum_before = quantile_sum(into);
    uint64_t sum = __atomic_load_n(&fixed->sum, __ATOMIC_RELAXED);
    uint64_t found = 0;

    for (uint32_t i = 0; i < QUANTILE_FIXED_BUCKETS; i++) {
        uint32_t count = __atomic_load_n(&fixed->counts[i], __ATOMIC_RELAXED);
        uint32_t fresh = count - seen->counts[i];

        if (fresh == 0)
            continue;
        seen->counts[i] = count;
        found += fresh;
        quantile_add_many(into, i == 0 ? 0 : quantile_key_value((int32_t)i - 1, 0), fresh);
    }
    quantile_set_sum(into, sum_before + (double)(sum - seen->sum));
    seen->sum = sum;
    return found;
}
