/* SPDX-License-Identifier: Apache-2.0 */
/* Recursive descent over the tokens, with precedence climbing for binary operators:
 *
 *   expression = unary { operator [bool] [matching] [fill] unary }      by precedence
 *   unary      = ("+" | "-") power | postfix                            binds as "*", looser than
 * "^" postfix    = primary { "[" range "]" | "[" range ":" step "]" | "@" time | "offset" duration
 * } primary    = number | string | "(" expression ")" | call | aggregation | selector
 *
 * Keywords are words that stand where a keyword may stand, in any case; everywhere else they are
 * names. Types are checked by promql_check.c as soon as a node is complete, so a message speaks of
 * the innermost mistake. */
#include "query/promql_parse_priv.h"

#include "query/promql_functions.h"

#include <math.h>
#include <stdlib.h>

const struct token *parser_peek(const struct parser *parser, size_t ahead)
{
    size_t at = parser->at + ahead;

    return &parser->tokens.items[at < parser->tokens.count ? at : parser->tokens.count - 1];
}

const struct token *parser_take(struct parser *parser)
{
    const struct token *token = parser_peek(parser, 0);

    if (token->kind != TOKEN_END)
        parser->at++;
    return token;
}

bool parser_is_word(const struct parser *parser, size_t ahead, const char *word)
{
    const struct token *token = parser_peek(parser, ahead);

    return token->kind == TOKEN_WORD && str_eq_nocase(token->text, str_of(word));
}

bool parser_accept(struct parser *parser, enum token_kind kind)
{
    if (parser_peek(parser, 0)->kind != kind)
        return false;
    parser->at++;
    return true;
}

/* The end of what was taken last. */
static int32_t last_end(const struct parser *parser)
{
    return parser->at == 0 ? 0 : parser->tokens.items[parser->at - 1].end;
}

enum err parser_unexpected(struct parser *parser, const char *place, const char *wanted)
{
    const struct token *token = parser_peek(parser, 0);
    const char *kind = token->kind == TOKEN_WORD       ? "identifier "
                       : token->kind == TOKEN_NUMBER   ? "number "
                       : token->kind == TOKEN_DURATION ? "duration "
                       : token->kind == TOKEN_STRING   ? "string "
                                                       : "";
    const char *joint = wanted == NULL ? "" : ", expected ";

    if (wanted == NULL)
        wanted = "";
    if (token->kind == TOKEN_END)
        return promql_fail(parser->text, token->start, parser->why,
                           "unexpected end of input in %s%s%s", place, joint, wanted);
    struct str shown = {parser->text.data + token->start, (size_t)(token->end - token->start)};
    if (shown.size > 60)
        shown.size = 60;
    return promql_fail(parser->text, token->start, parser->why, "unexpected %s\"%.*s\" in %s%s%s",
                       kind, STR_ARG(shown), place, joint, wanted);
}

enum err parser_expect(struct parser *parser, enum token_kind kind, const char *place,
                       const char *wanted)
{
    if (parser_accept(parser, kind))
        return ERR_NONE;
    return parser_unexpected(parser, place, wanted);
}

enum err parser_node(struct parser *parser, enum node_kind kind, enum promql_type type,
                     int32_t start, struct node **ret_node)
{
    if (++parser->nodes_count > PROMQL_NODES_MAX)
        return fail(parser->why, ERR_LIMIT, "the query has more than %d parts", PROMQL_NODES_MAX);
    struct node *node = ARENA_NEW(parser->arena, struct node);
    if (node == NULL)
        return arena_spent(parser->arena, "the parsed query", parser->why);
    node->kind = kind;
    node->type = type;
    node->start = start;
    node->end = last_end(parser);
    *ret_node = node;
    return ERR_NONE;
}

enum err parser_above(struct parser *parser, struct node *node, const struct node *child)
{
    if (node->depth <= child->depth)
        node->depth = child->depth + 1;
    if (node->depth <= PROMQL_TREE_DEPTH_MAX)
        return ERR_NONE;
    return fail_at(parser->why, ERR_LIMIT, node->start, "the query is more than %d operators deep",
                   PROMQL_TREE_DEPTH_MAX);
}

