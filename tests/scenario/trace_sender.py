# SPDX-License-Identifier: Apache-2.0
"""Traces written by hand, a span a call, sent as OTLP's JSON."""
import json
import os
import time

INTERNAL, SERVER, CLIENT = 1, 2, 3


class Trace:
    """Times are milliseconds since its start, which lies ago_s seconds back."""

    def __init__(self, ago_s=5):
        self.id = os.urandom(16).hex()
        self.start_ns = time.time_ns() - int(ago_s * 1e9)
        self.spans = {}  # By service.

    def span(self, parent, service, name, kind, begin, end, error=None, **attributes):
        """The new span's id. In the names of attributes __ stands for a dot."""
        identity = os.urandom(8).hex()
        self.spans.setdefault(service, []).append({
            "traceId": self.id, "spanId": identity, "parentSpanId": parent, "name": name,
            "kind": kind, "startTimeUnixNano": str(self.start_ns + int(begin * 1e6)),
            "endTimeUnixNano": str(self.start_ns + int(end * 1e6)),
            "attributes": [{"key": key.replace("__", "."), "value": {"stringValue": str(value)}}
                           for key, value in attributes.items()],
            "status": {} if error is None else {"code": 2, "message": error}})
        return identity

    def query(self, parent, service, statement, begin, end):
        return self.span(parent, service, statement.split()[0], CLIENT, begin, end,
                         db__system="postgresql", db__statement=statement)

    def get(self, parent, service, url, begin, end, error=None):
        return self.span(parent, service, "GET", CLIENT, begin, end, error, http__method="GET",
                         http__url=url)


def send(sonde, *traces):
    body = {"resourceSpans": [
        {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
         "scopeSpans": [{"spans": spans}]}
        for trace in traces for service, spans in trace.spans.items()]}
    answer = sonde.request("POST", "/v1/traces", json.dumps(body).encode(),
                           {"Content-Type": "application/json"})
    assert answer.status == 200, answer.body
