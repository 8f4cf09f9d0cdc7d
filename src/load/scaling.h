/* SPDX-License-Identifier: Apache-2.0 */
/* scaling - how throughput grows with concurrency: Amdahl's law and Gunther's Universal Scalability
 * Law, fitted to what was measured. Pure; any thread.
 *
 *     X(n) = lambda n / (1 + sigma (n - 1) + kappa n (n - 1))
 *
 * lambda is what one does alone, sigma the share that queues for something common (Amdahl stops
 * here), kappa what agreeing with each other costs, which makes throughput fall in the end. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { SCALING_POINTS_MIN = 4 };

struct scaling {
    double lambda;
    double sigma; /* 0 or more. */
    double kappa; /* 0 or more; 0 for Amdahl. */
    double r2;    /* Of throughput: 1 fits exactly. */
};

/* concurrency and throughput are positive. False: fewer than SCALING_POINTS_MIN points, or no
 * curve of the kind. */
bool scaling_fit_usl(const double *concurrency, const double *throughput, size_t count,
                     struct scaling *ret_scaling);
bool scaling_fit_amdahl(const double *concurrency, const double *throughput, size_t count,
                        struct scaling *ret_scaling);

double scaling_at(const struct scaling *scaling, double concurrency);
/* The concurrency with the most throughput; INFINITY where more never hurts. */
double scaling_best(const struct scaling *scaling);

/* The place where a rising curve bends most: the point farthest above the line between the first
 * point and the highest (Satopaa et al., "Finding a kneedle in a haystack"). x ascends; returns
 * count when there is none. */
size_t scaling_knee(const double *x, const double *y, size_t count);