enum err parser_enter(struct parser *parser)
{
    if (++parser->depth <= PROMQL_DEPTH_MAX)
        return ERR_NONE;
    enum err err = fail_at(parser->why, ERR_LIMIT, parser_peek(parser, 0)->start,
                           "the query is nested more than %d deep", PROMQL_DEPTH_MAX);
    hint(parser->why, "split it into recording rules");
    return err;
}

void parser_leave(struct parser *parser)
{
    parser->depth--;
}

/* --- lists of labels: (a, b, "c.d") --- */

static bool is_label_name(struct str name)
{
    return str_find(name, ':') < 0;
}

static enum err add_name(struct parser *parser, struct label_names *names, struct str name)
{
    if ((names->count & (names->count - 1)) == 0) { /* Grows at powers of two. */
        size_t capacity = names->count == 0 ? 1 : names->count * 2;
        struct str *items = ARENA_ARRAY(parser->arena, capacity, struct str);
        if (items == NULL)
            return arena_spent(parser->arena, "the parsed query", parser->why);
        if (names->count > 0)
            memcpy(items, names->names, names->count * sizeof(*items));
        names->names = items;
    }
    names->names[names->count++] = name;
    return ERR_NONE;
}

enum err parser_label_names(struct parser *parser, struct label_names *ret_names)
{
    struct label_names names = {0};
    const char *place = "grouping opts";

    TRY(parser_expect(parser, TOKEN_LEFT_PAREN, place, "\"(\""));
    while (parser_peek(parser, 0)->kind != TOKEN_RIGHT_PAREN) {
        const struct token *token = parser_peek(parser, 0);
        bool is_word = token->kind == TOKEN_WORD && is_label_name(token->text);
        bool is_quoted = token->kind == TOKEN_STRING && token->text.size > 0;
        /* Labels may be called inf and nan. */
        if (!is_word && !is_quoted && !(token->kind == TOKEN_NUMBER && token->text.size == 3))
            return parser_unexpected(parser, place, "label");
        TRY(add_name(parser, &names, token->text));
        (void)parser_take(parser); /* It is `token`. */
        if (!parser_accept(parser, TOKEN_COMMA) &&
            parser_peek(parser, 0)->kind != TOKEN_RIGHT_PAREN)
            return parser_unexpected(parser, place, "\",\" or \")\"");
    }
    (void)parser_take(parser); /* The parenthesis. */
    *ret_names = names;
    return ERR_NONE;
}

/* --- binary operators --- */

static bool operator_of_token(const struct token *token, enum operator_kind *ret_kind)
{
    static const enum token_kind signs[OPERATOR_COUNT] = {
        [OPERATOR_EQUAL] = TOKEN_EQUAL,
        [OPERATOR_NOT_EQUAL] = TOKEN_NOT_EQUAL,
        [OPERATOR_LESS_EQUAL] = TOKEN_LESS_EQUAL,
        [OPERATOR_LESS] = TOKEN_LESS,
        [OPERATOR_GREATER_EQUAL] = TOKEN_GREATER_EQUAL,
        [OPERATOR_GREATER] = TOKEN_GREATER,
        [OPERATOR_ADD] = TOKEN_ADD,
        [OPERATOR_SUBTRACT] = TOKEN_SUBTRACT,
        [OPERATOR_MULTIPLY] = TOKEN_MULTIPLY,
        [OPERATOR_DIVIDE] = TOKEN_DIVIDE,
        [OPERATOR_MODULO] = TOKEN_MODULO,
        [OPERATOR_POWER] = TOKEN_POWER,
    };

    for (int i = 0; i < OPERATOR_COUNT; i++) {
        bool found = signs[i] == TOKEN_END
                         ? token->kind == TOKEN_WORD &&
                               str_eq_nocase(token->text, str_of(operator_row(i)->text))
                         : token->kind == signs[i];
        if (found) {
            *ret_kind = (enum operator_kind)i;
            return true;
        }
    }
    return false;
}

