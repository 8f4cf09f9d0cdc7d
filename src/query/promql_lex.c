/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the text. The only context that a token depends on is whether we are inside the
 * brackets of a range: there `a:b` is two words and a colon, elsewhere it is one metric name. */
#include "query/promql_lex.h"

#include "query/promql.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct lexer {
    struct str text;
    size_t at;
    struct arena *arena;
    struct tokens *tokens;
    size_t capacity;
    bool in_brackets;
    bool in_braces;
    struct why *why;
};

void promql_place(struct str text, int32_t position, int *ret_line, int *ret_column)
{
    int line = 1;
    int column = 1;

    for (size_t i = 0; i < text.size && i < (size_t)position; i++) {
        if (text.data[i] == '\n') {
            line++;
            column = 1;
        } else {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

enum err promql_fail(struct str text, int32_t position, struct why *why, const char *format, ...)
{
    char sentence[WHY_TEXT_SIZE];
    int line;
    int column;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments); /* Cut is fine. */
    va_end(arguments);
    for (char *c = sentence; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    promql_place(text, position, &line, &column);
    return fail_at(why, ERR_INVALID, position, "%d:%d: parse error: %s", line, column, sentence);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static char peek(const struct lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;

    return at < lexer->text.size ? lexer->text.data[at] : '\0';
}

static enum err push(struct lexer *lexer, enum token_kind kind, size_t size, struct token **ret)
{
    struct tokens *tokens = lexer->tokens;

    if (tokens->count == lexer->capacity) {
        size_t capacity = lexer->capacity == 0 ? 64 : lexer->capacity * 2;
        struct token *items = ARENA_ARRAY(lexer->arena, capacity, struct token);
        if (items == NULL)
            return arena_spent(lexer->arena, "the query text", lexer->why);
        if (tokens->count > 0)
            memcpy(items, tokens->items, tokens->count * sizeof(*items));
        tokens->items = items;
        lexer->capacity = capacity;
    }
    struct token *token = &tokens->items[tokens->count++];
    *token = (struct token){
        .kind = kind,
        .start = (int32_t)lexer->at,
        .end = (int32_t)(lexer->at + size),
        .text = {lexer->text.data + lexer->at, size},
    };
    lexer->at += size;
    if (ret != NULL)
        *ret = token;
    return ERR_NONE;
}

static enum err lex_word(struct lexer *lexer)
{
    size_t size = 0;
    struct token *token;

    while (is_letter(peek(lexer, size)) || is_digit(peek(lexer, size)) ||
           (peek(lexer, size) == ':' && !lexer->in_brackets))
        size++;
    struct str word = {lexer->text.data + lexer->at, size};
    bool is_infinite = str_eq_nocase(word, STR("inf"));
    bool is_number = is_infinite || str_eq_nocase(word, STR("nan"));
    if (lexer->in_braces)
        is_number = false;
    TRY(push(lexer, is_number ? TOKEN_NUMBER : TOKEN_WORD, size, &token));
    if (is_number)
        token->number = is_infinite ? (double)INFINITY : (double)NAN;
    return ERR_NONE;
}

/* The size of "1h30m" at the cursor, or 0. Units must fall in size, each at most once; that
 * is checked where the value is computed. */
static size_t duration_size(const struct lexer *lexer)
{
    size_t size = 0;

    for (;;) {
        size_t digits = size;
        while (is_digit(peek(lexer, digits)))
            digits++;
        if (digits == size)
            break;
        char unit = peek(lexer, digits);
        if (unit == '\0' || strchr("smhdwy", unit) == NULL)
            return 0;
        digits++;
        if (unit == 'm' && peek(lexer, digits) == 's')
            digits++;
        size = digits;
    }
    char next = peek(lexer, size);
    return size > 0 && !is_letter(next) && !is_digit(next) && next != '.' ? size : 0;
}

static size_t number_size(const struct lexer *lexer)
{
    size_t size = 0;
    bool hex = peek(lexer, 0) == '0' && (peek(lexer, 1) == 'x' || peek(lexer, 1) == 'X');

    if (hex) {
        size = 2;
        while (strchr("0123456789abcdefABCDEF_", peek(lexer, size)) != NULL &&
               peek(lexer, size) != '\0')
            size++;
        return size;
    }
    while (is_digit(peek(lexer, size)) || (peek(lexer, size) == '_' && size > 0))
        size++;
    if (peek(lexer, size) == '.') {
        size++;
        while (is_digit(peek(lexer, size)) || peek(lexer, size) == '_')
            size++;
    }
    if (peek(lexer, size) == 'e' || peek(lexer, size) == 'E') {
        size_t exponent = size + 1;
        if (peek(lexer, exponent) == '+' || peek(lexer, exponent) == '-')
            exponent++;
        if (is_digit(peek(lexer, exponent))) {
            while (is_digit(peek(lexer, exponent)))
                exponent++;
            size = exponent;
        }
    }
    return size;
}

static enum err bad_number(struct lexer *lexer)
{
    size_t size = 0;

    while (is_letter(peek(lexer, size)) || is_digit(peek(lexer, size)) || peek(lexer, size) == '.')
        size++;
    enum err err = promql_fail(lexer->text, (int32_t)lexer->at, lexer->why,
                               "bad number or duration syntax: \"%.*s\"", (int)size,
                               lexer->text.data + lexer->at);
    hint(lexer->why, "numbers look like 1.5 or 2e9; durations are whole numbers with the units "
                     "y w d h m s ms, largest first: 1h30m");
    return err;
}

/* Reads digits with '_' between them, decimal or hex. */
static bool read_number(struct str text, double *ret_number)
{
    char digits[64];
    size_t size = 0;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '_')
            continue;
        if (size == sizeof(digits))
            return str_to_double(text, ret_number);
        digits[size++] = text.data[i];
    }
    return str_to_double((struct str){digits, size}, ret_number);
}

static bool read_hex(struct str text, double *ret_number)
{
    double value = 0;

    for (size_t i = 2; i < text.size; i++) {
        char c = text.data[i];
        if (c == '_')
            continue;
        int digit = is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
        value = value * 16 + digit;
    }
    *ret_number = value;
    return text.size > 2;
}

static enum err lex_number(struct lexer *lexer)
{
    struct token *token;
    int64_t duration_ms;
    double number;

    size_t size = duration_size(lexer);
    struct str text = {lexer->text.data + lexer->at, size};
    if (size > 0) {
        if (!str_to_duration_ms(text, &duration_ms))
            return bad_number(lexer);
        TRY(push(lexer, TOKEN_DURATION, size, &token));
        token->number = (double)duration_ms / 1000;
        return ERR_NONE;
    }
    size = number_size(lexer);
    text.size = size;
    bool hex = size > 1 && (text.data[1] == 'x' || text.data[1] == 'X');
    bool valid = hex ? read_hex(text, &number) : read_number(text, &number);
    char next = peek(lexer, size);
    if (!valid || is_letter(next) || is_digit(next) || next == '.')
        return bad_number(lexer);
    TRY(push(lexer, TOKEN_NUMBER, size, &token));
    token->number = number;
    return ERR_NONE;
}

/* --- strings --- */

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Reads `count` digits of `base` at text[*at]; false when there are fewer. */
static bool read_digits(struct str text, size_t *at, int count, int base, uint32_t *ret_value)
{
    uint32_t value = 0;

    for (int i = 0; i < count; i++) {
        if (*at >= text.size || digit_value(text.data[*at]) >= base)
            return false;
        value = value * (uint32_t)base + (uint32_t)digit_value(text.data[*at]);
        (*at)++;
    }
    *ret_value = value;
    return true;
}

static const char simple_escapes[] = "a\ab\bf\fn\nr\rt\tv\v\\\\";

/* Decodes the escape behind a backslash at body[*at]; the result is never longer than the text. */
static bool decode_escape(struct str body, size_t *at, char quote, char *out, size_t *out_size)
{
    char c = body.data[(*at)++];
    uint32_t code;

    for (const char *pair = simple_escapes; *pair != '\0'; pair += 2) {
        if (*pair == c) {
            out[(*out_size)++] = pair[1];
            return true;
        }
    }
    if (c == quote) {
        out[(*out_size)++] = c;
        return true;
    }
    if (c == 'x' || (c >= '0' && c <= '7')) {
        if (c != 'x')
            (*at)--;
        if (!read_digits(body, at, c == 'x' ? 2 : 3, c == 'x' ? 16 : 8, &code) || code > 0xff)
            return false;
        out[(*out_size)++] = (char)code;
        return true;
    }
    if (c != 'u' && c != 'U')
        return false;
    if (!read_digits(body, at, c == 'u' ? 4 : 8, 16, &code) || code > 0x10ffff ||
        (code >= 0xd800 && code < 0xe000))
        return false;
    *out_size += put_utf8(out + *out_size, code);
    return true;
}

static enum err decode_string(struct lexer *lexer, struct str body, char quote, struct str *ret)
{
    size_t size = 0;

    if (quote == '`' || str_find(body, '\\') < 0) {
        *ret = body;
        return ERR_NONE;
    }
    char *out = arena_alloc(lexer->arena, body.size);
    if (out == NULL)
        return arena_spent(lexer->arena, "a string in the query", lexer->why);
    for (size_t at = 0; at < body.size;) {
        if (body.data[at] != '\\') {
            out[size++] = body.data[at++];
            continue;
        }
        size_t escape = at++;
        if (at >= body.size || !decode_escape(body, &at, quote, out, &size)) {
            enum err err = promql_fail(lexer->text,
                                       (int32_t)(body.data - lexer->text.data + (ptrdiff_t)escape),
                                       lexer->why, "unknown escape sequence in a string");
            hint(lexer->why, "write a backslash as \\\\, or put the string in backticks, where "
                             "nothing is escaped");
            return err;
        }
    }
    *ret = (struct str){out, size};
    return ERR_NONE;
}

static enum err lex_string(struct lexer *lexer)
{
    char quote = peek(lexer, 0);
    size_t size = 1;
    struct token *token;
    struct str decoded;

    for (;; size++) {
        if (lexer->at + size >= lexer->text.size || (quote != '`' && peek(lexer, size) == '\n')) {
            enum err err = promql_fail(lexer->text, (int32_t)lexer->at, lexer->why, "%s",
                                       quote == '`' ? "unterminated raw string"
                                                    : "unterminated quoted string");
            hint(lexer->why, "close the string with %c", quote);
            return err;
        }
        if (peek(lexer, size) == quote)
            break;
        if (peek(lexer, size) == '\\' && quote != '`')
            size++;
    }
    struct str body = {lexer->text.data + lexer->at + 1, size - 1};
    TRY(decode_string(lexer, body, quote, &decoded));
    TRY(push(lexer, TOKEN_STRING, size + 1, &token));
    token->text = decoded;
    return ERR_NONE;
}

/* --- signs --- */

struct sign {
    char text[3];
    enum token_kind kind;
};

/* Longer signs stand before their prefixes. */
static const struct sign signs[] = {
    {"==", TOKEN_EQUAL},      {"=~", TOKEN_MATCH_REGEX}, {"!~", TOKEN_MATCH_NOT_REGEX},
    {"!=", TOKEN_NOT_EQUAL},  {"<=", TOKEN_LESS_EQUAL},  {">=", TOKEN_GREATER_EQUAL},
    {"=", TOKEN_ASSIGN},      {"<", TOKEN_LESS},         {">", TOKEN_GREATER},
    {"+", TOKEN_ADD},         {"-", TOKEN_SUBTRACT},     {"*", TOKEN_MULTIPLY},
    {"/", TOKEN_DIVIDE},      {"%", TOKEN_MODULO},       {"^", TOKEN_POWER},
    {"(", TOKEN_LEFT_PAREN},  {")", TOKEN_RIGHT_PAREN},  {"{", TOKEN_LEFT_BRACE},
    {"}", TOKEN_RIGHT_BRACE}, {"[", TOKEN_LEFT_BRACKET}, {"]", TOKEN_RIGHT_BRACKET},
    {",", TOKEN_COMMA},       {":", TOKEN_COLON},        {"@", TOKEN_AT},
};

static enum err lex_sign(struct lexer *lexer)
{
    struct str rest = {lexer->text.data + lexer->at, lexer->text.size - lexer->at};

    for (size_t i = 0; i < ARRAY_COUNT(signs); i++) {
        if (!str_starts(rest, str_of(signs[i].text)))
            continue;
        if (signs[i].kind == TOKEN_LEFT_BRACKET || signs[i].kind == TOKEN_RIGHT_BRACKET)
            lexer->in_brackets = signs[i].kind == TOKEN_LEFT_BRACKET;
        if (signs[i].kind == TOKEN_LEFT_BRACE || signs[i].kind == TOKEN_RIGHT_BRACE)
            lexer->in_braces = signs[i].kind == TOKEN_LEFT_BRACE;
        return push(lexer, signs[i].kind, strlen(signs[i].text), NULL);
    }
    char c = rest.data[0];
    if (c == '!')
        return promql_fail(lexer->text, (int32_t)lexer->at, lexer->why,
                           "unexpected character after '!': did you mean != or !~?");
    if (c >= ' ' && c < 0x7f)
        return promql_fail(lexer->text, (int32_t)lexer->at, lexer->why,
                           "unexpected character: '%c'", c);
    return promql_fail(lexer->text, (int32_t)lexer->at, lexer->why,
                       "unexpected character: byte 0x%02x", (unsigned char)c);
}

static enum err lex_token(struct lexer *lexer)
{
    char c = peek(lexer, 0);

    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        lexer->at++;
        return ERR_NONE;
    }
    if (c == '#') {
        while (lexer->at < lexer->text.size && peek(lexer, 0) != '\n')
            lexer->at++;
        return ERR_NONE;
    }
    if (is_letter(c) || (c == ':' && !lexer->in_brackets))
        return lex_word(lexer);
    if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1))))
        return lex_number(lexer);
    if (c == '"' || c == '\'' || c == '`')
        return lex_string(lexer);
    return lex_sign(lexer);
}

enum err promql_lex(struct str text, struct arena *arena, struct tokens *ret_tokens,
                    struct why *why)
{
    struct tokens tokens = {0};
    struct lexer lexer = {.text = text, .arena = arena, .tokens = &tokens, .why = why};

    if (text.size > PROMQL_TEXT_SIZE_MAX)
        return fail(why, ERR_LIMIT, "the query has %zu bytes; %d are allowed", text.size,
                    PROMQL_TEXT_SIZE_MAX);
    while (lexer.at < text.size)
        TRY(lex_token(&lexer));
    TRY(push(&lexer, TOKEN_END, 0, NULL));
    *ret_tokens = tokens;
    return ERR_NONE;
}
