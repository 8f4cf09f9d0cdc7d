# SPDX-License-Identifier: Apache-2.0
"""A load ends with why: the daemon that watches the target says what it saw meanwhile. The shop of
examples/demo, in front of PostgreSQL, has a query without an index: it is named, with traces; and
once it has one, nothing is."""
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import unittest

from sonde import BINARY, ROOT, Scenario, Sonde, need_binary, wait_for

sys.path.insert(0, os.path.join(ROOT, "examples", "demo"))
import demo  # noqa: E402  pylint: disable=wrong-import-position

STATEMENT = "SELECT id, total, placed_at FROM orders WHERE email = ?"


def load(*arguments, url=None):
    """The report, and the exit code."""
    environment = {key: value for key, value in os.environ.items() if key != "SONDE_URL"}
    if url:
        environment["SONDE_URL"] = url
    made = subprocess.run([BINARY, "load", "--json", *arguments], capture_output=True, timeout=180,
                          check=False, env={**environment, "NO_COLOR": "1"})
    if made.returncode not in (0, 1):
        raise AssertionError(made.stderr.decode())
    return json.loads(made.stdout), made.returncode


def texts(report):
    return [note["text"] for note in report["notes"]]


class TheShopUnderLoad(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()
        cls.sonde = Sonde().__enter__()
        cls.addClassCleanup(cls.sonde.close)
        cls.shop = demo.Demo(cls.sonde.url, pathlib.Path(BINARY))
        cls.addClassCleanup(cls.shop.stop)
        try:
            cls.shop.start()
        except demo.Absent as absent:
            raise unittest.SkipTest(f"the demo cannot run here: {absent}") from absent
        cls.orders = cls.shop.shop + "/orders?email=customer7@example.org"

    def index(self, command):
        subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", self.shop.database.address(), "-c",
                        command], check=True, capture_output=True, timeout=120)

    def test_the_slow_query_is_why_the_test_failed(self):
        page = os.path.join(self.sonde.folder, "run.html")
        report, code = load("--daemon", self.sonde.url, "--connections", "1", "--duration", "4s",
                            "--require", "p95 < 1ms", "--report", page, self.orders)
        self.assertEqual(code, 1)
        said = [text for text in texts(report) if text.startswith("p95 < 1ms broke (")]
        self.assertTrue([text for text in said if STATEMENT in text], report["notes"])
        target = report["target"]
        self.assertEqual(target["daemon"], self.sonde.url)
        self.assertTrue(target["entries_are_ours"])
        self.assertEqual((target["services"][0]["service"], target["services"][0]["name"]),
                         ("shop", "GET /orders"))
        causes = [finding for finding in target["findings"] if finding["is_cause"]]
        self.assertTrue([cause for cause in causes if cause["trace_ids"]])
        # Every answer has come with its spans, and the slowest name their own.
        self.assertEqual(target["entry_spans"], report["answers"])
        slowest = report["slowest"][0]["trace_id"]
        self.assertTrue(slowest.startswith(report["trace_run"]))
        spans = self.sonde.json(f"/api/v1/traces/{slowest}/explain")
        self.assertGreaterEqual(spans["span_count"], 2)
        with open(page, encoding="utf-8") as file:
            html = file.read()
        self.assertIn(f'<a href="{self.sonde.url}/#/trace?id={slowest}">', html)
        self.assertIn("orders WHERE email", html)
        # The same of a run that the daemon makes.
        body = {"url": self.orders, "connections": 1, "duration": "2s", "criteria": ["p95 < 1ms"]}
        made = self.sonde.post("/api/v1/load/runs", body, {"Content-Type": "application/json"})
        self.assertEqual(made.status, 202, made.text())
        path = f"/api/v1/load/runs/{made.json()['id']}"

        def ended():
            run = self.sonde.json(path)["run"]
            return run if run["state"] != "running" else None
        run = wait_for(ended, "the load to end", 90)
        self.assertEqual(run["state"], "done")
        notes = [note["text"] for note in run["report"]["target"]["notes"]]
        self.assertTrue([text for text in notes if STATEMENT in text], notes)

    def test_the_slow_query_is_what_limits_the_capacity(self):
        report, code = load("--capacity", "--daemon", self.sonde.url, "--rate", "5", "--duration",
                            "2s", "--require", "p95 < 1ms", self.orders)
        self.assertEqual((code, report["capacity"]["rate"]), (1, None))
        self.assertEqual(report["explained_rate"], report["capacity"]["lowest_broken"])
        # Probes have no ids of their own; the shop traces by itself.
        self.assertFalse(report["target"]["entries_are_ours"])
        self.assertGreater(report["target"]["entry_spans"], 0)
        said = [text for text in texts(report) if text.startswith("p95 < 1ms broke (")]
        self.assertTrue([text for text in said if STATEMENT in text], report["notes"])

    def test_where_nothing_is_wrong_nothing_is_said_to_be(self):
        self.index("CREATE INDEX cured ON orders (email, placed_at)")
        try:
            report, code = load("--connections", "1", "--duration", "3s", "--require",
                                "p95 < 60s, error_rate < 1%", self.orders, url=self.sonde.url)
        finally:
            self.index("DROP INDEX cured")
        self.assertEqual(code, 0, report["notes"])
        self.assertGreater(report["target"]["entry_spans"], 0)
        self.assertEqual([finding for finding in report["target"]["findings"]
                          if finding["is_cause"]], [])
        self.assertEqual([text for text in texts(report) if " broke" in text], [])


