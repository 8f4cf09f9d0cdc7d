/* SPDX-License-Identifier: Apache-2.0 */
/* otlp - what OpenTelemetry's SDKs and collectors send: an export request becomes a batch for
 * hub_submit. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "codec/otlp.h"
#include "model/batch.h"

#define OTLP_BATCH_BYTES ((size_t)512 << 20) /* Memory of one request's batch. */

struct otlp_request {
    enum otlp_signal signal;
    bool is_json; /* Else protobuf. */
    const char *tenant;
    struct buf *body; /* Moved; empty afterwards, whatever the answer. */
};

/* Any thread. ERR_INVALID: no export request; ERR_LIMIT: it needs more than OTLP_BATCH_BYTES. What
 * cannot be kept of it is counted in batch->rejected_count already. */
CHECKED enum err otlp_receive(const struct otlp_request *request, struct batch **ret_batch,
                              struct why *why);
