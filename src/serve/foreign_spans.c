/* SPDX-License-Identifier: Apache-2.0 */
/* Spans in the formats that were there before OpenTelemetry's take its road: the same receiver, the
 * same metrics, the same yes only when they are on disk. These formats know no partial success;
 * what was turned away of a request is told in the body of a yes. */
#include "codec/jaeger_thrift.h"
#include "codec/zipkin.h"
#include "hub/hub.h"
#include "serve/ingest.h"
#include "serve/server_priv.h"
#include "sources/otlp.h"

static enum err receive(struct call *call,
                        enum err (*read)(struct str message, struct batch *out, struct why *why),
                        struct why *why)
{
    struct buf body CLEANUP(buf_done) = {0};
    struct batch *batch = NULL;
    struct otlp_request request = {
        .signal = OTLP_TRACES,
        .tenant = call->identity.tenant,
        .body = &body,
        .read = read,
    };

    exchange_take_body(call->exchange, &body);
    TRY(otlp_receive(call->server->otlp, &request, &batch, why));
    ingest_hand_over(call, &batch, INGEST_LATER);
    return ERR_NONE;
}

static enum err work_zipkin(struct call *call, struct why *why)
{
    return receive(call, zipkin_read, why);
}

void route_zipkin_spans(struct call *call)
{
    struct str type = exchange_header(call->exchange, STR("content-type"));
    struct why why = WHY_INIT;

    if (type.size == 0 || str_starts(type, STR("application/json"))) {
        call_work(call, CALL_NEEDS_ARENA, work_zipkin);
        return;
    }
    (void)fail(&why, ERR_INVALID, "the Content-Type '%.*s' is not understood", STR_ARG(type));
    hint(&why, "set the sender to JSON, version 2 (application/json)");
    call_fail(call, ERR_INVALID, &why);
}

static enum err work_jaeger(struct call *call, struct why *why)
{
    return receive(call, jaeger_thrift_read, why);
}

void route_jaeger_spans(struct call *call)
{
    struct str type = exchange_header(call->exchange, STR("content-type"));
    struct why why = WHY_INIT;

    if (str_starts(type, STR("application/vnd.apache.thrift.binary")) ||
        str_starts(type, STR("application/x-thrift"))) {
        call_work(call, CALL_NEEDS_ARENA, work_jaeger);
        return;
    }
    (void)fail(&why, ERR_INVALID, "the Content-Type '%.*s' is not understood", STR_ARG(type));
    hint(&why, "send Thrift's binary protocol as application/vnd.apache.thrift.binary");
    call_fail(call, ERR_INVALID, &why);
}
