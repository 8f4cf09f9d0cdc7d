// SPDX-License-Identifier: Apache-2.0
// Sends with OpenTelemetry's own SDK for Node: run by test_otlp_node.py where that is installed.
//
//     node otel_sender.mjs (grpc|http|proto|zipkin) HOST:PORT (traces|early|sampled) [gzip]
//
// traces sends a trace of 22 spans; early a span of now and one of the week after next; sampled asks the sampling
// endpoint for its strategy and tells how many of 1000 spans it took. Prints a line of JSON with
// what was sent and what the SDK said about it.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "package.json"));
const api = require("@opentelemetry/api");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const sdk = require("@opentelemetry/sdk-trace-node");

const [protocol, endpoint, task, compression] = process.argv.slice(2);
const said = [];
const listen = (level) => (...words) => said.push(`${level}: ${words.map(String).join(" ")}`);
api.diag.setLogger({
  error: listen("error"), warn: listen("warn"), info() {}, debug() {}, verbose() {},
}, api.DiagLogLevel.WARN);

function exporter() {
  const options = { compression: compression ? "gzip" : "none", timeoutMillis: 20000 };
  if (protocol === "zipkin") {
    const { ZipkinExporter } = require("@opentelemetry/exporter-zipkin");
    return new ZipkinExporter({ url: `http://${endpoint}/api/v2/spans` });
  }
  const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${protocol}`);
  const url = protocol === "grpc" ? `http://${endpoint}` : `http://${endpoint}/v1/traces`;
  return new OTLPTraceExporter({ ...options, url });
}

function provider(more) {
  return new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": `node-${protocol}` }), ...more,
  });
}

async function sendTraces() {
  const made = provider({ spanProcessors: [new sdk.BatchSpanProcessor(exporter())] });
  const tracer = made.getTracer("scenario", "1.0");
  const root = tracer.startSpan("root", { kind: api.SpanKind.SERVER });
  const within = api.trace.setSpan(api.context.active(), root);
  for (let number = 0; number < 20; number++) {
    const step = tracer.startSpan(`step ${number}`,
      { attributes: { number, list: ["a", "b"] } }, within);
    step.addEvent("happened", { ratio: 1.5 });
    step.end();
  }
  const failed = tracer.startSpan("SELECT",
    { kind: api.SpanKind.CLIENT, attributes: { "db.system": "postgresql" } }, within);
  failed.setStatus({ code: api.SpanStatusCode.ERROR, message: "no such table" });
  failed.end();
  root.end();
  await made.shutdown();
  return { trace_id: root.spanContext().traceId, span_id: root.spanContext().spanId, spans: 22 };
}

async function sendEarly() {
  const made = provider({ spanProcessors: [new sdk.BatchSpanProcessor(exporter())] });
  const tracer = made.getTracer("scenario");
  const later = Date.now() + 10 * 86400000;
  tracer.startSpan("early", { startTime: new Date(later) }).end(new Date(later + 1));
  const span = tracer.startSpan("new");
  span.end();
  await made.shutdown();
  return { trace_id: span.spanContext().traceId };
}

async function countSampled() {
  const { JaegerRemoteSampler } = require("@opentelemetry/sampler-jaeger-remote");
  const sampler = new JaegerRemoteSampler({
    endpoint: `http://${endpoint}/api`, serviceName: `node-${protocol}`,
    initialSampler: new sdk.AlwaysOffSampler(), poolingInterval: 100,
  });
  const made = provider({ sampler });
  const tracer = made.getTracer("scenario");
  const deadline = Date.now() + 15000;
  while (sampler.toString().includes("AlwaysOff") && Date.now() < deadline) {
    await new Promise((wake) => setTimeout(wake, 50));
  }
  await new Promise((wake) => setTimeout(wake, 300));
  const count = (name) => {
    let taken = 0;
    for (let number = 0; number < 1000; number++) {
      const span = tracer.startSpan(name);
      taken += span.isRecording() ? 1 : 0;
      span.end();
    }
    return taken;
  };
  return { default: count("anything"), health: count("GET /health"), sampler: String(sampler) };
}

const tasks = { traces: sendTraces, early: sendEarly, sampled: countSampled };
const sent = await tasks[task]();
console.log(JSON.stringify({ ...sent, said }));
process.exit(0); // A sampler's timer would keep the program alive.
