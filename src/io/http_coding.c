/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http_coding.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    PIECE_BYTES = 65536,
    GZIP_WINDOW = 15 + 16,
    ZLIB_WINDOW = 15,
    RAW_WINDOW = -15,
    GZIP_LEVEL = 1,
    GZIP_MEMORY = 8,
    ZSTD_WINDOW_LOG_MAX = 24, /* 16 MiB: more than any encoder's ordinary levels ask for. */
};

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_DEFLATE, CODING_ZSTD, CODING_UNKNOWN };

static enum coding coding_of(struct str name)
{
    static const struct {
        struct str name;
        enum coding coding;
    } rows[] = {
        {{"gzip", 4}, CODING_GZIP},         {{"x-gzip", 6}, CODING_GZIP},
        {{"deflate", 7}, CODING_DEFLATE},   {{"zstd", 4}, CODING_ZSTD},
        {{"identity", 8}, CODING_IDENTITY},
    };

    if (name.size == 0)
        return CODING_IDENTITY;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (str_eq_nocase(name, rows[i].name))
            return rows[i].coding;
    }
    return CODING_UNKNOWN;
}

bool http_coding_is_known(struct str coding)
{
    return coding_of(coding) != CODING_UNKNOWN;
}

static enum err refuse_size(size_t bytes_max, struct why *why)
{
    return fail(why, ERR_TOO_LARGE, "the body is more than %zu bytes after decompression",
                bytes_max);
}

/* Room for the next piece of output, one byte more than allowed, so that excess is seen. */
static size_t make_room(struct buf *out, size_t bytes_max)
{
    size_t left = bytes_max - out->size + 1;
    size_t room = left < PIECE_BYTES ? left : PIECE_BYTES;

    (void)buf_reserve(out, room); /* The address is out->data + out->size. */
    return room;
}

/* ---- gzip and deflate. ---- */

/* Some call deflate what has no zlib header. */
static int deflate_window(struct str body)
{
    if (body.size < 2)
        return ZLIB_WINDOW;
    unsigned first = (uint8_t)body.data[0];
    unsigned second = (uint8_t)body.data[1];
    return (first & 0x0f) == 8 && (first * 256 + second) % 31 == 0 ? ZLIB_WINDOW : RAW_WINDOW;
}

static enum err inflate_all(z_stream *stream, size_t bytes_max, bool many, struct buf *out,
                            struct why *why)
{
    for (;;) {
        size_t room = make_room(out, bytes_max);
        stream->next_out = (Bytef *)out->data + out->size;
        stream->avail_out = (uInt)room;
        int result = inflate(stream, Z_NO_FLUSH);
        out->size += room - stream->avail_out;
        if (out->size > bytes_max)
            return refuse_size(bytes_max, why);
        if (result == Z_STREAM_END) {
            if (stream->avail_in == 0)
                return ERR_NONE;
            if (!many || inflateReset(stream) != Z_OK)
                return fail(why, ERR_INVALID, "the compressed body is followed by other bytes");
            continue;
        }
        if (result == Z_BUF_ERROR ||
            (result == Z_OK && stream->avail_in == 0 && stream->avail_out > 0))
            return fail(why, ERR_INVALID, "the compressed body is cut short");
        if (result != Z_OK)
            return fail(why, ERR_INVALID, "the compressed body is broken: %s",
                        stream->msg == NULL ? "bad data" : stream->msg);
    }
}

static enum err decode_zlib(struct str body, int window, size_t bytes_max, struct buf *out,
                            struct why *why)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)body.data, .avail_in = (uInt)body.size};

    if (body.size > UINT32_MAX)
        return refuse_size(bytes_max, why);
    if (inflateInit2(&stream, window) != Z_OK)
        must_memory(body.size);
    enum err err = inflate_all(&stream, bytes_max, window == GZIP_WINDOW, out, why);
    (void)inflateEnd(&stream); /* Only frees. */
    return err;
}

