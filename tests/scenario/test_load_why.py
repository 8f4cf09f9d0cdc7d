# SPDX-License-Identifier: Apache-2.0
"""A search for capacity and a sweep end with why, too: the daemon that watches the target is asked
about the lowest rate that broke, and about the level at which promises began to break. This one
only writes down what it is asked, and always gives the same answer."""

import http.server
import json
import pathlib
import subprocess
import tempfile
import threading
import unittest

from llm_upstream import Upstream
from sonde import BINARY, PATIENCE, need_binary
from test_load_capacity import Workers

SAW = {
    "host": "vm", "is_here": True, "spans": 0, "entry_spans": 0, "figures": [], "services": [],
    "processes": [{"name": "app", "cores": 1.8}],
    "findings": [{"severity": "warning", "claim": "The host's CPU was saturated.",
                  "evidence": "97 % of it.", "next_step": "Give it more."}],
    "notes": [{"kind": "warning", "text": "The host's CPU was saturated."}],
}


class Daemon(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body):
        text = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):  # pylint: disable=invalid-name
        self.answer(200, {"runs": []})

    def do_POST(self):  # pylint: disable=invalid-name
        report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "count=true" in self.path:
            self.answer(200, {"spans": 0, "entry_spans": 0, "has_senders": False})
        elif self.server.breaks:
            self.answer(500, {"error": "its store is closed"})
        else:
            self.server.asked.append(report)
            self.answer(200, SAW)

    def log_message(self, *_):
        pass


class Why(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()
        cls.daemon = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Daemon)
        cls.daemon.daemon_threads = True
        cls.daemon.asked, cls.daemon.breaks = [], False
        threading.Thread(target=cls.daemon.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.daemon.server_close)
        cls.addClassCleanup(cls.daemon.shutdown)
        cls.url = f"http://127.0.0.1:{cls.daemon.server_address[1]}"

    def setUp(self):
        self.daemon.asked.clear()
        self.daemon.breaks = False
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.pages = [pathlib.Path(folder.name, f"r.{ending}") for ending in ("html", "md", "csv")]

    def load(self, *arguments, code=0):
        """What it says as JSON, in its pages, and what the daemon was asked."""
        done = subprocess.run([BINARY, "load", *arguments, "--json", "--quiet", "--duration", "1s",
                               "--daemon", self.url, "--report", ",".join(map(str, self.pages))],
                              capture_output=True, text=True, timeout=PATIENCE * 6, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return (json.loads(done.stdout), [page.read_text("utf-8") for page in self.pages],
                list(self.daemon.asked))

    def test_a_search_asks_about_the_lowest_rate_that_broke(self):
        with Workers(4, 0.010) as server:
            said, pages, asked = self.load("--capacity", "--rate", "150", server.url)
        broken = said["capacity"]["lowest_broken"]
        self.assertEqual(len(asked), 1)
        self.assertAlmostEqual(asked[0]["target_rate"], broken, places=6)
        self.assertEqual(asked[0]["verdict"], "failed")
        self.assertTrue([step for step in said["steps"]
                         if step["rate"] == broken and step["reason"] == asked[0]["failed_by"]])
        self.assertEqual(said["explained_rate"], broken)
        self.assertEqual(said["target"], {"daemon": self.url, **SAW})
        self.assertIn({"kind": "warning", "text": SAW["notes"][0]["text"]}, said["notes"])
        for page in pages[:2]:
            self.assertIn("CPU was saturated", page)
            self.assertIn("/s by the daemon at ", page)
        self.assertIn("\napp,", pages[2])  # A .csv has tables only.

    def test_a_search_without_an_answer_says_so(self):
        self.daemon.breaks = True
        with Workers(1, 0.010, queue_max=0) as server:
            said, pages, _ = self.load("--capacity", "--rate", "8", server.url, code=1)
        self.assertNotIn("target", said)
        self.assertIn("did not say what it saw", said["notes"][0]["text"])
        self.assertIn("did not say what it saw", pages[1])

    def test_probes_are_not_traced_because_somebody_watches(self):
        with Workers(1, 0.010, queue_max=0) as server:
            _, _, asked = self.load("--capacity", "--rate", "8", server.url, code=1)
            self.assertNotIn("trace_run", asked[0])
            _, _, asked = self.load("--capacity", "--rate", "8", "--trace", server.url, code=1)
            self.assertIn("trace_run", asked[-1])

    def test_a_sweep_asks_about_the_lowest_level_that_broke(self):
        with Workers(4, 0.010) as server:
            said, pages, asked = self.load("--sweep-rate", "1600,50,800", "--require",
                                           "p95 < 150ms", server.url, code=1)
        self.assertEqual([round(report["target_rate"]) for report in asked], [800])
        levels = {level["level"]: level["run"] for level in said["levels"]}
        self.assertEqual(levels[800]["target"], {"daemon": self.url, **SAW})
        self.assertNotIn("target", levels[1600])
        self.assertNotIn("failed_by", levels[800])
        for page in pages[:2]:
            self.assertIn("Seen at 800/s by the daemon", page)
        self.assertIn("\napp,", pages[2])
        self.assertIn("800/s: The host's CPU was saturated.", pages[1])

    def test_a_sweep_that_breaks_nothing_asks_nothing(self):
        with Workers(4, 0.010) as server:
            _, _, asked = self.load("--sweep-users", "1,2", server.url)
        self.assertEqual(asked, [])

    def test_a_model_is_explained_where_too_few_answers_keep_their_promises(self):
        with Upstream(first=0.05, gap=0.01) as upstream:
            arguments = ("--model", "m", "--output-tokens", "2", "--sweep-users", "1,2")
            _, _, asked = self.load("llm", upstream.url(), *arguments, "--slo", "ttft<1ms")
            self.assertEqual([report["users"] for report in asked], [1])
            self.assertEqual(asked[0]["failed_by"],
                             "0.0 % of the requests kept the promises of --slo")
            self.assertEqual(asked[0]["verdict"], "passed")
            self.daemon.asked.clear()
            _, _, asked = self.load("llm", upstream.url(), *arguments, "--slo", "ttft<10s")
            self.assertEqual(asked, [])


if __name__ == "__main__":
    unittest.main()
