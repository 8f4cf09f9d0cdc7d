/* SPDX-License-Identifier: Apache-2.0 */
/* One request: what it is asks for a key (get, post, …, websocket, tcp, grpc, llm), and each kind
 * has its own few keys beside those that all have. */
#include "base/base64.h"
#include "base/clock.h"
#include "load/scenario_priv.h"
#include "load/script.h"

enum { NAME_BYTES_MAX = 200 };

enum sort { SORT_HTTP, SORT_WEBSOCKET, SORT_TCP, SORT_GRPC, SORT_LLM };

static const struct {
    const char *key;
    struct str method;
    enum sort sort;
} sorts[] = {
    {"get", {"GET", 3}, SORT_HTTP},         {"post", {"POST", 4}, SORT_HTTP},
    {"put", {"PUT", 3}, SORT_HTTP},         {"patch", {"PATCH", 5}, SORT_HTTP},
    {"delete", {"DELETE", 6}, SORT_HTTP},   {"head", {"HEAD", 4}, SORT_HTTP},
    {"options", {"OPTIONS", 7}, SORT_HTTP}, {"websocket", {"GET", 3}, SORT_WEBSOCKET},
    {"tcp", {"GET", 3}, SORT_TCP},          {"grpc", {"POST", 4}, SORT_GRPC},
    {"llm", {"POST", 4}, SORT_LLM},
};

#define COMMON_KEYS "name", "headers", "auth", "check", "extract", "timeout", "criteria", "if"

static const char *const keys_http[] = {COMMON_KEYS, "get",  "post",      "put",   "patch",
                                        "delete",    "head", "options",   "query", "body",
                                        "json",      "form", "multipart", "file"};
static const char *const keys_websocket[] = {COMMON_KEYS, "websocket", "send", "send_base64",
                                             "replies"};
static const char *const keys_tcp[] = {COMMON_KEYS, "tcp", "send", "send_base64", "until", "bytes"};
static const char *const keys_grpc[] = {COMMON_KEYS, "grpc", "message", "message_base64"};
static const char *const keys_llm[] = {
    COMMON_KEYS,     "llm",      "model",   "api",           "input_tokens", "output_tokens",
    "prefix_tokens", "prefixes", "prompts", "conversations", "extra",        "key_from"};

static const struct {
    const char *const *keys;
    size_t count;
} known[] = {
    [SORT_HTTP] = {keys_http, ARRAY_COUNT(keys_http)},
    [SORT_WEBSOCKET] = {keys_websocket, ARRAY_COUNT(keys_websocket)},
    [SORT_TCP] = {keys_tcp, ARRAY_COUNT(keys_tcp)},
    [SORT_GRPC] = {keys_grpc, ARRAY_COUNT(keys_grpc)},
    [SORT_LLM] = {keys_llm, ARRAY_COUNT(keys_llm)},
};

/* ---- Declaring. ---- */

enum err scenario_declare(struct plan *plan, const struct node *steps, struct why *why)
{
    size_t variable;

    if (steps == NULL || steps->kind != NODE_LIST)
        return ERR_NONE; /* Whoever reads it complains. */
    NODE_EACH(steps, step)
    {
        const struct node *extract = node_get(step, "extract");
        TRY(scenario_declare(plan, node_get(step, "steps"), why));
        if (extract == NULL || extract->kind != NODE_MAP)
            continue;
        NODE_EACH(extract, child)
        {
            TRY_AT(child, plan_variable(plan, child->key, &variable, why));
        }
    }
    return ERR_NONE;
}

/* ---- Where it goes. ---- */

static struct str first_part(struct str text, size_t size)
{
    return (struct str){text.data, size};
}

/* Cuts a URL into what names the host and what is asked of it; the latter may have holes. */
static enum err split_url(const struct scenario_scope *scope, const struct node *node,
                          struct str text, struct str *ret_host, struct str *ret_target,
                          struct why *why)
{
    ptrdiff_t scheme = str_find_str(text, STR("://"));

    if (scheme < 0) {
        if (scope->base.size == 0)
            return node_fail(node, why, "'%.*s' names no host, and there is no base",
                             STR_ARG(text));
        struct str path;
        TRY(split_url(scope, node, scope->base, ret_host, &path, why));
        bool rooted = text.size > 0 && (text.data[0] == '/' || text.data[0] == '$');
        const char *target =
            arena_printf(scope->plan->arena, "%.*s%s%.*s", path.size > 1 ? (int)path.size : 0,
                         path.data, rooted ? "" : "/", STR_ARG(text));
        *ret_target = str_of(target);
        return target == NULL ? arena_spent(scope->plan->arena, "the plan", why) : ERR_NONE;
    }
    size_t end = (size_t)scheme + 3;
    while (end < text.size && text.data[end] != '/' && text.data[end] != '?')
        end++;
    *ret_host = first_part(text, end);
    *ret_target = end == text.size ? STR("/") : (struct str){text.data + end, text.size - end};
    if (str_find_str(*ret_host, STR("${")) >= 0)
        return node_fail(node, why, "the host cannot change from request to request");
    return ERR_NONE;
}

