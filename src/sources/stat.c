/* SPDX-License-Identifier: Apache-2.0 */
/* stat.c - what the whole machine counts since it booted, from /proc/stat. */
#include "sources/kept.h"

static const struct column columns[] = {
    {"node_boot_time_seconds", "Node boot time, in unixtime.", METRIC_GAUGE, NULL, NULL},
    {"node_context_switches_total", "Total number of context switches.", METRIC_COUNTER, NULL,
     NULL},
    {"node_forks_total", "Total number of forks.", METRIC_COUNTER, NULL, NULL},
    {"node_intr_total", "Total number of interrupts serviced.", METRIC_COUNTER, NULL, NULL},
    {"node_procs_blocked", "Number of processes blocked waiting for I/O to complete.", METRIC_GAUGE,
     NULL, NULL},
    {"node_procs_running", "Number of processes in runnable state.", METRIC_GAUGE, NULL, NULL},
};

/* The words that start the lines, in the order of the columns. */
static const char *const words[] = {"btime", "ctxt",          "processes",
                                    "intr",  "procs_blocked", "procs_running"};

static enum err stat_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, columns, ARRAY_COUNT(columns), NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static enum err stat_collect(struct source *source, struct batch *out, struct why *why)
{
    struct scan text;
    struct scan line;
    uint64_t value;

    TRY(kept_read(source, "proc/stat", &text, why));
    struct row *row = source_row(source->tables[0]);
    while (scan_line(&text, &line)) {
        if (scan_skip(&line, STR("cpu")))
            continue;
        struct str word = scan_word(&line);
        for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
            if (str_eq(word, str_of(words[i])) && scan_u64(&line, &value))
                row_set(row, i, (double)value);
        }
    }
    return ERR_NONE;
}

const struct source_kind source_stat = {
    .name = "stat",
    .summary = "Context switches, interrupts, forks, running and blocked processes.",
    .open = stat_open,
    .collect = stat_collect,
    .close = kept_close,
};
