/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are the hot part: PromQL answers, exposition text and remote values pass here by the
 * million. Both directions try an exact integer path first (Clinger 1990: a mantissa below 2^53
 * times or over a power of ten up to 10^22 rounds once, hence correctly) and fall back to libc in
 * the C locale. */
#include "base/str.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    POWER_MAX = 22,        /* 10^22 is the last power of ten that a double holds exactly. */
    NUMBER_SIZE_MAX = 512, /* A longer run of digits is no number that we need. */
};

#define MANTISSA_MAX (UINT64_C(1) << 53)

static const double powers[POWER_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                             1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                             1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

int str_compare(struct str a, struct str b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);

    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    }
    return true;
}

bool str_starts(struct str str, struct str prefix)
{
    return str.size >= prefix.size &&
           (prefix.size == 0 || memcmp(str.data, prefix.data, prefix.size) == 0);
}

bool str_ends(struct str str, struct str suffix)
{
    return str.size >= suffix.size && (suffix.size == 0 || memcmp(str.data + str.size - suffix.size,
                                                                  suffix.data, suffix.size) == 0);
}

ptrdiff_t str_find(struct str str, char byte)
{
    const char *found = str.size == 0 ? NULL : memchr(str.data, byte, str.size);

    return found == NULL ? -1 : found - str.data;
}

ptrdiff_t str_find_str(struct str str, struct str part)
{
    if (part.size == 0)
        return 0;
    const char *found = str.size == 0 ? NULL : memmem(str.data, str.size, part.data, part.size);
    return found == NULL ? -1 : found - str.data;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str str)
{
    while (str.size > 0 && is_space(str.data[0])) {
        str.data++;
        str.size--;
    }
    while (str.size > 0 && is_space(str.data[str.size - 1]))
        str.size--;
    return str;
}

struct str str_split(struct str *rest, char separator)
{
    ptrdiff_t at = str_find(*rest, separator);
    struct str head = *rest;

    if (at < 0) {
        *rest = STR_NONE;
        return head;
    }
    head.size = (size_t)at;
    rest->data += at + 1;
    rest->size -= (size_t)at + 1;
    return head;
}