static enum err read_url(const struct scenario_scope *scope, const struct node *node,
                         enum sort sort, struct step *step, struct why *why)
{
    struct str text, host, target;
    struct url url;

    TRY(node_text(node, &text, why));
    if (sort == SORT_TCP && str_find_str(text, STR("://")) < 0) {
        const char *whole = arena_printf(scope->plan->arena, "tcp://%.*s", STR_ARG(text));
        if (whole == NULL)
            return arena_spent(scope->plan->arena, "the plan", why);
        text = str_of(whole);
    }
    TRY(split_url(scope, node, text, &host, &target, why));
    TRY_AT(node, url_parse(host, &url, why));
    bool is_http = url.scheme == SCHEME_HTTP || url.scheme == SCHEME_HTTPS;
    bool is_websocket = url.scheme == SCHEME_WS || url.scheme == SCHEME_WSS;
    if (sort == SORT_WEBSOCKET ? !is_websocket
        : sort == SORT_TCP     ? url.scheme != SCHEME_TCP
                               : !is_http)
        return node_fail(node, why, "%s:// does not fit here", scheme_name(url.scheme));
    if (sort == SORT_WEBSOCKET)
        url.path = target;
    TRY_AT(node, plan_origin(scope->plan, &url, &step->origin, why));
    if (url.user_info.data != NULL)
        return node_fail(node, why, "a password in a URL is not sent; use auth");
    step->target = target;
    return ERR_NONE;
}

/* ---- Headers. ---- */

enum err scenario_header(const struct scenario_scope *scope, struct step *step, struct str name,
                         struct str value, struct why *why)
{
    struct http_header *headers;

    if (step->headers_count == PLAN_HEADERS_MAX)
        return fail(why, ERR_LIMIT, "there are more than %d headers", PLAN_HEADERS_MAX);
    for (size_t i = 0; i < step->headers_count; i++) {
        if (str_eq_nocase(step->headers[i].name, name)) {
            ((struct http_header *)step->headers)[i].value = value; /* The nearer one counts. */
            return ERR_NONE;
        }
    }
    headers = ARENA_ARRAY(scope->plan->arena, step->headers_count + 1, struct http_header);
    if (headers == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    if (step->headers_count > 0)
        memcpy(headers, step->headers, step->headers_count * sizeof(*headers));
    headers[step->headers_count++] = (struct http_header){name, value};
    step->headers = headers;
    return ERR_NONE;
}

static enum err read_headers(const struct scenario_scope *scope, const struct node *node,
                             struct step *step, struct why *why)
{
    struct str value;

    if (node == NULL)
        return ERR_NONE;
    TRY(node_map(node, why));
    NODE_EACH(node, child)
    {
        TRY(node_text(child, &value, why));
        TRY_AT(child, scenario_header(scope, step, child->key, value, why));
    }
    return ERR_NONE;
}

static enum err read_auth(const struct scenario_scope *scope, const struct node *node,
                          struct step *step, struct why *why)
{
    static const char *const keys[] = {"basic", "bearer"};
    static const char *const basic_keys[] = {"user", "password"};
    const struct node *basic, *bearer, *user_node, *password_node;
    struct str user, password;
    const char *value;

