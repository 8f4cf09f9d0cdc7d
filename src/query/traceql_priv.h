/* SPDX-License-Identifier: Apache-2.0 */
/* traceql_priv - the tree of a query, as the parser makes it and evaluator and planner walk it. */
#pragma once
#include "query/regex.h"
#include "query/traceql.h"

enum tql_type {
    TQL_NIL,
    TQL_BOOL,
    TQL_NUMBER, /* Durations are nanoseconds. */
    TQL_TEXT,
    TQL_STATUS,
    TQL_KIND,
};

struct tql_value {
    enum tql_type type;
    double number; /* Also BOOL (0, 1), STATUS and KIND (OTLP's numbers). */
    struct str text;
};

enum tql_op {
    /* Between values. */
    TQL_OR,
    TQL_AND,
    TQL_EQUAL,
    TQL_NOT_EQUAL,
    TQL_LESS,
    TQL_LESS_EQUAL,
    TQL_GREATER,
    TQL_GREATER_EQUAL,
    TQL_REGEX,
    TQL_NOT_REGEX,
    TQL_ADD,
    TQL_SUBTRACT,
    TQL_MULTIPLY,
    TQL_DIVIDE,
    TQL_MODULO,
    TQL_POWER,
    TQL_NOT,
    TQL_NEGATE,
    /* Between span sets; AND and OR, too. */
    TQL_CHILD,      /* a > b: those of b whose parent is in a. */
    TQL_DESCENDANT, /* a >> b */
    TQL_PARENT,     /* a < b: those of b that are a parent of one in a. */
    TQL_ANCESTOR,   /* a << b */
    TQL_SIBLING,    /* a ~ b */
};

enum tql_scope {
    TQL_ANY, /* `.x`: the span's, else the resource's. */
    TQL_SPAN,
    TQL_RESOURCE,
    TQL_INSTRUMENTATION,
    TQL_EVENT, /* A span has many, and many links: see tql_field_count. */
    TQL_LINK,
    TQL_INTRINSIC,
};

enum tql_intrinsic {
    TQL_NAME,
    TQL_DURATION,
    TQL_SPAN_STATUS,
    TQL_STATUS_MESSAGE,
    TQL_SPAN_KIND,
    TQL_TRACE_DURATION,
    TQL_ROOT_NAME,
    TQL_ROOT_SERVICE_NAME,
    TQL_SPAN_ID,
    TQL_TRACE_ID,
    TQL_PARENT_ID,
    TQL_CHILD_COUNT,
    TQL_NESTED_SET_PARENT, /* Below 0: a root. */
    TQL_SCOPE_NAME,
    TQL_SCOPE_VERSION,
    TQL_EVENT_NAME,
    TQL_EVENT_SINCE_START,
    TQL_LINK_TRACE_ID,
    TQL_LINK_SPAN_ID,
};

struct tql_field {
    enum tql_scope scope;
    enum tql_intrinsic intrinsic;
    struct str name;   /* Of the attribute. */
    struct str source; /* As written, for the answer. */
};

enum tql_node_kind {
    TQL_LITERAL,
    TQL_FIELD,
    TQL_OPERATION,
};

struct tql_node {
    enum tql_node_kind kind;
    enum tql_op op;
    struct tql_value literal;
    struct tql_field field;
    const struct regex *regex; /* Of TQL_REGEX and TQL_NOT_REGEX with a literal behind. */
    struct tql_node *left;
    struct tql_node *right; /* NULL for unary ones. */
};

/* A selector, or two sets and what is between them. */
struct tql_set {
    struct tql_node *filter; /* Of a selector; NULL with is_filter: {}. */
    bool is_filter;
    enum tql_op op;
    struct tql_set *left;
    struct tql_set *right;
};

enum tql_stage_kind {
    TQL_COUNT,
    TQL_AVG,
    TQL_MAX,
    TQL_MIN,
    TQL_SUM,
    TQL_BY,
    TQL_SELECT,
    TQL_COALESCE,
    TQL_FILTER,
};

struct tql_stage {
    enum tql_stage_kind kind;
    struct tql_node *argument; /* Of avg, max, min, sum. */
    enum tql_op op;            /* How it is compared. */
    double bound;
    struct str source;        /* "count()", "avg(duration)": names it in the answer. */
    struct tql_node **fields; /* Of by and select. */
    struct str *field_sources;
    size_t field_count;
    struct tql_set *set; /* Of a filter. */
    struct tql_stage *next;
};

struct traceql {
    struct tql_set *set;
    struct tql_stage *stages;
    struct regex *patterns; /* A list. */
};

/* A span of a trace being looked at, with its place in the tree. */
struct tql_span {
    const struct span *span;
    int32_t parent; /* Index, or -1: a root, or its parent has not arrived. */
    uint32_t child_count;
};

struct tql_trace {
    struct tql_span *spans;
    size_t count;
    const struct span *root; /* NULL: has not arrived. */
    int64_t start_ns;
    int64_t end_ns;
    struct arena *arena;
    bool is_spent; /* The arena could not give what was asked. */
};

/* traceql_field.c */
/* How many values a span has for the field: of events and links any number, else one. */
size_t tql_field_count(const struct tql_span *span, const struct tql_field *field);
/* One of them; nil when there is none. */
struct tql_value tql_field_value(const struct tql_trace *trace, const struct tql_span *span,
                                 const struct tql_field *field, size_t index);

/* traceql_value.c */
struct tql_value tql_evaluate(const struct tql_trace *trace, const struct tql_span *span,
                              const struct tql_node *node);
bool tql_holds(const struct tql_trace *trace, const struct tql_span *span,
               const struct tql_node *node);
bool tql_compare_numbers(enum tql_op op, double left, double right);
/* As the answer shows it, in the trace's arena. */
struct str tql_text(struct tql_trace *trace, const struct tql_value *value);
