/* SPDX-License-Identifier: Apache-2.0 */
/* meminfo.c - every line of /proc/meminfo, whatever the kernel has there.
 *
 *   Active(anon):   1588 kB   ->   node_memory_Active_anon_bytes 1626112
 *   HugePages_Free:    0      ->   node_memory_HugePages_Free 0
 *
 * The lines keep their order while the kernel runs, so a line's column is the one at its place
 * unless the name there is another. */
#include "sources/kept.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIELDS_MAX = 256, NAME_MAX_BYTES = 64 };

struct meminfo {
    struct kept kept;
    struct {
        char line_name[NAME_MAX_BYTES]; /* As in the file. */
        size_t column;
    } field[FIELDS_MAX];
    size_t field_count;
};

static enum err meminfo_open(struct source *source, struct why *why)
{
    struct meminfo *meminfo = calloc(1, sizeof(*meminfo));

    if (meminfo == NULL)
        must_memory(sizeof(*meminfo));
    meminfo->kept.fd = -1;
    source->state = meminfo; /* kept comes first, so kept_read and kept_close fit. */
    (void)source_table(source, NULL, 0, NULL, 0); /* tables[0] */
    return ERR_NONE;
}

/* "Active(anon)" becomes "Active_anon": brackets as node_exporter writes them. */
static void metric_name(char *name, size_t size, struct str line_name, bool bytes)
{
    char clean[NAME_MAX_BYTES];
    size_t used = 0;

    for (size_t i = 0; i < line_name.size; i++) {
        char c = line_name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (c == ')')
            continue;
        clean[used++] = letter ? c : '_';
    }
    (void)snprintf(name, size, "node_memory_%.*s%s", (int)used, clean, bytes ? "_bytes" : "");
}

static size_t field_of(struct source *source, size_t place, struct str line_name, bool bytes)
{
    struct meminfo *meminfo = source->state;
    char name[NAME_MAX_BYTES + 24];
    char help[NAME_MAX_BYTES + 64];

    if (place < meminfo->field_count && str_eq(str_of(meminfo->field[place].line_name), line_name))
        return place;
    for (size_t i = 0; i < meminfo->field_count; i++) {
        if (str_eq(str_of(meminfo->field[i].line_name), line_name))
            return i;
    }
    if (meminfo->field_count == FIELDS_MAX)
        return FIELDS_MAX;
    metric_name(name, sizeof(name), line_name, bytes);
    (void)snprintf(help, sizeof(help), "Memory information field %s.",
                   name + strlen("node_memory_"));
    memcpy(meminfo->field[meminfo->field_count].line_name, line_name.data, line_name.size);
    struct column column = {name, help, METRIC_GAUGE, NULL, NULL};
    meminfo->field[meminfo->field_count].column = table_add_column(source->tables[0], &column);
    return meminfo->field_count++;
}

static enum err meminfo_collect(struct source *source, struct batch *out, struct why *why)
{
    struct meminfo *meminfo = source->state;
    struct scan text;
    struct scan line;
    struct str name;
    uint64_t value;

    TRY(kept_read(source, "proc/meminfo", &text, why));
    for (size_t place = 0; scan_line(&text, &line); place++) {
        if (!scan_until(&line, ':', &name) || name.size >= NAME_MAX_BYTES ||
            !scan_u64(&line, &value))
            continue;
        bool bytes = str_eq(scan_word(&line), STR("kB"));
        size_t field = field_of(source, place, name, bytes);
        if (field < FIELDS_MAX)
            row_set(source_row(source->tables[0]), meminfo->field[field].column,
                    (double)(bytes ? value * 1024 : value));
    }
    return ERR_NONE;
}

const struct source_kind source_meminfo = {
    .name = "meminfo",
    .summary = "Memory: how much there is, and what it is used for.",
    .open = meminfo_open,
    .collect = meminfo_collect,
    .close = kept_close,
};
