/* SPDX-License-Identifier: Apache-2.0 */
/* Recursive descent straight over the text: the language is small and its words depend on the place
 * (a `.` begins an attribute, a digit a number or a duration), so there is no separate lexer. */
#include "base/nearest.h"
#include "query/traceql_priv.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct parser {
    struct str text;
    size_t at;
    struct arena *arena;
    struct traceql *query;
    struct why *why;
    size_t depth;
    size_t nodes;
};

static enum err complain(struct parser *parser, size_t at, const char *format, ...)
    PRINTF_LIKE(3, 4);

static enum err complain(struct parser *parser, size_t at, const char *format, ...)
{
    char sentence[256];
    size_t line = 1;
    size_t column = 1;
    va_list arguments;

    for (size_t i = 0; i < at && i < parser->text.size; i++) {
        column = parser->text.data[i] == '\n' ? 1 : column + 1;
        line += parser->text.data[i] == '\n';
    }
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments); /* Cut is fine. */
    va_end(arguments);
    return fail_at(parser->why, ERR_INVALID, (int32_t)at, "%zu:%zu: %s", line, column, sentence);
}

static enum err take(struct parser *parser, size_t size, void **ret_memory)
{
    *ret_memory = arena_alloc(parser->arena, size);
    if (*ret_memory == NULL)
        return arena_spent(parser->arena, "a TraceQL query", parser->why);
    if (++parser->nodes > TRACEQL_NODES_MAX)
        return fail(parser->why, ERR_LIMIT, "the query has more than %d parts", TRACEQL_NODES_MAX);
    return ERR_NONE;
}

#define NEW(parser, place) take((parser), sizeof(**(place)), (void **)(place))

static enum err deeper(struct parser *parser)
{
    if (++parser->depth > TRACEQL_DEPTH_MAX)
        return fail(parser->why, ERR_LIMIT, "the query is nested deeper than %d",
                    TRACEQL_DEPTH_MAX);
    return ERR_NONE;
}

static char peek(const struct parser *parser, size_t ahead)
{
    return parser->at + ahead < parser->text.size ? parser->text.data[parser->at + ahead] : '\0';
}

static void skip_space(struct parser *parser)
{
    while (parser->at < parser->text.size && strchr(" \t\r\n", peek(parser, 0)) != NULL)
        parser->at++;
}

/* Takes the mark when it stands next. */
static bool accept(struct parser *parser, const char *mark)
{
    size_t size = strlen(mark);

    skip_space(parser);
    if (parser->text.size - parser->at < size ||
        memcmp(parser->text.data + parser->at, mark, size) != 0)
        return false;
    parser->at += size;
    return true;
}

static enum err expect(struct parser *parser, const char *mark, const char *where)
{
    if (accept(parser, mark))
        return ERR_NONE;
    enum err err = complain(parser, parser->at, "expected '%s' %s", mark, where);
    hint(parser->why, "is a %s missing?", mark);
    return err;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_name_char(char c)
{
    return is_word_char(c) || c == '.' || c == '-' || c == '/' || (unsigned char)c >= 0x80;
}

static struct str word(struct parser *parser, bool (*belongs)(char c))
{
    struct str found = {parser->text.data + parser->at, 0};

    while (parser->at < parser->text.size && belongs(peek(parser, 0))) {
        parser->at++;
        found.size++;
    }
    return found;
}

/* ---- Literals. ---- */

static enum err parse_string(struct parser *parser, struct str *ret_text)
{
    size_t start = parser->at;
    char quote = peek(parser, 0);
    char *text;
    size_t size = 0;

    TRY(take(parser, parser->text.size - start + 1, (void **)&text));
    for (parser->at++; peek(parser, 0) != quote; parser->at++) {
        if (parser->at >= parser->text.size)
            return complain(parser, start, "this text does not end");
        char c = peek(parser, 0);
        if (c == '\\' && quote == '"') {
            parser->at++;
            char escaped = peek(parser, 0);
            c = escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'r' ? '\r' : escaped;
            if (strchr("ntr\\\"", escaped) == NULL || escaped == '\0')
                return complain(parser, parser->at - 1, "'\\%c' is no escape", escaped);
        }
        text[size++] = c;
    }
    parser->at++;
    *ret_text = (struct str){text, size};
    return ERR_NONE;
}

struct unit {
    const char *name;
    double ns;
};

static const struct unit units[] = {
    {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9},
};

static bool unit_of(struct str name, double *ret_ns)
{
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (str_eq(name, str_of(units[i].name))) {
            *ret_ns = units[i].ns;
            return true;
        }
    }
    return false;
}

