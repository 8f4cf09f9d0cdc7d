/* SPDX-License-Identifier: Apache-2.0 */
/* quantile_priv - what the files of the quantile sketch share. Private to sketch. */
#pragma once
#include "sketch/quantile.h"
#include "sketch/quantile_side.h"

struct quantile {
    unsigned precision;
    uint32_t buckets_max;
    uint64_t zero; /* Numbers too near to zero for a key. */
    double sum;
    double min;           /* +inf when empty … */
    double max;           /* … and -inf. */
    struct side negative; /* Keys of magnitudes. */
    struct side positive;
};

/* Widens min and max. */
void quantile_extend(struct quantile *sketch, double value);
