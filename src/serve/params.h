/* SPDX-License-Identifier: Apache-2.0 */
/* params - the parameters of a request as values: times, durations, counts, selectors.
 *
 * An absent parameter gives the default and no error; a wrong one is ERR_INVALID in Prometheus'
 * words: invalid parameter "start": cannot parse "x" to a valid timestamp. The thread that has the
 * call. */
#pragma once
#include "model/span.h"
#include "serve/call.h"

struct matcher;
struct promql_expression;

/* RFC 3339, or seconds since 1970 with a fraction. */
CHECKED enum err params_time(struct call *call, const char *name, int64_t default_ms,
                             int64_t *ret_ms, struct why *why);
/* "15s", "1m30s", or seconds with a fraction. */
CHECKED enum err params_duration(struct call *call, const char *name, int64_t default_ms,
                                 int64_t *ret_ms, struct why *why);
/* A whole number from 0 to most. */
CHECKED enum err params_count(struct call *call, const char *name, uint64_t default_count,
                              uint64_t most, uint64_t *ret_count, struct why *why);
/* Up to 32 hexadecimal digits; shorter ids have leading zeros. */
bool params_trace_id(struct str text, uint8_t id[TRACE_ID_BYTES]);
bool params_flag(struct call *call, const char *name); /* "1" or "true". */

/* start, end (both default to given) with end not before start. */
struct params_range {
    int64_t start_ms;
    int64_t end_ms;
};
CHECKED enum err params_range(struct call *call, struct params_range *range, struct why *why);

/* What the request's own `timeout` leaves of the server's. */
CHECKED enum err params_timeout(struct call *call, int64_t *ret_timeout_ms, struct why *why);

#define PARAMS_SELECTORS_MAX 64

/* All match[] of the request, parsed. ERR_INVALID names the one that is no selector. */
struct params_selectors {
    struct promql_expression *expressions[PARAMS_SELECTORS_MAX];
    size_t count;
};
CHECKED enum err params_selectors(struct call *call, struct params_selectors *ret_selectors,
                                  struct why *why);
void params_selectors_done(struct params_selectors *selectors); /* For CLEANUP. */
/* The matchers of one of them; they live as long as it does. */
const struct matcher *params_matchers(const struct params_selectors *selectors, size_t index,
                                      size_t *ret_count);