static bool is_digit(char c)
{
    return (c >= '0' && c <= '9') || c == '.';
}

static bool is_unit_char(char c)
{
    return (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

/* 5, 2.5, 1e3, 500ms, 1m30s. */
static enum err parse_number(struct parser *parser, struct tql_value *ret_value)
{
    size_t start = parser->at;
    double total = 0;
    bool has_unit = false;

    *ret_value = (struct tql_value){.type = TQL_NUMBER};
    do {
        struct str digits = word(parser, is_digit);
        if ((peek(parser, 0) == 'e' || peek(parser, 0) == 'E') && !has_unit &&
            (is_digit(peek(parser, 1)) ||
             ((peek(parser, 1) == '-' || peek(parser, 1) == '+') && is_digit(peek(parser, 2))))) {
            parser->at += 2;
            (void)word(parser, is_digit); /* The exponent belongs to the number. */
            digits.size = (size_t)(parser->text.data + parser->at - digits.data);
        }
        double number;
        double unit_ns = 1;
        if (!str_to_double(digits, &number))
            return complain(parser, start, "'%.*s' is no number", STR_ARG(digits));
        struct str unit = word(parser, is_unit_char);
        if (unit.size > 0 && !unit_of(unit, &unit_ns)) {
            enum err err = complain(parser, start, "'%.*s' is no unit of time", STR_ARG(unit));
            hint(parser->why, "units are ns, us, ms, s, m and h: 500ms");
            return err;
        }
        if (has_unit && unit.size == 0)
            return complain(parser, start, "a duration ends with a unit: 1m30s");
        has_unit = unit.size > 0;
        total += number * unit_ns;
    } while (has_unit && is_digit(peek(parser, 0)));
    ret_value->number = total;
    return ERR_NONE;
}

struct constant {
    struct str name;
    enum tql_type type;
    int number;
};

static const struct constant constants[] = {
    {STR("nil"), TQL_NIL, 0},
    {STR("true"), TQL_BOOL, 1},
    {STR("false"), TQL_BOOL, 0},
    {STR("error"), TQL_STATUS, SPAN_STATUS_ERROR},
    {STR("ok"), TQL_STATUS, SPAN_STATUS_OK},
    {STR("unset"), TQL_STATUS, SPAN_STATUS_UNSET},
    {STR("unspecified"), TQL_KIND, SPAN_KIND_UNSPECIFIED},
    {STR("internal"), TQL_KIND, SPAN_KIND_INTERNAL},
    {STR("server"), TQL_KIND, SPAN_KIND_SERVER},
    {STR("client"), TQL_KIND, SPAN_KIND_CLIENT},
    {STR("producer"), TQL_KIND, SPAN_KIND_PRODUCER},
    {STR("consumer"), TQL_KIND, SPAN_KIND_CONSUMER},
};

struct intrinsic {
    struct str name;
    enum tql_intrinsic intrinsic;
};

static const struct intrinsic intrinsics[] = {
    {STR("name"), TQL_NAME},
    {STR("span:name"), TQL_NAME},
    {STR("duration"), TQL_DURATION},
    {STR("span:duration"), TQL_DURATION},
    {STR("status"), TQL_SPAN_STATUS},
    {STR("span:status"), TQL_SPAN_STATUS},
    {STR("statusMessage"), TQL_STATUS_MESSAGE},
    {STR("span:statusMessage"), TQL_STATUS_MESSAGE},
    {STR("kind"), TQL_SPAN_KIND},
    {STR("span:kind"), TQL_SPAN_KIND},
    {STR("traceDuration"), TQL_TRACE_DURATION},
    {STR("trace:duration"), TQL_TRACE_DURATION},
    {STR("rootName"), TQL_ROOT_NAME},
    {STR("trace:rootName"), TQL_ROOT_NAME},
    {STR("rootServiceName"), TQL_ROOT_SERVICE_NAME},
    {STR("trace:rootService"), TQL_ROOT_SERVICE_NAME},
    {STR("span:id"), TQL_SPAN_ID},
    {STR("trace:id"), TQL_TRACE_ID},
    {STR("parent"), TQL_PARENT_ID},
    {STR("span:parentID"), TQL_PARENT_ID},
    {STR("childCount"), TQL_CHILD_COUNT},
    {STR("span:childCount"), TQL_CHILD_COUNT},
    {STR("nestedSetParent"), TQL_NESTED_SET_PARENT},
    {STR("instrumentation:name"), TQL_SCOPE_NAME},
    {STR("instrumentation:version"), TQL_SCOPE_VERSION},
    {STR("event:name"), TQL_EVENT_NAME},
    {STR("event:timeSinceStart"), TQL_EVENT_SINCE_START},
    {STR("link:traceID"), TQL_LINK_TRACE_ID},
    {STR("link:spanID"), TQL_LINK_SPAN_ID},
};

static const struct {
    struct str name;
    enum tql_scope scope;
} scopes[] = {
    {STR("span"), TQL_SPAN},   {STR("resource"), TQL_RESOURCE},
    {STR("event"), TQL_EVENT}, {STR("instrumentation"), TQL_INSTRUMENTATION},
    {STR("link"), TQL_LINK},
};

/* The name of an attribute behind its scope: plain, or quoted. */
static enum err parse_attribute(struct parser *parser, enum tql_scope scope, size_t start,
                                struct tql_node *node)
{
    node->kind = TQL_FIELD;
    node->field.scope = scope;
    if (peek(parser, 0) == '"')
        TRY(parse_string(parser, &node->field.name));
    else
        node->field.name = word(parser, is_name_char);
    if (node->field.name.size == 0)
        return complain(parser, parser->at, "an attribute's name is expected here");
    node->field.source = (struct str){parser->text.data + start, parser->at - start};
    return ERR_NONE;
}

static bool find_constant(struct str name, struct tql_node *node)
{
    for (size_t i = 0; i < ARRAY_COUNT(constants); i++) {
        if (str_eq(constants[i].name, name)) {
            node->kind = TQL_LITERAL;
            node->literal = (struct tql_value){constants[i].type, constants[i].number, STR_NONE};
            return true;
        }
    }
    return false;
}

static bool find_intrinsic(struct str name, struct tql_node *node)
{
    for (size_t i = 0; i < ARRAY_COUNT(intrinsics); i++) {
        if (str_eq(intrinsics[i].name, name)) {
            node->kind = TQL_FIELD;
            node->field = (struct tql_field){
                .scope = TQL_INTRINSIC, .intrinsic = intrinsics[i].intrinsic, .source = name};
            return true;
        }
    }
    return false;
}

static bool is_scoped_char(char c)
{
    return is_word_char(c) || c == ':';
}

static enum err unknown_word(struct parser *parser, size_t start, struct str name)
{
    struct nearest nearest = nearest_begin(name);

    enum err err =
        complain(parser, start, "'%.*s' is neither a value nor an intrinsic", STR_ARG(name));
    for (size_t i = 0; i < ARRAY_COUNT(intrinsics); i++)
        nearest_offer(&nearest, intrinsics[i].name);
    for (size_t i = 0; i < ARRAY_COUNT(constants); i++)
        nearest_offer(&nearest, constants[i].name);
    struct str meant = nearest_found(&nearest);
    if (meant.data != NULL)
        hint(parser->why, "did you mean %.*s? An attribute is .%.*s, text is \"%.*s\"",
             STR_ARG(meant), STR_ARG(name), STR_ARG(name));
    else
        hint(parser->why, "an attribute is .%.*s, text is \"%.*s\"", STR_ARG(name), STR_ARG(name));
    return err;
}

static enum err parse_word(struct parser *parser, struct tql_node *node)
{
    size_t start = parser->at;
    struct str name = word(parser, is_scoped_char);

    for (size_t i = 0; peek(parser, 0) == '.' && i < ARRAY_COUNT(scopes); i++) {
        if (!str_eq(name, scopes[i].name))
            continue;
        parser->at++;
        return parse_attribute(parser, scopes[i].scope, start, node);
    }
    if (find_constant(name, node) || find_intrinsic(name, node))
        return ERR_NONE;
    return unknown_word(parser, start, name);
}

/* ---- Expressions of a selector, by precedence climbing. ---- */

struct binary {
    const char *mark;
    enum tql_op op;
    int precedence;
};

/* Longer marks first. */
static const struct binary binaries[] = {
    {"||", TQL_OR, 1},
    {"&&", TQL_AND, 2},
    {"!=", TQL_NOT_EQUAL, 3},
    {"=~", TQL_REGEX, 3},
    {"!~", TQL_NOT_REGEX, 3},
    {"<=", TQL_LESS_EQUAL, 3},
    {">=", TQL_GREATER_EQUAL, 3},
    {"=", TQL_EQUAL, 3},
    {"<", TQL_LESS, 3},
    {">", TQL_GREATER, 3},
    {"+", TQL_ADD, 4},
    {"-", TQL_SUBTRACT, 4},
    {"*", TQL_MULTIPLY, 5},
    {"/", TQL_DIVIDE, 5},
    {"%", TQL_MODULO, 5},
    {"^", TQL_POWER, 6},
};

static enum err parse_expression(struct parser *parser, int least, struct tql_node **ret_node);

static enum err parse_operand(struct parser *parser, struct tql_node **ret_node)
{
    struct tql_node *node;

    TRY(deeper(parser));
    TRY(NEW(parser, &node));
    skip_space(parser);
    char c = peek(parser, 0);
    if (c == '(') {
        parser->at++;
        TRY(parse_expression(parser, 1, &node));
        TRY(expect(parser, ")", "after an expression"));
    } else if (c == '!' || c == '-') {
        parser->at++;
        node->kind = TQL_OPERATION;
        node->op = c == '!' ? TQL_NOT : TQL_NEGATE;
        TRY(parse_operand(parser, &node->left));
    } else if (c == '"' || c == '`') {
        node->kind = TQL_LITERAL;
        node->literal.type = TQL_TEXT;
        TRY(parse_string(parser, &node->literal.text));
    } else if (c >= '0' && c <= '9') {
        node->kind = TQL_LITERAL;
        TRY(parse_number(parser, &node->literal));
    } else if (c == '.') {
        parser->at++;
        TRY(parse_attribute(parser, TQL_ANY, parser->at - 1, node));
    } else if (is_word_char(c)) {
        TRY(parse_word(parser, node));
    } else {
        enum err err = complain(parser, parser->at, "a value or an attribute is expected here");
        if (c == '\'')
            hint(parser->why, "text stands in \"…\" or `…`");
        return err;
    }
    parser->depth--;
    *ret_node = node;
    return ERR_NONE;
}

static const struct binary *next_binary(struct parser *parser)
{
    skip_space(parser);
    for (size_t i = 0; i < ARRAY_COUNT(binaries); i++) {
        size_t size = strlen(binaries[i].mark);
        if (parser->text.size - parser->at >= size &&
            memcmp(parser->text.data + parser->at, binaries[i].mark, size) == 0)
            return &binaries[i];
    }
    return NULL;
}

static enum err compile_pattern(struct parser *parser, struct tql_node *node, size_t at)
{
    struct regex *regex;

    if (node->right->kind != TQL_LITERAL || node->right->literal.type != TQL_TEXT)
        return complain(parser, at, "a pattern is a text: =~ \"GET /.*\"");
    TRY(regex_new(node->right->literal.text, &regex, parser->why));
    regex_set_next(regex, parser->query->patterns);
    parser->query->patterns = regex;
    node->regex = regex;
    return ERR_NONE;
}

static enum err parse_expression(struct parser *parser, int least, struct tql_node **ret_node)
{
    struct tql_node *left;
    const struct binary *binary;

    TRY(deeper(parser));
    TRY(parse_operand(parser, &left));
    while ((binary = next_binary(parser)) != NULL && binary->precedence >= least) {
        struct tql_node *node;
        size_t at = parser->at;
        TRY(NEW(parser, &node));
        parser->at += strlen(binary->mark);
        if (binary->op == TQL_EQUAL && peek(parser, 0) == '=') {
            enum err err = complain(parser, at, "'==' is written '=' here");
            hint(parser->why, "TraceQL compares with a single =");
            return err;
        }
        *node = (struct tql_node){.kind = TQL_OPERATION, .op = binary->op, .left = left};
        TRY(parse_expression(parser, binary->precedence + (binary->op != TQL_POWER), &node->right));
        if (node->op == TQL_REGEX || node->op == TQL_NOT_REGEX)
            TRY(compile_pattern(parser, node, at));
        left = node;
    }
    parser->depth--;
    *ret_node = left;
    return ERR_NONE;
}

/* ---- Span sets. ---- */

static const struct binary set_binaries[] = {
    {"||", TQL_OR, 1},   {"&&", TQL_AND, 2},   {">>", TQL_DESCENDANT, 3}, {"<<", TQL_ANCESTOR, 3},
    {">", TQL_CHILD, 3}, {"<", TQL_PARENT, 3}, {"~", TQL_SIBLING, 3},
};

static enum err parse_set(struct parser *parser, int least, struct tql_set **ret_set);

static enum err parse_set_operand(struct parser *parser, struct tql_set **ret_set)
{
    struct tql_set *set;

    TRY(deeper(parser));
    if (accept(parser, "(")) {
        TRY(parse_set(parser, 1, ret_set));
        parser->depth--;
        return expect(parser, ")", "after span sets");
    }
    TRY(expect(parser, "{", "where a selector begins"));
    TRY(NEW(parser, &set));
    set->is_filter = true;
    if (!accept(parser, "}")) {
        TRY(parse_expression(parser, 1, &set->filter));
        TRY(expect(parser, "}", "where the selector ends"));
    }
    parser->depth--;
    *ret_set = set;
    return ERR_NONE;
}

static const struct binary *next_set_binary(struct parser *parser)
{
    skip_space(parser);
    for (size_t i = 0; i < ARRAY_COUNT(set_binaries); i++) {
        size_t size = strlen(set_binaries[i].mark);
        if (parser->text.size - parser->at >= size &&
            memcmp(parser->text.data + parser->at, set_binaries[i].mark, size) == 0)
            return &set_binaries[i];
    }
    return NULL;
}

static enum err parse_set(struct parser *parser, int least, struct tql_set **ret_set)
{
    struct tql_set *left;
    const struct binary *binary;

    TRY(deeper(parser));
    TRY(parse_set_operand(parser, &left));
    while ((binary = next_set_binary(parser)) != NULL && binary->precedence >= least) {
        struct tql_set *set;
        TRY(NEW(parser, &set));
        parser->at += strlen(binary->mark);
        *set = (struct tql_set){.op = binary->op, .left = left};
        TRY(parse_set(parser, binary->precedence + 1, &set->right));
        left = set;
    }
    parser->depth--;
    *ret_set = left;
    return ERR_NONE;
}

/* ---- Stages behind a |. ---- */

static const struct {
    struct str name;
    enum tql_stage_kind kind;
} stage_names[] = {
    {STR("count"), TQL_COUNT},   {STR("avg"), TQL_AVG},           {STR("max"), TQL_MAX},
    {STR("min"), TQL_MIN},       {STR("sum"), TQL_SUM},           {STR("by"), TQL_BY},
    {STR("select"), TQL_SELECT}, {STR("coalesce"), TQL_COALESCE},
};

static enum err parse_stage_name(struct parser *parser, enum tql_stage_kind *ret_kind)
{
    struct nearest nearest;

    skip_space(parser);
    size_t start = parser->at;
    struct str name = word(parser, is_word_char);
    nearest = nearest_begin(name);
    for (size_t i = 0; i < ARRAY_COUNT(stage_names); i++) {
        if (str_eq(stage_names[i].name, name)) {
            *ret_kind = stage_names[i].kind;
            return ERR_NONE;
        }
        nearest_offer(&nearest, stage_names[i].name);
    }
    enum err err = complain(parser, start, "'%.*s' is no stage", STR_ARG(name));
    struct str meant = nearest_found(&nearest);
    hint(parser->why, "%s%.*sstages are count avg max min sum by select coalesce",
         meant.data == NULL ? "" : "did you mean ", STR_ARG(meant));
    if (meant.data != NULL)
        hint(parser->why, "did you mean %.*s?", STR_ARG(meant));
    else if (str_starts(name, STR("rate")) || str_ends(name, STR("_over_time")))
        hint(parser->why, "numbers over time are asked for in PromQL: "
                          "rate(traces_span_metrics_calls_total[5m])");
    return err;
}

/* Also a sign before the number. */
static enum err parse_comparison(struct parser *parser, struct tql_stage *stage)
{
    const struct binary *binary = next_binary(parser);
    struct tql_value value;

    if (binary == NULL || binary->precedence != 3 || binary->op == TQL_REGEX ||
        binary->op == TQL_NOT_REGEX) {
        enum err err = complain(parser, parser->at, "a comparison is expected here");
        hint(parser->why, "for example: | count() > 2");
        return err;
    }
    parser->at += strlen(binary->mark);
    stage->op = binary->op;
    bool negative = accept(parser, "-");
    skip_space(parser);
    if (!is_digit(peek(parser, 0)))
        return complain(parser, parser->at, "a number or a duration is expected here");
    TRY(parse_number(parser, &value));
    stage->bound = negative ? -value.number : value.number;
    return ERR_NONE;
}

static enum err parse_fields(struct parser *parser, struct tql_stage *stage)
{
    TRY(take(parser, TRACEQL_FIELDS_MAX * sizeof(*stage->fields), (void **)&stage->fields));
    TRY(take(parser, TRACEQL_FIELDS_MAX * sizeof(*stage->field_sources),
             (void **)&stage->field_sources));
    do {
        skip_space(parser);
        size_t start = parser->at;
        if (stage->field_count == TRACEQL_FIELDS_MAX)
            return fail(parser->why, ERR_LIMIT, "more than %d fields", TRACEQL_FIELDS_MAX);
        TRY(parse_expression(parser, 1, &stage->fields[stage->field_count]));
        stage->field_sources[stage->field_count++] =
            str_trim((struct str){parser->text.data + start, parser->at - start});
    } while (accept(parser, ","));
    return ERR_NONE;
}

static enum err parse_call(struct parser *parser, struct tql_stage *stage)
{
    size_t start = parser->at;

    TRY(parse_stage_name(parser, &stage->kind));
    TRY(expect(parser, "(", "after the stage's name"));
    if (stage->kind == TQL_BY || stage->kind == TQL_SELECT)
        TRY(parse_fields(parser, stage));
    else if (stage->kind != TQL_COUNT && stage->kind != TQL_COALESCE)
        TRY(parse_expression(parser, 1, &stage->argument));
    TRY(expect(parser, ")", "after the stage's arguments"));
    stage->source = str_trim((struct str){parser->text.data + start, parser->at - start});
    if (stage->kind <= TQL_SUM)
        TRY(parse_comparison(parser, stage));
    return ERR_NONE;
}

static enum err parse_stage(struct parser *parser, struct tql_stage **ret_stage)
{
    struct tql_stage *stage;

    TRY(NEW(parser, &stage));
    skip_space(parser);
    if (peek(parser, 0) == '{' || peek(parser, 0) == '(') {
        stage->kind = TQL_FILTER;
        TRY(parse_set(parser, 1, &stage->set));
    } else {
        TRY(parse_call(parser, stage));
    }
    *ret_stage = stage;
    return ERR_NONE;
}

static enum err parse_query(struct parser *parser)
{
    struct tql_stage **last = &parser->query->stages;

    skip_space(parser);
    if (parser->at == parser->text.size) {
        enum err err = complain(parser, 0, "the query is empty");
        hint(parser->why, "{} finds every trace");
        return err;
    }
    TRY(parse_set(parser, 1, &parser->query->set));
    while (accept(parser, "|")) {
        TRY(parse_stage(parser, last));
        last = &(*last)->next;
    }
    skip_space(parser);
    if (parser->at < parser->text.size)
        return complain(parser, parser->at, "the query should end here");
    return ERR_NONE;
}

enum err traceql_parse(struct str text, struct arena *arena, struct traceql **ret_query,
                       struct why *why)
{
    struct parser parser = {.text = arena_str(arena, text), .arena = arena, .why = why};

    if (text.size > TRACEQL_TEXT_BYTES_MAX)
        return fail(why, ERR_LIMIT, "the query is longer than %d bytes", TRACEQL_TEXT_BYTES_MAX);
    parser.query = ARENA_NEW(arena, struct traceql);
    if (parser.query == NULL || parser.text.data == NULL)
        return arena_spent(arena, "a TraceQL query", why);
    enum err err = parse_query(&parser);
    if (err != ERR_NONE) {
        traceql_free(parser.query);
        return err;
    }
    *ret_query = parser.query;
    return ERR_NONE;
}

struct traceql *traceql_free(struct traceql *query)
{
    if (query != NULL)
        query->patterns = regex_free(query->patterns);
    return NULL;
}

bool traceql_has_stages(const struct traceql *query)
{
    return query->stages != NULL;
}

void traceql_freep(struct traceql **query)
{
    *query = traceql_free(*query);
}
