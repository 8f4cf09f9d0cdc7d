# SPDX-License-Identifier: Apache-2.0
"""Services with a client of Jaeger's own point it at sonde instead of Jaeger's collector."""

import json
import os
import subprocess
import sys
import unittest

from jaeger_peer import Jaeger, ask
from sonde import PATIENCE, ROOT, Scenario, wait_for
from test_jaeger import normal

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(ROOT, "build-otel")
PYTHON = os.path.join(FOLDER, "jaeger-venv", "bin", "python")
# The last exporter of its kind, with an SDK of its age; it does not name all that it needs.
PACKAGES = ["opentelemetry-exporter-jaeger-thrift==1.21.0", "opentelemetry-sdk==1.21.0",
            "deprecated", "setuptools<81"]
THRIFT = {"Content-Type": "application/vnd.apache.thrift.binary"}


def need_exporter():
    done = os.path.join(FOLDER, "jaeger-done")
    if os.path.exists(done):
        return
    try:
        subprocess.run([sys.executable, "-m", "venv", os.path.join(FOLDER, "jaeger-venv")],
                       check=True, capture_output=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", *PACKAGES], check=True,
                       capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise unittest.SkipTest(f"the exporter for Jaeger cannot be installed: {error}") from error
    with open(done, "w", encoding="utf-8"):
        pass


def send(*urls):
    need_exporter()
    result = subprocess.run([PYTHON, os.path.join(HERE, "jaeger_sender.py"), *urls],
                            capture_output=True, text=True, timeout=3 * PATIENCE, check=True)
    assert "fail" not in result.stderr.lower(), result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])["trace_id"]


class ClientsOfJaeger(Scenario):
    arguments = ("--no-otlp-enabled",)
    maxDiff = None

    def url(self):
        return f"http://127.0.0.1:{self.sonde.port}/api/traces?format=jaeger.thrift"

    def test_spans_arrive_whole(self):
        trace = self.sonde.json(f"/api/v1/traces/{send(self.url())}")
        spans = {span["name"]: span for span in trace["spans"]}
        root, failed = spans["root"], spans["SELECT"]
        self.assertEqual((root["service"], root["kind"], root["scope"]),
                         ("shop", "server", "scenario"))
        self.assertEqual({key: root["attributes"][key] for key in ("number", "ratio", "cached",
                                                                   "text")},
                         {"number": 7, "ratio": 0.5, "cached": True, "text": "grün"})
        self.assertEqual((root["events"][0]["name"] or root["events"][0]["attributes"]["message"]),
                         "happened")
        self.assertEqual(len(root["links"]), 1)
        self.assertEqual((failed["status"], failed["parent_span_id"]), ("error", root["span_id"]))

    def test_they_are_told_again_as_jaeger_tells_them(self):
        with Jaeger() as jaeger:
            trace_id = send(self.url(), f"http://127.0.0.1:{jaeger.collector}/api/traces"
                                        "?format=jaeger.thrift")
            path = f"/api/traces/{trace_id}"
            wait_for(lambda: len((jaeger.ask(path)[1]["data"] or [{"spans": []}])[0]["spans"]) == 2,
                     "Jaeger's trace")
            # Which kind of client sent a span is not kept: its flags and old names go.
            said = normal(ask(f"http://127.0.0.1:{self.sonde.port}", path, {}), 0)
            wanted = normal(jaeger.ask(path), 0)
        for span in wanted[1]["data"][0]["spans"]:
            self.assertEqual(span.pop("flags"), 1)
            span["tags"] = [tag for tag in span["tags"]
                            if not tag["key"].startswith("otel.library.")]
        self.assertEqual(said, wanted)

    def test_what_is_no_batch_is_refused(self):
        for body in (b"", b"\x0c", b"\x0f\x00\x02\x0c\x7f\xff\xff\xff", b"\x0d" * 64):
            self.assertEqual(self.sonde.post("/api/traces", body, THRIFT).status, 400, body)
        self.assertEqual(self.sonde.post("/api/traces", b"{}",
                                         {"Content-Type": "application/json"}).status, 400)
        self.assertEqual(self.sonde.post("/api/traces", b"\x00", THRIFT).status, 202)


if __name__ == "__main__":
    unittest.main()
