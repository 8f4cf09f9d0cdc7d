/* SPDX-License-Identifier: Apache-2.0 */
/* The batch takes the request's bytes over and its rows point into them: no text is copied until a
 * sink keeps it. */
#include "sources/otlp.h"

#include "base/clock.h"
#include "codec/otlp_json.h"

static const enum otlp_message requests[OTLP_SIGNAL_COUNT] = {
    [OTLP_TRACES] = OTLP_M_TRACES,
    [OTLP_METRICS] = OTLP_M_METRICS,
    [OTLP_LOGS] = OTLP_M_LOGS,
};

static enum err read_signal(const struct otlp_request *request, struct batch *batch,
                            struct why *why)
{
    struct str message = buf_view(&batch->payload);

    switch (request->signal) {
    case OTLP_TRACES:
        return otlp_read_traces(message, batch, why);
    case OTLP_LOGS:
        return otlp_read_logs(message, batch, why);
    default:
        return fail(why, ERR_UNSUPPORTED, "this signal is not received here");
    }
}

static enum err take_body(const struct otlp_request *request, struct batch *batch, struct why *why)
{
    struct buf body CLEANUP(buf_done) = *request->body;

    *request->body = (struct buf){0};
    if (request->is_json)
        return otlp_json_read(buf_view(&body), requests[request->signal], &batch->payload, why);
    batch->payload = body;
    body = (struct buf){0};
    return ERR_NONE;
}

enum err otlp_receive(const struct otlp_request *request, struct batch **ret_batch, struct why *why)
{
    struct batch *batch CLEANUP(batch_freep) = batch_new(request->tenant, "otlp", OTLP_BATCH_BYTES);

    batch->time_ms = clock_now_ms();
    TRY(take_body(request, batch, why));
    TRY(read_signal(request, batch, why));
    *ret_batch = TAKE(batch);
    return ERR_NONE;
}
