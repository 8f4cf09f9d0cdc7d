/* SPDX-License-Identifier: Apache-2.0 */
/* zipkin - spans in Zipkin's JSON, version 2, as its clients and OpenTelemetry's Zipkin exporters
 * send them.
 *
 * Endpoints become service.name, net.host.*, peer.service and net.peer.*; annotations become
 * events; tags become attributes, but for those by which OpenTelemetry's exporters tell what Zipkin
 * has no field for: otel.status_code, otel.status_description, error, otel.scope.name and
 * otel.scope.version (also under their old name otel.library.*). Pure; any thread. */
#pragma once
#include "model/batch.h"

/* Appends spans, whose texts are in the batch's arena. A span that cannot be kept is counted with
 * batch_reject, and the rest is read. ERR_INVALID: not a list of spans; ERR_LIMIT. */
CHECKED enum err zipkin_read(struct str message, struct batch *out, struct why *why);