static enum err fill_value(struct parser *parser, double *ret_value)
{
    const char *place = "fill modifier";

    TRY(parser_expect(parser, TOKEN_LEFT_PAREN, place, "\"(\""));
    bool negative = parser_accept(parser, TOKEN_SUBTRACT);
    if (!negative)
        (void)parser_accept(parser, TOKEN_ADD); /* A sign that changes nothing. */
    const struct token *token = parser_peek(parser, 0);
    if (token->kind != TOKEN_NUMBER && token->kind != TOKEN_DURATION)
        return parser_unexpected(parser, place, "number");
    *ret_value = negative ? -token->number : token->number;
    (void)parser_take(parser); /* It is `token`. */
    return parser_expect(parser, TOKEN_RIGHT_PAREN, place, "\")\"");
}

static enum err fill_modifiers(struct parser *parser, struct node_binary *binary)
{
    for (;;) {
        bool both = parser_is_word(parser, 0, "fill");
        bool left = both || parser_is_word(parser, 0, "fill_left");
        bool right = both || parser_is_word(parser, 0, "fill_right");
        double value = 0;

        /* A metric may be called fill; fill(…) is the modifier. */
        if ((!left && !right) || parser_peek(parser, 1)->kind != TOKEN_LEFT_PAREN)
            return ERR_NONE;
        (void)parser_take(parser); /* The word. */
        TRY(fill_value(parser, &value));
        if (left) {
            binary->has_fill_left = true;
            binary->fill_left = value;
        }
        if (right) {
            binary->has_fill_right = true;
            binary->fill_right = value;
        }
    }
}

static enum err binary_modifiers(struct parser *parser, struct node_binary *binary)
{
    if (parser_is_word(parser, 0, "bool")) {
        (void)parser_take(parser); /* The word. */
        binary->returns_bool = true;
    }
    if (parser_is_word(parser, 0, "on") || parser_is_word(parser, 0, "ignoring")) {
        if (parser_peek(parser, 1)->kind == TOKEN_LEFT_PAREN) {
            binary->on = parser_is_word(parser, 0, "on");
            binary->has_matching = true;
            (void)parser_take(parser); /* The word. */
            TRY(parser_label_names(parser, &binary->matching));
        }
    }
    bool left = parser_is_word(parser, 0, "group_left");
    if (binary->has_matching && (left || parser_is_word(parser, 0, "group_right"))) {
        binary->cardinality = left ? CARDINALITY_MANY_TO_ONE : CARDINALITY_ONE_TO_MANY;
        (void)parser_take(parser); /* The word. */
        if (parser_peek(parser, 0)->kind == TOKEN_LEFT_PAREN)
            TRY(parser_label_names(parser, &binary->include));
    }
    return fill_modifiers(parser, binary);
}

static enum err parse_unary(struct parser *parser, const struct node **ret_node);

static enum err parse_binary(struct parser *parser, int precedence_min,
                             const struct node **ret_node)
{
    const struct node *left;
    enum operator_kind operator_kind;

    TRY(parser_enter(parser));
    TRY(parse_unary(parser, &left));
    while (operator_of_token(parser_peek(parser, 0), &operator_kind)) {
        const struct operator_row *row = operator_row(operator_kind);
        struct node_binary binary = {.operator_kind = operator_kind, .left = left};
        struct node *node = NULL;

        if (row->precedence < precedence_min)
            break;
        const struct token *token = parser_take(parser);
        TRY(binary_modifiers(parser, &binary));
        int next = operator_kind == OPERATOR_POWER ? row->precedence : row->precedence + 1;
        TRY(parse_binary(parser, next, &binary.right));
        TRY(parser_node(parser, NODE_BINARY, PROMQL_NONE, left->start, &node));
        node->binary = binary;
        TRY(parser_above(parser, node, binary.left));
        TRY(parser_above(parser, node, binary.right));
        TRY(check_binary(parser, node, token));
        left = node;
    }
    parser_leave(parser);
    *ret_node = left;
    return ERR_NONE;
}

