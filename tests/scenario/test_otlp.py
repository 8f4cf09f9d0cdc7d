# SPDX-License-Identifier: Apache-2.0
"""Applications instrumented with OpenTelemetry point their SDK at sonde, over gRPC and over HTTP."""

import gzip
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import unittest

from sonde import PATIENCE, ROOT, Scenario, Sonde, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(ROOT, "build-otel")
PYTHON = os.path.join(FOLDER, "venv", "bin", "python")
PACKAGES = ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-grpc",
            "opentelemetry-exporter-otlp-proto-http"]


def need_sdk():
    """Makes the environment once; skips where the packages cannot be had."""
    done = os.path.join(FOLDER, "done")
    if os.path.exists(done):
        return
    try:
        subprocess.run([sys.executable, "-m", "venv", os.path.join(FOLDER, "venv")], check=True,
                       capture_output=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", *PACKAGES], check=True,
                       capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise unittest.SkipTest(f"OpenTelemetry's SDK cannot be installed: {error}") from error
    with open(done, "w", encoding="utf-8"):
        pass


def send(protocol, endpoint, signal, *more):
    """What the sender says that it sent, and what it complained of."""
    result = subprocess.run(
        [PYTHON, os.path.join(HERE, "otel_sender.py"), protocol, endpoint, signal, *more],
        capture_output=True, text=True, timeout=3 * PATIENCE, check=True)
    return json.loads(result.stdout), result.stderr


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def a_span(**changes):
    now = time.time_ns()
    return {"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174",
            "name": "by hand", "kind": 2, "startTimeUnixNano": str(now),
            "endTimeUnixNano": now + 5000000, **changes}


def a_request(*spans):
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}


