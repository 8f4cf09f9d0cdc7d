/* SPDX-License-Identifier: Apache-2.0 */
/* vmstat.c - paging, swapping, faults and kills for want of memory, from /proc/vmstat.
 *
 * The file has some 180 lines of which six families are told, as node_exporter does by default. */
#include "sources/kept.h"

#include <stdio.h>

enum { COLUMNS_MAX = 64 };

static enum err vmstat_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, NULL, 0, NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static bool is_told(struct str name)
{
    if (str_eq(name, STR("oom_kill")) || str_eq(name, STR("pgfault")) ||
        str_eq(name, STR("pgmajfault")))
        return true;
    return str_starts(name, STR("pgpg")) || str_starts(name, STR("pswp"));
}

static size_t column_of(struct table *table, struct str name)
{
    char metric[128];
    char help[192];
    size_t skip = strlen("node_vmstat_");

    for (size_t i = 0; i < table_column_count(table); i++) {
        if (str_eq(str_of(table_column_name(table, i) + skip), name))
            return i;
    }
    (void)snprintf(metric, sizeof(metric), "node_vmstat_%.*s", STR_ARG(name));
    (void)snprintf(help, sizeof(help), "/proc/vmstat information field %.*s.", STR_ARG(name));
    return table_add_column(table, &(struct column){metric, help, METRIC_UNKNOWN, NULL, NULL});
}

static enum err vmstat_collect(struct source *source, struct batch *out, struct why *why)
{
    struct scan text;
    struct scan line;
    uint64_t value;

    TRY(kept_read(source, "proc/vmstat", &text, why));
    while (scan_line(&text, &line)) {
        struct str name = scan_word(&line);
        if (name.size == 0 || name.size > 96 || !is_told(name) || !scan_u64(&line, &value))
            continue;
        if (table_column_count(source->tables[0]) < COLUMNS_MAX) {
            size_t column = column_of(source->tables[0], name);
            row_set(source_row(source->tables[0]), column, (double)value);
        }
    }
    return ERR_NONE;
}

const struct source_kind source_vmstat = {
    .name = "vmstat",
    .summary = "Paging, swapping, page faults and out-of-memory kills.",
    .open = vmstat_open,
    .collect = vmstat_collect,
    .close = kept_close,
};
