/* SPDX-License-Identifier: Apache-2.0 */
/* A line is
 *
 *     http_requests_total{code="200",path="/a}b"} 1027 1395066363000 # {trace_id="x"} 0.5
 *     \______________ series ___________________/ value  time (ms; s in OpenMetrics)  exemplar
 *
 * The fast way never looks inside the series: behind its last '}' stand numbers only, so the last
 * one before the exemplar ends it, and the memo knows what the same bytes meant last time. Bytes
 * that the memo does not know are parsed word by word, which also finds where the series really
 * ends; a memo entry is made of exactly these bytes. A broken line therefore never matches an
 * entry: an entry's bytes parse to the end of a series. */
#include "codec/prometheus.h"

#include <math.h>
#include <stdio.h>

enum {
    LINE_BYTES_MAX = 1 << 20,
    DIGITS_EXACT = 15,
    TEXTS_SPARE = LABEL_COUNT_MAX * 16, /* For "exported_" before each name. */
};

struct reader {
    const char *start;
    const char *line; /* Where the line under way starts. */
    const char *end;  /* Of the line, without its newline. */
    const char *at;
    int32_t line_number;
    const char *what;
    const struct prometheus_options *options;
    struct label_memo *memo;
    struct batch *out;
    struct metric_info info; /* Gathered from comments until another name comes. */
    struct buf texts;        /* Of info and of unescaped label values. */
    struct why *why;
};

enum prometheus_format prometheus_format_of(struct str content_type)
{
    return str_find_str(content_type, STR("application/openmetrics-text")) >= 0
               ? PROMETHEUS_OPENMETRICS
               : PROMETHEUS_TEXT;
}

static enum err broken(struct reader *reader, const char *expected)
{
    ptrdiff_t offset = reader->at - reader->start;
    char found[24];

    if (reader->at >= reader->end)
        (void)snprintf(found, sizeof(found), "the end of the line");
    else if (*reader->at >= 0x20 && *reader->at < 0x7f)
        (void)snprintf(found, sizeof(found), "'%c'", *reader->at);
    else
        (void)snprintf(found, sizeof(found), "byte 0x%02x", (unsigned char)*reader->at);
    return fail_at(reader->why, ERR_INVALID, offset > INT32_MAX ? INT32_MAX : (int32_t)offset,
                   "%s, line %d, column %d: expected %s, found %s", reader->what,
                   (int)reader->line_number, (int)(reader->at - reader->line) + 1, expected, found);
}

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
        reader->at++;
}

