/* SPDX-License-Identifier: Apache-2.0 */
/* promql_ast - a parsed PromQL expression: a tree of nodes that know their place in the text.
 *
 * Built by promql_parse in the arena of its `struct promql_expression`, read-only afterwards, so
 * any number of threads may evaluate one tree at once. Positions are byte offsets into the text:
 * `start` is the first byte of the node, `end` the byte behind it. */
#pragma once
#include "query/promql.h"
#include "query/regex.h"

#include "base/arena.h"
#include "store/store_read.h"

enum node_kind {
    NODE_NUMBER,
    NODE_STRING,
    NODE_SELECTOR, /* name{matchers}, or with a range name{matchers}[5m]. */
    NODE_SUBQUERY, /* expression[1h:5m] */
    NODE_CALL,
    NODE_AGGREGATE,
    NODE_BINARY,
    NODE_UNARY,
    NODE_PAREN,
};

/* One row each in operators[] of promql_ast.c. */
enum operator_kind {
    OPERATOR_OR,
    OPERATOR_AND,
    OPERATOR_UNLESS,
    OPERATOR_EQUAL,
    OPERATOR_NOT_EQUAL,
    OPERATOR_LESS_EQUAL,
    OPERATOR_LESS,
    OPERATOR_GREATER_EQUAL,
    OPERATOR_GREATER,
    OPERATOR_ADD,
    OPERATOR_SUBTRACT,
    OPERATOR_MULTIPLY,
    OPERATOR_DIVIDE,
    OPERATOR_MODULO,
    OPERATOR_ATAN2,
    OPERATOR_POWER,
    OPERATOR_COUNT
};

struct operator_row {
    const char *text;
    int precedence; /* 1 binds loosest; of one precedence all associate to the left but `^`. */
    bool is_set;
    bool is_comparison;
};

const struct operator_row *operator_row(enum operator_kind operator_kind);

/* A duration may be arithmetic over the query's own step and range: [step() + 1ms]. */
enum duration_kind {
    DURATION_LITERAL, /* 5m */
    DURATION_NUMBER,  /* 300, seconds; in arithmetic also a plain factor. */
    DURATION_STEP,
    DURATION_RANGE,
    DURATION_NEGATE,
    DURATION_BINARY, /* One of + - * / % ^ */
    DURATION_MIN,
    DURATION_MAX,
};

struct duration {
    enum duration_kind kind;
    enum operator_kind operator_kind; /* Of DURATION_BINARY. */
    int32_t start;
    double seconds; /* Of the two constants. */
    const struct duration *left;
    const struct duration *right;
};

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };

/* When a selector or a subquery looks: `@ time offset duration`. */
struct moment {
    enum at_kind at;
    int64_t at_ms;                 /* Of AT_TIME. */
    const struct duration *offset; /* NULL: none. */
};

/* The store's own matchers, so that selecting needs no translation; regexes are ours. */
bool matcher_accepts(const struct matcher *matcher, struct str value);
const char *match_op_text(enum match_op op); /* "=~" */

enum extension { EXTENSION_NONE, EXTENSION_ANCHORED, EXTENSION_SMOOTHED };

struct node_selector {
    struct str name; /* Written before the braces, or size 0; it is among matchers too. */
    struct matcher *matchers;
    size_t matchers_count;
    const struct duration *range; /* NULL: an instant vector. */
    enum extension extension;
    struct moment moment;
};

struct node_subquery {
    const struct node *expression;
    const struct duration *range;
    const struct duration *step; /* NULL: the default resolution. */
    struct moment moment;
};

struct function_row;

struct node_call {
    const struct function_row *function;
    const struct node **arguments;
    size_t arguments_count;
};

struct label_names {
    struct str *names;
    size_t count;
};

struct node_aggregate {
    const struct aggregate_row *aggregate;
    const struct node *expression;
    const struct node *parameter; /* NULL where the aggregation takes none. */
    struct label_names grouping;
    bool without; /* Else by. */
};

enum cardinality { CARDINALITY_ONE_TO_ONE, CARDINALITY_MANY_TO_ONE, CARDINALITY_ONE_TO_MANY };

struct node_binary {
    enum operator_kind operator_kind;
    const struct node *left;
    const struct node *right;
    bool returns_bool;
    bool has_matching; /* on or ignoring was written. */
    bool on;           /* Else ignoring. */
    enum cardinality cardinality;
    struct label_names matching;
    struct label_names include; /* group_left(include) */
    bool has_fill_left;
    bool has_fill_right;
    double fill_left;
    double fill_right;
};

struct node {
    enum node_kind kind;
    enum promql_type type;
    int32_t start;
    int32_t end;
    int depth; /* Levels below this node; bounded, so walking the tree may recurse. */
    union {
        double number;
        struct str string;
        struct node_selector selector;
        struct node_subquery subquery;
        struct node_call call;
        struct node_aggregate aggregate;
        struct node_binary binary;
        struct {
            const struct node *operand;
            bool negative;
        } unary;
        const struct node *paren;
    };
};

struct promql_expression {
    struct arena *arena;
    struct str text;
    const struct node *root;
    struct regex *regexes; /* Compiled for matchers; a list that the expression frees. */
};

/* The node inside any number of parentheses. */
const struct node *node_unwrap(const struct node *node);

enum aggregate_kind {
#define ROW(NAME, name, parameter) AGGREGATE_##NAME,
#include "query/promql_aggregates.def"
#undef ROW
};

struct aggregate_row {
    const char *name;
    enum promql_type parameter; /* PROMQL_NONE: takes none. */
    enum aggregate_kind kind;
};

const struct aggregate_row *aggregate_find(struct str name); /* Any case; NULL if there is none. */

const char *promql_type_text(enum promql_type type); /* "instant vector" */
