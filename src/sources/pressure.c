/* SPDX-License-Identifier: Apache-2.0 */
/* pressure.c - time that was lost waiting for CPU, memory or I/O (PSI).
 *
 *   some avg10=0.00 avg60=0.00 avg300=0.00 total=15698773     microseconds, some task waited
 *   full avg10=0.00 avg60=0.00 avg300=0.00 total=5272407      microseconds, all tasks waited
 *
 * The line "full" of cpu is always zero on the whole machine and left out. */
#include "base/file.h"
#include "sources/source.h"

#include <stdlib.h>

enum { RESOURCES = 3 };

static const struct column columns[] = {
    {"node_pressure_cpu_waiting_seconds_total",
     "Total time in seconds that processes have waited for CPU time", METRIC_COUNTER, NULL, NULL},
    {"node_pressure_io_waiting_seconds_total",
     "Total time in seconds that processes have waited due to IO congestion", METRIC_COUNTER, NULL,
     NULL},
    {"node_pressure_io_stalled_seconds_total",
     "Total time in seconds no process could make progress due to IO congestion", METRIC_COUNTER,
     NULL, NULL},
    {"node_pressure_memory_waiting_seconds_total",
     "Total time in seconds that processes have waited for memory", METRIC_COUNTER, NULL, NULL},
    {"node_pressure_memory_stalled_seconds_total",
     "Total time in seconds no process could make progress due to memory congestion",
     METRIC_COUNTER, NULL, NULL},
};

static const struct {
    const char *file;
    int some_column;
    int full_column; /* -1: not told. */
} resources[RESOURCES] = {
    {"proc/pressure/cpu", 0, -1},
    {"proc/pressure/io", 1, 2},
    {"proc/pressure/memory", 3, 4},
};

struct pressure {
    int fd[RESOURCES];
};

static enum err pressure_open(struct source *source, struct why *why)
{
    struct pressure *pressure = calloc(1, sizeof(*pressure));

    if (pressure == NULL)
        must_memory(sizeof(*pressure));
    for (size_t i = 0; i < RESOURCES; i++)
        pressure->fd[i] = -1;
    source->state = pressure;
    (void)source_table(source, columns, ARRAY_COUNT(columns), NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static void pressure_close(struct source *source)
{
    struct pressure *pressure = source->state;

    for (size_t i = 0; pressure != NULL && i < RESOURCES; i++)
        file_closep(&pressure->fd[i]);
    free(pressure);
}

static enum err pressure_collect(struct source *source, struct batch *out, struct why *why)
{
    struct pressure *pressure = source->state;
    struct scan text;
    struct scan line;
    uint64_t total_us;

    for (size_t i = 0; i < RESOURCES; i++) {
        TRY(source_read_kept(source, &pressure->fd[i], resources[i].file, &text, why));
        while (scan_line(&text, &line)) {
            int column = scan_skip(&line, STR("some ")) ? resources[i].some_column
                                                        : resources[i].full_column;
            ptrdiff_t at = str_find_str(scan_rest(&line), STR("total="));
            if (column < 0 || at < 0)
                continue;
            line.at += at + 6;
            if (scan_u64(&line, &total_us))
                row_set(source_row(source->tables[0]), (size_t)column, (double)total_us / 1e6);
        }
    }
    return ERR_NONE;
}

const struct source_kind source_pressure = {
    .name = "pressure",
    .summary = "Time lost waiting for CPU, memory and I/O.",
    .open = pressure_open,
    .collect = pressure_collect,
    .close = pressure_close,
};
