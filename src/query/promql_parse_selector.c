/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors and all that may follow an operand: [range], [range:step], @ time, offset duration. */
#include "query/promql_parse_priv.h"

#include <math.h>

/* --- durations --- */

static enum err parse_duration(struct parser *parser, int precedence_min,
                               const struct duration **ret_duration);

static enum err new_duration(struct parser *parser, enum duration_kind kind, int32_t start,
                             struct duration **ret_duration)
{
    struct duration *duration = ARENA_NEW(parser->arena, struct duration);

    if (++parser->nodes_count > PROMQL_NODES_MAX)
        return fail(parser->why, ERR_LIMIT, "the query has more than %d parts", PROMQL_NODES_MAX);
    if (duration == NULL)
        return arena_spent(parser->arena, "the parsed query", parser->why);
    duration->kind = kind;
    duration->start = start;
    *ret_duration = duration;
    return ERR_NONE;
}

/* step(), range(), min(a, b), max(a, b). */
static enum err duration_call(struct parser *parser, const struct duration **ret_duration)
{
    static const struct {
        const char *name;
        enum duration_kind kind;
    } calls[] = {
        {"step", DURATION_STEP}, {"range", DURATION_RANGE}, {"min", DURATION_MIN},
        {"max", DURATION_MAX},   {"min_of", DURATION_MIN},  {"max_of", DURATION_MAX},
    };
    const char *place = "duration expression";
    struct duration *duration = NULL;
    size_t i = 0;

    while (i < ARRAY_COUNT(calls) && !parser_is_word(parser, 0, calls[i].name))
        i++;
    if (i == ARRAY_COUNT(calls))
        return parser_unexpected(parser, place, "number or duration");
    const struct token *name = parser_take(parser);
    TRY(new_duration(parser, calls[i].kind, name->start, &duration));
    TRY(parser_expect(parser, TOKEN_LEFT_PAREN, place, "\"(\""));
    if (calls[i].kind == DURATION_MIN || calls[i].kind == DURATION_MAX) {
        TRY(parse_duration(parser, 1, &duration->left));
        TRY(parser_expect(parser, TOKEN_COMMA, place, "\",\""));
        TRY(parse_duration(parser, 1, &duration->right));
    }
    *ret_duration = duration;
    return parser_expect(parser, TOKEN_RIGHT_PAREN, place, "\")\"");
}

/* One operand. As an offset without parentheses it is `alone`: operators behind it belong to the
 * query, while within an expression a sign takes in a power, as elsewhere in the language. */
static enum err parse_duration_operand(struct parser *parser, bool alone,
                                       const struct duration **ret_duration)
{
    int power = operator_row(OPERATOR_POWER)->precedence;
    const struct token *token = parser_peek(parser, 0);
    struct duration *duration = NULL;

    TRY(parser_enter(parser));
    switch (token->kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
        TRY(new_duration(parser, token->kind == TOKEN_NUMBER ? DURATION_NUMBER : DURATION_LITERAL,
                         token->start, &duration));
        duration->seconds = token->number;
        (void)parser_take(parser); /* It is `token`. */
        *ret_duration = duration;
        break;
    case TOKEN_ADD:
        (void)parser_take(parser); /* A sign that changes nothing. */
        TRY(alone ? parse_duration_operand(parser, alone, ret_duration)
                  : parse_duration(parser, power, ret_duration));
        break;
    case TOKEN_SUBTRACT:
        (void)parser_take(parser); /* The sign. */
        TRY(new_duration(parser, DURATION_NEGATE, token->start, &duration));
        TRY(alone ? parse_duration_operand(parser, alone, &duration->left)
                  : parse_duration(parser, power, &duration->left));
        *ret_duration = duration;
        break;
    case TOKEN_LEFT_PAREN:
        (void)parser_take(parser); /* The parenthesis. */
        TRY(parse_duration(parser, 1, ret_duration));
        TRY(parser_expect(parser, TOKEN_RIGHT_PAREN, "duration expression", "\")\""));
        break;
    default:
        TRY(duration_call(parser, ret_duration));
        break;
    }
    parser_leave(parser);
    return ERR_NONE;
}

