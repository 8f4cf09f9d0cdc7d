/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor with a stack of levels. levels[depth - 1] is the map or list that the cursor is in, with
 * the key or index it has come to; a value is told before the cursor moves behind it. */
#include "codec/json_walk.h"

#include "base/must.h"

struct json_walk json_walk_begin(struct str text)
{
    struct json_walk walk;

    walk.at = text.data;
    walk.end = text.data + text.size;
    walk.depth = 0;
    walk.told = false;
    walk.done = false;
    return walk;
}

static void skip_space(struct json_walk *walk)
{
    while (walk->at < walk->end &&
           (*walk->at == ' ' || *walk->at == '\n' || *walk->at == '\r' || *walk->at == '\t'))
        walk->at++;
}

static enum json_walk_kind broken(struct json_walk *walk)
{
    walk->done = true;
    walk->at = walk->end;
    return JSON_WALK_BROKEN;
}

/* The cursor stands on the opening quote. */
static bool read_text(struct json_walk *walk, struct str *ret_text)
{
    const char *begin = ++walk->at;

    for (;;) {
        const char *quote = memchr(walk->at, '"', (size_t)(walk->end - walk->at));
        const char *back = quote;
        if (quote == NULL)
            return false;
        walk->at = quote + 1;
        while (back > begin && back[-1] == '\\')
            back--;
        if ((quote - back) % 2 == 0) {
            *ret_text = (struct str){begin, (size_t)(quote - begin)};
            return true;
        }
    }
}

static bool read_key(struct json_walk *walk, struct json_walk_level *level)
{
    if (walk->at == walk->end || *walk->at != '"' || !read_text(walk, &level->key))
        return false;
    skip_space(walk);
    if (walk->at == walk->end || *walk->at != ':')
        return false;
    walk->at++;
    skip_space(walk);
    return true;
}

static enum json_walk_kind open_level(struct json_walk *walk, bool is_map)
{
    if (walk->depth == JSON_WALK_DEPTH_MAX)
        return broken(walk);
    walk->levels[walk->depth++] = (struct json_walk_level){.is_map = is_map};
    walk->at++;
    walk->told = false;
    return is_map ? JSON_WALK_MAP : JSON_WALK_LIST;
}

static enum json_walk_kind read_value(struct json_walk *walk, struct str *ret_value)
{
    const char *begin = walk->at;

    walk->told = true;
    if (begin == walk->end)
        return broken(walk);
    switch (*begin) {
    case '"':
        return read_text(walk, ret_value) ? JSON_WALK_TEXT : broken(walk);
    case '{':
    case '[':
        *ret_value = (struct str){begin, 1};
        return open_level(walk, *begin == '{');
    default:
        break;
    }
    while (walk->at < walk->end && (*walk->at == '-' || *walk->at == '+' || *walk->at == '.' ||
                                    (*walk->at >= '0' && *walk->at <= '9') ||
                                    (*walk->at >= 'a' && *walk->at <= 'z') || *walk->at == 'E'))
        walk->at++;
    *ret_value = (struct str){begin, (size_t)(walk->at - begin)};
    if (*begin == '-' || (*begin >= '0' && *begin <= '9'))
        return JSON_WALK_NUMBER;
    if (str_eq(*ret_value, STR("true")) || str_eq(*ret_value, STR("false")) ||
        str_eq(*ret_value, STR("null")))
        return JSON_WALK_WORD;
    return broken(walk);
}

enum json_walk_kind json_walk_next(struct json_walk *walk, struct str *ret_value)
{
    *ret_value = STR_NONE;
    if (walk->done)
        return JSON_WALK_END;
    skip_space(walk);
    if (walk->depth == 0) {
        if (!walk->told)
            return read_value(walk, ret_value);
        walk->done = true;
        return walk->at == walk->end ? JSON_WALK_END : broken(walk);
    }
    struct json_walk_level *level = &walk->levels[walk->depth - 1];
    if (walk->at == walk->end)
        return broken(walk);
    if (*walk->at == (level->is_map ? '}' : ']')) {
        walk->at++;
        walk->depth--;
        walk->told = true;
        return JSON_WALK_CLOSE;
    }
    if (walk->told) {
        if (*walk->at != ',')
            return broken(walk);
        walk->at++;
        level->index++;
        skip_space(walk);
    }
    if (level->is_map && !read_key(walk, level))
        return broken(walk);
    return read_value(walk, ret_value);
}

/* ---- Pointers. ---- */

/* Is the escaped key what the token of a pointer names? "~1" is a slash there, "~0" a tilde. */
static bool names(struct str token, struct str key)
{
    struct buf said CLEANUP(buf_done) = {0};
    struct buf meant CLEANUP(buf_done) = {0};

    if (str_find(token, '~') < 0 && str_find(key, '\\') < 0)
        return str_eq(token, key);
    json_walk_unescape(key, &said);
    for (size_t i = 0; i < token.size; i++) {
        bool escape = token.data[i] == '~' && i + 1 < token.size &&
                      (token.data[i + 1] == '0' || token.data[i + 1] == '1');
        buf_byte(&meant, (uint8_t)(!escape ? token.data[i] : token.data[i + 1] == '1' ? '/' : '~'));
        i += escape;
    }
    return str_eq(buf_view(&said), buf_view(&meant));
}

