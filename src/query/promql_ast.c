/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that the parser, the printer and the evaluator share. */
#include "query/promql_ast.h"

static const struct operator_row operators[OPERATOR_COUNT] = {
    [OPERATOR_OR] = {"or", 1, true, false},
    [OPERATOR_AND] = {"and", 2, true, false},
    [OPERATOR_UNLESS] = {"unless", 2, true, false},
    [OPERATOR_EQUAL] = {"==", 3, false, true},
    [OPERATOR_NOT_EQUAL] = {"!=", 3, false, true},
    [OPERATOR_LESS_EQUAL] = {"<=", 3, false, true},
    [OPERATOR_LESS] = {"<", 3, false, true},
    [OPERATOR_GREATER_EQUAL] = {">=", 3, false, true},
    [OPERATOR_GREATER] = {">", 3, false, true},
    [OPERATOR_ADD] = {"+", 4, false, false},
    [OPERATOR_SUBTRACT] = {"-", 4, false, false},
    [OPERATOR_MULTIPLY] = {"*", 5, false, false},
    [OPERATOR_DIVIDE] = {"/", 5, false, false},
    [OPERATOR_MODULO] = {"%", 5, false, false},
    [OPERATOR_ATAN2] = {"atan2", 5, false, false},
    [OPERATOR_POWER] = {"^", 6, false, false},
};

static const struct aggregate_row aggregates[] = {
#define ROW(NAME, name, parameter) {name, parameter, AGGREGATE_##NAME},
#include "query/promql_aggregates.def"
#undef ROW
};

const struct operator_row *operator_row(enum operator_kind operator_kind)
{
    MUST((unsigned)operator_kind < OPERATOR_COUNT);
    return &operators[operator_kind];
}

const struct aggregate_row *aggregate_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(aggregates); i++)
        if (str_eq_nocase(name, str_of(aggregates[i].name)))
            return &aggregates[i];
    return NULL;
}

const struct node *node_unwrap(const struct node *node)
{
    while (node->kind == NODE_PAREN)
        node = node->paren;
    return node;
}

const char *match_op_text(enum match_op op)
{
    static const char *const texts[] = {"=", "!=", "=~", "!~"};

    return texts[op];
}

bool matcher_accepts(const struct matcher *matcher, struct str value)
{
    switch (matcher->op) {
    case MATCH_EQUAL:
        return str_eq(matcher->value, value);
    case MATCH_NOT_EQUAL:
        return !str_eq(matcher->value, value);
    case MATCH_REGEX:
        return matcher->match(matcher->regex, value);
    case MATCH_NOT_REGEX:
        return !matcher->match(matcher->regex, value);
    }
    return false;
}

const char *promql_type_text(enum promql_type type)
{
    static const char *const texts[] = {"none", "scalar", "instant vector", "range vector",
                                        "string"};

    return texts[type];
}
