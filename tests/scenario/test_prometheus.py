# SPDX-License-Identifier: Apache-2.0
"""Prometheus' own programs, as Debian ships them, meet the daemon: one scrapes it, one asks it, one
checks what it says, one writes to it."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

from sonde import Scenario, wait_for

# promtool's lint also dislikes names that node_exporter has had for ten years and that dashboards
# know, and series that others wrote to us without a help text.
OUR_NAMES = re.compile(r"^(sonde|process)_")


def need(program):
    path = shutil.which(program)
    if path is None:
        raise unittest.SkipTest(f"{program} is not installed")
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """Debian's Prometheus on a port and in a folder of its own."""

    def __init__(self, config, *arguments):
        self.folder = tempfile.mkdtemp(prefix="sonde-prometheus-")
        self.port = free_port()
        with open(os.path.join(self.folder, "prometheus.yml"), "w", encoding="utf-8") as file:
            json.dump(config, file)  # JSON is YAML.
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(
            [need("prometheus"), f"--config.file={self.folder}/prometheus.yml",
             f"--storage.tsdb.path={self.folder}/data", "--log.level=warn",
             f"--web.listen-address=127.0.0.1:{self.port}", *arguments],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def query(self, expression):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode(
            {"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Interop(Scenario):
    @classmethod
    def setUpClass(cls):
        need("promtool")
        super().setUpClass()
        cls.sonde.wait_for_value("count(node_load1)", 1)

    def promtool(self, *arguments, stdin=None):
        return subprocess.run([need("promtool"), *arguments], input=stdin, capture_output=True,
                              timeout=60, check=False)

    def test_promtool_reads_our_metrics_and_complains_of_no_name_of_ours(self):
        wait_for(lambda: self.sonde.query("sonde_build_info"), "the daemon's own numbers")
        for accept in ("text/plain", "application/openmetrics-text"):
            text = self.sonde.get("/metrics", headers={"Accept": accept}).body
            self.assertIn(b"sonde_http_requests_total", text)
        text = self.sonde.get("/metrics").body
        result = self.promtool("check", "metrics", stdin=text)
        self.assertIn(result.returncode, (0, 3), result.stderr.decode())  # 3: lint, as below.
        complaints = [line for line in (result.stderr + result.stdout).decode().splitlines()
                      if OUR_NAMES.match(line)]
        self.assertEqual(complaints, [])

    def test_every_metric_has_a_type_and_help(self):
        wait_for(lambda: self.sonde.query("sonde_build_info"), "the daemon's own numbers")
        text = self.sonde.get("/metrics").text()
        helped = set(re.findall(r"^# HELP (\S+) .+$", text, re.M))
        typed = set(re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram|summary|untyped)$", text,
                               re.M))
        ours = {name for name in typed if re.match("node_|namedprocess_|sonde_|process_", name)}
        self.assertEqual(ours - helped, set())
        self.assertGreater(len(typed), 150)

    def test_promtool_asks(self):
        result = self.promtool("query", "instant", self.sonde.url, "node_load1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(b"node_load1", result.stdout)
        end = int(time.time())
        result = self.promtool("query", "range", f"--start={end - 30}", f"--end={end}", "--step=1s",
                               self.sonde.url, "sum(node_load1)")
        self.assertEqual(result.returncode, 0, result.stderr)
        result = self.promtool("query", "labels", self.sonde.url, "mode")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(b"idle", result.stdout)
        result = self.promtool("query", "series", "--match=node_load1", self.sonde.url)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(b"node_load1", result.stdout)
        result = self.promtool("query", "instant", self.sonde.url, "sum(")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"parse error", result.stderr + result.stdout)

    def test_prometheus_scrapes_us(self):
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                  "scrape_configs": [{"job_name": "sonde", "honor_labels": True, "static_configs": [
                      {"targets": [f"127.0.0.1:{self.sonde.port}"]}]}]}
        with Prometheus(config) as prometheus:
            def scraped():
                up = prometheus.query("up")
                load = prometheus.query("node_load1")
                return up and load and up[0]["value"][1] == "1"
            wait_for(scraped, "up to be 1", 60)
            count = prometheus.query("count({__name__=~'node_.*'})")
            self.assertGreater(float(count[0]["value"][1]), 200)

    def test_prometheus_writes_to_us(self):
        port = free_port()
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                  "remote_write": [{"url": f"{self.sonde.url}/api/v1/write"}],
                  "scrape_configs": [{"job_name": "written", "static_configs": [
                      {"targets": [f"127.0.0.1:{port}"]}]}]}
        with Prometheus(config):
            wait_for(lambda: self.sonde.value('count(up{job="written"})') == 1,
                     "a sample by remote write", 60)
        self.assertEqual(self.sonde.value('last_over_time(up{job="written"}[5m])'), 0)


class Description(Scenario):
    def test_the_openapi_document_is_valid(self):
        document = self.sonde.json("/api/openapi.json")
        self.assertEqual(document["openapi"], "3.1.0")
        ids = [operation["operationId"] for path in document["paths"].values()
               for operation in path.values()]
        self.assertEqual(len(ids), len(set(ids)))
        try:
            from openapi_spec_validator import validate
        except ImportError:
            self.skipTest("openapi-spec-validator is not installed (from PyPI)")
        validate(document)

    def test_every_get_of_the_document_answers(self):
        self.sonde.wait_for_value("count(node_load1)", 1)
        document = self.sonde.json("/api/openapi.json")
        values = {"query": "node_load1", "start": str(int(time.time()) - 10),
                  "end": str(int(time.time())), "step": "1s", "match[]": "node_load1",
                  "name": "job", "service": "shop", "a": "{ }", "b": "{ status = error }"}
        either = {"/api/traces", "/api/v1/traces/explain"}  # They ask for one of several.
        for path, operations in document["paths"].items():
            named = re.search(r"/(services|benchmarks)/\{name\}|/\{id\}", path)
            if "get" not in operations or path == "/api/v1/live" or named:
                continue  # What must be there first is asked for in the story of its own.
            with self.subTest(path=path):
                parameters = {one["name"]: values[one["name"]]
                              for one in operations["get"]["parameters"]
                              if one["required"] and one["in"] == "query"}
                if path in either:
                    parameters["service"] = "shop"
                place = path.replace("{name}", "job").replace("{form}", "json")
                answer = self.sonde.get(place, **parameters)
                self.assertEqual(answer.status, 200, answer.body[:300])
                described = operations["get"]["responses"]["200"]["content"]
                self.assertIn(answer.headers["Content-Type"].split(";")[0], described)


if __name__ == "__main__":
    unittest.main()
