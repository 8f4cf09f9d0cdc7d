/* SPDX-License-Identifier: Apache-2.0 */
/* One look at each span's attributes tells what kind of call it is; its text is made, and looked up
 * among those that were met before. Then one pass from the last node to the first carries calls up
 * to the spans around them: the children of a node lie behind it, so they are done when it is. */
#include "analysis/trace_call.h"

#include "base/map.h"

#define MIXED (TRACE_NONE - 1) /* Carries several. */

/* ---- What attributes say. ---- */

enum word {
    WORD_SYSTEM,
    WORD_STATEMENT,
    WORD_ADDRESS,
    WORD_PORT,
    WORD_METHOD,
    WORD_URL,
    WORD_PATH,
    WORD_COUNT
};

/* The stable names of OpenTelemetry's conventions and those from before. */
static const struct {
    struct str key;
    enum word word;
} keys[] = {
    {{"db.system", 9}, WORD_SYSTEM},
    {{"db.system.name", 14}, WORD_SYSTEM},
    {{"db.statement", 12}, WORD_STATEMENT},
    {{"db.query.text", 13}, WORD_STATEMENT},
    {{"db.query.summary", 16}, WORD_STATEMENT},
    {{"server.address", 14}, WORD_ADDRESS},
    {{"net.peer.name", 13}, WORD_ADDRESS},
    {{"peer.service", 12}, WORD_ADDRESS},
    {{"net.peer.ip", 11}, WORD_ADDRESS},
    {{"server.port", 11}, WORD_PORT},
    {{"net.peer.port", 13}, WORD_PORT},
    {{"http.request.method", 19}, WORD_METHOD},
    {{"http.method", 11}, WORD_METHOD},
    {{"url.full", 8}, WORD_URL},
    {{"http.url", 8}, WORD_URL},
    {{"url.path", 8}, WORD_PATH},
    {{"http.target", 11}, WORD_PATH},
};

struct words {
    struct str text[WORD_COUNT];
    int64_t port; /* When it is a number. */
};

static void read_words(const struct span *span, struct words *words)
{
    *words = (struct words){.port = 0};
    for (size_t i = 0; i < span->attributes.count; i++) {
        const struct attribute *attribute = &span->attributes.items[i];
        for (size_t k = 0; k < ARRAY_COUNT(keys); k++) {
            if (!str_eq(attribute->key, keys[k].key))
                continue;
            if (attribute->value.kind == VALUE_TEXT && words->text[keys[k].word].size == 0)
                words->text[keys[k].word] = attribute->value.text;
            else if (attribute->value.kind == VALUE_INTEGER && keys[k].word == WORD_PORT)
                words->port = attribute->value.integer;
            break;
        }
    }
}

struct str trace_call_statement(const struct span *span)
{
    struct words words;

    read_words(span, &words);
    return words.text[WORD_STATEMENT].size > 0 ? words.text[WORD_STATEMENT] : STR_NONE;
}

struct str trace_call_address(const struct span *span)
{
    struct words words;

    read_words(span, &words);
    return words.text[WORD_ADDRESS].size > 0 ? words.text[WORD_ADDRESS] : STR_NONE;
}

uint64_t trace_call_hash(const struct span *span)
{
    struct words words;

    read_words(span, &words);
    uint64_t hash = str_hash(span->name, 0);
    hash = str_hash(words.text[WORD_STATEMENT], hash);
    hash = str_hash(words.text[WORD_URL], hash);
    return str_hash(words.text[WORD_PATH], hash);
}

static bool is_call(const struct span *span, const struct words *words)
{
    return words->text[WORD_SYSTEM].size > 0 || span->kind == SPAN_KIND_CLIENT ||
           span->kind == SPAN_KIND_PRODUCER;
}

/* ---- Its text. ---- */

static void write_peer(const struct words *words, struct buf *out)
{
    if (words->text[WORD_ADDRESS].size == 0)
        return;
    buf_str(out, words->text[WORD_ADDRESS]);
    if (words->port > 0)
        buf_printf(out, ":%lld", (long long)words->port);
    else if (words->text[WORD_PORT].size > 0)
        buf_printf(out, ":%.*s", STR_ARG(words->text[WORD_PORT]));
}

