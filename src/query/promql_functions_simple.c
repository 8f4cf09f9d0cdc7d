/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that need more than one value at a time, but neither windows nor labels: clamping,
 * rounding, scalars and vectors, absence, order, and what the question itself knows. */
#include "query/promql_eval_priv.h"

#include "query/promql_functions.h"
#include "query/promql_labels.h"

#include <stdlib.h>

static const struct node *argument(const struct node *node, size_t i)
{
    return node->call.arguments[i];
}

/* --- clamp, round --- */

static void clamp_column(struct column *column, const struct grid *grid, const double *min,
                         const double *max)
{
    column->drop_name = true;
    for (size_t i = 0; i < grid->steps; i++) {
        double value = column->values[i];
        if (is_absent(value))
            continue;
        if (max[i] < min[i]) {
            column->values[i] = absent_value();
            continue;
        }
        /* As Go's Max and Min: NaN in any of them wins. */
        if (isnan(value) || isnan(min[i]) || isnan(max[i]))
            column->values[i] = (double)NAN;
        else
            column->values[i] = fmax(min[i], fmin(max[i], value));
    }
}

static enum err constant(struct eval *eval, const struct grid *grid, double number,
                         double **ret_values)
{
    TRY(eval_numbers(eval, grid->steps, ret_values));
    for (size_t i = 0; i < grid->steps; i++)
        (*ret_values)[i] = number;
    return ERR_NONE;
}

static enum err clamp(struct eval *eval, const struct grid *grid, const struct node *node,
                      const double *min, const double *max, struct operand *ret_value)
{
    TRY(eval_vector(eval, grid, argument(node, 0), ret_value));
    for (size_t c = 0; c < ret_value->count; c++)
        clamp_column(&ret_value->columns[c], grid, min, max);
    operand_compact(ret_value, grid);
    return ERR_NONE;
}

enum err call_clamp(struct eval *eval, const struct grid *grid, const struct node *node,
                    struct operand *ret_value)
{
    double *min;
    double *max;

    TRY(eval_scalar(eval, grid, argument(node, 1), &min));
    TRY(eval_scalar(eval, grid, argument(node, 2), &max));
    return clamp(eval, grid, node, min, max, ret_value);
}

enum err call_clamp_max(struct eval *eval, const struct grid *grid, const struct node *node,
                        struct operand *ret_value)
{
    double *min;
    double *max;

    TRY(eval_scalar(eval, grid, argument(node, 1), &max));
    TRY(constant(eval, grid, -(double)INFINITY, &min));
    return clamp(eval, grid, node, min, max, ret_value);
}

enum err call_clamp_min(struct eval *eval, const struct grid *grid, const struct node *node,
                        struct operand *ret_value)
{
    double *min;
    double *max;

    TRY(eval_scalar(eval, grid, argument(node, 1), &min));
    TRY(constant(eval, grid, (double)INFINITY, &max));
    return clamp(eval, grid, node, min, max, ret_value);
}

enum err call_round(struct eval *eval, const struct grid *grid, const struct node *node,
                    struct operand *ret_value)
{
    double *nearest;

    TRY(eval_vector(eval, grid, argument(node, 0), ret_value));
    if (node->call.arguments_count > 1)
        TRY(eval_scalar(eval, grid, argument(node, 1), &nearest));
    else
        TRY(constant(eval, grid, 1, &nearest));
    for (size_t c = 0; c < ret_value->count; c++) {
        struct column *column = &ret_value->columns[c];
        column->drop_name = true;
        for (size_t i = 0; i < grid->steps; i++) {
            double inverse = 1 / nearest[i];
            if (!is_absent(column->values[i]))
                column->values[i] = floor(column->values[i] * inverse + 0.5) / inverse;
        }
    }
    return ERR_NONE;
}

/* --- between scalars and vectors --- */

enum err call_scalar(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value)
{
    struct operand vector;

