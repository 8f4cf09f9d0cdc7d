/* SPDX-License-Identifier: Apache-2.0 */
/* The normal comes from libm's erfc. The t, F and binomial come from one incomplete beta: a
 * prefactor x^a y^b / B(a, b) times a continued fraction (DLMF 8.17.22).
 *
 * The prefactor is where digits are usually lost: with a of a million, log-gammas of ten million
 * are subtracted. Written around the mean instead (C. Loader, "Fast and accurate computation of
 * binomial probabilities"), with Stirling's formula and its correction delta(z) = log gamma(z) -
 * ((z - 1/2) log z - z + log(2 pi) / 2), the large terms cancel on paper:
 *     log = a p(u) + b p(v) + log(ab / (2 pi (a + b))) / 2 + delta(a + b) - delta(a) - delta(b)
 * where u and v are the relative distances of x and y from a/(a+b) and b/(a+b), and
 * p(u) = log(1 + u) - u. */
#include "stats/distribution.h"
#include "base/must.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

#define LOG_SQRT_2PI   0.91893853320467274178
#define FRACTION_STEPS 1000000 /* Some sqrt(a) are needed. */
#define TINY           1e-300

/* ---- Normal. ---- */

double normal_sf(double x)
{
    return 0.5 * erfc(x * M_SQRT1_2);
}

double normal_cdf(double x)
{
    return normal_sf(-x);
}

/* A rough guess (Hastings, 1955; 4.5e-4 off), then Halley's steps on the accurate tail. Each step
 * triples the digits. */
double normal_quantile(double p)
{
    double tail = p < 0.5 ? p : 1 - p;

    if (!(p > 0 && p < 1))
        return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    double s = sqrt(-2 * log(tail));
    double x = s - (2.515517 + s * (0.802853 + s * 0.010328)) /
                       (1 + s * (1.432788 + s * (0.189269 + s * 0.001308)));
    for (int i = 0; i < 4; i++) {
        double excess = (normal_sf(x) - tail) / (exp(-0.5 * x * x - LOG_SQRT_2PI));
        x += excess / (1 - 0.5 * x * excess);
    }
    return p < 0.5 ? -x : x;
}

/* ---- Incomplete beta. ---- */

static double log_gamma(double z)
{
    int sign;

    return lgamma_r(z, &sign);
}

/* Stirling's correction. Its series is good to 1e-17 from 12 on. */
static double stirling_delta(double z)
{
    if (z < 12)
        return log_gamma(z) - ((z - 0.5) * log(z) - z + LOG_SQRT_2PI);
    double w = 1 / (z * z);
    return (1.0 / 12 -
            w * (1.0 / 360 -
                 w * (1.0 / 1260 - w * (1.0 / 1680 - w * (1.0 / 1188 - w * (691.0 / 360360 -
                                                                            w * (1.0 / 156))))))) /
           z;
}

/* log(1 + u) - u without cancellation near 0. */
static double log1p_less(double u)
{
    if (fabs(u) > 0.3)
        return log1p(u) - u;
    /* log(1 + u) = 2 atanh(s), s = u / (2 + u); and u = 2 s + s u. */
    double s = u / (2 + u);
    double square = s * s;
    double sum = 0;
    for (int k = 33; k >= 3; k -= 2)
        sum = sum * square + 2.0 / k;
    return s * (square * sum - u);
}

/* log(x^a y^b / B(a, b)); x + y == 1, both given for their digits. */
static double log_beta_kernel(double x, double y, double a, double b)
{
    double distance = x * b - y * a;

    return a * log1p_less(distance / a) + b * log1p_less(-distance / b) +
           0.5 * log(a * (b / (a + b))) - LOG_SQRT_2PI + stirling_delta(a + b) - stirling_delta(a) -
           stirling_delta(b);
}

/* Lentz' evaluation; converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double a, double b)
{
    double c = 1;
    double d = 1 - (a + b) * x / (a + 1);

    d = 1 / (fabs(d) < TINY ? TINY : d);
    double product = d;
    for (int m = 1; m < FRACTION_STEPS; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = fabs(c) < TINY ? TINY : c;
        product *= c * d;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = fabs(c) < TINY ? TINY : c;
        product *= c * d;
        if (fabs(c * d - 1) < DBL_EPSILON / 2)
            break;
    }
    return product;
}

/* For b <= 1 and x near 1 the fraction above starts with a difference of near equals. Euler's
 * transformation turns it into 2F1(1 - b, 1; a + 1; -x/y) / y, whose fraction has positive terms
 * only (DLMF 15.7.1). */
