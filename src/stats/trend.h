/* SPDX-License-Identifier: Apache-2.0 */
/* trend - does a series climb, how fast, and is that more than chance?
 *
 * Slope by Theil and Sen (up to 29 % wild values do not move it), test by Mann and Kendall with a
 * variance that knows how neighbours resemble each other, so that a wandering series is not taken
 * for a leak. x ascends strictly; no NaN. Pure; any thread. */
#pragma once
#include "stats/describe.h"

#define TREND_COUNT_MIN     10 /* Below, "not enough data" rather than "no trend". */
#define TREND_EFFECTIVE_MIN 4  /* The same for values worth counting. */

struct trend_line {
    double slope; /* Units of y per unit of x; NAN below two values. */
    double intercept;
};

struct mann_kendall {
    double s;        /* Pairs that rise less pairs that fall. */
    double tau;      /* Kendall's tau-b. */
    double variance; /* Of s, ties heeded, for independent values. */
};

struct trend {
    struct trend_line line;
    struct interval slope_interval; /* 95 %, correlation heeded. */
    struct mann_kendall kendall;
    double correlation;     /* Of neighbours about the line, 0 … 0.99. */
    double effective_count; /* Independent values that would say as much. */
    double p;               /* Two-sided; NAN when not enough. */
    bool enough;            /* False: nothing may be concluded, not even "no trend". */
};

struct trend trend(const double *x, const double *y, size_t count);

struct trend_line trend_theil_sen(const double *x, const double *y, size_t count);
struct mann_kendall trend_mann_kendall(const double *y, size_t count);
