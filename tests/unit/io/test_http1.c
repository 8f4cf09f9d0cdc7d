/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/buf.h"
#include "io/http1.h"

static const struct http1_limits limits = {.head_bytes_max = 1024, .fields_max = 8};

static enum err parse(struct http1 *parser, enum http1_kind kind, const char *text, bool *ret_done)
{
    struct why why = WHY_INIT;

    http1_init(parser, kind, &limits, false);
    return http1_parse(parser, text, strlen(text), ret_done, &why);
}

/* The HTTP status with which a request is refused; 0 when accepted, -1 when more is wanted. */
static int refusal(const char *text)
{
    struct http1 parser;
    bool done;

    if (parse(&parser, HTTP1_REQUEST, text, &done) != ERR_NONE)
        return parser.refusal_status;
    return done ? 0 : -1;
}

static bool field_is(const struct http1 *parser, size_t index, const char *name, const char *value)
{
    return index < parser->head.fields_count &&
           str_eq(http_span_str(&parser->head, parser->head.names[index]), str_of(name)) &&
           str_eq(http_span_str(&parser->head, parser->head.values[index]), str_of(value));
}

static const char ordinary[] = "POST /a/b?c=d HTTP/1.1\r\n"
                               "Host: example.org\r\n"
                               "Content-Length:  5 \t\r\n"
                               "X-Empty:\r\n"
                               "\r\n";

static void expect_ordinary(const struct http1 *parser)
{
    EXPECT(parser->head.method == HTTP_POST);
    EXPECT(parser->head.version == HTTP_1_1);
    EXPECT(str_eq(http_span_str(&parser->head, parser->head.target), STR("/a/b?c=d")));
    EXPECT(parser->head.fields_count == 3);
    EXPECT(field_is(parser, 0, "Host", "example.org"));
    EXPECT(field_is(parser, 1, "Content-Length", "5"));
    EXPECT(field_is(parser, 2, "X-Empty", ""));
    EXPECT(parser->framing == HTTP1_BODY_LENGTH);
    EXPECT(parser->content_length == 5);
    EXPECT(parser->keep_alive);
    EXPECT(parser->head_bytes == sizeof(ordinary) - 1);
}

TEST(a_request_is_read_whole)
{
    struct http1 parser;
    bool done = false;

    EXPECT(parse(&parser, HTTP1_REQUEST, ordinary, &done) == ERR_NONE);
    ASSERT(done);
    expect_ordinary(&parser);
}

TEST(a_request_is_read_byte_by_byte_while_its_memory_moves)
{
    struct http1 parser;
    char *copy = NULL;
    bool done = false;
    struct why why = WHY_INIT;

    http1_init(&parser, HTTP1_REQUEST, &limits, false);
    for (size_t size = 1; size < sizeof(ordinary); size++) {
        char *moved = malloc(size); /* Exactly as long: an overrun is seen by ASan. */
        memcpy(moved, ordinary, size);
        free(copy);
        copy = moved;
        ASSERT(!done);
        ASSERT(http1_parse(&parser, copy, size, &done, &why) == ERR_NONE);
    }
    ASSERT(done);
    expect_ordinary(&parser);
    free(copy);
}

TEST(bytes_behind_the_head_are_left_alone)
{
    struct http1 parser;
    bool done;

    EXPECT(parse(&parser, HTTP1_REQUEST,
                 "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\n\x01", &done) == ERR_NONE);
    EXPECT(done);
    EXPECT(parser.head_bytes == 27);
}

