/* SPDX-License-Identifier: Apache-2.0 */
/* An event is one line: "data: {…}" of server-sent events, or a JSON text by itself. What its
 * values mean follows from where they stand, so one table, stream.def, serves all
 * formats.
 *
 * The table is asked for every value of an event, thousands of times a second: the size of its key
 * alone rules out nearly all, and what is left meets few rows. And an event that is the last one
 * but for its token's text means what that one meant. */
#include "load/stream.h"

#include "codec/json_walk.h"

enum meaning {
    MEANS_TOKEN, /* A text that is not empty is a token chunk. */
    MEANS_IN,
    MEANS_CACHED, /* Of those in. */
    MEANS_BESIDE, /* In, but not counted there: Anthropic's cache. */
    MEANS_BESIDE_CACHED,
    MEANS_OUT,
    MEANS_END,    /* true */
    MEANS_FINISH, /* Any text. */
    MEANS_TYPE,
    MEANS_ERROR, /* Anything but null. */
};

enum { PATH_DEPTH_MAX = 7, KEY_BYTES_MAX = 63, EVENT_BYTES_MAX = 4096 /* To be remembered. */ };

struct row {
    enum meaning meaning;
    unsigned depth;
    struct str key;
    struct str path[PATH_DEPTH_MAX]; /* Above the key. */
};

#define S(literal)                      \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    }

static const struct row rows[] = {
#define ROW(meaning, depth, key, ...) {meaning, depth, S(key), {__VA_ARGS__}},
#include "load/stream.def"
#undef ROW
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* Some keys have the same size. */
/* Keys of which size there are at a depth: most keys of an event are of none. */
static const bool has_size[PATH_DEPTH_MAX + 1][KEY_BYTES_MAX + 1] = {
#define ROW(meaning, depth, key, ...) [depth][sizeof(key) - 1] = true,
#include "load/stream.def"
#undef ROW
};
#pragma GCC diagnostic pop

void stream_done(struct stream *stream)
{
    buf_done(&stream->line);
    buf_done(&stream->event);
    *stream = (struct stream){0};
}

void stream_begin(struct stream *stream)
{
    struct buf line = stream->line;
    struct buf event = stream->event;

    buf_clear(&line);
    buf_clear(&event);
    *stream = (struct stream){.line = line, .event = event};
}

static bool is_at(const struct row *row, const struct json_walk *walk)
{
    for (unsigned i = row->depth - 1; i-- > 0;) {
        const struct json_walk_level *level = &walk->levels[i];
        bool any = row->path[i].size == 1 && row->path[i].data[0] == '#';
        if (any ? level->is_map : !level->is_map || !str_eq(level->key, row->path[i]))
            return false;
    }
    return true;
}

static const struct row *row_of(const struct json_walk *walk, unsigned depth)
{
    if (depth == 0 || depth > PATH_DEPTH_MAX || !walk->levels[depth - 1].is_map)
        return NULL;
    struct str key = walk->levels[depth - 1].key;
    if (key.size > KEY_BYTES_MAX || !has_size[depth][key.size])
        return NULL;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        if (row->depth == depth && str_eq(row->key, key) && is_at(row, walk))
            return row;
    }
    return NULL;
}

static void heed_type(struct stream *stream, struct str type)
{
    if (str_eq(type, STR("message_stop")) || str_eq(type, STR("response.completed")) ||
        str_eq(type, STR("response.incomplete")))
        stream->ended = true;
    else if (str_eq(type, STR("error")) || str_eq(type, STR("response.failed")))
        stream->failed = true;
}

static void heed_number(struct stream *stream, enum meaning meaning, struct str value)
{
    uint64_t number;

    if (!str_to_u64(value, &number) || number > UINT32_MAX)
        return;
    switch (meaning) {
    case MEANS_IN:
        stream->tokens_in = number;
        return;
    case MEANS_CACHED:
        stream->tokens_cached = number;
        return;
    case MEANS_BESIDE:
        stream->tokens_beside = number;
        return;
    case MEANS_BESIDE_CACHED:
        stream->tokens_beside_cached = number;
        return;
    case MEANS_OUT:
        stream->tokens_out = number;
        stream->told = true;
        return;
    default:
        return;
    }
}

/* Returns whether the value is a token chunk. */
static bool heed(struct stream *stream, const struct row *row, enum json_walk_kind kind,
                 struct str value)
{
    switch (row->meaning) {
    case MEANS_TOKEN:
        return kind == JSON_WALK_TEXT && value.size > 0;
    case MEANS_TYPE:
        if (kind == JSON_WALK_TEXT)
            heed_type(stream, value);
        return false;
    case MEANS_FINISH:
        stream->ended = stream->ended || kind == JSON_WALK_TEXT;
        return false;
    case MEANS_END:
        stream->ended = stream->ended || str_eq(value, STR("true"));
        return false;
    case MEANS_ERROR:
        stream->failed = stream->failed || kind != JSON_WALK_WORD;
        return false;
    default:
        if (kind == JSON_WALK_NUMBER)
            heed_number(stream, row->meaning, value);
        return false;
    }
}

