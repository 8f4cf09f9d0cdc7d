/* SPDX-License-Identifier: Apache-2.0 */
/* otlp - how OpenTelemetry's calls are answered, over HTTP and over gRPC. Loop thread. */
#pragma once
#include "serve/call.h"

/* Of INGEST_OTLP: what the batch came to, as an export response. The call is gone afterwards. */
void otlp_finish(struct call *call);

/* The error as a google.rpc.Status in the request's content type, or as a gRPC status; "later" with
 * Retry-After or RetryInfo. The call is gone afterwards. */
void otlp_fail(struct call *call, enum err err, const struct why *why);

/* Every OTLP_METRICS_PERIOD_MS from now on, spans are told as metrics. */
void otlp_start(struct server *server);
