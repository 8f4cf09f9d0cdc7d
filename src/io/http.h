/* SPDX-License-Identifier: Apache-2.0 */
/* http - the words of HTTP that every version shares: heads, fields, targets, media types.
 *
 * Pure functions on borrowed bytes; any thread. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

enum http_method {
    HTTP_METHOD_OTHER, /* See the text: exchange_method_text. */
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_CONNECT,
    HTTP_TRACE,
};

enum http_version { HTTP_1_0 = 10, HTTP_1_1 = 11, HTTP_2 = 20 };

struct http_header {
    struct str name; /* Compared without case; sent in lower case over HTTP/2. */
    struct str value;
};

/* Heads are at most 64 KiB and hold at most this many fields, whatever the limits say. */
#define HTTP_HEAD_BYTES_MAX 65535
#define HTTP_FIELDS_MAX     128

/* A piece of a head, as an offset from its base: the bytes may move, the spans stay. */
struct http_span {
    uint16_t offset;
    uint16_t size;
};

struct http_head {
    const char *base;
    struct http_span method_text;
    struct http_span target; /* As it came, still percent-encoded. */
    struct http_span reason; /* Of a response. */
    uint16_t status;         /* Of a response. */
    uint16_t fields_count;
    uint8_t version; /* enum http_version */
    uint8_t method;  /* enum http_method */
    struct http_span names[HTTP_FIELDS_MAX];
    struct http_span values[HTTP_FIELDS_MAX];
};

static inline struct str http_span_str(const struct http_head *head, struct http_span span)
{
    return (struct str){head->base + span.offset, span.size};
}

/* The first field of that name (any case), or STR_NONE. */
struct str http_head_get(const struct http_head *head, struct str name);
/* Does a field that is a comma-separated list (Connection, Upgrade …) name the token? */
bool http_head_has_token(const struct http_head *head, struct str name, struct str token);

enum http_method http_method_of(struct str text);
const char *http_reason(int status); /* "Not Found"; "" for a status without a name. */

/* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL. */
#define HTTP_DATE_SIZE 30
void http_date(char text[HTTP_DATE_SIZE], int64_t unix_seconds);

bool http_is_token(struct str text);
/* May the bytes be sent as a field value? No control characters, so nobody smuggles a line. */
bool http_is_field_value(struct str text);

/* Replaces %XX (and '+' by a space when plus_is_space); the result lives in the arena, or is text
 * itself when there was nothing to replace. ERR_INVALID: a bad escape, or %00. */
CHECKED enum err http_percent_decode(struct str text, bool plus_is_space, struct arena *arena,
                                     struct str *ret_text, struct why *why);

/* Cuts a request target into decoded path and raw query. Accepts origin form, absolute form and
 * "*". ERR_INVALID: not one of these, bad escapes, "." or ".." segments, an encoded slash or a
 * backslash: names that mean another place than they say. */
CHECKED enum err http_target_split(struct str target, struct arena *arena, struct str *ret_path,
                                   struct str *ret_query, struct why *why);

/* Decodes "a=1&b=%20&a=2" into an array in the arena. ERR_LIMIT: more than params_max. */
CHECKED enum err http_params_parse(struct str query, size_t params_max, struct arena *arena,
                                   struct http_header **ret_params, size_t *ret_count,
                                   struct why *why);

/* "text/html; charset=utf-8" is "text/html". */
bool http_media_type_is(struct str content_type, struct str media_type);
/* Is it text that compresses well? */
bool http_media_type_is_text(struct str content_type);

/* Does Accept-Encoding allow the coding ("gzip")? Heeds "*" and q=0. */
bool http_accepts_coding(struct str accept_encoding, struct str coding);

/* Does If-None-Match name the etag (weak comparison) or "*"? */
bool http_etag_matches(struct str if_none_match, struct str etag);
