/* SPDX-License-Identifier: Apache-2.0 */
/* conntrack.c - connections that the firewall follows.
 *
 * /proc/net/stat/nf_conntrack has a line of hexadecimal words for each CPU below a line of names; a
 * number is the sum over the CPUs. */
#include "sources/kept.h"

#define STAT(name, help)                                               \
    {                                                                  \
        "node_nf_conntrack_stat_" name, help, METRIC_GAUGE, NULL, NULL \
    }

enum { ENTRIES, LIMIT, STATS, WORDS_MAX = 17 };

static const struct column columns[] = {
    [ENTRIES] = {"node_nf_conntrack_entries",
                 "Number of currently allocated flow entries for connection tracking.",
                 METRIC_GAUGE, NULL, NULL},
    [LIMIT] = {"node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.",
               METRIC_GAUGE, NULL, NULL},
    [STATS] = STAT("found", "Number of searched entries which were successful."),
    STAT("invalid", "Number of packets seen which can not be tracked."),
    STAT("ignore", "Number of packets seen which are already connected to a conntrack entry."),
    STAT("insert", "Number of entries inserted into the list."),
    STAT("insert_failed", "Number of entries for which list insertion was attempted but failed."),
    STAT("drop", "Number of packets dropped due to conntrack failure."),
    STAT("early_drop", "Number of dropped conntrack entries to make room for new ones, if maximum "
                       "table size was reached."),
    STAT("search_restart", "Number of conntrack table lookups which had to be restarted due to "
                           "hashtable resizes."),
};

/* Places of the words of STATS and on. */
static const size_t places[] = {2, 4, 5, 8, 9, 10, 11, 16};

static enum err conntrack_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, columns, ARRAY_COUNT(columns), NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static enum err conntrack_collect(struct source *source, struct batch *out, struct why *why)
{
    uint64_t sums[WORDS_MAX] = {0};
    struct scan text;
    struct scan line;
    uint64_t value;
    int64_t count;
    int64_t limit;

    if (!source_read_i64(source, &count, "proc/sys/net/netfilter/nf_conntrack_count") ||
        !source_read_i64(source, &limit, "proc/sys/net/netfilter/nf_conntrack_max"))
        return fail(why, ERR_UNSUPPORTED, "no firewall follows connections here");
    struct row *row = source_row(source->tables[0]);
    row_set(row, ENTRIES, (double)count);
    row_set(row, LIMIT, (double)limit);

    TRY(kept_read(source, "proc/net/stat/nf_conntrack", &text, why));
    if (!scan_line(&text, &line))
        return fail(why, ERR_CORRUPT, "/proc/net/stat/nf_conntrack is empty");
    while (scan_line(&text, &line)) {
        for (size_t i = 0; i < WORDS_MAX && scan_hex(&line, &value); i++)
            sums[i] += value;
    }
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        row_set(row, STATS + i, (double)sums[places[i]]);
    return ERR_NONE;
}

const struct source_kind source_conntrack = {
    .name = "conntrack",
    .summary = "Connections that the firewall follows, and their limit.",
    .open = conntrack_open,
    .collect = conntrack_collect,
    .close = kept_close,
};
