/* SPDX-License-Identifier: Apache-2.0 */
/* criterion - a promise that a run must keep: "p95 < 300ms", "error_rate < 1%", "rps > 200",
 * "login.p99 < 1s". Any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "load/outcome.h"

enum measure {
    MEASURE_QUANTILE, /* p50, p99.9 of latency; also median, max, mean. */
    MEASURE_SERVICE,  /* service_p95 … */
    MEASURE_FIRST_BYTE,
    MEASURE_MEAN,
    MEASURE_MAX,
    MEASURE_RATE,       /* rps */
    MEASURE_ERROR_RATE, /* 0 … 1 */
    MEASURE_ERRORS,
    MEASURE_REQUESTS,
    MEASURE_DROPPED,
    /* Of token streams. */
    MEASURE_TTFT,
    MEASURE_GAP,
    MEASURE_TPOT,
    MEASURE_E2E,
    MEASURE_GOODPUT,    /* Streams that kept every promise, a second. */
    MEASURE_GOOD_SHARE, /* … of all requests, 0 … 1 */
    MEASURE_TOKEN_RATE, /* Out, a second. */
    MEASURE_COST,       /* US dollars. */
};

enum comparison { COMPARISON_LESS, COMPARISON_AT_MOST, COMPARISON_MORE, COMPARISON_AT_LEAST };

struct criterion {
    struct str text; /* As written. */
    struct str step; /* Of that step only; STR_NONE: of all. */
    enum measure measure;
    double q;
    enum comparison comparison;
    double bound; /* Durations in ns. */
};

/* text is borrowed for as long as the criterion lives. ERR_INVALID says what is not understood. */
CHECKED enum err criterion_parse(struct str text, struct criterion *ret_criterion, struct why *why);

/* Does the plan know the step it names? */
CHECKED enum err criterion_check(const struct criterion *criterion, const struct plan *plan,
                                 struct why *why);

/* What was measured, in the bound's unit; NAN: nothing yet. */
double criterion_measure(const struct criterion *criterion, const struct outcome *outcome);
bool criterion_holds(const struct criterion *criterion, double measured); /* NAN does not hold. */

/* Is it so far broken that the rest of the run cannot mend it? For aborting early: counts only
 * what has finished, and needs at least CRITERION_ABORT_REQUESTS of it. */
enum { CRITERION_ABORT_REQUESTS = 100 };
bool criterion_is_hopeless(const struct criterion *criterion, const struct outcome *outcome);

/* "325.4 ms", "1.2 %", "213.4". */
void criterion_write_value(const struct criterion *criterion, double value, struct buf *out);
