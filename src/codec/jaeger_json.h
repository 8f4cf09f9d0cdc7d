/* SPDX-License-Identifier: Apache-2.0 */
/* jaeger_json - spans in the words of Jaeger's query service, version 1: tags with types, logs,
 * references, processes p1, p2, …, and the warnings that it adds.
 *
 * What OpenTelemetry knows and Jaeger does not becomes tags, under the names that its collector
 * uses: span.kind, otel.status_code, error, otel.status_description, otel.scope.name,
 * otel.scope.version, w3c.tracestate. Pure; any thread. */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "model/span.h"

/* {"traceID","spans","processes","warnings"}. All spans are of one trace. Raw leaves out what
 * Jaeger adjusts: shared ids, packed addresses, the order of tags, warnings. ERR_LIMIT: the arena
 * is spent. */
CHECKED enum err jaeger_write_trace(const struct span *spans, size_t count, bool raw,
                                    struct arena *arena, struct json *json, struct why *why);

/* Whether a tag of the span, its process or its logs has this value as text. */
CHECKED enum err jaeger_has_tag(const struct span *span, struct str key, struct str value,
                                struct arena *arena, bool *ret_has, struct why *why);

/* Whether the key may stand where the store does not look for attributes: in what is derived from
 * the span, or in its logs. */
bool jaeger_is_own_tag(struct str key);

/* 16 hexadecimal digits when the upper half is zero, else 32. Returns the size; no NUL. */
#define JAEGER_ID_SIZE 32
size_t jaeger_trace_id(const uint8_t trace_id[TRACE_ID_BYTES], char text[JAEGER_ID_SIZE]);

/* "client", …; "" for unspecified. */
struct str jaeger_kind(enum span_kind kind);

/* "1h2m3.5s", "250ms", "1.5µs", as Go writes a duration. */
#define JAEGER_DURATION_SIZE 48
struct str jaeger_duration(int64_t ns, char text[JAEGER_DURATION_SIZE]);