static bool next_is(const struct reader *reader, char c)
{
    return reader->at < reader->end && *reader->at == c;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static struct str read_name(struct reader *reader, bool colons)
{
    const char *start = reader->at;

    while (reader->at < reader->end &&
           (is_letter(*reader->at) || (colons && *reader->at == ':') ||
            (reader->at > start && *reader->at >= '0' && *reader->at <= '9')))
        reader->at++;
    return (struct str){start, (size_t)(reader->at - start)};
}

/* ---- Labels: the slow way. ---- */

/* A quoted value; unescaped into reader->texts when it has escapes. The buffer was made large
 * enough for the whole line, so that it does not move. */
static enum err read_value(struct reader *reader, struct str *ret_value)
{
    if (!next_is(reader, '"'))
        return broken(reader, "'\"'");
    const char *start = ++reader->at;
    char *copy = NULL;
    size_t used = 0;
    while (!next_is(reader, '"')) {
        if (reader->at >= reader->end)
            return broken(reader, "'\"' at the end of the label's value");
        char c = *reader->at++;
        if (c == '\\') {
            if (copy == NULL) {
                used = (size_t)(reader->at - 1 - start);
                copy = reader->texts.data + reader->texts.size;
                memcpy(copy, start, used);
            }
            if (reader->at >= reader->end)
                return broken(reader, "a character behind '\\'");
            c = *reader->at++;
            if (c == 'n') {
                c = '\n';
            } else if (c != '\\' && c != '"') {
                reader->at--;
                return broken(reader, "'\\', '\"' or 'n' behind '\\'");
            }
        }
        if (copy != NULL)
            copy[used++] = c;
    }
    *ret_value =
        copy == NULL ? (struct str){start, (size_t)(reader->at - start)} : (struct str){copy, used};
    if (copy != NULL)
        reader->texts.size += used;
    reader->at++;
    if (!str_is_utf8(*ret_value)) {
        reader->at = start;
        return broken(reader, "a label value in UTF-8");
    }
    return ERR_NONE;
}

static enum err read_labels(struct reader *reader, struct label *pairs, size_t *count)
{
    skip_blanks(reader);
    while (!next_is(reader, '}')) {
        struct label pair;
        if (*count == LABEL_COUNT_MAX)
            return fail(reader->why, ERR_LIMIT, "%s, line %d: a series has more than %d labels",
                        reader->what, (int)reader->line_number, LABEL_COUNT_MAX);
        pair.name = read_name(reader, false);
        if (pair.name.size == 0)
            return broken(reader, "a label's name or '}'");
        skip_blanks(reader);
        if (!next_is(reader, '='))
            return broken(reader, "'='");
        reader->at++;
        skip_blanks(reader);
        TRY(read_value(reader, &pair.value));
        pairs[(*count)++] = pair;
        skip_blanks(reader);
        if (next_is(reader, ','))
            reader->at++;
        else if (!next_is(reader, '}'))
            return broken(reader, "',' or '}'");
        skip_blanks(reader);
    }
    reader->at++;
    return ERR_NONE;
}

/* Base labels win; a label that was there under the same name is kept as "exported_<name>". */
static void add_base(struct reader *reader, struct label *pairs, size_t *count)
{
    static const struct str prefix = STR("exported_");
    const struct prometheus_options *options = reader->options;
    size_t own = *count;

    for (size_t i = 0; i < options->base_count; i++) {
        for (size_t j = 0; j < own; j++) {
            if (!str_eq(pairs[j].name, options->base[i].name))
                continue;
            char *name = reader->texts.data + reader->texts.size;
            memcpy(name, prefix.data, prefix.size);
            memcpy(name + prefix.size, pairs[j].name.data, pairs[j].name.size);
            pairs[j].name.size += prefix.size;
            pairs[j].name.data = name;
            reader->texts.size += pairs[j].name.size;
        }
        if (options->base[i].value.size > 0)
            pairs[(*count)++] = options->base[i];
    }
}

/* Parses the series at reader->at and teaches it to the memo. */
static enum err parse_series(struct reader *reader, size_t guessed,
                             const struct labels **ret_labels)
{
    struct label pairs[LABEL_COUNT_MAX + PROMETHEUS_BASE_MAX + 1];
    const char *start = reader->at;
    size_t count = 0;

    buf_clear(&reader->texts);
    (void)buf_reserve(&reader->texts, 2 * (size_t)(reader->end - reader->line) + TEXTS_SPARE);
    struct str name = read_name(reader, true);
    if (name.size == 0)
        return broken(reader, "a metric's name");
    const char *end = reader->at;
    skip_blanks(reader);
    if (next_is(reader, '{')) {
        reader->at++;
        TRY(read_labels(reader, pairs, &count));
        end = reader->at;
    }
    struct str raw = {start, (size_t)(end - start)};
    if (raw.size != guessed) { /* A '#' or '}' in a label's value misled the fast way. */
        *ret_labels = label_memo_get(reader->memo, raw);
        if (*ret_labels != NULL)
            return ERR_NONE;
    }
    pairs[count++] = (struct label){LABEL_NAME, name};
    add_base(reader, pairs, &count);
    enum err err = label_memo_put(reader->memo, raw, pairs, count, ret_labels, reader->why);
    if (err != ERR_NONE && reader->why != NULL)
        why_prefix(reader->why, "%s, line %d", reader->what, (int)reader->line_number);
    return err;
}

/* Where the series of this line would end if all is well. */
static const char *guess_series_end(const struct reader *reader)
{
    const char *end = reader->end;

    if (reader->options->format == PROMETHEUS_OPENMETRICS) {
        const char *hash = memchr(reader->at, '#', (size_t)(end - reader->at));
        end = hash == NULL ? end : hash;
    }
    const char *brace = memrchr(reader->at, '}', (size_t)(end - reader->at));
    if (brace != NULL)
        return brace + 1;
    const char *at = reader->at;
    while (at < end && *at != ' ' && *at != '\t')
        at++;
    return at;
}

static enum err read_series(struct reader *reader, const struct labels **ret_labels)
{
    struct str raw = {reader->at, (size_t)(guess_series_end(reader) - reader->at)};

    *ret_labels = label_memo_get(reader->memo, raw);
    if (*ret_labels == NULL)
        return parse_series(reader, raw.size, ret_labels);
    reader->at += raw.size;
    return ERR_NONE;
}

/* ---- Numbers. ---- */

static struct str read_word(struct reader *reader)
{
    const char *start = reader->at;

    while (reader->at < reader->end && *reader->at != ' ' && *reader->at != '\t')
        reader->at++;
    return (struct str){start, (size_t)(reader->at - start)};
}

/* Numbers of up to 15 digits and no exponent are exact as digits / 10^n: both are whole numbers
 * that a double holds, and IEEE division rounds once. The rest takes the careful way. */
static bool parse_number(struct str text, double *ret_value)
{
    static const double powers[DIGITS_EXACT + 1] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t digits = 0;
    size_t count = 0;
    size_t point = SIZE_MAX;

    for (size_t i = negative; i < text.size; i++) {
        char c = text.data[i];
        if (c >= '0' && c <= '9' && count < DIGITS_EXACT) {
            digits = digits * 10 + (uint64_t)(c - '0');
            count++;
        } else if (c == '.' && point == SIZE_MAX) {
            point = count;
        } else {
            return str_to_double(text, ret_value);
        }
    }
    if (count == 0)
        return false;
    double value = (double)digits;
    if (point != SIZE_MAX)
        value /= powers[count - point];
    *ret_value = negative ? -value : value;
    return true;
}

static enum err read_time(struct reader *reader, struct str word, int64_t *ret_time_ms)
{
    double seconds;
    bool ok;

    if (reader->options->format == PROMETHEUS_OPENMETRICS) {
        ok = parse_number(word, &seconds) && fabs(seconds) < 1e13;
        if (ok)
            *ret_time_ms = (int64_t)llround(seconds * 1000);
    } else {
        ok = str_to_i64(word, ret_time_ms);
    }
    if (ok)
        return ERR_NONE;
    reader->at -= word.size;
    return broken(reader, reader->options->format == PROMETHEUS_OPENMETRICS
                              ? "a time in seconds since 1970"
                              : "a time in milliseconds since 1970");
}

static enum err read_sample(struct reader *reader)
{
    const struct labels *labels;
    int64_t time_ms = reader->options->now_ms;
    double value;

    TRY(read_series(reader, &labels));
    skip_blanks(reader);
    struct str word = read_word(reader);
    if (!parse_number(word, &value)) {
        reader->at -= word.size;
        return broken(reader, "a number");
    }
    skip_blanks(reader);
    bool open = reader->options->format == PROMETHEUS_OPENMETRICS;
    if (reader->at < reader->end && !(open && next_is(reader, '#'))) {
        TRY(read_time(reader, read_word(reader), &time_ms));
        skip_blanks(reader);
    }
    if (reader->at < reader->end && !(open && next_is(reader, '#')))
        return broken(reader, "the end of the line");
    if (reader->options->ignore_times)
        time_ms = reader->options->now_ms;
    return batch_sample(reader->out, labels, time_ms, value, reader->why);
}

/* ---- Comments: HELP, TYPE, UNIT. ---- */

static enum err tell_info(struct reader *reader)
{
    struct metric_info info = reader->info;

    reader->info = (struct metric_info){0};
    if (info.name.size == 0)
        return ERR_NONE;
    if (info.unit.data == NULL)
        info.unit = STR("");
    if (info.help.data == NULL)
        info.help = STR("");
    if (reader->options->format != PROMETHEUS_OPENMETRICS || info.kind != METRIC_COUNTER)
        return batch_info(reader->out, &info, reader->why);
    /* Its samples, which queries name, end with _total. */
    struct buf name CLEANUP(buf_done) = {0};
    buf_str(&name, info.name);
    buf_text(&name, "_total");
    info.name = buf_view(&name);
    return batch_info(reader->out, &info, reader->why);
}

/* "\\" and "\n" in a help; the text lives in the batch's arena. */
static enum err unescape_help(struct reader *reader, struct str text, struct str *ret_text)
{
    struct str copy = arena_str(reader->out->arena, text);
    size_t used = 0;

    if (copy.data == NULL)
        return arena_spent(reader->out->arena, "a batch", reader->why);
    char *out = (char *)copy.data;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\\' && i + 1 < text.size)
            c = text.data[++i] == 'n' ? '\n' : text.data[i];
        out[used++] = c;
    }
    *ret_text = (struct str){out, used};
    return ERR_NONE;
}