    if (node == NULL)
        return ERR_NONE;
    TRY(node_map(node, why));
    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    basic = node_get(node, "basic");
    bearer = node_get(node, "bearer");
    if ((basic == NULL) == (bearer == NULL))
        return node_fail(node, why, "auth is either basic or bearer");
    if (bearer != NULL) {
        TRY(node_text(bearer, &user, why));
        value = arena_printf(scope->plan->arena, "Bearer %.*s", STR_ARG(user));
    } else {
        TRY(node_map(basic, why));
        TRY(node_only(basic, basic_keys, ARRAY_COUNT(basic_keys), why));
        TRY(node_need(basic, "user", &user_node, why));
        TRY(node_need(basic, "password", &password_node, why));
        TRY(node_text(user_node, &user, why));
        TRY(node_text(password_node, &password, why));
        value = arena_printf(scope->plan->arena, "Basic ${base64(%.*s:%.*s)}", STR_ARG(user),
                             STR_ARG(password));
    }
    if (value == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    return scenario_header(scope, step, STR("Authorization"), str_of(value), why);
}

/* ---- What is sent, where it is no HTTP body. ---- */

/* A text, or base64 under another key; STR_NONE: neither is there. */
static enum err read_bytes(const struct scenario_scope *scope, const struct node *node,
                           const char *key, const char *base64_key, struct str *ret_bytes,
                           bool *ret_binary, struct why *why)
{
    const struct node *plain = node_get(node, key);
    const struct node *encoded = node_get(node, base64_key);
    struct buf bytes CLEANUP(buf_done) = {0};
    struct buf quoted CLEANUP(buf_done) = {0};
    struct str text;

    *ret_bytes = STR_NONE;
    *ret_binary = encoded != NULL;
    if (plain != NULL && encoded != NULL)
        return node_fail(node, why, "%s and %s exclude each other", key, base64_key);
    if (plain != NULL)
        return node_text(plain, ret_bytes, why);
    if (encoded == NULL)
        return ERR_NONE;
    TRY(node_text(encoded, &text, why));
    if (!base64_read(text, &bytes))
        return node_fail(encoded, why, "this is no base64");
    template_quote(buf_view(&bytes), &quoted);
    *ret_bytes = arena_str(scope->plan->arena, buf_view(&quoted));
    return ret_bytes->data == NULL ? arena_spent(scope->plan->arena, "the plan", why) : ERR_NONE;
}

static enum err read_count(const struct node *node, const char *key, uint64_t *ret_count,
                           struct why *why)
{
    const struct node *child = node_get(node, key);
    int64_t count;

    if (child == NULL)
        return ERR_NONE;
    TRY(node_i64(child, &count, why));
    if (count < 0 || count > INT32_MAX)
        return node_fail(child, why, "%s must be 0 or more", key);
    *ret_count = (uint64_t)count;
    return ERR_NONE;
}

static enum err read_websocket(const struct scenario_scope *scope, const struct node *node,
                               struct step *step, struct why *why)
{
    struct origin *origin = scope->plan->origins[step->origin];
    uint64_t replies = 1;

    TRY(read_bytes(scope, node, "send", "send_base64", &step->body, &step->is_binary, why));
    TRY(read_count(node, "replies", &replies, why));
    step->ending.messages = (uint32_t)replies;
    for (size_t i = 0; i < step->headers_count; i++) {
        if (str_find_str(step->headers[i].value, STR("${")) >= 0)
            return node_fail(node, why, "the headers of a WebSocket's handshake cannot change");
    }
    origin->headers = step->headers;
    origin->headers_count = step->headers_count;
    return ERR_NONE;
}

static enum err read_tcp(const struct scenario_scope *scope, const struct node *node,
                         struct step *step, struct why *why)
{
    const struct node *until = node_get(node, "until");
    bool binary;

    TRY(read_bytes(scope, node, "send", "send_base64", &step->body, &binary, why));
    TRY(read_count(node, "bytes", &step->ending.size, why));
    if (until != NULL) {
        TRY(node_text(until, &step->ending.until, why));
        if (str_eq(step->ending.until, STR("close"))) {
            step->ending.until = STR_NONE;
            step->ending.to_close = true;
        }
    }
    return ERR_NONE;
}

static enum err read_grpc(const struct scenario_scope *scope, const struct node *node,
                          struct step *step, struct why *why)
{
    struct buf frame CLEANUP(buf_done) = {0};
    struct str message;
    struct template plain;
    bool binary;

    TRY(read_bytes(scope, node, "message", "message_base64", &message, &binary, why));
    TRY_AT(node, template_compile(scope->plan, message, TEMPLATE_PLAIN, &plain, why));
    if (plain.changes)
        return node_fail(node, why, "a gRPC message cannot have holes: its size stands before it");
    message = template_plain(scope->plan, &plain);
    if (message.data == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    buf_byte(&frame, 0);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_byte(&frame, (uint8_t)(message.size >> shift));
    struct buf quoted CLEANUP(buf_done) = {0};
    buf_str(&frame, message);
    template_quote(buf_view(&frame), &quoted);
    step->body = arena_str(scope->plan->arena, buf_view(&quoted));
    if (step->body.data == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    step->is_grpc = true;
    TRY(scenario_header(scope, step, STR("content-type"), STR("application/grpc"), why));
    TRY(scenario_header(scope, step, STR("te"), STR("trailers"), why));
    if (scope->plan->http != HTTP_CHOICE_2)
        return node_fail(node, why, "gRPC needs HTTP/2: say http2: true under load");
    return ERR_NONE;
}

/* ---- The step. ---- */

static enum err find_sort(const struct node *node, size_t *ret_sort, const struct node **ret_url,
                          struct why *why)
{
    *ret_url = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(sorts); i++) {
        const struct node *url = node_get(node, sorts[i].key);
        if (url == NULL)
            continue;
        if (*ret_url != NULL)
            return node_fail(node, why, "a step has either %s or %s", sorts[*ret_sort].key,
                             sorts[i].key);
        *ret_url = url;
        *ret_sort = i;
    }
    if (*ret_url != NULL)
        return ERR_NONE;
    enum err err = node_fail(node, why, "this step asks for nothing");
    hint(why, "as in get: /path; there are get, post, put, patch, delete, head, options, "
              "websocket, tcp, grpc, llm, pause, repeat");
    return err;
}

static enum err make_step(const struct scenario_scope *scope, const struct node *node,
                          const struct node *url, struct str method, struct step **ret_step,
                          struct why *why)
{
    const struct node *name = node_get(node, "name");
    struct str text;
    char label[NAME_BYTES_MAX];

