# SPDX-License-Identifier: Apache-2.0
"""Sends with OpenTelemetry's exporter for Jaeger's collector: run by test_jaeger_clients.py in an
environment that has it.

    jaeger_sender.py URL...    sends the same spans to each; prints a line of JSON with their ids"""

import json
import sys

from opentelemetry import trace
from opentelemetry.exporter.jaeger.thrift import JaegerExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "shop", "zone": "a"}))
for url in sys.argv[1:]:
    provider.add_span_processor(SimpleSpanProcessor(JaegerExporter(collector_endpoint=url)))
tracer = provider.get_tracer("scenario", "1.0")
with tracer.start_as_current_span("elsewhere") as other:
    pass
with tracer.start_as_current_span("root", kind=trace.SpanKind.SERVER,
                                  links=[trace.Link(other.get_span_context())]) as root:
    root.set_attributes({"number": 7, "ratio": 0.5, "cached": True, "text": "grün",
                         "list": ["a", "b"]})
    root.add_event("happened", {"n": 1, "why": "so"})
    with tracer.start_as_current_span("SELECT", kind=trace.SpanKind.CLIENT) as failed:
        failed.set_status(trace.Status(trace.StatusCode.ERROR, "no such table"))
provider.shutdown()
print(json.dumps({"trace_id": format(root.get_span_context().trace_id, "032x")}))
