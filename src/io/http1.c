/* SPDX-License-Identifier: Apache-2.0 */
/* A head is read line by line: memchr finds the line's end, the line is checked and cut in place,
 * and only offsets are kept. So a byte is looked at twice, however slowly it trickles in.
 *
 *     GET /a?b HTTP/1.1 CR LF          first line
 *     Host: example.org CR LF          field lines; name ":" OWS value OWS
 *     CR LF                            end
 *
 * A chunked body is a state machine over single bytes, except inside data, which it hands out
 * whole:
 *
 *     SIZE ─► EXTENSION ─► SIZE_LF ─► DATA ─► DATA_CR ─► DATA_LF ─► SIZE …
 *                             └ size 0 ─► TRAILER_START ─► TRAILER ─► TRAILER_LF ─┐
 *                                             │  ▲────────────────────────────────┘
 *                                             └─► END_LF ─► DONE
 */
#include "io/http1.h"

enum {
    TOKEN = 1,   /* May stand in a method or field name. */
    TARGET = 2,  /* May stand in a request target. */
    CONTROL = 4, /* May stand in no field value. */
};

/* RFC 9110 section 5.6.2. */
static const uint8_t classes[256] = {
    [0 ... 8] = CONTROL,
    [10 ... 31] = CONTROL,
    [127] = CONTROL,
    ['!'] = TOKEN | TARGET,
    ['"'] = TARGET,
    ['#' ... '\''] = TOKEN | TARGET,
    ['('] = TARGET,
    [')'] = TARGET,
    ['*'] = TOKEN | TARGET,
    ['+'] = TOKEN | TARGET,
    [','] = TARGET,
    ['-'] = TOKEN | TARGET,
    ['.'] = TOKEN | TARGET,
    ['/'] = TARGET,
    ['0' ... '9'] = TOKEN | TARGET,
    [':' ... '@'] = TARGET,
    ['A' ... 'Z'] = TOKEN | TARGET,
    ['[' ... ']'] = TARGET,
    ['^' ... '_'] = TOKEN | TARGET,
    ['`' ... 'z'] = TOKEN | TARGET,
    ['{'] = TARGET,
    ['|'] = TOKEN | TARGET,
    ['}'] = TARGET,
    ['~'] = TOKEN | TARGET,
    [128 ... 255] = TARGET,
};

static bool is_class(char byte, int class)
{
    return (classes[(uint8_t)byte] & class) != 0;
}

static size_t span_class(const char *data, size_t size, int class)
{
    size_t i = 0;

    while (i < size && is_class(data[i], class))
        i++;
    return i;
}

/* Eight bytes at a time: is any below 0x20, or 0x7f? Tab is, and is looked at again. */
static bool word_is_plain(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones << 7;
    uint64_t below = (word - ones * 0x20) & ~word & highs;
    uint64_t deleted = word ^ (ones * 0x7f);

    return (below | ((deleted - ones) & ~deleted & highs)) == 0;
}

static bool has_control(const char *data, size_t size)
{
    size_t i = 0;

    for (; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, data + i, sizeof(word));
        if (word_is_plain(word))
            continue;
        for (size_t j = i; j < i + sizeof(word); j++) {
            if (is_class(data[j], CONTROL))
                return true;
        }
    }
    for (; i < size; i++) {
        if (is_class(data[i], CONTROL))
            return true;
    }
    return false;
}

bool http_is_token(struct str text)
{
    return text.size > 0 && span_class(text.data, text.size, TOKEN) == text.size;
}

bool http_is_field_value(struct str text)
{
    return !has_control(text.data, text.size);
}

/* ---- Heads. ---- */

void http1_init(struct http1 *parser, enum http1_kind kind, const struct http1_limits *limits,
                bool head_was_asked)
{
    MUST(limits->head_bytes_max <= HTTP_HEAD_BYTES_MAX && limits->fields_max <= HTTP_FIELDS_MAX);
    /* Not the field tables: fields_count says what is valid there. */
    parser->head.base = NULL;
    parser->head.method_text = parser->head.target = parser->head.reason = (struct http_span){0};
    parser->head.status = 0;
    parser->head.fields_count = 0;
    parser->head.version = 0;
    parser->head.method = HTTP_METHOD_OTHER;
    memset((char *)parser + offsetof(struct http1, head_bytes), 0,
           sizeof(*parser) - offsetof(struct http1, head_bytes));
    parser->limits = *limits;
    parser->kind = kind;
    parser->head_was_asked = head_was_asked;
}

