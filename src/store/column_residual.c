/* SPDX-License-Identifier: Apache-2.0 */
/* Residuals r are first brought near zero by a centre c, their median. Then one of:
 *
 *   NONE     Nothing is written: every r is c.
 *
 *   RICE     z = zigzag(r - c), in two parts:
 *            | z >> shift ones | 0 | low `shift` bits of z |
 *            or, where 24 ones would not do:
 *            | 24 ones | z as 64 bits |
 *
 *   SPARSE   For series that rest: | gap | value | gap | value | … | gap |
 *            A gap is a number of zero residuals, Rice by gap_shift. A value is never zero, so the
 *            positive ones are moved down by one before Rice by shift. The last gap reaches the
 *            end of the lane, where no value follows; none is written when the lane is full.
 *
 *   HUFFMAN  q = (r - c) >> shift is a bucket of equal width. Its token and the rest:
 *
 *              token    0 … 9      10 … 73     74 … 83         84
 *              q        falls      -32 … 31    rises           anything
 *                       octaves                octaves
 *            | code of the token | raw bits |
 *
 *            Octave j holds q from 32 << j to (64 << j) - 1, and its mirror image below zero;
 *            5 + j bits more say which. Token 84 is followed by r - c as 64 bits. Equal widths fit
 *            skewed and two-humped shapes as well as bells; shift is such that some 30 buckets
 *            are in use. Codes are canonical, at most 10 bits, first bit lowest.
 *
 * Before the first lane HUFFMAN writes its code lengths:
 *            | first token, 7 | last token, 7 | the length of each token between them |
 *            as steps from the length before (starting at 5):
 *            0: "0"   +1: "100"   -1: "101"   +2: "1100"   -2: "1101"   else "111" and 4 bits
 *            ("111" is "1", "1", "1" in the order of the stream).
 *
 * Head bytes: centre (zigzag varint), shift, gap_shift (SPARSE only). NONE: the centre alone. */
#include "store/column_residual.h"

#include <math.h>

#define UNARY_MAX      24
#define SHIFT_MAX      56
#define LINEAR_HALF    32 /* Buckets of equal width on either side. */
#define OCTAVES        10
#define TOKEN_LINEAR   OCTAVES
#define TOKEN_RISE     (OCTAVES + 2 * LINEAR_HALF)
#define TOKEN_FAR      (TOKEN_RISE + OCTAVES)
#define RAW_BITS_MAX   46 /* A code and its raw bits come from one peek. */
#define HUFFMAN_ROWS   48 /* Below, the lengths cost more than they save. */
#define MEDIAN_SAMPLES 63
#define START_LENGTH   5

_Static_assert(TOKEN_FAR + 1 == RESIDUAL_TOKENS, "tokens and their table agree");
_Static_assert(RESIDUAL_TABLE_BITS + RAW_BITS_MAX < BITS_PEEK, "one peek sees a whole token");

/* Wrapping arithmetic: residuals may use all 64 bits. */
static inline int64_t sub_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline int64_t add_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* Never zero in, any number out; the inverse is sparse_residual. */
static inline int64_t sparse_value(int64_t residual)
{
    return residual > 0 ? residual - 1 : residual;
}

static inline int64_t sparse_residual(int64_t value)
{
    return value >= 0 ? add_wrap(value, 1) : value;
}

/* ---- choosing ---- */

