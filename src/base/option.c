/* SPDX-License-Identifier: Apache-2.0 */
/* Every value is kept twice: as the text that was given, which is what people are shown, and as
 * what the program asks for. Each type is one row of `kinds` below: how to read it, and what to say
 * was expected.
 *
 * The name is the only spelling that is stored; flag and variable are made from it. So
 * "retention.raw" is --retention-raw and SONDE_RETENTION_RAW, and finding one of these means
 * comparing character by character with the separators taken as equal. */
#include "base/option.h"
#include "base/nearest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TEXT_SIZE_MAX = 16 << 10,
    LIST_COUNT_MAX = 1000,
};

struct value {
    char *text; /* NULL: unset. With a NUL behind it. */
    size_t text_size;
    struct str *items; /* Of a list: into `text`, in which each is ended by a NUL. */
    size_t items_count;
    int64_t integer;
    double number;
    bool truth;
    struct option_origin origin;
};

struct options {
    const struct option_row *rows;
    size_t count;
    struct value *values;
};

/* ---- Reading one value of each type. ---- */

static bool read_text(const struct option_row *row, struct str text, struct value *value)
{
    return true;
}

static bool read_path(const struct option_row *row, struct str text, struct value *value)
{
    return text.size > 0;
}

bool option_parse_bool(struct str text, bool *ret_value)
{
    static const struct {
        struct str word;
        bool value;
    } words[] = {
        {{"true", 4}, true},   {{"yes", 3}, true}, {{"on", 2}, true},   {{"1", 1}, true},
        {{"false", 5}, false}, {{"no", 2}, false}, {{"off", 3}, false}, {{"0", 1}, false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (str_eq_nocase(text, words[i].word)) {
            *ret_value = words[i].value;
            return true;
        }
    }
    return false;
}

static bool read_bool(const struct option_row *row, struct str text, struct value *value)
{
    return option_parse_bool(text, &value->truth);
}

static bool read_integer(const struct option_row *row, struct str text, struct value *value)
{
    value->number = 0;
    if (!str_to_i64(text, &value->integer))
        return false;
    value->number = (double)value->integer;
    return true;
}

static bool read_number(const struct option_row *row, struct str text, struct value *value)
{
    return str_to_double(text, &value->number) && isfinite(value->number);
}

bool option_parse_size(struct str text, int64_t *ret_bytes)
{
    static const struct {
        struct str unit;
        double bytes;
    } units[] = {
        {{"", 0}, 1},         {{"B", 1}, 1},        {{"KiB", 3}, 0x1p10}, {{"MiB", 3}, 0x1p20},
        {{"GiB", 3}, 0x1p30}, {{"TiB", 3}, 0x1p40}, {{"k", 1}, 0x1p10},   {{"m", 1}, 0x1p20},
        {{"g", 1}, 0x1p30},   {{"t", 1}, 0x1p40},   {{"kB", 2}, 1e3},     {{"MB", 2}, 1e6},
        {{"GB", 2}, 1e9},     {{"TB", 2}, 1e12},
    };
    size_t digits = 0;
    double number;

    while (digits < text.size &&
           ((text.data[digits] >= '0' && text.data[digits] <= '9') || text.data[digits] == '.'))
        digits++;
    struct str unit = str_trim((struct str){text.data + digits, text.size - digits});
    if (digits == 0 || !str_to_double((struct str){text.data, digits}, &number))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (!str_eq_nocase(unit, units[i].unit))
            continue;
        double bytes = number * units[i].bytes;
        if (!(bytes < 0x1p62))
            return false;
        *ret_bytes = (int64_t)bytes;
        return true;
    }
    return false;
}

static bool read_size(const struct option_row *row, struct str text, struct value *value)
{
    if (!option_parse_size(text, &value->integer))
        return false;
    value->number = (double)value->integer;
    return true;
}

