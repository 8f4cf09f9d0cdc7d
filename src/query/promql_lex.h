/* SPDX-License-Identifier: Apache-2.0 */
/* promql_lex - PromQL text into tokens, all at once.
 *
 * Words are not yet keywords: `sum` may be a metric too, so the parser decides by place. Text and
 * tokens must outlive each other's use; strings with escapes are decoded into the arena. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* A metric, label or function name, or a keyword. */
    TOKEN_NUMBER, /* Also Inf and NaN. */
    TOKEN_DURATION,
    TOKEN_STRING,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_AT,
    TOKEN_ASSIGN,      /* = */
    TOKEN_MATCH_REGEX, /* =~ */
    TOKEN_MATCH_NOT_REGEX,
    TOKEN_EQUAL, /* == */
    TOKEN_NOT_EQUAL,
    TOKEN_LESS_EQUAL,
    TOKEN_LESS,
    TOKEN_GREATER_EQUAL,
    TOKEN_GREATER,
    TOKEN_ADD,
    TOKEN_SUBTRACT,
    TOKEN_MULTIPLY,
    TOKEN_DIVIDE,
    TOKEN_MODULO,
    TOKEN_POWER,
};

struct token {
    enum token_kind kind;
    int32_t start; /* Byte offset in the text. */
    int32_t end;
    double number;   /* Of TOKEN_NUMBER, and of TOKEN_DURATION in seconds. */
    struct str text; /* As written; of TOKEN_STRING the decoded bytes. */
};

struct tokens {
    struct token *items; /* The last one is TOKEN_END. */
    size_t count;
};

CHECKED enum err promql_lex(struct str text, struct arena *arena, struct tokens *ret_tokens,
                            struct why *why);

/* Gives a complaint that has no next step yet one that fits its words; why may be NULL. */
void promql_hint(struct why *why);
/* ERR_INVALID with "line:column: parse error: " before the sentence. */
enum err promql_fail(struct str text, int32_t position, struct why *why, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Line and column, both from 1, of a byte in the text. */
void promql_place(struct str text, int32_t position, int *ret_line, int *ret_column);
