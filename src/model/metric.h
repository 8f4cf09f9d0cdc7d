/* SPDX-License-Identifier: Apache-2.0 */
/* metric - one measured number of a series at a time, and what its name means. Plain data.
 *
 * Metric times are milliseconds since 1970, PromQL's own resolution; spans keep nanoseconds. */
#pragma once
#include "base/str.h"
#include "model/label.h"

enum metric_kind {
    METRIC_UNKNOWN,
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM, /* Classic: _bucket, _sum and _count series. */
    METRIC_SUMMARY,
    METRIC_SKETCH, /* A mergeable quantile sketch (sketch/quantile). */
    METRIC_KIND_COUNT
};

/* "counter", "gauge", … as in the exposition format; a sketch is called "histogram" there. */
const char *metric_kind_name(enum metric_kind kind);
enum metric_kind metric_kind_parse(struct str name); /* METRIC_UNKNOWN for what it does not know. */

struct metric_info {
    struct str name;
    struct str unit; /* "bytes", "seconds"; may be empty. */
    struct str help;
    enum metric_kind kind;
};

struct sample {
    const struct labels *labels;
    int64_t time_ms;
    double value;
};

struct sketch_sample {
    const struct labels *labels;
    int64_t time_ms;
    struct str sketch; /* As serialised by sketch/quantile. */
};

/* Prometheus' marker for "this series ended here". */
#define METRIC_STALE_BITS UINT64_C(0x7ff0000000000002)

static inline double metric_stale(void)
{
    double value;
    uint64_t bits = METRIC_STALE_BITS;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline bool metric_is_stale(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits == METRIC_STALE_BITS;
}
