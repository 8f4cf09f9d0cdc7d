/* SPDX-License-Identifier: Apache-2.0 */
/* Traces in Jaeger's words. A trace is found when one of its spans fits everything that is asked;
 * it is told whole, the newest first.
 *
 * The store looks for service, operation, durations, times and attributes; tags that exist only in
 * Jaeger's view of a span (span.kind, error, fields of logs) are looked at here, span by span, on a
 * longer list of candidates. */
#include "serve/jaeger.h"

#include "base/clock.h"
#include "base/map.h"
#include "codec/jaeger_json.h"
#include "codec/json_tree.h"
#include "serve/params.h"
#include "serve/server_priv.h"
#include "store/trace_read.h"

#include <stdio.h>

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1500,
    TAGS_MAX = 32,
    CANDIDATES_FIRST = 500, /* Spans that the store is asked for, then four times as many, */
    CANDIDATES_MAX = 32000, /* until there are enough or this is reached. */
    IDS_MAX = 1500,
};

#define LOOKBACK_NS (INT64_C(48) * 3600 * CLOCK_NS_PER_S)

/* ---- The frame. ---- */

struct json jaeger_begin(struct call *call)
{
    struct json json = json_begin(&call->answer.body);

    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_key(&json, "data");
    return json;
}

void jaeger_open_list(struct json *json, bool is_null)
{
    if (is_null)
        json_add_null(json);
    else
        json_open(json, '[');
}

/* Up to the key "errors", whose value is the caller's. */
static void close_list(struct json *json, bool is_null, size_t total)
{
    if (!is_null)
        json_close(json, ']');
    json_put_u64(json, "total", total);
    json_put_i64(json, "limit", 0);
    json_put_i64(json, "offset", 0);
    json_key(json, "errors");
}

void jaeger_end(struct json *json, bool is_null, size_t total)
{
    close_list(json, is_null, total);
    json_add_null(json);
    json_close(json, '}');
}

/* ---- The question. ---- */

struct question {
    struct call *call;
    struct trace_query store; /* What the store is asked. */
    int64_t start_ns;         /* Of a span, inclusive. */
    int64_t end_ns;
    struct trace_pair tags[TAGS_MAX]; /* All that were asked for. */
    size_t tags_count;
    size_t limit;
};

static enum err read_micros(struct call *call, const char *name, int64_t default_ns,
                            int64_t *ret_ns, struct why *why)
{
    struct str text = call_parameter(call, name);
    int64_t micros;

    *ret_ns = default_ns;
    if (text.size == 0)
        return ERR_NONE;
    if (!str_to_i64(text, &micros))
        return fail(why, ERR_INVALID,
                    "unable to parse param '%s': '%.*s' is no number of microseconds", name,
                    STR_ARG(text));
    if (micros > INT64_MAX / 1000)
        *ret_ns = INT64_MAX;
    else
        *ret_ns = micros < 0 ? 0 : micros * 1000;
    return ERR_NONE;
}

/* One number and unit of a duration in Go's way. */
static bool take_part(struct str *rest, double *ns)
{
    static const struct {
        struct str unit;
        double ns;
    } units[] = {{STR("ns"), 1},   {STR("us"), 1e3}, {STR("µs"), 1e3}, {STR("\xce\xbcs"), 1e3},
                 {STR("ms"), 1e6}, {STR("s"), 1e9},  {STR("m"), 60e9}, {STR("h"), 3600e9}};
    size_t digits = 0;
    double number;

    while (digits < rest->size &&
           ((rest->data[digits] >= '0' && rest->data[digits] <= '9') || rest->data[digits] == '.'))
        digits++;
    if (digits == 0 || !str_to_double((struct str){rest->data, digits}, &number))
        return false;
    struct str behind = {rest->data + digits, rest->size - digits};
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        size_t size = units[i].unit.size;
        bool is_minute = size == 1 && units[i].unit.data[0] == 'm';
        if (!str_starts(behind, units[i].unit) ||
            (is_minute && behind.size > 1 && behind.data[1] == 's'))
            continue;
        *ns += number * units[i].ns;
        *rest = (struct str){behind.data + size, behind.size - size};
        return true;
    }
    return false;
}

