/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/params.h"
#include "serve/server_priv.h"

#include "base/clock.h"
#include "query/promql.h"
#include "query/promql_ast.h"

#include <math.h>

/* Prometheus accepts any double; what would not fit our milliseconds is refused. */
#define SECONDS_MAX 9.0e12

/* Seconds since 1970 or of a span, as milliseconds. */
static bool read_seconds(double seconds, int64_t *ret_ms)
{
    if (!isfinite(seconds) || fabs(seconds) >= SECONDS_MAX)
        return false;
    *ret_ms = (int64_t)llround(seconds * 1e3);
    return true;
}

enum err params_time(struct call *call, const char *name, int64_t default_ms, int64_t *ret_ms,
                     struct why *why)
{
    struct str text = call_parameter(call, name);
    double seconds;

    *ret_ms = default_ms;
    if (text.size == 0)
        return ERR_NONE;
    if (str_to_double(text, &seconds) ? read_seconds(seconds, ret_ms)
                                      : clock_parse(text.data, text.size, ret_ms))
        return ERR_NONE;
    (void)fail(why, ERR_INVALID,
               "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid timestamp", name,
               STR_ARG(text));
    hint(why, "write seconds since 1970 (1763658245.5) or RFC 3339 (2026-11-20T17:04:05Z)");
    return ERR_INVALID;
}

enum err params_duration(struct call *call, const char *name, int64_t default_ms, int64_t *ret_ms,
                         struct why *why)
{
    struct str text = call_parameter(call, name);
    double seconds;

    *ret_ms = default_ms;
    if (text.size == 0)
        return ERR_NONE;
    if (str_to_double(text, &seconds) ? read_seconds(seconds, ret_ms)
                                      : str_to_duration_ms(text, ret_ms))
        return ERR_NONE;
    (void)fail(why, ERR_INVALID,
               "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid duration", name,
               STR_ARG(text));
    hint(why, "write seconds (15) or a duration (15s, 1m30s, 2h)");
    return ERR_INVALID;
}

enum err params_count(struct call *call, const char *name, uint64_t default_count, uint64_t most,
                      uint64_t *ret_count, struct why *why)
{
    struct str text = call_parameter(call, name);

    *ret_count = default_count;
    if (text.size == 0)
        return ERR_NONE;
    if (!str_to_u64(text, ret_count) || *ret_count > most)
        return fail(why, ERR_INVALID,
                    "invalid parameter \"%s\": \"%.*s\" is no whole number from 0 to %llu", name,
                    STR_ARG(text), (unsigned long long)most);
    return ERR_NONE;
}

bool params_trace_id(struct str text, uint8_t id[TRACE_ID_BYTES])
{
    if (text.size == 0 || text.size > (size_t)2 * TRACE_ID_BYTES)
        return false;
    memset(id, 0, TRACE_ID_BYTES);
    for (size_t i = 0; i < text.size; i++) { /* Short ids have leading zeros. */
        size_t place = 2 * TRACE_ID_BYTES - text.size + i;
        char c = text.data[i];
        int digit = -1;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20) - 'a' + 10;
        if (digit < 0)
            return false;
        id[place / 2] = (uint8_t)(id[place / 2] | digit << (place % 2 == 0 ? 4 : 0));
    }
    return true;
}

bool params_flag(struct call *call, const char *name)
{
    struct str text = call_parameter(call, name);

    return str_eq(text, STR("1")) || str_eq(text, STR("true"));
}

enum err params_range(struct call *call, struct params_range *range, struct why *why)
{
    TRY(params_time(call, "start", range->start_ms, &range->start_ms, why));
    TRY(params_time(call, "end", range->end_ms, &range->end_ms, why));
    if (range->end_ms < range->start_ms)
        return fail(why, ERR_INVALID,
                    "invalid parameter \"end\": end timestamp must not be before start time");
    return ERR_NONE;
}

enum err params_timeout(struct call *call, int64_t *ret_timeout_ms, struct why *why)
{
    int64_t most_ms = call->server->options.query_timeout_ms;
    int64_t wanted_ms;

    TRY(params_duration(call, "timeout", most_ms, &wanted_ms, why));
    if (wanted_ms <= 0)
        return fail(why, ERR_INVALID, "invalid parameter \"timeout\": it must be positive");
    *ret_timeout_ms = wanted_ms < most_ms ? wanted_ms : most_ms;
    return ERR_NONE;
}

static const struct node *selector_node(const struct promql_expression *expression)
{
    const struct node *node = node_unwrap(expression->root);

    return node->kind == NODE_SELECTOR && node->selector.range == NULL ? node : NULL;
}

static enum err add_selector(struct params_selectors *selectors, struct str text, struct why *why)
{
    CLEANUP(promql_freep) struct promql_expression *expression = NULL;

    if (selectors->count == PARAMS_SELECTORS_MAX)
        return fail(why, ERR_LIMIT, "invalid parameter \"match[]\": more than %d selectors",
                    PARAMS_SELECTORS_MAX);
    enum err err = promql_parse(text, &expression, why);
    if (err != ERR_NONE) {
        why_prefix(why, "invalid parameter \"match[]\"");
        return err;
    }
    if (selector_node(expression) == NULL) {
        (void)fail(why, ERR_INVALID,
                   "invalid parameter \"match[]\": \"%.*s\" is no series selector", STR_ARG(text));
        hint(why, "write a selector without functions, such as node_load1 or {job=\"node\"}");
        return ERR_INVALID;
    }
    selectors->expressions[selectors->count++] = TAKE(expression);
    return ERR_NONE;
}

enum err params_selectors(struct call *call, struct params_selectors *ret_selectors,
                          struct why *why)
{
    const struct http_header *params;
    size_t count;

    ret_selectors->count = 0;
    TRY(exchange_params(call->exchange, &params, &count, why));
    for (size_t i = 0; i < count; i++) {
        if (str_eq(params[i].name, STR("match[]")))
            TRY(add_selector(ret_selectors, params[i].value, why));
    }
    return ERR_NONE;
}

void params_selectors_done(struct params_selectors *selectors)
{
    for (size_t i = 0; i < selectors->count; i++)
        selectors->expressions[i] = promql_free(selectors->expressions[i]);
    selectors->count = 0;
}

const struct matcher *params_matchers(const struct params_selectors *selectors, size_t index,
                                      size_t *ret_count)
{
    const struct node *node = selector_node(selectors->expressions[index]);

    *ret_count = node->selector.matchers_count;
    return node->selector.matchers;
}
