/* SPDX-License-Identifier: Apache-2.0 */
/* promises - what was promised of services, operations and user journeys, and what of it is broken.
 *
 *     max_p95_latency_ms: 300          # over everything
 *     min_success_rate: 0.95
 *     operations:
 *       retrieval: {max_p95_latency_ms: 100}
 *     services:
 *       shop:
 *         max_p99_latency_ms: 800
 *         operations:
 *           "GET /items/{id}": {max_p95_latency_ms: 50}
 *     journeys:
 *       - name: prompt generation
 *         operation: prompt.generation
 *         max_response_time_ms: 2000   # of the P95
 *         min_success_rate: 95%
 *     from: {service: shop, range: 15m}    # what to measure; or {report: FILE.json}
 *
 * Everything is optional, and JSON will do as well. A mistake is told with file, line, column and
 * key. Any thread; all lives in the arena it was read into. */
#pragma once
#include "analysis/services.h"
#include "base/arena.h"
#include "base/err.h"
#include "document/document.h"
#include "stats/sla.h"

struct node;

enum { PROMISES_MAX = 4096 }; /* Of operations, services and journeys in one file. */

struct promise {
    struct str service;   /* STR_NONE: of any. */
    struct str operation; /* STR_NONE: of the whole service. */
    struct sla_targets targets;
};

struct journey {
    struct str name;
    struct str service; /* STR_NONE: of any. */
    struct str operation;
    struct sla_targets targets; /* P95 and success rate. */
};

struct promises {
    struct sla_targets overall;
    struct promise *items;
    size_t count;
    struct journey *journeys;
    size_t journeys_count;
    struct str from_service; /* STR_NONE where not told, as is the next. */
    struct str from_report;
    int64_t from_range_ms; /* 0: not told. */
};

/* name is for messages. ERR_INVALID, ERR_LIMIT. */
CHECKED enum err promises_read(struct str text, const char *name, struct arena *arena,
                               struct promises *ret_promises, struct why *why);
/* Is anything promised at all? */
bool promises_any(const struct promises *promises);
/* Adds the journeys of another file's promises. */
CHECKED enum err promises_add_journeys(struct promises *promises, const struct promises *more,
                                       struct arena *arena, struct why *why);

/* One line of the judgement. */
struct verdict_line {
    enum status status;   /* BAD: broken. GOOD: a journey that is kept. INFO: not measured. */
    struct str service;   /* STR_NONE: over everything. */
    struct str operation; /* STR_NONE: of the whole service. */
    struct str journey;   /* Its name; STR_NONE: no journey's. */
    struct str sentence;
};

const char *promises_status_name(enum status status); /* "broken", "kept", "unknown". */

struct verdict {
    struct verdict_line *lines;
    size_t count;
    size_t broken_count;
    size_t judged_count;     /* Promises for which there were calls to judge by. */
    size_t unmeasured_count; /* Those for which there were none; each has its line. */
};

CHECKED enum err promises_judge(const struct promises *promises, const struct services *measured,
                                struct arena *arena, struct verdict *ret_verdict, struct why *why);

/* What was promised of an operation, or of a whole service where operation is STR_NONE; the promise
 * that names the service goes before that of any. NULL: nothing. */
const struct sla_targets *promises_of(const struct promises *promises, struct str service,
                                      struct str operation);

/* Promises that these measurements keep with room, as a file. */
void promises_suggest(const struct services *measured, double latency_factor,
                      double throughput_factor, struct buf *out);
