# SPDX-License-Identifier: Apache-2.0
"""Someone keeps a stretch of time from the dashboard, sees what is worse than in it and by how much,
goes from a metric to its chart, and removes what is no longer wanted."""
import json
import os
import random
import threading
import time
import unittest

from chromium import Browser, find_chromium
from sonde import Scenario, wait_for
from test_benchmarks import HOUR, exposition, noisy
from test_dashboard_services import send

ARTEFACTS = os.environ.get("SONDE_ARTEFACTS")
LEVELS = {"answer_seconds": (0.1, 0.16), "calm_seconds": (0.1, 0.1), "import_seconds": (0.2, 0.15)}


@unittest.skipUnless(find_chromium(), "needs Chromium: apt install chromium")
class BenchmarksPage(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        generator = random.Random(22)
        cls.now = time.time()
        for name, (before, after) in LEVELS.items():
            points = list(noisy(generator, cls.now - 2 * HOUR, cls.now - HOUR, 20, before))
            points += list(noisy(generator, cls.now - HOUR, cls.now, 20, after))
            answer = cls.sonde.post("/api/v1/import/prometheus", exposition(name, points))
            assert answer.status in (200, 204), answer.text()

    def setUp(self):
        self.browser = Browser()
        self.addCleanup(self.browser.close)
        for kept in self.sonde.json("/api/v1/performance/benchmarks")["benchmarks"]:
            name = kept["name"].replace(" ", "%20")
            self.sonde.request("DELETE", f"/api/v1/performance/benchmarks/{name}")

    def open(self, hash_="#/benchmarks", **options):
        page = self.browser.open(f"{self.sonde.url}/{hash_}", **options)
        page.wait_for("document.querySelector('.page-benchmarks')", 30)
        return page

    def keep(self, page, name):
        if ARTEFACTS:
            os.makedirs(ARTEFACTS, exist_ok=True)
            page.screenshot(os.path.join(ARTEFACTS, f"benchmarks-{name}.png"), full_page=True)

    def create(self, **body):
        queries = {name.split("_")[0]: {"query": name, "unit": "s"} for name in LEVELS}
        answer = self.sonde.post("/api/v1/performance/benchmarks", json.dumps({
            "end_ms": int((self.now - HOUR) * 1000), "range": "55m", "step": "20s",
            "queries": queries, **body}), {"Content-Type": "application/json"})
        self.assertEqual(answer.status, 201, answer.text())

    @staticmethod
    def submit(page, **fields):
        page.evaluate(f"""(() => {{
            const form = document.querySelector('.benchmark-form');
            form.services.checked = false;
            for (const [name, value] of Object.entries({json.dumps(fields)}))
                form.elements[name].value = value;
            form.requestSubmit();
        }})()""")

    def names(self):
        return [kept["name"] for kept in
                self.sonde.json("/api/v1/performance/benchmarks")["benchmarks"]]

    def test_a_benchmark_is_kept_replaced_when_said_so_and_removed(self):
        page = self.open()
        page.wait_for("document.querySelector('.benchmark-empty:not([hidden])')?.textContent"
                      ".includes('sonde bench create')", 30)
        page.wait_for("document.querySelector('.benchmark-form:not([hidden])')")
        self.keep(page, "empty")
        self.submit(page, name="short", range="2s", expressions="load = node_load1")
        page.wait_for("document.querySelector('.benchmark-do .error-note').textContent"
                      ".includes('4000 ms at least')", 30)
        self.submit(page, name="short", range="4s", expressions="nothing = not_there")
        page.wait_for("document.querySelector('.benchmark-do .error-note').textContent"
                      ".includes('choose another time')", 30)
        self.sonde.wait_for_value("node_load1")
        fields = {"name": "short", "range": "1h", "until": "1h", "expressions": "calm = calm_seconds"}
        self.submit(page, **fields)
        page.wait_for("document.querySelector('.benchmark-row[aria-current]')?.textContent"
                      ".includes('short')", 30)
        page.wait_for("location.hash.includes('name=short')")
        page.wait_for("document.querySelectorAll('.benchmark-table tbody tr').length === 1", 30)
        page.wait_for("document.querySelector('.benchmark-form').hidden")
        first = self.sonde.json("/api/v1/performance/benchmarks/short")
        self.submit(page, **fields)
        page.wait_for("document.querySelector('.benchmark-ask:not([hidden])')", 30)
        self.assertEqual(self.sonde.json("/api/v1/performance/benchmarks/short"), first)
        page.press("/")
        page.evaluate("document.querySelector('.benchmark-ask button').click()")
        wait_for(lambda: self.sonde.json("/api/v1/performance/benchmarks/short")["made_ms"]
                 > first["made_ms"], "the benchmark is replaced")
        page.wait_for("document.querySelector('.benchmark-ask').hidden", 30)
        page.evaluate("document.querySelector('.benchmark-detail .load-actions button').click()")
        page.wait_for("document.activeElement.textContent === 'No'")
        self.assertEqual(self.names(), ["short"])
        page.evaluate("document.querySelector('.button.danger').click()")
        page.wait_for("document.querySelector('.benchmark-empty:not([hidden])')", 30)
        self.assertEqual(self.names(), [])
        refused = [text for text in page.complaints() if "status of 4" not in text]
        self.assertEqual(refused, [])

    def test_what_is_worse_is_told_first_with_how_much_and_leads_to_when(self):
        self.create(name="the calm hour")
        page = self.open()
        page.wait_for("document.querySelector('.benchmark-worse .finding-critical')", 30)
        told = page.evaluate("document.querySelector('.benchmark-worse').textContent")
        self.assertRegex(told, r"1 metric is worse.*answer \+\d\d.*against “the calm hour”")
        page.evaluate("document.querySelector('.benchmark-worse a').click()")
        page.wait_for("document.querySelectorAll('.benchmark-table tbody tr').length === 3", 30)
        rows = page.evaluate("[...document.querySelectorAll('.benchmark-table tbody tr')]"
                             ".map((row) => [row.querySelector('th').textContent,"
                             " row.dataset.look, row.textContent])")
        self.assertEqual([row[:2] for row in rows], [
            ["answer", "degraded"], ["import", "improved"], ["calm", "stable"]])
        self.assertRegex(rows[0][2], r"10\d? ms|9\d.* ms")
        self.assertIn("degraded (critical)", rows[0][2])
        self.assertIn("past twice its threshold of 25 %", rows[0][2])
        # The worse one is at the right of the line at zero, the better one at its left.
        dots = page.evaluate("[...document.querySelectorAll('.forest-dot')]"
                             ".map((dot) => Number(dot.getAttribute('cx')))")
        self.assertTrue(dots[0] > 130 > dots[1], dots)
        self.keep(page, "open")
        page.resize(390, 844, touch=True)
        page.wait_for("document.documentElement.scrollWidth <= 390", 10)
        page.prefer(dark=True)
        self.keep(page, "phone-dark")
        page.evaluate("document.querySelector('.benchmark-table a').click()")
        page.wait_for("location.hash.startsWith('#/explore') &&"
                      " location.hash.includes('expr=answer_seconds')")
        page.wait_for("document.querySelector('.page-explore canvas')", 30)
        self.assertEqual(page.complaints(), [])

    def test_too_early_is_said_with_how_long_to_wait_and_the_keyboard_does(self):
        self.create(name="just now", end_ms=int(time.time() * 1000), step="1m")
        page = self.browser.open(self.sonde.url + "/#/home")
        page.wait_for("document.querySelector('.page-home')", 30)
        page.press("g")
        page.press("b")
        page.wait_for("document.querySelector('.benchmark-row')", 30)
        page.wait_for("document.querySelector('.benchmark-row').textContent"
                      ".includes('cannot tell yet')", 30)
        page.evaluate("document.querySelector('.benchmark-row').focus()")
        page.press("Enter")
        page.wait_for("document.querySelector('.benchmark-state')?.textContent"
                      ".match(/Cannot tell yet: .* Ask again in [34] min/)", 30)
        page.wait_for("document.activeElement.textContent === 'just now'", 5, "the focus went along")
        page.press("Escape")
        page.wait_for("document.querySelector('.benchmark-detail').hidden")
        page.wait_for("document.activeElement.matches('.benchmark-row')", 5, "and came back")
        page.press("/")
        page.wait_for("document.activeElement?.name === 'name'")
        page.press("Escape")
        page.wait_for("document.querySelector('.benchmark-form').hidden")
        self.assertEqual(page.complaints(), [])

    def test_an_operation_that_got_slower_is_found_by_the_schedule_and_leads_to_its_page(self):
        self.duration_ms = 20
        ended = threading.Event()
        self.addCleanup(ended.set)

        def call():
            while not ended.wait(0.25):
                send(self.sonde, "web shop", "GET /cart", self.duration_ms, 20)

        threading.Thread(target=call, daemon=True).start()
        wait_for(lambda: self.sonde.json("/api/v1/services")["services"], "the service")
        time.sleep(9)  # The stretch that is kept, of eight values.
        page = self.open()
        page.evaluate("""(() => {
            const form = document.querySelector('.benchmark-form');
            form.elements.name.value = 'shop';
            form.range.value = '8s';
            form.every.value = '10s';
            form.requestSubmit();
        })()""")
        page.wait_for("location.hash.includes('name=shop')", 30)
        self.duration_ms = 60
        page.wait_for("document.querySelector('.benchmark-worse').textContent"
                      ".match(/web shop GET .cart p95.*since/)", 30)
        page.wait_for("document.querySelector('.benchmark-history .verdict-strip rect')")
        page.evaluate("document.querySelector('.benchmark-history summary').click()")
        page.wait_for("document.querySelector('.benchmark-runs tbody tr').textContent"
                      ".includes('web shop GET /cart p95')")
        self.keep(page, "shop")
        href = page.evaluate("document.querySelector('.benchmark-table a').getAttribute('href')")
        self.assertTrue(href.startswith("#/operation?"), href)
        page.evaluate("document.querySelector('.benchmark-table a').click()")
        page.wait_for("document.querySelector('.page-operation h1')?.textContent === 'GET /cart'")
        self.assertIn("service=web%20shop", page.evaluate("location.hash"))
        self.assertEqual(page.complaints(), [])


if __name__ == "__main__":
    unittest.main()
