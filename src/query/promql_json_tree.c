/* SPDX-License-Identifier: Apache-2.0 */
/* A tree as JSON, in the words of Prometheus' /api/v1/parse_query, so that its explainers of
 * expressions work. Each node also says where it stands in the text. */
#include "query/promql_json.h"

#include "base/json.h"
#include "query/promql_ast.h"
#include "query/promql_functions.h"

#include <math.h>

static void write_node(struct json *json, const struct node *node);

static void put_text(struct json *json, const char *key, const char *text)
{
    json_key(json, key);
    json_add_text(json, text);
}

static void put_str(struct json *json, const char *key, struct str text)
{
    json_key(json, key);
    json_add_str(json, text);
}

static void put_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_add_bool(json, value);
}

static void put_node(struct json *json, const char *key, const struct node *node)
{
    json_key(json, key);
    if (node == NULL)
        json_add_null(json);
    else
        write_node(json, node);
}

static void put_names(struct json *json, const char *key, const struct label_names *names)
{
    json_key(json, key);
    json_open(json, '[');
    for (size_t i = 0; i < names->count; i++)
        json_add_str(json, names->names[i]);
    json_close(json, ']');
}

/* Milliseconds; null where it is arithmetic that only a question's own steps can settle. */
static void put_duration(struct json *json, const char *key, const struct duration *duration)
{
    double sign = 1;

    json_key(json, key);
    if (duration != NULL && duration->kind == DURATION_NEGATE) {
        sign = -1;
        duration = duration->left;
    }
    if (duration == NULL)
        json_add_i64(json, 0);
    else if (duration->kind == DURATION_LITERAL || duration->kind == DURATION_NUMBER)
        json_add_double(json, sign * round(duration->seconds * 1000));
    else
        json_add_null(json);
}

static void put_moment(struct json *json, const struct moment *moment)
{
    put_duration(json, "offset", moment->offset);
    json_key(json, "timestamp");
    if (moment->at == AT_TIME)
        json_add_i64(json, moment->at_ms);
    else
        json_add_null(json);
    put_text(json, "startOrEnd",
             moment->at == AT_START ? "start"
             : moment->at == AT_END ? "end"
                                    : NULL);
}

