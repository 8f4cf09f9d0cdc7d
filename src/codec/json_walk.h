/* SPDX-License-Identifier: Apache-2.0 */
/* json_walk - one pass over a JSON text: every value with the place it stands at, nothing copied,
 * nothing allocated. For those who want two values out of a small text, many times a second.
 *
 * Structure is checked, the spelling of numbers is not. Any thread; an object belongs to one. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

enum { JSON_WALK_DEPTH_MAX = 32 };

enum json_walk_kind {
    JSON_WALK_END,    /* All of it was seen. */
    JSON_WALK_BROKEN, /* This is no JSON, it is cut off, or too deep. */
    JSON_WALK_TEXT,
    JSON_WALK_NUMBER,
    JSON_WALK_WORD, /* true, false, null */
    JSON_WALK_MAP,  /* Its values follow, one deeper, then JSON_WALK_CLOSE. */
    JSON_WALK_LIST,
    JSON_WALK_CLOSE,
};

struct json_walk_level {
    struct str key; /* As written, without quotes; in a list STR_NONE. */
    uint32_t index; /* In its list or map. */
    bool is_map;
};

struct json_walk {
    const char *at;
    const char *end;
    unsigned depth; /* Of the value last told; levels[0 … depth) lead to it. */
    bool told;      /* The value of the level has been told. */
    bool done;
    struct json_walk_level levels[JSON_WALK_DEPTH_MAX];
};

struct json_walk json_walk_begin(struct str text);

/* The next value. *ret_value: a text without its quotes but still escaped, a number or word as
 * written; of a map or list nothing but where it begins. */
enum json_walk_kind json_walk_next(struct json_walk *walk, struct str *ret_value);

/* The value at a JSON pointer (RFC 6901: "/choices/0/name", "" is all of it): whole as it stands in
 * text, texts without quotes. JSON_WALK_END: there is none; JSON_WALK_BROKEN: text is no JSON as
 * far as it was looked at. */
enum json_walk_kind json_walk_find(struct str text, struct str pointer, struct str *ret_value);

/* Appends what an escaped text means; what is no escape stays as it is. */
void json_walk_unescape(struct str text, struct buf *out);
