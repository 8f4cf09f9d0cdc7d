/* SPDX-License-Identifier: Apache-2.0 */
/* A next step for every complaint of the parser. Where it knows more than its words say, the parser
 * gives a hint of its own; for all else there is this table, searched by a part of the complaint,
 * the special before the general. */
#include "query/promql_lex.h"

#include <string.h>

struct hint_row {
    const char *part; /* Of the complaint. */
    const char *hint;
};

static const struct hint_row rows[] = {
    {"no expression found", "write the name of a metric, for example node_load1"},
    {"in grouping opts",
     "labels stand in parentheses with commas between them: by (job, instance)"},
    {"in aggregation", "an aggregation looks like this: sum by (job) (x)"},
    {"arguments for aggregate", "an aggregation takes one expression, sum(x); topk, quantile and "
                                "their like take a number before it, topk(5, x)"},
    {"error parsing regexp", "put \\\\ before ( ) [ ] { } . * + ? | ^ $ to mean the character"},
    {"in duration expression", "durations look like this: 30s, 5m, 1h30m"},
    {"duration", "durations are above zero and look like this: 30s, 5m, 1h30m"},
    {"metric name must not be set twice", "name the metric before the braces or in them, not both"},
    {"did you mean != or !~", "write != or !~"},
    {"unexpected character", "names hold letters, digits, _ and :; other text stands in quotes"},
    {"set operator", "and, or and unless take vectors on both sides; vector(1) makes one of 1"},
    {"vector matching only", "on, ignoring and group_left stand between two vectors"},
    {"no grouping allowed", "leave group_left and group_right out"},
    {"filling in missing", "leave fill out"},
    {"must not occur in ON", "name the label in one of the two only"},
    {"bool modifier", "bool follows ==, !=, <, <=, > or >="},
    {"unary expression", "a sign stands before a number or a vector; put quotes or ranges away"},
    {"binary expression must contain", "text and ranges cannot be computed with"},
    {"expected type string", "put the text in quotes"},
    {"expected type scalar", "a number belongs here, for example 0.95"},
    {"expected type range vector", "a selector with a range belongs here: x[5m]"},
    {"expected type", "a selector or an expression that gives a vector belongs here"},
    {"@ modifier", "@ follows a selector, once: x @ 1763658245, x @ start(), x @ end()"},
    {"in @", "@ takes seconds since 1970, start() or end()"},
    {"@ <timestamp>", "write a single @"},
    {"offset m", "offset follows a selector, once: x[5m] offset 1h"},
    {"ranges only allowed", "a range follows a selector: x[5m]"},
    {"allowed before range", "the range comes first: x[5m] offset 1h"},
    {"subquery is only allowed", "a subquery needs a vector before it: rate(x[5m])[1h:1m]"},
    {"anchored", "it follows a selector with a range, once: rate(x[5m] anchored)"},
    {"smoothed", "it follows a selector, once: rate(x[5m] smoothed)"},
    {"unknown function", "the functions are those of Prometheus"},
    {"unexpected end of input", "something is still missing at the end"},
    {"in label matching", "matchers look like this: {job=\"api\", mode!=\"idle\"}"},
    {"in expression", "two expressions need an operator between them, as in a + b; labels "
                      "stand in braces: name{job=\"api\"}"},
    {"unexpected \"", "something is missing before it"},
};

void promql_hint(struct why *why)
{
    if (why == NULL || why->err != ERR_INVALID || why->hint[0] != '\0')
        return;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strstr(why->text, rows[i].part) != NULL) {
            hint(why, "%s", rows[i].hint);
            return;
        }
    }
    hint(why, "an expression looks like this: sum by (mode) (rate(node_cpu_seconds_total[5m]))");
}
