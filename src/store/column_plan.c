/* SPDX-License-Identifier: Apache-2.0 */
/* Which coding is shortest for these residuals, and with which parameters.
 *
 * One pass counts how wide the residuals are around their median, which is enough to choose the
 * shift of Rice codes and to guess that of Huffman's buckets. Sizes of the candidates are then
 * computed, not guessed, before one is taken. */
#include "store/column_token.h"

#include <math.h>

#define HUFFMAN_ROWS   48  /* Below, the lengths cost more than they save. */
#define FINE_ROWS      512 /* Below, the finest buckets are too many. */
#define MEDIAN_SAMPLES 63

int64_t residual_median(int64_t *values, size_t count)
{
    size_t low = 0;
    size_t high = count - 1;
    size_t middle = count / 2;

    while (low < high) { /* Hoare's selection: throw away the side without the middle. */
        int64_t pivot = values[low + (high - low) / 2];
        size_t i = low;
        size_t j = high;

        for (;;) {
            int64_t swap;

            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            swap = values[i];
            values[i++] = values[j];
            values[j--] = swap;
        }
        if (middle <= j)
            high = j;
        else
            low = j + 1;
    }
    return values[middle];
}

/* Near enough: the median of a few, evenly spread. */
static int64_t median_near(const int64_t *values, size_t count)
{
    int64_t some[MEDIAN_SAMPLES];
    size_t samples = count < MEDIAN_SAMPLES ? count : MEDIAN_SAMPLES;

    for (size_t i = 0; i < samples; i++)
        some[i] = values[i * count / samples];
    return residual_median(some, samples);
}

/* How many values need how many bits. */
struct widths {
    uint32_t counts[65];
    unsigned least, middle, most; /* Of all values. */
};

static void widths_finish(struct widths *widths, size_t count)
{
    uint32_t seen = 0;

    for (widths->least = 0; widths->least < 64 && widths->counts[widths->least] == 0;)
        widths->least++;
    for (widths->most = 64; widths->most > 0 && widths->counts[widths->most] == 0;)
        widths->most--;
    widths->middle = widths->least;
    while (widths->middle < widths->most &&
           (seen += widths->counts[widths->middle]) < (count + 1) / 2)
        widths->middle++;
}

SCAN_CLONES static void widths_count(const int64_t *values, size_t count, int64_t centre,
                                     struct widths *widths)
{
    memset(widths, 0, sizeof *widths);
    for (size_t i = 0; i < count; i++)
        widths->counts[bits_width(zigzag(sub_wrap(values[i], centre)))]++;
    widths_finish(widths, count);
}

/* The size of Rice codes if values were spread evenly within each width. */
static double rice_estimate(const struct widths *widths, unsigned shift)
{
    double bits = 0;

    for (unsigned width = widths->least; width <= widths->most; width++) {
        double each = shift + 1;

        if (width > shift)
            each += width - shift > 5 ? UNARY_MAX + 64
                                      : 1.5 * (double)(1u << (width - 1 - shift)) - 0.5;
        bits += each * widths->counts[width];
    }
    return bits;
}

/* The size has one valley over the shifts, or nearly: walks into it from where half of all values
 * would need no more than one bit of quotient. */
static unsigned rice_shift(const struct widths *widths)
{
    unsigned best = widths->middle < SHIFT_MAX ? widths->middle : SHIFT_MAX;
    double best_bits = rice_estimate(widths, best);
    int direction = -1;

    for (int turn = 0; turn < 2; turn++, direction = 1) {
        unsigned start = best;

        while (direction < 0 ? best > 0 : best < SHIFT_MAX) {
            double bits = rice_estimate(widths, best + (unsigned)direction);

            if (bits >= best_bits)
                break;
            best_bits = bits;
            best += (unsigned)direction;
        }
        if (best != start)
            break;
    }
    return best;
}

static inline uint64_t rice_bits(uint64_t z, unsigned shift)
{
    uint64_t quotient = z >> shift;

    return quotient >= UNARY_MAX ? UNARY_MAX + 64 : quotient + 1 + shift;
}

