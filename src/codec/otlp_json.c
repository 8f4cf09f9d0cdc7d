/* SPDX-License-Identifier: Apache-2.0 */
/* One descent over the text writes protobuf as it goes: no tree in between. The size of a message
 * within a message is filled in when its closing brace is met. */
#include "codec/otlp_json.h"

#include "codec/otlp_priv.h"

struct parser {
    const char *start;
    const char *at;
    const char *end;
    struct buf *out;
    struct buf text; /* The string just read, unescaped; or the bytes of an id. */
    struct why *why;
};

static enum err broken(const struct parser *parser, const char *expected)
{
    return fail_at(parser->why, ERR_INVALID, (int32_t)(parser->at - parser->start),
                   "the JSON is broken at byte %td: %s expected", parser->at - parser->start,
                   expected);
}

static enum err misfit(const struct parser *parser, const struct otlp_field *field,
                       const char *expected)
{
    return fail_at(parser->why, ERR_INVALID, (int32_t)(parser->at - parser->start),
                   "'%.*s' before byte %td is not %s", STR_ARG(field->name),
                   parser->at - parser->start, expected);
}

static void skip_space(struct parser *parser)
{
    while (parser->at < parser->end && (*parser->at == ' ' || *parser->at == '\n' ||
                                        *parser->at == '\r' || *parser->at == '\t'))
        parser->at++;
}

/* The next byte that is no space, or 0 at the end. */
static char peek(struct parser *parser)
{
    skip_space(parser);
    return parser->at < parser->end ? *parser->at : '\0';
}

static bool accept(struct parser *parser, char byte)
{
    if (peek(parser) != byte)
        return false;
    parser->at++;
    return true;
}

static bool accept_word(struct parser *parser, struct str word)
{
    struct str rest = {parser->at, (size_t)(parser->end - parser->at)};

    if (!str_starts(rest, word))
        return false;
    parser->at += word.size;
    return true;
}