/* Is it the last event with another token? A text without a quote inside, and without a backslash
 * before the one that ends it, is one text to any reader, so all else stands where it stood. */
static bool is_alike(const struct stream *stream, struct str json)
{
    const char *known = (const char *)stream->event.data;
    size_t around = stream->before + stream->after;

    if (stream->event.size == 0 || json.size <= around)
        return false;
    struct str token = {json.data + stream->before, json.size - around};
    return memcmp(json.data, known, stream->before) == 0 &&
           memcmp(token.data + token.size, known + stream->event.size - stream->after,
                  stream->after) == 0 &&
           memchr(token.data, '"', token.size) == NULL && token.data[token.size - 1] != '\\';
}

static void remember(struct stream *stream, struct str json, struct str token)
{
    buf_clear(&stream->event);
    if (token.size == 0 || json.size > EVENT_BYTES_MAX)
        return;
    buf_str(&stream->event, json);
    stream->before = (size_t)(token.data - json.data);
    stream->after = json.size - stream->before - token.size;
}

/* Its token, the first of several; empty: none. */
static struct str read_event(struct stream *stream, struct str json)
{
    struct json_walk walk = json_walk_begin(json);
    struct str token = STR_NONE;
    struct str value;

    for (;;) {
        enum json_walk_kind kind = json_walk_next(&walk, &value);
        if (kind == JSON_WALK_END || kind == JSON_WALK_BROKEN)
            break;
        if (kind == JSON_WALK_CLOSE)
            continue;
        bool opens = kind == JSON_WALK_MAP || kind == JSON_WALK_LIST;
        const struct row *row = row_of(&walk, walk.depth - opens);
        if (row != NULL && heed(stream, row, kind, value) && token.size == 0)
            token = value;
    }
    remember(stream, json, token);
    return token;
}

static void take_event(struct stream *stream, struct str json, int64_t now_ns,
                       struct histogram *gaps)
{
    if (!is_alike(stream, json) && read_event(stream, json).size == 0)
        return;
    if (stream->chunks++ == 0)
        stream->first_ns = now_ns;
    else if (gaps != NULL)
        histogram_add(gaps, now_ns - stream->last_ns);
    stream->last_ns = now_ns;
}

static void read_line(struct stream *stream, struct str line, int64_t now_ns,
                      struct histogram *gaps)
{
    line = str_trim(line);
    if (line.size > 5 && memcmp(line.data, "data:", 5) == 0)
        line = str_trim((struct str){line.data + 5, line.size - 5});
    if (line.size == 0)
        return;
    if (line.data[0] == '{')
        take_event(stream, line, now_ns, gaps);
    else if (str_eq(line, STR("[DONE]")))
        stream->ended = true;
}

bool stream_feed(struct stream *stream, struct str bytes, int64_t now_ns, struct histogram *gaps)
{
    while (bytes.size > 0) {
        const char *end = memchr(bytes.data, '\n', bytes.size);
        size_t size = end == NULL ? bytes.size : (size_t)(end - bytes.data);
        struct str piece = {bytes.data, size};
        if (stream->line.size + size > STREAM_LINE_BYTES_MAX)
            return false;
        if (end == NULL) {
            buf_str(&stream->line, piece);
            return true;
        }
        if (stream->line.size == 0) {
            read_line(stream, piece, now_ns, gaps);
        } else {
            buf_str(&stream->line, piece);
            read_line(stream, buf_view(&stream->line), now_ns, gaps);
            buf_clear(&stream->line);
        }
        bytes = (struct str){end + 1, bytes.size - size - 1};
    }
    return true;
}

void stream_finish(struct stream *stream, int64_t now_ns, struct histogram *gaps)
{
    if (stream->line.size == 0)
        return;
    read_line(stream, buf_view(&stream->line), now_ns, gaps);
    buf_clear(&stream->line);
}

uint64_t stream_tokens_in(const struct stream *stream)
{
    return stream->tokens_in + stream->tokens_beside + stream->tokens_beside_cached;
}

uint64_t stream_tokens_cached(const struct stream *stream)
{
    return stream->tokens_cached + stream->tokens_beside_cached;
}

uint64_t stream_tokens(const struct stream *stream)
{
    return stream->told ? stream->tokens_out : stream->chunks;
}
