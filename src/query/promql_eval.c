/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over the tree, the bounds it keeps, and the writing of the answer.
 *
 * A node's value is computed for all steps at once (promql_eval_priv.h), so the cost of walking
 * the tree, of labels and of grouping is paid once per question and not once per step. */
#include "query/promql_eval_priv.h"

#include "query/promql_functions.h"
#include "query/promql_labels.h"
#include "query/promql_lex.h"
#include "query/promql_sketch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHECK_EVERY = 1 << 16 }; /* Steps of loops between two looks at the clock. */

enum err eval_spent(struct eval *eval)
{
    enum err err = arena_spent(eval->arena, "the query", eval->why);

    hint(eval->why, "select fewer series, a shorter time, or a larger step");
    return err;
}

static enum err check_clock(struct eval *eval)
{
    const struct promql_query *query = eval->query;

    eval->work_next_check = eval->work + CHECK_EVERY;
    if (query->cancelled != NULL && atomic_load_explicit(query->cancelled, memory_order_relaxed))
        return fail(eval->why, ERR_CANCELLED, "the query was cancelled");
    if (clock_monotonic_ns() <= eval->deadline_ns)
        return ERR_NONE;
    (void)fail(eval->why, ERR_TIMEOUT, "the query took longer than %lld ms",
               (long long)query->timeout_ms); /* Returned below. */
    hint(eval->why, "select fewer series, a shorter time, or a larger step");
    return ERR_TIMEOUT;
}

enum err eval_tick(struct eval *eval, uint64_t work)
{
    eval->work += work;
    return eval->work < eval->work_next_check ? ERR_NONE : check_clock(eval);
}

enum err eval_count(struct eval *eval, uint64_t samples)
{
    eval->samples += samples;
    if (eval->samples <= eval->query->samples_max)
        return eval_tick(eval, samples);
    (void)fail(eval->why, ERR_LIMIT, "the query touches more than %llu samples",
               (unsigned long long)eval->query->samples_max); /* Returned below. */
    hint(eval->why, "select fewer series, a shorter time, or a larger step");
    return ERR_LIMIT;
}

enum err eval_fail(struct eval *eval, const struct node *node, const char *format, ...)
{
    char sentence[WHY_TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments); /* Cut is fine. */
    va_end(arguments);
    return fail_at(eval->why, ERR_INVALID, node->start, "%s", sentence);
}

void eval_note(struct eval *eval, bool warning, const struct node *node, const char *format, ...)
{
    char sentence[WHY_TEXT_SIZE];
    int line;
    int column;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments); /* Cut is fine. */
    va_end(arguments);
    promql_place(eval->expression->text, node->start, &line, &column);
    if (eval->notes_count == PROMQL_NOTES_MAX)
        return;
    char *text = arena_printf(eval->arena, "PromQL %s: %s (%d:%d)", warning ? "warning" : "info",
                              sentence, line, column);
    if (text == NULL)
        return; /* A note is not worth failing for. */
    for (size_t i = 0; i < eval->notes_count; i++)
        if (strcmp(eval->notes[i].text, text) == 0)
            return;
    eval->notes[eval->notes_count++] = (struct promql_note){warning, text};
}

enum err eval_numbers(struct eval *eval, size_t count, double **ret_numbers)
{
    *ret_numbers = ARENA_ARRAY(eval->arena, count, double);
    return *ret_numbers == NULL ? eval_spent(eval) : ERR_NONE;
}

enum err eval_columns(struct eval *eval, const struct grid *grid, size_t count,
                      struct operand *ret_value)
{
    struct operand value = {.type = PROMQL_VECTOR, .count = count};
    size_t numbers;
    double *values;

    if (__builtin_mul_overflow(count, grid->steps, &numbers))
        return eval_spent(eval);
    TRY(eval_count(eval, numbers));
    value.columns = ARENA_ARRAY(eval->arena, count, struct column);
    if (value.columns == NULL)
        return eval_spent(eval);
    TRY(eval_numbers(eval, numbers, &values));
    for (size_t i = 0; i < count; i++)
        value.columns[i].values = values + i * grid->steps;
    *ret_value = value;
    return ERR_NONE;
}

static bool is_empty(const struct column *column, const struct grid *grid)
{
    for (size_t i = 0; i < grid->steps; i++)
        if (!is_absent(column->values[i]))
            return false;
    return true;
}