static bool stands_at(const struct json_walk_level *level, struct str token)
{
    uint64_t index;

    if (level->is_map)
        return names(token, level->key);
    return str_to_u64(token, &index) && index == level->index;
}

/* Goes to the end of the map or list that was just opened; STR_NONE when it has none. */
static struct str rest_of_value(struct json_walk *walk, const char *begin)
{
    unsigned outside = walk->depth - 1;
    struct str value;

    for (;;) {
        enum json_walk_kind kind = json_walk_next(walk, &value);
        if (kind == JSON_WALK_BROKEN || kind == JSON_WALK_END)
            return STR_NONE;
        if (kind == JSON_WALK_CLOSE && walk->depth == outside)
            return (struct str){begin, (size_t)(walk->at - begin)};
    }
}

enum json_walk_kind json_walk_find(struct str text, struct str pointer, struct str *ret_value)
{
    struct json_walk walk = json_walk_begin(text);
    struct str rest = pointer;
    struct str value;
    struct str token;
    unsigned found = 0; /* Levels of the pointer that the cursor is within. */
    bool more = pointer.size > 0;

    *ret_value = STR_NONE;
    if (more)
        (void)str_split(&rest, '/'); /* What stands before the first slash is nothing. */
    token = more ? str_split(&rest, '/') : STR_NONE;
    for (;;) {
        enum json_walk_kind kind = json_walk_next(&walk, &value);
        bool opens = kind == JSON_WALK_MAP || kind == JSON_WALK_LIST;
        unsigned depth = walk.depth - opens;
        if (kind == JSON_WALK_BROKEN || kind == JSON_WALK_END)
            return kind;
        if (kind == JSON_WALK_CLOSE) {
            if (depth < found || depth == 0)
                return JSON_WALK_END;
            continue;
        }
        bool fits =
            depth == 0 ? found == 0 : depth == found && stands_at(&walk.levels[depth - 1], token);
        if (fits && depth > 0) {
            more = rest.data != NULL;
            token = more ? str_split(&rest, '/') : STR_NONE;
        }
        if (fits && !more) {
            *ret_value = opens ? rest_of_value(&walk, value.data) : value;
            return ret_value->data == NULL ? JSON_WALK_BROKEN : kind;
        }
        if (fits && opens)
            found++;
        else if (fits)
            return JSON_WALK_END;
        else if (opens && rest_of_value(&walk, value.data).data == NULL)
            return JSON_WALK_BROKEN;
    }
}

/* ---- Escapes. ---- */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at the front; -1: there are none. */
static int32_t read_unit(struct str text)
{
    int32_t unit = 0;

    if (text.size < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_of(text.data[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static void write_utf8(uint32_t code, struct buf *out)
{
    if (code < 0x80) {
        buf_byte(out, (uint8_t)code);
    } else if (code < 0x800) {
        buf_byte(out, (uint8_t)(0xc0 | code >> 6));
        buf_byte(out, (uint8_t)(0x80 | (code & 63)));
    } else if (code < 0x10000) {
        buf_byte(out, (uint8_t)(0xe0 | code >> 12));
        buf_byte(out, (uint8_t)(0x80 | (code >> 6 & 63)));
        buf_byte(out, (uint8_t)(0x80 | (code & 63)));
    } else {
        buf_byte(out, (uint8_t)(0xf0 | code >> 18));
        buf_byte(out, (uint8_t)(0x80 | (code >> 12 & 63)));
        buf_byte(out, (uint8_t)(0x80 | (code >> 6 & 63)));
        buf_byte(out, (uint8_t)(0x80 | (code & 63)));
    }
}

/* "\uXXXX" with the four digits at text; takes a second half along. Returns the digits used. */
static size_t unescape_unit(struct str text, struct buf *out)
{
    int32_t unit = read_unit(text);

    if (unit < 0) {
        buf_text(out, "\\u");
        return 0;
    }
    if (unit >= 0xd800 && unit < 0xdc00 && text.size >= 10 && text.data[4] == '\\' &&
        text.data[5] == 'u') {
        int32_t low = read_unit((struct str){text.data + 6, text.size - 6});
        if (low >= 0xdc00 && low < 0xe000) {
            write_utf8(0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00), out);
            return 10;
        }
    }
    write_utf8(unit >= 0xd800 && unit < 0xe000 ? 0xfffd : (uint32_t)unit, out);
    return 4;
}

void json_walk_unescape(struct str text, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\\' || i + 1 == text.size) {
            buf_byte(out, (uint8_t)text.data[i]);
            continue;
        }
        char escape = text.data[++i];
        const char *found = escape == '\0' ? NULL : strchr(from, escape);
        if (escape == 'u') {
            i += unescape_unit((struct str){text.data + i + 1, text.size - i - 1}, out);
        } else if (found != NULL) {
            buf_byte(out, (uint8_t)to[found - from]);
        } else {
            buf_byte(out, '\\');
            buf_byte(out, (uint8_t)escape);
        }
    }
}
