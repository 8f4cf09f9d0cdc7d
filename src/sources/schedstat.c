/* SPDX-License-Identifier: Apache-2.0 */
/* schedstat.c - how long tasks ran and waited on each CPU, from /proc/schedstat.
 *
 *   cpu0 0 0 0 0 0 0 2045936778163425 343796328169361 4767485306
 *                    running (ns)     waiting (ns)    time slices   as the seventh to ninth word */
#include "sources/kept.h"

static const struct column columns[] = {
    {"node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.",
     METRIC_COUNTER, NULL, NULL},
    {"node_schedstat_waiting_seconds_total",
     "Number of seconds spent by processing waiting for this CPU.", METRIC_COUNTER, NULL, NULL},
    {"node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", METRIC_COUNTER,
     NULL, NULL},
};
static const char *const keys[] = {"cpu"};

enum { WORDS_BEFORE = 6 };

static enum err schedstat_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, 1); /* tables[0] */
    return ERR_NONE;
}

static enum err schedstat_collect(struct source *source, struct batch *out, struct why *why)
{
    struct scan text;
    struct scan line;
    uint64_t running_ns;
    uint64_t waiting_ns;
    uint64_t slices;

    TRY(kept_read(source, "proc/schedstat", &text, why));
    while (scan_line(&text, &line)) {
        if (!scan_skip(&line, STR("cpu")))
            continue;
        struct str cpu = scan_word(&line);
        if (!scan_words(&line, WORDS_BEFORE) || !scan_u64(&line, &running_ns) ||
            !scan_u64(&line, &waiting_ns) || !scan_u64(&line, &slices))
            continue;
        struct row *row = table_row(source->tables[0], &cpu);
        row_set(row, 0, (double)running_ns / 1e9);
        row_set(row, 1, (double)waiting_ns / 1e9);
        row_set(row, 2, (double)slices);
    }
    return ERR_NONE;
}

const struct source_kind source_schedstat = {
    .name = "schedstat",
    .summary = "Time that tasks ran and waited on each CPU.",
    .open = schedstat_open,
    .collect = schedstat_collect,
    .close = kept_close,
};
