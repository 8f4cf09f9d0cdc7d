/* SPDX-License-Identifier: Apache-2.0 */
/* trace_sets - what by(…), select(…) and the aggregates of a TraceQL query made of a trace. */
#pragma once
#include "base/json.h"
#include "query/traceql.h"

enum {
    TRACE_SETS_MAX = 10, /* Told of a trace. */
};

/* Appends the member "sets" to an open object: [{"matched", "values": [{"key", "value"}]}], a set
 * each, with its groups and what its first span has. */
void trace_sets_write(const struct traceql_trace *trace, struct json *json);