void operand_compact(struct operand *value, const struct grid *grid)
{
    size_t kept = 0;

    for (size_t i = 0; i < value->count; i++)
        if (!is_empty(&value->columns[i], grid))
            value->columns[kept++] = value->columns[i];
    value->count = kept;
}

/* --- merging equal label sets --- */

const char promql_same_labelset[] = "vector cannot contain metrics with the same labelset";

static enum err remove_name(struct eval *eval, struct column *column)
{
    struct label_edit edit;

    label_edit_from(&edit, column->labels);
    label_edit_remove_schema(&edit);
    column->labels = label_edit_build(&edit, eval->arena);
    column->drop_name = false;
    return column->labels == NULL ? eval_spent(eval) : ERR_NONE;
}

static bool merge_column(struct column *into, const struct column *from, const struct grid *grid)
{
    for (size_t i = 0; i < grid->steps; i++) {
        if (is_absent(from->values[i]))
            continue;
        if (!is_absent(into->values[i]))
            return false;
        into->values[i] = from->values[i];
    }
    return true;
}

enum err operand_merge(struct eval *eval, const struct grid *grid, struct operand *value,
                       bool remove_names, const char *complaint)
{
    struct label_table table;

    for (size_t i = 0; remove_names && i < value->count; i++)
        if (value->columns[i].drop_name)
            TRY(remove_name(eval, &value->columns[i]));
    if (value->count < 2)
        return ERR_NONE;
    if (!label_table_init(&table, value->count, eval->arena))
        return eval_spent(eval);
    size_t kept = 0;
    for (size_t i = 0; i < value->count; i++) {
        uint32_t number = label_table_put(&table, value->columns[i].labels);
        if (number == kept) {
            value->columns[kept++] = value->columns[i];
            continue;
        }
        TRY(sketch_join(eval, grid, &value->columns[number], &value->columns[i]));
        if (!merge_column(&value->columns[number], &value->columns[i], grid))
            return eval_fail(eval, eval->expression->root, "%s", complaint);
        value->columns[number].drop_name |= value->columns[i].drop_name;
    }
    value->count = kept;
    return ERR_NONE;
}

/* --- durations --- */

static double duration_binary(enum operator_kind operator_kind, double left, double right)
{
    double result = (double)NAN;

    (void)apply_operator(operator_kind, left, right, &result); /* Arithmetic always stays. */
    return result;
}

static double duration_seconds(const struct eval *eval, const struct grid *grid,
                               const struct duration *duration)
{
    const struct promql_query *query = eval->query;

    switch (duration->kind) {
    case DURATION_LITERAL:
    case DURATION_NUMBER:
        return duration->seconds;
    case DURATION_STEP:
        return (double)query->step_ms / 1000;
    case DURATION_RANGE:
        return (double)(query->end_ms - query->start_ms) / 1000;
    case DURATION_NEGATE:
        return -duration_seconds(eval, grid, duration->left);
    case DURATION_MIN:
    case DURATION_MAX:
    case DURATION_BINARY:
        break;
    }
    double left = duration_seconds(eval, grid, duration->left);
    double right = duration_seconds(eval, grid, duration->right);
    if (duration->kind == DURATION_BINARY)
        return duration_binary(duration->operator_kind, left, right);
    return duration->kind == DURATION_MIN ? fmin(left, right) : fmax(left, right);
}

enum err eval_duration(struct eval *eval, const struct grid *grid, const struct duration *duration,
                       int64_t *ret_ms)
{
    double ms = round(duration_seconds(eval, grid, duration) * 1000);

    if (!(fabs(ms) < 9e15))
        return fail_at(eval->why, ERR_INVALID, duration->start, "duration out of range");
    *ret_ms = (int64_t)ms;
    return ERR_NONE;
}

/* --- nodes --- */

static enum err eval_unary(struct eval *eval, const struct grid *grid, const struct node *node,
                           struct operand *ret_value)
{
    TRY(eval_node(eval, grid, node->unary.operand, ret_value));
    if (!node->unary.negative)
        return ERR_NONE;
    if (ret_value->type == PROMQL_SCALAR) {
        for (size_t i = 0; i < grid->steps; i++)
            ret_value->scalar[i] = -ret_value->scalar[i];
        return ERR_NONE;
    }
    for (size_t c = 0; c < ret_value->count; c++) {
        struct column *column = &ret_value->columns[c];
        column->drop_name = true;
        column->sketches = NULL;
        for (size_t i = 0; i < grid->steps; i++)
            if (!is_absent(column->values[i]))
                column->values[i] = -column->values[i];
    }
    return ERR_NONE;
}

