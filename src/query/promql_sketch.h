/* SPDX-License-Identifier: Apache-2.0 */
/* promql_sketch - series whose samples are sketches: of each, the durations that came since the one
 * before. They are what native histograms are in Prometheus.
 *
 * To the language such a sample is the number of observations in it, so `rate` gives observations
 * per second without a look into any sketch. Only inside of a histogram function are the sketches
 * themselves carried along (eval.wants_sketches): merged over a window, over series by sum and avg,
 * and read at the end. A column keeps them as bytes, one per step; its value stays the number of
 * observations, scaled as rate and arithmetic demand, and so tells the scale. */
#pragma once
#include "query/promql_eval_priv.h"
#include "query/promql_functions.h"

struct quantile;

/* What a function does with the sketches of a window; NONE: it takes the numbers as any other. */
enum sketch_fold { SKETCH_FOLD_NONE, SKETCH_FOLD_RATE, SKETCH_FOLD_SUM, SKETCH_FOLD_AVG };

enum sketch_fold sketch_fold_of(const struct function_row *function);

/* Fills the column's values and, when they are wanted, its sketches. bounds: one per step, both
 * ends only rise. */
CHECKED enum err sketch_run(struct eval *eval, const struct grid *grid, enum sketch_fold fold,
                            const struct matrix *matrix, const struct run *run,
                            const struct bounds *bounds, struct column *column);

/* The sketches of the newest samples, where columns of a selector come from such series; `sketches`
 * has one place per sample. */
CHECKED enum err sketch_fill(struct eval *eval, const struct grid *grid,
                             const struct samples *samples, int64_t start_ms,
                             struct column *column);

/* Merges what columns of one group hold, after their values were summed or averaged into result. */
CHECKED enum err sketch_groups(struct eval *eval, const struct grid *grid, const struct node *node,
                               const struct operand *input, const struct groups *groups,
                               struct operand *result);

/* Copies the sketches of `from` into `into` at the steps where only `from` has a value. To be
 * called before the values are copied. */
CHECKED enum err sketch_join(struct eval *eval, const struct grid *grid, struct column *into,
                             const struct column *from);

/* Evaluates the argument of a histogram function with sketches, and parts it: columns that have
 * some and those that have none. */
struct sketch_split {
    struct operand sketched;
    struct operand plain;
};
CHECKED enum err sketch_argument(struct eval *eval, const struct grid *grid,
                                 const struct node *node, struct sketch_split *ret_split);

/* Reads one step of a column; NULL where it is absent. */
CHECKED enum err sketch_at(struct eval *eval, const struct column *column, size_t step,
                           struct quantile **ret_sketch);
