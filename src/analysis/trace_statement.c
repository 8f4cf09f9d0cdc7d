/* SPDX-License-Identifier: Apache-2.0 */
/* Values taken out of statements and paths, so that the same question is the same text.
 *
 * No parser of SQL: a scanner that knows literals, comments, names in quotes and placeholders is
 * enough, and does no harm to the languages of other databases. */
#include "analysis/trace_call.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* A name or a word may have gone beyond. */
static void cut(struct buf *out, size_t begin)
{
    if (out->size - begin > TRACE_STATEMENT_BYTES_MAX)
        out->size = begin + TRACE_STATEMENT_BYTES_MAX;
}

/* ---- Statements. ---- */

struct scan {
    struct str text;
    size_t at;
    struct buf *out;
    size_t begin; /* Of what this scan has written. */
};

static char look(const struct scan *scan, size_t ahead)
{
    return scan->at + ahead < scan->text.size ? scan->text.data[scan->at + ahead] : '\0';
}

static char last(const struct scan *scan)
{
    return scan->out->size > scan->begin ? scan->out->data[scan->out->size - 1] : '\0';
}

static void skip_quoted(struct scan *scan, char quote)
{
    for (scan->at++; scan->at < scan->text.size; scan->at++) {
        char c = scan->text.data[scan->at];
        if (c == '\\')
            scan->at++;
        else if (c == quote && look(scan, 1) == quote)
            scan->at++; /* Doubled: itself. */
        else if (c == quote)
            break;
    }
    scan->at = scan->at < scan->text.size ? scan->at + 1 : scan->text.size;
}

static void skip_word(struct scan *scan)
{
    while (scan->at < scan->text.size && (is_word(look(scan, 0)) || look(scan, 0) == '.'))
        scan->at++;
}

/* "?, ?" and "?, ?, ?" become "?": a list is the same list whatever its length. Of rows, too:
 * "(?), (?)" becomes "(?)". */
static void put_value(struct scan *scan)
{
    struct str written = {scan->out->data + scan->begin, scan->out->size - scan->begin};

    if (str_ends(written, STR("?, ")))
        scan->out->size -= 2;
    else if (str_ends(written, STR("?,")))
        scan->out->size -= 1;
    else
        buf_byte(scan->out, '?');
}

static void put_closing(struct scan *scan)
{
    buf_byte(scan->out, ')');
    struct str written = {scan->out->data + scan->begin, scan->out->size - scan->begin};
    if (str_ends(written, STR("(?), (?)")))
        scan->out->size -= 5;
    else if (str_ends(written, STR("(?),(?)")))
        scan->out->size -= 4;
}

static void skip_comment(struct scan *scan)
{
    bool is_line = look(scan, 0) == '-';

    while (scan->at < scan->text.size) {
        if (is_line && look(scan, 0) == '\n')
            return;
        if (!is_line && look(scan, 0) == '*' && look(scan, 1) == '/') {
            scan->at += 2;
            return;
        }
        scan->at++;
    }
}

/* $1, :name, %s, %(name)s. */
static bool is_placeholder(const struct scan *scan)
{
    char next = look(scan, 1);

    switch (look(scan, 0)) {
    case '$':
        return is_digit(next);
    case ':':
        return is_word(next) && !is_digit(next) && last(scan) != ':' && last(scan) != '?' &&
               !is_word(last(scan));
    case '%':
        return next == '(' || (next == 's' && !is_word(look(scan, 2)));
    default:
        return false;
    }
}

static void skip_placeholder(struct scan *scan)
{
    if (look(scan, 0) == '%' && look(scan, 1) == '(') {
        while (scan->at < scan->text.size && look(scan, 0) != ')')
            scan->at++;
    }
    scan->at++;
    skip_word(scan);
}

static void put_space(struct scan *scan)
{
    char before = last(scan);

    if (before != ' ' && before != '(' && before != '\0')
        buf_byte(scan->out, ' ');
    scan->at++;
}

static void step(struct scan *scan)
{
    char c = look(scan, 0);

    if (is_space(c)) {
        put_space(scan);
    } else if (c == '\'') {
        skip_quoted(scan, c);
        put_value(scan);
    } else if (c == '"' || c == '`') { /* A name, digits and all. */
        size_t from = scan->at;
        skip_quoted(scan, c);
        buf_append(scan->out, scan->text.data + from, scan->at - from);
    } else if ((c == '-' && look(scan, 1) == '-') || (c == '/' && look(scan, 1) == '*')) {
        skip_comment(scan);
    } else if (is_digit(c) && !is_word(last(scan))) {
        skip_word(scan);
        put_value(scan);
    } else if (c == '?' || is_placeholder(scan)) {
        skip_placeholder(scan);
        put_value(scan);
    } else if (c == ')') {
        scan->at++;
        put_closing(scan);
    } else {
        buf_byte(scan->out, (uint8_t)c);
        scan->at++;
    }
}

void trace_statement_normalise(struct str statement, struct buf *out)
{
    if (statement.size == 0)
        return;
    (void)buf_reserve(out, 1); /* What was written can be looked at from the start. */
    struct scan scan = {.text = str_trim(statement), .out = out, .begin = out->size};

    while (scan.at < scan.text.size && out->size - scan.begin < TRACE_STATEMENT_BYTES_MAX)
        step(&scan);
    while (last(&scan) == ' ' || last(&scan) == ';')
        out->size--;
    cut(out, scan.begin);
}

/* ---- Paths. ---- */

/* A number, a UUID, or eight and more hexadecimal digits with one of 0 … 9 among them. */
static bool is_id(struct str part)
{
    size_t digits = 0;
    size_t letters = 0;

    for (size_t i = 0; i < part.size; i++) {
        char c = part.data[i];
        if (is_digit(c))
            digits++;
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            letters++;
        else if (c != '-')
            return false;
    }
    return digits > 0 && (letters == 0 || digits + letters >= 8);
}

void trace_path_normalise(struct str path, struct buf *out)
{
    size_t begin = out->size;
    size_t at = 0;

    while (at < path.size && path.data[at] != '?' && path.data[at] != '#' &&
           out->size - begin < TRACE_STATEMENT_BYTES_MAX) {
        size_t from = at;
        while (at < path.size && (is_word(path.data[at]) || path.data[at] == '-'))
            at++;
        struct str part = {path.data + from, at - from};
        if (part.size > 0) {
            buf_str(out, is_id(part) ? STR("?") : part);
            continue;
        }
        buf_byte(out, (uint8_t)path.data[at++]);
    }
    cut(out, begin);
}
