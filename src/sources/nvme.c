/* SPDX-License-Identifier: Apache-2.0 */
/* nvme.c - which NVMe controllers there are. */
#include "sources/source.h"

static const struct column columns[] = {
    {"node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.",
     METRIC_GAUGE, NULL, NULL},
};
static const char *const keys[] = {"device", "firmware_revision", "model", "serial", "state"};
static const char *const files[] = {"", "firmware_rev", "model", "serial", "state"};

static enum err nvme_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, 1, keys, ARRAY_COUNT(keys)); /* tables[0] */
    return ERR_NONE;
}

static enum err visit(struct source *source, const char *name, struct why *why)
{
    struct source_text texts[ARRAY_COUNT(keys)];
    struct str values[ARRAY_COUNT(keys)] = {str_of(name)};

    for (size_t i = 1; i < ARRAY_COUNT(keys); i++)
        values[i] = source_read_text(source, &texts[i], "sys/class/nvme/%s/%s", name, files[i])
                        ? source_text_str(&texts[i])
                        : STR("");
    row_set(table_row(source->tables[0], values), 0, 1);
    return ERR_NONE;
}

static enum err nvme_collect(struct source *source, struct batch *out, struct why *why)
{
    return source_each(source, visit, why, "sys/class/nvme");
}

const struct source_kind source_nvme = {
    .name = "nvme",
    .summary = "Model, serial number and state of NVMe controllers.",
    .period_ms = 30000,
    .open = nvme_open,
    .collect = nvme_collect,
};