class AnSdkIsPointedAtSonde(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_sdk()
        cls.ports = {"grpc": free_port(), "http": free_port()}
        cls.sonde = Sonde("--otlp-grpc", f"127.0.0.1:{cls.ports['grpc']}",
                          "--otlp-http", f"127.0.0.1:{cls.ports['http']}").__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.sonde.close()

    def endpoint(self, protocol):
        return f"127.0.0.1:{self.ports[protocol]}"

    def expect_trace(self, sent):
        trace = self.sonde.json(f"/api/v1/traces/{sent['trace_id']}")
        self.assertEqual(len(trace["spans"]), sent["spans"])
        root = next(span for span in trace["spans"] if span["name"] == "root")
        self.assertEqual((root["span_id"], root["kind"]), (sent["span_id"], "server"))
        step = next(span for span in trace["spans"] if span["name"] == "step 7")
        self.assertEqual(step["attributes"], {"number": 7, "list": ["a", "b"]})
        self.assertEqual(step["events"][0]["attributes"], {"ratio": 1.5})
        self.assertEqual(step["parent_span_id"], sent["span_id"])
        failed = next(span for span in trace["spans"] if span["name"] == "SELECT")
        self.assertEqual((failed["status"], failed["status_message"]), ("error", "no such table"))

    def test_spans_arrive_whole_over_each_protocol_plain_and_compressed(self):
        for protocol in ("grpc", "http"):
            for more in ([], ["gzip"]):
                with self.subTest(protocol=protocol, more=more):
                    sent, complaints = send(protocol, self.endpoint(protocol), "traces", *more)
                    self.assertEqual(complaints, "")
                    self.expect_trace(sent)

    def test_they_are_found_by_service_attribute_and_status(self):
        sent, _ = send("http", self.endpoint("http"), "traces")
        found = self.sonde.json("/api/v1/traces/search", service="python-http", attribute="number=7",
                                name="step 7")["spans"]
        self.assertIn(sent["trace_id"], [span["trace_id"] for span in found])
        self.assertTrue(all(span["attributes"]["number"] == 7 for span in found))
        errors = self.sonde.json("/api/v1/traces/search", status="error")["spans"]
        self.assertTrue(errors and all(span["name"] == "SELECT" for span in errors))
        self.assertEqual(
            self.sonde.json("/api/v1/traces/search", service="nobody")["spans"], [])

    def test_metrics_become_series_with_the_names_of_prometheus(self):
        for protocol in ("grpc", "http"):
            with self.subTest(protocol=protocol):
                _, complaints = send(protocol, self.endpoint(protocol), "metrics")
                self.assertEqual(complaints, "")
                labels = f'job="python-{protocol}",instance="one"'
                self.assertEqual(
                    self.sonde.value(f'shop_orders_total{{{labels},paid_by="card"}}'), 6)
                self.assertEqual(
                    self.sonde.value(f"shop_duration_milliseconds_count{{{labels}}}"), 3)
                self.assertEqual(
                    self.sonde.value(f'target_info{{{labels},telemetry_sdk_language="python"}}'), 1)

    def test_logs_are_kept_with_their_trace(self):
        for protocol in ("grpc", "http"):
            with self.subTest(protocol=protocol):
                sent, _ = send(protocol, self.endpoint(protocol), "logs")
                logs = self.sonde.json(f"/api/v1/traces/{sent['trace_id']}")["logs"]
                self.assertEqual([log["body"] for log in logs], ["something odd happened"])
                self.assertEqual(logs[0]["service"], f"python-{protocol}")

    def test_spans_become_rates_errors_durations_and_edges(self):
        send("grpc", self.endpoint("grpc"), "traces")
        failed = ('sum(traces_span_metrics_calls_total{service="python-grpc",span_name="SELECT",'
                  'status_code="STATUS_CODE_ERROR"})')
        wait_for(lambda: (self.sonde.value(failed) or 0) >= 1, "the metrics of spans", 30)
        self.assertGreaterEqual(self.sonde.value(
            'traces_service_graph_request_total{client="python-grpc",server="postgresql",'
            'connection_type="database"}'), 1)
        self.assertGreater(self.sonde.value(
            'histogram_quantile(0.5, sum by (le) (traces_span_metrics_duration_seconds_bucket))'), 0)


class AnSdkMeetsTrouble(unittest.TestCase):
    def test_after_a_503_the_sdk_sends_again_and_nothing_is_lost(self):
        need_sdk()
        with Sonde("--no-otlp-enabled") as sonde:
            refused = []

            class Gate(http.server.BaseHTTPRequestHandler):
                """Says "later" to the first request and hands on the others."""

                def do_POST(self):
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                    if not refused:
                        refused.append(self.path)
                        self.send_response(503)
                        self.send_header("Retry-After", "1")
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                    headers = {name: self.headers[name]
                               for name in ("Content-Type", "Content-Encoding")
                               if name in self.headers}
                    answer = sonde.post(self.path, body, headers)
                    self.send_response(answer.status)
                    self.send_header("Content-Type", answer.headers["Content-Type"] or "")
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)

                def log_message(self, *arguments):
                    pass

            gate = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate)
            threading.Thread(target=gate.serve_forever, daemon=True).start()
            try:
                sent, _ = send("http", f"127.0.0.1:{gate.server_port}", "traces")
            finally:
                gate.shutdown()
                gate.server_close()
            self.assertEqual(refused, ["/v1/traces"])
            trace = sonde.json(f"/api/v1/traces/{sent['trace_id']}")
            self.assertEqual(len(trace["spans"]), sent["spans"])

    def test_a_full_disk_says_later_over_http_and_unavailable_over_grpc(self):
        need_sdk()
        port = free_port()
        with Sonde("--store-free-min", "1048576TiB", "--otlp-grpc", f"127.0.0.1:{port}") as sonde:
            answer = sonde.post("/v1/traces", a_request(a_span()), JSON)
            self.assertEqual(answer.status, 503)
            self.assertGreater(int(answer.headers["Retry-After"]), 0)
            self.assertEqual(answer.json()["code"], 14)
            code = ("import grpc, sys\n"
                    "channel = grpc.insecure_channel(sys.argv[1])\n"
                    "call = channel.unary_unary('/opentelemetry.proto.collector.trace.v1."
                    "TraceService/Export', lambda m: m, lambda m: m)\n"
                    "try:\n"
                    "    call(bytes.fromhex(sys.argv[2]))\n"
                    "except grpc.RpcError as error:\n"
                    "    details = dict(error.trailing_metadata())\n"
                    "    print(error.code().name, b'RetryInfo' in "
                    "details['grpc-status-details-bin'])\n")
            now = time.time_ns().to_bytes(8, "little")
            span = (b"\x0a\x10" + b"\x01" * 16 + b"\x12\x08" + b"\x02" * 8 + b"\x39" + now +
                    b"\x41" + now)
            scope = b"\x12" + bytes([len(span)]) + span
            resource = b"\x12" + bytes([len(scope)]) + scope
            request = b"\x0a" + bytes([len(resource)]) + resource
            result = subprocess.run([PYTHON, "-c", code, f"127.0.0.1:{port}", request.hex()],
                                    capture_output=True, text=True, timeout=PATIENCE, check=True)
            self.assertEqual(result.stdout.strip(), "UNAVAILABLE True")


