/* SPDX-License-Identifier: Apache-2.0 */
/* span - one timed piece of work in a trace, as OpenTelemetry knows it. Plain data. */
#pragma once
#include "model/attribute.h"

#define TRACE_ID_BYTES 16
#define SPAN_ID_BYTES  8

enum span_kind { /* Numbers of OTLP. */
                 SPAN_KIND_UNSPECIFIED,
                 SPAN_KIND_INTERNAL,
                 SPAN_KIND_SERVER,
                 SPAN_KIND_CLIENT,
                 SPAN_KIND_PRODUCER,
                 SPAN_KIND_CONSUMER,
};

enum span_status { /* Numbers of OTLP. */
                   SPAN_STATUS_UNSET,
                   SPAN_STATUS_OK,
                   SPAN_STATUS_ERROR,
};

/* Who sent it: shared by all spans, events and profiles of one block of a message. */
struct resource {
    struct attributes attributes;
    struct str service_name; /* Of attributes, or "unknown_service". */
    struct str schema_url;
};

struct scope {
    struct str name;
    struct str version;
    struct attributes attributes;
    struct str schema_url;
};

struct span_event {
    int64_t time_ns;
    struct str name;
    struct attributes attributes;
};

struct span_link {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES];
    struct str trace_state;
    struct attributes attributes;
    uint32_t flags;
};

struct llm_call;

struct span {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES];
    uint8_t parent_span_id[SPAN_ID_BYTES]; /* All zero: a root. */
    int64_t start_ns;
    int64_t end_ns; /* May lie before start_ns: clocks are what they are. */
    struct str name;
    enum span_kind kind;
    enum span_status status;
    struct str status_message;
    struct str trace_state;
    uint32_t flags; /* W3C trace flags in the low byte. */
    struct attributes attributes;
    const struct span_event *events;
    size_t event_count;
    const struct span_link *links;
    size_t link_count;
    uint32_t dropped_event_count;
    uint32_t dropped_link_count;
    const struct resource *resource; /* Never NULL. */
    const struct scope *scope;       /* May be NULL. */
    const struct llm_call *llm;      /* The GenAI attributes in typed form, or NULL. */
};
