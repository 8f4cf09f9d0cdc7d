/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/quantity.h"

#include <math.h>
#include <time.h>

struct scale {
    double factor;
    const char *suffix;
};

static const struct scale bytes_scales[] = {
    {0x1p40, " TiB"}, {0x1p30, " GiB"}, {0x1p20, " MiB"}, {0x1p10, " KiB"}, {1, " B"},
};
static const struct scale seconds_scales[] = {
    {86400, " d"}, {3600, " h"},  {60, " min"},  {1, " s"},
    {1e-3, " ms"}, {1e-6, " µs"}, {1e-9, " ns"},
};
static const struct scale plain_scales[] = {
    {1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}, {1, ""},
};

static void write_digits(struct buf *out, double value, int digits)
{
    double size = fabs(value);
    int before = size < 1 ? 1 : (int)floor(log10(size)) + 1;
    int after = digits > before ? digits - before : 0;

    if (size > 0 && size < 0.001)
        buf_printf(out, "%.*g", digits, value);
    else if (size == floor(size) && size < 1e15)
        buf_printf(out, "%.0f", value);
    else
        buf_printf(out, "%.*f", after, value);
}

static void write_scaled(struct buf *out, double value, const struct scale *scales, size_t count,
                         int digits)
{
    double size = fabs(value);
    size_t at = 0;

    if (size == 0) {
        while (at + 1 < count && scales[at].factor > 1)
            at++;
    } else {
        while (at + 1 < count && size < scales[at].factor)
            at++;
    }
    write_digits(out, value / scales[at].factor, digits);
    buf_text(out, scales[at].suffix);
}

void quantity_write(struct buf *out, double value, enum unit unit, int digits)
{
    if (isnan(value)) {
        buf_byte(out, '-');
        return;
    }
    if (isinf(value)) {
        buf_text(out, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    switch (unit) {
    case UNIT_BYTES:
        write_scaled(out, value, bytes_scales, ARRAY_COUNT(bytes_scales), digits);
        break;
    case UNIT_BYTES_PER_SECOND:
        write_scaled(out, value, bytes_scales, ARRAY_COUNT(bytes_scales), digits);
        buf_text(out, "/s");
        break;
    case UNIT_SECONDS:
        write_scaled(out, value, seconds_scales, ARRAY_COUNT(seconds_scales), digits);
        break;
    case UNIT_RATIO:
        write_digits(out, value * 100, digits);
        buf_text(out, " %");
        break;
    case UNIT_PERCENT:
        write_digits(out, value, digits);
        buf_text(out, " %");
        break;
    default:
        write_scaled(out, value, plain_scales, ARRAY_COUNT(plain_scales), digits);
        buf_text(out, unit == UNIT_PER_SECOND ? "/s" : "");
    }
}

/* "22.50 GiB" becomes "22.5 GiB": zeros behind a point and before what is no digit. */
void quantity_write_short(struct buf *out, double value, enum unit unit, int digits)
{
    struct buf text CLEANUP(buf_done) = {0};

    quantity_write(&text, value, unit, digits);
    struct str rest = buf_view(&text);
    ptrdiff_t point = str_find(rest, '.');
    size_t end = 0;
    while (end < rest.size && strchr("-.0123456789", rest.data[end]) != NULL)
        end++;
    size_t kept = end;
    if (point >= 0 && (size_t)point < end) {
        while (kept > (size_t)point + 1 && rest.data[kept - 1] == '0')
            kept--;
        kept -= kept == (size_t)point + 1;
    }
    buf_append(out, rest.data, kept);
    buf_append(out, rest.data + end, rest.size - end);
}

void quantity_write_age(struct buf *out, double seconds)
{
    if (isnan(seconds))
        buf_byte(out, '-');
    else if (seconds < 60)
        buf_printf(out, "%.0fs", seconds < 0 ? 0 : seconds);
    else if (seconds < 3600)
        buf_printf(out, "%.0fm", floor(seconds / 60));
    else if (seconds < 86400)
        buf_printf(out, "%.0fh%02.0f", floor(seconds / 3600), floor(fmod(seconds, 3600) / 60));
    else
        buf_printf(out, "%.0fd", floor(seconds / 86400));
}

void quantity_write_time(struct buf *out, int64_t time_ms, int64_t span_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm local;
    char text[64];

    if (localtime_r(&seconds, &local) == NULL)
        return;
    const char *format = span_ms <= INT64_C(10) * 60 * 1000          ? "%H:%M:%S"
                         : span_ms <= INT64_C(36) * 3600 * 1000      ? "%H:%M"
                         : span_ms <= INT64_C(14) * 24 * 3600 * 1000 ? "%d %b %H:%M"
                                                                     : "%d %b %Y";
    buf_append(out, text, strftime(text, sizeof(text), format, &local));
}

static bool holds(struct str text, const char *part)
{
    return str_find_str(text, str_of(part)) >= 0;
}

enum unit unit_of_expression(struct str expression)
{
    bool rate = holds(expression, "rate(") || holds(expression, "deriv(");

    /* A quotient of two things of a kind has no unit; which of the rest it has nobody can tell. */
    if (holds(expression, "/") || holds(expression, "count") || holds(expression, "=="))
        return holds(expression, "ratio") ? UNIT_RATIO : UNIT_NONE;
    if (holds(expression, "_bytes"))
        return rate ? UNIT_BYTES_PER_SECOND : UNIT_BYTES;
    if (holds(expression, "cpu_seconds_total") && rate)
        return UNIT_NONE;
    if (holds(expression, "_seconds") || holds(expression, "time()"))
        return rate && !holds(expression, "quantile") ? UNIT_NONE : UNIT_SECONDS;
    if (holds(expression, "_ratio"))
        return UNIT_RATIO;
    if (holds(expression, "_percent"))
        return UNIT_PERCENT;
    return rate ? UNIT_PER_SECOND : UNIT_NONE;
}