static enum err eval_number(struct eval *eval, const struct grid *grid, double number,
                            struct operand *ret_value)
{
    ret_value->type = PROMQL_SCALAR;
    TRY(eval_numbers(eval, grid->steps, &ret_value->scalar));
    for (size_t i = 0; i < grid->steps; i++)
        ret_value->scalar[i] = number;
    return ERR_NONE;
}

static enum err eval_map(struct eval *eval, const struct grid *grid, const struct node *node,
                         struct operand *ret_value)
{
    map_function *map = node->call.function->map;

    TRY(eval_vector(eval, grid, node->call.arguments[0], ret_value));
    for (size_t c = 0; c < ret_value->count; c++) {
        struct column *column = &ret_value->columns[c];
        column->drop_name = true;
        column->sketches = NULL;
        for (size_t i = 0; i < grid->steps; i++)
            if (!is_absent(column->values[i]))
                column->values[i] = map(column->values[i]);
    }
    return ERR_NONE;
}

/* Functions of labels and order leave distributions what they are; others make numbers of them. */
static void strip_sketches(const struct function_row *function, struct operand *value)
{
    if (function->call == call_label_replace || function->call == call_label_join ||
        function->call == call_sort || function->call == call_sort_desc ||
        function->call == call_sort_by_label || function->call == call_sort_by_label_desc)
        return;
    for (size_t c = 0; c < value->count; c++)
        value->columns[c].sketches = NULL;
}

static enum err eval_call(struct eval *eval, const struct grid *grid, const struct node *node,
                          struct operand *ret_value)
{
    const struct function_row *function = node->call.function;

    if (function->map != NULL)
        return eval_map(eval, grid, node, ret_value);
    if (function->window != NULL)
        return eval_windows(eval, grid, node, ret_value);
    ret_value->type = function->returns;
    TRY(function->call(eval, grid, node, ret_value));
    strip_sketches(function, ret_value);
    return ERR_NONE;
}

enum err eval_node(struct eval *eval, const struct grid *grid, const struct node *node,
                   struct operand *ret_value)
{
    *ret_value = (struct operand){.type = node->type};
    TRY(eval_tick(eval, 1));
    switch (node->kind) {
    case NODE_NUMBER:
        return eval_number(eval, grid, node->number, ret_value);
    case NODE_STRING:
        ret_value->string = node->string;
        return ERR_NONE;
    case NODE_SELECTOR:
        return eval_selector(eval, grid, node, false, ret_value);
    case NODE_CALL:
        return eval_call(eval, grid, node, ret_value);
    case NODE_AGGREGATE:
        return eval_aggregate(eval, grid, node, ret_value);
    case NODE_BINARY:
        return eval_binary(eval, grid, node, ret_value);
    case NODE_UNARY:
        return eval_unary(eval, grid, node, ret_value);
    case NODE_PAREN:
        return eval_node(eval, grid, node->paren, ret_value);
    case NODE_SUBQUERY:
        break; /* Only asked for as a matrix. */
    }
    return eval_fail(eval, node, "a range vector cannot be used here");
}

enum err eval_scalar(struct eval *eval, const struct grid *grid, const struct node *node,
                     double **ret_values)
{
    struct operand value;

    TRY(eval_node(eval, grid, node, &value));
    MUST(value.type == PROMQL_SCALAR);
    *ret_values = value.scalar;
    return ERR_NONE;
}

enum err eval_vector(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value)
{
    TRY(eval_node(eval, grid, node, ret_value));
    MUST(ret_value->type == PROMQL_VECTOR);
    return ERR_NONE;
}

struct str eval_string(const struct node *node)
{
    node = node_unwrap(node);
    MUST(node->kind == NODE_STRING);
    return node->string;
}

/* --- the answer --- */

struct answer {
    struct eval *eval;
    const struct grid *grid;
    int64_t *all_times; /* Shared by the series that have every step. */
    struct promql_result *result;
};

static enum err answer_times(struct answer *answer)
{
    const struct grid *grid = answer->grid;

    answer->all_times = ARENA_ARRAY(answer->eval->arena, grid->steps, int64_t);
    if (answer->all_times == NULL)
        return eval_spent(answer->eval);
    for (size_t i = 0; i < grid->steps; i++)
        answer->all_times[i] = grid_time(grid, i);
    return ERR_NONE;
}