class Headers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # pylint: disable=invalid-name
        self.server.parents.append(self.headers["traceparent"])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class WhoIsAsked(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Headers)
        cls.target.daemon_threads = True
        cls.target.parents = []
        threading.Thread(target=cls.target.serve_forever, daemon=True).start()
        cls.url = f"http://127.0.0.1:{cls.target.server_address[1]}/"

    @classmethod
    def tearDownClass(cls):
        cls.target.shutdown()
        cls.target.server_close()
        super().tearDownClass()

    def run_load(self, *arguments, **options):
        self.target.parents.clear()
        report, _ = load("--requests", "20", "--connections", "2", *arguments, self.url, **options)
        return report, list(self.target.parents)

    def test_nobody_is_asked_and_nothing_sent_unless_wanted(self):
        report, parents = self.run_load("--daemon", "none", url=self.sonde.url)
        self.assertNotIn("target", report)
        self.assertNotIn("slowest", report)
        self.assertEqual(set(parents), {None})

    def test_each_request_has_a_trace_id_of_its_own_where_asked(self):
        report, parents = self.run_load("--daemon", "none", "--trace")
        self.assertEqual(len(parents), 20)
        self.assertEqual(len(set(parents)), 20)
        for parent in parents:
            self.assertRegex(parent, r"^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
        ids = {parent[3:35] for parent in parents}
        self.assertEqual(len(report["slowest"]), 10)
        self.assertTrue({slow["trace_id"] for slow in report["slowest"]} <= ids)
        self.assertEqual({parent[3:19] for parent in parents}, {report["trace_run"]})

    def test_without_spans_the_machine_is_told_and_an_honest_nothing(self):
        wait_for(lambda: self.sonde.query("node_procs_running"), "figures of the machine")
        report, parents = self.run_load("--require", "rps > 100000000", url=self.sonde.url)
        self.assertNotIn(None, parents)
        self.assertEqual(report["target"]["services"], [])
        self.assertIn("cpu", [figure["key"] for figure in report["target"]["figures"]])
        # On a machine that other work fills, that is what there is to say.
        said = " ".join(texts(report))
        self.assertRegex(said, "Nothing that the daemon saw of the target explains it|saturated|"
                               "as one that works with a single thread")

    def test_a_daemon_that_is_not_there_is_an_error_only_where_it_was_named(self):
        made = subprocess.run([BINARY, "load", "--daemon", "http://127.0.0.1:1", "--requests", "1",
                               self.url], capture_output=True, text=True, timeout=60, check=False)
        self.assertGreater(made.returncode, 1, made.stdout)
        self.assertIn("--daemon", made.stderr)
        report, _ = self.run_load(url="http://127.0.0.1:1")
        self.assertNotIn("target", report)

    def test_a_report_of_refusals_is_explained_and_kept_too(self):
        made = subprocess.run([BINARY, "load", "--json", "--daemon", self.sonde.url, "--keep",
                               "--duration", "1s", "--connections", "1", "--require", "p95 < 1s",
                               "http://127.0.0.1:1/"],
                              capture_output=True, text=True, timeout=120, check=False)
        report = json.loads(made.stdout)
        self.assertEqual(made.returncode, 1, made.stderr)
        self.assertGreater(report["errors_by_kind"]["refused"], 0)
        self.assertIn("target", report)
        said = " ".join(texts(report))
        self.assertIn("Nothing that the daemon saw of the target explains it", said)
        self.assertNotIn("p95 < 1s broke", said)
        self.assertTrue([run for run in self.sonde.json("/api/v1/load/runs")["runs"]
                         if run["title"] == "http://127.0.0.1:1/"])

    def test_what_is_no_report_is_refused(self):
        for body in ("{}", "[]", '{"requests":1,"started_ms":5,"ended_ms":4}'):
            answer = self.sonde.post("/api/v1/load/explain", body,
                                     {"Content-Type": "application/json"})
            self.assertEqual(answer.status, 400, body)
            self.assertRegex(answer.json()["error"]["message"], re.compile("no report of a load"))


if __name__ == "__main__":
    unittest.main()