/* Where a line stands in the data. */
struct line {
    const char *data; /* Of the whole message. */
    uint32_t start;
    uint32_t end; /* Before CR LF. */
};

static struct http_span span_of(uint32_t start, uint32_t end)
{
    return (struct http_span){(uint16_t)start, (uint16_t)(end - start)};
}

static enum err refuse(struct http1 *parser, int status, struct why *why, enum err err,
                       uint32_t position, const char *text)
{
    parser->refusal_status = status;
    return fail_at(why, err, (int32_t)position, "%s", text);
}

static enum err refuse_bad(struct http1 *parser, struct why *why, uint32_t position,
                           const char *text)
{
    return refuse(parser, 400, why, ERR_INVALID, position, text);
}

/* "HTTP/1.1"; any minor of major 1 is read as 1.1 except 0. */
static enum err read_version(struct http1 *parser, const struct line *line, uint32_t at,
                             struct why *why)
{
    const char *text = line->data + at;

    if (line->end - at < 8 || memcmp(text, "HTTP/", 5) != 0 || text[6] != '.')
        return refuse_bad(parser, why, at, "the protocol must read HTTP/1.1 or HTTP/1.0");
    if (text[5] < '0' || text[5] > '9' || text[7] < '0' || text[7] > '9')
        return refuse_bad(parser, why, at, "the protocol version must be digits");
    if (text[5] != '1')
        return refuse(parser, 505, why, ERR_UNSUPPORTED, at,
                      "only HTTP/1.1, HTTP/1.0 and HTTP/2 are spoken here");
    parser->head.version = text[7] == '0' ? HTTP_1_0 : HTTP_1_1;
    return ERR_NONE;
}

static enum err read_request_line(struct http1 *parser, const struct line *line, struct why *why)
{
    const char *data = line->data;
    uint32_t at = line->start;

    at += (uint32_t)span_class(data + at, line->end - at, TOKEN);
    if (at == line->start || at == line->end || data[at] != ' ')
        return refuse_bad(parser, why, at, "a request starts with a method and one space");
    parser->head.method_text = span_of(line->start, at);

    uint32_t target = ++at;
    at += (uint32_t)span_class(data + at, line->end - at, TARGET);
    if (at == target || at == line->end || data[at] != ' ')
        return refuse_bad(parser, why, at, "the target must be followed by one space and HTTP/1.1");
    parser->head.target = span_of(target, at);
    TRY(read_version(parser, line, at + 1, why));
    if (line->end != at + 9)
        return refuse_bad(parser, why, at + 9, "nothing may follow the protocol version");
    parser->head.method =
        (uint8_t)http_method_of((struct str){data + line->start, parser->head.method_text.size});
    return ERR_NONE;
}

static enum err read_status_line(struct http1 *parser, const struct line *line, struct why *why)
{
    uint32_t at = line->start;

