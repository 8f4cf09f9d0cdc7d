/* SPDX-License-Identifier: Apache-2.0 */
/* sla - are the promises kept? Targets against measured numbers; pure arithmetic.
 *
 * The same check serves libsonde (in the process), `sonde sla check` (from a file) and the daemon
 * (live). A target that is NAN is not set. Any thread. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

#include <math.h>

struct sla_targets {
    double max_p50_latency_ms;
    double max_p95_latency_ms;
    double max_p99_latency_ms;
    double min_throughput_rps;
    double min_success_rate; /* 0 … 1. */
};

#define SLA_TARGETS_NONE        \
    (struct sla_targets)        \
    {                           \
        NAN, NAN, NAN, NAN, NAN \
    }

struct sla_measure {
    uint64_t count; /* 0: nothing was measured, and nothing is judged. */
    double p50_ms;
    double p95_ms;
    double p99_ms;
    double throughput_rps;
    double success_rate; /* 0 … 1. */
};

enum sla_kind { SLA_P50, SLA_P95, SLA_P99, SLA_THROUGHPUT, SLA_SUCCESS_RATE, SLA_KIND_COUNT };

struct sla_violation {
    enum sla_kind kind;
    double measured; /* In the unit of the target: ms, per second, 0 … 1. */
    double target;
};

/* Is there any target? */
bool sla_is_set(const struct sla_targets *targets);

/* At most SLA_KIND_COUNT; returns how many. */
size_t sla_check(const struct sla_targets *targets, const struct sla_measure *measure,
                 struct sla_violation ret_violations[SLA_KIND_COUNT]);

/* "Overall P95 latency (325.4ms) exceeds target (300.0ms)" when operation is STR_NONE, else
 * "Operation 'retrieval' P95 (125.6ms) exceeds target (100.0ms)". */
void sla_write(struct buf *out, struct str operation, const struct sla_violation *violation);

/* Targets that the measured keeps with room: latencies × latency_factor rounded up to three digits,
 * throughput × throughput_factor rounded down, one and a half times the failures seen and at least
 * one in a thousand, rounded to a hundredth of a percent. */
#define SLA_LATENCY_FACTOR    1.2
#define SLA_THROUGHPUT_FACTOR 0.8
struct sla_targets sla_suggest(const struct sla_measure *measure, double latency_factor,
                               double throughput_factor);

/* "max_p95_latency_ms" of a kind: the key in files, JSON and Python. */
const char *sla_key(enum sla_kind kind);
/* The place of that target; the kinds are the fields in order. */
double *sla_target(struct sla_targets *targets, enum sla_kind kind);
