# SPDX-License-Identifier: Apache-2.0
"""Services that speak Zipkin point their senders at sonde."""

import json
import time
import unittest

from sonde import Scenario
from test_otlp_go import go_send
from test_otlp_node import node_send

JSON = {"Content-Type": "application/json"}


def a_span(**changes):
    return {"traceId": "463ac35c9f6413ad48485a3953bb6124", "id": "a2fb4a1d1a96d312", "name": "get",
            "kind": "SERVER", "timestamp": time.time_ns() // 1000, "duration": 1500,
            "localEndpoint": {"serviceName": "frontend", "ipv4": "10.1.2.3"}, **changes}


class SendersOfZipkin(Scenario):
    arguments = ("--no-otlp-enabled",)

    def post(self, body, headers=JSON):
        return self.sonde.post("/api/v2/spans", body if isinstance(body, bytes)
                               else json.dumps(body).encode(), headers)

    def expect_trace(self, service, sent):
        trace = self.sonde.json(f"/api/v1/traces/{sent['trace_id']}")
        self.assertEqual({span["service"] for span in trace["spans"]}, {service})
        self.assertEqual(len(trace["spans"]), sent["spans"])
        root = next(span for span in trace["spans"] if span["name"] == "root")
        self.assertEqual((root["span_id"], root["kind"]), (sent["span_id"], "server"))
        step = next(span for span in trace["spans"] if span["name"] == "step 7")
        self.assertEqual((step["parent_span_id"], step["attributes"]["number"]),
                         (sent["span_id"], "7"))
        self.assertIn("happened", step["events"][0]["name"])
        failed = next(span for span in trace["spans"] if span["name"].upper() == "SELECT")
        self.assertEqual((failed["status"], failed["kind"]), ("error", "client"))
        self.assertIn("no such table", failed["status_message"])

    def test_opentelemetrys_zipkin_exporter_for_node(self):
        sent = node_send("zipkin", f"127.0.0.1:{self.sonde.port}", "traces")
        self.assertEqual(sent["said"], [])
        self.expect_trace("node-zipkin", sent)

    def test_opentelemetrys_zipkin_exporter_for_go(self):
        sent = go_send("zipkin", f"127.0.0.1:{self.sonde.port}", "traces")
        self.assertEqual(sent["said"], [])
        self.expect_trace("go-zipkin", sent)

    def test_a_span_by_hand_is_accepted_and_found(self):
        answer = self.post([a_span(tags={"http.path": "/cart"})])
        self.assertEqual((answer.status, answer.body), (202, b""))
        found = self.sonde.json("/api/v1/traces/search", service="frontend",
                                attribute="http.path=/cart")["spans"]
        self.assertEqual(found[0]["duration_ns"], 1500000)

    def test_what_cannot_be_kept_is_told_and_the_rest_is_kept(self):
        answer = self.post([a_span(traceId="ab" * 8), a_span(id="none")])
        self.assertEqual(answer.status, 202)
        self.assertEqual((answer.json()["accepted_count"], answer.json()["rejected_count"]), (1, 1))
        self.assertEqual(self.post([a_span(id="none")]).status, 400)
        self.assertEqual(self.post(b"{").status, 400)
        self.assertEqual(self.post(b"\x0c", {"Content-Type": "application/x-thrift"}).status, 400)
        self.assertEqual(self.post([]).status, 202)

    def test_a_server_that_shares_its_clients_id_is_told_apart_for_jaegers_page(self):
        shared = {"traceId": "cd" * 8, "id": "00000000000000a1"}
        self.post([a_span(**shared, kind="CLIENT", duration=2000), a_span(**shared, shared=True)])
        spans = self.sonde.json(f"/api/traces/{shared['traceId']}")["data"][0]["spans"]
        self.assertEqual(len({span["spanID"] for span in spans}), 2)


if __name__ == "__main__":
    unittest.main()
