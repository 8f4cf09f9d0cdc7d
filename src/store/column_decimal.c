/* SPDX-License-Identifier: Apache-2.0 */
/* Adding 1.5 * 2^52 to a double of less than 2^51 rounds it to an integer and leaves that integer
 * in the low bits; taking it away again turns an integer in the low bits into a double. Unlike the
 * processor's conversions this vectorises everywhere. Wider numbers take the slow path.
 *
 * An exponent is good for a value v if m = round(v * 10^e) gives m / 10^e == v, bit for bit (so
 * -0.0, NaN and infinities refuse). A larger exponent than needed is as good as long as m stays
 * below 2^53, because m / 10^e is then one correctly rounded division of the same rational number;
 * so the block needs the largest exponent that any of its values needs. */
#include "store/column_decimal.h"

#include "store/column_bits.h"

#include <math.h>

#define MAGIC_BITS UINT64_C(0x4338000000000000) /* 1.5 * 2^52 */
#define NARROW_MAX (INT64_C(1) << 51)
#define EXACT_MAX  (INT64_C(1) << 53)
#define TRY_ROWS   64

/* Stores of doubles over what was read as integers. */
typedef uint64_t __attribute__((may_alias)) word;

static const double powers[DECIMAL_EXPONENT_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
};

static inline uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double of_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

double decimal_to(int64_t mantissa, unsigned exponent)
{
    return exponent == 0 ? (double)mantissa : (double)mantissa / powers[exponent];
}

double decimal_power(unsigned exponent)
{
    return powers[exponent];
}

bool decimal_is_wide(int64_t mantissa)
{
    return mantissa >= NARROW_MAX || mantissa <= -NARROW_MAX;
}

/* ---- from doubles ---- */

bool decimal_from(double value, unsigned exponent, int64_t *ret_mantissa)
{
    double scaled = value * powers[exponent];
    int64_t mantissa;

    if (!(fabs(scaled) < (exponent == 0 ? 0x1p63 : (double)EXACT_MAX)))
        return false;
    mantissa = exponent == 0 ? (int64_t)scaled : (int64_t)llrint(scaled);
    if (bits_of(decimal_to(mantissa, exponent)) != bits_of(value))
        return false;
    *ret_mantissa = mantissa;
    return true;
}

/* Not zero when the magic could not hold the mantissa: 2^51 and more, infinities, NaN. */
static inline uint64_t too_wide(int64_t mantissa)
{
    return ((uint64_t)mantissa + (uint64_t)NARROW_MAX) >> 52;
}

/* The whole run by the fast way. Returns whether all of it was good. */
SCAN_CLONES static bool try_fast(const double *values, size_t count, unsigned exponent,
                                 int64_t *mantissas)
{
    const double magic = of_bits(MAGIC_BITS);
    const double power = powers[exponent];
    uint64_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        double shifted = values[i] * power + magic;
        int64_t mantissa = (int64_t)(bits_of(shifted) - MAGIC_BITS);
        double back = (shifted - magic) / power;

        wrong |= (bits_of(back) ^ bits_of(values[i])) | too_wide(mantissa);
        mantissas[i] = mantissa;
    }
    return wrong == 0;
}

SCAN_CLONES static bool try_fast_whole(const double *values, size_t count, int64_t *mantissas)
{
    const double magic = of_bits(MAGIC_BITS);
    uint64_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        double shifted = values[i] + magic;
        int64_t mantissa = (int64_t)(bits_of(shifted) - MAGIC_BITS);

        wrong |= (bits_of(shifted - magic) ^ bits_of(values[i])) | too_wide(mantissa);
        mantissas[i] = mantissa;
    }
    return wrong == 0;
}

/* The smallest exponent from `exponent` on that is good for value. */
static bool exponent_raise(double value, unsigned *exponent)
{
    int64_t mantissa;

    for (unsigned raised = *exponent; raised <= DECIMAL_EXPONENT_MAX; raised++)
        if (decimal_from(value, raised, &mantissa)) {
            *exponent = raised;
            return true;
        }
    return false;
}

