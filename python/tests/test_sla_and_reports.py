# SPDX-License-Identifier: Apache-2.0
"""Promises in the words users know, and the five forms of a report."""
import csv
import io
import os
import pathlib
import tempfile
import unittest
from html.parser import HTMLParser

from sonde import PerformanceProfiler, PerformanceReporter, SLAConfig


def recorded():
    profiler = PerformanceProfiler(service_name="shop")
    for i in range(100):
        profiler.record("retrieval", 100 + i, failed=i >= 92)
    for _ in range(100):
        profiler.record("rerank <b>", 2.0)
    return profiler


class Promises(unittest.TestCase):
    def setUp(self):
        self.profiler = recorded()

    def test_kept_promises_say_nothing(self):
        self.assertEqual(self.profiler.check_sla(), [])
        self.assertEqual(self.profiler.check_sla(SLAConfig(max_p95_latency_ms=1e6)), [])

    def test_sentences(self):
        sentences = self.profiler.check_sla(SLAConfig(
            max_p95_latency_ms=100, max_p99_latency_ms=100, min_throughput_rps=1e12,
            min_success_rate=0.97, operations={
                "retrieval": SLAConfig(max_p95_latency_ms=100, min_success_rate=0.95),
                "rerank <b>": SLAConfig(max_p50_latency_ms=5)}))
        self.assertEqual(len(sentences), 6, sentences)
        for sentence, pattern in zip(sentences, (
                r"^Overall P95 latency \(\d+\.\dms\) exceeds target \(100\.0ms\)$",
                r"^Overall P99 latency \(\d+\.\dms\) exceeds target \(100\.0ms\)$",
                r"^Overall throughput \([\d.]+ RPS\) below target \(1000000000000\.0 RPS\)$",
                r"^Overall success rate \(96\.0%\) below target \(97\.0%\)$",
                r"^Operation 'retrieval' P95 \(19\d\.\dms\) exceeds target \(100\.0ms\)$",
                r"^Operation 'retrieval' success rate \(92\.0%\) below target \(95\.0%\)$")):
            self.assertRegex(sentence, pattern)

    def test_new_promises_replace_the_old(self):
        self.profiler.set_sla(SLAConfig(max_p50_latency_ms=1, operations={
            "retrieval": SLAConfig(max_p50_latency_ms=1)}))
        self.assertEqual(len(self.profiler.check_sla()), 2)
        self.assertEqual(self.profiler.check_sla(SLAConfig()), [])

    def test_what_was_never_measured_is_not_judged(self):
        self.assertEqual(PerformanceProfiler().check_sla(SLAConfig(min_throughput_rps=1)), [])
        self.assertEqual(self.profiler.check_sla(SLAConfig(operations={
            "absent": SLAConfig(min_success_rate=1)})), [])

    def test_from_plain_data(self):
        sla = SLAConfig.from_dict({"max_p95_latency_ms": 300, "operations": {
            "retrieval": {"max_p95_latency_ms": 100}}})
        self.assertEqual(sla.operations["retrieval"].max_p95_latency_ms, 100)
        with self.assertRaisesRegex(ValueError, "no target is called 'max_p96_latency_ms'"):
            SLAConfig.from_dict({"max_p96_latency_ms": 1})
        self.assertEqual(SLAConfig.from_dict({"operations": None}), SLAConfig())
        self.assertEqual(SLAConfig.from_dict({"min_success_rate": "95%"}),
                         SLAConfig(min_success_rate=0.95))

    def test_what_is_wrong_is_said_with_its_place(self):
        for wrong, words in (
                ({"operations": {"retrieval": {"max_p95_latency_ms": "fast"}}},
                 "operations.retrieval.max_p95_latency_ms: 'fast' is not a number"),
                ({"operations": {"retrieval": {"max_p96_latency_ms": 1}}},
                 "operations.retrieval.max_p96_latency_ms: no target is called"),
                ({"operations": {"retrieval": 100}}, "operations.retrieval: targets by name"),
                ({"operations": ["retrieval"]}, "operations: targets by operation"),
                ([], "a promise: targets by name"),
                ({"min_success_rate": 95}, "min_success_rate: a success rate is 0 to 1, not 95"),
                ({"min_success_rate": "high%"}, "min_success_rate: 'high%' is not a number"),
                ({"min_throughput_rps": True}, "min_throughput_rps: True is not a number")):
            with self.assertRaises(ValueError) as told:
                SLAConfig.from_dict(wrong)
            self.assertIn(words, str(told.exception))
        with self.assertRaisesRegex(ValueError, "not negative"):
            SLAConfig(max_p95_latency_ms=-1)
        later = SLAConfig()
        later.min_success_rate = 95
        with self.assertRaisesRegex(ValueError, "out of range"):
            self.profiler.check_sla(later)


