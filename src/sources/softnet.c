/* SPDX-License-Identifier: Apache-2.0 */
/* softnet.c - packets that each CPU took from the network devices, from /proc/net/softnet_stat.
 *
 * A line a CPU, hexadecimal words: processed, dropped, times squeezed, …; the thirteenth word,
 * since Linux 5.14, is the number of the CPU (before, the line's number is). */
#include "sources/kept.h"

#include <stdio.h>

static const struct column columns[] = {
    {"node_softnet_processed_total", "Number of processed packets", METRIC_COUNTER, NULL, NULL},
    {"node_softnet_dropped_total", "Number of dropped packets", METRIC_COUNTER, NULL, NULL},
    {"node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota",
     METRIC_COUNTER, NULL, NULL},
};
static const char *const keys[] = {"cpu"};

enum { WORDS_TO_CPU = 9 };

static enum err softnet_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, ARRAY_COUNT(keys));
    return ERR_NONE;
}

static enum err softnet_collect(struct source *source, struct batch *out, struct why *why)
{
    struct scan text;
    struct scan line;
    char name[24];

    TRY(kept_read(source, "proc/net/softnet_stat", &text, why));
    for (uint64_t number = 0; scan_line(&text, &line); number++) {
        uint64_t values[ARRAY_COUNT(columns)];
        uint64_t cpu = number;
        for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
            if (!scan_hex(&line, &values[i]))
                return fail(why, ERR_CORRUPT, "/proc/net/softnet_stat has a line of fewer words");
        }
        if (!scan_words(&line, WORDS_TO_CPU) || !scan_hex(&line, &cpu))
            cpu = number;
        int size = snprintf(name, sizeof(name), "%llu", (unsigned long long)cpu);
        struct row *row = table_row(source->tables[0], &(struct str){name, (size_t)size});
        for (size_t i = 0; i < ARRAY_COUNT(values); i++)
            row_set(row, i, (double)values[i]);
    }
    return ERR_NONE;
}

const struct source_kind source_softnet = {
    .name = "softnet",
    .summary = "Packets taken, dropped and put off by each CPU.",
    .open = softnet_open,
    .collect = softnet_collect,
    .close = kept_close,
};