/* ---- zstd. ---- */

static enum err zstd_all(ZSTD_DCtx *context, struct str body, size_t bytes_max, struct buf *out,
                         struct why *why)
{
    ZSTD_inBuffer in = {body.data, body.size, 0};
    size_t left = 1;

    while (in.pos < in.size || left > 0) {
        size_t before = in.pos;
        size_t room = make_room(out, bytes_max);
        ZSTD_outBuffer piece = {out->data + out->size, room, 0};
        left = ZSTD_decompressStream(context, &piece, &in);
        if (ZSTD_isError(left))
            return fail(why, ERR_INVALID, "the compressed body is broken: %s",
                        ZSTD_getErrorName(left));
        out->size += piece.pos;
        if (out->size > bytes_max)
            return refuse_size(bytes_max, why);
        if (left > 0 && in.pos == in.size && piece.pos < room && in.pos == before)
            return fail(why, ERR_INVALID, "the compressed body is cut short");
    }
    return ERR_NONE;
}

static enum err decode_zstd(struct str body, size_t bytes_max, struct buf *out, struct why *why)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();

    if (context == NULL)
        must_memory(body.size);
    size_t result = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    MUST(!ZSTD_isError(result));
    enum err err = zstd_all(context, body, bytes_max, out, why);
    ZSTD_freeDCtx(context);
    return err;
}

enum err http_decode_body(struct str coding, struct str body, size_t bytes_max,
                          struct buf *ret_body, struct why *why)
{
    struct buf out = {0};
    enum err err = ERR_NONE;

    switch (coding_of(coding)) {
    case CODING_IDENTITY:
        if (body.size > bytes_max)
            err = fail(why, ERR_TOO_LARGE, "the body is more than %zu bytes", bytes_max);
        else
            buf_str(&out, body);
        break;
    case CODING_GZIP:
        err = decode_zlib(body, GZIP_WINDOW, bytes_max, &out, why);
        break;
    case CODING_DEFLATE:
        err = decode_zlib(body, deflate_window(body), bytes_max, &out, why);
        break;
    case CODING_ZSTD:
        err = decode_zstd(body, bytes_max, &out, why);
        break;
    case CODING_UNKNOWN:
        err = fail(why, ERR_UNSUPPORTED, "the Content-Encoding '%.*s' is not understood here",
                   STR_ARG(coding));
        hint(why, "send gzip, deflate, zstd or no encoding");
        break;
    }
    if (err != ERR_NONE) {
        buf_done(&out);
        return err;
    }
    *ret_body = out;
    return ERR_NONE;
}

/* ---- Compressing. ---- */

struct http_gzip {
    z_stream stream;
};

struct http_gzip *http_gzip_new(void)
{
    struct http_gzip *gzip = calloc(1, sizeof(*gzip));

    if (gzip == NULL || deflateInit2(&gzip->stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW,
                                     GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        must_memory(sizeof(*gzip));
    return gzip;
}

struct http_gzip *http_gzip_free(struct http_gzip *gzip)
{
    if (gzip != NULL) {
        (void)deflateEnd(&gzip->stream); /* Only frees. */
        free(gzip);
    }
    return NULL;
}

void http_gzip_compress(struct http_gzip *gzip, struct str plain, struct buf *out)
{
    z_stream *stream = &gzip->stream;

    MUST(plain.size <= UINT32_MAX / 2);
    MUST(deflateReset(stream) == Z_OK);
    size_t room = deflateBound(stream, plain.size);
    stream->next_in = (Bytef *)(uintptr_t)plain.data;
    stream->avail_in = (uInt)plain.size;
    stream->next_out = (Bytef *)buf_reserve(out, room);
    stream->avail_out = (uInt)room;
    /* One call does it: there is room for the worst case. */
    MUST(deflate(stream, Z_FINISH) == Z_STREAM_END);
    out->size += room - stream->avail_out;
}
