# SPDX-License-Identifier: Apache-2.0
"""Sends with OpenTelemetry's own SDK: run by test_otlp.py in an environment that has it.

    otel_sender.py (grpc|http) ENDPOINT (traces|metrics|exemplars|logs) [gzip]

Prints a line of JSON with what was sent."""

import importlib
import json
import logging
import sys
import time

from opentelemetry.sdk.resources import Resource

protocol, endpoint, signal = sys.argv[1:4]
compressed = len(sys.argv) > 4
RESOURCE = Resource.create({"service.name": f"python-{protocol}", "service.instance.id": "one"})


def exporter(module, name, path):
    made = getattr(importlib.import_module(
        f"opentelemetry.exporter.otlp.proto.{protocol}.{module}"), name)
    if protocol == "grpc":
        grpc = importlib.import_module("grpc")
        return made(endpoint=endpoint, insecure=True,
                    compression=grpc.Compression.Gzip if compressed else None)
    http = importlib.import_module("opentelemetry.exporter.otlp.proto.http")
    return made(endpoint=f"http://{endpoint}{path}",
                compression=http.Compression.Gzip if compressed else None)


def send_traces():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(
        BatchSpanProcessor(exporter("trace_exporter", "OTLPSpanExporter", "/v1/traces")))
    tracer = provider.get_tracer("scenario", "1.0")
    with tracer.start_as_current_span("root", kind=trace.SpanKind.SERVER) as root:
        for number in range(20):
            with tracer.start_as_current_span(f"step {number}") as span:
                span.set_attribute("number", number)
                span.set_attribute("list", ["a", "b"])
                span.add_event("happened", {"ratio": 1.5})
        with tracer.start_as_current_span("SELECT", kind=trace.SpanKind.CLIENT,
                                          attributes={"db.system": "postgresql"}) as span:
            span.set_status(trace.Status(trace.StatusCode.ERROR, "no such table"))
    identity = root.get_span_context()
    provider.shutdown()
    return {"trace_id": format(identity.trace_id, "032x"),
            "span_id": format(identity.span_id, "016x"), "spans": 22}


def send_metrics():
    from opentelemetry.sdk.metrics import Counter, MeterProvider
    from opentelemetry.sdk.metrics.export import (AggregationTemporality,
                                                  PeriodicExportingMetricReader)

    out = exporter("metric_exporter", "OTLPMetricExporter", "/v1/metrics")
    if protocol == "grpc":
        out._preferred_temporality[Counter] = AggregationTemporality.DELTA
    reader = PeriodicExportingMetricReader(out, export_interval_millis=3600000)
    provider = MeterProvider([reader], resource=RESOURCE)
    meter = provider.get_meter("scenario")
    counter = meter.create_counter("shop.orders", unit="1")
    histogram = meter.create_histogram("shop.duration", unit="ms")
    for _ in range(3):
        counter.add(2, {"paid.by": "card"})
        histogram.record(42.0)
        provider.force_flush()
        time.sleep(0.05)  # Points of one series need times of their own.
    provider.shutdown()
    return {"orders": 6}


def send_exemplars():
    """Measured within a sampled span: the SDK's filter of exemplars takes those by itself."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.metrics.view import (ExponentialBucketHistogramAggregation,
                                                ExplicitBucketHistogramAggregation, View)
    from opentelemetry.sdk.trace import TracerProvider

    out = exporter("metric_exporter", "OTLPMetricExporter", "/v1/metrics")
    provider = MeterProvider(
        [PeriodicExportingMetricReader(out, export_interval_millis=3600000)], resource=RESOURCE,
        views=[View(instrument_name="shop.wait", attribute_keys={"route"},
                    aggregation=ExplicitBucketHistogramAggregation([0.1, 1.0])),
               View(instrument_name="shop.size",
                    aggregation=ExponentialBucketHistogramAggregation())])
    meter = provider.get_meter("scenario")
    tracer = TracerProvider(resource=RESOURCE).get_tracer("scenario")
    wait = meter.create_histogram("shop.wait", unit="s")
    wait.record(0.01, {"route": "/"})  # Of no trace.
    spans = []
    for value in (0.05, 0.5, 5.0):
        with tracer.start_as_current_span("never sent") as span:
            wait.record(value, {"route": "/", "customer": "acme"})
            if value == 5.0:
                meter.create_counter("shop.carts", unit="1").add(2)
                meter.create_up_down_counter("shop.open", unit="1").add(3)
                meter.create_gauge("shop.heat", unit="1").set(7)
                meter.create_histogram("shop.size", unit="By").record(100)
        identity = span.get_span_context()
        spans.append([format(identity.trace_id, "032x"), format(identity.span_id, "016x")])
    provider.shutdown()
    return {"spans": spans}


def send_logs():
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider

    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(
        BatchLogRecordProcessor(exporter("_log_exporter", "OTLPLogExporter", "/v1/logs")))
    logger = logging.getLogger("scenario")
    logger.addHandler(LoggingHandler(logger_provider=provider))
    tracer = TracerProvider().get_tracer("scenario")
    with tracer.start_as_current_span("never sent") as span:
        logger.warning("something %s happened", "odd")
    provider.shutdown()
    return {"trace_id": format(span.get_span_context().trace_id, "032x")}


print(json.dumps({"traces": send_traces, "metrics": send_metrics, "exemplars": send_exemplars,
                  "logs": send_logs}[signal]()))
