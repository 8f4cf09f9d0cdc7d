/* SPDX-License-Identifier: Apache-2.0 */
/* Types, and the help that a person needs when they do not fit. */
#include "query/promql_parse_priv.h"

#include "query/promql_functions.h"

#include "base/nearest.h"

#include <stdio.h>

static bool is_vector(const struct node *node)
{
    return node->type == PROMQL_VECTOR;
}

static bool is_operand(const struct node *node)
{
    return node->type == PROMQL_VECTOR || node->type == PROMQL_SCALAR;
}

static enum err check_both_scalar(struct parser *parser, const struct node_binary *binary,
                                  const struct token *sign)
{
    const struct operator_row *row = operator_row(binary->operator_kind);

    if (row->is_set)
        return promql_fail(parser->text, sign->start, parser->why,
                           "set operator \"%s\" not allowed in binary scalar expression",
                           row->text);
    if (row->is_comparison && !binary->returns_bool && binary->left->type == PROMQL_SCALAR &&
        binary->right->type == PROMQL_SCALAR) {
        enum err err = promql_fail(parser->text, sign->start, parser->why,
                                   "comparisons between scalars must use BOOL modifier");
        hint(parser->why, "write %s bool", row->text);
        return err;
    }
    return ERR_NONE;
}

static enum err check_matching(struct parser *parser, const struct node_binary *binary,
                               const struct token *sign)
{
    const struct operator_row *row = operator_row(binary->operator_kind);
    bool both = is_vector(binary->left) && is_vector(binary->right);

    if (!both && (binary->has_matching || binary->has_fill_left || binary->has_fill_right))
        return promql_fail(parser->text, sign->start, parser->why,
                           "vector matching only allowed between instant vectors");
    if (row->is_set && binary->cardinality != CARDINALITY_ONE_TO_ONE)
        return promql_fail(parser->text, sign->start, parser->why,
                           "no grouping allowed for \"%s\" operation", row->text);
    if (row->is_set && (binary->has_fill_left || binary->has_fill_right))
        return promql_fail(parser->text, sign->start, parser->why,
                           "filling in missing series not allowed for set operators");
    for (size_t i = 0; binary->on && i < binary->include.count; i++)
        for (size_t j = 0; j < binary->matching.count; j++)
            if (str_eq(binary->include.names[i], binary->matching.names[j]))
                return promql_fail(parser->text, sign->start, parser->why,
                                   "label \"%.*s\" must not occur in ON and GROUP clause at once",
                                   STR_ARG(binary->include.names[i]));
    return ERR_NONE;
}

enum err check_binary(struct parser *parser, struct node *node, const struct token *sign)
{
    const struct node_binary *binary = &node->binary;
    const struct operator_row *row = operator_row(binary->operator_kind);

    if (binary->returns_bool && !row->is_comparison)
        return promql_fail(parser->text, sign->start, parser->why,
                           "bool modifier can only be used on comparison operators");
    if (!is_operand(binary->left) || !is_operand(binary->right)) {
        const struct node *wrong = is_operand(binary->left) ? binary->right : binary->left;
        enum err err = promql_fail(parser->text, wrong->start, parser->why,
                                   "binary expression must contain only scalar and instant vector "
                                   "types");
        if (wrong->type == PROMQL_MATRIX)
            hint(parser->why, "turn the range vector into one value per series first: rate(%.*s)",
                 (int)(wrong->end - wrong->start), parser->text.data + wrong->start);
        return err;
    }
    bool both = is_vector(binary->left) && is_vector(binary->right);
    if (!both)
        TRY(check_both_scalar(parser, binary, sign));
    TRY(check_matching(parser, binary, sign));
    node->type =
        is_vector(binary->left) || is_vector(binary->right) ? PROMQL_VECTOR : PROMQL_SCALAR;
    return ERR_NONE;
}

/* --- calls --- */

static enum err wrong_type(struct parser *parser, const struct node *node, enum promql_type wanted,
                           const char *context)
{
    enum err err =
        promql_fail(parser->text, node->start, parser->why, "expected type %s in %s, got %s",
                    promql_type_text(wanted), context, promql_type_text(node->type));
    const struct node *inner = node_unwrap(node);

    if (wanted == PROMQL_MATRIX && inner->kind == NODE_SELECTOR)
        hint(parser->why, "say how far back to look: %.*s[5m]", (int)(inner->end - inner->start),
             parser->text.data + inner->start);
    else if (wanted == PROMQL_MATRIX && node->type == PROMQL_VECTOR)
        hint(parser->why, "a range over an expression is a subquery: %.*s[1h:1m]",
             (int)(node->end - node->start), parser->text.data + node->start);
    else if (wanted == PROMQL_VECTOR && node->type == PROMQL_MATRIX)
        hint(parser->why, "drop the [range], or fold it first with rate() or avg_over_time()");
    else if (wanted == PROMQL_VECTOR && node->type == PROMQL_SCALAR)
        hint(parser->why, "vector(…) makes a vector of a number");
    else if (wanted == PROMQL_SCALAR && node->type == PROMQL_VECTOR)
        hint(parser->why, "scalar(…) makes a number of a vector with one series");
    return err;
}

enum err check_aggregate(struct parser *parser, const struct node *node)
{
    const struct node_aggregate *aggregate = &node->aggregate;
    const struct aggregate_row *row = aggregate->aggregate;
    int wanted = row->parameter == PROMQL_NONE ? 1 : 2;

