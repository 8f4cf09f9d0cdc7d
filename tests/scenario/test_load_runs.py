# SPDX-License-Identifier: Apache-2.0
"""Loads by API: started, watched, stopped, kept with how the machine did, compared; reports of loads
made elsewhere are kept beside them."""
import http.server
import json
import os
import subprocess
import threading
import unittest

from sonde import BINARY, Scenario, wait_for


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class LoadRuns(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        cls.target.daemon_threads = True
        threading.Thread(target=cls.target.serve_forever, daemon=True).start()
        cls.target_url = f"http://127.0.0.1:{cls.target.server_address[1]}/"

    @classmethod
    def tearDownClass(cls):
        cls.target.shutdown()
        cls.target.server_close()
        super().tearDownClass()

    def send(self, path, **body):
        answer = self.sonde.post(path, json.dumps(body).encode(),
                                 {"Content-Type": "application/json"})
        return answer.status, answer.json()

    def start(self, **body):
        status, run = self.send("/api/v1/load/runs", url=self.target_url, **body)
        self.assertEqual(status, 202, run)
        return run["id"]

    def ended(self, identity):
        def look():
            told = self.sonde.json(f"/api/v1/load/runs/{identity}")
            return told if told["run"]["state"] != "running" else None
        return wait_for(look, "the load to end", 30)

    def test_a_load_is_started_watched_and_kept(self):
        identity = self.start(title="first", connections=2, duration="2s",
                              criteria=["p95 < 10s", "error_rate < 1%"])
        progress = wait_for(
            lambda: self.sonde.json(f"/api/v1/load/runs/{identity}").get("progress"), "progress")
        self.assertGreater(progress[0]["requests"], 0)
        listed = self.sonde.json("/api/v1/load/runs")["runs"]
        self.assertIn((identity, "running"), [(run["id"], run["state"]) for run in listed])
        told = self.ended(identity)
        self.assertEqual(told["run"]["state"], "done")
        self.assertGreater(told["run"]["report"]["requests"], 10)
        self.assertEqual([criterion["holds"] for criterion in told["run"]["report"]["criteria"]],
                         [True, True])
        self.assertIn("cpu_percent", told["host"])
        run = [run for run in self.sonde.json("/api/v1/load/runs")["runs"]
               if run["id"] == identity][0]
        self.assertEqual((run["state"], run["verdict"]), ("done", "passed"))
        self.assertGreater(run["p95_ms"], 0)

        second = self.start(title="second", connections=2, duration="2s")
        self.ended(second)
        compared = self.sonde.json(f"/api/v1/load/runs/{second}/compare", against=identity)
        self.assertIn("latency_p95", [metric["metric"] for metric in compared["metrics"]])
        self.assertEqual(self.sonde.request("DELETE", f"/api/v1/load/runs/{second}").status, 204)
        self.assertEqual(self.sonde.get(f"/api/v1/load/runs/{second}").status, 404)

    def test_a_load_is_stopped_and_its_report_kept(self):
        identity = self.start(duration="10m", connections=1)
        wait_for(lambda: self.sonde.json(f"/api/v1/load/runs/{identity}").get("progress"),
                 "progress")
        self.assertEqual(self.sonde.post(f"/api/v1/load/runs/{identity}/stop").status, 202)
        told = self.ended(identity)
        self.assertEqual(told["run"]["state"], "done")
        self.assertTrue(told["run"]["report"]["interrupted"])

    def test_mistakes_are_named_and_a_failure_is_kept(self):
        for body, words in (({"url": "file:///etc/passwd"}, "begins with"),
                            ({}, "url"),
                            ({"url": self.target_url, "report": "/tmp/x"}, "report")):
            status, answer = self.send("/api/v1/load/runs", **body)
            self.assertEqual(status, 400, body)
            self.assertIn(words, answer["error"]["message"])
        told = self.ended(self.start(pattern="nonsense"))
        self.assertEqual(told["run"]["state"], "failed")
        self.assertIn("nonsense", told["run"]["error"])
        self.assertEqual(self.sonde.post("/api/v1/load/runs/none/stop").status, 404)

    def test_a_report_made_elsewhere_is_kept(self):
        made = subprocess.run([BINARY, "load", self.target_url, "--duration", "1s",
                               "--connections", "1", "--json"], capture_output=True, timeout=60,
                              env={**os.environ, "NO_COLOR": "1"})
        answer = self.sonde.post("/api/v1/load/reports", made.stdout,
                                 {"Content-Type": "application/json"})
        self.assertEqual(answer.status, 201, answer.text())
        told = self.sonde.json(f"/api/v1/load/runs/{answer.json()['id']}")
        self.assertGreater(told["run"]["report"]["requests"], 10)
        before = self.sonde.json("/api/v1/load/runs")["runs"]
        kept = subprocess.run([BINARY, "load", self.target_url, "--duration", "300ms",
                               "--connections", "1", "--keep", "--json"], capture_output=True,
                              timeout=60, env={**os.environ, "SONDE_URL": self.sonde.url})
        self.assertEqual(kept.returncode, 0, kept.stderr)
        self.assertEqual(len(self.sonde.json("/api/v1/load/runs")["runs"]),
                         len(before) + 1)
        refused = self.sonde.post("/api/v1/load/reports", b'{"a": 1}',
                                  {"Content-Type": "application/json"})
        self.assertEqual(refused.status, 400)


if __name__ == "__main__":
    unittest.main()
