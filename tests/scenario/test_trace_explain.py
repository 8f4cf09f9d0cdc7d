# SPDX-License-Identifier: Apache-2.0
"""A request was slow. Someone asks why, at a shell and over the API, and is told what to do."""
import json
import os
import random
import signal
import subprocess
import unittest

from sonde import BINARY, PATIENCE, Scenario
from trace_sender import CLIENT, SERVER, Trace, send

GOOD, FINDING, USAGE, UNREACHABLE, REFUSED = range(5)


def cart(trace):
    """A request with a slow query, N+1, a retry storm, and a backend whose clock is behind."""
    root = trace.span("", "shop", "GET /cart", SERVER, 0, 1000)
    trace.query(root, "shop", "SELECT * FROM orders WHERE email = 'a@b'", 5, 405)
    for number in range(50):
        begin = 410 + 4 * number
        trace.query(root, "shop", f"SELECT * FROM items WHERE id = {number}", begin, begin + 3)
    for attempt in range(6):
        begin = 620 + 20 * attempt
        trace.get(root, "shop", "http://stock:80/reserve/77", begin, begin + 19,
                  "503" if attempt < 5 else None)
    call = trace.get(root, "shop", "http://ads:80/best", 760, 860)
    trace.span(call, "ads", "GET /best", SERVER, -500, -430)
    return root


class Explained(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.trace = Trace()
        cls.root = cart(cls.trace)
        send(cls.sonde, cls.trace)

    def run_cli(self, *arguments, columns=120, color="never", url=None):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("SONDE_")}
        environment |= {"SONDE_URL": url or self.sonde.url, "LC_ALL": "C.UTF-8",
                        "COLUMNS": str(columns)}
        return subprocess.run([BINARY, "trace", *arguments, "--color", color], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                              env=environment, check=False)


