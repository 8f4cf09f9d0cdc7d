/* SPDX-License-Identifier: Apache-2.0 */
/* cpufreq.c - how fast each CPU runs and may run. The kernel says kHz. */
#include "sources/source.h"

static const struct column columns[] = {
    {"node_cpu_frequency_hertz", "Current CPU thread frequency in hertz.", METRIC_GAUGE, NULL,
     NULL},
    {"node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz.", METRIC_GAUGE, NULL,
     NULL},
    {"node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz.", METRIC_GAUGE, NULL,
     NULL},
    {"node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz.",
     METRIC_GAUGE, NULL, NULL},
    {"node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz.",
     METRIC_GAUGE, NULL, NULL},
    {"node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz.",
     METRIC_GAUGE, NULL, NULL},
};
static const char *const files[] = {
    "cpuinfo_cur_freq", "cpuinfo_min_freq", "cpuinfo_max_freq",
    "scaling_cur_freq", "scaling_min_freq", "scaling_max_freq",
};
static const char *const keys[] = {"cpu"};

static enum err cpufreq_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, 1); /* tables[0] */
    return ERR_NONE;
}

static enum err visit_cpu(struct source *source, const char *name, struct why *why)
{
    struct scan scan = scan_of(str_of(name));
    struct row *row = NULL;
    int64_t khz;

    if (!scan_skip(&scan, STR("cpu")) || scan.at == scan.end || *scan.at < '0' || *scan.at > '9')
        return ERR_NONE;
    struct str number = scan_rest(&scan);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        if (!source_read_i64(source, &khz, "sys/devices/system/cpu/%s/cpufreq/%s", name, files[i]))
            continue;
        if (row == NULL)
            row = table_row(source->tables[0], &number);
        row_set(row, i, (double)khz * 1000);
    }
    return ERR_NONE;
}

static enum err cpufreq_collect(struct source *source, struct batch *out, struct why *why)
{
    return source_each(source, visit_cpu, why, "sys/devices/system/cpu");
}

const struct source_kind source_cpufreq = {
    .name = "cpufreq",
    .summary = "Clock rates of each CPU, now and at most.",
    .period_ms = 5000,
    .open = cpufreq_open,
    .collect = cpufreq_collect,
};
