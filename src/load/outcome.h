/* SPDX-License-Identifier: Apache-2.0 */
/* outcome - what a run came to: tallies of all drivers together, step by step and over time.
 *
 * Filled by engine.h while the run goes on; whoever is shown it meanwhile reads it on the same
 * thread. */
#pragma once
#include "load/plan.h"
#include "load/stream_tally.h"
#include "load/tally.h"
#include "load/trail.h"

#include <stdatomic.h>

enum { OUTCOME_POINTS_MAX = 4096, OUTCOME_STAGES_MAX = 64, OUTCOME_AGENT_NAME_SIZE = 128 };

/* One interval of the run. Durations are NAN where nothing was answered. */
struct outcome_point {
    double time_s; /* Its end, since the start of the clock. */
    double length_s;
    uint64_t requests;
    uint64_t failures;
    uint64_t answers;
    uint64_t bytes_in;
    double p50_ms, p95_ms, p99_ms, max_ms;
    double level; /* What the pattern asked for: users, or arrivals a second. */
    int64_t users;
    int64_t backlog;
    /* Of token streams. */
    uint64_t streams, good, tokens_out;
    double ttft_p50_ms, ttft_p95_ms;
};

/* One piece of the pattern, without the intervals in which the load had just changed. */
struct outcome_stage {
    double start_s; /* Since the start of the clock. */
    double length_s;
    double level;   /* In its middle. */
    double seconds; /* That were measured. */
    uint64_t requests;
    uint64_t answers;
    uint64_t failures;
    struct histogram latency;
};

enum outcome_agent_state {
    OUTCOME_AGENT_RAN,
    OUTCOME_AGENT_ENDED, /* Somebody ended it there. */
    OUTCOME_AGENT_LOST,  /* What it did since is not known. */
};

/* A machine that carried out a part of the load. */
struct outcome_agent {
    char name[OUTCOME_AGENT_NAME_SIZE];
    enum outcome_agent_state state;
    char reason[WHY_TEXT_SIZE]; /* Why it did not run to the end, or "". */
    double left_s;              /* … and when, since the start of the clock. */
    uint64_t threads;
    uint64_t requests, failures, dropped;
    double p50_ms, p99_ms; /* Latency; NAN where nothing was answered. */
    double late_p99_ms;    /* How late it looked at its arrivals. */
    double busiest, cpu_s;
    bool saturated;
    double round_ms; /* A word there and its answer: starts differ by half of it at most. */
};

struct outcome {
    const struct plan *plan;
    struct tally total;  /* Of all steps; without the warm-up. */
    struct tally *steps; /* One for each step. */
    struct tally_links links;
    struct stream_tally *streams;      /* Of all steps; NULL where the plan has no streams. */
    struct stream_tally *step_streams; /* One for each step; or NULL. */

    struct outcome_point *points;
    size_t points_count;

    struct outcome_stage *stages; /* Where the pattern has at most OUTCOME_STAGES_MAX pieces. */
    size_t stages_count;

    struct outcome_agent *agents; /* Where other machines made the load. */
    size_t agents_count;
    struct trail trail; /* The slowest requests by trace id, where the plan has requests traced. */

    int64_t started_ns; /* The same by the monotonic clock, for those who compare logs. */
    int64_t started_ms; /* Since 1970: when the clock of the run started. */
    double duration_s;  /* Measured: from the end of the warm-up to the end of the pattern, or to
                           the last answer where a number of requests ended the run. */
    double elapsed_s;   /* The same so far, while the run goes on. */
    double cpu_s;       /* Of the drivers' threads. */
    double busiest;     /* The largest share of a processor that one thread used, 0 … 1. */
    bool interrupted;   /* Somebody asked to end it early. */
    bool aborted;       /* A criterion ended it early. */
    bool finished;
    bool saturated; /* The generator itself was the limit: see `busiest` and links.lateness. */
};

void outcome_done(struct outcome *outcome);

/* Of its agents, how many did not run to the end. */
size_t outcome_agents_lost(const struct outcome *outcome);
double outcome_rate(const struct outcome *outcome);       /* Requests a second. */
double outcome_error_rate(const struct outcome *outcome); /* 0 … 1; 0 without requests. */
/* Since 1970: when the last request was begun. */
int64_t outcome_ended_ms(const struct outcome *outcome);
