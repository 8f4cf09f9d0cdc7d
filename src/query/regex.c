/* SPDX-License-Identifier: Apache-2.0 */
/* Most matchers that people write are names in disguise. classify() looks for those shapes and
 * keeps only their literal part; everything else goes to PCRE2, compiled once, matched with limits
 * on steps and depth so that a hostile pattern costs milliseconds and then says so. */
#include "query/regex.h"

#include "base/buf.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdatomic.h>
#include <stdlib.h>

enum shape {
    SHAPE_ANYTHING,     /* .* */
    SHAPE_SOMETHING,    /* .+ */
    SHAPE_ALTERNATIVES, /* One literal, or several. */
    SHAPE_PREFIX,       /* a.* */
    SHAPE_SUFFIX,       /* .*a */
    SHAPE_MIDDLE,       /* .*a.* */
    SHAPE_ENGINE,
};

struct regex {
    struct regex *next;
    struct str pattern; /* Ours, behind the struct. */
    enum shape shape;
    struct str literal;
    struct str *alternatives;
    size_t alternatives_count;
    pcre2_code *code; /* NULL until the engine is needed: regex_expand always needs it. */
    pcre2_match_context *limits;
    atomic_bool gave_up;
};

static bool is_special(char c)
{
    return c == '\0' || strchr("\\.+*?()|[]{}^$", c) != NULL;
}

static bool is_literal(struct str text)
{
    for (size_t i = 0; i < text.size; i++)
        if (is_special(text.data[i]))
            return false;
    return true;
}

static bool take_prefix(struct str *text, struct str prefix)
{
    if (!str_starts(*text, prefix))
        return false;
    text->data += prefix.size;
    text->size -= prefix.size;
    return true;
}

static bool classify_dots(struct regex *regex)
{
    struct str rest = regex->pattern;

    if (str_eq(rest, STR(".*")) || str_eq(rest, STR(".+"))) {
        regex->shape = rest.data[1] == '*' ? SHAPE_ANYTHING : SHAPE_SOMETHING;
        return true;
    }
    bool open_left = take_prefix(&rest, STR(".*"));
    bool open_right = str_ends(rest, STR(".*"));
    if (open_right)
        rest.size -= 2;
    if ((!open_left && !open_right) || rest.size == 0 || !is_literal(rest))
        return false;
    regex->literal = rest;
    regex->shape = open_left && open_right ? SHAPE_MIDDLE : open_left ? SHAPE_SUFFIX : SHAPE_PREFIX;
    return true;
}

static void classify(struct regex *regex)
{
    struct str rest = regex->pattern;
    size_t count = 1;

    regex->shape = SHAPE_ENGINE;
    if (classify_dots(regex))
        return;
    if (rest.size >= 2 && rest.data[0] == '(' && rest.data[rest.size - 1] == ')') {
        rest.data++;
        rest.size -= 2;
    }
    for (size_t i = 0; i < rest.size; i++) {
        if (rest.data[i] == '|')
            count++;
        else if (is_special(rest.data[i]))
            return;
    }
    regex->alternatives = calloc(count, sizeof(*regex->alternatives));
    if (regex->alternatives == NULL)
        must_memory(count * sizeof(*regex->alternatives));
    for (size_t i = 0; i < count; i++)
        regex->alternatives[i] = str_split(&rest, '|');
    regex->alternatives_count = count;
    regex->shape = SHAPE_ALTERNATIVES;
}

/* --- what RE2 does not have --- */

static const char *const foreign_groups[] = {"(?=", "(?!",  "(?<=", "(?<!", "(?>", "(?|", "(?R",
                                             "(?&", "(?P>", "(?P=", "(?(",  "(?#", "(*"};

static enum err refuse(struct why *why, struct str pattern, struct str part)
{
    return fail(why, ERR_INVALID,
                "error parsing regexp: invalid or unsupported Perl syntax: `%.*s` in \"%.*s\"",
                STR_ARG(part), STR_ARG(pattern));
}

static enum err check_escape(struct str pattern, size_t at, struct why *why)
{
    char c = at + 1 < pattern.size ? pattern.data[at + 1] : '\0';

    if ((c >= '1' && c <= '9') || (c != '\0' && strchr("kgKGRXHhVNZEeco", c) != NULL))
        return refuse(why, pattern, (struct str){pattern.data + at, 2});
    return ERR_NONE;
}

static enum err check_group(struct str pattern, size_t at, struct why *why)
{
    struct str rest = {pattern.data + at, pattern.size - at};

