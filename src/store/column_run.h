/* SPDX-License-Identifier: Apache-2.0 */
/* column_run - a run of int64 as few bytes: predicted from the rows before, the rest coded.
 *
 * Private to the column modules. Writing goes in two steps, so that a caller can put bytes of its
 * own between head and body; reading mirrors it. Layout: at the top of column_run.c. Pure. */
#pragma once
#include "store/column_residual.h"

/* Runs longer than this have four lanes: faster to read, and to enter in the middle. */
#define RUN_LANE_ROWS 512

enum run_predictor {
    RUN_LINE,  /* first + slope * row; a slope of 0 is "near the mean". */
    RUN_DELTA, /* The row before. */
    RUN_EMA_0, /* The row before plus an average of the steps so far, 1/2^0 of each new one: the */
    RUN_EMA_1, /* last step itself, that is delta of delta; … */
    RUN_EMA_2,
    RUN_EMA_3,
    RUN_EMA_4,
    RUN_EMA_5, /* … 1/2^5 of each new one. */
    RUN_PREDICTOR_COUNT
};

/* Memory for planning; sizes grow as needed. */
struct run_scratch {
    int64_t *rows;      /* (values - first) / divisor. */
    int64_t *residuals; /* Of the predictor chosen. */
    int64_t *trial;     /* Of the one being tried. */
    size_t capacity;
};
void run_scratch_done(struct run_scratch *scratch);

/* What the writer chose. rows and residuals live in the scratch. */
struct run_plan {
    size_t count;
    int64_t first;
    uint64_t divisor; /* Of all differences from first; 1 when there are none. */
    enum run_predictor predictor;
    int64_t slope; /* LINE: per row; EMA: the first average. */
    const int64_t *rows;
    const int64_t *residuals;
    struct residual_plan residual;
};

/* count >= 1. thorough tries every predictor, else the likeliest. */
void run_plan_make(struct run_scratch *scratch, const int64_t *values, size_t count, bool thorough,
                   struct run_plan *ret_plan);

/* flag: one bit of the caller's, given back by run_head_read. */
void run_head_write(const struct run_plan *plan, bool flag, struct buf *out);
void run_body_write(const struct run_plan *plan, struct buf *out);

struct run_head {
    size_t count;
    int64_t first;
    uint64_t divisor;
    enum run_predictor predictor;
    enum residual_coding coding;
    bool has_slope;
    bool flag;
};

/* Takes the head off the front of *rest. */
CHECKED enum err run_head_read(struct str *rest, size_t count, struct run_head *ret_head,
                               struct why *why);

/* *rest is exactly the body. Writes rows first_row .. first_row + rows_count, within count, as they
 * were before `first` and `divisor` were taken out: value = first + divisor * row, wrapping. */
CHECKED enum err run_body_read(const struct run_head *head, struct str rest, size_t first_row,
                               size_t rows_count, int64_t *rows, struct why *why);