    if ((aggregate->parameter == NULL) != (row->parameter == PROMQL_NONE)) {
        enum err err = promql_fail(parser->text, node->start, parser->why,
                                   "wrong number of arguments for aggregate expression provided, "
                                   "expected %d, got %d",
                                   wanted, aggregate->parameter == NULL ? 1 : 2);
        if (wanted == 2)
            hint(parser->why, "the %s comes first: %s(%s, x)",
                 row->parameter == PROMQL_STRING ? "label" : "number", row->name,
                 row->parameter == PROMQL_STRING   ? "\"label\""
                 : row->kind == AGGREGATE_QUANTILE ? "0.95"
                                                   : "5");
        return err;
    }
    if (aggregate->parameter != NULL && aggregate->parameter->type != row->parameter)
        return wrong_type(parser, aggregate->parameter, row->parameter, "aggregation parameter");
    if (!is_vector(aggregate->expression))
        return wrong_type(parser, aggregate->expression, PROMQL_VECTOR, "aggregation expression");
    return ERR_NONE;
}

static enum promql_type type_of_letter(char letter)
{
    switch (letter) {
    case 'v':
        return PROMQL_VECTOR;
    case 'm':
        return PROMQL_MATRIX;
    case 's':
        return PROMQL_SCALAR;
    default:
        return PROMQL_STRING;
    }
}

/* How many arguments the letters ask for; max is SIZE_MAX when the last one repeats. */
static void count_arguments(const char *letters, size_t *ret_min, size_t *ret_max)
{
    *ret_min = 0;
    *ret_max = 0;
    for (; *letters != '\0'; letters++) {
        if (*letters == '*') {
            (*ret_min)--;
            *ret_max = SIZE_MAX;
        } else if (*letters == '?') {
            (*ret_min)--;
        } else {
            (*ret_min)++;
            (*ret_max)++;
        }
    }
}

/* "write round(vector, number optional)". */
static void hint_signature(struct why *why, const struct function_row *function)
{
    char text[128];
    size_t used = 0;

    text[0] = '\0';
    for (const char *letter = function->arguments; *letter != '\0'; letter++) {
        const char *word = *letter == 'v'   ? "vector"
                           : *letter == 'm' ? "range vector"
                           : *letter == 's' ? "number"
                           : *letter == 't' ? "text"
                           : *letter == '?' ? " (optional)"
                                            : " …";
        bool is_sign = *letter == '?' || *letter == '*';
        int size = snprintf(text + used, sizeof(text) - used, "%s%s",
                            used == 0 || is_sign ? "" : ", ", word);
        if (size < 0 || (size_t)size >= sizeof(text) - used)
            break;
        used += (size_t)size;
    }
    hint(why, "write %s(%s)", function->name, text);
}

enum err check_call(struct parser *parser, const struct node *node)
{
    const struct function_row *function = node->call.function;
    const char *letter = function->arguments;
    size_t count = node->call.arguments_count;
    size_t min;
    size_t max;

    count_arguments(function->arguments, &min, &max);
    if (count < min || count > max) {
        const char *bound = min == max ? "" : count < min ? "at least " : "at most ";
        enum err err = promql_fail(parser->text, node->start, parser->why,
                                   "expected %s%zu argument(s) in call to \"%s\", got %zu", bound,
                                   count < min ? min : max, function->name, count);
        hint_signature(parser->why, function);
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        char context[96];
        const struct node *argument = node->call.arguments[i];
        enum promql_type wanted = type_of_letter(*letter);
        if (argument->type != wanted) {
            (void)snprintf(context, sizeof(context), "call to function \"%s\"", /* Fits. */
                           function->name);
            return wrong_type(parser, argument, wanted, context);
        }
        if (letter[1] == '?')
            letter += 2;
        else if (letter[1] != '*')
            letter++;
    }
    return ERR_NONE;
}

/* --- the nearest name --- */

static const char *const aggregate_names[] = {
#define ROW(NAME, name, parameter) name,
#include "query/promql_aggregates.def"
#undef ROW
};

/* Of equally near names the first offered wins: one that the word begins, then functions. */
static struct str nearest_name(struct str name)
{
    struct nearest nearest = nearest_begin(name);
    size_t count;
    const struct function_row *rows = function_rows(&count);

    for (size_t i = 0; i < count; i++)
        if (str_starts(str_of(rows[i].name), name))
            nearest_offer(&nearest, str_of(rows[i].name));
    for (size_t i = 0; i < count; i++)
        nearest_offer(&nearest, str_of(rows[i].name));
    for (size_t i = 0; i < ARRAY_COUNT(aggregate_names); i++)
        nearest_offer(&nearest, str_of(aggregate_names[i]));
    return nearest_found(&nearest);
}

enum err check_unknown_function(struct parser *parser, const struct token *name)
{
    struct str shown = name->text;

    if (shown.size > 60)
        shown.size = 60;
    enum err err = promql_fail(parser->text, name->start, parser->why,
                               "unknown function with name \"%.*s\"", STR_ARG(shown));
    struct str nearest = nearest_name(name->text);
    if (nearest.data != NULL)
        hint(parser->why, "did you mean %.*s()?", STR_ARG(nearest));
    return err;
}
