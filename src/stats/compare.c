/* SPDX-License-Identifier: Apache-2.0 */
/* Mann and Whitney by merging: both samples are sorted, then one walk over both counts, for each
 * distinct value, how many of a and of b hold it. From those counts come U and the tie correction
 * without ranking anything.
 *
 * The exact distribution, ties or not, counts subsets. Under the null every choice of a_count
 * places out of all is as likely, so p is the share of choices whose sum of midranks is at least as
 * extreme. ways[k][s] = choices of k places with (doubled) rank sum s, filled place by place; it
 * costs places * k * s. COMPARE_EXACT_WORK bounds that. Counts are kept as probabilities' weights
 * in doubles: all are added, none subtracted, so every digit holds. */
#include "stats/compare.h"
#include "base/must.h"
#include "stats/array.h"
#include "stats/distribution.h"

#include <assert.h>
#include <math.h>

#define COMPARE_EXACT_WORK 2e8
#define COMPARE_EXACT_MAX  8   /* Of the smaller sample, for COMPARE_AUTO, as scipy has it. */
#define KS_EXACT_WORK      1e8 /* Cells. */

const char *compare_method_name(enum compare_method method)
{
    return method == COMPARE_EXACT ? "exact" : method == COMPARE_NORMAL ? "normal" : "auto";
}

/* ---- Mann-Whitney. ---- */

struct merged {
    double u;    /* Pairs with a above b, ties half. */
    double ties; /* Sum of t^3 - t over groups of equal values. */
};

static size_t run_of(const double *sorted, size_t count, size_t at)
{
    size_t run = 1;

    while (at + run < count && sorted[at + run] == sorted[at])
        run++;
    return run;
}

static double tie_term(size_t equal)
{
    double t = (double)equal;

    return t * (t * t - 1);
}

/* Which side comes next is a coin toss that no processor foresees, so single distinct values are
 * stepped over without a branch; runs of equal ones are counted as a whole. */
static struct merged merge(const double *a, size_t a_count, const double *b, size_t b_count)
{
    struct merged merged = {0};
    uint64_t before = 0; /* Pairs with a above b, of the single steps. */
    size_t i = 0;
    size_t j = 0;

    while (i < a_count || j < b_count) {
        bool single = i + 1 < a_count && j + 1 < b_count &&
                      (a[i] != b[j]) & (a[i + 1] != a[i]) & (b[j + 1] != b[j]);
        if (single) {
            bool is_a = a[i] < b[j];
            before += is_a ? j : 0;
            i += is_a;
            j += !is_a;
            continue;
        }
        bool has_a = i < a_count && (j == b_count || a[i] <= b[j]);
        bool has_b = j < b_count && (i == a_count || b[j] <= a[i]);
        size_t in_a = has_a ? run_of(a, a_count, i) : 0;
        size_t in_b = has_b ? run_of(b, b_count, j) : 0;
        merged.u += (double)in_a * ((double)j + 0.5 * (double)in_b);
        merged.ties += tie_term(in_a + in_b);
        i += in_a;
        j += in_b;
    }
    merged.u += (double)before;
    return merged;
}

/* Doubled midranks of all values, ascending. */
static void midranks(const double *sorted, size_t count, size_t *ret_ranks)
{
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && sorted[end] == sorted[i];)
            end++;
        for (size_t k = i; k < end; k++)
            ret_ranks[k] = i + end + 1;
    }
}