static void plan_rice(const int64_t *residuals, size_t count, const struct widths *widths,
                      struct residual_plan *plan)
{
    uint64_t bits = 24;

    plan->coding = RESIDUAL_RICE;
    plan->shift = rice_shift(widths);
    for (size_t i = 0; i < count; i++)
        bits += rice_bits(zigzag(sub_wrap(residuals[i], plan->centre)), plan->shift);
    plan->bits = bits;
}

/* The values between the gaps, a spread of them, for their median. */
static int64_t sparse_centre(const int64_t *residuals, size_t count, size_t zeros)
{
    int64_t some[MEDIAN_SAMPLES];
    size_t every = (count - zeros) / MEDIAN_SAMPLES + 1;
    size_t seen = 0;
    size_t taken = 0;

    for (size_t i = 0; i < count && taken < MEDIAN_SAMPLES; i++)
        if (residuals[i] != 0 && seen++ % every == 0)
            some[taken++] = sparse_value(residuals[i]);
    return median_near(some, taken);
}

static void plan_sparse(const int64_t *residuals, size_t count, size_t zeros,
                        struct residual_plan *plan)
{
    struct widths gaps = {.counts = {0}};
    struct widths values = {.counts = {0}};
    uint64_t gap = 0;

    plan->coding = RESIDUAL_SPARSE;
    plan->centre = sparse_centre(residuals, count, zeros);
    for (size_t i = 0; i < count; i++) {
        if (residuals[i] == 0) {
            gap++;
            continue;
        }
        gaps.counts[bits_width(gap)]++;
        values.counts[bits_width(zigzag(sub_wrap(sparse_value(residuals[i]), plan->centre)))]++;
        gap = 0;
    }
    gaps.counts[bits_width(gap)]++;
    widths_finish(&gaps, count - zeros + 1);
    widths_finish(&values, count - zeros);
    plan->gap_shift = rice_shift(&gaps);
    plan->shift = rice_shift(&values);
    plan->bits = 32 + (uint64_t)rice_estimate(&gaps, plan->gap_shift) +
                 (uint64_t)rice_estimate(&values, plan->shift);
}

/* How often each bucket occurs, fine enough to try three shifts without counting again. */
struct buckets {
    unsigned shift;
    uint32_t linear[8 * LINEAR_HALF]; /* q + 4 * LINEAR_HALF */
    uint32_t rise[65];                /* By the width of q … */
    uint32_t fall[65];                /* … and of ~q. */
    int first, last;                  /* Of linear, where there is something. */
};

SCAN_CLONES static void buckets_count(const int64_t *residuals, size_t count, int64_t centre,
                                      struct buckets *buckets)
{
    unsigned shift = buckets->shift;

    for (size_t i = 0; i < count; i++) {
        int64_t q = sub_wrap(residuals[i], centre) >> shift;

        if ((uint64_t)q + 4 * LINEAR_HALF < 8 * LINEAR_HALF)
            buckets->linear[q + 4 * LINEAR_HALF]++;
        else if (q >= 0)
            buckets->rise[bits_width((uint64_t)q)]++;
        else
            buckets->fall[bits_width(~(uint64_t)q)]++;
    }
    buckets->last = 8 * LINEAR_HALF - 1;
    while (buckets->first < buckets->last && buckets->linear[buckets->first] == 0)
        buckets->first++;
    while (buckets->last > buckets->first && buckets->linear[buckets->last] == 0)
        buckets->last--;
}

/* Folds fine buckets into the tokens of a shift that is `coarser` wider. */
static void tokens_count(const struct buckets *buckets, unsigned coarser,
                         uint32_t counts[RESIDUAL_TOKENS])
{
    unsigned shift = buckets->shift + coarser;

    memset(counts, 0, RESIDUAL_TOKENS * sizeof counts[0]);
    for (int i = buckets->first; i <= buckets->last; i++)
        if (buckets->linear[i] > 0)
            counts[token_of((i - 4 * LINEAR_HALF) >> coarser, shift)] += buckets->linear[i];
    for (unsigned width = 8; width <= 64; width++) {
        if (buckets->rise[width] > 0)
            counts[octave_token(width - coarser, false, shift)] += buckets->rise[width];
        if (buckets->fall[width] > 0)
            counts[octave_token(width - coarser, true, shift)] += buckets->fall[width];
    }
}