class OneTrace(Explained):
    def explained(self):
        return self.sonde.json(f"/api/v1/traces/{self.trace.id}/explain")

    def test_each_mistake_is_named_with_its_spans(self):
        found = {finding["kind"]: finding for finding in self.explained()["findings"]}
        self.assertLessEqual({"slow_query", "n_plus_one", "retries", "gap", "clock_skew"},
                             set(found))
        self.assertIn("WHERE email = ?", found["slow_query"]["claim"])
        self.assertEqual(len(found["slow_query"]["span_ids"]), 1)
        self.assertEqual(found["n_plus_one"]["calls"], 50)
        self.assertAlmostEqual(found["n_plus_one"]["share"], 0.15, places=2)
        self.assertIn("5 of them failed", found["retries"]["claim"])
        for finding in found.values():
            self.assertTrue(finding["next_step"])
            self.assertGreater(finding["confidence"], 0)

    def test_the_query_of_a_finding_finds_the_trace_again(self):
        for finding in self.explained()["findings"]:
            if "query" in finding:
                answer = self.sonde.json("/api/v1/traces/search", q=finding["query"])
                self.assertIn(self.trace.id, [each["traceID"] for each in answer["traces"]],
                              finding["query"])

    def test_the_critical_path_fills_the_request_and_times_add_up_to_it(self):
        answer = self.explained()
        path = answer["critical_path"]
        at = answer["start_ns"]
        for stretch in path:
            self.assertEqual(stretch["start_ns"], at)
            at += stretch["duration_ns"]
        self.assertEqual(at - answer["start_ns"], answer["duration_ns"])
        for key in ("operations", "services"):
            self.assertEqual(sum(row["critical_ns"] for row in answer[key]), answer["duration_ns"])

    def test_a_clock_that_is_behind_is_corrected_and_marked(self):
        answer = self.explained()
        self.assertEqual(len(answer["skewed"]), 1)
        self.assertEqual(answer["skewed"][0]["shift_ns"], 1_275_000_000)
        self.assertEqual(answer["flaws"]["skewed"], 1)

    def test_what_is_not_there_is_said(self):
        self.assertEqual(self.sonde.get(f"/api/v1/traces/{'ab' * 16}/explain").status, 404)
        self.assertEqual(self.sonde.get("/api/v1/traces/xyz/explain").status, 400)

    def test_a_shell_draws_it_folded_and_as_wide_as_the_terminal(self):
        for columns in (60, 80, 120, 200):
            answer = self.run_cli("show", self.trace.id, columns=columns)
            self.assertEqual(answer.returncode, GOOD, answer.stderr)
            drawing = answer.stdout.split("\n\n")[1]
            self.assertLessEqual(max(len(line) for line in drawing.splitlines()), columns)
        self.assertIn("SELECT ×50", answer.stdout)
        self.assertIn("GET ×6 (5 failed)", answer.stdout)
        self.assertIn("≈ clock corrected", answer.stdout)
        self.assertIn("N+1: shop runs the same query 50 times", answer.stdout)
        self.assertNotIn("\x1b", answer.stdout)
        everything = self.run_cli("show", self.trace.id, "--all").stdout
        self.assertEqual(everything.count("─ SELECT"), 51)
        self.assertIn("\x1b[", self.run_cli("show", self.trace.id, color="always").stdout)

    def test_a_shell_explains_it_and_ends_with_1(self):
        answer = self.run_cli("explain", self.trace.id)
        self.assertEqual(answer.returncode, FINDING, answer.stderr)
        for part in ("Slow query", "N+1", "Retry storm", "→ ", "Where the time went"):
            self.assertIn(part, answer.stdout)
        document = json.loads(self.run_cli("explain", self.trace.id, "--json").stdout)
        self.assertEqual(document["trace_id"], self.trace.id)

    def test_a_shell_finds_it_and_says_when_nothing_fits(self):
        answer = self.run_cli("search", "--service", "shop", "--min-duration", "900ms")
        self.assertEqual(answer.returncode, GOOD, answer.stderr)
        self.assertIn(self.trace.id, answer.stdout)
        answer = self.run_cli("search", '{ status = error } && { .db.system = "postgresql" }')
        self.assertIn(self.trace.id, answer.stdout)
        nothing = self.run_cli("search", "--service", "none such")
        self.assertEqual(nothing.returncode, FINDING)
        self.assertIn("No trace fits", nothing.stdout)

    def test_a_shell_shows_what_a_query_grouped_and_selected(self):
        answer = self.run_cli("search", "{ .db.system != nil } | by(resource.service.name) "
                              "| count() > 2", columns=200)
        self.assertEqual(answer.returncode, GOOD, answer.stderr)
        self.assertIn("FOUND", answer.stdout)
        self.assertRegex(answer.stdout, r"resource\.service\.name = shop, count\(\) = \d+")
        found = json.loads(self.run_cli("search", "{ name = \"GET /cart\" } | select(kind)",
                                        "--json").stdout)["list"][0]
        self.assertEqual(found["sets"], [{"matched": 1, "values": [
            {"key": "name", "value": "GET /cart"}, {"key": "kind", "value": "server"}]}])
        longest = self.run_cli("search", "{ } | max(duration) > 900ms", columns=200)
        self.assertIn("max(duration) = 1.00 s", longest.stdout)
        self.assertNotIn("FOUND", self.run_cli("search", "{ .db.system != nil }").stdout)

    def test_mistakes_at_the_shell_tell_the_next_step(self):
        for arguments, code, part in (
                (("show",), USAGE, "needs a trace id"), (("show", "xyz"), USAGE, "sonde trace search"),
                (("show", "ab" * 16), REFUSED, "there is no trace"), (("explain",), USAGE, "--service"),
                (("search", "{ }", "--service", "shop"), USAGE, "resource.service.name"),
                (("tail", "{ }", "--errors"), USAGE, "do not mix"),
                (("compare", "{}"), USAGE, "--at TIME"), (("search", "{ x"), USAGE, "attribute is .x"),
                (("find",), USAGE, "search")):
            answer = self.run_cli(*arguments)
            self.assertEqual(answer.returncode, code, (arguments, answer.stderr))
            self.assertIn(part, answer.stderr)
        gone = self.run_cli("search", url="http://127.0.0.1:9")
        self.assertEqual(gone.returncode, UNREACHABLE)
        self.assertIn("sonde serve", gone.stderr)

    def test_new_traces_are_followed_until_the_signal(self):
        with subprocess.Popen([BINARY, "trace", "tail", "--service", "late", "--json"], text=True,
                              stdout=subprocess.PIPE,
                              env={**os.environ, "SONDE_URL": self.sonde.url}) as tail:
            try:
                trace = Trace(ago_s=0)
                trace.span("", "late", "GET /now", SERVER, 0, 20, error="late")
                send(self.sonde, trace)
                line = json.loads(tail.stdout.readline())
                self.assertEqual((line["trace_id"], line["errors"]), (trace.id, 1))
                tail.send_signal(signal.SIGINT)
                self.assertEqual(tail.wait(PATIENCE), GOOD)
            finally:
                tail.kill()