static enum metric_kind read_kind(struct str word)
{
    if (str_eq(word, STR("info")) || str_eq(word, STR("stateset")))
        return METRIC_GAUGE; /* A gauge in all that one can ask of it. */
    if (str_eq(word, STR("gaugehistogram")))
        return METRIC_HISTOGRAM;
    return metric_kind_parse(word);
}

static enum err read_comment(struct reader *reader)
{
    reader->at++;
    skip_blanks(reader);
    struct str keyword = read_word(reader);
    bool help = str_eq(keyword, STR("HELP"));
    bool type = str_eq(keyword, STR("TYPE"));
    bool unit = str_eq(keyword, STR("UNIT"));
    if (!help && !type && !unit)
        return ERR_NONE; /* Also "# EOF". */
    skip_blanks(reader);
    struct str name = read_name(reader, true);
    if (name.size == 0)
        return broken(reader, "a metric's name");
    if (!str_eq(name, reader->info.name)) {
        TRY(tell_info(reader));
        reader->info.name = name;
    }
    skip_blanks(reader);
    struct str rest = {reader->at, (size_t)(reader->end - reader->at)};
    if (help)
        return unescape_help(reader, rest, &reader->info.help);
    if (type)
        reader->info.kind = read_kind(str_trim(rest));
    else
        reader->info.unit = str_trim(rest);
    return ERR_NONE;
}