    TRY(eval_vector(eval, grid, argument(node, 0), &vector));
    TRY(eval_numbers(eval, grid->steps, &ret_value->scalar));
    for (size_t i = 0; i < grid->steps; i++) {
        size_t count = 0;
        ret_value->scalar[i] = (double)NAN;
        for (size_t c = 0; c < vector.count && count < 2; c++) {
            if (is_absent(vector.columns[c].values[i]))
                continue;
            ret_value->scalar[i] = ++count == 1 ? vector.columns[c].values[i] : (double)NAN;
        }
    }
    return ERR_NONE;
}

static enum err one_column(struct eval *eval, double *values, struct operand *ret_value)
{
    struct column *column = ARENA_NEW(eval->arena, struct column);

    if (column == NULL)
        return eval_spent(eval);
    *column = (struct column){.labels = labels_empty(eval->arena), .values = values};
    if (column->labels == NULL)
        return eval_spent(eval);
    *ret_value = (struct operand){.type = PROMQL_VECTOR, .columns = column, .count = 1};
    return ERR_NONE;
}

enum err call_vector(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value)
{
    double *values;

    TRY(eval_scalar(eval, grid, argument(node, 0), &values));
    return one_column(eval, values, ret_value);
}

static enum err of_both(struct eval *eval, const struct grid *grid, const struct node *node,
                        bool larger, struct operand *ret_value)
{
    double *other;

    TRY(eval_scalar(eval, grid, argument(node, 0), &ret_value->scalar));
    TRY(eval_scalar(eval, grid, argument(node, 1), &other));
    for (size_t i = 0; i < grid->steps; i++) {
        double a = ret_value->scalar[i];
        double b = other[i];
        if (isnan(a) || isnan(b))
            ret_value->scalar[i] = (double)NAN;
        else
            ret_value->scalar[i] = larger ? fmax(a, b) : fmin(a, b);
    }
    return ERR_NONE;
}

enum err call_max_of(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value)
{
    return of_both(eval, grid, node, true, ret_value);
}

enum err call_min_of(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value)
{
    return of_both(eval, grid, node, false, ret_value);
}

/* --- what the question knows --- */

enum err call_pi(struct eval *eval, const struct grid *grid, const struct node *node,
                 struct operand *ret_value)
{
    (void)node; /* It takes no arguments. */
    return constant(eval, grid, M_PI, &ret_value->scalar);
}

enum err call_start(struct eval *eval, const struct grid *grid, const struct node *node,
                    struct operand *ret_value)
{
    (void)node; /* It takes no arguments. */
    return constant(eval, grid, (double)eval->query->start_ms / 1000, &ret_value->scalar);
}

enum err call_end(struct eval *eval, const struct grid *grid, const struct node *node,
                  struct operand *ret_value)
{
    (void)node; /* It takes no arguments. */
    return constant(eval, grid, (double)eval->query->end_ms / 1000, &ret_value->scalar);
}

enum err call_step(struct eval *eval, const struct grid *grid, const struct node *node,
                   struct operand *ret_value)
{
    (void)node; /* It takes no arguments. */
    return constant(eval, grid, (double)eval->query->step_ms / 1000, &ret_value->scalar);
}

enum err call_range(struct eval *eval, const struct grid *grid, const struct node *node,
                    struct operand *ret_value)
{
    const struct promql_query *query = eval->query;

    (void)node; /* It takes no arguments. */
    return constant(eval, grid, (double)(query->end_ms - query->start_ms) / 1000,
                    &ret_value->scalar);
}

enum err call_time(struct eval *eval, const struct grid *grid, const struct node *node,
                   struct operand *ret_value)
{
    (void)node; /* It takes no arguments. */
    TRY(eval_numbers(eval, grid->steps, &ret_value->scalar));
    for (size_t i = 0; i < grid->steps; i++)
        ret_value->scalar[i] = (double)grid_time(grid, i) / 1000;
    return ERR_NONE;
}

