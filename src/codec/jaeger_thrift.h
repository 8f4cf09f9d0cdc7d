/* SPDX-License-Identifier: Apache-2.0 */
/* jaeger_thrift - spans of Jaeger's own clients, as its collector takes them over HTTP: one Batch
 * of jaeger.thrift in the binary protocol.
 *
 * Tags become attributes with their types, but for those that stand for fields: span.kind, error
 * with otel.status_code and otel.status_description, w3c.tracestate, otel.scope.name and .version.
 * References other than the parent become links. Texts point into the message, which must live as
 * long as the batch (batch->payload). Pure; any thread. */
#pragma once
#include "model/batch.h"

#define JAEGER_THRIFT_DEPTH_MAX 16 /* Of what is passed over; the Batch itself needs five. */

/* Appends spans. ERR_INVALID: no Batch, or cut off; ERR_LIMIT. A span without ids is counted with
 * batch_reject. */
CHECKED enum err jaeger_thrift_read(struct str message, struct batch *out, struct why *why);
