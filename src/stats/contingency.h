/* SPDX-License-Identifier: Apache-2.0 */
/* contingency - do two groups differ in how many of them have something?
 *
 *              have it    have it not
 *     first       a            b
 *     second      c            d
 *
 * Pure; any thread. */
#pragma once
#include <stdint.h>

struct contingency {
    uint32_t a, b, c, d;
};

/* Fisher's exact test, two-sided: the probability, with the sums of rows and columns as they are,
 * of a table no more likely than this one. As R's fisher.test and scipy's fisher_exact. */
double contingency_fisher(struct contingency table);

/* How many times larger the odds of the second group are; half a case is added to each cell, so it
 * is always finite (Haldane and Anscombe). */
double contingency_odds_ratio(struct contingency table);

/* The smallest p that Fisher's test can give with these sums: what cannot become significant need
 * not be tested. */
double contingency_fisher_min(struct contingency table);
