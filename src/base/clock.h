/* SPDX-License-Identifier: Apache-2.0 */
/* clock - what time it is, in nanoseconds. Any thread. */
#pragma once
#include "base/err.h"

#include <stdbool.h>

#define CLOCK_NS_PER_US  INT64_C(1000)
#define CLOCK_NS_PER_MS  INT64_C(1000000)
#define CLOCK_NS_PER_S   INT64_C(1000000000)
#define CLOCK_MS_PER_S   INT64_C(1000)
#define CLOCK_MS_PER_DAY (INT64_C(24) * 3600 * 1000)

int64_t clock_now_ns(void);         /* Since 1970 UTC; jumps when the machine's clock is set. */
int64_t clock_now_ms(void);         /* The same in milliseconds. */
int64_t clock_monotonic_ns(void);   /* Since some start; never jumps. For durations and timers. */
int64_t clock_thread_cpu_ns(void);  /* CPU time of this thread. */
int64_t clock_process_cpu_ns(void); /* CPU time of this process, user and system. */

/* Time since the machine booted, sleep included. */
CHECKED enum err clock_boottime(int64_t *ret_ns, struct why *why);

/* "2026-11-20T17:04:05.678Z"; the size without NUL. time_ms from year 0 to 9999. */
#define CLOCK_TEXT_SIZE 32
size_t clock_text(char text[CLOCK_TEXT_SIZE], int64_t time_ms);
/* RFC 3339 with "Z" or an offset, fraction optional, or seconds since 1970 with fraction. */
bool clock_parse(const char *data, size_t size, int64_t *ret_time_ms);

/* Days since 1970-01-01 for a civil date, and back (H. Hinnant, "chrono-compatible low-level date
 * algorithms"). month 1 … 12, day 1 … 31. */
int64_t clock_days_from_civil(int64_t year, unsigned month, unsigned day);
void clock_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);