static enum err parse_unary(struct parser *parser, const struct node **ret_node)
{
    const struct token *token = parser_peek(parser, 0);
    struct node *node = NULL;
    const struct node *operand;

    if (token->kind != TOKEN_ADD && token->kind != TOKEN_SUBTRACT)
        return parse_postfix(parser, ret_node);
    (void)parser_take(parser); /* It is `token`. */
    TRY(parse_binary(parser, operator_row(OPERATOR_POWER)->precedence, &operand));
    if (operand->type != PROMQL_SCALAR && operand->type != PROMQL_VECTOR)
        return promql_fail(parser->text, token->start, parser->why,
                           "unary expression only allowed on expressions of type scalar or "
                           "instant vector, got \"%s\"",
                           promql_type_text(operand->type));
    bool negative = token->kind == TOKEN_SUBTRACT;
    TRY(parser_node(parser, operand->kind == NODE_NUMBER ? NODE_NUMBER : NODE_UNARY, operand->type,
                    token->start, &node));
    if (operand->kind == NODE_NUMBER) {
        node->number = negative ? -operand->number : operand->number;
    } else {
        TRY(parser_above(parser, node, operand));
        node->unary.operand = operand;
        node->unary.negative = negative;
    }
    *ret_node = node;
    return ERR_NONE;
}

enum err parse_expression(struct parser *parser, const struct node **ret_node)
{
    return parse_binary(parser, 1, ret_node);
}

/* --- aggregations and calls --- */

static enum err grouping(struct parser *parser, struct node_aggregate *aggregate, bool *ret_found)
{
    bool by = parser_is_word(parser, 0, "by");

    *ret_found = by || parser_is_word(parser, 0, "without");
    if (!*ret_found)
        return ERR_NONE;
    (void)parser_take(parser); /* The word. */
    aggregate->without = !by;
    return parser_label_names(parser, &aggregate->grouping);
}

static enum err parse_aggregate(struct parser *parser, const struct aggregate_row *row,
                                const struct node **ret_node)
{
    struct node_aggregate aggregate = {.aggregate = row};
    const struct token *name = parser_take(parser);
    const struct node *first;
    struct node *node = NULL;
    bool has_grouping;

    TRY(grouping(parser, &aggregate, &has_grouping));
    TRY(parser_expect(parser, TOKEN_LEFT_PAREN, "aggregation", "\"(\""));
    if (parser_peek(parser, 0)->kind == TOKEN_RIGHT_PAREN)
        return promql_fail(parser->text, name->start, parser->why,
                           "no arguments for aggregate expression provided");
    TRY(parse_expression(parser, &first));
    aggregate.expression = first;
    if (parser_accept(parser, TOKEN_COMMA)) {
        aggregate.parameter = first;
        TRY(parse_expression(parser, &aggregate.expression));
    }
    if (parser_peek(parser, 0)->kind == TOKEN_COMMA)
        return promql_fail(parser->text, name->start, parser->why,
                           "wrong number of arguments for aggregate expression provided, expected "
                           "%d, got more",
                           row->parameter == PROMQL_NONE ? 1 : 2);
    if (!parser_accept(parser, TOKEN_RIGHT_PAREN)) {
        (void)parser_unexpected(parser, "aggregation", "\")\""); /* Returned below. */
        hint(parser->why, "is a closing ) missing for %s( ?", row->name);
        return ERR_INVALID;
    }
    if (!has_grouping)
        TRY(grouping(parser, &aggregate, &has_grouping));
    TRY(parser_node(parser, NODE_AGGREGATE, PROMQL_VECTOR, name->start, &node));
    node->aggregate = aggregate;
    TRY(parser_above(parser, node, aggregate.expression));
    *ret_node = node;
    return check_aggregate(parser, node);
}