    TRY(read_version(parser, line, at, why));
    at += 8;
    const char *text = line->data + at;
    if (line->end - at < 4 || text[0] != ' ' || text[1] < '1' || text[1] > '9' || text[2] < '0' ||
        text[2] > '9' || text[3] < '0' || text[3] > '9')
        return refuse_bad(parser, why, at, "a status is one space and three digits");
    parser->head.status =
        (uint16_t)((text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0'));
    at += 4;
    if (at == line->end)
        return ERR_NONE; /* Some leave the space before an empty reason out. */
    if (line->data[at] != ' ' || has_control(line->data + at, line->end - at))
        return refuse_bad(parser, why, at, "a reason is a space and plain text");
    parser->head.reason = span_of(at + 1, line->end);
    return ERR_NONE;
}

static enum err read_content_length(struct http1 *parser, struct str value, uint32_t at,
                                    struct why *why)
{
    uint64_t length = 0;

    if (parser->content_lengths++ > 0)
        return refuse_bad(parser, why, at, "Content-Length is given twice");
    /* Digits only: no sign, no list, no second opinion. 18 digits cannot overflow. */
    if (value.size == 0 || value.size > 18)
        return refuse_bad(parser, why, at, "Content-Length must be a number of at most 18 digits");
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return refuse_bad(parser, why, at, "Content-Length must be digits only");
        length = length * 10 + (uint64_t)(value.data[i] - '0');
    }
    parser->content_length = length;
    return ERR_NONE;
}

static enum err read_transfer_encoding(struct http1 *parser, struct str value, uint32_t at,
                                       struct why *why)
{
    if (parser->transfer_encodings++ > 0)
        return refuse_bad(parser, why, at, "Transfer-Encoding is given twice");
    if (!str_eq_nocase(value, STR("chunked")))
        return refuse(parser, 501, why, ERR_UNSUPPORTED, at,
                      "the only Transfer-Encoding understood is chunked");
    return ERR_NONE;
}

static void read_connection(struct http1 *parser, struct str value)
{
    while (value.data != NULL) {
        struct str token = str_trim(str_split(&value, ','));
        if (str_eq_nocase(token, STR("close")))
            parser->connection_close = true;
        else if (str_eq_nocase(token, STR("keep-alive")))
            parser->connection_keep_alive = true;
        else if (str_eq_nocase(token, STR("upgrade")))
            parser->upgrade = true;
    }
}

static enum err read_expect(struct http1 *parser, struct str value, uint32_t at, struct why *why)
{
    if (!str_eq_nocase(value, STR("100-continue")))
        return refuse(parser, 417, why, ERR_UNSUPPORTED, at,
                      "the only expectation understood is 100-continue");
    parser->expect_continue = true;
    return ERR_NONE;
}

/* The few fields that steer the connection. The size picks the candidate. */
static enum err heed_field(struct http1 *parser, struct str name, struct str value, uint32_t at,
                           struct why *why)
{
    switch (name.size) {
    case 4:
        if (str_eq_nocase(name, STR("host")))
            parser->hosts = (uint8_t)(parser->hosts + (parser->hosts < 2));
        return ERR_NONE;
    case 6:
        if (str_eq_nocase(name, STR("expect")) && parser->kind == HTTP1_REQUEST)
            return read_expect(parser, value, at, why);
        return ERR_NONE;
    case 10:
        if (str_eq_nocase(name, STR("connection")))
            read_connection(parser, value);
        return ERR_NONE;
    case 14:
        if (str_eq_nocase(name, STR("content-length")))
            return read_content_length(parser, value, at, why);
        return ERR_NONE;
    case 17:
        if (str_eq_nocase(name, STR("transfer-encoding")))
            return read_transfer_encoding(parser, value, at, why);
        return ERR_NONE;
    default:
        return ERR_NONE;
    }
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static enum err read_field(struct http1 *parser, const struct line *line, struct why *why)
{
    const char *data = line->data;
    struct http_head *head = &parser->head;
    uint32_t at = line->start;

    if (is_blank(data[at]))
        return refuse_bad(parser, why, at, "a field may not be folded over two lines");
    at += (uint32_t)span_class(data + at, line->end - at, TOKEN);
    if (at == line->start || at == line->end || data[at] != ':')
        return refuse_bad(parser, why, at, "a field is a name directly followed by a colon");
    if (head->fields_count >= parser->limits.fields_max)
        return refuse(parser, 431, why, ERR_TOO_LARGE, at, "too many header fields");

    uint32_t start = at + 1;
    uint32_t end = line->end;
    while (start < end && is_blank(data[start]))
        start++;
    while (end > start && is_blank(data[end - 1]))
        end--;
    if (has_control(data + start, end - start))
        return refuse_bad(parser, why, start, "a field value holds a control character");
    head->names[head->fields_count] = span_of(line->start, at);
    head->values[head->fields_count] = span_of(start, end);
    head->fields_count++;
    return heed_field(parser, (struct str){data + line->start, at - line->start},
                      (struct str){data + start, end - start}, start, why);
}

static void choose_response_framing(struct http1 *parser)
{
    int status = parser->head.status;

    if (parser->head_was_asked || status < 200 || status == 204 || status == 304)
        parser->framing = HTTP1_BODY_NONE;
    else if (parser->transfer_encodings > 0)
        parser->framing = HTTP1_BODY_CHUNKED;
    else if (parser->content_lengths > 0)
        parser->framing = HTTP1_BODY_LENGTH;
    else
        parser->framing = HTTP1_BODY_UNTIL_CLOSE;
}

/* The empty line came: do the fields make sense together? */
static enum err finish_head(struct http1 *parser, uint32_t at, struct why *why)
{
    bool is_1_0 = parser->head.version == HTTP_1_0;

