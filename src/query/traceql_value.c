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

static struct tql_value text(struct str value)
{
    return (struct tql_value){.type = TQL_TEXT, .text = value};
}

static struct tql_value boolean(bool value)
{
    return (struct tql_value){.type = TQL_BOOL, .number = value};
}

static struct tql_value of_attribute(const struct value *value)
{
    switch (value->kind) {
    case VALUE_TEXT:
        return text(value->text);
    case VALUE_BOOL:
        return boolean(value->boolean);
    case VALUE_INTEGER:
        return number((double)value->integer);
    case VALUE_DOUBLE:
        return number(value->number);
    default: /* Lists, maps and bytes are not compared. */
        return nil();
    }
}

static struct tql_value attribute(const struct attributes *attributes, struct str name)
{
    const struct value *value = attributes_get(attributes, name);

    return value == NULL ? nil() : of_attribute(value);
}

static struct tql_value resource_attribute(const struct span *span, struct str name)
{
    struct tql_value value = attribute(&span->resource->attributes, name);

    if (value.type == TQL_NIL && str_eq(name, STR("service.name")) &&
        span->resource->service_name.size > 0)
        return text(span->resource->service_name);
    return value;
}

static struct tql_value hex(const struct tql_trace *trace, const uint8_t *id, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *out = arena_alloc(trace->arena, size * 2);

    if (out == NULL)
        return nil();
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[id[i] >> 4];
        out[2 * i + 1] = digits[id[i] & 15];
    }
    return text((struct str){out, size * 2});
}

static bool is_root(const struct span *span)
{
    static const uint8_t none[SPAN_ID_BYTES];

    return memcmp(span->parent_span_id, none, SPAN_ID_BYTES) == 0;
}

static struct tql_value intrinsic(const struct tql_trace *trace, const struct tql_span *tql_span,
                                  enum tql_intrinsic which)
{
    const struct span *span = tql_span->span;

    switch (which) {
    case TQL_NAME:
        return text(span->name);
    case TQL_DURATION:
        return number((double)(span->end_ns - span->start_ns));
    case TQL_SPAN_STATUS:
        return (struct tql_value){.type = TQL_STATUS, .number = span->status};
    case TQL_STATUS_MESSAGE:
        return text(span->status_message);
    case TQL_SPAN_KIND:
        return (struct tql_value){.type = TQL_KIND, .number = span->kind};
    case TQL_TRACE_DURATION:
        return number((double)(trace->end_ns - trace->start_ns));
    case TQL_ROOT_NAME:
        return trace->root == NULL ? nil() : text(trace->root->name);
    case TQL_ROOT_SERVICE_NAME:
        return trace->root == NULL ? nil() : text(trace->root->resource->service_name);
    case TQL_SPAN_ID:
        return hex(trace, span->span_id, SPAN_ID_BYTES);
    case TQL_TRACE_ID:
        return hex(trace, span->trace_id, TRACE_ID_BYTES);
    case TQL_PARENT_ID:
        return is_root(span) ? nil() : hex(trace, span->parent_span_id, SPAN_ID_BYTES);
    case TQL_CHILD_COUNT:
        return number(tql_span->child_count);
    }
    return nil();
}

struct tql_value tql_field_value(const struct tql_trace *trace, const struct tql_span *span,
                                 const struct tql_field *field)
{
    switch (field->scope) {
    case TQL_INTRINSIC:
        return intrinsic(trace, span, field->intrinsic);
    case TQL_SPAN:
        return attribute(&span->span->attributes, field->name);
    case TQL_RESOURCE:
        return resource_attribute(span->span, field->name);
    case TQL_ANY:
        break;
    }
    struct tql_value own = attribute(&span->span->attributes, field->name);
    return own.type != TQL_NIL ? own : resource_attribute(span->span, field->name);
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

static bool is_true(const struct tql_value *value)
{
    return value->type == TQL_BOOL && value->number != 0;
}

static struct tql_value binary(const struct tql_trace *trace, const struct tql_span *span,
                               const struct tql_node *node)
{
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
        return tql_field_value(trace, span, &node->field);
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