enum { ARGUMENTS_MAX = 64 };

static enum err parse_call(struct parser *parser, const struct node **ret_node)
{
    const struct token *name = parser_take(parser);
    const struct function_row *function = function_find(name->text);
    const struct node *arguments[ARGUMENTS_MAX];
    size_t count = 0;
    struct node *node = NULL;

    if (function == NULL)
        return check_unknown_function(parser, name);
    (void)parser_take(parser); /* The parenthesis that made it a call. */
    while (parser_peek(parser, 0)->kind != TOKEN_RIGHT_PAREN) {
        if (count == ARGUMENTS_MAX)
            return fail_at(parser->why, ERR_LIMIT, parser_peek(parser, 0)->start,
                           "a call has more than %d arguments", ARGUMENTS_MAX);
        parser->may_match_all = count == 1 && function == function_find(STR("info"));
        TRY(parse_expression(parser, &arguments[count++]));
        parser->may_match_all = false;
        if (!parser_accept(parser, TOKEN_COMMA) &&
            parser_peek(parser, 0)->kind != TOKEN_RIGHT_PAREN) {
            (void)parser_unexpected(parser, "call", "\",\" or \")\""); /* Returned below. */
            hint(parser->why, "is a closing ) missing for %s( ?", function->name);
            return ERR_INVALID;
        }
    }
    (void)parser_take(parser); /* The parenthesis. */
    TRY(parser_node(parser, NODE_CALL, function->returns, name->start, &node));
    node->call.function = function;
    node->call.arguments = ARENA_ARRAY(parser->arena, count, const struct node *);
    if (node->call.arguments == NULL)
        return arena_spent(parser->arena, "the parsed query", parser->why);
    for (size_t i = 0; i < count; i++) {
        node->call.arguments[i] = arguments[i];
        TRY(parser_above(parser, node, arguments[i]));
    }
    node->call.arguments_count = count;
    *ret_node = node;
    return check_call(parser, node);
}

/* --- the rest of primary --- */

static enum err parse_paren(struct parser *parser, const struct node **ret_node)
{
    const struct token *open = parser_take(parser);
    const struct node *inner;
    struct node *node = NULL;

    TRY(parse_expression(parser, &inner));
    if (!parser_accept(parser, TOKEN_RIGHT_PAREN)) {
        bool at_end = parser_peek(parser, 0)->kind == TOKEN_END;
        if (at_end)
            (void)promql_fail(parser->text, open->start, parser->why, /* Returned below. */
                              "unclosed left parenthesis");
        else
            (void)parser_unexpected(parser, "parenthesized expression", "\")\"");
        hint(parser->why, "close the ( of byte %d with )", open->start);
        return ERR_INVALID;
    }
    TRY(parser_node(parser, NODE_PAREN, inner->type, open->start, &node));
    node->paren = inner;
    *ret_node = node;
    return parser_above(parser, node, inner);
}

static enum err parse_literal(struct parser *parser, const struct node **ret_node)
{
    const struct token *token = parser_take(parser);
    bool is_string = token->kind == TOKEN_STRING;
    struct node *node = NULL;

    TRY(parser_node(parser, is_string ? NODE_STRING : NODE_NUMBER,
                    is_string ? PROMQL_STRING : PROMQL_SCALAR, token->start, &node));
    if (is_string)
        node->string = token->text;
    else
        node->number = token->number;
    *ret_node = node;
    return ERR_NONE;
}

static bool starts_grouping(const struct parser *parser)
{
    return (parser_is_word(parser, 1, "by") || parser_is_word(parser, 1, "without")) &&
           parser_peek(parser, 2)->kind == TOKEN_LEFT_PAREN;
}

static enum err parse_word(struct parser *parser, const struct node **ret_node)
{
    const struct aggregate_row *row = aggregate_find(parser_peek(parser, 0)->text);
    bool is_call = parser_peek(parser, 1)->kind == TOKEN_LEFT_PAREN;