/* What a good code for these tokens would cost, raw bits and lengths included. No word of a code is
 * shorter than a bit, however common. */
static double tokens_estimate(const uint32_t counts[RESIDUAL_TOKENS], unsigned shift, size_t count)
{
    double bits = 14;
    float count_log2 = log2f((float)count);

    for (unsigned token = 0; token < RESIDUAL_TOKENS; token++) {
        float length;

        if (counts[token] == 0)
            continue;
        length = count_log2 - log2f((float)counts[token]);
        bits += (double)counts[token] *
                (token_raw_bits(token, shift) + (length < 1 ? 1.0 : (double)length));
        bits += 2;
    }
    return bits;
}

struct leaf {
    uint32_t count;
    uint8_t token;
};

static size_t leaves_sort(const uint32_t counts[RESIDUAL_TOKENS],
                          struct leaf leaves[RESIDUAL_TOKENS])
{
    size_t leaves_count = 0;

    for (unsigned token = 0; token < RESIDUAL_TOKENS; token++) {
        size_t i = leaves_count;

        if (counts[token] == 0)
            continue;
        for (; i > 0 && leaves[i - 1].count > counts[token]; i--)
            leaves[i] = leaves[i - 1];
        leaves[i] = (struct leaf){counts[token], (uint8_t)token};
        leaves_count++;
    }
    return leaves_count;
}

/* Lengths of the best prefix code for leaves sorted by count: joins the two rarest until one is
 * left, then walks down from the root. */
static void code_lengths(const struct leaf *leaves, size_t count, uint8_t *depths)
{
    uint32_t sums[RESIDUAL_TOKENS];       /* Of inner nodes, in the order they were made. */
    uint8_t parents[2 * RESIDUAL_TOKENS]; /* Leaves first, then inner nodes. */
    uint8_t inner_depths[RESIDUAL_TOKENS];
    size_t leaf = 0;
    size_t inner = 0;

    MUST(count >= 2 && count <= RESIDUAL_TOKENS);
    for (size_t made = 0; made + 1 < count; made++) {
        sums[made] = 0;
        for (int side = 0; side < 2; side++) {
            if (leaf < count && (inner >= made || leaves[leaf].count <= sums[inner])) {
                sums[made] += leaves[leaf].count;
                parents[leaf++] = (uint8_t)made;
            } else {
                sums[made] += sums[inner];
                parents[count + inner++] = (uint8_t)made;
            }
        }
    }
    inner_depths[count - 2] = 0;
    for (size_t i = count - 2; i-- > 0;)
        inner_depths[i] = (uint8_t)(inner_depths[parents[count + i]] + 1);
    for (size_t i = 0; i < count; i++)
        depths[i] = (uint8_t)(inner_depths[parents[i]] + 1);
}

/* No code longer than RESIDUAL_TABLE_BITS, and none wasted: what was cut is paid by lengthening
 * the rarest that can be, and change is given back to the commonest. */
static void code_limit(uint8_t *depths, size_t count)
{
    const uint32_t whole = 1u << RESIDUAL_TABLE_BITS;
    uint32_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (depths[i] > RESIDUAL_TABLE_BITS)
            depths[i] = RESIDUAL_TABLE_BITS;
        used += whole >> depths[i];
    }
    for (size_t i = 0; used > whole; i = (i + 1) % count)
        if (depths[i] < RESIDUAL_TABLE_BITS) {
            depths[i]++;
            used -= whole >> depths[i];
        }
    while (used < whole)
        for (size_t i = count; i-- > 0;)
            if (depths[i] > 1 && used + (whole >> depths[i]) <= whole) {
                used += whole >> depths[i];
                depths[i]--;
            }
}

