/* SPDX-License-Identifier: Apache-2.0 */
/* selinux.c - whether SELinux is on, and whether it enforces. */
#include "sources/source.h"

enum { CONFIG, CURRENT, ENABLED };

static const struct column columns[] = {
    [CONFIG] = {"node_selinux_config_mode", "Configured SELinux enforcement mode", METRIC_GAUGE,
                NULL, NULL},
    [CURRENT] = {"node_selinux_current_mode", "Current SELinux enforcement mode", METRIC_GAUGE,
                 NULL, NULL},
    [ENABLED] = {"node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false", METRIC_GAUGE,
                 NULL, NULL},
};

static enum err selinux_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, ARRAY_COUNT(columns), NULL, 0); /* tables[0] */
    return ERR_NONE;
}

/* 1 enforcing, 0 permissive, -1 disabled: as /etc/selinux/config says. */
static double configured(struct source *source)
{
    struct scan text;
    struct scan line;

    if (source_read(source, &text, NULL, "/etc/selinux/config") != ERR_NONE)
        return -1;
    while (scan_line(&text, &line)) {
        if (!scan_skip(&line, STR("SELINUX=")))
            continue;
        struct str mode = str_trim(scan_rest(&line));
        return str_eq(mode, STR("enforcing")) ? 1 : str_eq(mode, STR("permissive")) ? 0 : -1;
    }
    return -1;
}

static enum err selinux_collect(struct source *source, struct batch *out, struct why *why)
{
    struct row *row = source_row(source->tables[0]);
    int64_t enforce;

    if (!source_read_i64(source, &enforce, "sys/fs/selinux/enforce")) {
        row_set(row, ENABLED, 0);
        return ERR_NONE;
    }
    row_set(row, ENABLED, 1);
    row_set(row, CURRENT, (double)enforce);
    row_set(row, CONFIG, configured(source));
    return ERR_NONE;
}

const struct source_kind source_selinux = {
    .name = "selinux",
    .summary = "Whether SELinux is on and enforces.",
    .period_ms = 30000,
    .open = selinux_open,
    .collect = selinux_collect,
};
