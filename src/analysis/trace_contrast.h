/* SPDX-License-Identifier: Apache-2.0 */
/* trace_contrast - two groups of traces side by side: which operations take the difference of their
 * times, and how sure that is. Pure; lives in the arena. */
#pragma once
#include "analysis/trace_digest.h"

#define TRACE_CONTRAST_ROWS_MAX 200

struct contrast_row {
    uint32_t operation; /* Of the digests. */
    uint32_t a_traces;
    uint32_t b_traces;
    double a_calls; /* Means per trace. */
    double b_calls;
    double a_ms; /* Means per trace, on the critical path. */
    double b_ms;
    double difference_ms; /* b less a. */
    double share;         /* Of the difference of the groups' means; NAN when there is none. */
    double p;             /* Mann-Whitney, of time; NAN with too few. */
    double p_adjusted;    /* Over all rows, after Benjamini and Hochberg. */
    double effect;        /* Cliff's delta; positive when b takes longer. */
    double presence_p;    /* Fisher: is it in as many traces of either? */
    double calls_p;       /* Mann-Whitney, of calls. */
};

struct contrast {
    double a_mean_ms; /* Of whole traces. */
    double b_mean_ms;
    double a_median_ms;
    double b_median_ms;
    double shift_ms; /* Typical difference (Hodges and Lehmann) and its 95 % interval. */
    double low_ms;
    double high_ms;
    double p;
    double effect;
    struct contrast_row *rows; /* Largest difference of time first. */
    size_t rows_count;
};

CHECKED enum err trace_contrast(const struct trace_digests *digests, const struct trace_group *a,
                                const struct trace_group *b, struct arena *arena,
                                struct contrast *ret_contrast, struct why *why);

/* "SELECT … in shop", or "GET /cart in web". In the arena; STR_NONE when that is spent. */
struct str digest_operation_text(const struct digest_operation *operation, struct arena *arena);

/* p as a sentence has it: "p < 0.001", "p = 0.03". */
void contrast_write_p(struct buf *out, double p);
