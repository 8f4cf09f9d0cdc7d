# SPDX-License-Identifier: Apache-2.0
"""Clients ask how to sample, as they would ask Jaeger's collector, and do as they are told."""

import json
import os
import tempfile
import time
import unittest
import urllib.request

from jaeger_peer import Jaeger
from sonde import Sonde, wait_for
from test_otlp_go import go_send
from test_otlp_node import node_send
from test_sampling import JSON, span, trace_id

STRATEGIES = {
    "service_strategies": [
        {"service": "foo", "type": "probabilistic", "param": 0.8, "operation_strategies": [
            {"operation": "op1", "type": "probabilistic", "param": 0.2}]},
        {"service": "bar", "type": "ratelimiting", "param": 5},
        {"service": "baz", "type": "ratelimiting", "param": 5, "operation_strategies": [
            {"operation": "op1", "type": "probabilistic", "param": 0.2}]},
        {"service": "plain", "type": "probabilistic", "param": 0.3}],
    "default_strategy": {"type": "probabilistic", "param": 0.5, "operation_strategies": [
        {"operation": "GET /health", "type": "probabilistic", "param": 0.0}]}}
# What Jaeger 1.62 says with these.
HEALTH = {"operation": "GET /health", "probabilisticSampling": {"samplingRate": 0}}
OP1 = {"operation": "op1", "probabilisticSampling": {"samplingRate": 0.2}}


def operations(share, *strategies):
    return {"defaultSamplingProbability": share, "defaultLowerBoundTracesPerSecond": 0,
            "perOperationStrategies": list(strategies), "defaultUpperBoundTracesPerSecond": 0}


def share(value, *strategies):
    return {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": value},
            "operationSampling": operations(value, *strategies)}


RATE = {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 5}}
SAID = {"foo": share(0.8, OP1, HEALTH), "bar": RATE,
        "baz": {**RATE, "operationSampling": operations(0.001, OP1, HEALTH)},
        "plain": share(0.3, HEALTH), "other": share(0.5, HEALTH)}


class ClientsAskHowToSample(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "strategies.json")
        self.write(STRATEGIES)
        self.sonde = Sonde("--no-otlp-enabled", "--sampling-strategies", self.path).__enter__()
        self.endpoint = f"127.0.0.1:{self.sonde.port}"

    def tearDown(self):
        self.sonde.close()
        self.folder.cleanup()

    def write(self, strategies):
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(strategies, file)

    def ask(self, service):
        return self.sonde.json("/sampling", service=service)

    def test_the_answers_are_jaegers(self):
        for service, said in SAID.items():
            self.assertEqual(self.ask(service), said, service)
        self.assertEqual(self.sonde.json("/api/sampling", service="foo"), SAID["foo"])
        self.assertEqual(self.sonde.get("/sampling").status, 400)

    def test_they_still_are(self):
        with Jaeger("--sampling.strategies-file", self.path) as jaeger:
            for service in SAID:
                url = f"http://127.0.0.1:{jaeger.sampling}/sampling?service={service}"
                with urllib.request.urlopen(url, timeout=20) as answer:
                    self.assertEqual(json.load(answer), self.ask(service), service)

    def expect_halves(self, sent):
        self.assertEqual(sent["health"], 0)
        self.assertTrue(400 < sent["default"] < 600, sent)

    def test_opentelemetrys_sampler_for_go_obeys(self):
        self.expect_halves(go_send("any", self.endpoint, "sampled"))

    def test_opentelemetrys_sampler_for_node_obeys(self):
        self.expect_halves(node_send("any", self.endpoint, "sampled"))

    def test_an_edit_counts_at_once_and_a_mistake_is_told(self):
        self.write({"default_strategy": {"type": "always"}})
        self.assertEqual(self.ask("any"), {"strategyType": "PROBABILISTIC",
                                           "probabilisticSampling": {"samplingRate": 1}})
        self.write({"default_strategy": {"type": "sometimes"}})
        answer = self.sonde.get("/sampling", service="any")
        self.assertEqual(answer.status, 500)
        self.assertIn("'sometimes' is no strategy", answer.text())

    def test_adaptive_shares_bring_as_many_traces_as_were_asked_for(self):
        self.write({"service_strategies": [{"service": "shop", "type": "adaptive", "param": 2}]})
        number = 0

        def told():
            """A client that does as it is told, at a hundred requests a second."""
            nonlocal number
            answer = self.ask("shop")
            shares = {item["operation"]: item["probabilisticSampling"]["samplingRate"]
                      for item in answer["operationSampling"]["perOperationStrategies"]}
            spans = []
            for name, count in (("GET /", 20), ("POST /rare", 0)):
                for _ in range(count):
                    number += 1
                    if number * 0.618034 % 1 < shares.get(name, 1):
                        spans.append(span(trace_id(number), 1, name=name))
            if number == 20:
                spans.append(span(trace_id(0), 1, name="POST /rare"))
            if spans:
                body = {"resourceSpans": [{"resource": {"attributes": [
                    {"key": "service.name", "value": {"stringValue": "shop"}}]},
                    "scopeSpans": [{"spans": spans}]}]}
                self.sonde.post("/v1/traces", json.dumps(body).encode(), JSON)
            time.sleep(0.2)
            return shares

        shares = wait_for(lambda: (lambda shares: shares.get("GET /", 1) < 0.1 and shares)(told()),
                          "a smaller share", 40)
        self.assertGreater(shares["GET /"], 0.005)
        self.assertEqual(shares["POST /rare"], 1)


class NothingIsSaidOfSampling(unittest.TestCase):
    def test_then_everything_is_sampled(self):
        with Sonde("--no-otlp-enabled") as sonde:
            self.assertEqual(sonde.json("/api/sampling", service="any"), {
                "strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 1}})


if __name__ == "__main__":
    unittest.main()
