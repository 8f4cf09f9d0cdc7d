/* SPDX-License-Identifier: Apache-2.0 */
/* quantity - numbers as people read them: "1.3 GiB", "12.5 %", "3.2 ms", "4.1 k". Any thread. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

enum unit {
    UNIT_NONE,
    UNIT_BYTES,
    UNIT_BYTES_PER_SECOND,
    UNIT_SECONDS,
    UNIT_RATIO, /* 0 … 1, shown as a percentage. */
    UNIT_PERCENT,
    UNIT_PER_SECOND,
};

/* What an expression over Prometheus' names is measured in, as far as the names tell. */
enum unit unit_of_expression(struct str expression);

/* About `digits` significant digits; "-" for NaN. */
void quantity_write(struct buf *out, double value, enum unit unit, int digits);

/* The same without zeros at the end: for the ticks of an axis. */
void quantity_write_short(struct buf *out, double value, enum unit unit, int digits);

/* "15s", "3m", "2h", "5d": a stretch of time in its largest fitting unit. */
void quantity_write_age(struct buf *out, double seconds);

/* Local time of day or date, as fine as a span of that length needs: "17:04", "17:04:30",
 * "20 Nov". */
void quantity_write_time(struct buf *out, int64_t time_ms, int64_t span_ms);
