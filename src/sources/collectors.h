/* SPDX-License-Identifier: Apache-2.0 */
/* collectors - programs of the user's that are run on a schedule and print Prometheus text (or
 * OpenMetrics when they end with "# EOF").
 *
 * What a run prints becomes one batch, if the program ended with 0 and every line can be read; else
 * nothing of it is taken. Either way the run itself is told:
 *
 *   sonde_collector_success{collector}             1 or 0
 *   sonde_collector_duration_seconds{collector}    of the last run
 *   sonde_collector_exit_code{collector}           -1: ended by a signal or not started
 *   sonde_collector_timed_out{collector}           1: it was stopped for taking too long
 *   sonde_collector_samples{collector}             taken from the last run
 *   sonde_collector_runs_total{collector}, sonde_collector_failures_total{collector}
 *
 * One run of a collector at a time: while one takes longer than the period, the next is left out.
 * Loop thread only, except collectors_status, which any thread may call. */
#pragma once
#include "base/err.h"
#include "sources/sources.h"

struct hub;
struct loop;
struct collectors;

#define COLLECTORS_MAX          256
#define COLLECTOR_PERIOD_MS     15000
#define COLLECTOR_PERIOD_MS_MIN 100
#define COLLECTOR_TIMEOUT_MS    10000
#define COLLECTOR_OUTPUT_BYTES  (4u << 20)

struct collector_options {
    const char *name;           /* [A-Za-z0-9_.-]+, unique; the label job of its series. */
    const char *const *command; /* Program and arguments, NULL at the end. */
    int64_t period_ms;          /* 0 takes COLLECTOR_PERIOD_MS. */
    int64_t timeout_ms;         /* 0 takes COLLECTOR_TIMEOUT_MS. */
    size_t output_bytes_max;    /* 0 takes COLLECTOR_OUTPUT_BYTES. */
};

/* Copies the options. ERR_INVALID: a name or a number will not do. instance as in sources_options;
 * the first runs start as soon as the loop turns. */
CHECKED enum err collectors_open(const struct collector_options *options, size_t count,
                                 const char *instance, struct loop *loop, struct hub *hub,
                                 struct collectors **ret_collectors, struct why *why);
/* Kills what runs. Always returns NULL. */
struct collectors *collectors_close(struct collectors *collectors);

size_t collectors_count(const struct collectors *collectors);
/* summary is the command. */
void collectors_status(struct collectors *collectors, size_t index,
                       struct source_status *ret_status);
