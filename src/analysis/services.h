/* SPDX-License-Identifier: Apache-2.0 */
/* services - how the services do: rate, errors and durations of each operation, now and over time.
 *
 * Read from what libsonde sends (sonde_operation_*), and for services that do not use it from what
 * spans became as they arrived (traces_span_metrics_*). Counts of all instances are added, sketches
 * merged, so a quantile is that of all calls together. The moment is handed in. One thread. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "stats/sla.h"

struct store_view;

enum {
    SERVICES_OPERATIONS_MAX = 4096, /* Of all services together; more are not told. */
    SERVICES_STEPS_MAX = 1100,
    SERVICES_TREND_MAX = 120, /* Steps of each operation's trend. */
    SERVICES_HEAT_ROWS = 56,  /* Of a heatmap: 100 µs, times √2 each, until more than an hour. */
};

struct service_numbers {
    struct sla_measure measure; /* Durations are NAN where only counts are known. */
    uint64_t failures;
    double p90_ms;
    double p999_ms;
    double mean_ms;
    double min_ms;
    double max_ms;
    int64_t last_ms; /* Of the newest sample. */
};

/* Of equal steps from from_ms to to_ms. */
struct service_trend {
    uint64_t *calls;
    uint64_t *failures;
    double *p95_ms; /* NAN where there was no call. */
};

struct service_operation {
    struct str service;
    struct str operation;
    struct service_numbers numbers;
    struct service_trend trend; /* NULLs when no steps were asked for. */
    bool by_spans;              /* Counted by traces_span_metrics_*, not sonde_operation_*. */
};

struct service_total {
    struct str service; /* STR_NONE: all services together. */
    struct service_numbers numbers;
    size_t first; /* Its operations among those of services. */
    size_t count;
};

struct services {
    struct service_total all;
    struct service_total *totals; /* By name. */
    size_t totals_count;
    struct service_operation *operations; /* By service, then by name. */
    size_t operations_count;
    bool is_cut; /* There are more than SERVICES_OPERATIONS_MAX. */
};

struct services_question {
    int64_t from_ms;
    int64_t to_ms;
    struct str service;   /* STR_NONE: all. */
    struct str operation; /* STR_NONE: all. */
    size_t trend_steps;   /* Of services_read; 0: no trend. */
};

/* Only operations called within the stretch of time. All of it lives in the arena. ERR_LIMIT;
 * ERR_INVALID: more than SERVICES_TREND_MAX steps. */
CHECKED enum err services_read(struct store_view *view, const struct services_question *question,
                               struct arena *arena, struct services *ret_services, struct why *why);

struct service_history {
    size_t count;
    int64_t *times_ms; /* End of each step. */
    uint64_t *calls;
    uint64_t *failures;
    double *p50_ms; /* NAN where there was no call. */
    double *p95_ms;
    double *p99_ms;
    /* Calls by duration: row r holds (bounds_ms[r - 1], bounds_ms[r]], the last one all above.
     * heat[step * (SERVICES_HEAT_ROWS + 1) + row] */
    double bounds_ms[SERVICES_HEAT_ROWS];
    uint32_t *heat;
};

/* ERR_INVALID: more than SERVICES_STEPS_MAX steps. */
CHECKED enum err services_history(struct store_view *view, const struct services_question *question,
                                  int64_t step_ms, struct arena *arena,
                                  struct service_history *ret_history, struct why *why);