/* The two tails of the smaller sample's rank sum, weighed by all choices. */
static double exact_p(const double *small, size_t small_count, const double *large,
                      size_t large_count, double small_u)
{
    size_t all = small_count + large_count;
    size_t sums = 2 * small_count * all + 1;
    double *pool CLEANUP(array_freep) = array_new(all);
    double *rank_memory CLEANUP(array_freep) = array_new(all);
    double *ways CLEANUP(array_freep) = array_new((small_count + 1) * sums);
    size_t *ranks = (size_t *)(void *)rank_memory; /* No wider than a double. */

    static_assert(sizeof(size_t) <= sizeof(double), "ranks fit");
    for (size_t i = 0; i < all; i++)
        pool[i] = i < small_count ? small[i] : large[i - small_count];
    array_sort(pool, all);
    midranks(pool, all, ranks);
    ways[0] = 1;
    for (size_t i = 0; i < all; i++) {
        size_t most = i + 1 < small_count ? i + 1 : small_count;
        for (size_t k = most; k >= 1; k--) {
            const double *from = ways + (k - 1) * sums;
            double *to = ways + k * sums;
            size_t reach = 2 * k * ranks[i] < sums ? k * ranks[i] + 1 : sums;
            for (size_t s = ranks[i]; s < reach; s++)
                to[s] += from[s - ranks[i]];
        }
    }
    /* U = rank sum - k (k + 1) / 2; doubled, a whole number. */
    size_t at = (size_t)(2 * small_u + 0.5) + small_count * (small_count + 1);
    const double *last = ways + small_count * sums;
    double below = 0;
    double above = 0;
    double total = 0;
    for (size_t s = 0; s < sums; s++) {
        total += last[s];
        below += s <= at ? last[s] : 0;
        above += s >= at ? last[s] : 0;
    }
    return fmin(1, 2 * fmin(below, above) / total);
}

static bool exact_affordable(size_t small, size_t all)
{
    return (double)all * (double)small * (double)small * 2 * (double)all <= COMPARE_EXACT_WORK;
}

struct mann_whitney compare_mann_whitney_sorted(const double *a, size_t a_count, const double *b,
                                                size_t b_count, enum compare_method method)
{
    struct merged merged = merge(a, a_count, b, b_count);
    double pairs = (double)a_count * (double)b_count;
    double all = (double)a_count + (double)b_count;
    struct mann_whitney result = {.u = merged.u, .method = COMPARE_NORMAL, .p = NAN};

    if (a_count == 0 || b_count == 0)
        return result;
    double variance = pairs / 12 * ((all + 1) - merged.ties / (all * (all - 1)));
    double off = pairs / 2 - merged.u; /* Positive: b is larger. */
    double distance = fabs(off) - 0.5;
    result.cliff = 2 * off / pairs;
    if (variance > 0) {
        result.p = fmin(1, 2 * normal_sf(distance / sqrt(variance)));
        result.z = copysign(fmax(distance, 0), off) / sqrt(variance);
    } else {
        result.p = 1; /* All values are equal. */
    }
    size_t small = a_count < b_count ? a_count : b_count;
    bool wanted = method == COMPARE_EXACT || (method == COMPARE_AUTO && small <= COMPARE_EXACT_MAX);
    if (!wanted || !exact_affordable(small, a_count + b_count))
        return result;
    result.method = COMPARE_EXACT;
    result.p = a_count <= b_count ? exact_p(a, a_count, b, b_count, merged.u)
                                  : exact_p(b, b_count, a, a_count, pairs - merged.u);
    return result;
}

struct mann_whitney compare_mann_whitney(const double *a, size_t a_count, const double *b,
                                         size_t b_count, enum compare_method method)
{
    double *sorted_a CLEANUP(array_freep) = array_sorted(a, a_count);
    double *sorted_b CLEANUP(array_freep) = array_sorted(b, b_count);

    return compare_mann_whitney_sorted(sorted_a, a_count, sorted_b, b_count, method);
}

double compare_p_min(size_t a_count, size_t b_count)
{
    double choices = 1; /* a_count + b_count over a_count. */

    for (size_t i = 1; i <= a_count && choices < 1e300; i++)
        choices *= (double)(b_count + i) / (double)i;
    return fmin(1, 2 / choices);
}

/* ---- Welch. ---- */

struct welch compare_welch(const double *a, size_t a_count, const double *b, size_t b_count)
{
    if (a_count < 2 || b_count < 2)
        return (struct welch){NAN, NAN, NAN};
    double a_part = describe_variance(a, a_count) / (double)a_count;
    double b_part = describe_variance(b, b_count) / (double)b_count;
    double difference = describe_mean(b, b_count) - describe_mean(a, a_count);
    double sum = a_part + b_part;
    if (!(sum > 0)) /* Two constants: either equal or certainly not. */
        return (struct welch){difference == 0 ? 0 : copysign(INFINITY, difference), NAN,
                              difference == 0 ? 1 : 0};
    double t = difference / sqrt(sum);
    double freedom =
        sum * sum /
        (a_part * a_part / (double)(a_count - 1) + b_part * b_part / (double)(b_count - 1));
    return (struct welch){t, freedom, fmin(1, 2 * student_sf(fabs(t), freedom))};
}

