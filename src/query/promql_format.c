/* SPDX-License-Identifier: Apache-2.0 */
/* A tree back to text, in Prometheus' canonical form. Parsing that text gives the same tree. */
#include "query/promql_ast.h"

#include "query/promql_functions.h"

#include "base/buf.h"

#include <math.h>
#include <stdlib.h>

static void write_node(struct buf *buf, const struct node *node);

static void write_number(struct buf *buf, double number)
{
    char text[STR_DOUBLE_SIZE];

    buf_append(buf, text, str_from_double(text, number));
}

static void write_string(struct buf *buf, struct str string)
{
    buf_byte(buf, '"');
    for (size_t i = 0; i < string.size; i++) {
        unsigned char c = (unsigned char)string.data[i];
        if (c == '"' || c == '\\')
            buf_printf(buf, "\\%c", c);
        else if (c == '\n')
            buf_text(buf, "\\n");
        else if (c == '\t')
            buf_text(buf, "\\t");
        else if (c == '\r')
            buf_text(buf, "\\r");
        else if (c < ' ' || c == 0x7f || (c >= 0x80 && !str_is_utf8(string)))
            buf_printf(buf, "\\x%02x", c);
        else
            buf_byte(buf, c);
    }
    buf_byte(buf, '"');
}

static bool is_plain_name(struct str name, bool colons)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(c == ':' && colons) && !(c >= '0' && c <= '9' && i > 0))
            return false;
    }
    return name.size > 0;
}

static void write_names(struct buf *buf, const struct label_names *names)
{
    buf_byte(buf, '(');
    for (size_t i = 0; i < names->count; i++) {
        if (i > 0)
            buf_text(buf, ", ");
        if (is_plain_name(names->names[i], false))
            buf_str(buf, names->names[i]);
        else
            write_string(buf, names->names[i]);
    }
    buf_byte(buf, ')');
}

/* --- durations --- */

static void write_milliseconds(struct buf *buf, int64_t ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
        bool exact; /* Only where nothing is left over, or reading would be odd. */
    } units[] = {
        {"y", INT64_C(31536000000), true},
        {"w", 604800000, true},
        {"d", 86400000, false},
        {"h", 3600000, false},
        {"m", 60000, false},
        {"s", 1000, false},
        {"ms", 1, false},
    };

    if (ms == 0)
        buf_text(buf, "0s");
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        int64_t count = ms / units[i].ms;
        if (count == 0 || (units[i].exact && ms % units[i].ms != 0))
            continue;
        buf_printf(buf, "%lld%s", (long long)count, units[i].unit);
        ms -= count * units[i].ms;
    }
}

static void write_duration(struct buf *buf, const struct duration *duration)
{
    double ms = round(duration->seconds * 1000);

    switch (duration->kind) {
    case DURATION_LITERAL:
    case DURATION_NUMBER:
        if (duration->kind == DURATION_LITERAL ||
            (ms >= 0 && ms < 9e15 && ms == duration->seconds * 1000))
            write_milliseconds(buf, (int64_t)ms);
        else
            write_number(buf, duration->seconds);
        return;
    case DURATION_STEP:
        buf_text(buf, "step()");
        return;
    case DURATION_RANGE:
        buf_text(buf, "range()");
        return;
    case DURATION_NEGATE:
        buf_byte(buf, '-');
        write_duration(buf, duration->left);
        return;
    case DURATION_MIN:
    case DURATION_MAX:
        buf_text(buf, duration->kind == DURATION_MIN ? "min(" : "max(");
        write_duration(buf, duration->left);
        buf_text(buf, ", ");
        write_duration(buf, duration->right);
        buf_byte(buf, ')');
        return;
    case DURATION_BINARY:
        buf_byte(buf, '(');
        write_duration(buf, duration->left);
        buf_printf(buf, " %s ", operator_row(duration->operator_kind)->text);
        write_duration(buf, duration->right);
        buf_byte(buf, ')');
        return;
    }
}

static void write_moment(struct buf *buf, const struct moment *moment)
{
    if (moment->at == AT_TIME)
        buf_printf(buf, " @ %s%lld.%03lld", moment->at_ms < 0 ? "-" : "",
                   llabs((long long)moment->at_ms) / 1000, llabs((long long)moment->at_ms) % 1000);
    else if (moment->at != AT_NONE)
        buf_text(buf, moment->at == AT_START ? " @ start()" : " @ end()");
    if (moment->offset != NULL) {
        buf_text(buf, " offset ");
        write_duration(buf, moment->offset);
    }
}

/* --- nodes --- */

