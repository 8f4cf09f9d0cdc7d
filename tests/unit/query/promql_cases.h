/* SPDX-License-Identifier: Apache-2.0 */
/* promql_cases - reads Prometheus' small format of PromQL cases.
 *
 *     load 5m                                   series, one sample each 5m from time 0
 *       name{label="value"} 1 2 3+1x4 _ _x3 stale
 *     eval instant at 50m sum(name)             also eval_fail, eval_warn, eval_info, eval_ordered
 *       expect no_warn
 *       {} 6
 *     eval range from 0 to 10m step 5m name     then one value per step
 *     clear
 *
 * A blank line or a comment ends a block. a+bxN is a and N more, each b larger; axN is a and N
 * more; _xN is N gaps. {{…}} is a native histogram, which the store does not keep. */
#pragma once
#include "base/arena.h"
#include "base/str.h"
#include "model/label.h"
#include "query/promql_lex.h"

#include <math.h>
#include <stdio.h>

enum { CASE_LABELS_MAX = 32 };

struct case_value {
    double value;
    bool omitted;
    bool histogram;
};

struct case_values {
    struct case_value *items;
    size_t count;
    size_t capacity;
};

static inline double case_stale(void)
{
    uint64_t bits = UINT64_C(0x7ff0000000000002);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline void case_push(struct case_values *values, struct case_value value)
{
    if (values->count == values->capacity) {
        values->capacity = values->capacity == 0 ? 64 : values->capacity * 2;
        values->items = realloc(values->items, values->capacity * sizeof(*values->items));
        if (values->items == NULL)
            must_memory(values->capacity);
    }
    values->items[values->count++] = value;
}

/* A number at text[*at], signs, Inf and NaN included; "0x59" is a 0 and a repetition. */
static inline bool case_number(struct str text, size_t *at, double *ret_value)
{
    size_t end = *at;

    if (end < text.size && (text.data[end] == '-' || text.data[end] == '+'))
        end++;
    struct str word = {text.data + end, text.size - end};
    if (word.size > 3)
        word.size = 3;
    if (str_eq_nocase(word, STR("inf")) || str_eq_nocase(word, STR("nan"))) {
        end += 3;
    } else {
        while (end < text.size && strchr("0123456789.", text.data[end]) != NULL)
            end++;
        if (end + 1 < text.size && (text.data[end] == 'e' || text.data[end] == 'E')) {
            end++;
            if (text.data[end] == '-' || text.data[end] == '+')
                end++;
            while (end < text.size && strchr("0123456789", text.data[end]) != NULL)
                end++;
        }
    }
    struct str number = {text.data + *at, end - *at};
    *at = end;
    return str_to_double(number, ret_value);
}

/* How many more: "x5" at text[*at], or 0 when there is no x. */
static inline bool case_times(struct str text, size_t *at, uint64_t *ret_times)
{
    size_t end = *at + 1;

    *ret_times = 0;
    if (*at >= text.size || text.data[*at] != 'x')
        return *at == text.size;
    while (end < text.size && strchr("0123456789", text.data[end]) != NULL)
        end++;
    struct str digits = {text.data + *at + 1, end - *at - 1};
    *at = end;
    return str_to_u64(digits, ret_times) && end == text.size && *ret_times < 1000000;
}

static inline bool case_item(struct str item, struct case_values *values)
{
    struct case_value value = {0};
    double step = 0;
    uint64_t times;
    size_t at = 0;

    if (str_starts(item, STR("{{"))) {
        ptrdiff_t close = str_find_str(item, STR("}}"));
        value.histogram = true;
        for (; close >= 0 && (size_t)close + 2 < item.size;) {
            at = (size_t)close + 2;
            if (item.data[at] == 'x')
                break;
            item = (struct str){item.data + at, item.size - at};
            close = str_find_str(item, STR("}}"));
        }
        if (at == 0 || at >= item.size || item.data[at] != 'x')
            at = item.size;
    } else if (str_eq(item, STR("stale"))) {
        value.value = case_stale();
        at = item.size;
    } else if (item.data[0] == '_') {
        value.omitted = true;
        at = 1;
    } else if (!case_number(item, &at, &value.value)) {
        return false;
    }
    if (at < item.size && (item.data[at] == '+' || item.data[at] == '-') &&
        !case_number(item, &at, &step))
        return false;
    if (!case_times(item, &at, &times))
        return false;
    if (value.omitted && times > 0)
        times--;
    for (uint64_t i = 0; i <= times; i++) {
        case_push(values, value);
        value.value += step;
    }
    return true;
}

/* Items are parted by spaces, those within {{ }} excepted. */
static inline bool case_sequence(struct str text, struct case_values *values)
{
    for (size_t i = 0; i < text.size;) {
        size_t end = i;
        bool inside = false;
        if (text.data[i] == ' ' || text.data[i] == '\t') {
            i++;
            continue;
        }
        for (; end < text.size; end++) {
            if (text.data[end] == '{')
                inside = true;
            if (text.data[end] == '}')
                inside = false;
            if (!inside && (text.data[end] == ' ' || text.data[end] == '\t'))
                break;
        }
        if (!case_item((struct str){text.data + i, end - i}, values))
            return false;
        i = end;
    }
    return true;
}

/* Where name{labels} ends in a line. */
static inline size_t case_metric_size(struct str line)
{
    size_t i = 0;
    char quote = 0;

    while (i < line.size && strchr("{ \t", line.data[i]) == NULL)
        i++;
    if (i < line.size && line.data[i] == '{' && !str_starts(line, STR("{{"))) {
        for (; i < line.size; i++) {
            if (quote != 0 && line.data[i] == '\\')
                i++;
            else if (quote != 0)
                quote = line.data[i] == quote ? 0 : quote;
            else if (line.data[i] == '"' || line.data[i] == '\'')
                quote = line.data[i];
            else if (line.data[i] == '}')
                return i + 1;
        }
    }
    return i;
}

/* name{a="b"} into pairs; their strings live in the arena. */
static inline bool case_metric(struct str text, struct arena *arena, struct label *pairs,
                               size_t *ret_count)
{
    struct tokens tokens;
    struct why why = WHY_INIT;
    size_t count = 0;
    size_t i = 0;

    text = arena_str(arena, text);
    if (promql_lex(text, arena, &tokens, &why) != ERR_NONE)
        return false;
    if (tokens.items[i].kind == TOKEN_WORD)
        pairs[count++] = (struct label){LABEL_NAME, tokens.items[i++].text};
    if (tokens.items[i].kind == TOKEN_LEFT_BRACE) {
        for (i++; tokens.items[i].kind != TOKEN_RIGHT_BRACE;) {
            struct token *name = &tokens.items[i];
            if (count == CASE_LABELS_MAX || name->kind == TOKEN_END)
                return false;
            if (name->kind == TOKEN_STRING && name[1].kind != TOKEN_ASSIGN) {
                pairs[count++] = (struct label){LABEL_NAME, name->text};
                i++;
            } else {
                if (name[1].kind != TOKEN_ASSIGN || name[2].kind != TOKEN_STRING)
                    return false;
                pairs[count++] = (struct label){name->text, name[2].text};
                i += 3;
            }
            if (tokens.items[i].kind == TOKEN_COMMA)
                i++;
        }
        i++;
    }
    *ret_count = count;
    return tokens.items[i].kind == TOKEN_END;
}

static inline bool case_duration(struct str text, int64_t *ret_ms)
{
    bool negative = str_starts(text, STR("-"));
    double seconds;

    if (negative)
        text = (struct str){text.data + 1, text.size - 1};
    if (!str_to_duration_ms(text, ret_ms)) {
        if (!str_to_double(text, &seconds))
            return false;
        *ret_ms = (int64_t)(seconds * 1000);
    }
    if (negative)
        *ret_ms = -*ret_ms;
    return true;
}

/* The next word of *rest. */
static inline struct str case_word(struct str *rest)
{
    *rest = str_trim(*rest);
    size_t size = 0;
    while (size < rest->size && rest->data[size] != ' ' && rest->data[size] != '\t')
        size++;
    struct str word = {rest->data, size};
    rest->data += size;
    rest->size -= size;
    return word;
}