static bool read_duration(const struct option_row *row, struct str text, struct value *value)
{
    /* Zero needs no unit. */
    if (str_eq(text, STR("0")))
        value->integer = 0;
    else if (!str_to_duration_ms(text, &value->integer))
        return false;
    value->number = (double)value->integer;
    return true;
}

bool option_parse_ratio(struct str text, double *ret_ratio)
{
    bool percent = str_ends(text, STR("%"));
    double number;

    if (percent)
        text = str_trim((struct str){text.data, text.size - 1});
    if (!str_to_double(text, &number))
        return false;
    number = percent ? number / 100 : number;
    if (!(number >= 0 && number <= 1))
        return false;
    *ret_ratio = number;
    return true;
}

static bool read_ratio(const struct option_row *row, struct str text, struct value *value)
{
    return option_parse_ratio(text, &value->number);
}

static bool read_choice(const struct option_row *row, struct str text, struct value *value)
{
    struct str rest = str_of(row->range);

    for (int64_t index = 0; rest.data != NULL; index++) {
        if (str_eq(str_split(&rest, '|'), text)) {
            value->integer = index;
            return true;
        }
    }
    return false;
}

/* HOST may be empty, a name, an IPv4 address, or an IPv6 address in brackets. */
static bool read_address(const struct option_row *row, struct str text, struct value *value)
{
    size_t colon = text.size;
    int64_t port;

    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    struct str host = {text.data, colon - 1};
    struct str port_text = {text.data + colon, text.size - colon};
    if (!str_to_i64(port_text, &port) || port < 0 || port > 65535)
        return false;
    if (str_starts(host, STR("[")))
        return host.size > 3 && str_ends(host, STR("]"));
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] == ':' || host.data[i] == '/' || host.data[i] <= ' ')
            return false;
    }
    return true;
}

struct kind {
    bool (*read)(const struct option_row *row, struct str text, struct value *value);
    const char *value_name;
    const char *expected;
};

static const struct kind kinds[OPTION_TYPE_COUNT] = {
    [OPTION_TEXT] = {read_text, "TEXT", "a text"},
    [OPTION_PATH] = {read_path, "PATH", "a file or folder"},
    [OPTION_BOOL] = {read_bool, "", "true or false"},
    [OPTION_INTEGER] = {read_integer, "NUMBER", "a whole number"},
    [OPTION_NUMBER] = {read_number, "NUMBER", "a number"},
    [OPTION_SIZE] = {read_size, "SIZE", "a size such as 64KiB, 16MiB or 2GiB"},
    [OPTION_DURATION] = {read_duration, "DURATION", "a duration such as 250ms, 15s, 2h or 30d"},
    [OPTION_RATIO] = {read_ratio, "RATIO", "a ratio between 0 and 1, or 0% to 100%"},
    [OPTION_CHOICE] = {read_choice, "WORD", "one of "},
    [OPTION_LIST] = {read_text, "LIST", "texts separated by commas"},
    [OPTION_ADDRESS] = {read_address, "ADDR:PORT", "an address such as 127.0.0.1:7070 or :7070"},
};

/* ---- Range: "low..high" in the row's own unit; either end may be left out. ---- */

static bool within(const struct option_row *row, const struct value *value)
{
    static const char dots[] = "..";
    struct value end = {0};

    if (row->range == NULL || row->type == OPTION_CHOICE)
        return true;
    struct str range = str_of(row->range);
    ptrdiff_t middle = str_find_str(range, str_of(dots));
    MUST(middle >= 0);
    struct str low = {range.data, (size_t)middle};
    struct str high = {range.data + middle + 2, range.size - (size_t)middle - 2};
    if (low.size > 0) {
        MUST(kinds[row->type].read(row, low, &end));
        if (value->number < end.number)
            return false;
    }
    if (high.size > 0) {
        MUST(kinds[row->type].read(row, high, &end));
        if (value->number > end.number)
            return false;
    }
    return true;
}

