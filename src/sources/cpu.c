/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.c - where each CPU's time went, from /proc/stat.
 *
 * The kernel counts in hundredths of a second (USER_HZ, the same on every architecture that Linux
 * exposes it on). A CPU's idle time may step back a little when it comes online again; counters
 * never may, so a value smaller than the last one is held until the kernel has caught up. */
#include "base/file.h"
#include "sources/source.h"

#include <stdio.h>
#include <stdlib.h>

enum { MODES = 8, GUESTS = 2, HZ = 100 };

#define CPU_HELP   "Seconds the CPUs spent in each mode."
#define GUEST_HELP "Seconds the CPUs spent in guests (VMs) for each mode."

/* In the order of the columns of /proc/stat. */
static const struct column columns[] = {
    {"node_cpu_seconds_total", CPU_HELP, METRIC_COUNTER, "mode", "user"},
    {"node_cpu_seconds_total", CPU_HELP, METRIC_COUNTER, "mode", "nice"},
    {"node_cpu_seconds_total", CPU_HELP, METRIC_COUNTER, "mode", "system"},
    {"node_cpu_seconds_total", CPU_HELP, METRIC_COUNTER, "mode", "idle"},
    {"node_cpu_seconds_total", CPU_HELP, METRIC_COUNTER, "mode", "iowait"},
    {"node_cpu_seconds_total", CPU_HELP, METRIC_COUNTER, "mode", "irq"},
    {"node_cpu_seconds_total", CPU_HELP, METRIC_COUNTER, "mode", "softirq"},
    {"node_cpu_seconds_total", CPU_HELP, METRIC_COUNTER, "mode", "steal"},
    {"node_cpu_guest_seconds_total", GUEST_HELP, METRIC_COUNTER, "mode", "user"},
    {"node_cpu_guest_seconds_total", GUEST_HELP, METRIC_COUNTER, "mode", "nice"},
};
static const char *const keys[] = {"cpu"};

struct cpu {
    int fd;
    struct table *times;
};

static enum err cpu_open(struct source *source, struct why *why)
{
    struct cpu *cpu = calloc(1, sizeof(*cpu));

    if (cpu == NULL)
        must_memory(sizeof(*cpu));
    cpu->fd = -1;
    cpu->times = source_table(source, columns, ARRAY_COUNT(columns), keys, ARRAY_COUNT(keys));
    source->state = cpu;
    return ERR_NONE;
}

static void cpu_close(struct source *source)
{
    struct cpu *cpu = source->state;

    if (cpu != NULL)
        file_closep(&cpu->fd);
    free(cpu);
}

static void set_forward(struct row *row, size_t column, double value)
{
    if (row != NULL && value < row->cells[column].value)
        value = row->cells[column].value;
    row_set(row, column, value);
}

static enum err cpu_collect(struct source *source, struct batch *out, struct why *why)
{
    struct cpu *cpu = source->state;
    struct scan text;
    struct scan line;

    TRY(source_read_kept(source, &cpu->fd, "proc/stat", &text, why));
    while (scan_line(&text, &line) && scan_skip(&line, STR("cpu"))) {
        if (line.at < line.end && scan_is_blank(*line.at))
            continue; /* The sum of all. */
        struct str name = scan_word(&line);
        struct row *row = table_row(cpu->times, &name);
        uint64_t ticks;
        for (size_t i = 0; i < MODES + GUESTS && scan_u64(&line, &ticks); i++)
            set_forward(row, i, (double)ticks / HZ);
    }
    return ERR_NONE;
}

const struct source_kind source_cpu = {
    .name = "cpu",
    .summary = "Time of each CPU in each mode.",
    .open = cpu_open,
    .collect = cpu_collect,
    .close = cpu_close,
};
