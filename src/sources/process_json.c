/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/process_json.h"

static void put_optional(struct json *json, const char *key, struct str text)
{
    json_key(json, key);
    if (text.size == 0)
        json_add_null(json);
    else
        json_add_str(json, text);
}

void process_json_fields(struct json *json, const struct process_row *row)
{
    json_put_i64(json, "pid", row->pid);
    json_put_i64(json, "ppid", row->ppid);
    json_put_str(json, "name", row->name);
    put_optional(json, "cmdline", row->command);
    put_optional(json, "user", row->user);
    put_optional(json, "state", (struct str){&row->state, row->state == '\0' ? 0 : 1});
    put_optional(json, "group", row->group);
    process_json_usage(json, row);
}

void process_json_usage(struct json *json, const struct process_row *row)
{
    json_put_double(json, "cpu_percent", row->cpu_percent);
    json_put_double(json, "rss_bytes", row->rss_bytes);
    json_put_double(json, "vms_bytes", row->vms_bytes);
    json_put_double(json, "pss_bytes", row->pss_bytes);
    json_put_double(json, "swap_bytes", row->swap_bytes);
    json_put_double(json, "threads", row->threads);
    json_put_double(json, "fds", row->fds);
    json_put_double(json, "voluntary_ctxt_switches_per_s", row->voluntary_per_s);
    json_put_double(json, "nonvoluntary_ctxt_switches_per_s", row->nonvoluntary_per_s);
    json_put_double(json, "read_bytes_per_s", row->read_per_s);
    json_put_double(json, "written_bytes_per_s", row->written_per_s);
    json_put_double(json, "start_time_s", row->start_time_s);
}
