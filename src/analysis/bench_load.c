/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/bench_load.h"

#include "codec/node.h"

#include <math.h>

/* Where a metric stands in the whole (`place`, then `key`; no place: at the top) and in an interval
 * of the timeline. */
static const struct row {
    const char *name;
    const char *unit;
    const char *place;
    const char *key;
    const char *interval_key;
    double scale;
} rows[] = {
    {"latency_p50", "ms", "latency_ms", "p50", "p50_ms", 1},
    {"latency_p95", "ms", "latency_ms", "p95", "p95_ms", 1},
    {"latency_p99", "ms", "latency_ms", "p99", "p99_ms", 1},
    {"throughput", "/s", NULL, "rate", "rate", 1},
    {"error_rate", "%", NULL, "error_rate", NULL, 100},
};

bool bench_load_is(const struct node *root)
{
    const struct node *latency = node_get(root, "latency_ms");

    return latency != NULL && latency->kind == NODE_MAP &&
           node_get(root, "service_time_ms") != NULL;
}

static enum err number_at(const struct node *node, const char *key, double *ret_value,
                          struct why *why)
{
    const struct node *child = node_get(node, key);

    *ret_value = NAN;
    return child == NULL ? ERR_NONE : node_double(child, ret_value, why);
}

static enum err too_many(const struct node *root, struct why *why)
{
    return fail(why, ERR_LIMIT, "%s: more than %d metrics", root->document, BENCH_METRICS_MAX);
}

static enum err add_rows(const struct node *node, struct str prefix, struct bench_result *result,
                         size_t run, struct why *why)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf name CLEANUP(buf_done) = {0};
        double value;
        TRY(number_at(rows[i].place == NULL ? node : node_get(node, rows[i].place), rows[i].key,
                      &value, why));
        if (isnan(value))
            continue;
        buf_printf(&name, "%.*s%s%s", STR_ARG(prefix), prefix.size > 0 ? " " : "", rows[i].name);
        struct bench_metric *metric =
            bench_result_metric(result, buf_view(&name), str_of(rows[i].unit));
        if (metric == NULL)
            return too_many(node, why);
        while (metric->count < run)
            (void)bench_metric_add(metric, NAN); /* Runs are fewer than values may be. */
        (void)bench_metric_add(metric, value * rows[i].scale);
    }
    return ERR_NONE;
}

enum err bench_load_add_run(const struct node *root, struct bench_result *result, size_t run,
                            struct why *why)
{
    const struct node *steps = node_get(root, "steps");

    TRY(add_rows(root, STR(""), result, run, why));
    if (steps == NULL || steps->kind != NODE_LIST || steps->count < 2)
        return ERR_NONE;
    NODE_EACH(steps, step)
    {
        const struct node *name = node_get(step, "name");
        struct str text = STR("");
        if (name != NULL)
            TRY(node_text(name, &text, why));
        if (text.size > 0)
            TRY(add_rows(step, text, result, run, why));
    }
    return ERR_NONE;
}

enum err bench_load_add_timeline(const struct node *root, struct bench_result *result,
                                 struct why *why)
{
    const struct node *timeline = node_get(root, "timeline");

    if (timeline == NULL || timeline->kind != NODE_LIST || timeline->count < VERDICT_COUNT_MIN)
        return bench_load_add_run(root, result, 0, why);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].interval_key == NULL)
            continue;
        struct bench_metric *metric =
            bench_result_metric(result, str_of(rows[i].name), str_of(rows[i].unit));
        if (metric == NULL)
            return too_many(root, why);
        NODE_EACH(timeline, interval)
        {
            double value;
            TRY(number_at(interval, rows[i].interval_key, &value, why));
            if (!bench_metric_add(metric, value))
                return fail(why, ERR_LIMIT, "%s: more than %d intervals", root->document,
                            BENCH_VALUES_MAX);
        }
    }
    return ERR_NONE;
}