/* "1.5ms", "1h2m3s", "250us"; absent is 0. */
static enum err read_duration(struct call *call, const char *name, int64_t *ret_ns, struct why *why)
{
    struct str text = call_parameter(call, name);
    struct str rest = text;
    double ns = 0;

    *ret_ns = 0;
    if (text.size == 0 || str_eq(text, STR("0")))
        return ERR_NONE;
    while (rest.size > 0) {
        if (!take_part(&rest, &ns) || ns >= 0x1p62) {
            (void)fail(why, ERR_INVALID,
                       "unable to parse param '%s': time: invalid duration \"%.*s\"", name,
                       STR_ARG(text));
            hint(why, "write a number and a unit: 250us, 1.5ms, 2s, 1m30s");
            return ERR_INVALID;
        }
    }
    *ret_ns = (int64_t)ns;
    return ERR_NONE;
}

static enum err add_tag(struct question *question, struct str key, struct str value,
                        struct why *why)
{
    struct trace_query *store = &question->store;

    if (question->tags_count == TAGS_MAX)
        return fail(why, ERR_INVALID, "at most %d tags can be asked for", TAGS_MAX);
    question->tags[question->tags_count++] = (struct trace_pair){key, value};
    if (!jaeger_is_own_tag(key) && store->pairs_count < TRACE_PAIRS_MAX)
        store->pairs[store->pairs_count++] = (struct trace_pair){key, value};
    return ERR_NONE;
}

/* tag=key:value */
static enum err read_tag(struct question *question, struct str text, struct why *why)
{
    ptrdiff_t at = str_find(text, ':');

    if (at < 0)
        return fail(why, ERR_INVALID,
                    "malformed 'tag' parameter, expecting key:value, received: %.*s",
                    STR_ARG(text));
    return add_tag(question, (struct str){text.data, (size_t)at},
                   (struct str){text.data + at + 1, text.size - (size_t)at - 1}, why);
}

/* tags={"key":"value"} */
static enum err read_tags(struct question *question, struct str text, struct why *why)
{
    const struct node *root;

    TRY(json_read(text, "tags", text.size, question->call->arena, &root, why));
    TRY(node_map(root, why));
    NODE_EACH(root, item)
    {
        struct str value;
        TRY(node_text(item, &value, why));
        TRY(add_tag(question, item->key, value, why));
    }
    return ERR_NONE;
}

static enum err read_all_tags(struct question *question, struct why *why)
{
    const struct http_header *params;
    size_t count;

    TRY(exchange_params(question->call->exchange, &params, &count, why));
    for (size_t i = 0; i < count; i++) {
        enum err err = ERR_NONE;
        if (str_eq(params[i].name, STR("tag")))
            err = read_tag(question, params[i].value, why);
        else if (str_eq(params[i].name, STR("tags")))
            err = read_tags(question, params[i].value, why);
        if (err == ERR_INVALID)
            why_prefix(why, "malformed '%.*s' parameter", STR_ARG(params[i].name));
        TRY(err);
    }
    return ERR_NONE;
}

static enum err read_limit(struct call *call, size_t *ret_limit, struct why *why)
{
    struct str text = call_parameter(call, "limit");
    int64_t limit = LIMIT_DEFAULT;

    if (text.size > 0 && !str_to_i64(text, &limit))
        return fail(why, ERR_INVALID, "unable to parse param 'limit': '%.*s' is no number",
                    STR_ARG(text));
    *ret_limit = limit <= 0 || limit > LIMIT_MAX ? LIMIT_MAX : (size_t)limit;
    return ERR_NONE;
}

static enum err read_question(struct call *call, struct question *question, struct why *why)
{
    int64_t now_ns = clock_now_ms() * CLOCK_NS_PER_MS;
    int64_t shortest_ns, longest_ns;

