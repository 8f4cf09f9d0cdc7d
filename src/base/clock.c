/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;

    MUST(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * CLOCK_NS_PER_S + now.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_now_ms(void)
{
    return read_clock(CLOCK_REALTIME) / CLOCK_NS_PER_MS;
}

int64_t clock_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_process_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

enum err clock_boottime(int64_t *ret_ns, struct why *why)
{
    struct timespec now;

    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return fail_errno(why, errno, "cannot read the time since boot");
    *ret_ns = (int64_t)now.tv_sec * CLOCK_NS_PER_S + now.tv_nsec;
    return ERR_NONE;
}

int64_t clock_days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + (int64_t)day_of_era - 719468;
}

void clock_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted_month = (5 * day_of_year + 2) / 153;

    *ret_day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    *ret_month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    *ret_year = (int64_t)year_of_era + era * 400 + (*ret_month <= 2);
}

size_t clock_text(char text[CLOCK_TEXT_SIZE], int64_t time_ms)
{
    int64_t days = time_ms / CLOCK_MS_PER_DAY - (time_ms % CLOCK_MS_PER_DAY < 0);
    int64_t rest = time_ms - days * CLOCK_MS_PER_DAY;
    int64_t year;
    unsigned month;
    unsigned day;

    clock_civil_from_days(days, &year, &month, &day);
    if (year < 0 || year > 9999)
        return (size_t)snprintf(text, CLOCK_TEXT_SIZE, "%lld", (long long)time_ms);
    return (size_t)snprintf(text, CLOCK_TEXT_SIZE, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", (int)year,
                            month, day, (int)(rest / 3600000), (int)(rest / 60000 % 60),
                            (int)(rest / 1000 % 60), (int)(rest % 1000));
}

/* `count` digits at data[*at], which advances. */
static bool digits(const char *data, size_t size, size_t *at, int count, int *ret_value)
{
    int value = 0;

    for (int i = 0; i < count; i++, (*at)++) {
        if (*at >= size || (unsigned)(data[*at] - '0') > 9)
            return false;
        value = value * 10 + (data[*at] - '0');
    }
    *ret_value = value;
    return true;
}

static bool literal(const char *data, size_t size, size_t *at, char expected)
{
    if (*at >= size || (data[*at] | 0x20) != (expected | 0x20))
        return false;
    (*at)++;
    return true;
}

static bool parse_zone(const char *data, size_t size, size_t *at, int64_t *ret_offset_ms)
{
    int hours;
    int minutes;

    *ret_offset_ms = 0;
    if (literal(data, size, at, 'Z'))
        return *at == size;
    if (*at >= size || (data[*at] != '+' && data[*at] != '-'))
        return false;
    int sign = data[(*at)++] == '-' ? -1 : 1;
    if (!digits(data, size, at, 2, &hours) || !literal(data, size, at, ':') ||
        !digits(data, size, at, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_offset_ms = sign * (INT64_C(60) * hours + minutes) * 60000;
    return *at == size;
}

static bool parse_rfc3339(const char *data, size_t size, int64_t *ret_time_ms)
{
    size_t at = 0;
    int year, month, day, hour, minute, second;
    int64_t offset_ms;
    int64_t fraction_ms = 0;

    if (!digits(data, size, &at, 4, &year) || !literal(data, size, &at, '-') ||
        !digits(data, size, &at, 2, &month) || !literal(data, size, &at, '-') ||
        !digits(data, size, &at, 2, &day) || !literal(data, size, &at, 'T') ||
        !digits(data, size, &at, 2, &hour) || !literal(data, size, &at, ':') ||
        !digits(data, size, &at, 2, &minute) || !literal(data, size, &at, ':') ||
        !digits(data, size, &at, 2, &second))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;
    if (at < size && data[at] == '.') {
        int64_t unit = 100;
        for (at++; at < size && (unsigned)(data[at] - '0') <= 9; at++, unit /= 10)
            fraction_ms += unit * (data[at] - '0');
    }
    if (!parse_zone(data, size, &at, &offset_ms))
        return false;
    int64_t days = clock_days_from_civil(year, (unsigned)month, (unsigned)day);
    *ret_time_ms = days * CLOCK_MS_PER_DAY +
                   ((INT64_C(60) * hour + minute) * 60 + second) * CLOCK_MS_PER_S + fraction_ms -
                   offset_ms;
    return true;
}

bool clock_parse(const char *data, size_t size, int64_t *ret_time_ms)
{
    double seconds;

    if (str_to_double((struct str){data, size}, &seconds)) {
        if (!isfinite(seconds) || fabs(seconds) > 9e15)
            return false;
        *ret_time_ms = (int64_t)llround(seconds * 1000);
        return true;
    }
    return parse_rfc3339(data, size, ret_time_ms);
}
