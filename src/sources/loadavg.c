/* SPDX-License-Identifier: Apache-2.0 */
/* loadavg.c - how many tasks ran or waited, averaged over 1, 5 and 15 minutes. */
#include "sources/kept.h"

static const struct column columns[] = {
    {"node_load1", "1m load average.", METRIC_GAUGE, NULL, NULL},
    {"node_load5", "5m load average.", METRIC_GAUGE, NULL, NULL},
    {"node_load15", "15m load average.", METRIC_GAUGE, NULL, NULL},
};

static enum err loadavg_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, columns, ARRAY_COUNT(columns), NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static enum err loadavg_collect(struct source *source, struct batch *out, struct why *why)
{
    struct scan text;
    double load;

    TRY(kept_read(source, "proc/loadavg", &text, why));
    struct row *row = source_row(source->tables[0]);
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        if (!scan_double(&text, &load))
            return fail(why, ERR_CORRUPT, "/proc/loadavg does not start with three numbers");
        row_set(row, i, load);
    }
    return ERR_NONE;
}

const struct source_kind source_loadavg = {
    .name = "loadavg",
    .summary = "Load averages.",
    .open = loadavg_open,
    .collect = loadavg_collect,
    .close = kept_close,
};