bool str_to_u64(struct str str, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (str.size == 0)
        return false;
    for (size_t i = 0; i < str.size; i++) {
        unsigned digit = (unsigned)(str.data[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool str_to_i64(struct str str, int64_t *ret_value)
{
    bool negative = str.size > 0 && str.data[0] == '-';
    uint64_t value;

    if (str.size > 0 && (negative || str.data[0] == '+')) {
        str.data++;
        str.size--;
    }
    if (!str_to_u64(str, &value) || value > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool special_to_double(struct str str, double *ret_value)
{
    bool negative = str.size > 0 && str.data[0] == '-';

    if (str_eq_nocase(str, STR("nan"))) {
        *ret_value = NAN;
        return true;
    }
    if (str.size > 0 && (negative || str.data[0] == '+')) {
        str.data++;
        str.size--;
    }
    if (!str_eq_nocase(str, STR("inf")) && !str_eq_nocase(str, STR("infinity")))
        return false;
    *ret_value = negative ? -INFINITY : INFINITY;
    return true;
}

/* strtod must not see the host program's locale, where the decimal point may be a comma. */
static locale_t c_locale(void)
{
    static _Atomic(locale_t) shared;
    locale_t locale = shared;

    if (locale == (locale_t)0) {
        locale_t fresh = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        if (fresh == (locale_t)0)
            must_memory(sizeof(fresh));
        if (__atomic_compare_exchange_n((locale_t *)&shared, &locale, fresh, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            locale = fresh;
        else
            freelocale(fresh);
    }
    return locale;
}

static bool slow_to_double(struct str str, double *ret_value)
{
    char text[NUMBER_SIZE_MAX];
    char *end;

    if (str.size == 0 || str.size >= sizeof(text))
        return false;
    char first =
        str.data[0] == '-' || str.data[0] == '+' ? (str.size > 1 ? str.data[1] : 0) : str.data[0];
    if (!(first >= '0' && first <= '9') && first != '.')
        return special_to_double(str, ret_value);
    memcpy(text, str.data, str.size);
    text[str.size] = '\0';
    double value = strtod_l(text, &end, c_locale());
    if (end != text + str.size)
        return false;
    *ret_value = value;
    return true;
}

bool str_to_double(struct str str, double *ret_value)
{
    const char *at = str.data;
    const char *end = str.data + str.size;
    bool negative = false;
    uint64_t mantissa = 0;
    int digits = 0;
    int scale = 0;

    if (str.size == 0)
        return false;
    if (*at == '-' || *at == '+') {
        negative = *at == '-';
        at++;
    }
    for (; at < end && (unsigned)(*at - '0') <= 9; at++, digits++)
        mantissa = mantissa * 10 + (unsigned)(*at - '0');
    if (at < end && *at == '.') {
        for (at++; at < end && (unsigned)(*at - '0') <= 9; at++, digits++, scale++)
            mantissa = mantissa * 10 + (unsigned)(*at - '0');
    }
    /* 18 digits cannot overflow the mantissa. */
    if (at != end || digits == 0 || digits > 18 || mantissa > MANTISSA_MAX || scale > POWER_MAX)
        return slow_to_double(str, ret_value);
    double value = (double)mantissa / powers[scale];
    *ret_value = negative ? -value : value;
    return true;
}

const char *str_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

struct duration_unit {
    struct str name;
    int64_t ms;
};

/* Largest first: Prometheus accepts each unit once, in this order. */
static const struct duration_unit duration_units[] = {
    {STR("y"), INT64_C(365) * 24 * 3600 * 1000},
    {STR("w"), INT64_C(7) * 24 * 3600 * 1000},
    {STR("d"), INT64_C(24) * 3600 * 1000},
    {STR("h"), INT64_C(3600) * 1000},
    {STR("m"), INT64_C(60) * 1000},
    {STR("s"), INT64_C(1000)},
    {STR("ms"), INT64_C(1)},
};

bool str_to_duration_ms(struct str str, int64_t *ret_ms)
{
    int64_t total = 0;
    size_t next_unit = 0;

    if (str_eq(str, STR("0"))) {
        *ret_ms = 0;
        return true;
    }
    if (str.size == 0)
        return false;
    while (str.size > 0) {
        struct str number = {str.data, 0};
        while (number.size < str.size && isdigit((unsigned char)str.data[number.size]))
            number.size++;
        struct str unit = {str.data + number.size, 0};
        while (number.size + unit.size < str.size && isalpha((unsigned char)unit.data[unit.size]))
            unit.size++;
        uint64_t count;
        if (!str_to_u64(number, &count) || count > INT32_MAX * UINT64_C(1000))
            return false;
        while (next_unit < ARRAY_COUNT(duration_units) &&
               !str_eq(duration_units[next_unit].name, unit))
            next_unit++;
        int64_t part;
        if (next_unit == ARRAY_COUNT(duration_units) ||
            __builtin_mul_overflow((int64_t)count, duration_units[next_unit].ms, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
        next_unit++;
        str.data += number.size + unit.size;
        str.size -= number.size + unit.size;
    }
    *ret_ms = total;
    return true;
}

static size_t copy_text(char *out, const char *text)
{
    size_t size = strlen(text);

    memcpy(out, text, size);
    return size;
}

static size_t write_integer(char *out, uint64_t value)
{
    char reversed[20];
    size_t size = 0;

    do {
        reversed[size++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < size; i++)
        out[i] = reversed[size - 1 - i];
    return size;
}

/* Writes magnitude as integer / 10^scale when that is exact and short; 0 when it is not. */
static size_t write_decimal(char *out, double magnitude)
{
    enum { SCALE_MAX = 9 };

    if (!(magnitude < 1e15) || magnitude < 1e-5)
        return 0;
    for (int scale = 0; scale <= SCALE_MAX; scale++) {
        double scaled = magnitude * powers[scale];
        if (scaled >= 9e15)
            return 0;
        double rounded = nearbyint(scaled);
        if (rounded / powers[scale] != magnitude)
            continue;
        uint64_t integer = (uint64_t)rounded;
        uint64_t divisor = (uint64_t)powers[scale];
        size_t size = write_integer(out, integer / divisor);
        if (scale == 0)
            return size;
        uint64_t fraction = integer % divisor;
        out[size++] = '.';
        for (int i = scale; i-- > 0;) {
            out[size + (size_t)i] = (char)('0' + fraction % 10);
            fraction /= 10;
        }
        return size + (size_t)scale;
    }
    return 0;
}

/* 10^exponent, exponent 0 … 19. */
static uint64_t integer_power(int exponent)
{
    static const uint64_t tens[] = {
        UINT64_C(1),
        UINT64_C(10),
        UINT64_C(100),
        UINT64_C(1000),
        UINT64_C(10000),
        UINT64_C(100000),
        UINT64_C(1000000),
        UINT64_C(10000000),
        UINT64_C(100000000),
        UINT64_C(1000000000),
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
        UINT64_C(10000000000000000000),
    };

    return tens[exponent];
}

/* The same for most fractions there are, in exact integers and twenty times as fast.
 *
 *     magnitude = m * 2^e; what rounds to it lies between (2m - 1) and (2m + 1) * 2^(e - 1)
 *
 * Times 10^k, so that 17 or 18 digits stand before the point, that interval holds at least one
 * integer. Of those the one with the most zeros at its end is wanted. False when 128 bits are too
 * few. */
static bool exact_digits(char digits[20], double magnitude, int *ret_exponent)
{
    int exponent2;
    uint64_t m = (uint64_t)(frexp(magnitude, &exponent2) * 0x1p53);
    int shift = 54 - exponent2;
    int k = 16 - ((exponent2 - 1) * 1233 >> 12); /* 1233 / 4096 is the logarithm of 2. */

    /* At a power of two the interval is lopsided. */
    if (k < 0 || k > 22 || shift < 1 || shift > 74 || m == UINT64_C(1) << 52)
        return false;
    __uint128_t scale = integer_power(k < 19 ? k : 19);
    scale *= integer_power(k < 19 ? 0 : k - 19);
    __uint128_t unit = (__uint128_t)1 << shift;
    __uint128_t middle = 2 * m * scale;
    uint64_t low = (uint64_t)((middle - scale) >> shift) + 1; /* Ends are left out: rare. */
    uint64_t high = (uint64_t)((middle + scale - 1) >> shift);
    if (low > high)
        return false;
    uint64_t step = 1;
    while (high / (step * 10) * (step * 10) >= low)
        step *= 10;
    uint64_t whole = (uint64_t)(middle >> shift);
    uint64_t integer = whole / step;
    __uint128_t above = ((__uint128_t)(whole % step) << shift) | (middle & (unit - 1));
    if (above >= ((__uint128_t)step << shift) / 2)
        integer++;
    if (integer * step < low || integer * step > high)
        return false;
    size_t size = write_integer(digits, integer);
    *ret_exponent = (int)size - 1 - k;
    for (; step > 1; step /= 10)
        (*ret_exponent)++;
    while (size > 1 && digits[size - 1] == '0')
        size--;
    digits[size] = '\0';
    return true;
}

/* Digits and exponent of the shortest decimal of at most 17 digits that reads back. */
static int shortest_digits(char digits[20], double magnitude)
{
    char text[40];
    int exact_exponent;

    if (exact_digits(digits, magnitude, &exact_exponent))
        return exact_exponent;
    /* Any decimal of 15 digits survives a double and %.14e shows it without its trailing zeros;
     * subnormals hold fewer digits than that. */
    for (int precision = magnitude < 0x1p-1022 ? 0 : 14; precision <= 16; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision, magnitude);
        if (strtod_l(text, NULL, c_locale()) == magnitude)
            break;
    }
    /* "d.ddde±xx" in whatever point the locale has: one byte after the first digit. */
    char *exponent = strchr(text, 'e');
    size_t count = 0;
    for (const char *at = text; at < exponent; at++) {
        if (isdigit((unsigned char)*at))
            digits[count++] = *at;
    }
    while (count > 1 && digits[count - 1] == '0')
        count--;
    digits[count] = '\0';
    return atoi(exponent + 1);
}

static size_t write_shortest(char *out, double magnitude)
{
    char digits[20];
    int exponent = shortest_digits(digits, magnitude);
    int count = (int)strlen(digits);
    size_t size = 0;

    if (magnitude < 1e-6 || magnitude >= 1e21) {
        out[size++] = digits[0];
        if (count > 1) {
            out[size++] = '.';
            size += copy_text(out + size, digits + 1);
        }
        return size + (size_t)snprintf(out + size, 8, "e%c%02d", exponent < 0 ? '-' : '+',
                                       exponent < 0 ? -exponent : exponent);
    }
    if (exponent < 0) {
        size += copy_text(out, "0.");
        for (int i = -1; i > exponent; i--)
            out[size++] = '0';
        return size + copy_text(out + size, digits);
    }
    for (int i = 0; i <= exponent || i < count; i++) {
        if (i == exponent + 1)
            out[size++] = '.';
        out[size++] = i < count ? digits[i] : '0';
    }
    return size;
}

size_t str_from_double(char text[STR_DOUBLE_SIZE], double value)
{
    size_t size = 0;

    if (isnan(value))
        return copy_text(text, "NaN");
    if (isinf(value))
        return copy_text(text, value > 0 ? "+Inf" : "-Inf");
    if (signbit(value))
        text[size++] = '-';
    double magnitude = fabs(value);
    if (magnitude == 0) {
        text[size++] = '0';
        return size;
    }
    size_t decimal = write_decimal(text + size, magnitude);
    return size + (decimal > 0 ? decimal : write_shortest(text + size, magnitude));
}

bool str_is_utf8(struct str str)
{
    const unsigned char *at = (const unsigned char *)str.data;
    const unsigned char *end = str.size > 0 ? at + str.size : at; /* at may be NULL then. */

    while (at < end) {
        if (*at < 0x80) {
            at++;
            continue;
        }
        int more = *at >= 0xC2 && *at <= 0xDF   ? 1
                   : *at >= 0xE0 && *at <= 0xEF ? 2
                   : *at >= 0xF0 && *at <= 0xF4 ? 3
                                                : 0;
        if (more == 0 || end - at <= more)
            return false;
        /* The second byte rules out overlong forms, surrogates and what lies past U+10FFFF. */
        unsigned low = *at == 0xE0 ? 0xA0 : *at == 0xF0 ? 0x90 : 0x80;
        unsigned high = *at == 0xED ? 0x9F : *at == 0xF4 ? 0x8F : 0xBF;
        if (at[1] < low || at[1] > high)
            return false;
        for (int i = 2; i <= more; i++) {
            if (at[i] < 0x80 || at[i] > 0xBF)
                return false;
        }
        at += more + 1;
    }
    return true;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Multiply and fold, 16 bytes a step, in the manner of wyhash. */
uint64_t str_hash(struct str str, uint64_t seed)
{
    static const uint64_t secret[3] = {UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xD1B54A32D192ED03),
                                       UINT64_C(0x8CB92BA72F3D8DD7)};
    uint64_t hash = seed ^ secret[0];
    const char *at = str.data;
    size_t left = str.size;
    uint64_t a;
    uint64_t b;

    while (left > 16) {
        memcpy(&a, at, 8);
        memcpy(&b, at + 8, 8);
        hash = mix(a ^ secret[1], b ^ hash);
        at += 16;
        left -= 16;
    }
    a = 0;
    b = 0;
    if (left >= 8) {
        memcpy(&a, at, 8);
        memcpy(&b, at + left - 8, 8);
    } else if (left > 0) {
        memcpy(&a, at, left);
    }
    return mix(secret[1] ^ str.size, mix(a ^ secret[2], b ^ hash));
}
