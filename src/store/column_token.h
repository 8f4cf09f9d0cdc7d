/* SPDX-License-Identifier: Apache-2.0 */
/* column_token - what planning, writing and reading of residuals agree on.
 *
 * Private to column_plan.c and column_residual.c; the picture is at the top of the latter. */
#pragma once
#include "store/column_residual.h"

#define UNARY_MAX    24
#define SHIFT_MAX    56
#define LINEAR_HALF  32 /* Buckets of equal width on either side. */
#define OCTAVES      10
#define TOKEN_LINEAR OCTAVES
#define TOKEN_RISE   (OCTAVES + 2 * LINEAR_HALF)
#define TOKEN_FAR    (TOKEN_RISE + OCTAVES)
#define RAW_BITS_MAX 46 /* A code and its raw bits come from one peek. */
#define START_LENGTH 5

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

/* The token of a bucket beyond the linear ones; far when an octave would need too many bits. */
static inline unsigned octave_token(unsigned width, bool falls, unsigned shift)
{
    unsigned octave = width - 6;

    if (octave >= OCTAVES || 5 + octave + shift > RAW_BITS_MAX)
        return TOKEN_FAR;
    return falls ? OCTAVES - 1 - octave : TOKEN_RISE + octave;
}

static inline unsigned token_of(int64_t q, unsigned shift)
{
    if ((uint64_t)q + LINEAR_HALF < 2 * LINEAR_HALF)
        return (unsigned)(q + LINEAR_HALF + TOKEN_LINEAR);
    if (q >= 0)
        return octave_token(bits_width((uint64_t)q), false, shift);
    return octave_token(bits_width(~(uint64_t)q), true, shift);
}

static inline unsigned token_raw_bits(unsigned token, unsigned shift)
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
static inline int64_t token_base(unsigned token)
{
    if (token == TOKEN_FAR)
        return 0;
    if (token >= TOKEN_RISE)
        return (int64_t)LINEAR_HALF << (token - TOKEN_RISE);
    if (token < TOKEN_LINEAR)
        return -((int64_t)(2 * LINEAR_HALF) << (OCTAVES - 1 - token));
    return (int64_t)token - TOKEN_LINEAR - LINEAR_HALF;
}

/* The first and the last token in use; there is one. */
static inline void tokens_range(const uint8_t lengths[RESIDUAL_TOKENS], unsigned *ret_first,
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
