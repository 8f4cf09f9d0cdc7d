/* SPDX-License-Identifier: Apache-2.0 */
#include "query/promql_eval_priv.h"

/* Knuth's exact error of each addition needs no branch; it goes wrong with infinities only, and
 * then all is added again with care. */
void kahan_sum(const double *values, size_t count, double *ret_sum, double *ret_rest)
{
    double sum = 0;
    double rest = 0;

    for (size_t i = 0; i < count; i++) {
        double total = sum + values[i];
        double part = total - sum;
        rest += (sum - (total - part)) + (values[i] - part);
        sum = total;
    }
    if (!isfinite(sum) || !isfinite(rest)) {
        sum = 0;
        rest = 0;
        for (size_t i = 0; i < count; i++)
            kahan_add(values[i], &sum, &rest);
    }
    *ret_sum = sum;
    *ret_rest = rest;
}

void mean_add(struct mean *mean, double value)
{
    mean->count++;
    if (mean->count == 1) {
        mean->sum = value;
        return;
    }
    if (!mean->incremental) {
        double sum = mean->sum;
        double compensation = mean->compensation;
        kahan_add(value, &sum, &compensation);
        if (!isinf(sum)) {
            mean->sum = sum;
            mean->compensation = compensation;
            return;
        }
        /* The sum would overflow; from here on the mean itself is updated. */
        mean->incremental = true;
        mean->mean = mean->sum / (mean->count - 1);
        mean->compensation /= mean->count - 1;
    }
    if (isinf(mean->mean)) {
        if (isinf(value) && (mean->mean > 0) == (value > 0))
            return;
        if (isfinite(value))
            return;
    }
    double share = (mean->count - 1) / mean->count;
    double compensation = share * mean->compensation;
    double scaled = share * mean->mean;
    kahan_add(value / mean->count, &scaled, &compensation);
    mean->mean = scaled;
    mean->compensation = compensation;
}

double mean_result(const struct mean *mean)
{
    if (mean->incremental)
        return mean->mean + mean->compensation;
    return mean->sum / mean->count + mean->compensation / mean->count;
}

/* NaN stands below everything. */
static bool is_below(double a, double b)
{
    return a < b || (isnan(a) && !isnan(b));
}

static void swap(double *a, double *b)
{
    double kept = *a;

    *a = *b;
    *b = kept;
}

/* Hoare's selection: afterwards values[rank] is what sorting would put there, smaller ones stand
 * before it and larger ones behind. */
static void select_rank(double *values, size_t count, size_t rank)
{
    size_t low = 0;
    size_t high = count - 1;

    while (low < high) {
        double pivot = values[low + (high - low) / 2];
        size_t i = low;
        size_t j = high;
        for (;;) {
            while (is_below(values[i], pivot))
                i++;
            while (is_below(pivot, values[j]))
                j--;
            if (i >= j)
                break;
            swap(&values[i++], &values[j--]);
        }
        /* All up to j are not above the pivot, all behind are not below. */
        if (rank <= j)
            high = j;
        else
            low = j + 1;
    }
}

double quantile_of(double *values, size_t count, double quantile)
{
    if (count == 0 || isnan(quantile))
        return (double)NAN;
    if (quantile < 0)
        return -(double)INFINITY;
    if (quantile > 1)
        return (double)INFINITY;
    double rank = quantile * ((double)count - 1);
    size_t lower = (size_t)fmax(0, floor(rank));
    double weight = rank - floor(rank);
    select_rank(values, count, lower);
    double low = values[lower];
    double high = low;
    if (lower + 1 < count) {
        high = values[lower + 1];
        for (size_t i = lower + 2; i < count; i++)
            if (is_below(values[i], high))
                high = values[i];
    }
    return low * (1 - weight) + high * weight;
}
