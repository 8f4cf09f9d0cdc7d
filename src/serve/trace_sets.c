/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/trace_sets.h"

static bool has_key(const struct traceql_set *set, struct str key)
{
    for (size_t i = 0; i < set->group_count; i++) {
        if (str_eq(set->groups[i].key, key))
            return true;
    }
    return false;
}

static void write_value(struct json *json, const struct traceql_value *value)
{
    json_open(json, '{');
    json_put_str(json, "key", value->key);
    json_put_str(json, "value", value->value);
    json_close(json, '}');
}

static void write_set(const struct traceql_set *set, struct json *json)
{
    json_open(json, '{');
    json_put_u64(json, "matched", set->matched_count);
    json_key(json, "values");
    json_open(json, '[');
    for (size_t i = 0; i < set->group_count; i++)
        write_value(json, &set->groups[i]);
    for (size_t i = 0; set->span_count > 0 && i < set->spans[0].value_count; i++) {
        if (!has_key(set, set->spans[0].values[i].key))
            write_value(json, &set->spans[0].values[i]);
    }
    json_close(json, ']');
    json_close(json, '}');
}

void trace_sets_write(const struct traceql_trace *trace, struct json *json)
{
    json_key(json, "sets");
    json_open(json, '[');
    for (size_t i = 0; i < trace->set_count && i < TRACE_SETS_MAX; i++)
        write_set(&trace->sets[i], json);
    json_close(json, ']');
}