static enum err refuse(const struct option_row *row, struct str text, struct why *why)
{
    const struct kind *kind = &kinds[row->type];
    struct str shown = text.size > 80 ? (struct str){text.data, 80} : text;

    if (row->type == OPTION_CHOICE) {
        struct nearest nearest = nearest_begin(text);
        struct str rest = str_of(row->range);
        while (rest.data != NULL)
            nearest_offer(&nearest, str_split(&rest, '|'));
        struct str meant = nearest_found(&nearest);
        (void)fail(why, ERR_INVALID, "%s: '%.*s' is not one of %s", row->name, STR_ARG(shown),
                   row->range);
        if (meant.data != NULL)
            hint(why, "did you mean %.*s?", STR_ARG(meant));
        return ERR_INVALID;
    }
    if (row->range != NULL)
        return fail(why, ERR_INVALID, "%s: '%.*s' is not %s within %s", row->name, STR_ARG(shown),
                    kind->expected, row->range);
    return fail(why, ERR_INVALID, "%s: '%.*s' is not %s", row->name, STR_ARG(shown),
                kind->expected);
}

/* ---- Life. ---- */

static void value_done(struct value *value)
{
    free(value->text);
    free(value->items);
    *value = (struct value){0};
}

static void *must_calloc(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);

    if (memory == NULL)
        must_memory(count * size);
    return memory;
}

struct options *options_new(const struct option_row *rows, size_t count)
{
    struct options *options = must_calloc(1, sizeof(*options));
    const struct option_origin origin = {.source = OPTION_FROM_DEFAULT};
    struct why why = WHY_INIT;

    options->rows = rows;
    options->count = count;
    options->values = must_calloc(count, sizeof(*options->values));
    for (size_t i = 0; i < count; i++) {
        if (rows[i].preset != NULL)
            MUST(options_set(options, i, str_of(rows[i].preset), &origin, &why) == ERR_NONE);
    }
    return options;
}

struct options *options_free(struct options *options)
{
    if (options == NULL)
        return NULL;
    for (size_t i = 0; i < options->count; i++)
        value_done(&options->values[i]);
    free(options->values);
    free(options);
    return NULL;
}

void options_freep(struct options **options)
{
    *options = options_free(*options);
}

/* ---- Setting. ---- */

static void keep_text(struct value *value, const struct option_row *row, struct str text)
{
    const char *home = NULL;

    if (row->type == OPTION_PATH && str_starts(text, STR("~/")))
        home = getenv("HOME");
    struct str front = home == NULL ? STR("") : str_of(home);
    struct str back = home == NULL ? text : (struct str){text.data + 1, text.size - 1};
    value->text_size = front.size + back.size;
    value->text = must_calloc(1, value->text_size + 1);
    memcpy(value->text, front.data, front.size);
    if (back.size > 0)
        memcpy(value->text + front.size, back.data, back.size);
}

static void keep_items(struct value *value, const struct str *items, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += items[i].size + 1;
    value->text = must_calloc(1, size + 1);
    value->text_size = size;
    value->items = must_calloc(count, sizeof(*value->items));
    value->items_count = count;
    char *at = value->text;
    for (size_t i = 0; i < count; i++) {
        if (items[i].size > 0)
            memcpy(at, items[i].data, items[i].size);
        value->items[i] = (struct str){at, items[i].size};
        at += items[i].size + 1;
    }
}

static void replace(struct options *options, size_t index, struct value *fresh,
                    const struct option_origin *origin)
{
    struct value *value = &options->values[index];

    if (value->text != NULL && value->origin.source > origin->source) {
        value_done(fresh);
        return;
    }
    fresh->origin = *origin;
    value_done(value);
    *value = *fresh;
}

static enum err check_text(const struct option_row *row, struct str text, struct why *why)
{
    if (text.size > TEXT_SIZE_MAX)
        return fail(why, ERR_LIMIT, "%s: more than %d bytes", row->name, TEXT_SIZE_MAX);
    if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)
        return fail(why, ERR_INVALID, "%s: the text holds a NUL byte", row->name);
    return ERR_NONE;
}

