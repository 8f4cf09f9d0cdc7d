/* SPDX-License-Identifier: Apache-2.0 */
/* otlp - OpenTelemetry's protocol: the messages of ExportTraceService, ExportLogsService and
 * ExportMetricsService, in protobuf or JSON, from and to the model.
 *
 * Reading copies no text: rows point into `message`, which must live as long as the batch does
 * (give the bytes to the batch: batch->payload). JSON is first turned into protobuf
 * (codec/otlp_json.h), so both say the same by the same code.
 *
 * A message that is broken as a whole is ERR_INVALID. A span, log record or data point that cannot
 * be kept is left out, counted in batch->rejected_count with its reason (batch_reject), and the
 * rest is read. Text is not checked to be UTF-8 here: whoever writes JSON replaces what is none.
 *
 * Pure; any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "model/batch.h"

enum otlp_signal { OTLP_TRACES, OTLP_METRICS, OTLP_LOGS, OTLP_SIGNAL_COUNT };

/* Bounds of one message. What is nested deeper is a broken message; what is more is cut off and
 * counted in dropped_count. */
enum {
    OTLP_DEPTH_MAX = 32,        /* Of lists and maps within a value. */
    OTLP_ATTRIBUTES_MAX = 1024, /* Of one span, event, link, record, scope or resource. */
    OTLP_EVENTS_MAX = 10000,    /* Of one span. */
    OTLP_LINKS_MAX = 10000,
};

/* Appends spans. `out` is empty or was filled by this function. */
CHECKED enum err otlp_read_traces(struct str message, struct batch *out, struct why *why);

/* Appends events. */
CHECKED enum err otlp_read_logs(struct str message, struct batch *out, struct why *why);

/* Appends the export request of these spans or events to `out`, grouped by resource and scope as
 * long as neighbours share them. */
void otlp_write_traces(const struct span *spans, size_t count, struct buf *out);
void otlp_write_logs(const struct event *events, size_t count, struct buf *out);

/* The GenAI attributes of a span in typed form, from their names of today and of before; NULL when
 * it has none. ERR_LIMIT: the arena is spent. */
CHECKED enum err otlp_llm_read(const struct span *span, struct arena *arena,
                               const struct llm_call **ret_llm, struct why *why);
