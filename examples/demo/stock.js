// SPDX-License-Identifier: Apache-2.0
// The stock, in Node with OpenTelemetry's SDK. POST /reserve asks the payment service, and when that
// fails asks again at once, up to ATTEMPTS times. The shop does the same with us: they multiply.
//
// Environment: STOCK_PORT, PAYMENT_URL; OTEL_EXPORTER_OTLP_ENDPOINT is the daemon's.
"use strict";
const http = require("node:http");
const { context, propagation, trace, SpanKind, SpanStatusCode } = require("@opentelemetry/api");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-proto");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchSpanProcessor, NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");

const ATTEMPTS = 4;

new NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": "stock" }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(), { scheduledDelayMillis: 200 })],
}).register();
const tracer = trace.getTracer("stock");

function fail(span, message) {
    span.setStatus({ code: SpanStatusCode.ERROR, message });
}

// One attempt; the status of the answer.
async function charge() {
    const url = `${process.env.PAYMENT_URL}/charge`;
    const attributes = { "http.request.method": "POST", "url.full": url, "server.address": "payment" };
    const span = tracer.startSpan("POST", { kind: SpanKind.CLIENT, attributes });
    const headers = {};
    propagation.inject(trace.setSpan(context.active(), span), headers);
    try {
        const answer = await fetch(url, { method: "POST", headers, body: "{}" });
        await answer.arrayBuffer();
        span.setAttribute("http.response.status_code", answer.status);
        if (answer.status >= 400)
            fail(span, `payment answered ${answer.status}`);
        return answer.status;
    } catch (error) {
        span.recordException(error);
        fail(span, error.message);
        return 503;
    } finally {
        span.end();
    }
}

async function reserve() {
    let status = 503;
    for (let i = 0; i < ATTEMPTS && status >= 400; i++)
        status = await charge();
    return status;
}

function serve(request, answer) {
    const caller = propagation.extract(context.active(), request.headers);
    const span = tracer.startSpan("POST /reserve", { kind: SpanKind.SERVER }, caller);
    context.with(trace.setSpan(caller, span), async () => {
        const status = request.url === "/reserve" ? await reserve() : 404;
        span.setAttribute("http.response.status_code", status);
        if (status >= 500)
            fail(span, "the payment service does not answer");
        span.end();
        answer.writeHead(status);
        answer.end("{}");
    });
}

http.createServer((request, answer) => {
    request.resume();
    request.on("end", () => serve(request, answer));
}).listen(Number(process.env.STOCK_PORT), "127.0.0.1");