static bool duration_operator(const struct parser *parser, enum operator_kind *ret_kind)
{
    static const struct {
        enum token_kind token;
        enum operator_kind operator_kind;
    } rows[] = {
        {TOKEN_ADD, OPERATOR_ADD},           {TOKEN_SUBTRACT, OPERATOR_SUBTRACT},
        {TOKEN_MULTIPLY, OPERATOR_MULTIPLY}, {TOKEN_DIVIDE, OPERATOR_DIVIDE},
        {TOKEN_MODULO, OPERATOR_MODULO},     {TOKEN_POWER, OPERATOR_POWER},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (parser_peek(parser, 0)->kind == rows[i].token) {
            *ret_kind = rows[i].operator_kind;
            return true;
        }
    }
    return false;
}

static enum err parse_duration_chain(struct parser *parser, int precedence_min,
                                     const struct duration **ret_duration)
{
    const struct duration *left;
    struct duration *duration = NULL;
    enum operator_kind operator_kind;
    int links = 0;

    TRY(parse_duration_operand(parser, false, &left));
    while (duration_operator(parser, &operator_kind)) {
        int precedence = operator_row(operator_kind)->precedence;
        if (precedence < precedence_min)
            break;
        if (++links > PROMQL_DEPTH_MAX)
            return fail_at(parser->why, ERR_LIMIT, left->start,
                           "a duration has more than %d operators", PROMQL_DEPTH_MAX);
        TRY(new_duration(parser, DURATION_BINARY, left->start, &duration));
        (void)parser_take(parser); /* The operator. */
        duration->operator_kind = operator_kind;
        duration->left = left;
        TRY(parse_duration(parser, operator_kind == OPERATOR_POWER ? precedence : precedence + 1,
                           &duration->right));
        left = duration;
    }
    *ret_duration = left;
    return ERR_NONE;
}

static enum err parse_duration(struct parser *parser, int precedence_min,
                               const struct duration **ret_duration)
{
    TRY(parser_enter(parser));
    TRY(parse_duration_chain(parser, precedence_min, ret_duration));
    parser_leave(parser);
    return ERR_NONE;
}

/* A constant that can be judged now; arithmetic is judged when it is evaluated. */
static enum err check_positive(struct parser *parser, const struct duration *duration)
{
    bool constant = duration->kind == DURATION_LITERAL || duration->kind == DURATION_NUMBER;

    if (duration->kind == DURATION_NEGATE && duration->left->kind != DURATION_STEP &&
        duration->left->kind != DURATION_RANGE)
        constant = true;
    if (constant && !(duration->kind != DURATION_NEGATE && duration->seconds > 0))
        return promql_fail(parser->text, duration->start, parser->why,
                           "duration must be greater than 0");
    if (constant && duration->seconds * 1000 >= (double)INT64_MAX)
        return promql_fail(parser->text, duration->start, parser->why, "duration out of range");
    return ERR_NONE;
}

/* --- matchers --- */

struct matcher_list {
    struct matcher *items;
    size_t count;
};

static enum err add_matcher(struct parser *parser, struct matcher_list *list,
                            struct matcher matcher)
{
    if ((list->count & (list->count - 1)) == 0) { /* Grows at powers of two. */
        size_t capacity = list->count == 0 ? 1 : list->count * 2;
        struct matcher *items = ARENA_ARRAY(parser->arena, capacity, struct matcher);
        if (items == NULL)
            return arena_spent(parser->arena, "the parsed query", parser->why);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
    }
    list->items[list->count++] = matcher;
    return ERR_NONE;
}

static bool match_with(const void *regex, struct str value)
{
    return regex_matches(regex, value);
}

static enum err add_regex(struct parser *parser, struct matcher *matcher, int32_t position)
{
    struct regex *regex;
    struct why why = WHY_INIT;

    if (regex_new(matcher->value, &regex, &why) != ERR_NONE)
        return promql_fail(parser->text, position, parser->why, "%s", why.text);
    regex_set_next(regex, parser->expression->regexes);
    parser->expression->regexes = regex;
    matcher->match = match_with;
    matcher->regex = regex;
    matcher->literal_count = regex_alternatives(regex, &matcher->literals);
    return ERR_NONE;
}

