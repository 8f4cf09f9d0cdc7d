/* SPDX-License-Identifier: Apache-2.0 */
/* Results of benchmarks by the name of what was measured: the history that `sonde bench gate` holds
 * new ones against, where it is to be shared rather than committed.
 *
 * A result is a record of kind "bench_history" named NAME/TIME-HASH, its body the line as it came.
 */
#include "serve/params.h"
#include "serve/server_priv.h"

#include "analysis/bench_result.h"
#include "base/clock.h"
#include "store/record.h"

#include <ctype.h>
#include <inttypes.h>

#define KIND STR("bench_history")

enum { NAME_BYTES_MAX = 100, RESULTS_KEPT = 500, RESULTS_PRESET = 100 };

static enum err prefix_of(struct call *call, struct str *ret_prefix, struct why *why)
{
    struct str name = call->captures[0];

    for (size_t i = 0; i < name.size; i++) {
        unsigned char byte = (unsigned char)name.data[i];
        if (!isalnum(byte) && byte != '-' && byte != '_' && byte != '.')
            name.size = 0;
    }
    if (name.size == 0 || name.size > NAME_BYTES_MAX)
        return fail(why, ERR_INVALID, "a name is 1 to %d letters, digits, '-', '_' and '.'",
                    NAME_BYTES_MAX);
    const char *prefix = arena_printf(call->arena, "%.*s/", STR_ARG(name));
    if (prefix == NULL)
        return arena_spent(call->arena, "a name", why);
    *ret_prefix = str_of(prefix);
    return ERR_NONE;
}

static enum err work_get(struct call *call, struct why *why)
{
    struct record_list list;
    struct str prefix;
    uint64_t limit;

    TRY(prefix_of(call, &prefix, why));
    TRY(params_count(call, "limit", RESULTS_PRESET, RESULTS_KEPT, &limit, why));
    const struct record_question question = {KIND, prefix, limit, true};
    TRY(store_record_list(call->server->options.store, call->identity.tenant, &question,
                          call->arena, &list, why));
    call->answer.content_type = STR("application/x-ndjson");
    for (size_t i = list.count; i-- > 0;) {
        buf_str(&call->answer.body, list.items[i].body);
        buf_byte(&call->answer.body, '\n');
    }
    return ERR_NONE;
}

void route_history_get(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_get);
}

static enum err work_add(struct call *call, struct why *why)
{
    struct bench_results results CLEANUP(bench_results_done) = {0};
    struct str line = str_trim(exchange_body(call->exchange));
    struct store *store = call->server->options.store;
    const char *tenant = call->identity.tenant;
    int64_t now_ms = clock_now_ms();
    struct str prefix;

    TRY(prefix_of(call, &prefix, why));
    TRY(bench_results_parse(line, "body", &results, why));
    if (line.data[0] != '{' || str_find(line, '\n') >= 0)
        return fail(why, ERR_INVALID, "body: one line of JSON is wanted");
    const char *name = arena_printf(call->arena, "%.*s%013" PRId64 "-%016" PRIx64, STR_ARG(prefix),
                                    now_ms, str_hash(line, 0));
    if (name == NULL)
        return arena_spent(call->arena, "a name", why);
    const struct record record = {KIND, str_of(name), now_ms, line};
    TRY(store_record_put(store, tenant, &record, why));
    TRY(store_record_trim(store, tenant, KIND, prefix, RESULTS_KEPT, why));
    call->answer.status = 204;
    return ERR_NONE;
}

void route_history_add(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_add);
}