    *question = (struct question){.call = call, .store = TRACE_QUERY_ANY};
    struct trace_query *store = &question->store;
    store->service = call_parameter(call, "service");
    if (store->service.size == 0)
        return fail(why, ERR_INVALID, "parameter 'service' is required");
    if (call_parameter(call, "operation").size > 0)
        store->name = call_parameter(call, "operation");
    TRY(read_micros(call, "start", now_ns - LOOKBACK_NS, &question->start_ns, why));
    TRY(read_micros(call, "end", now_ns, &question->end_ns, why));
    store->from_ms = question->start_ns / CLOCK_NS_PER_MS;
    store->to_ms = question->end_ns / CLOCK_NS_PER_MS;
    TRY(read_limit(call, &question->limit, why));
    TRY(read_duration(call, "minDuration", &shortest_ns, why));
    TRY(read_duration(call, "maxDuration", &longest_ns, why));
    if (shortest_ns != 0 && longest_ns != 0 && longest_ns < shortest_ns)
        return fail(why, ERR_INVALID, "'maxDuration' should be greater than 'minDuration'");
    if (shortest_ns != 0)
        store->duration_min_ns = shortest_ns;
    if (longest_ns != 0)
        store->duration_max_ns = longest_ns;
    return read_all_tags(question, why);
}

/* ---- Which traces. ---- */

struct trace_ids {
    struct map map; /* Bytes of id to themselves. */
    const uint8_t *items[LIMIT_MAX];
    size_t count;
};

static void trace_ids_donep(struct trace_ids **ids)
{
    if (*ids != NULL)
        map_done(&(*ids)->map);
}

static enum err fits(struct question *question, const struct span *span, struct arena *scratch,
                     bool *ret_fits, struct why *why)
{
    bool fits = question->store.one_per_trace || /* Then the store's milliseconds must do. */
                (span->start_ns >= question->start_ns && span->start_ns <= question->end_ns);

    for (size_t i = 0; fits && i < question->tags_count; i++)
        TRY(jaeger_has_tag(span, question->tags[i].key, question->tags[i].value, scratch, &fits,
                           why));
    *ret_fits = fits;
    return ERR_NONE;
}

static enum err take_ids(struct question *question, const struct span_list *spans,
                         struct trace_ids *ids, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) =
        arena_new_beside(question->call->arena, arena_budget(question->call->arena));

    map_done(&ids->map);
    ids->map = (struct map){0};
    ids->count = 0;
    for (size_t i = 0; i < spans->count && ids->count < question->limit; i++) {
        const struct span *span = &spans->items[i];
        struct str key = {(const char *)span->trace_id, TRACE_ID_BYTES};
        bool passes;
        if (map_get(&ids->map, key) != NULL)
            continue;
        arena_clear(scratch);
        TRY(fits(question, span, scratch, &passes, why));
        if (!passes)
            continue;
        (void)map_put(&ids->map, key, (void *)span);
        ids->items[ids->count++] = span->trace_id;
    }
    return ERR_NONE;
}

/* Asks for more candidates until there are enough traces, or no more candidates. */
static enum err find_ids(struct question *question, struct arena *arena, struct trace_ids *ids,
                         struct why *why)
{
    const struct trace_view_ops *ops = question->call->view->ops->traces;
    struct span_list spans = {0};

    if (ops == NULL)
        return ERR_NONE;                                       /* Nothing was sent yet. */
    question->store.one_per_trace = question->tags_count == 0; /* Else any span may be the one. */
    for (size_t limit = CANDIDATES_FIRST;; limit *= 4) {
        arena_clear(arena);
        question->store.limit = limit;
        TRY(ops->search(question->call->view, &question->store, arena, &spans, why));
        TRY(take_ids(question, &spans, ids, why));
        if (spans.count < limit || ids->count == question->limit || limit >= CANDIDATES_MAX)
            return ERR_NONE;
    }
}

/* ---- Answers. ---- */

/* Appends the trace; *ret_found tells whether there is one. */
static enum err add_trace(struct call *call, const uint8_t *id, bool raw, struct arena *arena,
                          struct json *json, bool *ret_found, struct why *why)
{
    const struct trace_view_ops *ops = call->view->ops->traces;
    struct span_list spans = {0};

    arena_clear(arena);
    if (ops != NULL)
        TRY(ops->trace(call->view, id, arena, &spans, why));
    *ret_found = spans.count > 0;
    return spans.count == 0 ? ERR_NONE
                            : jaeger_write_trace(spans.items, spans.count, raw, arena, json, why);
}

static struct arena *new_scratch(const struct call *call)
{
    return arena_new_beside(call->arena, arena_budget(call->arena));
}