static enum err answer_column(struct answer *answer, const struct column *column,
                              struct promql_series *series)
{
    size_t steps = answer->grid->steps;
    size_t count = 0;

    series->labels = column->labels;
    series->values = column->values;
    for (size_t i = 0; i < steps; i++)
        count += !is_absent(column->values[i]);
    series->count = count;
    if (count == steps) {
        series->times_ms = answer->all_times;
        return ERR_NONE;
    }
    int64_t *times = ARENA_ARRAY(answer->eval->arena, count, int64_t);
    if (times == NULL)
        return eval_spent(answer->eval);
    size_t kept = 0;
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(column->values[i]))
            continue;
        times[kept] = answer->all_times[i];
        column->values[kept++] = column->values[i];
    }
    series->times_ms = times;
    return ERR_NONE;
}

static int by_labels(const void *a, const void *b)
{
    return labels_compare(((const struct promql_series *)a)->labels,
                          ((const struct promql_series *)b)->labels);
}

static enum err answer_vector(struct answer *answer, struct operand *value)
{
    struct promql_result *result = answer->result;

    TRY(operand_merge(answer->eval, answer->grid, value, true, promql_same_labelset));
    result->series = ARENA_ARRAY(answer->eval->arena, value->count, struct promql_series);
    if (result->series == NULL)
        return eval_spent(answer->eval);
    TRY(answer_times(answer));
    for (size_t i = 0; i < value->count; i++) {
        struct promql_series *series = &result->series[result->series_count];
        TRY(answer_column(answer, &value->columns[i], series));
        if (series->count > 0)
            result->series_count++;
    }
    if (result->type == PROMQL_MATRIX && result->series_count > 1)
        qsort(result->series, result->series_count, sizeof(*result->series), by_labels);
    return ERR_NONE;
}

/* The samples of the one window that an instant question about a range vector has. */
static enum err answer_matrix(struct answer *answer, const struct matrix *matrix)
{
    struct promql_result *result = answer->result;
    int64_t end_ms =
        matrix->fixed ? matrix->fixed_end_ms : answer->grid->start_ms - matrix->offset_ms;

    result->series = ARENA_ARRAY(answer->eval->arena, matrix->count, struct promql_series);
    if (result->series == NULL)
        return eval_spent(answer->eval);
    for (size_t i = 0; i < matrix->count; i++) {
        const struct run *run = &matrix->runs[i];
        size_t low = 0;
        size_t high = run->count;
        while (low < high && run->times[low] <= end_ms - matrix->range_ms)
            low++;
        while (high > low && run->times[high - 1] > end_ms)
            high--;
        if (low == high)
            continue;
        struct column column = {.labels = run->labels};
        if (run->drop_name)
            TRY(remove_name(answer->eval, &column));
        result->series[result->series_count++] =
            (struct promql_series){column.labels, run->times + low, run->values + low, high - low};
    }
    if (result->series_count > 1)
        qsort(result->series, result->series_count, sizeof(*result->series), by_labels);
    for (size_t i = 1; i < result->series_count; i++)
        if (labels_eq(result->series[i - 1].labels, result->series[i].labels))
            return eval_fail(answer->eval, answer->eval->expression->root, "%s",
                             promql_same_labelset);
    return ERR_NONE;
}

/* A scalar under steps is a series without labels. */
static enum err scalar_series(struct answer *answer, struct operand *value)
{
    struct column *column = ARENA_NEW(answer->eval->arena, struct column);

    if (column == NULL)
        return eval_spent(answer->eval);
    column->labels = labels_empty(answer->eval->arena);
    if (column->labels == NULL)
        return eval_spent(answer->eval);
    column->values = value->scalar;
    *value = (struct operand){.type = PROMQL_VECTOR, .columns = column, .count = 1};
    return answer_vector(answer, value);
}

static enum err check_regexes(struct eval *eval)
{
    for (const struct regex *regex = eval->expression->regexes; regex != NULL;
         regex = regex_next(regex)) {
        if (!regex_gave_up(regex))
            continue;
        (void)fail(eval->why, ERR_LIMIT, "the regular expression \"%.*s\" needs too many steps",
                   STR_ARG(regex_pattern(regex))); /* Returned below. */
        hint(eval->why, "avoid nested repetition such as (a+)+");
        return ERR_LIMIT;
    }
    return ERR_NONE;
}

static enum err run(struct eval *eval, const struct grid *grid, struct promql_result *result)
{
    const struct node *root = eval->expression->root;
    struct answer answer = {.eval = eval, .grid = grid, .result = result};
    struct matrix matrix;
    struct operand value;