    for (size_t i = 0; i < ARRAY_COUNT(foreign_groups); i++)
        if (str_starts(rest, str_of(foreign_groups[i])))
            return refuse(why, pattern, str_of(foreign_groups[i]));
    if (rest.size > 2 && rest.data[1] == '?' && rest.data[2] >= '0' && rest.data[2] <= '9')
        return refuse(why, pattern, (struct str){rest.data, 3});
    return ERR_NONE;
}

static bool is_repeat(char c)
{
    return c == '*' || c == '+' || c == '?' || c == '}';
}

/* Refuses what PCRE2 would accept and RE2 would not. */
static enum err check_dialect(struct str pattern, struct why *why)
{
    bool in_class = false;

    for (size_t i = 0; i < pattern.size; i++) {
        char c = pattern.data[i];
        if (c == '\\') {
            if (i + 1 < pattern.size && pattern.data[i + 1] == 'Q') {
                ptrdiff_t end =
                    str_find_str((struct str){pattern.data + i, pattern.size - i}, STR("\\E"));
                if (end < 0)
                    return ERR_NONE;
                i += (size_t)end + 1;
                continue;
            }
            if (!in_class)
                TRY(check_escape(pattern, i, why));
            i++;
        } else if (in_class) {
            in_class = c != ']';
        } else if (c == '[') {
            in_class = true;
            /* A ']' that stands first is a member, not the end. */
            if (i + 1 < pattern.size && pattern.data[i + 1] == '^')
                i++;
            if (i + 1 < pattern.size && pattern.data[i + 1] == ']')
                i++;
        } else if (c == '(') {
            TRY(check_group(pattern, i, why));
        } else if (c == '+' && i > 0 && is_repeat(pattern.data[i - 1]) &&
                   (i < 2 || pattern.data[i - 2] != '\\')) {
            return refuse(why, pattern, (struct str){pattern.data + i - 1, 2});
        }
    }
    return ERR_NONE;
}

static enum err compile(struct regex *regex, struct why *why)
{
    int error;
    PCRE2_SIZE offset;
    PCRE2_UCHAR text[128];

    TRY(check_dialect(regex->pattern, why));
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    regex->limits = pcre2_match_context_create(NULL);
    if (context == NULL || regex->limits == NULL)
        must_memory(sizeof(*regex));
    (void)pcre2_set_max_pattern_length(context, REGEX_CODE_SIZE_MAX / 16); /* Cannot fail. */
    (void)pcre2_set_parens_nest_limit(context, 100);                       /* Cannot fail. */
    (void)pcre2_set_match_limit(regex->limits, REGEX_STEPS_MAX);           /* Cannot fail. */
    (void)pcre2_set_depth_limit(regex->limits, 10000);                     /* Cannot fail. */
    (void)pcre2_set_heap_limit(regex->limits, 4096);                       /* KiB; cannot fail. */
    regex->code =
        pcre2_compile((PCRE2_SPTR)regex->pattern.data, regex->pattern.size,
                      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY |
                          PCRE2_NEVER_BACKSLASH_C | PCRE2_ANCHORED | PCRE2_ENDANCHORED,
                      &error, &offset, context);
    pcre2_compile_context_free(context);
    if (regex->code != NULL)
        return ERR_NONE;
    if (pcre2_get_error_message(error, text, sizeof(text)) < 0)
        text[0] = '\0';
    return fail(why, ERR_INVALID, "error parsing regexp: %s at character %zu of \"%.*s\"",
                (const char *)text, (size_t)offset + 1, STR_ARG(regex->pattern));
}

enum err regex_new(struct str pattern, struct regex **ret_regex, struct why *why)
{
    struct regex *regex = calloc(1, sizeof(*regex) + pattern.size + 1);

    if (regex == NULL)
        must_memory(sizeof(*regex) + pattern.size + 1);
    char *copy = (char *)(regex + 1);
    if (pattern.size > 0)
        memcpy(copy, pattern.data, pattern.size);
    regex->pattern = (struct str){copy, pattern.size};
    classify(regex);
    enum err err = compile(regex, why);
    if (err != ERR_NONE) {
        (void)regex_free(regex); /* NULL. */
        return err;
    }
    *ret_regex = regex;
    return ERR_NONE;
}

struct regex *regex_free(struct regex *regex)
{
    while (regex != NULL) {
        struct regex *next = regex->next;
        pcre2_code_free(regex->code);
        pcre2_match_context_free(regex->limits);
        free(regex->alternatives);
        free(regex);
        regex = next;
    }
    return NULL;
}

struct regex *regex_next(const struct regex *regex)
{
    return regex->next;
}

void regex_set_next(struct regex *regex, struct regex *next)
{
    regex->next = next;
}