static void write_selector(struct buf *buf, const struct node_selector *selector)
{
    bool named = selector->name.size > 0 && is_plain_name(selector->name, true);
    size_t first = selector->name.size > 0 ? 1 : 0;

    if (named)
        buf_str(buf, selector->name);
    if (selector->matchers_count > first || !named) {
        buf_byte(buf, '{');
        for (size_t i = named ? first : 0; i < selector->matchers_count; i++) {
            const struct matcher *matcher = &selector->matchers[i];
            if (i > (named ? first : 0))
                buf_byte(buf, ',');
            if (is_plain_name(matcher->name, false))
                buf_str(buf, matcher->name);
            else
                write_string(buf, matcher->name);
            buf_text(buf, match_op_text(matcher->op));
            write_string(buf, matcher->value);
        }
        buf_byte(buf, '}');
    }
    if (selector->range != NULL) {
        buf_byte(buf, '[');
        write_duration(buf, selector->range);
        buf_byte(buf, ']');
    }
    if (selector->extension != EXTENSION_NONE)
        buf_text(buf, selector->extension == EXTENSION_ANCHORED ? " anchored" : " smoothed");
    write_moment(buf, &selector->moment);
}

static void write_subquery(struct buf *buf, const struct node_subquery *subquery)
{
    write_node(buf, subquery->expression);
    buf_byte(buf, '[');
    write_duration(buf, subquery->range);
    buf_byte(buf, ':');
    if (subquery->step != NULL)
        write_duration(buf, subquery->step);
    buf_byte(buf, ']');
    write_moment(buf, &subquery->moment);
}

static void write_call(struct buf *buf, const struct node_call *call)
{
    buf_printf(buf, "%s(", call->function->name);
    for (size_t i = 0; i < call->arguments_count; i++) {
        if (i > 0)
            buf_text(buf, ", ");
        write_node(buf, call->arguments[i]);
    }
    buf_byte(buf, ')');
}

static void write_aggregate(struct buf *buf, const struct node_aggregate *aggregate)
{
    buf_text(buf, aggregate->aggregate->name);
    if (aggregate->without || aggregate->grouping.count > 0) {
        buf_text(buf, aggregate->without ? " without " : " by ");
        write_names(buf, &aggregate->grouping);
        buf_byte(buf, ' ');
    }
    buf_byte(buf, '(');
    if (aggregate->parameter != NULL) {
        write_node(buf, aggregate->parameter);
        buf_text(buf, ", ");
    }
    write_node(buf, aggregate->expression);
    buf_byte(buf, ')');
}

static void write_fill(struct buf *buf, const char *word, double value)
{
    buf_printf(buf, " %s (", word);
    write_number(buf, value);
    buf_byte(buf, ')');
}

static void write_binary(struct buf *buf, const struct node_binary *binary)
{
    write_node(buf, binary->left);
    buf_printf(buf, " %s", operator_row(binary->operator_kind)->text);
    if (binary->returns_bool)
        buf_text(buf, " bool");
    if (binary->has_matching) {
        buf_text(buf, binary->on ? " on " : " ignoring ");
        write_names(buf, &binary->matching);
    }
    if (binary->cardinality != CARDINALITY_ONE_TO_ONE) {
        bool many_left = binary->cardinality == CARDINALITY_MANY_TO_ONE;
        buf_text(buf, many_left ? " group_left " : " group_right ");
        write_names(buf, &binary->include);
    }
    if (binary->has_fill_left)
        write_fill(buf, "fill_left", binary->fill_left);
    if (binary->has_fill_right)
        write_fill(buf, "fill_right", binary->fill_right);
    buf_byte(buf, ' ');
    write_node(buf, binary->right);
}

static void write_node(struct buf *buf, const struct node *node)
{
    switch (node->kind) {
    case NODE_NUMBER:
        write_number(buf, node->number);
        return;
    case NODE_STRING:
        write_string(buf, node->string);
        return;
    case NODE_SELECTOR:
        write_selector(buf, &node->selector);
        return;
    case NODE_SUBQUERY:
        write_subquery(buf, &node->subquery);
        return;
    case NODE_CALL:
        write_call(buf, &node->call);
        return;
    case NODE_AGGREGATE:
        write_aggregate(buf, &node->aggregate);
        return;
    case NODE_BINARY:
        write_binary(buf, &node->binary);
        return;
    case NODE_UNARY:
        buf_byte(buf, node->unary.negative ? '-' : '+');
        write_node(buf, node->unary.operand);
        return;
    case NODE_PAREN:
        buf_byte(buf, '(');
        write_node(buf, node->paren);
        buf_byte(buf, ')');
        return;
    }
}

void promql_format(const struct promql_expression *expression, struct buf *buf)
{
    write_node(buf, expression->root);
}
