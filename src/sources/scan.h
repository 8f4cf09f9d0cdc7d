/* SPDX-License-Identifier: Apache-2.0 */
/* scan - walks text that the kernel prints: lines of words and numbers.
 *
 * A scan is what is left of the text. No copies, no locale, no allocation; what does not parse
 * answers false and leaves the decision to the caller. Pure functions; any thread. */
#pragma once
#include "base/str.h"

struct scan {
    const char *at;
    const char *end;
};

static inline struct scan scan_of(struct str text)
{
    return (struct scan){text.data, text.data + text.size};
}

static inline struct str scan_rest(const struct scan *scan)
{
    return (struct str){scan->at, (size_t)(scan->end - scan->at)};
}

/* The next line without its newline; false at the end of the text. */
static inline bool scan_line(struct scan *text, struct scan *ret_line)
{
    if (text->at >= text->end)
        return false;
    const char *end = memchr(text->at, '\n', (size_t)(text->end - text->at));
    *ret_line = (struct scan){text->at, end == NULL ? text->end : end};
    text->at = end == NULL ? text->end : end + 1;
    return true;
}

static inline bool scan_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline void scan_blanks(struct scan *line)
{
    while (line->at < line->end && scan_is_blank(*line->at))
        line->at++;
}

/* The next run of bytes that are not blanks; size 0 at the end of the line. */
static inline struct str scan_word(struct scan *line)
{
    scan_blanks(line);
    const char *start = line->at;
    while (line->at < line->end && !scan_is_blank(*line->at))
        line->at++;
    return (struct str){start, (size_t)(line->at - start)};
}

/* What stands before the next `stop`, which is passed over; false (and nothing moved) without. */
static inline bool scan_until(struct scan *line, char stop, struct str *ret_text)
{
    const char *found =
        line->at >= line->end ? NULL : memchr(line->at, stop, (size_t)(line->end - line->at));

    if (found == NULL)
        return false;
    *ret_text = (struct str){line->at, (size_t)(found - line->at)};
    line->at = found + 1;
    return true;
}

/* Passes over `prefix` when the text starts with it. */
static inline bool scan_skip(struct scan *line, struct str prefix)
{
    if ((size_t)(line->end - line->at) < prefix.size ||
        memcmp(line->at, prefix.data, prefix.size) != 0)
        return false;
    line->at += prefix.size;
    return true;
}

/* A run of decimal digits after blanks; wraps like the kernel's counters do. */
static inline bool scan_u64(struct scan *line, uint64_t *ret_value)
{
    uint64_t value = 0;

    scan_blanks(line);
    const char *start = line->at;
    while (line->at < line->end && *line->at >= '0' && *line->at <= '9')
        value = value * 10 + (uint64_t)(*line->at++ - '0');
    if (line->at == start)
        return false;
    *ret_value = value;
    return true;
}

/* As scan_u64, with a sign. */
static inline bool scan_i64(struct scan *line, int64_t *ret_value)
{
    uint64_t value;

    scan_blanks(line);
    bool negative = line->at < line->end && *line->at == '-';
    if (negative)
        line->at++;
    if (!scan_u64(line, &value))
        return false;
    *ret_value = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

/* As scan_u64, in base 16 without a prefix. */
static inline bool scan_hex(struct scan *line, uint64_t *ret_value)
{
    uint64_t value = 0;

    scan_blanks(line);
    const char *start = line->at;
    for (; line->at < line->end; line->at++) {
        char c = *line->at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value << 4 | (uint64_t)((c | 0x20) - 'a' + 10);
        else
            break;
    }
    if (line->at == start)
        return false;
    *ret_value = value;
    return true;
}

/* The next word as a number with a fraction. */
static inline bool scan_double(struct scan *line, double *ret_value)
{
    return str_to_double(scan_word(line), ret_value);
}

/* Passes over `count` words; false when the line ends before. */
static inline bool scan_words(struct scan *line, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (scan_word(line).size == 0)
            return false;
    }
    return true;
}
