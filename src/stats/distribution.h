/* SPDX-License-Identifier: Apache-2.0 */
/* distribution - the probabilities that tests and intervals are read off from.
 *
 * `cdf` is the probability of at most x, `sf` that of more than x, computed by itself so that small
 * ones keep their digits: about 1e-13 of the value. Pure; any thread. */
#pragma once

double normal_cdf(double x);
double normal_sf(double x);
double normal_quantile(double p); /* The x with normal_cdf(x) == p; 0 and 1 are infinite. */

double student_sf(double t, double freedom);       /* freedom > 0. */
double student_quantile(double p, double freedom); /* The t with cdf p. */

double beta_cdf(double x, double a, double b);    /* Regularised incomplete beta I_x(a, b). */
double fisher_sf(double f, double d1, double d2); /* Of an F ratio. */
double gamma_sf(double x, double shape);          /* Regularised upper gamma Q(shape, x). */
double chi_square_sf(double x, double freedom);
double binomial_cdf(double k, double n, double p); /* At most k of n. */
double kolmogorov_sf(double x);                    /* The limit of sqrt(n) D. */