class Page(HTMLParser):
    """Whether every element that was opened is closed, and what the page asks from outside."""

    EMPTY = {"meta", "br", "link", "img", "hr", "input", "rect", "line", "path", "polyline",
             "circle"}

    def __init__(self):
        super().__init__()
        self.open = []
        self.outside = []
        self.text = ""

    def handle_starttag(self, tag, attributes):
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.outside += [value for key, value in attributes
                         if key in ("src", "href") and not (value or "").startswith("#")]

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data


class Reports(unittest.TestCase):
    def setUp(self):
        self.profiler = recorded()
        self.profiler.set_sla(SLAConfig(operations={"retrieval": SLAConfig(max_p95_latency_ms=9)}))
        self.reporter = PerformanceReporter(self.profiler)

    def test_console(self):
        text = self.reporter.to_console()
        for word in ("Performance of shop", "retrieval", "P95", "Operation 'retrieval' P95 ("):
            self.assertIn(word, text)
        self.assertNotIn("\033", text)
        self.assertIn("\033[", self.reporter.to_console(colour=True))

    def test_print(self):
        out = io.StringIO()
        self.reporter.print(out)
        self.assertTrue(out.getvalue().startswith("Performance of shop"))
        self.assertNotIn("\033", out.getvalue())

    def test_json(self):
        report = self.reporter.to_dict()
        self.assertEqual(report["title"], "Performance of shop")
        sections = report["sections"]
        self.assertEqual(sections["overall"]["count"], 200)
        self.assertEqual(sections["sla"]["notes"][0]["status"], "bad")
        rows = {row["operation"]: row for row in sections["operations"]["operations"]}
        self.assertEqual(set(rows), {"retrieval", "rerank <b>"})
        stats = self.profiler.get_operation_stats("retrieval")
        self.assertEqual(rows["retrieval"]["p95_ms"], stats["p95_ms"])

    def test_markdown(self):
        text = self.reporter.to_markdown()
        self.assertTrue(text.startswith("# Performance of shop"))
        for table in text.split("\n\n"):
            rows = [line for line in table.splitlines() if line.startswith("|")]
            self.assertLessEqual(len({row.count("|") for row in rows}), 1, table)
        self.assertRegex(text, r"\| (❌ )?retrieval \| 100 \| 92.0% \|")

    def test_html_is_one_page_that_asks_nobody(self):
        page = Page()
        html = self.reporter.to_html()
        page.feed(html)
        self.assertEqual(page.open, [])
        self.assertEqual(page.outside, [])
        self.assertNotIn("<script", html)
        self.assertIn("<svg", html)
        self.assertIn("viewport", html)
        self.assertIn("rerank <b>", page.text)

    def test_csv(self):
        lines = [row for row in csv.reader(io.StringIO(self.reporter.to_csv()))]
        self.assertTrue(any("retrieval" in row for row in lines))
        self.assertTrue(any("p95_ms" in row for row in lines))

    def test_saved_by_ending(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, start in (("a.json", "{"), ("a.md", "# "), ("a.html", "<!"), ("a.csv", ""),
                                ("a.txt", "Performance of shop")):
                path = pathlib.Path(folder) / name
                self.reporter.save(path)
                self.assertTrue(path.read_text().startswith(start), name)
            self.assertRaises(ValueError, self.reporter.save, os.path.join(folder, "a.doc"))
            self.reporter.save(os.path.join(folder, "a.doc"), form="csv")
        self.assertRaises(ValueError, self.reporter.render, "papyrus")

    def test_nothing_recorded_is_said_so(self):
        reporter = PerformanceReporter(PerformanceProfiler())
        for form in ("console", "markdown", "html"):
            self.assertIn("Nothing has been recorded yet", reporter.render(form))


if __name__ == "__main__":
    unittest.main()