class ManyTraces(Explained):
    """Of 200 requests 10 are slow: another tenant, whose query takes 400 ms longer."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        dice = random.Random(3)
        traces = []
        for number in range(200):
            trace = Trace(ago_s=20 - number / 100)
            is_slow = number % 20 == 7
            query = 10 + 5 * dice.random() + (400 if is_slow else 0)
            root = trace.span("", "shop", "GET /orders", SERVER, 0, query + 8,
                              tenant="acme" if is_slow else dice.choice("xyz"))
            trace.query(root, "shop", f"SELECT * FROM orders WHERE email = '{number}'", 2, 2 + query)
            if is_slow:
                trace.span(root, "shop", "audit", CLIENT, 3 + query, 5 + query)
            traces.append(trace)
        send(cls.sonde, *traces)

    def test_the_slow_ones_are_compared_with_the_usual_ones(self):
        answer = self.sonde.json("/api/v1/traces/explain", service="shop", operation="GET /orders")
        self.assertEqual(answer["traces"], 200)
        self.assertLess(answer["p50_ns"], 40e6)
        self.assertGreater(answer["p99_ns"], 400e6)
        first = answer["operations"][0]
        self.assertEqual(first["text"], "SELECT * FROM orders WHERE email = ?")
        self.assertGreater(first["share"], 0.9)
        self.assertLess(first["p_adjusted"], 0.01)
        self.assertEqual(answer["findings"][0]["kind"], "difference")
        slow = [each for each in answer["findings"] if each["kind"] == "slow_query"]
        self.assertEqual(slow[0]["traces"], answer["slow"]["traces"])
        by_query = self.sonde.json("/api/v1/traces/explain", q='{ rootName = "GET /orders" }')
        self.assertEqual(by_query["traces"], 200)

    def test_fast_and_slow_differ_in_a_query_an_attribute_and_a_span(self):
        answer = self.sonde.json("/api/v1/traces/compare",
                                 a='{ rootName = "GET /orders" && traceDuration < 200ms }',
                                 b='{ rootName = "GET /orders" && traceDuration > 200ms }')
        self.assertEqual((answer["a"]["traces"], answer["b"]["traces"]), (190, 10))
        self.assertAlmostEqual(answer["duration"]["shift_ns"] / 1e6, 400, delta=15)
        top = answer["attributes"][0]
        self.assertEqual((top["key"], top["value"], top["b_share"]), ("tenant", "acme", 1))
        self.assertLess(top["p_adjusted"], 1e-6)
        claims = " ".join(finding["claim"] for finding in answer["findings"])
        self.assertIn("audit in shop is in more traces", claims)
        self.assertIn("SELECT * FROM orders WHERE email = ?", claims)

    def test_a_shell_tells_both(self):
        answer = self.run_cli("explain", "--service", "shop", "--operation", "GET /orders")
        self.assertEqual(answer.returncode, FINDING, answer.stderr)
        self.assertIn("200 traces: p50", answer.stdout)
        answer = self.run_cli("compare", "{ traceDuration < 200ms }", "{ traceDuration > 200ms }")
        self.assertEqual(answer.returncode, FINDING, answer.stderr)
        self.assertIn("tenant = acme", answer.stdout)

    def test_a_question_that_is_none_is_refused_with_its_place(self):
        answer = self.sonde.get("/api/v1/traces/compare", a="{ x", b="{}")
        self.assertEqual(answer.status, 400)
        self.assertIn("a: 1:3", answer.json()["error"]["message"])
        self.assertEqual(self.sonde.get("/api/v1/traces/explain").status, 400)
        self.assertEqual(self.sonde.get("/api/v1/traces/explain", q="{}", service="x").status, 400)


if __name__ == "__main__":
    unittest.main()