class SomebodySendsByHand(Scenario):
    arguments = ("--no-otlp-enabled",)

    def test_full_success_says_nothing_of_partial_success(self):
        answer = self.sonde.post("/v1/traces", a_request(a_span()), JSON)
        self.assertEqual((answer.status, answer.json()), (200, {}))
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(self.sonde.post("/v1/traces", b"", PROTOBUF).status, 200)
        self.assertEqual(self.sonde.post("/v1/logs", b"{}", JSON).json(), {})

    def test_what_cannot_be_kept_is_counted_with_the_reason_and_the_rest_is_kept(self):
        good = a_span(traceId="aa" * 16)
        answer = self.sonde.post("/v1/traces", a_request(
            good, a_span(spanId=""), a_span(startTimeUnixNano="1", endTimeUnixNano="2")), JSON)
        self.assertEqual(answer.status, 200)
        partial = answer.json()["partialSuccess"]
        self.assertEqual(partial["rejectedSpans"], "2")
        self.assertIn("older than what is kept", partial["errorMessage"])
        self.assertEqual(len(self.sonde.json("/api/v1/traces/" + "aa" * 16)["spans"]), 1)

    def test_data_without_a_known_name_is_warned_of(self):
        snake = {"resource_spans": [{"scope_spans": [{"spans": [a_span()]}]}]}
        for path, name in (("traces", "resourceSpans"), ("metrics", "resourceMetrics"),
                           ("logs", "resourceLogs")):
            answer = self.sonde.post(f"/v1/{path}", snake, JSON)
            self.assertEqual(answer.status, 200)
            partial = answer.json()["partialSuccess"]
            self.assertEqual(list(partial), ["errorMessage"])  # A warning: nothing was rejected.
            self.assertIn(f"no {name}", partial["errorMessage"])
        self.assertEqual(self.sonde.post("/v1/traces", {"resourceSpans": []}, JSON).json(), {})
        self.assertEqual(self.sonde.post("/v1/traces", {"later": {}}, JSON).json(), {})

    def test_bad_data_is_told_as_a_status_in_the_requests_own_form(self):
        answer = self.sonde.post("/v1/traces", b'{"resourceSpans":[', JSON)
        self.assertEqual((answer.status, answer.json()["code"]), (400, 3))
        answer = self.sonde.post("/v1/traces", b"\x0a\x7f", PROTOBUF)
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.headers["Content-Type"], "application/x-protobuf")
        self.assertEqual(answer.body[:2], b"\x08\x03")
        answer = self.sonde.post("/v1/traces", b"x", {"Content-Type": "text/csv"})
        self.assertEqual(answer.status, 400)

    def test_a_body_over_the_limit_once_unpacked_is_refused_for_good(self):
        body = gzip.compress(b" " * (65 << 20), 1)
        answer = self.sonde.post("/v1/traces", body, {**JSON, "Content-Encoding": "gzip"})
        self.assertEqual((answer.status, answer.json()["code"]), (413, 8))
        self.assertIsNone(answer.headers["Retry-After"])

    def test_out_comes_what_went_in(self):
        span = a_span(traceId="bb" * 16, attributes=[
            {"key": "n", "value": {"intValue": "-7"}}, {"key": "t", "value": {"stringValue": "x"}},
            {"key": "m", "value": {"kvlistValue": {"values": [
                {"key": "k", "value": {"doubleValue": 0.5}}]}}}],
            events=[{"timeUnixNano": "1700000000000000000", "name": "e"}],
            links=[{"traceId": "cc" * 16, "spanId": "dd" * 8}], status={"code": 2, "message": "no"})
        self.sonde.post("/v1/traces", a_request(span), JSON)
        back = self.sonde.json("/api/v1/traces/" + "bb" * 16, format="otlp")
        got = back["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
        for key in ("attributes", "events", "links", "status", "kind", "name", "startTimeUnixNano"):
            self.assertEqual(got[key], span[key], key)

    def test_every_example_of_opentelemetrys_protocol_is_accepted_and_found_again(self):
        folder = os.path.join(os.environ.get("SONDE_SHARED", os.path.join(ROOT, "..", "shared")),
                              "data", "otlp")
        if not os.path.isdir(folder):
            self.skipTest(f"the examples are not in {folder}")
        examples = {}
        for name, signal in (("trace", "traces"), ("logs", "logs"), ("metrics", "metrics"),
                             ("events", "logs")):
            with open(os.path.join(folder, f"{name}.json"), "rb") as file:
                examples[name] = file.read()
            answer = self.sonde.post(f"/v1/{signal}", examples[name], JSON)
            self.assertEqual((answer.status, answer.json()), (200, {}), name)
        sent = json.loads(examples["trace"])["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
        trace = self.sonde.json(f"/api/v1/traces/{sent['traceId'].lower()}")
        self.assertIn(sent["name"], [span["name"] for span in trace["spans"]])
        self.assertTrue(trace["logs"])
        at = int(json.loads(examples["metrics"])["resourceMetrics"][0]["scopeMetrics"][0]
                 ["metrics"][0]["sum"]["dataPoints"][0]["timeUnixNano"]) / 1e9
        found = self.sonde.json("/api/v1/query", query='{job="my.service"}', time=at)
        self.assertTrue(found["data"]["result"])

    def test_days_long_past_are_few(self):
        with Sonde("--no-otlp-enabled") as sonde:
            day_ns = 86400 * 10**9
            spans = [a_span(traceId=f"{day + 1:032x}", startTimeUnixNano=str(day * day_ns),
                            endTimeUnixNano=str(day * day_ns)) for day in range(1000, 1060)]
            rejected = 0
            for one in spans:
                answer = sonde.post("/v1/traces", a_request(one), JSON).json()
                rejected += int(answer.get("partialSuccess", {}).get("rejectedSpans", 0))
            self.assertEqual(rejected, len(spans) - 32)

    def test_what_was_acknowledged_survives_a_kill(self):
        with Sonde("--no-otlp-enabled") as sonde:
            for number in range(20):
                span = a_span(traceId=f"{number + 1:032x}")
                self.assertEqual(sonde.post("/v1/traces", a_request(span), JSON).status, 200)
            sonde.kill()
            sonde.start()
            for number in range(20):
                self.assertEqual(
                    len(sonde.json(f"/api/v1/traces/{number + 1:032x}")["spans"]), 1)


if __name__ == "__main__":
    unittest.main()
