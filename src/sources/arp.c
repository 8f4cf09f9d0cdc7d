/* SPDX-License-Identifier: Apache-2.0 */
/* arp.c - how many neighbours each network device knows. */
#include "sources/kept.h"

static const struct column columns[] = {
    {"node_arp_entries", "ARP entries by device", METRIC_GAUGE, NULL, NULL},
};
static const char *const keys[] = {"device"};

enum { WORDS_BEFORE_DEVICE = 5 };

static enum err arp_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, ARRAY_COUNT(keys));
    return ERR_NONE;
}

static enum err arp_collect(struct source *source, struct batch *out, struct why *why)
{
    struct scan text;
    struct scan line;

    TRY(kept_read(source, "proc/net/arp", &text, why));
    if (!scan_line(&text, &line))
        return fail(why, ERR_CORRUPT, "/proc/net/arp is empty");
    while (scan_line(&text, &line)) {
        if (!scan_words(&line, WORDS_BEFORE_DEVICE))
            continue;
        struct str device = scan_word(&line);
        struct row *row = table_row(source->tables[0], &device);
        if (row != NULL)
            row_set(row, 0, (row->cells[0].set ? row->cells[0].value : 0) + 1);
    }
    return ERR_NONE;
}

const struct source_kind source_arp = {
    .name = "arp",
    .summary = "Entries of the ARP table by device.",
    .period_ms = 5000,
    .open = arp_open,
    .collect = arp_collect,
    .close = kept_close,
};