static enum err set_list_text(struct options *options, size_t index, struct str text,
                              const struct option_origin *origin, struct why *why)
{
    struct str items[LIST_COUNT_MAX];
    size_t count = 0;

    for (struct str rest = str_trim(text); rest.size > 0;) {
        struct str item = str_trim(str_split(&rest, ','));
        if (item.size == 0)
            continue;
        if (count == LIST_COUNT_MAX)
            return fail(why, ERR_LIMIT, "%s: more than %d items", options->rows[index].name,
                        LIST_COUNT_MAX);
        items[count++] = item;
    }
    return options_set_list(options, index, items, count, origin, why);
}

enum err options_set_list(struct options *options, size_t index, const struct str *items,
                          size_t count, const struct option_origin *origin, struct why *why)
{
    const struct option_row *row = options_row(options, index);
    struct value fresh = {0};

    if (row->type != OPTION_LIST)
        return fail(why, ERR_INVALID, "%s: a list where %s is expected", row->name,
                    kinds[row->type].expected);
    if (count > LIST_COUNT_MAX)
        return fail(why, ERR_LIMIT, "%s: more than %d items", row->name, LIST_COUNT_MAX);
    for (size_t i = 0; i < count; i++)
        TRY(check_text(row, items[i], why));
    keep_items(&fresh, items, count);
    replace(options, index, &fresh, origin);
    return ERR_NONE;
}

enum err options_set(struct options *options, size_t index, struct str text,
                     const struct option_origin *origin, struct why *why)
{
    const struct option_row *row = options_row(options, index);
    struct value fresh = {0};

    TRY(check_text(row, text, why));
    if (row->type == OPTION_LIST)
        return set_list_text(options, index, text, origin, why);
    if (row->type != OPTION_TEXT)
        text = str_trim(text);
    if (!kinds[row->type].read(row, text, &fresh) || !within(row, &fresh))
        return refuse(row, text, why);
    keep_text(&fresh, row, text);
    replace(options, index, &fresh, origin);
    return ERR_NONE;
}

/* ---- Finding rows by the three spellings. ---- */

static bool is_separator(char byte)
{
    return byte == '.' || byte == '_' || byte == '-';
}

/* name with all separators alike and letters in lower case. */
static bool spells(const char *name, struct str text)
{
    if (strlen(name) != text.size)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        byte = byte >= 'A' && byte <= 'Z' ? (char)(byte + 32) : byte;
        if (byte != name[i] && !(is_separator(byte) && is_separator(name[i])))
            return false;
    }
    return true;
}

static ptrdiff_t find_spelling(const struct options *options, struct str text)
{
    for (size_t i = 0; i < options->count; i++) {
        if (spells(options->rows[i].name, text))
            return (ptrdiff_t)i;
    }
    return -1;
}

ptrdiff_t options_find(const struct options *options, struct str name)
{
    for (size_t i = 0; i < options->count; i++) {
        if (str_eq(str_of(options->rows[i].name), name))
            return (ptrdiff_t)i;
    }
    return -1;
}

const char *options_nearest(const struct options *options, struct str name)
{
    struct nearest nearest = nearest_begin(name);

    for (size_t i = 0; i < options->count; i++)
        nearest_offer(&nearest, str_of(options->rows[i].name));
    return nearest_found(&nearest).data; /* A whole row name, so it ends in NUL. */
}

enum err options_read_environment(struct options *options, const char *prefix,
                                  const char *const *environment, struct buf *complaints,
                                  struct why *why)
{
    size_t prefix_size = strlen(prefix);

