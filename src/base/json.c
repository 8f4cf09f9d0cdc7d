/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>

static size_t plain_run(const char *at, const char *end)
{
    const char *start = at;

    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return (size_t)(at - start);
}

/* Length of the well-formed UTF-8 sequence at `at`, or 0. */
static size_t utf8_size(const char *at, const char *end)
{
    for (size_t size = 2; size <= 4 && size <= (size_t)(end - at); size++) {
        if (str_is_utf8((struct str){at, size}))
            return size;
    }
    return 0;
}

static void escape(struct buf *out, unsigned char byte)
{
    switch (byte) {
    case '"':
        buf_text(out, "\\\"");
        break;
    case '\\':
        buf_text(out, "\\\\");
        break;
    case '\n':
        buf_text(out, "\\n");
        break;
    case '\r':
        buf_text(out, "\\r");
        break;
    case '\t':
        buf_text(out, "\\t");
        break;
    default:
        buf_printf(out, "\\u%04x", byte);
    }
}

void json_str(struct buf *out, struct str text)
{
    const char *at = text.data;
    const char *end = text.data + text.size;

    buf_byte(out, '"');
    while (at < end) {
        size_t run = plain_run(at, end);
        buf_append(out, at, run);
        at += run;
        if (at == end)
            break;
        if ((unsigned char)*at < 0x80) {
            escape(out, (unsigned char)*at++);
            continue;
        }
        size_t size = utf8_size(at, end);
        if (size == 0) {
            buf_text(out, "\xEF\xBF\xBD");
            at++;
        } else {
            buf_append(out, at, size);
            at += size;
        }
    }
    buf_byte(out, '"');
}

void json_double(struct buf *out, double value)
{
    char text[STR_DOUBLE_SIZE];

    if (isfinite(value))
        buf_append(out, text, str_from_double(text, value));
    else
        buf_text(out, "null");
}

void json_i64(struct buf *out, int64_t value)
{
    buf_printf(out, "%" PRId64, value);
}

void json_u64(struct buf *out, uint64_t value)
{
    buf_printf(out, "%" PRIu64, value);
}

void json_bool(struct buf *out, bool value)
{
    buf_text(out, value ? "true" : "false");
}

static struct buf *next(struct json *json)
{
    if (json->comma)
        buf_byte(json->out, ',');
    json->comma = true;
    return json->out;
}

void json_open(struct json *json, char bracket)
{
    buf_byte(next(json), (uint8_t)bracket);
    json->comma = false;
}

void json_close(struct json *json, char bracket)
{
    buf_byte(json->out, (uint8_t)bracket);
    json->comma = true;
}

void json_key_str(struct json *json, struct str key)
{
    json_str(next(json), key);
    buf_byte(json->out, ':');
    json->comma = false;
}

void json_key(struct json *json, const char *key)
{
    json_key_str(json, str_of(key));
}

void json_add_str(struct json *json, struct str text)
{
    json_str(next(json), text);
}

void json_add_text(struct json *json, const char *text)
{
    if (text == NULL)
        json_add_null(json);
    else
        json_add_str(json, str_of(text));
}

void json_add_double(struct json *json, double value)
{
    json_double(next(json), value);
}

void json_add_i64(struct json *json, int64_t value)
{
    json_i64(next(json), value);
}

void json_add_u64(struct json *json, uint64_t value)
{
    json_u64(next(json), value);
}

void json_add_bool(struct json *json, bool value)
{
    json_bool(next(json), value);
}

void json_add_null(struct json *json)
{
    buf_text(next(json), "null");
}

void json_add_raw(struct json *json, struct str value)
{
    buf_str(next(json), value);
}

void json_put_str(struct json *json, const char *key, struct str text)
{
    json_key(json, key);
    json_add_str(json, text);
}

void json_put_text(struct json *json, const char *key, const char *text)
{
    json_key(json, key);
    json_add_text(json, text);
}

void json_put_double(struct json *json, const char *key, double value)
{
    json_key(json, key);
    json_add_double(json, value);
}

void json_put_i64(struct json *json, const char *key, int64_t value)
{
    json_key(json, key);
    json_add_i64(json, value);
}

void json_put_u64(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_add_u64(json, value);
}

void json_put_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_add_bool(json, value);
}
