/* SPDX-License-Identifier: Apache-2.0 */
/* event - something that happened at a time: a log record in OpenTelemetry's shape. Plain data. */
#pragma once
#include "model/span.h"

struct event {
    int64_t time_ns;
    int64_t observed_ns;
    int32_t severity; /* 1 … 24 of OpenTelemetry; 0: unknown. */
    struct str severity_text;
    struct str name; /* Empty for a plain log line. */
    struct value body;
    struct attributes attributes;
    uint8_t trace_id[TRACE_ID_BYTES]; /* All zero: none. */
    uint8_t span_id[SPAN_ID_BYTES];
    uint32_t flags;
    const struct resource *resource; /* Never NULL. */
    const struct scope *scope;       /* May be NULL. */
};
