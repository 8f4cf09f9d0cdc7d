/* SPDX-License-Identifier: Apache-2.0 */
/* With y = n / X the law is a straight one in its parameters:
 *
 *     y = a + b (n - 1) + c n (n - 1),   lambda = 1/a, sigma = b/a, kappa = c/a
 *
 * Least squares with weights 1/y² make errors of throughput count in proportion. A parameter that
 * comes out negative has no meaning (more would be for free); it is set to 0 and the rest fitted
 * again. */
#include "load/scaling.h"

#include <math.h>

enum { TERMS = 3 };

/* Solves a symmetric system over the terms in use by elimination; false when it is singular. */
static bool solve(double matrix[TERMS][TERMS + 1], const bool uses[TERMS], double ret[TERMS])
{
    for (int i = 0; i < TERMS; i++) {
        if (!uses[i])
            continue;
        if (fabs(matrix[i][i]) < 1e-300)
            return false;
        for (int j = 0; j < TERMS; j++) {
            if (j == i || !uses[j])
                continue;
            double factor = matrix[j][i] / matrix[i][i];
            for (int k = 0; k <= TERMS; k++)
                matrix[j][k] -= factor * matrix[i][k];
        }
    }
    for (int i = 0; i < TERMS; i++)
        ret[i] = uses[i] ? matrix[i][TERMS] / matrix[i][i] : 0;
    return true;
}

static bool fit(const double *n, const double *x, size_t count, const bool uses[TERMS],
                double ret[TERMS])
{
    double matrix[TERMS][TERMS + 1] = {{0}};

    for (size_t at = 0; at < count; at++) {
        double y = n[at] / x[at];
        double terms[TERMS + 1] = {1, n[at] - 1, n[at] * (n[at] - 1), y};
        for (int i = 0; i < TERMS; i++) {
            for (int j = 0; j <= TERMS; j++)
                matrix[i][j] += terms[i] * terms[j] / (y * y);
        }
    }
    return solve(matrix, uses, ret);
}

double scaling_at(const struct scaling *scaling, double concurrency)
{
    return scaling->lambda * concurrency /
           (1 + scaling->sigma * (concurrency - 1) +
            scaling->kappa * concurrency * (concurrency - 1));
}

static double determination(const struct scaling *scaling, const double *n, const double *x,
                            size_t count)
{
    double mean = 0, total = 0, left = 0;

    for (size_t i = 0; i < count; i++)
        mean += x[i] / (double)count;
    for (size_t i = 0; i < count; i++) {
        double error = x[i] - scaling_at(scaling, n[i]);
        total += (x[i] - mean) * (x[i] - mean);
        left += error * error;
    }
    return total > 0 ? 1 - left / total : 0;
}

static bool fit_law(const double *n, const double *x, size_t count, bool with_kappa,
                    struct scaling *ret_scaling)
{
    bool uses[TERMS] = {true, true, with_kappa};
    double terms[TERMS];

    if (count < SCALING_POINTS_MIN || !fit(n, x, count, uses, terms))
        return false;
    if (terms[2] < 0) {
        uses[2] = false;
        if (!fit(n, x, count, uses, terms))
            return false;
    }
    if (terms[1] < 0) {
        uses[1] = false;
        uses[2] = with_kappa;
        if (!fit(n, x, count, uses, terms))
            return false;
    }
    if (!(terms[0] > 0))
        return false;
    struct scaling scaling = {.lambda = 1 / terms[0],
                              .sigma = fmax(0, terms[1] / terms[0]),
                              .kappa = fmax(0, terms[2] / terms[0])};
    scaling.r2 = determination(&scaling, n, x, count);
    *ret_scaling = scaling;
    return true;
}

bool scaling_fit_usl(const double *concurrency, const double *throughput, size_t count,
                     struct scaling *ret_scaling)
{
    return fit_law(concurrency, throughput, count, true, ret_scaling);
}

bool scaling_fit_amdahl(const double *concurrency, const double *throughput, size_t count,
                        struct scaling *ret_scaling)
{
    return fit_law(concurrency, throughput, count, false, ret_scaling);
}

double scaling_best(const struct scaling *scaling)
{
    if (scaling->kappa <= 0)
        return INFINITY;
    return scaling->sigma >= 1 ? 1 : sqrt((1 - scaling->sigma) / scaling->kappa);
}

size_t scaling_knee(const double *x, const double *y, size_t count)
{
    size_t top = 0;
    size_t knee = count;
    double farthest = 0.05; /* Less of a bend is noise. */

    for (size_t i = 1; i < count; i++) {
        if (y[i] > y[top])
            top = i;
    }
    if (count < 3 || top == 0 || y[top] <= y[0])
        return count;
    for (size_t i = 1; i <= top; i++) {
        double along = (x[i] - x[0]) / (x[top] - x[0]);
        double up = (y[i] - y[0]) / (y[top] - y[0]);
        if (up - along > farthest) {
            farthest = up - along;
            knee = i;
        }
    }
    return knee;
}