/* Near enough: the median of a few, evenly spread. */
static int64_t median_near(const int64_t *values, size_t count)
{
    int64_t sorted[MEDIAN_SAMPLES];
    size_t samples = count < MEDIAN_SAMPLES ? count : MEDIAN_SAMPLES;

    for (size_t i = 0; i < samples; i++) {
        int64_t value = values[i * count / samples];
        size_t j = i;

        for (; j > 0 && sorted[j - 1] > value; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = value;
    }
    return sorted[samples / 2];
}

struct widths {
    uint32_t counts[65];
};

BITS_CLONES static void widths_count(const int64_t *values, size_t count, int64_t centre,
                                     struct widths *widths)
{
    memset(widths, 0, sizeof *widths);
    for (size_t i = 0; i < count; i++)
        widths->counts[bits_width(zigzag(sub_wrap(values[i], centre)))]++;
}

/* The size of Rice codes if values were spread evenly within each width. */
static double rice_estimate(const struct widths *widths, unsigned shift)
{
    double bits = 0;

    for (unsigned width = 0; width <= 64; width++) {
        double each = shift + 1;

        if (widths->counts[width] == 0)
            continue;
        if (width > shift)
            each += width - shift > 5 ? UNARY_MAX + 64
                                      : 1.5 * (double)(1u << (width - 1 - shift)) - 0.5;
        bits += each * widths->counts[width];
    }
    return bits;
}

static unsigned rice_shift(const struct widths *widths)
{
    unsigned best = 0;
    double best_bits = rice_estimate(widths, 0);

    for (unsigned shift = 1; shift <= SHIFT_MAX; shift++) {
        double bits = rice_estimate(widths, shift);

        if (bits < best_bits) {
            best_bits = bits;
            best = shift;
        }
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
    struct widths gaps = {{0}};
    struct widths values = {{0}};
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
};

BITS_CLONES static void buckets_count(const int64_t *residuals, size_t count, int64_t centre,
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
}

/* The token of a bucket beyond the linear ones; far when an octave would need too many bits. */
static unsigned octave_token(unsigned width, bool falls, unsigned shift)
{
    unsigned octave = width - 6;

    if (octave >= OCTAVES || 5 + octave + shift > RAW_BITS_MAX)
        return TOKEN_FAR;
    return falls ? OCTAVES - 1 - octave : TOKEN_RISE + octave;
}

static unsigned token_of(int64_t q, unsigned shift)
{
    if ((uint64_t)q + LINEAR_HALF < 2 * LINEAR_HALF)
        return (unsigned)(q + LINEAR_HALF + TOKEN_LINEAR);
    if (q >= 0)
        return octave_token(bits_width((uint64_t)q), false, shift);
    return octave_token(bits_width(~(uint64_t)q), true, shift);
}

static unsigned token_raw_bits(unsigned token, unsigned shift)
{
    if (token == TOKEN_FAR)
        return 64;
    if (token >= TOKEN_RISE)
        return shift + 5 + token - TOKEN_RISE;
    if (token < TOKEN_LINEAR)
        return shift + 5 + OCTAVES - 1 - token;
    return shift;
}

/* The bucket at which a token's raw bits are zero. */
static int64_t token_base(unsigned token)
{
    if (token == TOKEN_FAR)
        return 0;
    if (token >= TOKEN_RISE)
        return (int64_t)LINEAR_HALF << (token - TOKEN_RISE);
    if (token < TOKEN_LINEAR)
        return -((int64_t)(2 * LINEAR_HALF) << (OCTAVES - 1 - token));
    return (int64_t)token - TOKEN_LINEAR - LINEAR_HALF;
}

/* Folds fine buckets into the tokens of a shift that is `coarser` wider. */
static void tokens_count(const struct buckets *buckets, unsigned coarser,
                         uint32_t counts[RESIDUAL_TOKENS])
{
    unsigned shift = buckets->shift + coarser;

    memset(counts, 0, RESIDUAL_TOKENS * sizeof counts[0]);
    for (int i = 0; i < 8 * LINEAR_HALF; i++)
        if (buckets->linear[i] > 0)
            counts[token_of((i - 4 * LINEAR_HALF) >> coarser, shift)] += buckets->linear[i];
    for (unsigned width = 8; width <= 64; width++) {
        if (buckets->rise[width] > 0)
            counts[octave_token(width - coarser, false, shift)] += buckets->rise[width];
        if (buckets->fall[width] > 0)
            counts[octave_token(width - coarser, true, shift)] += buckets->fall[width];
    }
}

/* What an ideal code for these tokens would cost, raw bits and lengths included. */
static double tokens_estimate(const uint32_t counts[RESIDUAL_TOKENS], unsigned shift, size_t count)
{
    double bits = 14 + (double)count * log2((double)count);

    for (unsigned token = 0; token < RESIDUAL_TOKENS; token++)
        if (counts[token] > 0)
            bits += counts[token] *
                        (token_raw_bits(token, shift) - (double)log2f((float)counts[token])) +
                    2;
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

static void tokens_range(const uint8_t lengths[RESIDUAL_TOKENS], unsigned *ret_first,
                         unsigned *ret_last)
{
    unsigned first = 0;
    unsigned last = RESIDUAL_TOKENS - 1;

    while (lengths[first] == 0)
        first++;
    while (lengths[last] == 0)
        last--;
    *ret_first = first;
    *ret_last = last;
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
        bits += (uint64_t)counts[token] *
                (plan->lengths[token] + token_raw_bits(token, plan->shift));
        before = plan->lengths[token];
    }
    return bits;
}

static void plan_huffman(const int64_t *residuals, size_t count, const struct widths *widths,
                         struct residual_plan *plan)
{
    struct buckets buckets = {0};
    uint32_t counts[3][RESIDUAL_TOKENS];
    uint32_t below = 0;
    unsigned width = 0;
    unsigned best = 0;
    double best_bits = 0;

    while (width < 64 && (below += widths->counts[width]) < count / 2)
        width++;
    /* Half of all z fit into `width` bits: r - c is spread over some 2^(width + 1). */
    buckets.shift = width > 5 ? width - 5 : 0;
    if (buckets.shift > RAW_BITS_MAX - 5)
        buckets.shift = RAW_BITS_MAX - 5;
    buckets_count(residuals, count, plan->centre, &buckets);
    for (unsigned coarser = 0; coarser < 3; coarser++) {
        double bits;

        tokens_count(&buckets, coarser, counts[coarser]);
        bits = tokens_estimate(counts[coarser], buckets.shift + coarser, count);
        if (coarser == 0 || bits < best_bits) {
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
    size_t zeros;

    MUST(count > 0);
    *ret_plan = (struct residual_plan){.coding = RESIDUAL_NONE, .centre = residuals[0]};
    if (all_equal(residuals, count))
        return;

    ret_plan->centre = median_near(residuals, count);
    widths_count(residuals, count, ret_plan->centre, &widths);
    plan_rice(residuals, count, &widths, ret_plan);
    zeros = zeros_count(residuals, count);
    if (zeros > count / 4) {
        other = *ret_plan;
        plan_sparse(residuals, count, zeros, &other);
        if (other.bits < ret_plan->bits)
            *ret_plan = other;
    }
    if (count >= HUFFMAN_ROWS && zeros < count - count / 8) {
        other = (struct residual_plan){.centre = median_near(residuals, count)};
        plan_huffman(residuals, count, &widths, &other);
        if (other.bits < ret_plan->bits)
            *ret_plan = other;
    }
}

/* ---- writing ---- */

void residual_head_write(const struct residual_plan *plan, struct buf *out)
{
    buf_varint(out, zigzag(plan->centre));
    if (plan->coding == RESIDUAL_NONE)
        return;
    buf_byte(out, (uint8_t)plan->shift);
    if (plan->coding == RESIDUAL_SPARSE)
        buf_byte(out, (uint8_t)plan->gap_shift);
}

static void step_write(struct bits_writer *writer, int step, unsigned length)
{
    switch (step) {
    case 0:
        bits_put(writer, 0, 1);
        break;
    case 1:
        bits_put(writer, 1, 3);
        break;
    case -1:
        bits_put(writer, 5, 3);
        break;
    case 2:
        bits_put(writer, 3, 4);
        break;
    case -2:
        bits_put(writer, 11, 4);
        break;
    default:
        bits_put(writer, 7 | length << 3, 7);
    }
}

void residual_table_write(const struct residual_plan *plan, struct bits_writer *writer)
{
    unsigned first, last;
    int before = START_LENGTH;

    if (plan->coding != RESIDUAL_HUFFMAN)
        return;
    tokens_range(plan->lengths, &first, &last);
    bits_room(writer, 14 + (size_t)RESIDUAL_TOKENS * 7);
    bits_put(writer, first, 7);
    bits_put(writer, last, 7);
    for (unsigned token = first; token <= last; token++) {
        step_write(writer, plan->lengths[token] - before, plan->lengths[token]);
        before = plan->lengths[token];
    }
}

static inline void rice_write(struct bits_writer *writer, uint64_t z, unsigned shift)
{
    uint64_t quotient = z >> shift;

    if (quotient >= UNARY_MAX) {
        bits_put(writer, (1u << UNARY_MAX) - 1, UNARY_MAX);
        bits_put_64(writer, z);
        return;
    }
    bits_put(writer, (UINT64_C(1) << quotient) - 1, (unsigned)quotient + 1);
    bits_put(writer, bits_mask(z, shift), shift);
}

static void lane_write_rice(const struct residual_plan *plan, const int64_t *residuals,
                            size_t count, struct bits_writer *writer)
{
    for (size_t i = 0; i < count; i++)
        rice_write(writer, zigzag(sub_wrap(residuals[i], plan->centre)), plan->shift);
}

static void lane_write_sparse(const struct residual_plan *plan, const int64_t *residuals,
                              size_t count, struct bits_writer *writer)
{
    uint64_t gap = 0;

    for (size_t i = 0; i < count; i++) {
        if (residuals[i] == 0) {
            gap++;
            continue;
        }
        rice_write(writer, gap, plan->gap_shift);
        rice_write(writer, zigzag(sub_wrap(sparse_value(residuals[i]), plan->centre)),
                   plan->shift);
        gap = 0;
    }
    if (gap > 0)
        rice_write(writer, gap, plan->gap_shift);
}

/* Canonical codes: shorter ones first, then by token; the first bit of the stream is the lowest. */
static void codes_make(const uint8_t lengths[RESIDUAL_TOKENS], uint16_t codes[RESIDUAL_TOKENS])
{
    uint32_t counts[RESIDUAL_TABLE_BITS + 1] = {0};
    uint32_t next[RESIDUAL_TABLE_BITS + 1] = {0};

    for (unsigned token = 0; token < RESIDUAL_TOKENS; token++)
        counts[lengths[token]]++;
    for (unsigned length = 2; length <= RESIDUAL_TABLE_BITS; length++)
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
    for (unsigned token = 0; token < RESIDUAL_TOKENS; token++) {
        uint32_t code = 0;

        if (lengths[token] == 0)
            continue;
        for (unsigned bit = 0; bit < lengths[token]; bit++)
            code |= (next[lengths[token]] >> bit & 1) << (lengths[token] - 1 - bit);
        next[lengths[token]]++;
        codes[token] = (uint16_t)code;
    }
}

static void lane_write_huffman(const struct residual_plan *plan, const int64_t *residuals,
                               size_t count, struct bits_writer *writer)
{
    uint16_t codes[RESIDUAL_TOKENS] = {0};
    unsigned shift = plan->shift;

    codes_make(plan->lengths, codes);
    for (size_t i = 0; i < count; i++) {
        int64_t value = sub_wrap(residuals[i], plan->centre);
        unsigned token = token_of(value >> shift, shift);
        unsigned length = plan->lengths[token];

        if (token == TOKEN_FAR) {
            bits_put(writer, codes[token], length);
            bits_put_64(writer, (uint64_t)value);
        } else {
            unsigned raw_bits = token_raw_bits(token, shift);
            uint64_t raw = bits_mask((uint64_t)value, raw_bits);

            bits_put(writer, codes[token] | raw << length, length + raw_bits);
        }
    }
}

void residual_lane_write(const struct residual_plan *plan, const int64_t *residuals, size_t count,
                         struct bits_writer *writer)
{
    /* The worst: two escaped Rice codes for every residual. */
    bits_room(writer, (count + 1) * 2 * (UNARY_MAX + 64));
    if (plan->coding == RESIDUAL_RICE)
        lane_write_rice(plan, residuals, count, writer);
    else if (plan->coding == RESIDUAL_SPARSE)
        lane_write_sparse(plan, residuals, count, writer);
    else if (plan->coding == RESIDUAL_HUFFMAN)
        lane_write_huffman(plan, residuals, count, writer);
}

/* ---- reading ---- */

static bool byte_read(struct str *rest, unsigned *ret_value)
{
    if (rest->size == 0)
        return false;
    *ret_value = (uint8_t)rest->data[0];
    rest->data++;
    rest->size--;
    return true;
}

enum err residual_head_read(enum residual_coding coding, struct str *rest,
                            struct residual_code *ret_code, struct why *why)
{
    uint64_t centre;

    ret_code->coding = coding;
    ret_code->shift = 0;
    ret_code->gap_shift = 0;
    if (!bits_varint(rest, &centre))
        return fail(why, ERR_CORRUPT, "column: the centre of its residuals is cut off");
    ret_code->centre = unzigzag(centre);
    if (coding == RESIDUAL_NONE)
        return ERR_NONE;
    if (!byte_read(rest, &ret_code->shift) || ret_code->shift > SHIFT_MAX)
        return fail(why, ERR_CORRUPT, "column: the width of its residuals is missing or too large");
    if (coding == RESIDUAL_HUFFMAN && ret_code->shift > RAW_BITS_MAX)
        return fail(why, ERR_CORRUPT, "column: Huffman buckets 2^%u wide", ret_code->shift);
    if (coding == RESIDUAL_SPARSE &&
        (!byte_read(rest, &ret_code->gap_shift) || ret_code->gap_shift > SHIFT_MAX))
        return fail(why, ERR_CORRUPT, "column: the width of its gaps is missing or too large");
    return ERR_NONE;
}

static unsigned lengths_read(struct bits bits, uint64_t *position, unsigned first, unsigned last,
                             uint8_t lengths[RESIDUAL_TOKENS])
{
    static const struct {
        int8_t step;
        uint8_t bits;
    } steps[8] = {{0, 1}, {1, 3}, {0, 1}, {2, 4}, {0, 1}, {-1, 3}, {0, 1}, {0, 7}};
    int length = START_LENGTH;
    unsigned longest = 0;

    for (unsigned token = first; token <= last; token++) {
        uint64_t word = bits_peek(bits, *position);
        unsigned kind = word & 7;

        if (kind == 7)
            length = (int)(word >> 3 & 15);
        else if (kind == 3)
            length += (word >> 3 & 1) != 0 ? -2 : 2;
        else
            length += steps[kind].step;
        *position += steps[kind].bits;
        if (length < 0 || length > RESIDUAL_TABLE_BITS)
            return 0;
        lengths[token] = (uint8_t)length;
        if ((unsigned)length > longest)
            longest = (unsigned)length;
    }
    return longest;
}

/* An entry of the table: code length, raw bits (255: far), and the bucket of the token. */
static uint32_t entry_of(unsigned token, unsigned length, unsigned shift)
{
    unsigned raw_bits = token == TOKEN_FAR ? 255 : token_raw_bits(token, shift);

    return length | raw_bits << 8 | (uint32_t)(uint16_t)(int16_t)token_base(token) << 16;
}

enum err residual_table_read(struct residual_code *code, struct bits bits, uint64_t *position,
                             struct why *why)
{
    uint8_t lengths[RESIDUAL_TOKENS] = {0};
    uint16_t codes[RESIDUAL_TOKENS] = {0};
    uint64_t word = bits_peek(bits, *position);
    unsigned first = word & 127;
    unsigned last = word >> 7 & 127;
    uint32_t words = 0;

    if (code->coding != RESIDUAL_HUFFMAN)
        return ERR_NONE;
    if (first > last || last >= RESIDUAL_TOKENS)
        return fail(why, ERR_CORRUPT, "column: Huffman tokens from %u to %u", first, last);
    *position += 14;
    code->table_bits = lengths_read(bits, position, first, last, lengths);
    for (unsigned token = first; token <= last; token++)
        words += lengths[token] == 0 ? 0 : (1u << RESIDUAL_TABLE_BITS) >> lengths[token];
    if (code->table_bits == 0 || words != 1u << RESIDUAL_TABLE_BITS)
        return fail(why, ERR_CORRUPT, "column: its Huffman code is not complete");

    codes_make(lengths, codes);
    for (unsigned token = first; token <= last; token++) {
        uint32_t entry = entry_of(token, lengths[token], code->shift);

        if (lengths[token] == 0)
            continue;
        for (uint32_t i = codes[token]; i < 1u << code->table_bits; i += 1u << lengths[token])
            code->table[i] = entry;
    }
    return ERR_NONE;
}

static inline uint64_t rice_read(struct bits bits, uint64_t *position, unsigned shift)
{
    uint64_t word = bits_peek(bits, *position);
    unsigned quotient = (unsigned)__builtin_ctzll(~word | UINT64_C(1) << UNARY_MAX);

    if (__builtin_expect(quotient == UNARY_MAX, 0)) {
        *position += UNARY_MAX;
        return bits_get_64(bits, position);
    }
    if (shift > BITS_PEEK - UNARY_MAX - 1)
        word = bits_peek(bits, *position + quotient + 1);
    else
        word >>= quotient + 1;
    *position += quotient + 1 + shift;
    return (uint64_t)quotient << shift | bits_mask(word, shift);
}

static inline int64_t huffman_read(const struct residual_code *code, struct bits bits,
                                   uint64_t *position)
{
    uint64_t word = bits_peek(bits, *position);
    uint32_t entry = code->table[bits_mask(word, code->table_bits)];
    unsigned length = entry & 255;
    unsigned raw_bits = entry >> 8 & 255;
    uint64_t base = (uint64_t)(int64_t)((int32_t)entry >> 16) << code->shift;

    *position += length;
    if (__builtin_expect(raw_bits == 255, 0))
        return add_wrap((int64_t)bits_get_64(bits, position), code->centre);
    *position += raw_bits;
    return add_wrap((int64_t)(base + bits_mask(word >> length, raw_bits)), code->centre);
}

BITS_CLONES static void lane_read_huffman(const struct residual_code *code, struct bits bits,
                                          uint64_t *position, int64_t *residuals, size_t count)
{
    uint64_t at = *position;

    for (size_t i = 0; i < count; i++)
        residuals[i] = huffman_read(code, bits, &at);
    *position = at;
}

BITS_CLONES static void lanes_read_huffman(const struct residual_code *code, struct bits bits,
                                           struct residual_lane lanes[RESIDUAL_LANES],
                                           int64_t *residuals, size_t stride, size_t count)
{
    uint64_t at0 = lanes[0].position, at1 = lanes[1].position;
    uint64_t at2 = lanes[2].position, at3 = lanes[3].position;

    for (size_t i = 0; i < count; i++) {
        residuals[i] = huffman_read(code, bits, &at0);
        residuals[stride + i] = huffman_read(code, bits, &at1);
        residuals[2 * stride + i] = huffman_read(code, bits, &at2);
        residuals[3 * stride + i] = huffman_read(code, bits, &at3);
    }
    lanes[0].position = at0, lanes[1].position = at1;
    lanes[2].position = at2, lanes[3].position = at3;
}

BITS_CLONES static void lane_read_rice(const struct residual_code *code, struct bits bits,
                                       uint64_t *position, int64_t *residuals, size_t count)
{
    uint64_t at = *position;

    for (size_t i = 0; i < count; i++)
        residuals[i] = add_wrap(unzigzag(rice_read(bits, &at, code->shift)), code->centre);
    *position = at;
}

BITS_CLONES static void lanes_read_rice(const struct residual_code *code, struct bits bits,
                                        struct residual_lane lanes[RESIDUAL_LANES], int64_t *residuals,
                                        size_t stride, size_t count)
{
    uint64_t at0 = lanes[0].position, at1 = lanes[1].position;
    uint64_t at2 = lanes[2].position, at3 = lanes[3].position;
    unsigned shift = code->shift;

    for (size_t i = 0; i < count; i++) {
        residuals[i] = add_wrap(unzigzag(rice_read(bits, &at0, shift)), code->centre);
        residuals[stride + i] = add_wrap(unzigzag(rice_read(bits, &at1, shift)), code->centre);
        residuals[2 * stride + i] = add_wrap(unzigzag(rice_read(bits, &at2, shift)), code->centre);
        residuals[3 * stride + i] = add_wrap(unzigzag(rice_read(bits, &at3, shift)), code->centre);
    }
    lanes[0].position = at0, lanes[1].position = at1;
    lanes[2].position = at2, lanes[3].position = at3;
}

/* Resumable between any two rows: pending is one more than the zeros still owed before the next
 * value, or 0 when the next gap is not read yet. */
BITS_CLONES static bool lane_read_sparse(const struct residual_code *code, struct bits bits,
                                         struct residual_lane *lane, int64_t *residuals,
                                         size_t count)
{
    uint64_t at = lane->position;
    uint64_t pending = lane->pending;
    size_t i = 0;

    memset(residuals, 0, count * sizeof residuals[0]);
    while (i < count) {
        uint64_t zeros;

        if (pending == 0) {
            uint64_t gap = rice_read(bits, &at, code->gap_shift);

            if (gap > lane->left - i)
                return false;
            pending = gap + 1;
        }
        zeros = pending - 1 < count - i ? pending - 1 : count - i;
        i += zeros;
        pending -= zeros;
        if (i < count) {
            int64_t z = unzigzag(rice_read(bits, &at, code->shift));

            residuals[i++] = sparse_residual(add_wrap(z, code->centre));
            pending = 0;
        }
    }
    lane->position = at;
    lane->pending = pending;
    return true;
}

bool residual_lane_read(const struct residual_code *code, struct bits bits,
                        struct residual_lane *lane, int64_t *residuals, size_t count)
{
    bool good = true;

    MUST(count <= lane->left);
    switch (code->coding) {
    case RESIDUAL_NONE:
        for (size_t i = 0; i < count; i++)
            residuals[i] = code->centre;
        break;
    case RESIDUAL_RICE:
        lane_read_rice(code, bits, &lane->position, residuals, count);
        break;
    case RESIDUAL_SPARSE:
        good = lane_read_sparse(code, bits, lane, residuals, count);
        break;
    case RESIDUAL_HUFFMAN:
        lane_read_huffman(code, bits, &lane->position, residuals, count);
        break;
    case RESIDUAL_CODING_COUNT:
        return false;
    }
    lane->left -= count;
    return good;
}

bool residual_lanes_read(const struct residual_code *code, struct bits bits,
                         struct residual_lane lanes[RESIDUAL_LANES], int64_t *residuals,
                         size_t stride)
{
    size_t count = lanes[RESIDUAL_LANES - 1].left;

    if (code->coding == RESIDUAL_HUFFMAN || code->coding == RESIDUAL_RICE) {
        if (code->coding == RESIDUAL_HUFFMAN)
            lanes_read_huffman(code, bits, lanes, residuals, stride, count);
        else
            lanes_read_rice(code, bits, lanes, residuals, stride, count);
        for (unsigned i = 0; i < RESIDUAL_LANES; i++)
            lanes[i].left -= count;
        residuals += count;
    }
    for (unsigned i = 0; i < RESIDUAL_LANES; i++)
        if (!residual_lane_read(code, bits, &lanes[i], residuals + i * stride, lanes[i].left))
            return false;
    return true;
}
