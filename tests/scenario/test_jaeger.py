# SPDX-License-Identifier: Apache-2.0
"""Jaeger's page and Grafana's Jaeger data source ask sonde, and hear what Jaeger would say.

The same spans go to both; the answers are compared field by field. Where Jaeger cannot be had,
they are compared with what it said when it was here last: jaeger_answers.json, with times told from
the start of the story (SONDE_JAEGER_RECORD=1 writes it anew)."""

import json
import os
import re
import time
import unittest

from jaeger_peer import Jaeger, ask
from sonde import Scenario, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "jaeger_answers.json")
JSON = {"Content-Type": "application/json"}
TRACE = "5b8efff798038103d269b633813fc60c"
SHORT = "0000000000000000d269b633813fc60d"
ODD = "11112222333344445555666677778888"
OTHER = "99990000aaaabbbbccccddddeeeeffff"


def attribute(key, **value):
    return {"key": key, "value": value}


def span(base, trace, number, name, start_us, duration_us, parent=None, **more):
    start = base + start_us * 1000
    made = {"traceId": trace, "spanId": f"{number:016x}", "name": name,
            "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + duration_us * 1000)}
    if parent:
        made["parentSpanId"] = f"{parent:016x}"
    return {**made, **more}


def resource(service, *attributes, scope=None):
    return {"resource": {"attributes": [attribute("service.name", stringValue=service),
                                        *attributes]},
            "scopeSpans": [{"scope": scope or {}, "spans": []}]}


def story(base):
    """What three services and a queue send; times are from base, in microseconds."""
    shop = resource("shop", attribute("host.name", stringValue="a"),
                    attribute("replicas", intValue="3"), attribute("ip", intValue="168430090"),
                    attribute("zones", arrayValue={"values": [{"stringValue": "x<y"},
                                                              {"intValue": "7"}]}),
                    scope={"name": "net/http", "version": "1.2"})
    stock = resource("stock", attribute("host.name", stringValue="b"))
    mail = resource("mail")
    shop_spans = shop["scopeSpans"][0]["spans"]
    stock_spans = stock["scopeSpans"][0]["spans"]
    mail_spans = mail["scopeSpans"][0]["spans"]
    shop_spans += [
        span(base, TRACE, 1, "GET /cart", 0, 90000, kind=2, attributes=[
            attribute("http.status_code", intValue="200"), attribute("ratio", doubleValue=0.25),
            attribute("cached", boolValue=False), attribute("raw", bytesValue="AAEC/w=="),
            attribute("big", intValue="9007199254740993"), attribute("nothing"),
            attribute("deep", kvlistValue={"values": [
                attribute("z", boolValue=True), attribute("a", doubleValue=1.5),
                attribute("b", bytesValue="aGk=")]}),
            attribute("telemetry.sdk.language", stringValue="go"),
            attribute("umlaut", stringValue="grün <&>")],
            traceState="vendor=1", status={"code": 1}),
        span(base, TRACE, 2, "POST stock", 5000, 40000, parent=1, kind=3),
        span(base, TRACE, 4, "send", 50000, 3000, parent=1, kind=4),
        span(base, SHORT, 1, "cron", 1000, 10, kind=1),
        span(base, ODD, 7, "orphan", 2000, 100, parent=0xdead, kind=1),
        span(base, ODD, 9, "shared", 3000, 1000, kind=3),
        span(base, ODD, 9, "shared", 3100, 500, kind=2),
        span(base, ODD, 10, "below shared", 3200, 100, parent=9),
        span(base, ODD, 11, "instant", 4000, 0, kind=1),
    ]
    stock_spans += [
        span(base, TRACE, 3, "reserve", 4000, 42000, parent=2, kind=2,
             status={"code": 2, "message": "out of stock"},
             events=[{"timeUnixNano": str(base + 6000000), "name": "exception", "attributes": [
                 attribute("exception.type", stringValue="Missing"),
                 attribute("exception.message", stringValue="none left")]},
                     {"timeUnixNano": str(base + 7000000), "attributes": [
                         attribute("z", intValue="1"), attribute("a", intValue="2")]}]),
        span(base, OTHER, 1, "sweep", 10000, 1500000, kind=1,
             attributes=[attribute("shelf", stringValue="12")]),
    ]
    mail_spans += [
        span(base, TRACE, 5, "receive", 200000, 2000, parent=4, kind=5,
             links=[{"traceId": OTHER, "spanId": f"{1:016x}"},
                    {"traceId": TRACE, "spanId": f"{4:016x}", "attributes": [
                        attribute("opentracing.ref_type", stringValue="child_of")]},
                    {"traceId": "00" * 16, "spanId": f"{5:016x}"}]),
    ]
    return {"resourceSpans": [shop, stock, mail]}


def questions(base):
    """(name, path, parameters) of everything that is compared."""
    span_of_time = {"start": base // 1000 - 1000000, "end": base // 1000 + 60000000}
    shop = {"service": "shop", **span_of_time}
    stock = {"service": "stock", **span_of_time}
    return [
        ("services", "/api/services", {}),
        ("operations of a service", "/api/services/shop/operations", {}),
        ("operations of nobody", "/api/services/nobody/operations", {}),
        ("operations with kinds", "/api/operations", {"service": "shop"}),
        ("operations of a kind", "/api/operations", {"service": "shop", "spanKind": "server"}),
        ("operations without service", "/api/operations", {}),
        ("a trace", f"/api/traces/{TRACE}", {}),
        ("a trace as it came", f"/api/traces/{TRACE}", {"raw": "true"}),
        ("a trace with a short id", "/api/traces/d269b633813fc60d", {}),
        ("an odd trace", f"/api/traces/{ODD}", {}),
        ("no such trace", "/api/traces/1234", {}),
        ("traces by id", "/api/traces", {"traceID": [TRACE, OTHER, "4321"]}),
        ("search by service", "/api/traces", shop),
        ("search by operation", "/api/traces", {**shop, "operation": "cron"}),
        ("search by tags", "/api/traces",
         {**shop, "tags": '{"http.status_code":"200","cached":"false"}'}),
        ("search by tag of the process", "/api/traces", {**shop, "tag": "host.name:a"}),
        ("search by one tag of two", "/api/traces",
         {**shop, "tags": '{"http.status_code":"200","cached":"true"}'}),
        ("search by error", "/api/traces", {**stock, "tags": '{"error":"true"}'}),
        ("search by kind", "/api/traces", {**shop, "tags": '{"span.kind":"producer"}'}),
        ("search by a log's field", "/api/traces",
         {**stock, "tags": '{"exception.type":"Missing"}'}),
        ("search by least duration", "/api/traces", {**stock, "minDuration": "1.2s"}),
        ("search by most duration", "/api/traces", {**stock, "maxDuration": "500ms"}),
        ("search by both", "/api/traces",
         {**stock, "minDuration": "41ms", "maxDuration": "43000us"}),
        ("search in another time", "/api/traces",
         {"service": "shop", "start": 1, "end": base // 1000 - 1}),
        ("search for nobody", "/api/traces", {**span_of_time, "service": "nobody"}),
        ("search without service", "/api/traces", {}),
        ("search with a wrong duration", "/api/traces", {**shop, "minDuration": "soon"}),
        ("search with durations crossed", "/api/traces",
         {**shop, "minDuration": "2s", "maxDuration": "1s"}),
        ("dependencies", "/api/dependencies",
         {"endTs": base // 1000000 + 120000, "lookback": 180000}),
        ("dependencies of one", "/api/dependencies",
         {"endTs": base // 1000000 + 120000, "lookback": 180000, "service": "mail"}),
    ]


def in_order(items):
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def normal_trace(trace, base):
    """Without what is arbitrary: the order of spans, names of processes, when the story began."""
    spans = []
    for one in trace["spans"]:
        process = trace["processes"][one.pop("processID")]
        # By internal.span.format Jaeger's collector tells its own storage which way a span came.
        one = {**one, "startTime": one["startTime"] - base // 1000, "process": process,
               # How Go prints the private fields of a struct is no part of the sentence.
               "warnings": one["warnings"] and [re.sub(r" XXX_.*", "}", text)
                                                for text in one["warnings"]],
               "tags": [tag for tag in one["tags"] if tag["key"] != "internal.span.format"],
               "logs": [{**log, "timestamp": log["timestamp"] - base // 1000}
                        for log in one["logs"]]}
        spans.append(one)
    return {**trace, "spans": in_order(spans), "processes": in_order(trace["processes"].values())}


def normal(answer, base):
    status, body = answer
    if body["errors"] and "code" in body["errors"][0]:
        # The sentence is each program's own; what it is about is not.
        body["errors"] = [{"code": error["code"]} for error in body["errors"]]
    data = body["data"]
    if isinstance(data, list):
        data = [normal_trace(item, base) if isinstance(item, dict) and "spans" in item else item
                for item in data]
        body["data"] = in_order(data)
    return [status, body]


class JaegersPageAsksSonde(Scenario):
    arguments = ("--no-otlp-enabled",)
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base = (time.time_ns() // 10**9 - 60) * 10**9
        cls.body = json.dumps(story(cls.base)).encode()
        answer = cls.sonde.post("/v1/traces", cls.body, JSON)
        assert (answer.status, answer.json()) == (200, {}), answer.body

    def say(self):
        base = f"http://127.0.0.1:{self.sonde.port}"
        return {name: normal(ask(base, path, parameters), self.base)
                for name, path, parameters in questions(self.base)}

    def compare(self, said, wanted):
        self.assertEqual(list(said), list(wanted))
        for name, answer in wanted.items():
            with self.subTest(name):
                self.assertEqual(said[name], answer)

    def test_it_says_what_jaeger_said(self):
        with open(RECORD, encoding="utf-8") as file:
            self.compare(self.say(), json.load(file))

    def test_it_says_what_jaeger_says(self):
        with Jaeger() as jaeger:
            jaeger.post(jaeger.otlp, "/v1/traces", self.body)
            wait_for(lambda: len(jaeger.ask("/api/services")[1]["data"] or []) == 3,
                     "Jaeger's services")
            wanted = {name: normal(jaeger.ask(path, **parameters), self.base)
                      for name, path, parameters in questions(self.base)}
        if os.environ.get("SONDE_JAEGER_RECORD"):
            with open(RECORD, "w", encoding="utf-8") as file:
                file.write("{" + ",\n".join(
                    f"{json.dumps(name)}: {json.dumps(answer, ensure_ascii=False)}"
                    for name, answer in wanted.items()) + "}\n")
        self.compare(self.say(), wanted)

    def test_calls_are_counted_exactly_once_told_and_after_a_restart(self):
        def calls():
            answer = self.sonde.json("/api/dependencies")
            return {(edge["parent"], edge["child"]): edge["callCount"] for edge in answer["data"]}

        before = calls()
        told = 'traces_service_graph_request_total{client="shop",server="stock"}'
        wait_for(lambda: self.sonde.value(told), "the metrics of spans", 30)
        self.assertEqual(calls(), before)

    def test_the_newest_come_first_and_no_more_than_asked(self):
        for number in range(5):
            sent = resource("busy")
            sent["scopeSpans"][0]["spans"].append(
                span(self.base, f"{number + 1:032x}", 1, "op", 1000000 + number, 10))
            self.sonde.post("/v1/traces", json.dumps({"resourceSpans": [sent]}).encode(), JSON)
        found = self.sonde.json("/api/traces", service="busy", limit=3)["data"]
        self.assertEqual([trace["traceID"] for trace in found],
                         [f"{number:016x}" for number in (5, 4, 3)])


if __name__ == "__main__":
    unittest.main()
