/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of this machine, as rows. What may not be read is null, not 0. */
#include "serve/params.h"
#include "serve/server_priv.h"

#include "base/json.h"
#include "sources/process_json.h"
#include "sources/sources.h"

#define PROCESSES_LIMIT 1000 /* When the caller names none. */

static enum err read_options(struct call *call, struct process_query *options, struct why *why)
{
    struct str sort = call_parameter(call, "sort");
    uint64_t limit;

    if (sort.size > 0 && !process_sort_parse(sort, &options->sort)) {
        (void)fail(why, ERR_INVALID, "invalid parameter \"sort\": there is no order \"%.*s\"",
                   STR_ARG(sort));
        hint(why, "choose cpu, rss, io, pid, name or threads");
        return ERR_INVALID;
    }
    TRY(params_count(call, "limit", PROCESSES_LIMIT, PROCESSES_MAX, &limit, why));
    options->limit = (size_t)limit;
    options->pss = params_flag(call, "pss");
    options->kernel = params_flag(call, "kernel");
    options->filter = call_parameter(call, "filter");
    return ERR_NONE;
}

static enum err work_processes(struct call *call, struct why *why)
{
    struct sources *sources = call->server->options.sources;
    struct process_query options = {.sort = PROCESS_BY_CPU};
    struct process_row *rows;
    size_t count;
    int64_t time_ms;

    TRY(read_options(call, &options, why));
    if (sources == NULL || sources_processes(sources) == NULL)
        return fail(why, ERR_UNSUPPORTED, "this daemon does not look at processes");
    TRY(process_table_read(sources_processes(sources), &options, call->arena, &rows, &count,
                           &time_ms, why));
    call->answer.content_type = MEDIA_JSON;
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '{');
    json_put_text(&json, "status", "success");
    json_key(&json, "data");
    json_open(&json, '{');
    json_put_i64(&json, "time_ms", time_ms);
    json_key(&json, "processes");
    json_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        json_open(&json, '{');
        process_json_fields(&json, &rows[i]);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    json_close(&json, '}');
    return ERR_NONE;
}

void route_processes(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_processes);
}