/* What is behind the host. */
static struct str path_of_url(struct str url)
{
    ptrdiff_t scheme = str_find_str(url, STR("://"));
    size_t from = scheme < 0 ? 0 : (size_t)scheme + 3;
    ptrdiff_t slash = str_find((struct str){url.data + from, url.size - from}, '/');

    if (slash < 0)
        return STR("/");
    from += (size_t)slash;
    return (struct str){url.data + from, url.size - from};
}

static struct str host_of_url(struct str url)
{
    if (url.size == 0)
        return STR_NONE;
    ptrdiff_t scheme = str_find_str(url, STR("://"));
    size_t from = scheme < 0 ? 0 : (size_t)scheme + 3;
    struct str rest = {url.data + from, url.size - from};

    return scheme < 0 ? STR_NONE : str_split(&rest, '/');
}

static void write_text(const struct span *span, const struct words *words, struct buf *out)
{
    struct str url = words->text[WORD_URL];
    struct str path = url.size > 0 ? path_of_url(url) : words->text[WORD_PATH];

    if (words->text[WORD_SYSTEM].size > 0 && words->text[WORD_STATEMENT].size > 0) {
        trace_statement_normalise(words->text[WORD_STATEMENT], out);
        return;
    }
    if (words->text[WORD_METHOD].size > 0 && path.size > 0) {
        buf_str(out, words->text[WORD_METHOD]);
        buf_byte(out, ' ');
        trace_path_normalise(path, out);
        return;
    }
    trace_path_normalise(span->name, out);
}

/* ---- Finding. ---- */

struct finder {
    const struct trace_tree *tree;
    struct arena *arena;
    struct trace_calls calls;
    uint32_t capacity;
    struct map by_key; /* To the index + 1, as a pointer. */
    struct buf key;
    bool is_spent;
    /* Of the last span, whose texts are often those of the next. */
    struct str last_statement;
    struct str last_name;
    const struct resource *last_resource;
    uint32_t last_call;
};

static bool make_room(struct finder *finder)
{
    struct trace_calls *calls = &finder->calls;

    if (calls->count < finder->capacity)
        return true;
    uint32_t capacity = finder->capacity == 0 ? 64 : finder->capacity * 2;
    struct trace_call *larger = ARENA_ARRAY_RAW(finder->arena, capacity, struct trace_call);
    if (larger == NULL)
        return false;
    if (calls->count > 0)
        memcpy(larger, calls->items, calls->count * sizeof(*larger));
    calls->items = larger;
    finder->capacity = capacity;
    return true;
}

static uint32_t add_call(struct finder *finder, const struct span *span, const struct words *words,
                         size_t peer_at, size_t text_at)
{
    struct str key = arena_str(finder->arena, buf_view(&finder->key));

    if (key.data == NULL || !make_room(finder)) {
        finder->is_spent = true;
        return TRACE_NONE;
    }
    finder->calls.items[finder->calls.count++] = (struct trace_call){
        .kind = words->text[WORD_SYSTEM].size > 0 ? TRACE_CALL_DATABASE : TRACE_CALL_REMOTE,
        .service = span->resource->service_name,
        .system = words->text[WORD_SYSTEM],
        .peer = {key.data + peer_at, text_at - peer_at - 1},
        .text = {key.data + text_at, key.size - text_at},
        .name = span->name,
    };
    (void)map_put(&finder->by_key, key, /* Was absent. */
                  (void *)(uintptr_t)finder->calls.count);
    return finder->calls.count - 1;
}

static uint32_t find_call(struct finder *finder, const struct span *span, const struct words *words)
{
    struct buf *key = &finder->key;

    buf_clear(key);
    buf_str(key, span->resource->service_name);
    buf_byte(key, 0);
    buf_str(key, words->text[WORD_SYSTEM]);
    buf_byte(key, 0);
    size_t peer_at = key->size;
    write_peer(words, key);
    if (key->size == peer_at)
        buf_str(key, host_of_url(words->text[WORD_URL]));
    buf_byte(key, 0);
    size_t text_at = key->size;
    write_text(span, words, key);
    uintptr_t found = (uintptr_t)map_get(&finder->by_key, buf_view(key));
    if (found != 0)
        return (uint32_t)found - 1;
    if (finder->calls.count == TRACE_CALLS_MAX)
        return TRACE_NONE;
    return add_call(finder, span, words, peer_at, text_at);
}