/* ---- Lines. ---- */

static enum err read_line(struct reader *reader)
{
    if (reader->end - reader->line > LINE_BYTES_MAX)
        return fail(reader->why, ERR_LIMIT, "%s, line %d is longer than %d bytes", reader->what,
                    (int)reader->line_number, LINE_BYTES_MAX);
    skip_blanks(reader);
    if (reader->at == reader->end)
        return ERR_NONE;
    if (*reader->at != '#')
        return read_sample(reader);
    return reader->options->describe ? read_comment(reader) : ERR_NONE;
}

static enum err read_lines(struct reader *reader, struct str text)
{
    const char *end = text.data + text.size;

    for (const char *next = text.data; next < end;) {
        const char *newline = memchr(next, '\n', (size_t)(end - next));
        reader->line = reader->at = next;
        reader->end = newline == NULL ? end : newline;
        next = newline == NULL ? end : newline + 1;
        reader->line_number++;
        if (reader->end > reader->line && reader->end[-1] == '\r')
            reader->end--;
        TRY(read_line(reader));
    }
    return tell_info(reader);
}

enum err prometheus_read(struct str text, const char *what,
                         const struct prometheus_options *options, struct label_memo *memo,
                         struct batch *out, struct why *why)
{
    struct reader reader = {
        .start = text.data,
        .what = what,
        .options = options,
        .memo = memo,
        .out = out,
        .why = why,
    };

    MUST(options->base_count <= PROMETHEUS_BASE_MAX);
    batch_hold(out, label_memo_begin(memo));
    enum err err = text.size == 0 ? ERR_NONE : read_lines(&reader, text);
    buf_done(&reader.texts);
    return err;
}
