# SPDX-License-Identifier: Apache-2.0
"""A collector of OTLP over HTTP for the tests: keeps the spans and metrics that come in.

    with Sink() as sink:
        profiler = PerformanceProfiler(endpoint=sink.url)
        ...
        spans = sink.spans(profiler)        # flushed; by name
"""
import http.server
import threading
import unittest

try:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
except ImportError as error:
    raise unittest.SkipTest(f"{error.name} is not here") from error


def _value(value):
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


def attributes_of(thing):
    return {item.key: _value(item.value) for item in thing.attributes}


class Span:
    """One span, its attributes as a dict."""

    def __init__(self, span):
        self.name = span.name
        self.kind = span.kind
        self.trace_id = span.trace_id.hex()
        self.span_id = span.span_id.hex()
        self.parent_id = span.parent_span_id.hex()
        self.failed = span.status.code == 2
        self.message = span.status.message
        self.attributes = attributes_of(span)
        self.events = [(event.name, attributes_of(event)) for event in span.events]
        self.duration_ms = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.sink.take(self.path, body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Sink:
    def __enter__(self):
        self.all = []
        self.metrics = {}
        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.sink = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def take(self, path, body):
        with self.lock:
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        self.all += [Span(span) for span in scope.spans]
            else:
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in resource.scope_metrics:
                        self.metrics.update((metric.name, metric) for metric in scope.metrics)

    def spans(self, profiler):
        """All so far, in the order in which they ended."""
        if not profiler.flush(10000):
            raise AssertionError(f"the sink did not take it: {profiler.delivery()}")
        with self.lock:
            return list(self.all)
