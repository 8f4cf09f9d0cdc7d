/* SPDX-License-Identifier: Apache-2.0 */
/* Binary operators where at least one side is a scalar; two vectors meet in promql_match.c. */
#include "query/promql_eval_priv.h"

static bool compare(enum operator_kind operator_kind, double left, double right)
{
    switch (operator_kind) {
    case OPERATOR_EQUAL:
        return left == right;
    case OPERATOR_NOT_EQUAL:
        return left != right;
    case OPERATOR_LESS_EQUAL:
        return left <= right;
    case OPERATOR_LESS:
        return left < right;
    case OPERATOR_GREATER_EQUAL:
        return left >= right;
    case OPERATOR_GREATER:
        return left > right;
    default:
        return false;
    }
}

bool apply_operator(enum operator_kind operator_kind, double left, double right, double *ret_result)
{
    switch (operator_kind) {
    case OPERATOR_ADD:
        *ret_result = left + right;
        return true;
    case OPERATOR_SUBTRACT:
        *ret_result = left - right;
        return true;
    case OPERATOR_MULTIPLY:
        *ret_result = left * right;
        return true;
    case OPERATOR_DIVIDE:
        *ret_result = left / right;
        return true;
    case OPERATOR_MODULO:
        *ret_result = fmod(left, right);
        return true;
    case OPERATOR_POWER:
        *ret_result = pow(left, right);
        return true;
    case OPERATOR_ATAN2:
        *ret_result = atan2(left, right);
        return true;
    default:
        *ret_result = left;
        return compare(operator_kind, left, right);
    }
}

static double keep_absent(double left, double right, double result)
{
    return is_absent(left) || is_absent(right) ? absent_value() : result;
}

/* The four that compilers vectorise have loops of their own. */
void apply_arithmetic(enum operator_kind operator_kind, const double *left, const double *right,
                      double *result, size_t count)
{
    switch (operator_kind) {
    case OPERATOR_ADD:
        for (size_t i = 0; i < count; i++)
            result[i] = keep_absent(left[i], right[i], left[i] + right[i]);
        return;
    case OPERATOR_SUBTRACT:
        for (size_t i = 0; i < count; i++)
            result[i] = keep_absent(left[i], right[i], left[i] - right[i]);
        return;
    case OPERATOR_MULTIPLY:
        for (size_t i = 0; i < count; i++)
            result[i] = keep_absent(left[i], right[i], left[i] * right[i]);
        return;
    case OPERATOR_DIVIDE:
        for (size_t i = 0; i < count; i++)
            result[i] = keep_absent(left[i], right[i], left[i] / right[i]);
        return;
    default:
        break;
    }
    for (size_t i = 0; i < count; i++) {
        double value = absent_value();
        if (!is_absent(left[i]) && !is_absent(right[i]))
            (void)apply_operator(operator_kind, left[i], right[i], &value); /* Always stays. */
        result[i] = value;
    }
}

static void scalars(const struct node_binary *binary, const struct grid *grid, const double *left,
                    const double *right, double *result)
{
    bool comparison = operator_row(binary->operator_kind)->is_comparison;

    for (size_t i = 0; i < grid->steps; i++) {
        bool stays = apply_operator(binary->operator_kind, left[i], right[i], &result[i]);
        if (comparison)
            result[i] = stays;
    }
}

/* A filtering comparison keeps the vector's value, whichever side it stands on. */
static void filter_column(const struct node_binary *binary, const struct grid *grid, double *values,
                          const double *scalar, bool vector_left)
{
    for (size_t i = 0; i < grid->steps; i++) {
        double left = vector_left ? values[i] : scalar[i];
        double right = vector_left ? scalar[i] : values[i];
        if (is_absent(values[i]))
            continue;
        bool stays = compare(binary->operator_kind, left, right);
        if (binary->returns_bool)
            values[i] = stays;
        else if (!stays)
            values[i] = absent_value();
    }
}

/* Scaled or filtered, a distribution stays one; anything else makes numbers of it. */
static bool keeps_sketches(const struct node_binary *binary, bool vector_left)
{
    if (operator_row(binary->operator_kind)->is_comparison)
        return !binary->returns_bool;
    return binary->operator_kind == OPERATOR_MULTIPLY ||
           (binary->operator_kind == OPERATOR_DIVIDE && vector_left);
}

static enum err vector_scalar(struct eval *eval, const struct grid *grid, const struct node *node,
                              const double *scalar, bool vector_left, struct operand *vector)
{
    const struct node_binary *binary = &node->binary;
    bool comparison = operator_row(binary->operator_kind)->is_comparison;

    for (size_t c = 0; c < vector->count; c++) {
        struct column *column = &vector->columns[c];
        TRY(eval_tick(eval, grid->steps));
        if (!keeps_sketches(binary, vector_left))
            column->sketches = NULL;
        if (!comparison || binary->returns_bool)
            column->drop_name = true;
        if (comparison)
            filter_column(binary, grid, column->values, scalar, vector_left);
        else
            apply_arithmetic(binary->operator_kind, vector_left ? column->values : scalar,
                             vector_left ? scalar : column->values, column->values, grid->steps);
    }
    if (comparison)
        operand_compact(vector, grid);
    return ERR_NONE;
}

enum err eval_binary(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value)
{
    const struct node_binary *binary = &node->binary;
    struct operand left;
    struct operand right;

    TRY(eval_node(eval, grid, binary->left, &left));
    TRY(eval_node(eval, grid, binary->right, &right));
    if (left.type == PROMQL_SCALAR && right.type == PROMQL_SCALAR) {
        scalars(binary, grid, left.scalar, right.scalar, left.scalar);
        *ret_value = left;
        return ERR_NONE;
    }
    if (left.type == PROMQL_VECTOR && right.type == PROMQL_VECTOR) {
        if (operator_row(binary->operator_kind)->is_set)
            return match_sets(eval, grid, node, &left, &right, ret_value);
        return match_vectors(eval, grid, node, &left, &right, ret_value);
    }
    bool vector_left = left.type == PROMQL_VECTOR;
    *ret_value = vector_left ? left : right;
    return vector_scalar(eval, grid, node, vector_left ? right.scalar : left.scalar, vector_left,
                         ret_value);
}