    TRY(node_text(url, &text, why));
    if (name != NULL)
        TRY(node_text(name, &text, why));
    struct buf full CLEANUP(buf_done) = {0};
    buf_text(&full, scope->prefix);
    if (name == NULL)
        buf_printf(&full, "%.*s ", STR_ARG(method));
    buf_str(&full, text);
    size_t size = full.size < sizeof(label) - 1 ? full.size : sizeof(label) - 1;
    memcpy(label, full.data, size);
    label[size] = '\0';
    for (size_t i = 0; i < scope->plan->steps_count; i++) {
        if (name != NULL && strcmp(scope->plan->steps[i]->name, label) == 0)
            return node_fail(name, why, "there is another step '%s'", label);
    }
    return scenario_at(node, plan_step(scope->plan, label, ret_step, why), why);
}

static enum err read_criteria(const struct scenario_scope *scope, const struct node *node,
                              const struct step *step, struct why *why)
{
    struct plan *plan = scope->plan;
    struct str text;

    if (node == NULL)
        return ERR_NONE;
    TRY(node_list(node, why));
    NODE_EACH(node, child)
    {
        TRY(node_text(child, &text, why));
        const char *whole = arena_printf(plan->arena, "%s.%.*s", step->name, STR_ARG(text));
        if (whole == NULL)
            return arena_spent(plan->arena, "the plan", why);
        if (plan->criteria_count == PLAN_CRITERIA_MAX)
            return node_fail(child, why, "there are more than %d criteria", PLAN_CRITERIA_MAX);
        plan->criteria[plan->criteria_count++] = str_of(whole);
    }
    return ERR_NONE;
}

static enum err read_common(const struct scenario_scope *scope, const struct node *node,
                            struct step *step, struct why *why)
{
    const struct node *auth = node_get(node, "auth");
    const struct node *timeout = node_get(node, "timeout");
    int64_t ms;

    TRY(read_headers(scope, scope->headers, step, why));
    TRY(read_headers(scope, node_get(node, "headers"), step, why));
    TRY(read_auth(scope, auth != NULL ? auth : scope->auth, step, why));
    if (timeout != NULL) {
        TRY(node_duration_ms(timeout, &ms, why));
        step->timeout_ns = ms * CLOCK_NS_PER_MS;
    }
    TRY(read_criteria(scope, node_get(node, "criteria"), step, why));
    TRY(scenario_checks(scope, node_get(node, "check"), step, why));
    return scenario_extracts(scope, node_get(node, "extract"), step, why);
}

enum err scenario_step(const struct scenario_scope *scope, const struct node *node,
                       struct step **ret_step, struct why *why)
{
    const struct node *url;
    struct script *script;
    struct step *step;
    bool is_json = false;
    size_t sort = 0;

    TRY(find_sort(node, &sort, &url, why));
    TRY(node_only(node, known[sorts[sort].sort].keys, known[sorts[sort].sort].count, why));
    TRY(make_step(scope, node, url, sorts[sort].method, &step, why));
    step->method = sorts[sort].method;
    TRY(plan_script(scope->plan, step, &script, why));
    TRY(read_url(scope, url, sorts[sort].sort, step, why));
    TRY(read_common(scope, node, step, why));
    switch (sorts[sort].sort) {
    case SORT_HTTP:
        TRY(scenario_query(scope, node_get(node, "query"), &step->target, why));
        TRY(scenario_body(scope, node, step, &is_json, why));
        break;
    case SORT_WEBSOCKET:
        TRY(read_websocket(scope, node, step, why));
        break;
    case SORT_TCP:
        TRY(read_tcp(scope, node, step, why));
        break;
    case SORT_GRPC:
        TRY(read_grpc(scope, node, step, why));
        break;
    case SORT_LLM:
        TRY(scenario_llm(scope, node, step, why));
        break;
    }
    TRY_AT(node, script_compile(scope->plan, step, is_json ? TEMPLATE_JSON : TEMPLATE_PLAIN, why));
    *ret_step = step;
    return ERR_NONE;
}