static double beta_fraction_positive(double x, double y, double a, double b)
{
    double z = x / y;
    double c = 1;
    double d = 0;
    double product = 1;

    for (int n = 0; n < FRACTION_STEPS; n++) {
        double odd = (1 - b + n) * (a + n) / ((a + 2.0 * n) * (a + 1 + 2.0 * n)) * z;
        d = 1 / (1 + odd * d);
        c = 1 + odd / c;
        product *= c * d;
        double even = (n + 1) * (a + b + n) / ((a + 1 + 2.0 * n) * (a + 2 + 2.0 * n)) * z;
        d = 1 / (1 + even * d);
        c = 1 + even / c;
        product *= c * d;
        if (fabs(c * d - 1) < DBL_EPSILON / 2)
            break;
    }
    return 1 / (product * y);
}

/* I_x(a, b), with y = 1 - x given apart. */
static double beta_both(double x, double y, double a, double b)
{
    if (x <= 0)
        return 0;
    if (y <= 0)
        return 1;
    double kernel = exp(log_beta_kernel(x, y, a, b));
    if (x <= (a + 1) / (a + b + 2))
        return kernel / a * (b <= 1 ? beta_fraction_positive(x, y, a, b) : beta_fraction(x, a, b));
    return 1 - kernel / b * beta_fraction(y, b, a);
}

double beta_cdf(double x, double a, double b)
{
    return beta_both(x, 1 - x, a, b);
}

double student_sf(double t, double freedom)
{
    if (isinf(freedom))
        return normal_sf(t);
    if (isinf(t))
        return t > 0 ? 0 : 1;
    double square = t * t;
    double tail = 0.5 * beta_both(freedom / (freedom + square), square / (freedom + square),
                                  freedom / 2, 0.5);
    return t >= 0 ? tail : 1 - tail;
}

/* Bisection: the tail falls all the way. */
double student_quantile(double p, double freedom)
{
    double tail = p < 0.5 ? p : 1 - p;
    double low = 0;
    double high = 1;

    if (!(p > 0 && p < 1))
        return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    while (student_sf(high, freedom) > tail && high < 1e300)
        high *= 2;
    for (int i = 0; i < 200 && high - low > DBL_EPSILON * high; i++) {
        double middle = 0.5 * (low + high);
        if (student_sf(middle, freedom) > tail)
            low = middle;
        else
            high = middle;
    }
    return p < 0.5 ? -high : high;
}

double fisher_sf(double f, double d1, double d2)
{
    if (f <= 0)
        return 1;
    double sum = d2 + d1 * f;
    return beta_both(d2 / sum, d1 * f / sum, d2 / 2, d1 / 2);
}

double binomial_cdf(double k, double n, double p)
{
    if (k < 0)
        return 0;
    if (k >= n)
        return 1;
    return beta_both(1 - p, p, n - floor(k), floor(k) + 1);
}

/* ---- Gamma. ---- */

/* log(x^a e^-x / gamma(a)), the same trick with one variable. */
static double log_gamma_kernel(double x, double a)
{
    return a * log1p_less((x - a) / a) + 0.5 * log(a) - LOG_SQRT_2PI - stirling_delta(a);
}

double gamma_sf(double x, double shape)
{
    if (x <= 0)
        return 1;
    if (isinf(x))
        return 0;
    double kernel = exp(log_gamma_kernel(x, shape));
    if (x < shape + 1) { /* DLMF 8.7.1: a series for the lower part. */
        double term = 1 / shape;
        double sum = term;
        for (int n = 1; n < FRACTION_STEPS && term > sum * DBL_EPSILON / 4; n++) {
            term *= x / (shape + n);
            sum += term;
        }
        return 1 - kernel * sum;
    }
    double b = x + 1 - shape; /* DLMF 8.9.2: a continued fraction for the upper. */
    double c = 1 / TINY;
    double d = 1 / b;
    double product = d;
    for (int n = 1; n < FRACTION_STEPS; n++) {
        double an = -n * (n - shape);
        b += 2;
        d = an * d + b;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = b + an / c;
        c = fabs(c) < TINY ? TINY : c;
        product *= c * d;
        if (fabs(c * d - 1) < DBL_EPSILON / 2)
            break;
    }
    return kernel * product;
}

double chi_square_sf(double x, double freedom)
{
    return gamma_sf(x / 2, freedom / 2);
}

/* Two series of the same theta function, each where it converges at once. */
double kolmogorov_sf(double x)
{
    double sum = 0;

    if (x <= 0)
        return 1;
    if (x < 0.82) {
        double v = exp(-M_PI * M_PI / (8 * x * x));
        for (int k = 7; k >= 1; k -= 2)
            sum += pow(v, (double)k * k);
        return 1 - sqrt(2 * M_PI) / x * sum;
    }
    for (int k = 12; k >= 1; k--)
        sum += (k % 2 == 1 ? 2 : -2) * exp(-2.0 * k * k * x * x);
    return sum;
}