static enum err search_by_question(struct call *call, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) = new_scratch(call);
    struct arena *found CLEANUP(arena_freep) = new_scratch(call); /* Where the ids lie. */
    struct trace_ids *ids CLEANUP(trace_ids_donep) = ARENA_NEW(call->arena, struct trace_ids);
    struct question question;
    bool is_there;

    if (ids == NULL)
        return arena_spent(call->arena, "the search", why);
    TRY(read_question(call, &question, why));
    TRY(find_ids(&question, found, ids, why));
    struct json json = jaeger_begin(call);
    jaeger_open_list(&json, false);
    for (size_t i = 0; i < ids->count; i++)
        TRY(add_trace(call, ids->items[i], false, scratch, &json, &is_there, why));
    jaeger_end(&json, false, 0);
    return ERR_NONE;
}

/* The traceIDs of the request, in order. */
static enum err read_ids(struct call *call, const uint8_t **ids, size_t *ret_count, struct why *why)
{
    const struct http_header *params;
    size_t params_count;

    *ret_count = 0;
    TRY(exchange_params(call->exchange, &params, &params_count, why));
    for (size_t i = 0; i < params_count; i++) {
        if (!str_eq(params[i].name, STR("traceID")))
            continue;
        uint8_t *id = arena_alloc(call->arena, TRACE_ID_BYTES);
        if (id == NULL || *ret_count == IDS_MAX)
            return fail(why, ERR_INVALID, "at most %d traces can be asked for", IDS_MAX);
        if (!params_trace_id(params[i].value, id))
            return fail(why, ERR_INVALID,
                        "cannot parse traceID param: '%.*s' is not up to 32 hexadecimal digits",
                        STR_ARG(params[i].value));
        ids[(*ret_count)++] = id;
    }
    return ERR_NONE;
}

static void add_missing(struct json *json, const uint8_t *const *missing, size_t count)
{
    char text[JAEGER_ID_SIZE];

    if (count == 0) {
        json_add_null(json);
        return;
    }
    json_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        json_open(json, '{');
        json_put_text(json, "msg", "trace not found");
        json_put_str(json, "traceID", (struct str){text, jaeger_trace_id(missing[i], text)});
        json_close(json, '}');
    }
    json_close(json, ']');
}

static enum err search_by_ids(struct call *call, const uint8_t *const *ids, size_t count,
                              struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) = new_scratch(call);
    const uint8_t **missing = ARENA_ARRAY(call->arena, count, const uint8_t *);
    size_t missing_count = 0;

    if (missing == NULL)
        return arena_spent(call->arena, "the search", why);
    struct json json = jaeger_begin(call);
    jaeger_open_list(&json, false);
    for (size_t i = 0; i < count; i++) {
        bool found;
        TRY(add_trace(call, ids[i], false, scratch, &json, &found, why));
        if (!found)
            missing[missing_count++] = ids[i];
    }
    close_list(&json, false, 0);
    add_missing(&json, missing, missing_count);
    json_close(&json, '}');
    return ERR_NONE;
}

static enum err work_search(struct call *call, struct why *why)
{
    const uint8_t **ids = ARENA_ARRAY(call->arena, IDS_MAX, const uint8_t *);
    size_t count;

    if (ids == NULL)
        return arena_spent(call->arena, "the search", why);
    TRY(read_ids(call, ids, &count, why));
    return count > 0 ? search_by_ids(call, ids, count, why) : search_by_question(call, why);
}

void route_jaeger_search(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_search);
}

static enum err work_trace(struct call *call, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) = new_scratch(call);
    struct str raw = call_parameter(call, "raw");
    uint8_t id[TRACE_ID_BYTES];
    bool found;

    if (!params_trace_id(call->captures[0], id))
        return fail(why, ERR_INVALID, "'%.*s' is not up to 32 hexadecimal digits",
                    STR_ARG(call->captures[0]));
    struct json json = jaeger_begin(call);
    jaeger_open_list(&json, false);
    TRY(add_trace(call, id, str_eq(raw, STR("true")) || str_eq(raw, STR("1")), scratch, &json,
                  &found, why));
    if (!found)
        return fail(why, ERR_NOT_FOUND, "trace not found");
    jaeger_end(&json, false, 0);
    return ERR_NONE;
}

void route_jaeger_trace(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_trace);
}
