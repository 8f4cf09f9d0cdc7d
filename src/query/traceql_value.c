/* SPDX-License-Identifier: Apache-2.0 */
/* What an expression is worth on one span. Nothing fails: what is not there is nil, and a
 * comparison between kinds that have nothing in common does not hold. */
#include "query/traceql_priv.h"

#include <math.h>
#include <stdio.h>

static struct tql_value nil(void)
{
    return (struct tql_value){.type = TQL_NIL};
}

static struct tql_value number(double value)
{
    return (struct tql_value){.type = TQL_NUMBER, .number = value};
}

static struct tql_value boolean(bool value)
{
    return (struct tql_value){.type = TQL_BOOL, .number = value};
}

bool tql_compare_numbers(enum tql_op op, double left, double right)
{
    switch (op) {
    case TQL_EQUAL:
        return left == right;
    case TQL_NOT_EQUAL:
        return left != right;
    case TQL_LESS:
        return left < right;
    case TQL_LESS_EQUAL:
        return left <= right;
    case TQL_GREATER:
        return left > right;
    case TQL_GREATER_EQUAL:
        return left >= right;
    default:
        return false;
    }
}

/* nil equals nil only; an attribute that is not there differs from nothing but nil. */
static bool compare(enum tql_op op, const struct tql_value *left, const struct tql_value *right)
{
    if (left->type == TQL_NIL || right->type == TQL_NIL) {
        bool both = left->type == right->type;
        bool with_nil = right->type == TQL_NIL || left->type == TQL_NIL;
        return op == TQL_EQUAL ? both
                               : op == TQL_NOT_EQUAL && right->type == TQL_NIL && with_nil && !both;
    }
    if (left->type != right->type)
        return false;
    if (left->type == TQL_TEXT)
        return tql_compare_numbers(op, str_compare(left->text, right->text), 0);
    if (left->type != TQL_NUMBER && op != TQL_EQUAL && op != TQL_NOT_EQUAL)
        return false;
    return tql_compare_numbers(op, left->number, right->number);
}

static double arithmetic(enum tql_op op, double left, double right)
{
    switch (op) {
    case TQL_ADD:
        return left + right;
    case TQL_SUBTRACT:
        return left - right;
    case TQL_MULTIPLY:
        return left * right;
    case TQL_DIVIDE:
        return left / right;
    case TQL_MODULO:
        return fmod(left, right);
    default:
        return pow(left, right);
    }
}

/* A comparison with what a span has several of holds when it holds of one. */
static bool any_compares(const struct tql_trace *trace, const struct tql_span *span,
                         const struct tql_node *node, const struct tql_value *right)
{
    const struct tql_field *field = &node->left->field;
    size_t count = tql_field_count(span, field);

    for (size_t i = 0; i < (count == 0 ? 1 : count); i++) {
        struct tql_value left = tql_field_value(trace, span, field, i);
        if (right != NULL ? compare(node->op, &left, right)
                          : left.type == TQL_TEXT &&
                                regex_matches(node->regex, left.text) == (node->op == TQL_REGEX))
            return true;
    }
    return false;
}

static bool is_true(const struct tql_value *value)
{
    return value->type == TQL_BOOL && value->number != 0;
}

static struct tql_value binary(const struct tql_trace *trace, const struct tql_span *span,
                               const struct tql_node *node)
{
    bool is_field = node->left->kind == TQL_FIELD;

    if (is_field && (node->op == TQL_REGEX || node->op == TQL_NOT_REGEX))
        return boolean(any_compares(trace, span, node, NULL));
    if (is_field && node->op >= TQL_EQUAL && node->op <= TQL_GREATER_EQUAL) {
        struct tql_value bound = tql_evaluate(trace, span, node->right);
        return boolean(any_compares(trace, span, node, &bound));
    }
    struct tql_value left = tql_evaluate(trace, span, node->left);
    if (node->op == TQL_AND || node->op == TQL_OR) {
        if (is_true(&left) == (node->op == TQL_OR))
            return boolean(node->op == TQL_OR);
        struct tql_value other = tql_evaluate(trace, span, node->right);
        return boolean(is_true(&other));
    }
    if (node->op == TQL_REGEX || node->op == TQL_NOT_REGEX)
        return boolean(left.type == TQL_TEXT &&
                       regex_matches(node->regex, left.text) == (node->op == TQL_REGEX));
    struct tql_value right = tql_evaluate(trace, span, node->right);
    if (node->op >= TQL_ADD)
        return left.type == TQL_NUMBER && right.type == TQL_NUMBER
                   ? number(arithmetic(node->op, left.number, right.number))
                   : nil();
    return boolean(compare(node->op, &left, &right));
}

struct tql_value tql_evaluate(const struct tql_trace *trace, const struct tql_span *span,
                              const struct tql_node *node)
{
    if (node->kind == TQL_LITERAL)
        return node->literal;
    if (node->kind == TQL_FIELD)
        return tql_field_value(trace, span, &node->field, 0);
    if (node->op != TQL_NOT && node->op != TQL_NEGATE)
        return binary(trace, span, node);
    struct tql_value value = tql_evaluate(trace, span, node->left);
    if (node->op == TQL_NOT)
        return value.type == TQL_BOOL ? boolean(value.number == 0) : nil();
    return value.type == TQL_NUMBER ? number(-value.number) : nil();
}

bool tql_holds(const struct tql_trace *trace, const struct tql_span *span,
               const struct tql_node *node)
{
    if (node == NULL)
        return true;
    struct tql_value value = tql_evaluate(trace, span, node);
    return is_true(&value);
}

struct str tql_text(struct tql_trace *trace, const struct tql_value *value)
{
    static const char *const statuses[] = {"unset", "ok", "error"};
    static const char *const kinds[] = {"unspecified", "internal", "server",
                                        "client",      "producer", "consumer"};
    char digits[STR_DOUBLE_SIZE];
    struct str kept;

    switch (value->type) {
    case TQL_NIL:
        return STR("nil");
    case TQL_BOOL:
        return value->number != 0 ? STR("true") : STR("false");
    case TQL_TEXT:
        return value->text;
    case TQL_STATUS:
        return str_of(statuses[(size_t)value->number % ARRAY_COUNT(statuses)]);
    case TQL_KIND:
        return str_of(kinds[(size_t)value->number % ARRAY_COUNT(kinds)]);
    case TQL_NUMBER:
        break;
    }
    kept = arena_str(trace->arena, (struct str){digits, str_from_double(digits, value->number)});
    trace->is_spent |= kept.data == NULL;
    return kept;
}
