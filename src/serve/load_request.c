/* SPDX-License-Identifier: Apache-2.0 */
/* Each key becomes an option of the command; only what stands in the table can. */
#include "serve/load_request.h"

#include "base/buf.h"
#include "base/clock.h"
#include "codec/json_tree.h"

#define PROGRAM         "/proc/self/exe"
#define DURATION_MS_MAX (24 * 3600 * CLOCK_MS_PER_S)

static enum err add_word(struct load_request *request, struct str text, struct why *why)
{
    const char *word = arena_printf(request->arena, "%.*s", STR_ARG(text));

    if (word == NULL)
        return arena_spent(request->arena, "the request", why);
    if (request->count == LOAD_REQUEST_ARGUMENTS_MAX)
        return fail(why, ERR_LIMIT, "the request says too much");
    request->items[request->count++] = word;
    return ERR_NONE;
}

/* "--key" and the value of that key. A value cannot become an option: it stands behind '='. */
static enum err add_option(struct load_request *request, const struct node *node,
                           const char *option, struct why *why)
{
    struct str text;

    TRY(node_text(node, &text, why));
    const char *word = arena_printf(request->arena, "--%s=%.*s", option, STR_ARG(text));
    if (word == NULL)
        return arena_spent(request->arena, "the request", why);
    return add_word(request, str_of(word), why);
}

static const struct {
    const char *key;
    const char *option;
} options[] = {
    {"connections", "connections"},
    {"duration", "duration"},
    {"rate", "rate"},
    {"arrivals", "arrivals"},
    {"test", "test"},
    {"pattern", "pattern"},
    {"think", "think"},
    {"warmup", "warmup"},
    {"timeout", "timeout"},
    {"method", "method"},
    {"body", "body"},
    {"http2", "http2"},
};

static enum err read_criteria(const struct node *list, struct load_request *request,
                              struct why *why)
{
    struct buf all CLEANUP(buf_done) = {0};
    struct str text;

    if (list == NULL)
        return ERR_NONE;
    TRY(node_list(list, why));
    NODE_EACH(list, item)
    {
        TRY(node_text(item, &text, why));
        buf_printf(&all, "%s%.*s", all.size == 0 ? "--require=" : ", ", STR_ARG(text));
    }
    return all.size == 0 ? ERR_NONE : add_word(request, buf_view(&all), why);
}

static enum err read_url(const struct node *root, struct str *ret_url, struct why *why)
{
    static const char *const schemes[] = {"http://", "https://", "ws://", "wss://", "tcp://"};
    const struct node *node;

    TRY(node_need(root, "url", &node, why));
    TRY(node_text(node, ret_url, why));
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        if (str_starts(*ret_url, str_of(schemes[i])))
            return ERR_NONE;
    }
    return node_fail(node, why, "a URL begins with http://, https://, ws://, wss:// or tcp://");
}

enum err load_request_read(struct str body, struct arena *arena, struct load_request *ret_request,
                           struct why *why)
{
    static const char *const keys[] = {"url",    "title",    "criteria", "connections", "duration",
                                       "rate",   "arrivals", "test",     "pattern",     "think",
                                       "warmup", "timeout",  "method",   "body",        "http2"};
    /* What this daemon saw it tells itself, when the report is there. */
    static const char *const first[] = {PROGRAM,      "load",    "--json",
                                        "--progress", "--trace", "--daemon=none"};
    struct load_request request = {.arena = arena, .length_ms = DURATION_MS_MAX};
    const struct node *root;
    struct str url;

    TRY(json_read(body, "body", body.size, arena, &root, why));
    TRY(node_map(root, why));
    TRY(node_only(root, keys, ARRAY_COUNT(keys), why));
    TRY(read_url(root, &url, why));
    const struct node *title = node_get(root, "title");
    const struct node *duration = node_get(root, "duration");
    if (duration != NULL)
        TRY(node_duration_ms(duration, &request.length_ms, why));
    if (request.length_ms > DURATION_MS_MAX)
        return node_fail(duration, why, "a load lasts a day at most");
    for (size_t i = 0; i < ARRAY_COUNT(first); i++)
        TRY(add_word(&request, str_of(first[i]), why));
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        if (node_get(root, options[i].key) != NULL)
            TRY(add_option(&request, node_get(root, options[i].key), options[i].option, why));
    }
    TRY(read_criteria(node_get(root, "criteria"), &request, why));
    TRY(add_word(&request, url, why));
    request.title = url;
    if (title != NULL)
        TRY(node_text(title, &request.title, why));
    *ret_request = request;
    return ERR_NONE;
}
