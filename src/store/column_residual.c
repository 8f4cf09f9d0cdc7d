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
#include "store/column_token.h"

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
        rice_write(writer, zigzag(sub_wrap(sparse_value(residuals[i]), plan->centre)), plan->shift);
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
    if (!buf_take_varint(rest, &centre))
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

SCAN_CLONES static void lane_read_huffman(const struct residual_code *code, struct bits bits,
                                          uint64_t *position, int64_t *residuals, size_t count)
{
    uint64_t at = *position;

    for (size_t i = 0; i < count; i++)
        residuals[i] = huffman_read(code, bits, &at);
    *position = at;
}

SCAN_CLONES static void lanes_read_huffman(const struct residual_code *code, struct bits bits,
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

SCAN_CLONES static void lane_read_rice(const struct residual_code *code, struct bits bits,
                                       uint64_t *position, int64_t *residuals, size_t count)
{
    uint64_t at = *position;

    for (size_t i = 0; i < count; i++)
        residuals[i] = add_wrap(unzigzag(rice_read(bits, &at, code->shift)), code->centre);
    *position = at;
}

SCAN_CLONES static void lanes_read_rice(const struct residual_code *code, struct bits bits,
                                        struct residual_lane lanes[RESIDUAL_LANES],
                                        int64_t *residuals, size_t stride, size_t count)
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
SCAN_CLONES static bool lane_read_sparse(const struct residual_code *code, struct bits bits,
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
