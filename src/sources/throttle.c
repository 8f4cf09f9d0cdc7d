/* SPDX-License-Identifier: Apache-2.0 */
/* throttle.c - how often cores and packages were slowed because they were hot.
 *
 * Threads of a core share its counter, so each core and each package is counted once, by the first
 * of its CPUs. */
#include "sources/source.h"

#include <stdio.h>

static const struct column core_columns[] = {
    {"node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.",
     METRIC_COUNTER, NULL, NULL},
};
static const struct column package_columns[] = {
    {"node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.",
     METRIC_COUNTER, NULL, NULL},
};
static const char *const core_keys[] = {"core", "package"};
static const char *const package_keys[] = {"package"};

static enum err throttle_open(struct source *source, struct why *why)
{
    (void)source_table(source, core_columns, 1, core_keys, 2);       /* tables[0] */
    (void)source_table(source, package_columns, 1, package_keys, 1); /* tables[1] */
    return ERR_NONE;
}

static enum err visit_cpu(struct source *source, const char *name, struct why *why)
{
    struct scan scan = scan_of(str_of(name));
    struct source_text core;
    struct source_text package;
    uint64_t number;
    int64_t count;

    if (!scan_skip(&scan, STR("cpu")) || !scan_u64(&scan, &number) || scan.at < scan.end)
        return ERR_NONE;
    if (!source_read_text(source, &core, "sys/devices/system/cpu/%s/topology/core_id", name) ||
        !source_read_text(source, &package,
                          "sys/devices/system/cpu/%s/topology/physical_package_id", name))
        return ERR_NONE;
    struct str values[] = {source_text_str(&core), source_text_str(&package)};
    if (source_read_i64(source, &count,
                        "sys/devices/system/cpu/%s/thermal_throttle/core_throttle_count", name))
        row_set(table_row(source->tables[0], values), 0, (double)count);
    if (source_read_i64(source, &count,
                        "sys/devices/system/cpu/%s/thermal_throttle/package_throttle_count", name))
        row_set(table_row(source->tables[1], values + 1), 0, (double)count);
    return ERR_NONE;
}

static enum err throttle_collect(struct source *source, struct batch *out, struct why *why)
{
    return source_each(source, visit_cpu, why, "sys/devices/system/cpu");
}

const struct source_kind source_throttle = {
    .name = "throttle",
    .summary = "How often CPUs were slowed because of their heat.",
    .period_ms = 15000,
    .open = throttle_open,
    .collect = throttle_collect,
};
