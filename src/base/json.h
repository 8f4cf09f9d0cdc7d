/* SPDX-License-Identifier: Apache-2.0 */
/* json - writes JSON into a buf. Any thread.
 *
 * The words that need quoting and numbering pass here; the punctuation between them is written
 * where it can be seen, or by the writer below, which places commas by itself. Reading is done
 * with jansson in codec/json_tree. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

void json_str(struct buf *out, struct str text); /* Quoted; invalid UTF-8 becomes U+FFFD. */
void json_double(struct buf *out, double value); /* A number; NaN and infinities become null. */
void json_i64(struct buf *out, int64_t value);
void json_u64(struct buf *out, uint64_t value);
void json_bool(struct buf *out, bool value);

/* A writer that knows when a comma is due:
 *     struct json json = json_begin(&buf);
 *     json_open(&json, '{'); json_put_str(&json, "name", name); json_close(&json, '}');
 */
struct json {
    struct buf *out;
    bool comma; /* One is due before the next value or key. */
};

static inline struct json json_begin(struct buf *out)
{
    return (struct json){.out = out};
}

void json_open(struct json *json, char bracket);  /* '{' or '['. */
void json_close(struct json *json, char bracket); /* '}' or ']'. */
void json_key(struct json *json, const char *key);
void json_key_str(struct json *json, struct str key);
void json_add_str(struct json *json, struct str text);
void json_add_text(struct json *json, const char *text); /* NULL becomes null. */
void json_add_double(struct json *json, double value);
void json_add_i64(struct json *json, int64_t value);
void json_add_u64(struct json *json, uint64_t value);
void json_add_bool(struct json *json, bool value);
void json_add_null(struct json *json);
void json_add_raw(struct json *json, struct str value); /* Already JSON. */

/* A key and its value. */
void json_put_str(struct json *json, const char *key, struct str text);
void json_put_text(struct json *json, const char *key, const char *text);
void json_put_double(struct json *json, const char *key, double value);
void json_put_i64(struct json *json, const char *key, int64_t value);
void json_put_u64(struct json *json, const char *key, uint64_t value);
void json_put_bool(struct json *json, const char *key, bool value);