/* ---- Strings. ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_hex4(struct parser *parser, uint32_t *ret_code)
{
    uint32_t code = 0;

    if (parser->end - parser->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(parser->at[i]);
        if (digit < 0)
            return false;
        code = code << 4 | (uint32_t)digit;
    }
    parser->at += 4;
    *ret_code = code;
    return true;
}

static void put_utf8(struct buf *out, uint32_t code)
{
    if (code < 0x80) {
        buf_byte(out, (uint8_t)code);
        return;
    }
    if (code < 0x800) {
        buf_byte(out, (uint8_t)(0xc0 | code >> 6));
    } else if (code < 0x10000) {
        buf_byte(out, (uint8_t)(0xe0 | code >> 12));
        buf_byte(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
    } else {
        buf_byte(out, (uint8_t)(0xf0 | code >> 18));
        buf_byte(out, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
        buf_byte(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
    }
    buf_byte(out, (uint8_t)(0x80 | (code & 0x3f)));
}

/* Behind "\u". A lone surrogate becomes U+FFFD. */
static bool read_unicode(struct parser *parser)
{
    uint32_t code;
    uint32_t low;

    if (!read_hex4(parser, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00 && parser->end - parser->at >= 6 && parser->at[0] == '\\' &&
        parser->at[1] == 'u') {
        const char *before = parser->at;
        parser->at += 2;
        if (!read_hex4(parser, &low))
            return false;
        if (low >= 0xdc00 && low < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        else
            parser->at = before;
    }
    put_utf8(&parser->text, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
    return true;
}

static bool read_escape(struct parser *parser)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";

    if (parser->at == parser->end)
        return false;
    char c = *parser->at++;
    if (c == 'u')
        return read_unicode(parser);
    const char *place = memchr(from, c, sizeof(from) - 1);
    if (place == NULL)
        return false;
    buf_byte(&parser->text, (uint8_t)to[place - from]);
    return true;
}

/* A string at the opening quote, into parser->text or, without escapes, as it stands. */
static enum err read_string(struct parser *parser, struct str *ret_text)
{
    if (!accept(parser, '"'))
        return broken(parser, "a string");
    const char *start = parser->at;
    while (parser->at < parser->end && *parser->at != '"' && *parser->at != '\\' &&
           (uint8_t)*parser->at >= 0x20)
        parser->at++;
    if (parser->at < parser->end && *parser->at == '"') {
        *ret_text = (struct str){start, (size_t)(parser->at++ - start)};
        return ERR_NONE;
    }
    buf_clear(&parser->text);
    buf_append(&parser->text, start, (size_t)(parser->at - start));
    while (parser->at < parser->end && *parser->at != '"') {
        char c = *parser->at++;
        if ((uint8_t)c < 0x20)
            return broken(parser, "no control character");
        if (c != '\\')
            buf_byte(&parser->text, (uint8_t)c);
        else if (!read_escape(parser))
            return broken(parser, "an escape of JSON");
    }
    if (parser->at == parser->end)
        return broken(parser, "the end of a string");
    parser->at++;
    *ret_text = buf_view(&parser->text);
    return ERR_NONE;
}

/* A number, or a string that stands for one. */
static enum err read_number_text(struct parser *parser, struct str *ret_text)
{
    if (peek(parser) == '"')
        return read_string(parser, ret_text);
    const char *start = parser->at;
    while (parser->at < parser->end &&
           ((*parser->at >= '0' && *parser->at <= '9') || *parser->at == '-' ||
            *parser->at == '+' || *parser->at == '.' || *parser->at == 'e' || *parser->at == 'E'))
        parser->at++;
    *ret_text = (struct str){start, (size_t)(parser->at - start)};
    return ret_text->size == 0 ? broken(parser, "a number") : ERR_NONE;
}

/* ---- Values of unknown fields. ---- */

static enum err enter(const struct parser *parser, size_t depth)
{
    if (depth <= OTLP_JSON_DEPTH_MAX)
        return ERR_NONE;
    return fail(parser->why, ERR_LIMIT, "the JSON is nested deeper than %d", OTLP_JSON_DEPTH_MAX);
}

static enum err skip_value(struct parser *parser, size_t depth)
{
    char opening = peek(parser);
    char closing = opening == '{' ? '}' : ']';
    struct str text;

    if (opening == '"')
        return read_string(parser, &text);
    if (opening != '{' && opening != '[') {
        if (accept_word(parser, STR("true")) || accept_word(parser, STR("false")) ||
            accept_word(parser, STR("null")))
            return ERR_NONE;
        return read_number_text(parser, &text);
    }
    TRY(enter(parser, depth));
    parser->at++;
    if (accept(parser, closing))
        return ERR_NONE;
    do {
        if (opening == '{') {
            TRY(read_string(parser, &text));
            if (!accept(parser, ':'))
                return broken(parser, "':'");
        }
        TRY(skip_value(parser, depth + 1));
    } while (accept(parser, ','));
    return accept(parser, closing) ? ERR_NONE : broken(parser, "',' or a closing bracket");
}

/* ---- Values of known fields. ---- */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

static bool read_base64(struct str text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0;

    while (text.size > 0 && text.data[text.size - 1] == '=')
        text.size--;
    for (size_t i = 0; i < text.size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_byte(out, (uint8_t)(bits >> count));
        }
    }
    return text.size % 4 != 1;
}

static bool read_hex(struct str text, struct buf *out)
{
    if (text.size % 2 != 0)
        return false;
    for (size_t i = 0; i < text.size; i += 2) {
        int high = hex_digit(text.data[i]);
        int low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        buf_byte(out, (uint8_t)(high << 4 | low));
    }
    return true;
}

static enum err put_string(struct parser *parser, const struct otlp_field *field)
{
    struct buf bytes CLEANUP(buf_done) = {0};
    struct str text;

    TRY(read_string(parser, &text));
    if (field->type == OTLP_BYTES && !read_base64(text, &bytes))
        return misfit(parser, field, "base64");
    if (field->type == OTLP_ID && !read_hex(text, &bytes))
        return misfit(parser, field, "hexadecimal");
    otlp_put_bytes(parser->out, field->number,
                   field->type == OTLP_STRING ? text : buf_view(&bytes));
    return ERR_NONE;
}

static enum err put_bool(struct parser *parser, const struct otlp_field *field)
{
    skip_space(parser);
    if (accept_word(parser, STR("true")))
        otlp_put_varint(parser->out, field->number, 1);
    else if (accept_word(parser, STR("false")))
        otlp_put_varint(parser->out, field->number, 0);
    else
        return misfit(parser, field, "true or false");
    return ERR_NONE;
}

static bool parse_double(struct str text, double *ret_value)
{
    if (str_eq(text, STR("Infinity")))
        text = STR("+Inf");
    else if (str_eq(text, STR("-Infinity")))
        text = STR("-Inf");
    return str_to_double(text, ret_value);
}

/* Whole numbers, also written as 1e3 or 5.0. */
static bool parse_integer(struct str text, bool is_signed, uint64_t *ret_bits)
{
    int64_t number;
    double value;

    if (is_signed ? str_to_i64(text, &number) : str_to_u64(text, ret_bits)) {
        if (is_signed)
            *ret_bits = (uint64_t)number;
        return true;
    }
    if (!str_to_double(text, &value) || !(value >= -0x1p63 && value < 0x1p63) ||
        (!is_signed && value < 0) || (double)(int64_t)value != value)
        return false;
    *ret_bits = (uint64_t)(int64_t)value;
    return true;
}

/* What follows the prefix, by number; the specification wants numbers, many senders write names. */
static const struct {
    struct str prefix;
    const char *const *names;
    size_t count;
    unsigned each; /* Numbers a name: of severities there are four, "ERROR" to "ERROR4". */
} enums[] = {
    {STR("SPAN_KIND_"),
     (const char *const[]){"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"},
     6, 1},
    {STR("STATUS_CODE_"), (const char *const[]){"UNSET", "OK", "ERROR"}, 3, 1},
    {STR("AGGREGATION_TEMPORALITY_"), (const char *const[]){"UNSPECIFIED", "DELTA", "CUMULATIVE"},
     3, 1},
    {STR("SEVERITY_NUMBER_"),
     (const char *const[]){"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}, 6, 4},
};

/* "SPAN_KIND_CLIENT" as 3; anything else is left to the reader of numbers. */
static bool parse_enum(struct str text, uint64_t *ret_bits)
{
    for (size_t i = 0; i < ARRAY_COUNT(enums); i++) {
        if (!str_starts(text, enums[i].prefix))
            continue;
        struct str rest = {text.data + enums[i].prefix.size, text.size - enums[i].prefix.size};
        uint64_t more = 0;
        if (enums[i].each > 1 && rest.size > 0 && rest.data[rest.size - 1] >= '2' &&
            rest.data[rest.size - 1] <= '4')
            more = (uint64_t)(rest.data[--rest.size] - '1');
        for (size_t k = 0; k < enums[i].count; k++) {
            if (!str_eq(rest, str_of(enums[i].names[k])))
                continue;
            *ret_bits = enums[i].each > 1 ? 1 + enums[i].each * k + more : k;
            return true;
        }
    }
    return false;
}

static bool is_signed_type(enum otlp_type type)
{
    return type == OTLP_INT || type == OTLP_SFIXED64 || type == OTLP_ZIGZAG || type == OTLP_SMALL;
}

/* Reads a number; *ret_bits is what goes on the wire. */
static enum err read_number(struct parser *parser, const struct otlp_field *field,
                            uint64_t *ret_bits)
{
    struct str text;
    double value;

    TRY(read_number_text(parser, &text));
    if (field->type == OTLP_DOUBLE) {
        if (!parse_double(text, &value))
            return misfit(parser, field, "a number");
        memcpy(ret_bits, &value, sizeof(value));
        return ERR_NONE;
    }
    if (field->type == OTLP_SMALL && parse_enum(text, ret_bits))
        return ERR_NONE;
    if (!parse_integer(text, is_signed_type(field->type), ret_bits))
        return misfit(parser, field, "a whole number in range");
    int64_t number = (int64_t)*ret_bits;
    bool is_narrow = field->type == OTLP_SMALL || field->type == OTLP_ZIGZAG;
    if ((is_narrow && (number < INT32_MIN || number > (int64_t)UINT32_MAX)) ||
        (field->type == OTLP_FIXED32 && *ret_bits > UINT32_MAX))
        return misfit(parser, field, "a number of 32 bits");
    if (field->type == OTLP_ZIGZAG)
        *ret_bits = zigzag(number);
    return ERR_NONE;
}

static void put_bits(struct buf *out, enum otlp_type type, uint64_t bits)
{
    if (type == OTLP_FIXED64 || type == OTLP_SFIXED64 || type == OTLP_DOUBLE)
        buf_u64(out, bits);
    else if (type == OTLP_FIXED32)
        buf_u32(out, (uint32_t)bits);
    else
        buf_varint(out, bits);
}

static enum protobuf_wire wire_of(enum otlp_type type)
{
    if (type == OTLP_FIXED64 || type == OTLP_SFIXED64 || type == OTLP_DOUBLE)
        return PROTOBUF_FIXED64;
    return type == OTLP_FIXED32 ? PROTOBUF_FIXED32 : PROTOBUF_VARINT;
}

static enum err put_number(struct parser *parser, const struct otlp_field *field)
{
    uint64_t bits;

    TRY(read_number(parser, field, &bits));
    buf_varint(parser->out, (uint64_t)field->number << 3 | (uint64_t)wire_of(field->type));
    put_bits(parser->out, field->type, bits);
    return ERR_NONE;
}

static enum err read_message(struct parser *parser, enum otlp_message message, size_t depth);

static enum err put_value(struct parser *parser, const struct otlp_field *field, size_t depth)
{
    if (field->type == OTLP_MESSAGE) {
        size_t place = otlp_open(parser->out, field->number);
        TRY(read_message(parser, field->message, depth));
        if (parser->out->size - place >= OTLP_SIZE_MAX)
            return fail(parser->why, ERR_TOO_LARGE, "the message is too large");
        otlp_close(parser->out, place);
        return ERR_NONE;
    }
    if (field->type == OTLP_BOOL)
        return put_bool(parser, field);
    if (field->type == OTLP_STRING || field->type == OTLP_BYTES || field->type == OTLP_ID)
        return put_string(parser, field);
    return put_number(parser, field);
}

/* Numbers of a list are packed into one field. */
static enum err put_numbers(struct parser *parser, const struct otlp_field *field)
{
    size_t place = otlp_open(parser->out, field->number);
    uint64_t bits;

    do {
        TRY(read_number(parser, field, &bits));
        put_bits(parser->out, field->type, bits);
    } while (accept(parser, ','));
    if (parser->out->size - place >= OTLP_SIZE_MAX)
        return fail(parser->why, ERR_TOO_LARGE, "the message is too large");
    otlp_close(parser->out, place);
    return ERR_NONE;
}

static enum err put_list(struct parser *parser, const struct otlp_field *field, size_t depth)
{
    TRY(enter(parser, depth));
    if (!accept(parser, '['))
        return misfit(parser, field, "a list");
    if (accept(parser, ']'))
        return ERR_NONE;
    if (field->type != OTLP_MESSAGE) {
        TRY(put_numbers(parser, field));
    } else {
        do {
            TRY(put_value(parser, field, depth + 1));
        } while (accept(parser, ','));
    }
    return accept(parser, ']') ? ERR_NONE : broken(parser, "',' or ']'");
}

static enum err read_field(struct parser *parser, enum otlp_message message, size_t depth)
{
    struct str name;

    TRY(read_string(parser, &name));
    const struct otlp_field *field = otlp_field_named(message, name);
    if (!accept(parser, ':'))
        return broken(parser, "':'");
    skip_space(parser);
    if (field == NULL || accept_word(parser, STR("null")))
        return field == NULL ? skip_value(parser, depth + 1) : ERR_NONE;
    return field->repeated ? put_list(parser, field, depth + 1)
                           : put_value(parser, field, depth + 1);
}

static enum err read_message(struct parser *parser, enum otlp_message message, size_t depth)
{
    TRY(enter(parser, depth));
    if (!accept(parser, '{'))
        return broken(parser, "'{'");
    if (accept(parser, '}'))
        return ERR_NONE;
    do {
        TRY(read_field(parser, message, depth));
    } while (accept(parser, ','));
    return accept(parser, '}') ? ERR_NONE : broken(parser, "',' or '}'");
}

enum err otlp_json_read(struct str text, enum otlp_message message, struct buf *out,
                        struct why *why)
{
    struct parser parser = {
        .start = text.data, .at = text.data, .end = text.data + text.size, .out = out, .why = why};

    if (!str_is_utf8(text))
        return fail(why, ERR_INVALID, "the JSON is not UTF-8");
    enum err err = read_message(&parser, message, 0);
    if (err == ERR_NONE && peek(&parser) != '\0')
        err = broken(&parser, "the end");
    if (err == ERR_NONE && parser.at != parser.end)
        err = broken(&parser, "no NUL");
    buf_done(&parser.text);
    return err;
}