static void lengths_make(uint32_t counts[RESIDUAL_TOKENS], uint8_t lengths[RESIDUAL_TOKENS])
{
    struct leaf leaves[RESIDUAL_TOKENS];
    uint8_t depths[RESIDUAL_TOKENS];
    size_t leaves_count = leaves_sort(counts, leaves);

    memset(lengths, 0, RESIDUAL_TOKENS);
    if (leaves_count == 1) { /* A complete code has two words; the second is never used. */
        unsigned other = leaves[0].token == 0 ? 1 : leaves[0].token - 1u;

        lengths[leaves[0].token] = 1;
        lengths[other] = 1;
        return;
    }
    code_lengths(leaves, leaves_count, depths);
    code_limit(depths, leaves_count);
    for (size_t i = 0; i < leaves_count; i++)
        lengths[leaves[i].token] = depths[i];
}

static unsigned step_bits(int step)
{
    return step == 0 ? 1 : step == 1 || step == -1 ? 3 : step == 2 || step == -2 ? 4 : 7;
}

static uint64_t huffman_bits(const struct residual_plan *plan,
                             const uint32_t counts[RESIDUAL_TOKENS])
{
    unsigned first, last;
    int before = START_LENGTH;
    uint64_t bits = 24 + 14;

    tokens_range(plan->lengths, &first, &last);
    for (unsigned token = first; token <= last; token++) {
        bits += step_bits(plan->lengths[token] - before);
        bits +=
            (uint64_t)counts[token] * (plan->lengths[token] + token_raw_bits(token, plan->shift));
        before = plan->lengths[token];
    }
    return bits;
}

static void plan_huffman(const int64_t *residuals, size_t count, const struct widths *widths,
                         struct residual_plan *plan)
{
    struct buckets buckets = {0};
    uint32_t counts[3][RESIDUAL_TOKENS];
    unsigned best = 0;
    double best_bits = 0;

    /* Half of all z fit into `middle` bits: r - c is spread over some 2^(middle + 1). */
    buckets.shift = widths->middle > 5 ? widths->middle - 5 : 0;
    if (buckets.shift > RAW_BITS_MAX - 5)
        buckets.shift = RAW_BITS_MAX - 5;
    buckets_count(residuals, count, plan->centre, &buckets);
    for (unsigned coarser = count < FINE_ROWS ? 1 : 0; coarser < 3; coarser++) {
        double bits;

        tokens_count(&buckets, coarser, counts[coarser]);
        bits = tokens_estimate(counts[coarser], buckets.shift + coarser, count);
        if (best_bits == 0 || bits < best_bits) {
            best = coarser;
            best_bits = bits;
        }
    }
    plan->coding = RESIDUAL_HUFFMAN;
    plan->shift = buckets.shift + best;
    lengths_make(counts[best], plan->lengths);
    plan->bits = huffman_bits(plan, counts[best]);
}

static size_t zeros_count(const int64_t *residuals, size_t count)
{
    size_t zeros = 0;

    for (size_t i = 0; i < count; i++)
        zeros += residuals[i] == 0;
    return zeros;
}

static bool all_equal(const int64_t *residuals, size_t count)
{
    uint64_t differences = 0;

    for (size_t i = 1; i < count; i++)
        differences |= (uint64_t)residuals[i] ^ (uint64_t)residuals[0];
    return differences == 0;
}

void residual_plan(const int64_t *residuals, size_t count, struct residual_plan *ret_plan)
{
    struct residual_plan other;
    struct widths widths;
    int64_t centre;
    size_t zeros;

    MUST(count > 0);
    *ret_plan = (struct residual_plan){.coding = RESIDUAL_NONE, .centre = residuals[0]};
    if (all_equal(residuals, count))
        return;

    centre = median_near(residuals, count);
    ret_plan->centre = centre;
    widths_count(residuals, count, centre, &widths);
    plan_rice(residuals, count, &widths, ret_plan);
    zeros = zeros_count(residuals, count);
    if (zeros > count / 4) {
        other = *ret_plan;
        plan_sparse(residuals, count, zeros, &other);
        if (other.bits < ret_plan->bits)
            *ret_plan = other;
    }
    if (count >= HUFFMAN_ROWS && zeros < count - count / 8) {
        other = (struct residual_plan){.centre = centre};
        plan_huffman(residuals, count, &widths, &other);
        if (other.bits < ret_plan->bits)
            *ret_plan = other;
    }
}