/* Of a selector the time of the sample that it shows, of anything else the time of the step. */
enum err call_timestamp(struct eval *eval, const struct grid *grid, const struct node *node,
                        struct operand *ret_value)
{
    const struct node *inner = node_unwrap(argument(node, 0));
    bool of_samples = inner->kind == NODE_SELECTOR && inner->selector.extension == EXTENSION_NONE;

    if (of_samples)
        TRY(eval_selector(eval, grid, inner, true, ret_value));
    else
        TRY(eval_vector(eval, grid, inner, ret_value));
    for (size_t c = 0; c < ret_value->count; c++) {
        struct column *column = &ret_value->columns[c];
        column->drop_name = true;
        for (size_t i = 0; !of_samples && i < grid->steps; i++)
            if (!is_absent(column->values[i]))
                column->values[i] = (double)grid_time(grid, i) / 1000;
    }
    return ERR_NONE;
}

/* --- absence --- */

/* The labels that the selector itself promises: one plain equality each. */
static enum err absent_labels(struct eval *eval, const struct node *node,
                              const struct labels **ret_labels)
{
    struct label_edit edit = {.count = 0};

    node = node_unwrap(node);
    if (node->kind == NODE_SELECTOR) {
        const struct node_selector *selector = &node->selector;
        for (size_t i = 0; i < selector->matchers_count; i++) {
            const struct matcher *matcher = &selector->matchers[i];
            bool once = matcher->op == MATCH_EQUAL && !str_eq(matcher->name, LABEL_NAME);
            for (size_t j = 0; j < selector->matchers_count; j++)
                once = once && (i == j || !str_eq(matcher->name, selector->matchers[j].name));
            if (once && !label_edit_set(&edit, matcher->name, matcher->value))
                return eval_fail(eval, node, "a result would have more than %d labels",
                                 LABEL_COUNT_MAX);
        }
    }
    *ret_labels = label_edit_build(&edit, eval->arena);
    return *ret_labels == NULL ? eval_spent(eval) : ERR_NONE;
}

static enum err absence(struct eval *eval, const struct grid *grid, const struct node *node,
                        const struct operand *present, struct operand *ret_value)
{
    double *values;

    TRY(eval_numbers(eval, grid->steps, &values));
    for (size_t i = 0; i < grid->steps; i++) {
        values[i] = 1;
        for (size_t c = 0; c < present->count; c++)
            if (!is_absent(present->columns[c].values[i]))
                values[i] = absent_value();
    }
    TRY(one_column(eval, values, ret_value));
    TRY(absent_labels(eval, argument(node, 0), &ret_value->columns[0].labels));
    operand_compact(ret_value, grid);
    return ERR_NONE;
}

enum err call_absent(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value)
{
    struct operand present;

    TRY(eval_vector(eval, grid, argument(node, 0), &present));
    return absence(eval, grid, node, &present, ret_value);
}

enum err call_absent_over_time(struct eval *eval, const struct grid *grid, const struct node *node,
                               struct operand *ret_value)
{
    struct node_call call = {
        .function = function_find(STR("present_over_time")),
        .arguments = node->call.arguments,
        .arguments_count = 1,
    };
    struct node present_node = {
        .kind = NODE_CALL, .type = PROMQL_VECTOR, .start = node->start, .end = node->end};
    struct operand present;

    present_node.call = call;
    TRY(eval_vector(eval, grid, &present_node, &present));
    return absence(eval, grid, node, &present, ret_value);
}

/* --- order --- */

static int by_value(const void *a, const void *b)
{
    double left = ((const struct column *)a)->values[0];
    double right = ((const struct column *)b)->values[0];

    if (isnan(left) || isnan(right))
        return (int)isnan(left) - (int)isnan(right);
    return (left > right) - (left < right);
}

static int by_value_down(const void *a, const void *b)
{
    double left = ((const struct column *)a)->values[0];
    double right = ((const struct column *)b)->values[0];

    if (isnan(left) || isnan(right))
        return (int)isnan(left) - (int)isnan(right);
    return (left < right) - (left > right);
}

