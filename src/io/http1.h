/* SPDX-License-Identifier: Apache-2.0 */
/* http1 - reads HTTP/1.x messages as RFC 9112 writes them, and nothing laxer.
 *
 * Whatever two readers could understand differently is refused: folded lines, a bare CR or LF,
 * space before a colon, Content-Length twice or beside Transfer-Encoding. Bytes are not copied.
 * Feed the same growing run of bytes again and again: each line is read once, and the bytes may
 * move between calls. One thread per object. */
#pragma once
#include "base/err.h"
#include "io/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE };

enum http1_framing {
    HTTP1_BODY_NONE,
    HTTP1_BODY_LENGTH,
    HTTP1_BODY_CHUNKED,
    HTTP1_BODY_UNTIL_CLOSE, /* Responses only. */
};

struct http1_limits {
    size_t head_bytes_max; /* First line and fields; at most HTTP_HEAD_BYTES_MAX. */
    size_t fields_max;     /* At most HTTP_FIELDS_MAX. */
};

struct http1 {
    struct http_head head; /* Valid once done; its base is the data of the last call. */

    /* What the head says about the message, valid once done. */
    size_t head_bytes;
    uint64_t content_length; /* With HTTP1_BODY_LENGTH. */
    enum http1_framing framing;
    bool keep_alive;
    bool expect_continue;
    bool upgrade; /* "Connection: upgrade" was there. */

    int refusal_status; /* After an error: the HTTP status that says it best. */

    struct http1_limits limits;
    enum http1_kind kind;
    bool head_was_asked; /* Response to HEAD: no body whatever the fields say. */
    uint32_t scanned;    /* Bytes looked at. */
    uint32_t line_start; /* Of the line under way. */
    bool first_line_done;
    uint8_t hosts;
    uint8_t content_lengths;
    uint8_t transfer_encodings;
    bool connection_close;
    bool connection_keep_alive;
};

/* Ready for the next message. head_was_asked matters to responses. */
void http1_init(struct http1 *parser, enum http1_kind kind, const struct http1_limits *limits,
                bool head_was_asked);

/* data[0 … size) is all that has arrived since the start of the message. *ret_done tells whether
 * the head is complete; then data + head_bytes is the body. After an error the connection cannot
 * be understood any more: answer refusal_status and close.
 * ERR_INVALID, ERR_TOO_LARGE, ERR_UNSUPPORTED; why->position is the offset in data. */
CHECKED enum err http1_parse(struct http1 *parser, const char *data, size_t size, bool *ret_done,
                             struct why *why);

/* ---- Chunked bodies. ---- */

/* Bounds of what stands between the data: chunk extensions and trailers are read and dropped. */
#define HTTP1_CHUNK_LINE_MAX    256
#define HTTP1_TRAILER_BYTES_MAX 4096

struct http1_chunked {
    uint64_t left; /* Of the chunk under way. */
    uint32_t line_bytes;
    uint32_t trailer_bytes;
    uint8_t state;
    uint8_t digits;
};

void http1_chunked_init(struct http1_chunked *chunked);

/* Reads on in data: *ret_used bytes were taken, of which *ret_piece (maybe empty, a view into
 * data) is body. Call until *ret_done or nothing is left. ERR_INVALID: broken framing. */
CHECKED enum err http1_chunked_next(struct http1_chunked *chunked, struct str data,
                                    size_t *ret_used, struct str *ret_piece, bool *ret_done,
                                    struct why *why);