    if (parser->transfer_encodings > 0 && parser->content_lengths > 0)
        return refuse_bad(parser, why, at,
                          "Content-Length and Transfer-Encoding exclude each other");
    if (parser->transfer_encodings > 0 && is_1_0)
        return refuse_bad(parser, why, at, "HTTP/1.0 knows no Transfer-Encoding");
    if (parser->kind == HTTP1_REQUEST) {
        if (parser->hosts > 1 || (parser->hosts == 0 && !is_1_0))
            return refuse_bad(parser, why, at, "HTTP/1.1 needs exactly one Host field");
        if (parser->transfer_encodings > 0)
            parser->framing = HTTP1_BODY_CHUNKED;
        else if (parser->content_lengths > 0 && parser->content_length > 0)
            parser->framing = HTTP1_BODY_LENGTH;
    } else {
        choose_response_framing(parser);
    }
    parser->keep_alive = !parser->connection_close && (!is_1_0 || parser->connection_keep_alive) &&
                         parser->framing != HTTP1_BODY_UNTIL_CLOSE;
    parser->expect_continue = parser->expect_continue && !is_1_0;
    return ERR_NONE;
}

static enum err read_line(struct http1 *parser, const struct line *line, bool *ret_done,
                          struct why *why)
{
    *ret_done = false;
    if (parser->first_line_done) {
        if (line->start == line->end) {
            TRY(finish_head(parser, line->end, why));
            *ret_done = true;
            return ERR_NONE;
        }
        return read_field(parser, line, why);
    }
    if (line->start == line->end) /* RFC 9112 section 2.2: empty lines before are skipped. */
        return ERR_NONE;
    parser->first_line_done = true;
    return parser->kind == HTTP1_REQUEST ? read_request_line(parser, line, why)
                                         : read_status_line(parser, line, why);
}

static enum err refuse_size(struct http1 *parser, struct why *why)
{
    int status = parser->first_line_done ? 431 : 414;

    parser->refusal_status = status;
    return fail_at(
        why, ERR_TOO_LARGE, (int32_t)parser->limits.head_bytes_max, "%s is longer than %zu bytes",
        parser->first_line_done ? "the header" : "the first line", parser->limits.head_bytes_max);
}

enum err http1_parse(struct http1 *parser, const char *data, size_t size, bool *ret_done,
                     struct why *why)
{
    size_t limit = size < parser->limits.head_bytes_max ? size : parser->limits.head_bytes_max;

