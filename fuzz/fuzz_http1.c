/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a message whole and in pieces and demands the same result: status, spans, body. The first
 * byte chooses: bit 0 request or response, bits 1…7 the size of the pieces. */
#include "base/arena.h"
#include "base/buf.h"
#include "io/http1.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http1_limits limits = {.head_bytes_max = 4096, .fields_max = 20};

struct outcome {
    struct http1 parser;
    enum err err;
    bool done;
};

/* Each call sees a copy of exactly as many bytes as have "arrived". */
static void read_head(struct outcome *outcome, enum http1_kind kind, struct str message,
                      size_t step)
{
    struct why why = WHY_INIT;
    size_t size = 0;

    http1_init(&outcome->parser, kind, &limits, false);
    outcome->err = ERR_NONE;
    outcome->done = false;
    while (size < message.size && outcome->err == ERR_NONE && !outcome->done) {
        size = message.size - size > step ? size + step : message.size;
        char *copy = malloc(size);
        MUST(copy != NULL);
        memcpy(copy, message.data, size);
        outcome->err = http1_parse(&outcome->parser, copy, size, &outcome->done, &why);
        MUST(outcome->err == ERR_NONE || outcome->parser.refusal_status >= 400);
        MUST(outcome->err == ERR_NONE || (why.position >= 0 && why.text[0] != '\0'));
        free(copy);
    }
}

static void check_span(const struct http1 *parser, struct http_span span)
{
    MUST((size_t)span.offset + span.size <= parser->head_bytes);
}

static bool same_span(struct http_span a, struct http_span b)
{
    return a.offset == b.offset && a.size == b.size;
}

static void check_same(const struct outcome *whole, const struct outcome *pieces)
{
    const struct http_head *a = &whole->parser.head;
    const struct http_head *b = &pieces->parser.head;

    MUST(whole->done == pieces->done && whole->err == pieces->err);
    MUST(whole->parser.refusal_status == pieces->parser.refusal_status);
    if (!whole->done)
        return;
    MUST(whole->parser.head_bytes == pieces->parser.head_bytes);
    MUST(whole->parser.framing == pieces->parser.framing);
    MUST(whole->parser.content_length == pieces->parser.content_length);
    MUST(whole->parser.keep_alive == pieces->parser.keep_alive);
    MUST(a->fields_count == b->fields_count && a->status == b->status);
    MUST(same_span(a->target, b->target) && same_span(a->method_text, b->method_text));
    for (size_t i = 0; i < a->fields_count; i++) {
        check_span(&whole->parser, a->names[i]);
        check_span(&whole->parser, a->values[i]);
        MUST(same_span(a->names[i], b->names[i]) && same_span(a->values[i], b->values[i]));
    }
}

/* ERR_NONE with *ret_done, or an error; the body in *body. */
static enum err read_chunked(struct str data, size_t step, struct buf *body, size_t *ret_used,
                             bool *ret_done)
{
    struct http1_chunked chunked;
    size_t at = 0;

    http1_chunked_init(&chunked);
    *ret_done = false;
    while (at < data.size && !*ret_done) {
        struct str piece;
        size_t left = data.size - at;
        size_t used;
        TRY(http1_chunked_next(&chunked, (struct str){data.data + at, left < step ? left : step},
                               &used, &piece, ret_done, NULL));
        MUST(used > 0 && used <= left);
        buf_str(body, piece);
        at += used;
    }
    *ret_used = at;
    return ERR_NONE;
}

static void check_chunked(struct str data, size_t step)
{
    struct buf whole = {0}, pieces = {0};
    size_t whole_used = 0, pieces_used = 0;
    bool whole_done, pieces_done;

    enum err whole_err = read_chunked(data, data.size, &whole, &whole_used, &whole_done);
    enum err pieces_err = read_chunked(data, step, &pieces, &pieces_used, &pieces_done);
    MUST(whole_err == pieces_err && whole_done == pieces_done && whole_used == pieces_used);
    MUST(str_eq(buf_view(&whole), buf_view(&pieces)));
    MUST(whole.size <= data.size);
    buf_done(&whole);
    buf_done(&pieces);
}

/* What comes out of a target is as the handlers are promised. */
static void check_target(struct str target)
{
    struct arena *arena = arena_new(1 << 20);
    struct http_header *params;
    struct str path, query;
    size_t count;

    if (http_target_split(target, arena, &path, &query, NULL) == ERR_NONE) {
        MUST(path.size > 0 && (path.data[0] == '/' || str_eq(path, STR("*"))));
        MUST(memchr(path.data, '\0', path.size) == NULL);
        MUST(memchr(path.data, '\\', path.size) == NULL);
        MUST(str_find_str(path, STR("/../")) < 0 && !str_ends(path, STR("/..")));
        if (http_params_parse(query, 50, arena, &params, &count, NULL) == ERR_NONE)
            MUST(count <= 50);
    }
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;

    if (size < 2)
        return 0;
    enum http1_kind kind = (data[0] & 1) == 0 ? HTTP1_REQUEST : HTTP1_RESPONSE;
    size_t step = (size_t)(data[0] >> 1) + 1;
    struct str message = {(const char *)data + 1, size - 1};
    read_head(&whole, kind, message, message.size);
    read_head(&pieces, kind, message, step);
    check_same(&whole, &pieces);
    if (whole.done) {
        size_t head = whole.parser.head_bytes;
        MUST(head <= message.size);
        check_chunked((struct str){message.data + head, message.size - head}, step);
    }
    check_chunked(message, step);
    if (whole.done && kind == HTTP1_REQUEST) {
        struct http_span target = whole.parser.head.target;
        check_target((struct str){message.data + target.offset, target.size});
    }
    return 0;
}
