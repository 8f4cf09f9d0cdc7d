# SPDX-License-Identifier: Apache-2.0
"""The shop of examples/demo, in Python, Node and C over PostgreSQL, has three mistakes. sonde names
each of them."""
import os
import pathlib
import subprocess
import sys
import unittest

from sonde import BINARY, ROOT, Sonde, need_binary, wait_for

sys.path.insert(0, os.path.join(ROOT, "examples", "demo"))
import demo  # noqa: E402  pylint: disable=wrong-import-position

VISITS = 8


class TheShop(unittest.TestCase):
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
        for number in range(VISITS):
            cls.traces = cls.shop.visit(number)
        for page, spans in (("orders", 2), ("cart", 42), ("checkout", 20)):
            cls.wait_for_spans(cls.traces[page], spans)

    @classmethod
    def wait_for_spans(cls, trace, count):
        """The services send a little later; the trace is whole when nothing is missing in it."""
        def is_there():
            answer = cls.sonde.get(f"/api/v1/traces/{trace}/explain")
            if answer.status != 200:
                return False
            found = answer.json()
            flaws = found["flaws"]
            return (found["span_count"] >= count and not flaws["root_missing"]
                    and flaws["orphans"] == 0)
        wait_for(is_there, f"{count} spans of {trace}")

    def explain(self, *arguments):
        answer = subprocess.run([BINARY, "trace", "explain", *arguments], text=True, timeout=60,
                                capture_output=True, stdin=subprocess.DEVNULL, check=False,
                                env={**os.environ, "SONDE_URL": self.sonde.url, "COLUMNS": "100"})
        self.assertEqual(answer.returncode, 1, answer.stderr)
        return " ".join(answer.stdout.split())  # Without the lines' ends.

    def test_the_slow_query_is_named_with_its_statement(self):
        told = self.explain(self.traces["orders"])
        self.assertRegex(told, r"(Slow|Main) query: shop waits [\d.]+ m?s for postgresql")
        self.assertIn("SELECT id, total, placed_at FROM orders WHERE email = ?", told)
        self.assertIn("EXPLAIN (ANALYZE, BUFFERS)", told)

    def test_the_query_for_each_item_is_named_with_its_count(self):
        told = self.explain(self.traces["cart"])
        self.assertIn("N+1: shop runs the same query 40 times", told)
        self.assertIn("SELECT name, price FROM items WHERE id = ?", told)

    def test_the_retry_storm_is_named_with_what_multiplies_it(self):
        told = self.explain(self.traces["checkout"])
        self.assertRegex(told, r"Retry storm: stock asked POST payment/charge \d+ times in [23] rounds")
        self.assertIn("shop asked POST stock/reserve", told)
        self.assertIn("they multiply", told)
        self.assertIn("no pause between them", told)

    def test_the_slow_ones_of_an_operation_are_explained(self):
        told = self.explain("--service", "shop", "--operation", "GET /orders")
        self.assertIn(f"{VISITS} traces: p50", told)
        self.assertIn("orders WHERE email = ?", told)


if __name__ == "__main__":
    unittest.main()