    if (root->type == PROMQL_MATRIX) {
        TRY(eval_matrix(eval, grid, node_unwrap(root), FIELD_LAST, false, &matrix));
        return answer_matrix(&answer, &matrix);
    }
    TRY(eval_node(eval, grid, root, &value));
    if (root->type == PROMQL_VECTOR)
        return answer_vector(&answer, &value);
    if (root->type == PROMQL_SCALAR && eval->is_range)
        return scalar_series(&answer, &value);
    if (root->type == PROMQL_SCALAR)
        result->scalar = value.scalar[0];
    else
        result->string = value.string;
    return ERR_NONE;
}

/* Far from the ends of int64_t, so that offsets and ranges, bounded alike, cannot overflow. */
#define TIME_MS_MAX INT64_C(9000000000000000)

static bool time_is_valid(int64_t time_ms)
{
    return time_ms >= -TIME_MS_MAX && time_ms <= TIME_MS_MAX;
}

static enum err evaluate(const struct promql_expression *expression,
                         const struct promql_query *query, bool is_range,
                         struct promql_result *ret_result, struct why *why)
{
    struct promql_query full = *query;

    if (full.lookback_ms == 0)
        full.lookback_ms = PROMQL_LOOKBACK_MS;
    if (full.timeout_ms == 0)
        full.timeout_ms = PROMQL_TIMEOUT_MS;
    if (full.samples_max == 0)
        full.samples_max = PROMQL_SAMPLES_MAX;
    if (full.series_max == 0)
        full.series_max = PROMQL_SERIES_MAX;
    struct eval *eval = ARENA_NEW(query->arena, struct eval);
    if (eval == NULL)
        return arena_spent(query->arena, "the query", why);
    *eval = (struct eval){
        .expression = expression,
        .query = &full,
        .arena = query->arena,
        .why = why,
        .deadline_ns = clock_monotonic_ns() + full.timeout_ms * CLOCK_NS_PER_MS,
        .is_range = is_range,
    };
    struct grid grid = {full.start_ms, full.start_ms, full.step_ms, 1};
    if (is_range) {
        grid.steps = (size_t)((full.end_ms - full.start_ms) / full.step_ms) + 1;
        grid.end_ms = grid_time(&grid, grid.steps - 1);
    }
    struct promql_result result = {.type = expression->root->type, .time_ms = full.start_ms};
    if (is_range)
        result.type = PROMQL_MATRIX;
    TRY(check_clock(eval));
    TRY(run(eval, &grid, &result));
    TRY(check_regexes(eval));
    result.notes = eval->notes;
    result.notes_count = eval->notes_count;
    result.samples = eval->samples;
    *ret_result = result;
    return ERR_NONE;
}

enum err promql_eval_instant(const struct promql_expression *expression,
                             const struct promql_query *query, struct promql_result *ret_result,
                             struct why *why)
{
    struct promql_query instant = *query;

    if (!time_is_valid(query->start_ms))
        return fail(why, ERR_INVALID, "the time is out of range");
    instant.end_ms = instant.start_ms;
    instant.step_ms = 0;
    return evaluate(expression, &instant, false, ret_result, why);
}

enum err promql_eval_range(const struct promql_expression *expression,
                           const struct promql_query *query, struct promql_result *ret_result,
                           struct why *why)
{
    enum promql_type type = expression->root->type;

    if (!time_is_valid(query->start_ms) || !time_is_valid(query->end_ms) ||
        query->step_ms > TIME_MS_MAX)
        return fail(why, ERR_INVALID, "the start, the end or the step is out of range");
    if (query->step_ms <= 0)
        return fail(why, ERR_INVALID,
                    "zero or negative query resolution step widths are not "
                    "accepted. Try a positive integer");
    if (query->end_ms < query->start_ms)
        return fail(why, ERR_INVALID, "end timestamp must not be before start time");
    if ((query->end_ms - query->start_ms) / query->step_ms >= PROMQL_POINTS_MAX)
        return fail(why, ERR_LIMIT,
                    "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
                    "the query resolution (?step=XX)");
    if (type != PROMQL_SCALAR && type != PROMQL_VECTOR)
        return fail_at(why, ERR_INVALID, expression->root->start,
                       "invalid expression type \"%s\" for range query, must be Scalar or instant "
                       "Vector",
                       promql_type_text(type));
    return evaluate(expression, query, true, ret_result, why);
}