    for (; *environment != NULL; environment++) {
        struct str rest = str_of(*environment);
        struct str name = str_split(&rest, '=');
        if (!str_starts(name, str_of(prefix)) || name.size < prefix_size + 2 ||
            name.data[prefix_size] != '_' || rest.data == NULL)
            continue;
        struct str key = {name.data + prefix_size + 1, name.size - prefix_size - 1};
        ptrdiff_t index = find_spelling(options, key);
        if (index >= 0 && (options->rows[index].flags & OPTION_FLAG_ONLY) == 0) {
            const struct option_origin origin = {
                .source = OPTION_FROM_ENVIRONMENT,
                .name = options->rows[index].name,
            };
            enum err err = options_set(options, (size_t)index, rest, &origin, why);
            if (err != ERR_NONE) {
                why_prefix(why, "environment variable %.*s", STR_ARG(name));
                return err;
            }
        } else if (index < 0 && options_nearest(options, key) != NULL) {
            size_t near = (size_t)options_find(options, str_of(options_nearest(options, key)));
            buf_printf(complaints, "environment variable %.*s means nothing; did you mean ",
                       STR_ARG(name));
            option_write_variable(&options->rows[near], prefix, complaints);
            buf_text(complaints, "?\n");
        }
    }
    return ERR_NONE;
}

static enum err unknown_flag(const struct options *options, struct str flag, struct why *why)
{
    const char *meant = options_nearest(options, flag);

    (void)fail(why, ERR_INVALID, "unknown flag --%.*s", STR_ARG(flag));
    if (meant != NULL) {
        struct buf text CLEANUP(buf_done) = {0};
        option_write_flag(options_row(options, (size_t)options_find(options, str_of(meant))),
                          &text);
        hint(why, "did you mean %s?", buf_cstr(&text));
    }
    return ERR_INVALID;
}

static enum err read_flag(struct options *options, const char **arguments, size_t count, size_t *at,
                          struct why *why)
{
    struct str value = str_of(arguments[*at] + 2);
    struct str name = str_split(&value, '=');
    ptrdiff_t index = find_spelling(options, name);
    bool negated = false;

    if (index < 0 && str_starts(name, STR("no-"))) {
        index = find_spelling(options, (struct str){name.data + 3, name.size - 3});
        negated = index >= 0 && options->rows[index].type == OPTION_BOOL;
        index = negated ? index : -1;
    }
    if (index < 0)
        return unknown_flag(options, name, why);
    const struct option_row *row = &options->rows[index];
    if ((row->flags & OPTION_SECRET) != 0) {
        (void)fail(why, ERR_INVALID, "--%.*s: a secret on the command line is seen by every user",
                   STR_ARG(name));
        hint(why, "give it in a file (--%.*s-file) or in the environment", STR_ARG(name));
        return ERR_INVALID;
    }
    if (negated && value.data != NULL)
        return fail(why, ERR_INVALID, "--%.*s takes no value", STR_ARG(name));
    if (row->type == OPTION_BOOL && value.data == NULL)
        value = negated ? STR("false") : STR("true");
    if (value.data == NULL) {
        if (*at + 1 >= count)
            return fail(why, ERR_INVALID, "--%.*s needs a value: %s", STR_ARG(name),
                        option_value_name(row));
        value = str_of(arguments[++*at]);
    }
    const struct option_origin origin = {.source = OPTION_FROM_FLAG, .name = row->name};
    enum err err = options_set(options, (size_t)index, value, &origin, why);
    if (err != ERR_NONE)
        why_prefix(why, "--%.*s", STR_ARG(name));
    return err;
}

enum err options_read_flags(struct options *options, const char **arguments, size_t count,
                            size_t *ret_rest, struct why *why)
{
    size_t rest = 0;
    bool ended = false;

    for (size_t at = 0; at < count; at++) {
        const char *argument = arguments[at];
        if (!ended && strcmp(argument, "--") == 0)
            ended = true;
        else if (!ended && strncmp(argument, "--", 2) == 0)
            TRY(read_flag(options, arguments, count, &at, why));
        else if (!ended && argument[0] == '-' && argument[1] >= 'A')
            return fail(why, ERR_INVALID, "unknown flag %s: flags begin with two dashes", argument);
        else
            arguments[rest++] = argument;
    }
    *ret_rest = rest;
    return ERR_NONE;
}