static void write_selector(struct json *json, const struct node_selector *selector)
{
    put_text(json, "type", selector->range == NULL ? "vectorSelector" : "matrixSelector");
    put_str(json, "name", selector->name);
    if (selector->range != NULL)
        put_duration(json, "range", selector->range);
    put_moment(json, &selector->moment);
    put_bool(json, "anchored", selector->extension == EXTENSION_ANCHORED);
    put_bool(json, "smoothed", selector->extension == EXTENSION_SMOOTHED);
    json_key(json, "matchers");
    json_open(json, '[');
    for (size_t i = 0; i < selector->matchers_count; i++) {
        const struct matcher *matcher = &selector->matchers[i];
        json_open(json, '{');
        put_str(json, "name", matcher->name);
        put_str(json, "value", matcher->value);
        put_text(json, "type", match_op_text(matcher->op));
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_subquery(struct json *json, const struct node_subquery *subquery)
{
    put_text(json, "type", "subquery");
    put_node(json, "expr", subquery->expression);
    put_duration(json, "range", subquery->range);
    put_duration(json, "step", subquery->step);
    put_moment(json, &subquery->moment);
}

static const char *type_word(char letter)
{
    return letter == 'v'   ? "vector"
           : letter == 'm' ? "matrix"
           : letter == 's' ? "scalar"
                           : "string";
}

static const char *return_word(enum promql_type type)
{
    return type == PROMQL_SCALAR ? "scalar" : type == PROMQL_STRING ? "string" : "vector";
}

/* variadic: -1 any number, else how many of the last arguments may be left out. */
static void write_function(struct json *json, const struct function_row *function)
{
    int optional = 0;
    bool any = false;

    put_text(json, "name", function->name);
    json_key(json, "argTypes");
    json_open(json, '[');
    for (const char *letter = function->arguments; *letter != '\0'; letter++) {
        optional += *letter == '?';
        any = any || *letter == '*';
        if (*letter != '?' && *letter != '*')
            json_add_text(json, type_word(*letter));
    }
    json_close(json, ']');
    json_key(json, "variadic");
    json_add_i64(json, any ? -1 : optional);
    put_text(json, "returnType", return_word(function->returns));
}

static void write_call(struct json *json, const struct node_call *call)
{
    put_text(json, "type", "call");
    json_key(json, "func");
    json_open(json, '{');
    write_function(json, call->function);
    json_close(json, '}');
    json_key(json, "args");
    json_open(json, '[');
    for (size_t i = 0; i < call->arguments_count; i++)
        write_node(json, call->arguments[i]);
    json_close(json, ']');
}

static void write_aggregate(struct json *json, const struct node_aggregate *aggregate)
{
    put_text(json, "type", "aggregation");
    put_text(json, "op", aggregate->aggregate->name);
    put_node(json, "expr", aggregate->expression);
    put_node(json, "param", aggregate->parameter);
    put_names(json, "grouping", &aggregate->grouping);
    put_bool(json, "without", aggregate->without);
}

static void put_fill(struct json *json, const char *key, bool has, double value)
{
    json_key(json, key);
    if (has)
        json_add_double(json, value);
    else
        json_add_null(json);
}

static void write_matching(struct json *json, const struct node_binary *binary)
{
    static const char *const cardinalities[] = {
        [CARDINALITY_ONE_TO_ONE] = "one-to-one",
        [CARDINALITY_MANY_TO_ONE] = "many-to-one",
        [CARDINALITY_ONE_TO_MANY] = "one-to-many",
    };
    bool is_set = operator_row(binary->operator_kind)->is_set;

    json_open(json, '{');
    put_text(json, "card", is_set ? "many-to-many" : cardinalities[binary->cardinality]);
    put_names(json, "labels", &binary->matching);
    put_bool(json, "on", binary->on);
    put_names(json, "include", &binary->include);
    json_key(json, "fillValues");
    json_open(json, '{');
    put_fill(json, "lhs", binary->has_fill_left, binary->fill_left);
    put_fill(json, "rhs", binary->has_fill_right, binary->fill_right);
    json_close(json, '}');
    json_close(json, '}');
}

static void write_binary(struct json *json, const struct node_binary *binary)
{
    put_text(json, "type", "binaryExpr");
    put_text(json, "op", operator_row(binary->operator_kind)->text);
    put_node(json, "lhs", binary->left);
    put_node(json, "rhs", binary->right);
    json_key(json, "matching");
    if (binary->left->type == PROMQL_VECTOR && binary->right->type == PROMQL_VECTOR)
        write_matching(json, binary);
    else
        json_add_null(json);
    put_bool(json, "bool", binary->returns_bool);
}

static void write_number(struct json *json, double number)
{
    char text[STR_DOUBLE_SIZE];

    put_text(json, "type", "numberLiteral");
    put_str(json, "val", (struct str){text, str_from_double(text, number)});
}

static void write_kind(struct json *json, const struct node *node)
{
    switch (node->kind) {
    case NODE_NUMBER:
        write_number(json, node->number);
        return;
    case NODE_STRING:
        put_text(json, "type", "stringLiteral");
        put_str(json, "val", node->string);
        return;
    case NODE_SELECTOR:
        write_selector(json, &node->selector);
        return;
    case NODE_SUBQUERY:
        write_subquery(json, &node->subquery);
        return;
    case NODE_CALL:
        write_call(json, &node->call);
        return;
    case NODE_AGGREGATE:
        write_aggregate(json, &node->aggregate);
        return;
    case NODE_BINARY:
        write_binary(json, &node->binary);
        return;
    case NODE_UNARY:
        put_text(json, "type", "unaryExpr");
        put_text(json, "op", node->unary.negative ? "-" : "+");
        put_node(json, "expr", node->unary.operand);
        return;
    case NODE_PAREN:
        put_text(json, "type", "parenExpr");
        put_node(json, "expr", node->paren);
        return;
    }
}

static void write_node(struct json *json, const struct node *node)
{
    json_open(json, '{');
    write_kind(json, node);
    json_key(json, "start");
    json_add_i64(json, node->start);
    json_key(json, "end");
    json_add_i64(json, node->end);
    json_close(json, '}');
}

void promql_json_tree(const struct promql_expression *expression, struct buf *buf)
{
    struct json json = json_begin(buf);

    write_node(&json, expression->root);
}