static void note_useless(struct eval *eval, const struct node *node)
{
    eval_note(eval, true, node,
              "sort is ineffective for range queries since results are always ordered by labels");
}

static enum err sort_values(struct eval *eval, const struct grid *grid, const struct node *node,
                            int (*compare)(const void *, const void *), struct operand *ret_value)
{
    TRY(eval_vector(eval, grid, argument(node, 0), ret_value));
    if (eval->is_range)
        note_useless(eval, node);
    else if (grid->steps == 1 && ret_value->count > 1)
        qsort(ret_value->columns, ret_value->count, sizeof(*ret_value->columns), compare);
    return ERR_NONE;
}

enum err call_sort(struct eval *eval, const struct grid *grid, const struct node *node,
                   struct operand *ret_value)
{
    return sort_values(eval, grid, node, by_value, ret_value);
}

enum err call_sort_desc(struct eval *eval, const struct grid *grid, const struct node *node,
                        struct operand *ret_value)
{
    return sort_values(eval, grid, node, by_value_down, ret_value);
}

/* --- order by labels --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_at(struct str text, size_t at)
{
    size_t end = at;

    while (end < text.size && is_digit(text.data[end]))
        end++;
    return end - at;
}

/* Runs of digits by their number, everything else by its bytes: "4m5" before "4m600". */
static int natural_compare(struct str a, struct str b)
{
    size_t i = 0;
    size_t j = 0;

    while (i < a.size && j < b.size) {
        size_t left = digits_at(a, i);
        size_t right = digits_at(b, j);
        if (left == 0 || right == 0) {
            if (a.data[i] != b.data[j])
                return (unsigned char)a.data[i] < (unsigned char)b.data[j] ? -1 : 1;
            i++;
            j++;
            continue;
        }
        size_t left_end = i + left;
        size_t right_end = j + right;
        while (i + 1 < left_end && a.data[i] == '0')
            i++;
        while (j + 1 < right_end && b.data[j] == '0')
            j++;
        if (left_end - i != right_end - j)
            return left_end - i < right_end - j ? -1 : 1;
        int order = memcmp(a.data + i, b.data + j, left_end - i);
        if (order != 0)
            return order;
        i = left_end;
        j = right_end;
    }
    return (int)(i < a.size) - (int)(j < b.size);
}

struct label_order {
    struct str names[64];
    size_t count;
    int sign;
};

static int by_labels(const void *a, const void *b, void *context)
{
    const struct label_order *order = context;
    const struct labels *left = ((const struct column *)a)->labels;
    const struct labels *right = ((const struct column *)b)->labels;

    for (size_t i = 0; i < order->count; i++) {
        int compared =
            natural_compare(labels_get(left, order->names[i]), labels_get(right, order->names[i]));
        if (compared != 0)
            return order->sign * compared;
    }
    return order->sign * labels_compare(left, right);
}

static enum err sort_labels(struct eval *eval, const struct grid *grid, const struct node *node,
                            int sign, struct operand *ret_value)
{
    struct label_order order = {.sign = sign};

    TRY(eval_vector(eval, grid, argument(node, 0), ret_value));
    if (eval->is_range) {
        note_useless(eval, node);
        return ERR_NONE;
    }
    for (size_t i = 1; i < node->call.arguments_count; i++)
        order.names[order.count++] = eval_string(argument(node, i));
    if (ret_value->count > 1)
        qsort_r(ret_value->columns, ret_value->count, sizeof(*ret_value->columns), by_labels,
                &order);
    return ERR_NONE;
}

enum err call_sort_by_label(struct eval *eval, const struct grid *grid, const struct node *node,
                            struct operand *ret_value)
{
    return sort_labels(eval, grid, node, 1, ret_value);
}

enum err call_sort_by_label_desc(struct eval *eval, const struct grid *grid,
                                 const struct node *node, struct operand *ret_value)
{
    return sort_labels(eval, grid, node, -1, ret_value);
}