/* ---- Asking. ---- */

size_t options_count(const struct options *options)
{
    return options->count;
}

const struct option_row *options_row(const struct options *options, size_t index)
{
    MUST(index < options->count);
    return &options->rows[index];
}

const struct option_origin *options_origin(const struct options *options, size_t index)
{
    MUST(index < options->count);
    return &options->values[index].origin;
}

bool options_is_set(const struct options *options, size_t index)
{
    MUST(index < options->count);
    return options->values[index].text != NULL;
}

static const struct value *value_of(const struct options *options, size_t index, unsigned types)
{
    MUST(index < options->count);
    MUST((types & (1u << options->rows[index].type)) != 0);
    return &options->values[index];
}

struct str options_text(const struct options *options, size_t index)
{
    const struct value *value = value_of(options, index,
                                         1u << OPTION_TEXT | 1u << OPTION_PATH |
                                             1u << OPTION_CHOICE | 1u << OPTION_ADDRESS);

    return (struct str){value->text, value->text_size};
}

const char *options_cstr(const struct options *options, size_t index)
{
    return options_text(options, index).data;
}

bool options_bool(const struct options *options, size_t index)
{
    return value_of(options, index, 1u << OPTION_BOOL)->truth;
}

int64_t options_i64(const struct options *options, size_t index)
{
    return value_of(options, index, 1u << OPTION_INTEGER | 1u << OPTION_SIZE | 1u << OPTION_CHOICE)
        ->integer;
}

int64_t options_ms(const struct options *options, size_t index)
{
    return value_of(options, index, 1u << OPTION_DURATION)->integer;
}

double options_double(const struct options *options, size_t index)
{
    return value_of(options, index, 1u << OPTION_NUMBER | 1u << OPTION_RATIO)->number;
}

size_t options_list(const struct options *options, size_t index, const struct str **ret_items)
{
    const struct value *value = value_of(options, index, 1u << OPTION_LIST);

    *ret_items = value->items;
    return value->items_count;
}

void options_write(const struct options *options, size_t index, struct buf *out)
{
    const struct value *value = &options->values[index];

    MUST(index < options->count);
    if (value->text == NULL)
        return;
    if ((options->rows[index].flags & OPTION_SECRET) != 0) {
        buf_text(out, "(hidden)");
        return;
    }
    if (options->rows[index].type != OPTION_LIST) {
        buf_append(out, value->text, value->text_size);
        return;
    }
    for (size_t i = 0; i < value->items_count; i++) {
        buf_text(out, i == 0 ? "" : ", ");
        buf_str(out, value->items[i]);
    }
}

void option_write_flag(const struct option_row *row, struct buf *out)
{
    buf_text(out, "--");
    for (const char *at = row->name; *at != '\0'; at++)
        buf_byte(out, is_separator(*at) ? '-' : (uint8_t)*at);
}

void option_write_variable(const struct option_row *row, const char *prefix, struct buf *out)
{
    buf_text(out, prefix);
    buf_byte(out, '_');
    for (const char *at = row->name; *at != '\0'; at++)
        buf_byte(out, is_separator(*at)          ? '_'
                      : *at >= 'a' && *at <= 'z' ? (uint8_t)(*at - 32)
                                                 : (uint8_t)*at);
}

const char *option_value_name(const struct option_row *row)
{
    return row->value_name != NULL ? row->value_name : kinds[row->type].value_name;
}

const char *option_source_name(enum option_source source)
{
    static const char *const names[] = {
        [OPTION_FROM_DEFAULT] = "default", [OPTION_FROM_PROFILE] = "profile",
        [OPTION_FROM_FILE] = "file",       [OPTION_FROM_ENVIRONMENT] = "environment",
        [OPTION_FROM_FLAG] = "flag",
    };

    return names[source];
}
