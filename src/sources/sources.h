/* SPDX-License-Identifier: Apache-2.0 */
/* sources - runs every source: one thread, the sampler, that wakes at whole periods, asks the
 * sources that are due, and hands one batch to the hub.
 *
 * All samples of a tick carry the planned time, a multiple of the period, so that a series has no
 * jitter and all share one column of times. When the machine's clock jumps, ticks follow it and the
 * jump is counted. A source that fails is logged once and asked less and less often, up to once a
 * minute; its series end with stale markers meanwhile.
 *
 * sources_open … sources_close belong to one thread; the sampler is started and stopped by it.
 * sources_status, sources_count, sources_pause and sources_read_stats may be called by any. */
#pragma once
#include "base/err.h"
#include "model/label.h"
#include "sources/process_table.h"
#include "sources/source.h"

struct hub;
struct sources;

#define SOURCES_BASE_MAX 16

struct sources_options {
    int64_t period_ms;           /* Of a tick. Default 1000; 100 … 60000. */
    struct source_paths paths;   /* Default /proc, /sys and the root. */
    const char *instance;        /* The label instance; NULL: the host's name. "": no label. */
    const char *job;             /* The label job; NULL: "node". "": no label. */
    const char *const *disabled; /* Names of sources that stay off, NULL at the end; or NULL. */
    const char *textfile_folder; /* Of *.prom files; NULL: none. */
    size_t cgroups_max;          /* 0 takes 200. */
    size_t groups_max;           /* Of process groups by name; 0 takes 200. */
};

enum source_state {
    SOURCE_RUNNING,
    SOURCE_UNSUPPORTED, /* The machine has nothing of the kind now. */
    SOURCE_FAILED,
    SOURCE_DISABLED, /* By options. */
};

struct source_status {
    const char *name;
    const char *summary;
    enum source_state state;
    char error[WHY_TEXT_SIZE]; /* "" while running. */
    int64_t period_ms;
    double duration_s; /* Of the last look. */
    size_t series;     /* Sent at the last tick. */
    uint64_t failures; /* Since the start. */
};

struct sources_stats {
    uint64_t ticks;
    uint64_t ticks_missed; /* A tick took longer than the period. */
    uint64_t clock_jumps;  /* The machine's clock was set. */
    uint64_t batches_lost; /* The hub was full; the samples of the tick are gone. */
    uint64_t rows_refused; /* Things over a table's bound. */
    int64_t cpu_ns;        /* Of the sampler thread. */
};

/* options may be NULL; its texts must outlive the sources. hub may be NULL for sources_tick. An
 * unknown name among the disabled ones is ERR_INVALID. */
CHECKED enum err sources_open(const struct sources_options *options, struct hub *hub,
                              struct sources **ret_sources, struct why *why);
struct sources *sources_close(struct sources *sources); /* Stops first. Always returns NULL. */

CHECKED enum err sources_start(struct sources *sources, struct why *why);
void sources_stop(struct sources *sources);

/* One tick by hand, on the caller's thread while the sampler is not running: what is due at time_ms
 * goes into the batch. For tests, `sonde top` and commands. */
CHECKED enum err sources_tick(struct sources *sources, int64_t time_ms, struct batch *out,
                              struct why *why);

void sources_pause(struct sources *sources, bool paused); /* From the next tick on. */
bool sources_paused(const struct sources *sources);

size_t sources_count(const struct sources *sources);
const char *sources_instance(const struct sources *sources); /* Label of all that is collected. */
void sources_status(struct sources *sources, size_t index, struct source_status *ret_status);
const char *source_state_name(enum source_state state); /* "running", "unsupported", … */
void sources_read_stats(struct sources *sources, struct sources_stats *ret_stats);

/* The processes as the sampler last saw them; lives as long as sources. */
struct process_table *sources_processes(struct sources *sources);
