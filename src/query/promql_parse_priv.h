/* SPDX-License-Identifier: Apache-2.0 */
/* promql_parse_priv - what the files of the parser share: promql_parse.c (expressions),
 * promql_parse_selector.c (selectors, ranges, durations), promql_check.c (types). */
#pragma once
#include "query/promql_ast.h"
#include "query/promql_lex.h"

struct parser {
    struct str text;
    struct tokens tokens;
    size_t at;
    struct arena *arena;
    struct promql_expression *expression;
    int depth;
    int nodes_count;
    bool may_match_all; /* The selector that is due narrows others; it need not narrow itself. */
    struct why *why;
};

const struct token *parser_peek(const struct parser *parser, size_t ahead);
const struct token *parser_take(struct parser *parser); /* The current one; stays at the end. */
bool parser_is_word(const struct parser *parser, size_t ahead, const char *word); /* Any case. */
bool parser_accept(struct parser *parser, enum token_kind kind);
enum err parser_expect(struct parser *parser, enum token_kind kind, const char *place,
                       const char *wanted);
/* "unexpected identifier "x" in PLACE, expected WANTED"; wanted may be NULL. */
enum err parser_unexpected(struct parser *parser, const char *place, const char *wanted);
/* A fresh node from start to the token taken last. */
enum err parser_node(struct parser *parser, enum node_kind kind, enum promql_type type,
                     int32_t start, struct node **ret_node);
/* Takes note that node stands above child; ERR_LIMIT. */
enum err parser_above(struct parser *parser, struct node *node, const struct node *child);
enum err parser_enter(struct parser *parser); /* One level deeper; ERR_LIMIT. */
void parser_leave(struct parser *parser);
enum err parser_label_names(struct parser *parser, struct label_names *ret_names);

enum err parse_expression(struct parser *parser, const struct node **ret_node);
enum err parse_primary(struct parser *parser, const struct node **ret_node);
enum err parse_postfix(struct parser *parser, const struct node **ret_node);
enum err parse_selector(struct parser *parser, const struct node **ret_node);

/* Sets the type of the node where it depends on the operands. */
enum err check_binary(struct parser *parser, struct node *node, const struct token *sign);
enum err check_aggregate(struct parser *parser, const struct node *node);
enum err check_call(struct parser *parser, const struct node *node);
enum err check_unknown_function(struct parser *parser, const struct token *name);
