/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_points - the data points of OpenTelemetry's metrics, read into plain numbers. Pure. */
#pragma once
#include "codec/otlp_priv.h"
#include "model/exemplar.h"

enum point_kind {
    POINT_NUMBER,
    POINT_HISTOGRAM,
    POINT_EXPONENTIAL,
    POINT_SUMMARY,
};

/* One side of an exponential histogram: counts[i] numbers in (base^(offset+i), base^(offset+i+1)].
 */
struct exponential_side {
    int32_t offset;
    uint64_t *counts;
    size_t count;
};

struct exponential {
    int32_t scale;
    uint64_t zero_count;
    struct exponential_side positive;
    struct exponential_side negative;
    double sum;
    bool has_sum;
    double min,
        max; /* Where has_min and has_max; of a cumulative one they say nothing of what is new. */
    bool has_min, has_max;
    bool owned; /* The counts are malloc'd. */
};

struct point_quantile {
    double quantile;
    double value;
};

struct point {
    struct attributes attributes;
    int64_t time_ms;
    uint32_t flags;
    double value;   /* Of a number. */
    uint64_t count; /* Of the others. */
    double sum;
    bool has_sum;
    const uint64_t *counts; /* Of a histogram; bounds_count + 1, or none. */
    size_t counts_count;
    const double *bounds;
    size_t bounds_count;
    struct exponential exponential;
    const struct point_quantile *quantiles; /* Of a summary. */
    size_t quantiles_count;
    struct exemplar *exemplars; /* Without labels. */
    size_t exemplars_count;
};

/* All lives in the reader's arena. ERR_INVALID: broken. */
CHECKED enum err point_read(struct otlp_reader *reader, enum point_kind kind, struct str bytes,
                            struct point *ret_point);

/* Appends a sketch (sketch/quantile) of what came since *before, which becomes a copy of now; NULL:
 * of all of it. What counts less than before began anew. ERR_INVALID: out of range. */
CHECKED enum err exponential_sketch(const struct exponential *now, struct exponential *before,
                                    struct buf *out, struct why *why);
void exponential_done(struct exponential *exponential); /* One that was `before`. */
