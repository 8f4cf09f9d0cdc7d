/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of decimals are exact: rows are integers of at most 52 bits, summed in 128, and become a
 * double in two correctly rounded steps (to double, divided by a power of ten). Sums of true
 * floats carry along what rounding lost. */
#include "store/column_stats.h"

#include "store/column_bits.h"
#include "store/column_decimal.h"

#include <math.h>

#define FLAG_RAW      1
#define FLAG_MONOTONE 2
#define FLAG_COUNTER  4
#define FLAG_NAN      8
#define FLAG_ALL      15
/* What falls more often than once in so many rows is no counter: its increase means nothing. */
#define FALLS_EVERY 16

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

/* A sum and what rounding lost of it. */
struct exact {
    double sum;
    double lost;
};

static void exact_add(struct exact *exact, double value)
{
    double sum = exact->sum + value;

    if (fabs(exact->sum) >= fabs(value))
        exact->lost += exact->sum - sum + value;
    else
        exact->lost += value - sum + exact->sum;
    exact->sum = sum;
}

static double exact_value(const struct exact *exact)
{
    return isfinite(exact->sum) ? exact->sum + exact->lost : exact->sum;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static struct column_stats stats_none(void)
{
    return (struct column_stats){
        .first = NAN, .last = NAN, .min = NAN, .max = NAN, .sum = NAN, .increase = NAN};
}

void stats_of_values(const double *values, size_t count, struct column_stats *ret_stats)
{
    struct column_stats stats = stats_none();
    struct exact sum = {0, 0};
    struct exact increase = {0, 0};

    for (size_t i = 0; i < count; i++) {
        double value = values[i];

        if (isnan(value)) {
            if (bits_of(value) == COLUMN_ABSENT_BITS)
                stats.absent_count++;
            else
                stats.nan_count++;
            continue;
        }
        if (stats.numbers_count == 0) {
            stats.first = stats.min = stats.max = value;
        } else if (value < stats.last) {
            stats.resets_count++;
            exact_add(&increase, value);
        } else if (value > stats.last) {
            exact_add(&increase, value - stats.last);
        }
        stats.numbers_count++;
        stats.last = value;
        stats.min = value < stats.min ? value : stats.min;
        stats.max = value > stats.max ? value : stats.max;
        exact_add(&sum, value);
    }
    if (stats.numbers_count > 0)
        stats.sum = exact_value(&sum);
    if (stats.numbers_count > 0 && stats.resets_count <= count / FALLS_EVERY)
        stats.increase = exact_value(&increase);
    if (isnan(stats.increase))
        stats.resets_count = 0;
    *ret_stats = stats;
}

void stats_of_constant(double value, size_t count, struct column_stats *ret_stats)
{
    *ret_stats = (struct column_stats){
        .numbers_count = (uint32_t)count,
        .first = value,
        .last = value,
        .min = value,
        .max = value,
        .sum = value * (double)count,
        .increase = 0,
    };
}

/* ---- writing ---- */

static void double_write(double value, struct buf *out)
{
    buf_u64(out, bits_of(value));
}

static void nan_write(size_t absent, size_t nan, struct buf *out)
{
    buf_varint(out, absent);
    buf_varint(out, nan);
}

void stats_write_raw(const struct column_stats *stats, struct buf *out)
{
    bool has_nan = stats->absent_count + stats->nan_count > 0;
    bool counter = !isnan(stats->increase);

    buf_byte(out, (uint8_t)(FLAG_RAW | (counter ? FLAG_COUNTER : 0) | (has_nan ? FLAG_NAN : 0)));
    double_write(stats->min, out);
    double_write(stats->max, out);
    double_write(stats->first, out);
    double_write(stats->last, out);
    double_write(stats->sum, out);
    double_write(stats->increase, out);
    if (counter)
        buf_varint(out, stats->resets_count);
    if (has_nan)
        nan_write(stats->absent_count, stats->nan_count, out);
}

/* The same, from rows. */
struct row_stats {
    int64_t min, max, last;
    int64_t sum;
    size_t falls;
    uint64_t increase; /* In mantissas, with falls as resets. */
};

SCAN_CLONES static void chunk_stats(const int64_t *rows, size_t count, int64_t before,
                                    struct row_stats *stats)
{
    int64_t min = stats->min, max = stats->max, sum = 0;
    size_t falls = 0;

    for (size_t i = 0; i < count; i++) {
        min = rows[i] < min ? rows[i] : min;
        max = rows[i] > max ? rows[i] : max;
        sum += rows[i];
    }
    for (size_t i = 0; i < count; i++) {
        falls += rows[i] < before;
        before = rows[i];
    }
    stats->min = min;
    stats->max = max;
    stats->sum = sum;
    stats->falls += falls;
    stats->last = before;
}

static bool increase_of(const struct stats_scale *scale, uint64_t *ret_increase)
{
    wide increase = 0;

    for (size_t i = 1; i < scale->rows_count; i++) {
        wide now = (wide)scale->first + (wide)scale->divisor * scale->rows[i];

        if (scale->rows[i] < scale->rows[i - 1])
            increase += now;
        else
            increase += (wide)scale->divisor * (scale->rows[i] - scale->rows[i - 1]);
    }
    if (increase < 0 || increase > INT64_MAX)
        return false;
    *ret_increase = (uint64_t)increase;
    return true;
}

static bool rows_stats(const struct stats_scale *scale, struct row_stats *ret_stats)
{
    const size_t chunk = 1024; /* Rows of 52 bits cannot overflow a sum. */
    struct row_stats stats = {0};
    wide sum = 0;

    for (size_t i = 0; i < scale->rows_count; i += chunk) {
        size_t count = scale->rows_count - i < chunk ? scale->rows_count - i : chunk;

        chunk_stats(scale->rows + i, count, stats.last, &stats);
        sum += stats.sum;
    }
    if (sum < INT64_MIN / 4 || sum > INT64_MAX / 4)
        return false;
    stats.sum = (int64_t)sum;
    if (stats.falls > 0 && stats.falls <= scale->rows_count / FALLS_EVERY &&
        !increase_of(scale, &stats.increase))
        return false;
    *ret_stats = stats;
    return true;
}

static double scaled(const struct stats_scale *scale, int64_t row)
{
    return decimal_to((int64_t)((uint64_t)scale->first + scale->divisor * (uint64_t)row),
                      scale->exponent);
}

/* rows_count * last / 2, where a straight climb would put the sum; wrapping. */
static uint64_t sum_expected(const struct stats_scale *scale, int64_t last)
{
    return (uint64_t)((int64_t)((uint64_t)last * scale->rows_count) / 2);
}

static void stats_scale_up(const struct stats_scale *scale, const struct row_stats *rows,
                           struct column_stats *stats)
{
    /* Unsigned, so that what a damaged column claims may wrap. */
    uwide sum = (uwide)(wide)scale->first * scale->rows_count +
                (uwide)scale->divisor * (uwide)(wide)rows->sum;

    stats->numbers_count = (uint32_t)scale->rows_count;
    stats->first = scaled(scale, 0);
    stats->last = scaled(scale, rows->last);
    stats->min = scaled(scale, rows->min);
    stats->max = scaled(scale, rows->max);
    stats->sum = (double)(wide)sum / decimal_power(scale->exponent);
    if (rows->falls == 0)
        stats->increase =
            decimal_to((int64_t)(scale->divisor * (uint64_t)rows->last), scale->exponent);
    else if (rows->falls <= scale->rows_count / FALLS_EVERY)
        stats->increase = decimal_to((int64_t)rows->increase, scale->exponent);
    else
        stats->increase = NAN;
    stats->resets_count = isnan(stats->increase) ? 0 : (uint32_t)rows->falls;
}

bool stats_write_rows(const struct stats_scale *scale, size_t absent, size_t nan, struct buf *out,
                      struct column_stats *ret_stats)
{
    struct column_stats stats = {.absent_count = (uint32_t)absent, .nan_count = (uint32_t)nan};
    struct row_stats rows;
    unsigned flags = absent + nan > 0 ? FLAG_NAN : 0;

    if (!rows_stats(scale, &rows))
        return false;
    stats_scale_up(scale, &rows, &stats);
    if (rows.falls == 0)
        flags |= FLAG_MONOTONE;
    else if (!isnan(stats.increase))
        flags |= FLAG_COUNTER;
    buf_byte(out, (uint8_t)flags);
    if ((flags & FLAG_MONOTONE) != 0) {
        buf_varint(out, (uint64_t)rows.last);
    } else {
        buf_varint(out, (uint64_t)-rows.min);
        buf_varint(out, (uint64_t)rows.max);
        buf_varint(out, zigzag(rows.last));
    }
    buf_varint(out, zigzag((int64_t)((uint64_t)rows.sum - sum_expected(scale, rows.last))));
    if ((flags & FLAG_COUNTER) != 0) {
        buf_varint(out, rows.falls);
        buf_varint(out, rows.increase);
    }
    if ((flags & FLAG_NAN) != 0)
        nan_write(absent, nan, out);
    *ret_stats = stats;
    return true;
}

/* ---- reading ---- */

static bool double_read(struct str *rest, double *ret_value)
{
    uint64_t bits;

    if (rest->size < 8)
        return false;
    bits = bits_load((const uint8_t *)rest->data);
    memcpy(ret_value, &bits, sizeof bits);
    rest->data += 8;
    rest->size -= 8;
    return true;
}

static bool count_read(struct str *rest, size_t max, uint32_t *ret_count)
{
    uint64_t count;

    if (!buf_take_varint(rest, &count) || count > max)
        return false;
    *ret_count = (uint32_t)count;
    return true;
}

static bool raw_read(struct str *rest, unsigned flags, size_t count, struct column_stats *stats)
{
    return double_read(rest, &stats->min) && double_read(rest, &stats->max) &&
           double_read(rest, &stats->first) && double_read(rest, &stats->last) &&
           double_read(rest, &stats->sum) && double_read(rest, &stats->increase) &&
           ((flags & FLAG_COUNTER) == 0 || count_read(rest, count, &stats->resets_count)) &&
           ((flags & FLAG_NAN) == 0 || (count_read(rest, count, &stats->absent_count) &&
                                        count_read(rest, count, &stats->nan_count)));
}

static bool rows_read(struct str *rest, unsigned flags, size_t count, struct row_stats *rows,
                      struct column_stats *stats)
{
    uint64_t below = 0, above = 0, last, sum;
    uint32_t falls = (uint32_t)count + 1; /* Unknown, and many. */

    if ((flags & FLAG_MONOTONE) == 0 &&
        (!buf_take_varint(rest, &below) || !buf_take_varint(rest, &above)))
        return false;
    if (!buf_take_varint(rest, &last) || !buf_take_varint(rest, &sum))
        return false;
    rows->last = (flags & FLAG_MONOTONE) != 0 ? (int64_t)last : unzigzag(last);
    rows->min = (int64_t)-below;
    rows->max = (flags & FLAG_MONOTONE) != 0 ? rows->last : (int64_t)above;
    rows->sum = unzigzag(sum);
    if ((flags & FLAG_MONOTONE) != 0)
        falls = 0;
    else if ((flags & FLAG_COUNTER) != 0 &&
             (!count_read(rest, count, &falls) || !buf_take_varint(rest, &rows->increase)))
        return false;
    rows->falls = falls;
    return (flags & FLAG_NAN) == 0 || (count_read(rest, count, &stats->absent_count) &&
                                       count_read(rest, count, &stats->nan_count));
}

enum err stats_read(struct str *rest, size_t count, const struct stats_scale *scale,
                    struct column_stats *ret_stats, struct why *why)
{
    struct column_stats stats = stats_none();
    struct row_stats rows = {0};
    unsigned flags = rest->size == 0 ? UINT8_MAX : (uint8_t)rest->data[0];
    bool good;

    if ((flags & ~(unsigned)FLAG_ALL) != 0 || ((flags & FLAG_RAW) == 0 && scale == NULL))
        return fail(why, ERR_CORRUPT, "column: its stats are missing or of an unknown kind");
    rest->data++;
    rest->size--;
    good = (flags & FLAG_RAW) != 0 ? raw_read(rest, flags, count, &stats)
                                   : rows_read(rest, flags, count, &rows, &stats);
    if (!good || (size_t)stats.absent_count + stats.nan_count > count)
        return fail(why, ERR_CORRUPT, "column: its stats are cut off or impossible");
    stats.numbers_count = (uint32_t)(count - stats.absent_count - stats.nan_count);
    if ((flags & FLAG_RAW) == 0) {
        struct stats_scale actual = *scale;

        actual.rows_count = stats.numbers_count;
        rows.sum = (int64_t)((uint64_t)rows.sum + sum_expected(&actual, rows.last));
        stats_scale_up(&actual, &rows, &stats);
    }
    *ret_stats = stats;
    return ERR_NONE;
}