static enum err match_op_of_token(struct parser *parser, enum match_op *ret_op)
{
    switch (parser_peek(parser, 0)->kind) {
    case TOKEN_ASSIGN:
        *ret_op = MATCH_EQUAL;
        break;
    case TOKEN_NOT_EQUAL:
        *ret_op = MATCH_NOT_EQUAL;
        break;
    case TOKEN_MATCH_REGEX:
        *ret_op = MATCH_REGEX;
        break;
    case TOKEN_MATCH_NOT_REGEX:
        *ret_op = MATCH_NOT_REGEX;
        break;
    case TOKEN_EQUAL:
        (void)parser_unexpected(parser, "label matching", "one of \"=\", \"!=\", \"=~\", \"!~\"");
        hint(parser->why, "inside braces write a single =");
        return ERR_INVALID;
    default:
        (void)parser_unexpected(parser, "label matching", "label matching operator");
        hint(parser->why, "a matcher looks like job=\"api\"");
        return ERR_INVALID;
    }
    (void)parser_take(parser); /* The operator. */
    return ERR_NONE;
}

/* label op "value", or "metric name" alone. */
static enum err parse_matcher(struct parser *parser, struct matcher_list *list)
{
    const struct token *name = parser_peek(parser, 0);
    bool is_string = name->kind == TOKEN_STRING;
    struct matcher matcher = {.name = name->text};

    if (!is_string && (name->kind != TOKEN_WORD || str_find(name->text, ':') >= 0)) {
        (void)parser_unexpected(parser, "label matching", "identifier or \"}\"");
        if (name->kind == TOKEN_END)
            hint(parser->why, "close the selector with }");
        return ERR_INVALID;
    }
    (void)parser_take(parser); /* It is `name`. */
    enum token_kind next = parser_peek(parser, 0)->kind;
    if (is_string && (next == TOKEN_COMMA || next == TOKEN_RIGHT_BRACE)) {
        matcher = (struct matcher){.op = MATCH_EQUAL, .name = LABEL_NAME, .value = name->text};
        return add_matcher(parser, list, matcher);
    }
    TRY(match_op_of_token(parser, &matcher.op));
    const struct token *value = parser_peek(parser, 0);
    if (value->kind != TOKEN_STRING) {
        (void)parser_unexpected(parser, "label matching", "string"); /* Returned below. */
        hint(parser->why, "put the value in quotes");
        return ERR_INVALID;
    }
    (void)parser_take(parser); /* It is `value`. */
    matcher.value = value->text;
    if (matcher.op == MATCH_REGEX || matcher.op == MATCH_NOT_REGEX)
        TRY(add_regex(parser, &matcher, value->start));
    return add_matcher(parser, list, matcher);
}

static enum err parse_matchers(struct parser *parser, struct matcher_list *list)
{
    (void)parser_take(parser); /* The brace. */
    while (!parser_accept(parser, TOKEN_RIGHT_BRACE)) {
        TRY(parse_matcher(parser, list));
        if (parser_accept(parser, TOKEN_COMMA) || parser_peek(parser, 0)->kind == TOKEN_RIGHT_BRACE)
            continue;
        (void)parser_unexpected(parser, "label matching", "\",\" or \"}\""); /* Returned below. */
        if (parser_peek(parser, 0)->kind == TOKEN_END)
            hint(parser->why, "close the selector with }");
        else
            hint(parser->why, "put a comma between two matchers, or close the selector with }");
        return ERR_INVALID;
    }
    return ERR_NONE;
}

