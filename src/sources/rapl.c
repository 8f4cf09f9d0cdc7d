/* SPDX-License-Identifier: Apache-2.0 */
/* rapl.c - energy that packages, cores and memory used, from /sys/class/powercap.
 *
 * A zone "package-0" is told as node_rapl_package_joules_total{index="0"}; zones that share a name
 * without a number ("core" of two packages) are numbered as they come. The counter starts again at
 * its range; rate() takes that for a restart. Since Linux 5.10 only root may read it. */
#include "sources/named_column.h"
#include "sources/source.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES = 48, COLUMNS_SEEN = NAMED_COLUMNS_MAX };

static const char *const keys[] = {"index", "path"};

struct rapl {
    unsigned seen[COLUMNS_SEEN]; /* Zones of a column's name in this round. */
};

static enum err rapl_open(struct source *source, struct why *why)
{
    struct rapl *rapl = calloc(1, sizeof(*rapl));

    if (rapl == NULL)
        must_memory(sizeof(*rapl));
    source->state = rapl;
    (void)source_table(source, NULL, 0, keys, ARRAY_COUNT(keys)); /* tables[0] */
    return ERR_NONE;
}

static void rapl_close(struct source *source)
{
    free(source->state);
}

/* "package-0" becomes "package" and "0". */
static struct str split_index(struct str *name)
{
    for (size_t i = name->size; i > 0; i--) {
        char c = name->data[i - 1];
        if (c == '-' && i < name->size) {
            struct str index = {name->data + i, name->size - i};
            name->size = i - 1;
            return index;
        }
        if (c < '0' || c > '9')
            break;
    }
    return STR("");
}

static enum err visit(struct source *source, const char *zone, struct why *why)
{
    struct rapl *rapl = source->state;
    struct source_text text;
    char clean[NAME_BYTES];
    char metric[NAME_BYTES + 32];
    char help[NAME_BYTES + 32];
    char path[256];
    char number[16];
    int64_t energy_uj;
    size_t column;

    if (!source_read_text(source, &text, "sys/class/powercap/%s/name", zone) ||
        !source_read_i64(source, &energy_uj, "sys/class/powercap/%s/energy_uj", zone))
        return ERR_NONE;
    struct str name = source_text_str(&text);
    struct str index = split_index(&name);
    named_column_clean(clean, sizeof(clean), name);
    (void)snprintf(metric, sizeof(metric), "node_rapl_%s_joules_total", clean);
    (void)snprintf(help, sizeof(help), "Current RAPL %s value in joules", clean);
    if (!named_column(source->tables[0], metric, help, METRIC_COUNTER, &column))
        return ERR_NONE;
    if (index.size == 0) {
        int size = snprintf(number, sizeof(number), "%u", rapl->seen[column]);
        index = (struct str){number, (size_t)size};
    }
    rapl->seen[column]++;
    (void)snprintf(path, sizeof(path), "%s/class/powercap/%s", source->options->paths.sys, zone);
    struct str values[] = {index, str_of(path)};
    row_set(table_row(source->tables[0], values), column, (double)energy_uj / 1e6);
    return ERR_NONE;
}

static enum err rapl_collect(struct source *source, struct batch *out, struct why *why)
{
    struct rapl *rapl = source->state;

    memset(rapl->seen, 0, sizeof(rapl->seen));
    return source_each(source, visit, why, "sys/class/powercap");
}

const struct source_kind source_rapl = {
    .name = "rapl",
    .summary = "Energy that the processors used.",
    .open = rapl_open,
    .collect = rapl_collect,
    .close = rapl_close,
};