static bool is_same(struct str a, struct str b)
{
    return a.data == b.data && a.size == b.size;
}

static uint32_t call_of(struct finder *finder, const struct span *span)
{
    struct words words;

    read_words(span, &words);
    if (!is_call(span, &words))
        return TRACE_NONE;
    /* The store gives equal texts of a block from one place. */
    bool is_repeated = words.text[WORD_STATEMENT].size > 0 &&
                       is_same(words.text[WORD_STATEMENT], finder->last_statement) &&
                       is_same(span->name, finder->last_name) &&
                       span->resource == finder->last_resource;
    if (is_repeated)
        return finder->last_call;
    finder->last_statement = words.text[WORD_STATEMENT];
    finder->last_name = span->name;
    finder->last_resource = span->resource;
    finder->last_call = find_call(finder, span, &words);
    return finder->last_call;
}

/* A call is what it asks, not what was asked because of it. */
static void carry_up(struct trace_calls *calls, const struct trace_tree *tree)
{
    for (uint32_t i = tree->count; i-- > 1;) {
        const struct trace_node *node = &tree->nodes[i];
        uint32_t parent = node->parent;
        if (calls->carried[i] == MIXED)
            calls->carried[i] = TRACE_NONE;
        bool is_mixed = calls->carried[i] == TRACE_NONE && calls->spans[i] > 0;
        if ((calls->carried[i] == TRACE_NONE && !is_mixed) || calls->of[parent] != TRACE_NONE)
            continue;
        uint32_t *above = &calls->carried[parent];
        if (is_mixed || (*above != TRACE_NONE && *above != calls->carried[i]))
            *above = MIXED;
        else
            *above = calls->carried[i];
        calls->spans[parent] += calls->spans[i];
        calls->failed[parent] |= calls->failed[i];
    }
    if (calls->carried[0] == MIXED)
        calls->carried[0] = TRACE_NONE;
}

static bool allocate(struct finder *finder)
{
    struct trace_calls *calls = &finder->calls;
    uint32_t count = finder->tree->count;

    calls->of = ARENA_ARRAY_RAW(finder->arena, count, uint32_t);
    calls->carried = ARENA_ARRAY_RAW(finder->arena, count, uint32_t);
    calls->spans = ARENA_ARRAY(finder->arena, count, uint32_t);
    calls->failed = ARENA_ARRAY(finder->arena, count, uint8_t);
    return calls->of != NULL && calls->carried != NULL && calls->spans != NULL &&
           calls->failed != NULL;
}

enum err trace_calls_find(const struct trace_tree *tree, struct arena *arena,
                          struct trace_calls *ret_calls, struct why *why)
{
    struct finder finder = {.tree = tree, .arena = arena, .last_call = TRACE_NONE};

    finder.is_spent = !allocate(&finder);
    for (uint32_t i = 0; i < tree->count && !finder.is_spent; i++) {
        uint32_t call = i == 0 ? TRACE_NONE : call_of(&finder, tree->nodes[i].span);
        finder.calls.of[i] = call;
        finder.calls.carried[i] = call;
        finder.calls.spans[i] = call != TRACE_NONE;
        finder.calls.failed[i] = (tree->nodes[i].flags & TRACE_ERROR) != 0;
        if (call != TRACE_NONE)
            finder.calls.items[call].spans++;
    }
    map_done(&finder.by_key);
    buf_done(&finder.key);
    if (finder.is_spent)
        return arena_spent(arena, "the calls of a trace", why);
    carry_up(&finder.calls, tree);
    *ret_calls = finder.calls;
    return ERR_NONE;
}

/* ---- What it does there. ---- */

bool trace_call_writes(const struct trace_call *call)
{
    static const struct str reading[] = {
        {"SELECT", 6}, {"GET", 3},     {"HEAD", 4},   {"FETCH", 5}, {"SHOW", 4},     {"MGET", 4},
        {"HGET", 4},   {"HGETALL", 7}, {"EXISTS", 6}, {"find", 4},  {"FT.SEARCH", 9}};
    struct str rest = call->text;
    struct str first = str_split(&rest, ' ');

    for (size_t i = 0; i < ARRAY_COUNT(reading); i++) {
        if (str_eq_nocase(first, reading[i]))
            return false;
    }
    return true;
}
