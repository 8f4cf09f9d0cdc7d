# SPDX-License-Identifier: Apache-2.0
"""What sonde takes in it hands on: to another sonde field by field, to Jaeger, past a receiver that
says "later", is down, refuses, or comes back; and through a kill."""

import base64
import collections
import gzip
import http.server
import json
import socket
import threading
import time
import unittest

from sonde import Sonde, wait_for

QUIET = ("--collect-off", "all", "--no-otlp-enabled")


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def attributes(**pairs):
    return [{"key": key.replace("__", "."), "value": value} for key, value in pairs.items()]


def every_kind(i):
    """Each kind of value, nested ones too."""
    return attributes(
        text={"stringValue": f"v{i} ü \u2028"}, empty={"stringValue": ""},
        yes={"boolValue": True}, no={"boolValue": False},
        whole={"intValue": str(-2**63 if i == 0 else i)}, part={"doubleValue": 0.1 + i},
        blob={"bytesValue": base64.b64encode(bytes(range(i % 7))).decode()},
        many={"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "two"},
                                        {"arrayValue": {"values": [{"boolValue": True}]}}]}},
        deep={"kvlistValue": {"values": attributes(
            inner={"kvlistValue": {"values": attributes(leaf={"doubleValue": 2.5})}})}},
        nothing={})


def corpus(traces=20, now=None):
    """Requests whose spans and logs use every field that the protocol has for them."""
    now = now or time.time_ns() - 60 * 10**9
    spans = collections.defaultdict(list)
    logs = []
    for t in range(traces):
        trace = f"{t + 1:032x}"
        for s in range(8):
            service = ("front", "cart", "bank")[s % 3]
            start = now + t * 10**7 + s * 1000
            span = {
                "traceId": trace, "spanId": f"{t * 100 + s + 1:016x}", "name": f"op {s}",
                "kind": s % 6, "startTimeUnixNano": str(start),
                "endTimeUnixNano": str(start + (s - 1) * 10**6), "flags": 257,
                "attributes": every_kind(t * 8 + s), "droppedAttributesCount": s % 2 * 3}
            if s > 0:
                span["parentSpanId"] = f"{t * 100 + s:016x}"
            if s == 2:
                span["traceState"] = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
            if s == 3:
                span["status"] = {"code": 2, "message": "it broke"}
                span["events"] = [
                    {"timeUnixNano": str(start + 5), "name": "exception",
                     "attributes": every_kind(s), "droppedAttributesCount": 2},
                    {"timeUnixNano": str(start + 1), "name": ""}]
                span["droppedEventsCount"] = 4
            if s == 4:
                span["status"] = {"code": 1}
                span["links"] = [{"traceId": f"{t + 2:032x}", "spanId": "00000000000000ff",
                                  "traceState": "a=b", "attributes": every_kind(s), "flags": 256,
                                  "droppedAttributesCount": 1}]
                span["droppedLinksCount"] = 5
            spans[service].append(span)
        logs.append({"timeUnixNano": str(now + t), "observedTimeUnixNano": str(now + t + 9),
                     "severityNumber": 17, "severityText": "ERROR", "traceId": trace,
                     "spanId": f"{t * 100 + 1:016x}", "flags": 1,
                     "body": {"stringValue": f"line {t}"}, "attributes": every_kind(t)})
    scope = {"name": "lib", "version": "1.2", "attributes": attributes(a={"intValue": "1"})}
    resources = {service: {"attributes": attributes(
        service__name={"stringValue": service}, host__name={"stringValue": "h"},
        more={"arrayValue": {"values": [{"intValue": "7"}]}})} for service in spans}
    requests = [{"resourceSpans": [{
        "resource": resources[service], "schemaUrl": "https://x/1.0",
        "scopeSpans": [{"scope": scope, "spans": found, "schemaUrl": "https://x/2.0"}]}]}
        for service, found in spans.items()]
    log_request = {"resourceLogs": [{"resource": resources["front"], "scopeLogs": [
        {"scope": scope, "logRecords": logs}]}]}
    return requests, log_request


def spans_of(document):
    """Of a request or an answer: each span with its resource and scope, by its id."""
    found = {}
    for one in document["resourceSpans"]:
        for scope in one["scopeSpans"]:
            for span in scope["spans"]:
                found[span["spanId"].lower()] = plain(
                    {"span": span, "resource": one.get("resource"), "scope": scope.get("scope"),
                     "urls": [one.get("schemaUrl", ""), scope.get("schemaUrl", "")]})
    return found