static bool engine_matches(const struct regex *regex, struct str value, pcre2_match_data *match)
{
    const char *data = value.data == NULL ? "" : value.data;
    int rc = pcre2_match(regex->code, (PCRE2_SPTR)data, value.size, 0, 0, match, regex->limits);

    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT)
        atomic_store((atomic_bool *)&regex->gave_up, true);
    return rc >= 0;
}

bool regex_matches(const struct regex *regex, struct str value)
{
    switch (regex->shape) {
    case SHAPE_ANYTHING:
        return true;
    case SHAPE_SOMETHING:
        return value.size > 0;
    case SHAPE_PREFIX:
        return str_starts(value, regex->literal);
    case SHAPE_SUFFIX:
        return str_ends(value, regex->literal);
    case SHAPE_MIDDLE:
        return str_find_str(value, regex->literal) >= 0;
    case SHAPE_ALTERNATIVES:
        for (size_t i = 0; i < regex->alternatives_count; i++)
            if (str_eq(value, regex->alternatives[i]))
                return true;
        return false;
    case SHAPE_ENGINE:
        break;
    }
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (match == NULL)
        must_memory(1);
    bool matches = engine_matches(regex, value, match);
    pcre2_match_data_free(match);
    return matches;
}

bool regex_gave_up(const struct regex *regex)
{
    return atomic_load((atomic_bool *)&regex->gave_up);
}

struct str regex_pattern(const struct regex *regex)
{
    return regex->pattern;
}

bool regex_is_literal(const struct regex *regex, struct str *ret_literal)
{
    if (regex->shape != SHAPE_ALTERNATIVES || regex->alternatives_count != 1)
        return false;
    *ret_literal = regex->alternatives[0];
    return true;
}

size_t regex_alternatives(const struct regex *regex, const struct str **ret_values)
{
    *ret_values = regex->alternatives;
    return regex->shape == SHAPE_ALTERNATIVES ? regex->alternatives_count : 0;
}

/* --- replacement --- */

struct expansion {
    const struct regex *regex;
    pcre2_match_data *match;
    struct str value;
    struct buf *buf;
};

static void append_group(const struct expansion *expansion, uint32_t group)
{
    PCRE2_SIZE *ends = pcre2_get_ovector_pointer(expansion->match);

    if (group >= pcre2_get_ovector_count(expansion->match) || ends[2 * group] == PCRE2_UNSET)
        return;
    buf_append(expansion->buf, expansion->value.data + ends[2 * group],
               ends[2 * group + 1] - ends[2 * group]);
}

static void append_named(const struct expansion *expansion, struct str name)
{
    char text[64];
    uint64_t group;

    if (str_to_u64(name, &group)) {
        if (group < REGEX_GROUPS_MAX)
            append_group(expansion, (uint32_t)group);
        return;
    }
    if (name.size >= sizeof(text))
        return;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    int found = pcre2_substring_number_from_name(expansion->regex->code, (PCRE2_SPTR)text);
    if (found > 0)
        append_group(expansion, (uint32_t)found);
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The name behind a '$' at template[at], and how many bytes it takes; 0 when it is none. */
static size_t reference(struct str template, size_t at, struct str *ret_name)
{
    size_t start = at;
    bool braced = at < template.size && template.data[at] == '{';

    if (braced)
        start++;
    size_t end = start;
    while (end < template.size && is_name(template.data[end]))
        end++;
    if (end == start || (braced && (end >= template.size || template.data[end] != '}')))
        return 0;
    *ret_name = (struct str){template.data + start, end - start};
    return end - at + (braced ? 1 : 0);
}

bool regex_expand(const struct regex *regex, struct str value, struct str template, struct buf *buf)
{
    struct str name;

    pcre2_match_data *match = pcre2_match_data_create(REGEX_GROUPS_MAX, NULL);
    if (match == NULL)
        must_memory(1);
    if (!engine_matches(regex, value, match)) {
        pcre2_match_data_free(match);
        return false;
    }
    struct expansion expansion = {regex, match, value, buf};
    for (size_t i = 0; i < template.size;) {
        if (template.data[i] != '$') {
            buf_byte(buf, (uint8_t) template.data[i++]);
            continue;
        }
        i++;
        if (i < template.size && template.data[i] == '$') {
            buf_byte(buf, '$');
            i++;
            continue;
        }
        size_t size = reference(template, i, &name);
        if (size == 0) {
            buf_byte(buf, '$');
            continue;
        }
        append_named(&expansion, name);
        i += size;
    }
    pcre2_match_data_free(match);
    return true;
}
