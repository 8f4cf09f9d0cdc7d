/* SPDX-License-Identifier: Apache-2.0 */
/* rollup - days that are over, in steps of one minute and of one hour. Writer.
 *
 * A step keeps last, min, max, sum and count of its samples, or the merged sketch; its time is its
 * last millisecond. Where it stands, and why doing it twice does no harm: at the top of rollup.c.
 */
#pragma once
#include "store/tenant.h"

/* Goes on with days that are over, sealed and not rolled up yet, for about budget_ns. */
CHECKED enum err tenant_roll_up(struct tenant *tenant, int64_t budget_ns, struct why *why);

/* fold.c: the samples of one series, step by step. Pure. */
struct fold_steps {
    size_t count;
    int64_t *time_ms;
    double *values[BLOCK_FIELDS_MAX]; /* By enum field. */
    struct str *sketches;             /* NULL where there are none. */
};
/* times rise; everything returned is in arena. A stale marker ends a step's `last`, and counts
 * nowhere else. ERR_CORRUPT: a sketch cannot be read; ERR_LIMIT: the arena is spent. */
CHECKED enum err fold(const int64_t *time_ms, const double *values, const struct str *sketches,
                      size_t count, int64_t step_ms, struct arena *arena,
                      struct fold_steps *ret_steps, struct why *why);