TEST(empty_lines_before_a_request_are_skipped)
{
    EXPECT(refusal("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
}

TEST(keep_alive_follows_version_and_connection)
{
    static const struct {
        const char *text;
        bool keep_alive;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct http1 parser;
        bool done = false;
        EXPECT(parse(&parser, HTTP1_REQUEST, rows[i].text, &done) == ERR_NONE && done);
        EXPECT(parser.keep_alive == rows[i].keep_alive);
    }
}

TEST(what_could_be_read_in_two_ways_is_refused)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        /* Smuggling: how long is the body? */
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
              "Transfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
              "Content-Length: 5\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
              "Transfer-Encoding: chunked\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0b"
              "chunked\r\n\r\n"},
        {400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n"},
        /* Lines: where does one end? */
        {400, "GET / HTTP/1.1\nHost: a\n\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tfolded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"},
        /* The request line. */
        {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
        {400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\r\n\r\n"},
        {400, "GET\r\n\r\n"},
        {400, "G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"},
        /* Fields. */
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX\x01Y: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: a long value with a \x7f in it\r\n\r\n"},
        {417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\n\r\n"},
        /* TLS to a plain port. */
        {400, "\x16\x03\x01\x02\n"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int status = refusal(rows[i].text);
        if (status != rows[i].status)
            printf("# row %zu: %d instead of %d: %.60s\n", i, status, rows[i].status, rows[i].text);
        EXPECT(status == rows[i].status);
    }
}

TEST(every_control_character_in_a_value_is_found_wherever_it_stands)
{
    struct str clean = STR("GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789abcdef0123456\r\n\r\n");
    size_t start = (size_t)str_find_str(clean, STR("0123"));

    for (int byte = 0; byte < 256; byte++) {
        for (size_t at = 1; at < 22; at++) { /* Not the ends, where tab and space are trimmed. */
            struct http1 parser;
            struct why why = WHY_INIT;
            char text[128];
            bool done;
            memcpy(text, clean.data, clean.size);
            text[start + at] = (char)byte;
            http1_init(&parser, HTTP1_REQUEST, &limits, false);
            enum err err = http1_parse(&parser, text, clean.size, &done, &why);
            bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
            EXPECT((err != ERR_NONE) == is_control);
        }
    }
}

TEST(heads_are_bounded_in_bytes_and_fields)
{
    struct buf text = {0};
    struct http1 parser;
    struct why why = WHY_INIT;
    bool done;

    buf_text(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 8; i++)
        buf_printf(&text, "X-%d: y\r\n", i);
    EXPECT(refusal(buf_cstr(&text)) == 431);
    buf_clear(&text);
    buf_text(&text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    while (text.size < limits.head_bytes_max)
        buf_byte(&text, 'x');
    EXPECT(refusal(buf_cstr(&text)) == 431);
    buf_clear(&text);
    buf_text(&text, "GET /");
    while (text.size < limits.head_bytes_max)
        buf_byte(&text, 'x');
    EXPECT(refusal(buf_cstr(&text)) == 414);
    http1_init(&parser, HTTP1_REQUEST, &limits, false);
    EXPECT(http1_parse(&parser, text.data, text.size, &done, &why) == ERR_TOO_LARGE);
    EXPECT(why.position == (int32_t)limits.head_bytes_max);
    buf_done(&text);
}

TEST(errors_name_their_place)
{
    struct http1 parser;
    struct why why = WHY_INIT;
    bool done;
    struct str text = STR("GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n");

    http1_init(&parser, HTTP1_REQUEST, &limits, false);
    EXPECT(http1_parse(&parser, text.data, text.size, &done, &why) == ERR_INVALID);
    EXPECT(why.position == 28);
    EXPECT_TEXT(why.text, "a field is a name directly followed by a colon");
}

/* ---- Responses. ---- */

TEST(responses_tell_how_long_their_body_is)
{
    static const struct {
        enum http1_framing framing;
        bool keep_alive;
        const char *text;
    } rows[] = {
        {HTTP1_BODY_LENGTH, true, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"},
        {HTTP1_BODY_LENGTH, true, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"},
        {HTTP1_BODY_CHUNKED, true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {HTTP1_BODY_NONE, true, "HTTP/1.1 204 No Content\r\n\r\n"},
        {HTTP1_BODY_NONE, true, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"},
        {HTTP1_BODY_NONE, true, "HTTP/1.1 100 Continue\r\n\r\n"},
        {HTTP1_BODY_UNTIL_CLOSE, false, "HTTP/1.1 200 OK\r\n\r\n"},
        {HTTP1_BODY_UNTIL_CLOSE, false, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct http1 parser;
        bool done = false;
        EXPECT(parse(&parser, HTTP1_RESPONSE, rows[i].text, &done) == ERR_NONE && done);
        EXPECT(parser.framing == rows[i].framing);
        EXPECT(parser.keep_alive == rows[i].keep_alive);
    }
}

TEST(the_answer_to_head_has_no_body)
{
    struct http1 parser;
    struct why why = WHY_INIT;
    struct str text = STR("HTTP/1.1 200 Fine with me\r\nContent-Length: 300\r\n\r\n");
    bool done;

    http1_init(&parser, HTTP1_RESPONSE, &limits, true);
    EXPECT(http1_parse(&parser, text.data, text.size, &done, &why) == ERR_NONE && done);
    EXPECT(parser.framing == HTTP1_BODY_NONE);
    EXPECT(parser.head.status == 200);
    EXPECT(str_eq(http_span_str(&parser.head, parser.head.reason), STR("Fine with me")));
}

TEST(broken_status_lines_are_refused)
{
    static const char *const rows[] = {
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1 099 No\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct http1 parser;
        bool done;
        EXPECT(parse(&parser, HTTP1_RESPONSE, rows[i], &done) != ERR_NONE);
    }
}

/* ---- Chunked bodies. ---- */

/* Decodes text fed in pieces of `step` bytes; true when it ended in order. */
static bool dechunk(const char *text, size_t size, size_t step, struct buf *body, size_t *ret_used)
{
    struct http1_chunked chunked;
    struct why why = WHY_INIT;
    size_t at = 0;
    bool done = false;

    http1_chunked_init(&chunked);
    buf_clear(body);
    while (at < size && !done) {
        size_t end = at + step < size ? at + step : size;
        while (at < end && !done) {
            struct str piece;
            size_t used;
            if (http1_chunked_next(&chunked, (struct str){text + at, end - at}, &used, &piece,
                                   &done, &why) != ERR_NONE)
                return false;
            buf_str(body, piece);
            at += used;
        }
    }
    *ret_used = at;
    return done;
}

TEST(chunked_bodies_are_the_same_however_they_are_cut)
{
    static const char text[] = "4\r\nWiki\r\n5;name=value\r\npedia\r\nE \r\n in\r\n\r\nchunks.\r\n"
                               "000\r\nTrailer: x\r\nOther: y\r\n\r\nrest";
    struct buf body = {0};
    size_t used;

    for (size_t step = 1; step < sizeof(text); step++) {
        EXPECT(dechunk(text, sizeof(text) - 1, step, &body, &used));
        EXPECT(str_eq(buf_view(&body), STR("Wikipedia in\r\n\r\nchunks.")));
        EXPECT(used == sizeof(text) - 1 - 4);
    }
    buf_done(&body);
}

TEST(broken_chunks_are_refused)
{
    static const char *const rows[] = {
        "\r\n",
        "x\r\n",
        ";\r\n",
        "-1\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "1\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\na\r0\r\n\r\n",
        "1000000000000000\r\n",
        "ffffffffffffffffff\r\n",
        "1;a\x01\r\na\r\n0\r\n\r\n",
        "1\r\na\r\n0\r\n folded\r\n\r\n",
        "1\r\na\r\n0\r\nT: \x01\r\n\r\n",
        "1\r\na\r\n0\r\n\rx",
    };
    struct buf body = {0};
    size_t used;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool fine = dechunk(rows[i], strlen(rows[i]), 64, &body, &used);
        if (fine)
            printf("# row %zu passed\n", i);
        EXPECT(!fine);
    }
    buf_done(&body);
}

TEST(chunk_extensions_and_trailers_are_bounded)
{
    struct buf text = {0}, body = {0};
    size_t used;

    buf_text(&text, "1;");
    for (int i = 0; i < HTTP1_CHUNK_LINE_MAX; i++)
        buf_byte(&text, 'e');
    buf_text(&text, "\r\na\r\n0\r\n\r\n");
    EXPECT(!dechunk(text.data, text.size, 64, &body, &used));
    buf_clear(&text);
    buf_text(&text, "0\r\n");
    for (int i = 0; i < HTTP1_TRAILER_BYTES_MAX / 7 + 1; i++)
        buf_text(&text, "abc: d\r\n");
    buf_text(&text, "\r\n");
    EXPECT(!dechunk(text.data, text.size, 64, &body, &used));
    buf_done(&text);
    buf_done(&body);
}

TEST_MAIN