/* ---- Kolmogorov-Smirnov. ---- */

/* The largest |i * b_count - j * a_count|, exact in integers. */
static uint64_t widest_distance(const double *a, size_t a_count, const double *b, size_t b_count)
{
    uint64_t widest = 0;
    size_t i = 0;
    size_t j = 0;

    while (i < a_count && j < b_count) {
        double here = a[i] < b[j] ? a[i] : b[j];
        while (i < a_count && a[i] == here)
            i++;
        while (j < b_count && b[j] == here)
            j++;
        uint64_t x = (uint64_t)i * b_count;
        uint64_t y = (uint64_t)j * a_count;
        uint64_t distance = x > y ? x - y : y - x;
        widest = distance > widest ? distance : widest;
    }
    return widest;
}

/* Hodges (1957): walk the lattice of how many of a and of b have been seen; what leaves the band is
 * lost. outside[j] is the chance that a walk through (i, j) left it on its way there. */
static double lattice_p(size_t a_count, size_t b_count, uint64_t widest)
{
    double *outside CLEANUP(array_freep) = array_new(b_count + 1);

    for (size_t i = 0; i <= a_count; i++) {
        for (size_t j = 0; j <= b_count; j++) {
            uint64_t x = (uint64_t)i * b_count;
            uint64_t y = (uint64_t)j * a_count;
            double left = i == 0 ? 0 : outside[j];
            double lower = j == 0 ? 0 : outside[j - 1];
            double steps = (double)(i + j);
            if ((x > y ? x - y : y - x) >= widest && steps > 0)
                outside[j] = 1;
            else
                outside[j] = steps == 0 ? 0 : ((double)i * left + (double)j * lower) / steps;
        }
    }
    return outside[b_count];
}

struct kolmogorov_smirnov compare_kolmogorov_smirnov(const double *a, size_t a_count,
                                                     const double *b, size_t b_count)
{
    struct kolmogorov_smirnov result = {NAN, NAN, COMPARE_EXACT};
    double *sorted_a CLEANUP(array_freep) = array_sorted(a, a_count);
    double *sorted_b CLEANUP(array_freep) = array_sorted(b, b_count);
    double pairs = (double)a_count * (double)b_count;

    if (a_count == 0 || b_count == 0)
        return result;
    uint64_t widest = widest_distance(sorted_a, a_count, sorted_b, b_count);
    result.d = (double)widest / pairs;
    if (widest == 0) {
        result.p = 1;
    } else if (pairs <= KS_EXACT_WORK) {
        result.p = lattice_p(a_count, b_count, widest);
    } else {
        result.method = COMPARE_NORMAL; /* The limit of many values. */
        result.p = kolmogorov_sf(result.d * sqrt(pairs / (double)(a_count + b_count)));
    }
    return result;
}

/* ---- Many metrics. ---- */

void compare_adjust(const double *p, size_t count, double *ret_adjusted)
{
    double *sorted CLEANUP(array_freep) = array_copy(p, count);
    size_t tests = array_keep_numbers(sorted, count);
    double least = 1;

    array_sort(sorted, tests);
    /* From the largest on: p * tests / rank, never above what a larger p came to. */
    double *scaled CLEANUP(array_freep) = array_new(tests);
    for (size_t rank = tests; rank >= 1; rank--) {
        least = fmin(least, sorted[rank - 1] * (double)tests / (double)rank);
        scaled[rank - 1] = least;
    }
    for (size_t i = 0; i < count; i++) {
        size_t low = 0;
        size_t high = tests;
        while (low < high) { /* The last of those equal to p. */
            size_t middle = (low + high) / 2;
            if (sorted[middle] <= p[i])
                low = middle + 1;
            else
                high = middle;
        }
        ret_adjusted[i] = isnan(p[i]) ? NAN : scaled[low - 1];
    }
}

/* Noether's count for the Mann-Whitney test on normal-like scatter: that of the t test over its
 * efficiency, 3 / pi. */
double compare_runs_needed(double shift, double deviation, double alpha, double power)
{
    double z = normal_quantile(1 - alpha / 2) + normal_quantile(power);
    double ratio = deviation / fabs(shift);

    return ceil(fmax(2 * z * z * ratio * ratio * M_PI / 3, 4));
}
