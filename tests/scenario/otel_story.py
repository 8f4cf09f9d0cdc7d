# SPDX-License-Identifier: Apache-2.0
"""What every OpenTelemetry SDK is put through, whatever it is written in. A language's test gives
`send(protocol, endpoint, task, *more)`, which returns what the sender printed, and `protocols`."""

import http.server
import json
import os
import shutil
import subprocess
import threading

import test_otlp
from sonde import PATIENCE, ROOT, Sonde

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(ROOT, "build-otel")


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=10 * PATIENCE, **more)


def send(command):
    """The line of JSON that a sender prints."""
    result = run(command[0], cwd=command[1])
    if result.returncode != 0:
        raise AssertionError(f"the sender failed: {result.stderr}")
    return json.loads(result.stdout.strip().splitlines()[-1])


class HttpGate:
    """Says "later" to the first request and hands on the others."""

    def __init__(self, sonde):
        gate = self
        self.paths = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def body(self):
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers["Content-Length"]))
                chunks = b""
                while size := int(self.rfile.readline(), 16):
                    chunks += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return chunks

            def answer(self, status, headers, body=b""):
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.body()
                gate.paths.append(self.path)
                if len(gate.paths) == 1:
                    self.answer(503, {"Retry-After": "1"})
                    return
                headers = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding")
                           if name in self.headers}
                told = sonde.post(self.path, body, headers)
                self.answer(told.status, {"Content-Type": told.headers["Content-Type"] or ""},
                            told.body)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class GrpcGate:
    """otel_gate.py, which needs a Python with grpcio."""

    def __init__(self, endpoint):
        test_otlp.need_sdk()
        self.process = subprocess.Popen(
            [test_otlp.PYTHON, os.path.join(HERE, "otel_gate.py"), endpoint],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.endpoint = f"127.0.0.1:{int(self.process.stdout.readline())}"
        self.calls = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        told, _ = self.process.communicate(timeout=PATIENCE)
        self.calls = int(told)


class SdkStory:
    """Mixed into a unittest.TestCase; `sonde` listens on `ports["grpc"]` and `ports["http"]`."""

    protocols = ()

    @classmethod
    def setUpClass(cls):
        cls.need()
        cls.ports = {"grpc": test_otlp.free_port(), "http": test_otlp.free_port()}
        cls.sonde = Sonde("--otlp-grpc", f"127.0.0.1:{cls.ports['grpc']}",
                          "--otlp-http", f"127.0.0.1:{cls.ports['http']}").__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.sonde.close()

    def endpoint(self, protocol):
        return f"127.0.0.1:{self.ports['grpc' if protocol == 'grpc' else 'http']}"

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
        for protocol in self.protocols:
            for more in ([], ["gzip"]):
                with self.subTest(protocol=protocol, more=more):
                    sent = self.send(protocol, self.endpoint(protocol), "traces", *more)
                    self.assertEqual(sent["said"], [])
                    self.expect_trace(sent)

    def test_after_a_503_the_spans_are_sent_again_and_none_is_lost(self):
        for protocol in self.protocols:
            if protocol == "grpc":
                continue
            with self.subTest(protocol=protocol), HttpGate(self.sonde) as gate:
                sent = self.send(protocol, gate.endpoint, "traces")
                self.assertEqual(gate.paths, ["/v1/traces"] * 2)
                self.expect_trace(sent)

    def test_after_unavailable_the_spans_are_sent_again_and_none_is_lost(self):
        with GrpcGate(self.endpoint("grpc")) as gate:
            try:
                sent = self.send("grpc", gate.endpoint, "traces")
            except AssertionError as error:
                if "UNAVAILABLE" not in str(error):
                    raise
                self.skipTest("this SDK's gRPC exporter gives up at UNAVAILABLE")
        self.assertEqual(gate.calls, 2)
        self.expect_trace(sent)

    def test_of_a_partial_success_the_sdk_tells_why_and_sends_nothing_again(self):
        for protocol in self.protocols:
            with self.subTest(protocol=protocol):
                sent = self.send(protocol, self.endpoint(protocol), "early")
                self.assertIn("more than a day in the future", " ".join(sent["said"]))
                trace = self.sonde.json(f"/api/v1/traces/{sent['trace_id']}")
                self.assertEqual([span["name"] for span in trace["spans"]], ["new"])


def need_program(name):
    return shutil.which(name) is not None
