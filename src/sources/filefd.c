/* SPDX-License-Identifier: Apache-2.0 */
/* filefd.c - file descriptors in use on the whole machine. */
#include "sources/kept.h"

static const struct column columns[] = {
    {"node_filefd_allocated", "File descriptor statistics: allocated.", METRIC_GAUGE, NULL, NULL},
    {"node_filefd_maximum", "File descriptor statistics: maximum.", METRIC_GAUGE, NULL, NULL},
};

static enum err filefd_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, columns, ARRAY_COUNT(columns), NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static enum err filefd_collect(struct source *source, struct batch *out, struct why *why)
{
    struct scan text;
    double allocated;
    double unused;
    double maximum;

    TRY(kept_read(source, "proc/sys/fs/file-nr", &text, why));
    struct scan line;
    if (!scan_line(&text, &line) || !scan_double(&line, &allocated) ||
        !scan_double(&line, &unused) || !scan_double(&line, &maximum))
        return fail(why, ERR_CORRUPT, "/proc/sys/fs/file-nr does not hold three numbers");
    struct row *row = source_row(source->tables[0]);
    row_set(row, 0, allocated);
    row_set(row, 1, maximum);
    return ERR_NONE;
}

const struct source_kind source_filefd = {
    .name = "filefd",
    .summary = "File descriptors in use, and their limit.",
    .open = filefd_open,
    .collect = filefd_collect,
    .close = kept_close,
};
