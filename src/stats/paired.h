/* SPDX-License-Identifier: Apache-2.0 */
/* paired - do two things that were measured side by side differ, and by how much?
 *
 * Two runs that follow each other share the moment: a machine that is slow for a while slows both.
 * The difference within a pair is free of it, whatever the machine does from one pair to the next,
 * which is more than a test of two samples can say. `differences` are after less before, or their
 * logarithms' (then shifts are logarithms of ratios); they hold no NaN. All p values are two-sided.
 * Pure; any thread. */
#pragma once
#include "stats/compare.h"

struct signed_rank {
    double w;                   /* Ranks of the positive differences, added: 0 … n (n + 1) / 2. */
    double z;                   /* Of the normal approximation; positive when after is larger. */
    double p;                   /* NAN without pairs; 1 when all differences are 0. */
    double dominance;           /* Share of positive differences less that of negative: -1 … 1. */
    enum compare_method method; /* What p was computed by. */
};

/* Wilcoxon (1945). Differences of 0 are ranked, then left out (Pratt 1959): a pair that does not
 * differ speaks for no difference, and must not make the others count for more. Equal sizes share
 * their mean rank. Auto is exact up to PAIRED_EXACT_AUTO pairs, zeros and ties being part of the
 * distribution, and normal (tie-corrected, with continuity correction) beyond. */
enum { PAIRED_EXACT_AUTO = 50, PAIRED_EXACT_MAX = 500 };
struct signed_rank paired_signed_rank(const double *differences, size_t count,
                                      enum compare_method method);

/* The smallest p that so many pairs can give: 2^(1 - count), at most 1. */
double paired_p_min(size_t count);

/* Hodges and Lehmann (1963): the median of all Walsh averages (d_i + d_j) / 2, i <= j, and the
 * interval that the signed-rank test would not reject (exact up to PAIRED_EXACT_AUTO pairs). The
 * interval is NAN where so few pairs leave everything open: at 0.95 below six. */
struct shift paired_shift(const double *differences, size_t count, double level);