def plain(value):
    """Without what says nothing: proto3 does not tell 0 and "" from nothing."""
    if isinstance(value, dict):
        if set(value) == {"intValue"}:
            return {"intValue": str(value["intValue"])}
        if len(value) == 1 and next(iter(value)).endswith("Value") and not isinstance(
                next(iter(value.values())), dict):
            return value
        made = {key: plain(item) for key, item in value.items()}
        return {key: item for key, item in made.items()
                if item not in (0, "", "0", None, [], {}) or key == "value"}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def post_corpus(sonde, requests, logs):
    for request in requests:
        answer = sonde.post("/v1/traces", request, {"Content-Type": "application/json"})
        assert answer.status == 200 and answer.json() == {}, answer.body
    answer = sonde.post("/v1/logs", logs, {"Content-Type": "application/json"})
    assert answer.status == 200 and answer.json() == {}, answer.body


def status_of(sonde, signal="traces"):
    return sonde.json("/api/v1/status")["data"]["export"][signal]


def wait_sent(sonde, items, signal="traces"):
    wait_for(lambda: status_of(sonde, signal)["sent_items"] >= items, f"{items} {signal} sent")


class Receiver:
    """Takes OTLP over HTTP and answers as it is told."""

    def __init__(self, port=0):
        self.requests = []
        self.answers = []  # (status, headers, body), used up one by one; then 200.
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.requests.append((time.monotonic(), self.path, dict(self.headers), body))
                status, headers, answer = receiver.answers.pop(0) if receiver.answers \
                    else (200, {}, b"")
                self.send_response(status)
                for name, value in {"Content-Type": "application/x-protobuf", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Export(unittest.TestCase):
    def round_trip(self, scheme, *arguments):
        requests, logs = corpus()
        sent = {}
        for request in requests:
            sent.update(spans_of(request))
        with Sonde(*QUIET) as behind:
            url = f"{scheme}://127.0.0.1:{behind.port}"
            with Sonde(*QUIET, "--export-url", url, *arguments) as front:
                post_corpus(front, requests, logs)
                wait_sent(front, len(sent))
                wait_sent(front, 20, "logs")
                wait_for(lambda: status_of(front)["queued_items"] == 0, "an empty queue")
                for t in range(20):
                    path = f"/api/v1/traces/{t + 1:032x}"
                    there = spans_of(behind.json(path, format="otlp"))
                    here = spans_of(front.json(path, format="otlp"))
                    self.assertEqual(len(there), 8)
                    for span_id, span in there.items():
                        self.assertEqual(span, here[span_id])
                        self.assertEqual(span, sent[span_id])
                    self.assertEqual(behind.json(path)["logs"], front.json(path)["logs"])
                    self.assertEqual(len(behind.json(path)["logs"]), 1)

    def test_a_corpus_arrives_field_by_field_over_http(self):
        self.round_trip("http")

    def test_a_corpus_arrives_field_by_field_over_grpc(self):
        self.round_trip("grpc")

    def test_it_arrives_uncompressed_too(self):
        self.round_trip("grpc", "--no-export-gzip")
        self.round_trip("http", "--no-export-gzip")

    def test_metrics_go_where_they_are_routed(self):
        page = ("# TYPE jobs_total counter\njobs_total{queue=\"a\",job=\"shop\",instance=\"one\"} 41\n"
                "# TYPE heat gauge\nheat{job=\"shop\",instance=\"one\"} 2.5\n"
                "# TYPE took histogram\ntook_bucket{le=\"0.1\"} 3\ntook_bucket{le=\"1\"} 5\n"
                "took_bucket{le=\"+Inf\"} 6\ntook_sum 4.5\ntook_count 6\n")
        with Sonde(*QUIET) as behind, Receiver() as traces:
            with Sonde(*QUIET, "--export-traces", traces.url, "--export-metrics",
                       f"http://127.0.0.1:{behind.port}") as front:
                answer = front.post("/api/v1/import/prometheus", page,
                                    {"Content-Type": "text/plain"})
                self.assertEqual(answer.status // 100, 2)
                for expression, value in (("jobs_total{queue=\"a\",job=\"shop\"}", 41),
                                          ("heat{instance=\"one\"}", 2.5),
                                          ("took_bucket{le=\"0.1\"}", 3),
                                          ("took_bucket{le=\"1.0\"} or took_bucket{le=\"1\"}", 5),
                                          ("took_bucket{le=\"+Inf\"}", 6),
                                          ("took_sum", 4.5), ("took_count", 6)):
                    behind.wait_for_value(expression, value)
                self.assertEqual(traces.requests, [])

    def test_metrics_of_opentelemetry_come_back_as_they_were(self):
        """Each kind, told twice: what is cumulative grows."""
        now = time.time_ns() - 20 * 10**9
        fixed = {"explicitBounds": [0.1, 1]}
        kinds = {
            "a.gauge": lambda n: {"gauge": {"dataPoints": [{"asDouble": 2.5 * n}]}},
            "a.sum": lambda n: {"sum": {"isMonotonic": True, "aggregationTemporality": 2,
                                        "dataPoints": [{"asInt": str(7 * n)}]}},
            "a.histogram": lambda n: {"histogram": {"aggregationTemporality": 2, "dataPoints": [
                {"count": str(6 * n), "sum": 4.5 * n, **fixed,
                 "bucketCounts": [str(3 * n), str(2 * n), str(n)]}]}},
            "a.summary": lambda n: {"summary": {"dataPoints": [
                {"count": str(6 * n), "sum": 4.5 * n,
                 "quantileValues": [{"quantile": 0.5, "value": 1.5 * n}]}]}},
            "an.exponential": lambda n: {"exponentialHistogram": {
                "aggregationTemporality": 2, "dataPoints": [
                    {"count": str(12 * n), "sum": 3.5 * n, "scale": 3, "zeroCount": str(n),
                     "positive": {"offset": -40, "bucketCounts": [str(n)] * 3 + ["0"] * 40 +
                                  [str(5 * n)]},
                     "negative": {"offset": 2, "bucketCounts": [str(3 * n)]}}]}}}
        service = {"attributes": attributes(service__name={"stringValue": "m"},
                                            service__instance__id={"stringValue": "i"})}
        asked = ("a_gauge", "a_sum_total", "a_histogram_bucket", "a_histogram_count",
                 "a_histogram_sum", "a_summary", "a_summary_count", "an_exponential",
                 "an_exponential_count", "an_exponential_sum",
                 *(f"histogram_quantile({q}, sum_over_time(an_exponential[1m]))"
                   for q in (0.01, 0.3, 0.5, 0.99)))

        def told(sonde):
            return {expression: sorted(
                (sorted(one["metric"].items()), one["value"][1])
                for one in sonde.query(expression, time=(now + 10**10) / 1e9))
                for expression in asked}

        with Sonde(*QUIET) as behind:
            with Sonde(*QUIET, "--export-metrics", behind.url) as front:
                for turn in (1, 2):
                    metrics = [{"name": name, **kind(turn)} for name, kind in kinds.items()]
                    for metric in metrics:
                        body = next(value for key, value in metric.items() if key != "name")
                        for point in body["dataPoints"]:
                            point |= {"timeUnixNano": str(now + turn * 10**9),
                                      "attributes": attributes(k={"stringValue": "v"})}
                    answer = front.post("/v1/metrics", {"resourceMetrics": [{
                        "resource": service, "scopeMetrics": [{"metrics": metrics}]}]},
                        {"Content-Type": "application/json"})
                    self.assertEqual((answer.status, answer.json()), (200, {}))
                here = told(front)
                self.assertTrue(all(here.values()), here)
                self.assertEqual(here["an_exponential_count"][0][1], "24")
                wait_for(lambda: all(told(behind).values()) and
                         told(behind)["an_exponential_count"] == here["an_exponential_count"],
                         "all of it behind")
                self.maxDiff = None
                self.assertEqual(told(behind), here)

    def test_later_means_later(self):
        requests, _ = corpus(2)
        with Receiver() as receiver:
            receiver.answers = [(503, {"Retry-After": "2"}, b""), (429, {}, b"")]
            with Sonde(*QUIET, "--export-url", receiver.url,
                       environment={"SONDE_EXPORT_HEADERS": "x-api-key=secret,x-team = web"},
                       ) as sonde:
                sonde.post("/v1/traces", requests[0], {"Content-Type": "application/json"})
                wait_for(lambda: len(receiver.requests) >= 3, "three attempts")
                wait_sent(sonde, 6)
                times = [one[0] for one in receiver.requests]
                self.assertGreaterEqual(times[1] - times[0], 1.9)
                bodies = {one[3] for one in receiver.requests}
                self.assertEqual(len(bodies), 1)  # The same, nothing else.
                _, path, headers, _ = receiver.requests[0]
                self.assertEqual(path, "/v1/traces")
                self.assertEqual(headers["x-api-key"], "secret")
                self.assertEqual(headers["x-team"], "web")
                self.assertEqual(status_of(sonde)["failures"], 2)
                self.assertNotIn("secret", sonde.log())
                self.assertIn("again", sonde.log())

    def test_what_is_refused_is_counted_and_holds_up_nothing(self):
        requests, _ = corpus(2)
        partial = bytes.fromhex("0a0a08021206746f6f206f6c")  # rejected_spans 2, "too ol"
        with Receiver() as receiver:
            receiver.answers = [(400, {}, b"\x12\x03bad"), (200, {}, partial)]
            with Sonde(*QUIET, "--export-url", receiver.url) as sonde:
                for request in requests[:2]:
                    sonde.post("/v1/traces", request, {"Content-Type": "application/json"})
                    wait_for(lambda: status_of(sonde)["queued_items"] == 0, "an empty queue")
                found = status_of(sonde)
                self.assertEqual((found["refused_items"], found["sent_items"]), (6 + 2, 6 - 2))
                self.assertIn("bad", sonde.log())

    def test_a_target_that_is_down_is_waited_for(self):
        requests, logs = corpus(5)
        port = free_port()
        with Sonde(*QUIET, "--export-url", f"grpc://127.0.0.1:{port}") as front:
            post_corpus(front, requests, logs)
            wait_for(lambda: status_of(front)["failures"] >= 2, "failures")
            self.assertEqual(status_of(front)["queued_items"], 40)
            behind = Sonde(*QUIET)
            behind.port = port
            with behind:
                wait_sent(front, 40)
                self.assertEqual(len(behind.json(f"/api/v1/traces/{5:032x}")["spans"]), 8)

    def test_the_second_takes_over_and_gives_back(self):
        requests, _ = corpus(3)
        header = {"Content-Type": "application/json"}
        port = free_port()
        with Receiver() as second:
            targets = f"http://127.0.0.1:{port},{second.url}"
            with Sonde(*QUIET, "--export-url", targets) as sonde:
                sonde.post("/v1/traces", requests[0], header)
                wait_for(lambda: second.requests, "the second target")
                self.assertEqual(status_of(sonde)["target"], second.url)
                with Receiver(port) as first:
                    def given_back():
                        sonde.post("/v1/traces", requests[1], header)
                        time.sleep(0.2)
                        return first.requests
                    wait_for(given_back, "the first target")
                    wait_for(lambda: status_of(sonde)["queued_items"] == 0, "an empty queue")
                    self.assertEqual(status_of(sonde)["dropped_items"], 0)

    def test_a_wrong_token_loses_nothing(self):
        requests, _ = corpus(2)
        with Receiver() as receiver:
            receiver.answers = [(401, {}, b"")]
            with Sonde(*QUIET, "--export-url", receiver.url) as sonde:
                sonde.post("/v1/traces", requests[0], {"Content-Type": "application/json"})
                wait_sent(sonde, 6)
                self.assertEqual(status_of(sonde)["refused_items"], 0)

    def test_a_full_queue_counts_what_it_drops(self):
        requests, _ = corpus(500)
        with Sonde(*QUIET, "--export-url", f"http://127.0.0.1:{free_port()}",
                   "--export-queue-size", "1MiB") as sonde:
            for request in requests:
                answer = sonde.post("/v1/traces", request, {"Content-Type": "application/json"})
                self.assertEqual(answer.status, 200)
            found = status_of(sonde)
            self.assertGreater(found["dropped_items"], 0)
            self.assertLessEqual(found["queued_bytes"], 1 << 20)
            self.assertEqual(found["dropped_items"] + found["queued_items"], 500 * 8)

    def test_kills_lose_nothing_that_was_acknowledged(self):
        requests, _ = corpus(60)
        with Sonde(*QUIET) as behind:
            with Sonde(*QUIET, "--export-url", f"http://127.0.0.1:{behind.port}") as front:
                for request in requests:
                    found = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
                    for at in range(0, len(found), 20):
                        part = json.loads(json.dumps(request))
                        part["resourceSpans"][0]["scopeSpans"][0]["spans"] = found[at:at + 20]
                        answer = front.post("/v1/traces", part,
                                            {"Content-Type": "application/json"})
                        self.assertEqual(answer.status, 200)
                        if at % 60 == 0:
                            front.kill()
                            front.start()
                wait_for(lambda: status_of(front)["queued_items"] == 0, "an empty queue")
                for t in range(60):
                    self.assertEqual(
                        len(behind.json(f"/api/v1/traces/{t + 1:032x}")["spans"]), 8)

    def test_an_address_that_is_none_is_told_before_it_starts(self):
        with self.assertRaisesRegex(AssertionError, "export.url.*no address to export to"):
            with Sonde(*QUIET, "--export-url", "collector:4317"):
                pass


class ToJaeger(unittest.TestCase):
    def test_jaeger_takes_it_over_both_protocols(self):
        from jaeger_peer import Jaeger
        requests, _ = corpus(3)
        for scheme in ("http", "grpc"):
            with Jaeger() as jaeger:
                port = jaeger.otlp if scheme == "http" else jaeger.otlp_grpc
                with Sonde(*QUIET, "--export-url", f"{scheme}://127.0.0.1:{port}") as sonde:
                    for request in requests:
                        sonde.post("/v1/traces", request, {"Content-Type": "application/json"})
                    wait_sent(sonde, 24)
                    status, body = jaeger.ask(f"/api/traces/{2:032x}")
                    self.assertEqual(status, 200)
                    self.assertEqual(len(body["data"][0]["spans"]), 8)


if __name__ == "__main__":
    unittest.main()