    *ret_done = false;
    parser->head.base = data;
    while (!*ret_done) {
        const char *newline = memchr(data + parser->scanned, '\n', limit - parser->scanned);
        if (newline == NULL) {
            /* TLS, where a newline may never come. */
            if (!parser->first_line_done && size > 0 && data[0] == 0x16)
                return refuse_bad(parser, why, 0,
                                  "this port speaks plain HTTP, not TLS: write http://");
            parser->scanned = (uint32_t)limit;
            return limit < parser->limits.head_bytes_max ? ERR_NONE : refuse_size(parser, why);
        }
        uint32_t at = (uint32_t)(newline - data);
        struct line line = {data, parser->line_start, at - 1};
        if (at == parser->line_start || data[at - 1] != '\r')
            return refuse_bad(parser, why, at, "a line must end with CR LF");
        parser->scanned = at + 1;
        parser->line_start = at + 1;
        TRY(read_line(parser, &line, ret_done, why));
    }
    parser->head_bytes = parser->line_start;
    return ERR_NONE;
}

/* ---- Chunked bodies. ---- */

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_DONE,
};

void http1_chunked_init(struct http1_chunked *chunked)
{
    *chunked = (struct http1_chunked){0};
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = (char)(byte | 0x20);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static enum err read_chunk_size(struct http1_chunked *chunked, char byte, struct why *why)
{
    int digit = hex_digit(byte);

    if (digit >= 0) {
        /* 15 digits cannot overflow; longer is an attack. */
        if (++chunked->digits > 15)
            return fail(why, ERR_INVALID, "a chunk's size has more than 15 digits");
        chunked->left = chunked->left * 16 + (uint64_t)digit;
        return ERR_NONE;
    }
    if (chunked->digits == 0)
        return fail(why, ERR_INVALID, "a chunk must start with its size in hexadecimal");
    if (byte == '\r')
        chunked->state = CHUNK_SIZE_LF;
    else if (byte == ';' || is_blank(byte))
        chunked->state = CHUNK_EXTENSION;
    else
        return fail(why, ERR_INVALID, "a chunk's size holds the byte 0x%02x", (uint8_t)byte);
    return ERR_NONE;
}

static enum err read_extension(struct http1_chunked *chunked, char byte, struct why *why)
{
    if (byte == '\r')
        chunked->state = CHUNK_SIZE_LF;
    else if (is_class(byte, CONTROL))
        return fail(why, ERR_INVALID, "a chunk extension holds a control character");
    return ERR_NONE;
}

static enum err read_trailer(struct http1_chunked *chunked, char byte, struct why *why)
{
    if (++chunked->trailer_bytes > HTTP1_TRAILER_BYTES_MAX)
        return fail(why, ERR_INVALID, "trailers are longer than %d bytes", HTTP1_TRAILER_BYTES_MAX);
    if (chunked->state == CHUNK_TRAILER_START) {
        if (byte == '\r') {
            chunked->state = CHUNK_END_LF;
            return ERR_NONE;
        }
        if (!is_class(byte, TOKEN))
            return fail(why, ERR_INVALID, "a trailer must start with a field name");
        chunked->state = CHUNK_TRAILER;
        return ERR_NONE;
    }
    if (byte == '\r')
        chunked->state = CHUNK_TRAILER_LF;
    else if (is_class(byte, CONTROL))
        return fail(why, ERR_INVALID, "a trailer holds a control character");
    return ERR_NONE;
}

static enum err expect_byte(struct http1_chunked *chunked, char byte, char wanted,
                            enum chunk_state next, struct why *why)
{
    if (byte != wanted)
        return fail(why, ERR_INVALID, "chunked framing is broken: CR LF expected, got 0x%02x",
                    (uint8_t)byte);
    chunked->state = (uint8_t)next;
    return ERR_NONE;
}

static enum err read_framing_byte(struct http1_chunked *chunked, char byte, struct why *why)
{
    switch ((enum chunk_state)chunked->state) {
    case CHUNK_SIZE:
    case CHUNK_EXTENSION:
        if (++chunked->line_bytes > HTTP1_CHUNK_LINE_MAX)
            return fail(why, ERR_INVALID, "a chunk's first line is longer than %d bytes",
                        HTTP1_CHUNK_LINE_MAX);
        return chunked->state == CHUNK_SIZE ? read_chunk_size(chunked, byte, why)
                                            : read_extension(chunked, byte, why);
    case CHUNK_SIZE_LF:
        return expect_byte(chunked, byte, '\n',
                           chunked->left == 0 ? CHUNK_TRAILER_START : CHUNK_DATA, why);
    case CHUNK_DATA_CR:
        return expect_byte(chunked, byte, '\r', CHUNK_DATA_LF, why);
    case CHUNK_DATA_LF:
        chunked->digits = 0;
        chunked->line_bytes = 0;
        return expect_byte(chunked, byte, '\n', CHUNK_SIZE, why);
    case CHUNK_TRAILER_START:
    case CHUNK_TRAILER:
        return read_trailer(chunked, byte, why);
    case CHUNK_TRAILER_LF:
        return expect_byte(chunked, byte, '\n', CHUNK_TRAILER_START, why);
    case CHUNK_END_LF:
        return expect_byte(chunked, byte, '\n', CHUNK_DONE, why);
    case CHUNK_DATA:
    case CHUNK_DONE:
        break;
    }
    return fail(why, ERR_INTERNAL, "the chunked body had ended");
}

enum err http1_chunked_next(struct http1_chunked *chunked, struct str data, size_t *ret_used,
                            struct str *ret_piece, bool *ret_done, struct why *why)
{
    size_t used = 0;

    *ret_piece = STR_NONE;
    while (used < data.size && chunked->state != CHUNK_DONE) {
        if (chunked->state == CHUNK_DATA) {
            size_t size = data.size - used;
            if (size > chunked->left)
                size = (size_t)chunked->left;
            *ret_piece = (struct str){data.data + used, size};
            chunked->left -= size;
            if (chunked->left == 0)
                chunked->state = CHUNK_DATA_CR;
            used += size;
            break;
        }
        TRY(read_framing_byte(chunked, data.data[used], why));
        used++;
    }
    *ret_used = used;
    *ret_done = chunked->state == CHUNK_DONE;
    return ERR_NONE;
}
