/* SPDX-License-Identifier: Apache-2.0 */
/* top_host - the machine's figures for a live view, from samples under node_exporter's names.
 *
 * It does not matter where the samples come from: a look at the machine itself or a daemon's
 * answer. Feed all samples of a round, then finish it; rates need two rounds. One thread. */
#pragma once
#include "model/label.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_HISTORY 240 /* Rounds that are remembered for the sparklines. */

enum top_figure {
    TOP_CPU, /* 0 … 1 of all CPUs. */
    TOP_CPU_USER,
    TOP_CPU_SYSTEM,
    TOP_CPU_IOWAIT,
    TOP_CPU_STEAL,
    TOP_MEMORY, /* 0 … 1 in use and not given back at once. */
    TOP_MEMORY_USED_BYTES,
    TOP_MEMORY_TOTAL_BYTES,
    TOP_MEMORY_CACHED_BYTES,
    TOP_SWAP_USED_BYTES,
    TOP_SWAP_TOTAL_BYTES,
    TOP_DISK_READ, /* Bytes per second. */
    TOP_DISK_WRITE,
    TOP_DISK_BUSY, /* 0 … 1 of the busiest disk. */
    TOP_NET_IN,    /* Bytes per second. */
    TOP_NET_OUT,
    TOP_PRESSURE_CPU, /* 0 … 1: share of time in which something waited. */
    TOP_PRESSURE_MEMORY,
    TOP_PRESSURE_IO,
    TOP_LOAD1,
    TOP_LOAD5,
    TOP_LOAD15,
    TOP_RUNNING,
    TOP_BLOCKED,
    TOP_BOOT_TIME_S,
    TOP_FIGURE_COUNT
};

struct top_host;

struct top_host *top_host_new(void);
struct top_host *top_host_free(struct top_host *host); /* Always returns NULL. */

/* label_get(self, name) gives a label's value, or STR_NONE. */
void top_host_feed(struct top_host *host, struct str metric,
                   struct str (*label_get)(const void *self, struct str name), const void *self,
                   double value);
void top_host_finish(struct top_host *host, int64_t time_ms);

double top_host_figure(const struct top_host *host, enum top_figure figure); /* NaN: unknown. */
size_t top_host_cpus(const struct top_host *host);
/* Oldest first; at most TOP_HISTORY. */
size_t top_host_history(const struct top_host *host, enum top_figure figure,
                        double values[TOP_HISTORY]);
const char *top_figure_name(enum top_figure figure); /* For JSON. */
