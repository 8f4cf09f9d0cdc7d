/* SPDX-License-Identifier: Apache-2.0 */
/* verdict_paired - the verdict on runs that took turns.
 *
 * Run k of one side stood beside run k of the other, so a machine that wanders does not come
 * between them: what is tested is the ratio within each pair (paired.h). All else is as in
 * verdict.h. Pure; any thread. */
#pragma once
#include "stats/verdict.h"

struct verdict_pairs {
    const double *before;
    const double *after;
    size_t count;
};

/* As verdict_judge_all; pairs[i] are the complete pairs of inputs[i]. A metric is judged by its
 * pairs (verdict.pairs tells how many) where all values are above 0 and the pairs are enough for
 * one change among all metrics to be seen; else by verdict_judge_all, which metrics are judged how
 * being decided before any value is compared. Change, shift and interval are then of the ratios,
 * cliff is the share of pairs with more after less that of pairs with less, and noise is what
 * neighbours do not share. */
void verdict_judge_paired(const struct verdict_input *inputs, const struct verdict_pairs *pairs,
                          size_t count, struct verdict *ret_verdicts);
