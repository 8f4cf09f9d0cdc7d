/* SPDX-License-Identifier: Apache-2.0 */
/* promql_extended - ranges marked `anchored` or `smoothed`.
 *
 * Plain ranges see only the samples inside. An anchored range also knows the value at its left
 * end: the newest sample at or before it, within the lookback. A smoothed range knows both ends,
 * interpolated between the samples around them. So increases of neighbouring ranges add up. */
#pragma once
#include "query/promql_eval_priv.h"

struct function_row;

/* Whether the function takes such a range; the error lists those that do. */
enum err extended_check(struct eval *eval, const struct node *node,
                        const struct function_row *function, enum extension extension);

/* The function over the run's windows, one value per step. */
enum err extended_run(struct eval *eval, const struct grid *grid,
                      const struct function_row *function, const struct matrix *matrix,
                      const struct run *run, double *values);