/* Row by row. *exponent may be raised: then the rows before have to be done again. Returns false
 * when too many refuse. */
static bool try_slowly(const double *values, size_t first, size_t count, int64_t *mantissas,
                       unsigned *exponent, uint32_t *refused, size_t refused_max,
                       size_t *refused_count)
{
    for (size_t i = first; i < first + count; i++) {
        unsigned raised = *exponent;

        if (decimal_from(values[i], *exponent, &mantissas[i]))
            continue;
        if (exponent_raise(values[i], &raised)) {
            *exponent = raised;
            return true;
        }
        if (*refused_count == refused_max)
            return false;
        refused[(*refused_count)++] = (uint32_t)i;
        mantissas[i] = 0;
    }
    return true;
}

bool decimals_from(const double *values, size_t count, int64_t *mantissas, unsigned *ret_exponent,
                   uint32_t *refused, size_t refused_max, size_t *ret_refused)
{
    unsigned exponent = 0;
    size_t refused_count = 0;
    size_t i = 0;

    while (i < count) {
        size_t rows = count - i < TRY_ROWS ? count - i : TRY_ROWS;
        unsigned before = exponent;

        if (exponent == 0 ? try_fast_whole(values + i, rows, mantissas + i)
                          : try_fast(values + i, rows, exponent, mantissas + i)) {
            i += rows;
            continue;
        }
        if (!try_slowly(values, i, rows, mantissas, &exponent, refused, refused_max,
                        &refused_count))
            return false;
        i += rows;
        if (exponent != before) { /* Once for each exponent at most. */
            i = 0;
            refused_count = 0;
        }
    }
    *ret_exponent = exponent;
    *ret_refused = refused_count;
    return true;
}

/* ---- to doubles ---- */

SCAN_CLONES static void to_narrow_whole(word *words, size_t count, uint64_t first, uint64_t divisor)
{
    const double magic = of_bits(MAGIC_BITS);

    first += MAGIC_BITS;
    for (size_t i = 0; i < count; i++)
        words[i] = bits_of(of_bits(words[i] * divisor + first) - magic);
}

SCAN_CLONES static void to_narrow_whole_1(word *words, size_t count, uint64_t first)
{
    const double magic = of_bits(MAGIC_BITS);

    first += MAGIC_BITS;
    for (size_t i = 0; i < count; i++)
        words[i] = bits_of(of_bits(words[i] + first) - magic);
}

SCAN_CLONES static void to_narrow(word *words, size_t count, uint64_t first, uint64_t divisor,
                                  double power)
{
    const double magic = of_bits(MAGIC_BITS);

    first += MAGIC_BITS;
    for (size_t i = 0; i < count; i++)
        words[i] = bits_of((of_bits(words[i] * divisor + first) - magic) / power);
}

SCAN_CLONES static void to_narrow_1(word *words, size_t count, uint64_t first, double power)
{
    const double magic = of_bits(MAGIC_BITS);

    first += MAGIC_BITS;
    for (size_t i = 0; i < count; i++)
        words[i] = bits_of((of_bits(words[i] + first) - magic) / power);
}

void decimals_to(void *words, size_t count, int64_t first, uint64_t divisor, unsigned exponent,
                 bool wide)
{
    word *cells = words;
    uint64_t offset = (uint64_t)first;

    if (wide) {
        for (size_t i = 0; i < count; i++)
            cells[i] = bits_of(decimal_to((int64_t)(cells[i] * divisor + offset), exponent));
    } else if (exponent == 0) {
        if (divisor == 1)
            to_narrow_whole_1(cells, count, offset);
        else
            to_narrow_whole(cells, count, offset, divisor);
    } else if (divisor == 1) {
        to_narrow_1(cells, count, offset, powers[exponent]);
    } else {
        to_narrow(cells, count, offset, divisor, powers[exponent]);
    }
}
