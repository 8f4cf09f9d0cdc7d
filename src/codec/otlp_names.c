/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/otlp_names.h"

enum { WORDS_MAX = 128 };

struct pair {
    struct str from;
    struct str to;
};

#define PAIR(from_, to_)     \
    {                        \
        STR(from_), STR(to_) \
    }

static const struct pair units[] = {
    PAIR("d", "days"),
    PAIR("h", "hours"),
    PAIR("min", "minutes"),
    PAIR("s", "seconds"),
    PAIR("ms", "milliseconds"),
    PAIR("us", "microseconds"),
    PAIR("ns", "nanoseconds"),
    PAIR("By", "bytes"),
    PAIR("KiBy", "kibibytes"),
    PAIR("MiBy", "mebibytes"),
    PAIR("GiBy", "gibibytes"),
    PAIR("TiBy", "tibibytes"),
    PAIR("KBy", "kilobytes"),
    PAIR("MBy", "megabytes"),
    PAIR("GBy", "gigabytes"),
    PAIR("TBy", "terabytes"),
    PAIR("m", "meters"),
    PAIR("V", "volts"),
    PAIR("A", "amperes"),
    PAIR("J", "joules"),
    PAIR("W", "watts"),
    PAIR("g", "grams"),
    PAIR("Cel", "celsius"),
    PAIR("Hz", "hertz"),
    PAIR("1", ""),
    PAIR("%", "percent"),
};

static const struct pair per_units[] = {
    PAIR("s", "second"), PAIR("m", "minute"), PAIR("h", "hour"), PAIR("d", "day"),
    PAIR("w", "week"),   PAIR("mo", "month"), PAIR("y", "year"),
};

static struct str translate(const struct pair *pairs, size_t count, struct str word)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(pairs[i].from, word))
            return pairs[i].to;
    }
    return word;
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':';
}

struct words {
    struct str items[WORDS_MAX];
    size_t count;
};

static void add_words(struct words *words, struct str text)
{
    for (size_t i = 0; i < text.size && words->count < WORDS_MAX - 4;) {
        size_t end = i;
        while (end < text.size && is_word_byte(text.data[end]))
            end++;
        if (end > i)
            words->items[words->count++] = (struct str){text.data + i, end - i};
        i = end + 1;
    }
}

static bool has_word(const struct words *words, struct str word)
{
    for (size_t i = 0; i < words->count; i++) {
        if (str_eq(words->items[i], word))
            return true;
    }
    return false;
}

static void remove_word(struct words *words, struct str word)
{
    size_t kept = 0;

    for (size_t i = 0; i < words->count; i++) {
        if (!str_eq(words->items[i], word))
            words->items[kept++] = words->items[i];
    }
    words->count = kept;
}

/* The words of a unit that the name does not have yet; braces are remarks. */
static void add_unit(struct words *words, struct str unit)
{
    struct words fresh = {.count = 0};

    if (str_find(unit, '{') >= 0 || str_find(unit, '}') >= 0)
        return;
    add_words(&fresh, unit);
    for (size_t i = 0; i < fresh.count; i++) {
        if (!has_word(words, fresh.items[i]))
            words->items[words->count++] = fresh.items[i];
    }
}

static void split_unit(struct str unit, struct str *ret_main, struct str *ret_per)
{
    struct str rest = unit;

    *ret_main = str_trim(str_split(&rest, '/'));
    *ret_per = rest.data == NULL ? STR("") : str_trim(rest);
    *ret_main = translate(units, ARRAY_COUNT(units), *ret_main);
    if (ret_per->size > 0)
        *ret_per = translate(per_units, ARRAY_COUNT(per_units), *ret_per);
}

static void join(const struct words *words, struct buf *out)
{
    if (words->count > 0 && words->items[0].data[0] >= '0' && words->items[0].data[0] <= '9')
        buf_byte(out, '_');
    for (size_t i = 0; i < words->count; i++) {
        if (i > 0)
            buf_byte(out, '_');
        buf_str(out, words->items[i]);
    }
}

void otlp_metric_name(struct str name, struct str unit, enum otlp_name_kind kind, struct buf *out)
{
    struct words words = {.count = 0};
    struct str main_unit;
    struct str per_unit;

    add_words(&words, name);
    split_unit(unit, &main_unit, &per_unit);
    add_unit(&words, main_unit);
    if (per_unit.size > 0 && str_find(per_unit, '{') < 0) {
        if (!has_word(&words, STR("per")) || !has_word(&words, per_unit))
            words.items[words.count++] = STR("per");
        add_unit(&words, per_unit);
    }
    if (kind == OTLP_NAME_COUNTER) {
        remove_word(&words, STR("total"));
        words.items[words.count++] = STR("total");
    } else if (kind == OTLP_NAME_GAUGE && str_eq(unit, STR("1"))) {
        remove_word(&words, STR("ratio"));
        words.items[words.count++] = STR("ratio");
    }
    join(&words, out);
}

void otlp_label_name(struct str key, struct buf *out)
{
    if (key.size == 0)
        return;
    if (key.data[0] >= '0' && key.data[0] <= '9')
        buf_text(out, "key_");
    else if (key.data[0] == '_' && !(key.size > 1 && key.data[1] == '_'))
        buf_text(out, "key");
    for (size_t i = 0; i < key.size; i++)
        buf_byte(out,
                 (uint8_t)(is_word_byte(key.data[i]) && key.data[i] != ':' ? key.data[i] : '_'));
}

void otlp_unit_name(struct str unit, struct buf *out)
{
    struct words words = {.count = 0};
    struct str main_unit;
    struct str per_unit;

    split_unit(unit, &main_unit, &per_unit);
    add_unit(&words, main_unit);
    if (per_unit.size > 0 && str_find(per_unit, '{') < 0) {
        words.items[words.count++] = STR("per");
        add_unit(&words, per_unit);
    }
    join(&words, out);
}

/* ---- Values. ---- */

static void write_quoted(const struct value *value, struct buf *out);

static void write_items(const struct value *value, struct buf *out)
{
    bool is_list = value->kind == VALUE_LIST;
    size_t count = is_list ? value->list.count : value->map.count;

    buf_byte(out, is_list ? '[' : '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_byte(out, ',');
        if (!is_list)
            buf_printf(out, "\"%.*s\":", STR_ARG(value->map.items[i].key));
        write_quoted(is_list ? &value->list.items[i] : &value->map.items[i].value, out);
    }
    buf_byte(out, is_list ? ']' : '}');
}

void otlp_label_value(const struct value *value, struct buf *out)
{
    char number[STR_DOUBLE_SIZE];

    switch (value->kind) {
    case VALUE_TEXT:
    case VALUE_BYTES:
        buf_str(out, value->text);
        break;
    case VALUE_BOOL:
        buf_text(out, value->boolean ? "true" : "false");
        break;
    case VALUE_INTEGER:
        buf_printf(out, "%lld", (long long)value->integer);
        break;
    case VALUE_DOUBLE:
        buf_append(out, number, str_from_double(number, value->number));
        break;
    case VALUE_LIST:
    case VALUE_MAP:
        write_items(value, out);
        break;
    case VALUE_EMPTY:
        break;
    }
}

static void write_quoted(const struct value *value, struct buf *out)
{
    if (value->kind == VALUE_TEXT) {
        buf_byte(out, '"');
        otlp_label_value(value, out);
        buf_byte(out, '"');
    } else {
        otlp_label_value(value, out);
    }
}