/* Some matcher must refuse the empty value, or the selector means all series there are. */
static enum err check_matchers(struct parser *parser, const struct matcher_list *list,
                               int32_t position)
{
    const struct matcher *name = NULL;
    bool narrows = parser->may_match_all;

    for (size_t i = 0; i < list->count; i++) {
        const struct matcher *matcher = &list->items[i];
        if (!matcher_accepts(matcher, STR("")))
            narrows = true;
        if (!str_eq(matcher->name, LABEL_NAME) || matcher->op != MATCH_EQUAL)
            continue;
        if (name != NULL && i > 0 && name == &list->items[0])
            return promql_fail(parser->text, position, parser->why,
                               "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                               STR_ARG(name->value), STR_ARG(matcher->value));
        name = matcher;
    }
    if (narrows)
        return ERR_NONE;
    enum err err = promql_fail(parser->text, position, parser->why,
                               "vector selector must contain at least one non-empty matcher");
    hint(parser->why, "name a metric, or a label with a value: {job=\"api\"}");
    return err;
}

enum err parse_selector(struct parser *parser, const struct node **ret_node)
{
    const struct token *first = parser_peek(parser, 0);
    struct matcher_list list = {0};
    struct str name = STR_NONE;
    struct node *node;

    if (first->kind == TOKEN_WORD) {
        struct matcher matcher = {.op = MATCH_EQUAL, .name = LABEL_NAME, .value = first->text};
        (void)parser_take(parser); /* It is `first`. */
        name = first->text;
        TRY(add_matcher(parser, &list, matcher));
    }
    if (parser_peek(parser, 0)->kind == TOKEN_LEFT_BRACE)
        TRY(parse_matchers(parser, &list));
    TRY(check_matchers(parser, &list, first->start));
    TRY(parser_node(parser, NODE_SELECTOR, PROMQL_VECTOR, first->start, &node));
    node->selector.name = name;
    node->selector.matchers = list.items;
    node->selector.matchers_count = list.count;
    *ret_node = node;
    return ERR_NONE;
}

/* --- what may follow an operand --- */

static struct moment *moment_of(struct node *node)
{
    if (node->kind == NODE_SELECTOR)
        return &node->selector.moment;
    if (node->kind == NODE_SUBQUERY)
        return &node->subquery.moment;
    return NULL;
}

static enum err at_modifier(struct parser *parser, struct node *node)
{
    const struct token *sign = parser_take(parser);
    struct moment *moment = moment_of(node);

    if (moment == NULL)
        return promql_fail(parser->text, sign->start, parser->why,
                           "@ modifier must be preceded by an instant vector selector or range "
                           "vector selector or a subquery");
    if (moment->at != AT_NONE)
        return promql_fail(parser->text, sign->start, parser->why,
                           "@ <timestamp> may not be set multiple times");
    bool start = parser_is_word(parser, 0, "start");
    if (start || parser_is_word(parser, 0, "end")) {
        (void)parser_take(parser); /* The word. */
        TRY(parser_expect(parser, TOKEN_LEFT_PAREN, "@", "\"(\""));
        TRY(parser_expect(parser, TOKEN_RIGHT_PAREN, "@", "\")\""));
        moment->at = start ? AT_START : AT_END;
        return ERR_NONE;
    }
    bool negative = parser_accept(parser, TOKEN_SUBTRACT);
    if (!negative)
        (void)parser_accept(parser, TOKEN_ADD); /* A sign that changes nothing. */
    const struct token *time = parser_peek(parser, 0);
    if (time->kind != TOKEN_NUMBER && time->kind != TOKEN_DURATION)
        return parser_unexpected(parser, "@", "timestamp");
    double ms = round(time->number * 1000);
    if (!(fabs(ms) < 9e15))
        return promql_fail(parser->text, time->start, parser->why,
                           "timestamp out of bounds for @ modifier: %f", time->number);
    (void)parser_take(parser); /* It is `time`. */
    moment->at = AT_TIME;
    moment->at_ms = (int64_t)(negative ? -ms : ms);
    return ERR_NONE;
}

static enum err offset_modifier(struct parser *parser, struct node *node)
{
    const struct token *word = parser_take(parser);
    struct moment *moment = moment_of(node);

    if (moment == NULL)
        return promql_fail(parser->text, word->start, parser->why,
                           "offset modifier must be preceded by an instant vector selector or "
                           "range vector selector or a subquery");
    if (moment->offset != NULL)
        return promql_fail(parser->text, word->start, parser->why,
                           "offset may not be set multiple times");
    return parse_duration_operand(parser, true, &moment->offset);
}

static enum err make_range(struct parser *parser, struct node *node, const struct duration *range,
                           const struct token *bracket)
{
    if (node->kind != NODE_SELECTOR || node->selector.range != NULL) {
        (void)promql_fail(parser->text, bracket->start, parser->why, /* Returned below. */
                          "ranges only allowed for vector selectors");
        if (node->type == PROMQL_VECTOR)
            hint(parser->why, "a range over an expression is a subquery: [1h:1m]");
        return ERR_INVALID;
    }
    if (node->selector.moment.offset != NULL || node->selector.moment.at != AT_NONE)
        return promql_fail(parser->text, bracket->start, parser->why,
                           "no %s modifiers allowed before range",
                           node->selector.moment.offset != NULL ? "offset" : "@");
    if (node->selector.extension != EXTENSION_NONE)
        return promql_fail(parser->text, bracket->start, parser->why,
                           "no anchored or smoothed modifiers allowed before range");
    node->selector.range = range;
    node->type = PROMQL_MATRIX;
    return ERR_NONE;
}

static enum err make_subquery(struct parser *parser, struct node **node,
                              const struct duration *range, const struct token *bracket)
{
    struct node *subquery;

    if ((*node)->type != PROMQL_VECTOR)
        return promql_fail(parser->text, bracket->start, parser->why,
                           "subquery is only allowed on instant vector, got %s instead",
                           promql_type_text((*node)->type));
    TRY(parser_node(parser, NODE_SUBQUERY, PROMQL_MATRIX, (*node)->start, &subquery));
    TRY(parser_above(parser, subquery, *node));
    subquery->subquery.expression = *node;
    subquery->subquery.range = range;
    if (parser_peek(parser, 0)->kind != TOKEN_RIGHT_BRACKET) {
        TRY(parse_duration(parser, 1, &subquery->subquery.step));
        TRY(check_positive(parser, subquery->subquery.step));
    }
    *node = subquery;
    return ERR_NONE;
}

static enum err range_modifier(struct parser *parser, struct node **node)
{
    const struct token *bracket = parser_take(parser);
    const struct duration *range;
    const char *place = "range selector";

    if (parser_peek(parser, 0)->kind == TOKEN_RIGHT_BRACKET) {
        (void)promql_fail(parser->text, parser_peek(parser, 0)->start, parser->why, "%s",
                          "missing duration in range selector");
        hint(parser->why, "write how far back to look: [5m]");
        return ERR_INVALID;
    }
    TRY(parse_duration(parser, 1, &range));
    TRY(check_positive(parser, range));
    bool is_subquery = parser_accept(parser, TOKEN_COLON);
    if (is_subquery) {
        place = "subquery selector";
        TRY(make_subquery(parser, node, range, bracket));
    } else {
        TRY(make_range(parser, *node, range, bracket));
    }
    if (!parser_accept(parser, TOKEN_RIGHT_BRACKET)) {
        (void)parser_unexpected(parser, place, is_subquery ? "\"]\"" : "\":\" or \"]\"");
        hint(parser->why, "close the range with ]");
        return ERR_INVALID;
    }
    (*node)->end = parser->tokens.items[parser->at - 1].end;
    return ERR_NONE;
}

static enum err extension_modifier(struct parser *parser, struct node *node)
{
    const struct token *word = parser_take(parser);
    bool anchored = str_eq_nocase(word->text, STR("anchored"));

    if (node->kind != NODE_SELECTOR)
        return promql_fail(parser->text, word->start, parser->why,
                           "%s modifier can only be used with a selector",
                           anchored ? "anchored" : "smoothed");
    if (node->selector.extension != EXTENSION_NONE)
        return promql_fail(parser->text, word->start, parser->why,
                           "anchored or smoothed may not be set multiple times");
    if (anchored && node->selector.range == NULL)
        return promql_fail(parser->text, word->start, parser->why,
                           "anchored modifier can only be used with a range vector selector");
    node->selector.extension = anchored ? EXTENSION_ANCHORED : EXTENSION_SMOOTHED;
    return ERR_NONE;
}

enum err parse_postfix(struct parser *parser, const struct node **ret_node)
{
    const struct node *primary;

    TRY(parse_primary(parser, &primary));
    struct node *node = (struct node *)primary; /* Ours until it is returned. */
    for (;;) {
        if (parser_peek(parser, 0)->kind == TOKEN_LEFT_BRACKET)
            TRY(range_modifier(parser, &node));
        else if (parser_peek(parser, 0)->kind == TOKEN_AT)
            TRY(at_modifier(parser, node));
        else if (parser_is_word(parser, 0, "offset"))
            TRY(offset_modifier(parser, node));
        else if (parser_is_word(parser, 0, "anchored") || parser_is_word(parser, 0, "smoothed"))
            TRY(extension_modifier(parser, node));
        else
            break;
        node->end = parser->tokens.items[parser->at - 1].end;
    }
    *ret_node = node;
    return ERR_NONE;
}
