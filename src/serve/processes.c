/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of this machine, as rows. What may not be read is null, not 0. */
#include "serve/params.h"
#include "serve/server_priv.h"

#include "base/json.h"
#include "sources/sources.h"

#include <math.h>

#define PROCESSES_LIMIT 1000 /* When the caller names none. */

static void add_number(struct json *json, const char *key, double value)
{
    json_key(json, key);
    json_add_double(json, value); /* NAN becomes null. */
}

static void add_optional(struct json *json, const char *key, struct str text)
{
    json_key(json, key);
    if (text.size == 0)
        json_add_null(json);
    else
        json_add_str(json, text);
}

static void write_row(struct json *json, const struct process_row *row)
{
    json_open(json, '{');
    add_number(json, "pid", row->pid);
    add_number(json, "ppid", row->ppid);
    json_key(json, "name");
    json_add_str(json, row->name);
    add_optional(json, "cmdline", row->command);
    add_optional(json, "user", row->user);
    add_optional(json, "state", (struct str){&row->state, row->state == '\0' ? 0 : 1});
    add_optional(json, "group", row->group);
    add_number(json, "cpu_percent", row->cpu_percent);
    add_number(json, "rss_bytes", row->rss_bytes);
    add_number(json, "vms_bytes", row->vms_bytes);
    add_number(json, "pss_bytes", row->pss_bytes);
    add_number(json, "swap_bytes", row->swap_bytes);
    add_number(json, "threads", row->threads);
    add_number(json, "fds", row->fds);
    add_number(json, "voluntary_ctxt_switches_per_s", row->voluntary_per_s);
    add_number(json, "nonvoluntary_ctxt_switches_per_s", row->nonvoluntary_per_s);
    add_number(json, "read_bytes_per_s", row->read_per_s);
    add_number(json, "written_bytes_per_s", row->written_per_s);
    add_number(json, "start_time_s", row->start_time_s);
    json_close(json, '}');
}

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
    json_key(&json, "status");
    json_add_text(&json, "success");
    json_key(&json, "data");
    json_open(&json, '{');
    json_key(&json, "time_ms");
    json_add_i64(&json, time_ms);
    json_key(&json, "processes");
    json_open(&json, '[');
    for (size_t i = 0; i < count; i++)
        write_row(&json, &rows[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    json_close(&json, '}');
    return ERR_NONE;
}

void route_processes(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_processes);
}
