/* SPDX-License-Identifier: Apache-2.0 */
/* otlp - what OpenTelemetry's SDKs and collectors send: an export request becomes a batch for
 * hub_submit.
 *
 * The receiver remembers, for each tenant, what metrics need from one message to the next. Any
 * thread may receive; metrics of one tenant are read one message at a time. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "codec/otlp.h"
#include "model/batch.h"

#define OTLP_BATCH_BYTES ((size_t)512 << 20) /* Memory of one request's batch. */

struct hub;
struct otlp_receiver;
struct span_series;

struct otlp_receiver *otlp_receiver_new(void);
struct otlp_receiver *otlp_receiver_free(struct otlp_receiver *receiver); /* Returns NULL. */

struct otlp_request {
    enum otlp_signal signal;
    bool is_json; /* Else protobuf. */
    /* Of traces: another format's reader, such as zipkin_read, in place of OTLP's. */
    enum err (*read)(struct str message, struct batch *out, struct why *why);
    const char *tenant;
    struct buf *body; /* Moved; empty afterwards, whatever the answer. */
};

/* ERR_INVALID: no export request; ERR_LIMIT: it needs more than OTLP_BATCH_BYTES. What cannot be
 * kept of it is counted in batch->rejected_count already. */
CHECKED enum err otlp_receive(struct otlp_receiver *receiver, const struct otlp_request *request,
                              struct batch **ret_batch, struct why *why);

/* Hands the hub what the spans of every tenant came to as metrics (sources/span_metrics.h): to be
 * called every OTLP_METRICS_PERIOD_MS, on a thread that may take a few milliseconds. */
#define OTLP_METRICS_PERIOD_MS 1000
void otlp_receiver_tell(struct otlp_receiver *receiver, struct hub *hub, int64_t now_ms);

/* Every series that the tenant's spans have made since the start (sources/span_metrics.h), with
 * what the store does not know of it yet. visit runs under a lock: it is quick. */
void otlp_receiver_each(struct otlp_receiver *receiver, const char *tenant,
                        void (*visit)(void *self, const struct span_series *series), void *self);

struct strategies;

/* What Jaeger's clients shall be told about the service: strategies, with the shares of adaptive
 * ones worked out from the tenant's traffic. */
void otlp_receiver_tell_sampling(struct otlp_receiver *receiver, const char *tenant,
                                 const struct strategies *strategies, struct str service,
                                 struct buf *out);