    if (row != NULL && (is_call || starts_grouping(parser)))
        return parse_aggregate(parser, row, ret_node);
    if (is_call)
        return parse_call(parser, ret_node);
    return parse_selector(parser, ret_node);
}

enum err parse_primary(struct parser *parser, const struct node **ret_node)
{
    const struct token *token = parser_peek(parser, 0);

    switch (token->kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_STRING:
        return parse_literal(parser, ret_node);
    case TOKEN_LEFT_PAREN:
        return parse_paren(parser, ret_node);
    case TOKEN_LEFT_BRACE:
        return parse_selector(parser, ret_node);
    case TOKEN_WORD:
        return parse_word(parser, ret_node);
    case TOKEN_END:
        if (parser->tokens.count == 1)
            return promql_fail(parser->text, token->start, parser->why,
                               "no expression found in input");
        return promql_fail(parser->text, token->start, parser->why, "unexpected end of input");
    default:
        break;
    }
    struct str shown = {parser->text.data + token->start, (size_t)(token->end - token->start)};
    enum err err =
        promql_fail(parser->text, token->start, parser->why, "unexpected \"%.*s\"", STR_ARG(shown));
    if (token->kind == TOKEN_RIGHT_PAREN || token->kind == TOKEN_RIGHT_BRACE)
        hint(parser->why, "something is missing before it, or it closes nothing");
    return err;
}

/* --- the whole --- */

static enum err parse_all(struct parser *parser, struct promql_expression *expression)
{
    TRY(promql_lex(expression->text, expression->arena, &parser->tokens, parser->why));
    TRY(parse_expression(parser, &expression->root));
    const struct token *token = parser_peek(parser, 0);
    if (token->kind == TOKEN_END)
        return ERR_NONE;
    if (token->kind == TOKEN_ASSIGN) {
        (void)parser_unexpected(parser, "expression", NULL); /* Returned below. */
        hint(parser->why, "to compare, write ==; a single = belongs inside braces: {job=\"api\"}");
        return ERR_INVALID;
    }
    if (token->kind == TOKEN_RIGHT_PAREN || token->kind == TOKEN_RIGHT_BRACE ||
        token->kind == TOKEN_RIGHT_BRACKET) {
        (void)promql_fail(parser->text, token->start, parser->why, /* Returned below. */
                          "unexpected \"%.*s\"", STR_ARG(token->text));
        hint(parser->why, "it closes nothing; remove it");
        return ERR_INVALID;
    }
    return parser_unexpected(parser, "expression", NULL);
}

enum { EXPRESSION_BUDGET = 64 << 20 };

enum err promql_parse(struct str text, struct promql_expression **ret_expression, struct why *why)
{
    if (text.size > PROMQL_TEXT_SIZE_MAX)
        return fail(why, ERR_LIMIT, "the query has %zu bytes; %d are allowed", text.size,
                    PROMQL_TEXT_SIZE_MAX);
    struct arena *arena = arena_new(EXPRESSION_BUDGET);
    struct promql_expression *expression = ARENA_NEW(arena, struct promql_expression);
    MUST(expression != NULL); /* The first bytes of a fresh arena. */
    expression->arena = arena;
    expression->text = arena_str(arena, text);
    struct parser parser = {
        .text = expression->text, .arena = arena, .expression = expression, .why = why};

    enum err err = parse_all(&parser, expression);
    if (err != ERR_NONE) {
        promql_hint(why);
        (void)promql_free(expression); /* NULL. */
        return err;
    }
    *ret_expression = expression;
    return ERR_NONE;
}

struct promql_expression *promql_free(struct promql_expression *expression)
{
    if (expression != NULL) {
        expression->regexes = regex_free(expression->regexes);
        (void)arena_free(expression->arena); /* With the expression itself. */
    }
    return NULL;
}

void promql_freep(struct promql_expression **expression)
{
    *expression = promql_free(*expression);
}

enum promql_type promql_type(const struct promql_expression *expression)
{
    return expression->root->type;
}
