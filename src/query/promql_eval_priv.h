/* SPDX-License-Identifier: Apache-2.0 */
/* promql_eval_priv - what the files of the evaluator share.
 *
 * Every node is evaluated once, for all steps of its grid: a series is a column of one double per
 * step. A step where the series has no point holds ABSENT, which has the bits of Prometheus' stale
 * marker: a stored marker is thereby absent without a look, and no arithmetic can make those bits,
 * because hardware only ever makes quiet NaNs. All memory is the query's arena. */
#pragma once
#include "query/promql_ast.h"

#include "base/clock.h"
#include "model/label.h"

#include <math.h>

#define ABSENT_BITS UINT64_C(0x7ff0000000000002)

static inline double absent_value(void)
{
    uint64_t bits = ABSENT_BITS;
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline bool is_absent(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits == ABSENT_BITS;
}

/* The steps that a node is evaluated for. A subquery makes a grid of its own. */
struct grid {
    int64_t start_ms;
    int64_t end_ms; /* Of the last step. */
    int64_t step_ms;
    size_t steps; /* At least 1. */
};

static inline int64_t grid_time(const struct grid *grid, size_t step)
{
    return grid->start_ms + (int64_t)step * grid->step_ms;
}

struct column {
    const struct labels *labels;
    double *values; /* One per step of the grid. */
    /* Of series of sketches where eval.wants_sketches: one per step, bytes; NULL: plain numbers. */
    struct str *sketches;
    bool drop_name; /* The metric's name is no longer true; it goes when the answer is written. */
};

struct operand {
    enum promql_type type;
    struct column *columns; /* Of a vector. */
    size_t count;
    double *scalar; /* One per step. */
    struct str string;
};

/* Runs of samples that a range function slides its window over. */
struct run {
    const struct labels *labels;
    const int64_t *times;
    const double *values;  /* None is absent. */
    const double *weights; /* Where asked for and not all 1: samples that each value sums up. */
    const struct str *sketches; /* Of a series of sketches; values count observations. */
    size_t count;
    bool drop_name;
};

/* Of the samples of a run, those in one step's window: low … high - 1. */
struct bounds {
    uint32_t low;
    uint32_t high;
};

struct matrix {
    struct run *runs;
    size_t count;
    int64_t range_ms;
    bool fixed; /* `@` fixes the window; else it ends offset before each step. */
    int64_t fixed_end_ms;
    int64_t offset_ms;
    enum extension extension;
    int64_t lookback_ms;
};

struct eval {
    const struct promql_expression *expression;
    const struct promql_query *query;
    struct arena *arena;
    struct why *why;
    int64_t deadline_ns;
    uint64_t samples; /* Read, and points made. */
    uint64_t work;    /* Steps of loops; what the clock is looked at by. */
    uint64_t work_next_check;
    struct promql_note notes[PROMQL_NOTES_MAX];
    size_t notes_count;
    bool is_range;       /* The question has steps. */
    bool wants_sketches; /* Inside of a histogram function. */
};

/* --- promql_eval.c --- */

enum err eval_node(struct eval *eval, const struct grid *grid, const struct node *node,
                   struct operand *ret_value);
/* `node` is of the type in question. */
enum err eval_scalar(struct eval *eval, const struct grid *grid, const struct node *node,
                     double **ret_values);
enum err eval_vector(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value);
struct str eval_string(const struct node *node);

/* Counts work; regularly looks at the clock and the cancel flag. */
enum err eval_tick(struct eval *eval, uint64_t work);
/* Counts samples towards their bound. */
enum err eval_count(struct eval *eval, uint64_t samples);
/* An error in the question itself, at a node. */
enum err eval_fail(struct eval *eval, const struct node *node, const char *format, ...)
    PRINTF_LIKE(3, 4);
enum err eval_spent(struct eval *eval);
/* A warning or info for the answer; equal ones are noted once. */
void eval_note(struct eval *eval, bool warning, const struct node *node, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Columns for `count` series, all values undefined. */
enum err eval_columns(struct eval *eval, const struct grid *grid, size_t count,
                      struct operand *ret_value);
enum err eval_numbers(struct eval *eval, size_t count, double **ret_numbers);
/* Leaves out columns that are absent at every step. */
void operand_compact(struct operand *value, const struct grid *grid);
/* Columns with equal labels become one where they never meet; where they do, the question has no
 * answer and `complaint` says why. `remove_names` first takes away the names that are due. */
enum err operand_merge(struct eval *eval, const struct grid *grid, struct operand *value,
                       bool remove_names, const char *complaint);
extern const char promql_same_labelset[];

/* Evaluates a duration in milliseconds. */
enum err eval_duration(struct eval *eval, const struct grid *grid, const struct duration *duration,
                       int64_t *ret_ms);

/* --- promql_selector.c --- */

enum err eval_selector(struct eval *eval, const struct grid *grid, const struct node *node,
                       bool want_times, struct operand *ret_value);
/* want_weights: also how many samples each value stands for, where roll-ups are read. */
enum err eval_matrix(struct eval *eval, const struct grid *grid, const struct node *node,
                     enum field field, bool want_weights, struct matrix *ret_matrix);

/* --- promql_window.c, promql_extended.c --- */

/* The instant selector that interpolates between the samples around each step. */
enum err eval_smoothed(struct eval *eval, const struct grid *grid, const struct node *node,
                       struct operand *ret_value);

enum err eval_windows(struct eval *eval, const struct grid *grid, const struct node *node,
                      struct operand *ret_value);

/* --- promql_binary.c, promql_match.c --- */

enum err eval_binary(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value);
enum err match_vectors(struct eval *eval, const struct grid *grid, const struct node *node,
                       struct operand *left, struct operand *right, struct operand *ret_value);
enum err match_sets(struct eval *eval, const struct grid *grid, const struct node *node,
                    struct operand *left, struct operand *right, struct operand *ret_value);
/* Whether the element stays, and with which value. */
bool apply_operator(enum operator_kind operator_kind, double left, double right,
                    double *ret_result);
void apply_arithmetic(enum operator_kind operator_kind, const double *left, const double *right,
                      double *result, size_t count);

/* --- promql_aggregate.c, promql_rank.c --- */

enum err eval_aggregate(struct eval *eval, const struct grid *grid, const struct node *node,
                        struct operand *ret_value);

struct groups {
    struct column *columns; /* Labels and drop_name of each group; no values yet. */
    uint32_t *group_of;     /* For each input column. */
    size_t count;
};

enum err eval_ranked(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *input, const struct groups *groups, struct operand *ret_value);
enum err eval_count_values(struct eval *eval, const struct grid *grid, const struct node *node,
                           struct operand *input, const struct groups *groups,
                           struct operand *ret_value);

/* --- small mathematics, promql_math.c --- */

/* Adds with Neumaier's compensation. */
static inline void kahan_add(double increment, double *sum, double *compensation)
{
    double total = *sum + increment;

    if (isinf(total))
        *compensation = 0;
    else if (fabs(*sum) >= fabs(increment))
        *compensation += (*sum - total) + increment;
    else
        *compensation += (increment - total) + *sum;
    *sum = total;
}

/* The sum of all and what rounding took from it. */
void kahan_sum(const double *values, size_t count, double *ret_sum, double *ret_rest);

/* The mean as it grows; switches to an incremental one where the sum would overflow. */
struct mean {
    double count;
    double sum;
    double compensation;
    double mean;
    bool incremental;
};

void mean_add(struct mean *mean, double value);
double mean_result(const struct mean *mean);
/* Linear interpolation between ranks, NaN below all; reorders values. */
double quantile_of(double *values, size_t count, double quantile);
