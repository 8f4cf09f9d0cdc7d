/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a duration is its leading eight bits under a shift: durations below 128 ns stand for
 * themselves; from there each octave [2^k, 2^(k+1)) is cut into 128 equal pieces.
 *
 *     index = (shift << 7) + (duration >> shift),  duration >> shift in 128 … 255
 */
#include "load/histogram.h"

#include <math.h>

int64_t histogram_lower_ns(size_t index)
{
    if (index < 2 * HISTOGRAM_SUB)
        return (int64_t)index;
    size_t shift = (index >> HISTOGRAM_SUB_BITS) - 1;
    return (int64_t)((index & (HISTOGRAM_SUB - 1)) + HISTOGRAM_SUB) << shift;
}

int64_t histogram_upper_ns(size_t index)
{
    return histogram_lower_ns(index + 1);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    int64_t max_ns = COUNTER_GET(from->max_ns);

    into->count += COUNTER_GET(from->count);
    into->sum_ns += COUNTER_GET(from->sum_ns);
    if (max_ns > into->max_ns)
        into->max_ns = max_ns;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = COUNTER_GET(from->counts[i]);
        if (count > 0) /* Pages of zeros stay untouched, and so cost nothing. */
            into->counts[i] += count;
    }
}

uint64_t histogram_drain(const struct histogram *live, struct histogram *seen,
                         struct histogram *into)
{
    uint64_t found = 0;
    uint64_t sum_ns = COUNTER_GET(live->sum_ns);
    size_t highest = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = COUNTER_GET(live->counts[i]);
        uint64_t fresh = count - seen->counts[i];
        if (fresh == 0)
            continue;
        seen->counts[i] = count;
        found += fresh;
        highest = i;
        if (into != NULL)
            into->counts[i] += fresh;
    }
    if (into != NULL && found > 0) {
        int64_t max_ns = COUNTER_GET(live->max_ns);
        int64_t top_ns = histogram_upper_ns(highest) - 1;
        into->count += found;
        into->sum_ns += sum_ns - seen->sum_ns;
        /* The largest ever, when it may be of this drain; else the end of the highest bucket. */
        top_ns = max_ns < top_ns ? max_ns : top_ns;
        if (top_ns > into->max_ns)
            into->max_ns = top_ns;
    }
    seen->count += found;
    seen->sum_ns = sum_ns;
    return found;
}

void histogram_clear(struct histogram *histogram)
{
    histogram->count = histogram->sum_ns = 0;
    histogram->max_ns = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->counts[i] > 0)
            histogram->counts[i] = 0;
    }
}

static double middle_of(const struct histogram *histogram, size_t index)
{
    double lower = (double)histogram_lower_ns(index);
    double upper = (double)histogram_upper_ns(index);
    double middle = index < 2 * HISTOGRAM_SUB ? lower : (lower + upper) / 2;

    return middle > (double)histogram->max_ns ? (double)histogram->max_ns : middle;
}

double histogram_at(const struct histogram *histogram, double q)
{
    uint64_t passed = 0;
    size_t last = 0;

    if (histogram->count == 0)
        return NAN;
    if (q >= 1)
        return (double)histogram->max_ns;
    /* The smallest bucket at whose end a share q has passed. */
    double wanted = ceil((q < 0 ? 0 : q) * (double)histogram->count);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->counts[i] == 0)
            continue;
        last = i;
        passed += histogram->counts[i];
        if ((double)passed >= wanted)
            break;
    }
    return middle_of(histogram, last);
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? NAN : (double)histogram->sum_ns / (double)histogram->count;
}

double histogram_deviation(const struct histogram *histogram)
{
    double mean = histogram_mean(histogram);
    double squares = 0;

    if (histogram->count == 0)
        return NAN;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->counts[i] > 0) {
            double distance = middle_of(histogram, i) - mean;
            squares += distance * distance * (double)histogram->counts[i];
        }
    }
    return sqrt(squares / (double)histogram->count);
}

double histogram_share_within(const struct histogram *histogram, int64_t bound_ns)
{
    double within = 0;

    if (histogram->count == 0)
        return NAN;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS && histogram_lower_ns(i) <= bound_ns; i++) {
        double lower = (double)histogram_lower_ns(i);
        double upper = (double)histogram_upper_ns(i);
        /* The bucket that holds the bound counts in proportion. */
        double share = ((double)bound_ns + 1 - lower) / (upper - lower);
        within += (double)histogram->counts[i] * (share > 1 ? 1 : share);
    }
    return within / (double)histogram->count;
}
