# SPDX-License-Identifier: Apache-2.0
"""Services send spans; someone looks at them in a real browser: which is worst, what was promised,
which calls were slow and why they failed. Pictures and patience as in test_dashboard.py."""

import os
import subprocess
import tempfile
import threading
import time
import unittest

from chromium import Browser, find_chromium
from sonde import BINARY, Scenario, Sonde, wait_for

ARTEFACTS = os.environ.get("SONDE_ARTEFACTS")

PROMISES = """
operations:
  "POST /checkout": {max_p95_latency_ms: 300, min_success_rate: 99%}
  "GET /cart": {max_p95_latency_ms: 5000}
journeys:
  - {name: buying, operation: POST /checkout, max_response_time_ms: 60000, min_success_rate: 10%}
  - {name: returning, operation: POST /return, max_response_time_ms: 100}
  - {name: writing, operation: send, max_response_time_ms: 60000, min_success_rate: 99%}
"""

# service, operation, milliseconds, one in so many fails (0: none), attributes
OPERATIONS = (
    ("shop", "GET /cart", 12, 0, {"http.route": "/cart"}),
    ("shop", "POST /checkout", 400, 4, {"http.route": "/checkout"}),
    ("mailer", "send", 90, 10, {}),
    ("assistant", "chat small", 800, 0,
     {"gen_ai.request.model": "small-1", "gen_ai.usage.input_tokens": 1000,
      "gen_ai.usage.output_tokens": 50, "gen_ai.usage.cost": 0.002,
      "gen_ai.response.time_to_first_chunk": 0.25}),
)


def attribute(key, value):
    kind = {str: "stringValue", int: "intValue", float: "doubleValue"}[type(value)]
    return {"key": key, "value": {kind: value}}


def span(number, operation, duration_ms, attributes, failed):
    end = time.time_ns()
    made = {
        "traceId": os.urandom(16).hex(), "spanId": os.urandom(8).hex(), "name": operation, "kind": 2,
        "startTimeUnixNano": str(end - int(duration_ms * (1 + number % 10 / 10) * 1e6)),
        "endTimeUnixNano": str(end),
        "attributes": [attribute(*pair) for pair in attributes.items()], "status": {},
    }
    if failed:
        made["status"] = {"code": 2, "message": "the bank did not answer"}
        made["attributes"].append(attribute("error.type", "TimeoutError"))
    return made


def send(sonde, service, operation, duration_ms, count, fails=0, attributes=None):
    spans = [span(number, operation, duration_ms, attributes or {}, fails and number % fails == 0)
             for number in range(count)]
    answer = sonde.post("/v1/traces", {"resourceSpans": [{
        "resource": {"attributes": [attribute("service.name", service)]},
        "scopeSpans": [{"scope": {}, "spans": spans}]}]}, {"content-type": "application/json"})
    if answer.status != 200:
        raise AssertionError(answer.text())


class Traffic(threading.Thread):
    """Calls of every operation, some each half a second, until it is ended."""

    def __init__(self, sonde):
        super().__init__(daemon=True)
        self.sonde = sonde
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.5):
            for service, operation, duration_ms, fails, attributes in OPERATIONS:
                send(self.sonde, service, operation, duration_ms, 20, fails, attributes)

    def end(self):
        self.ended.set()
        self.join()


@unittest.skipUnless(find_chromium(), "no Chromium here; apt install chromium")
class DashboardServicesTest(Scenario):
    @classmethod
    def setUpClass(cls):
        handle, path = tempfile.mkstemp(suffix=".yaml")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(PROMISES)
        cls.addClassCleanup(os.unlink, path)
        cls.arguments = ("--collect-off", "all", "--no-otlp-enabled", "--sla-file", path)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        super().setUpClass()
        cls.traffic = Traffic(cls.sonde)
        cls.traffic.start()
        wait_for(lambda: len(cls.sonde.json("/api/v1/services")["services"]) == 3, "the services")

    @classmethod
    def tearDownClass(cls):
        cls.traffic.end()
        super().tearDownClass()

    def open(self, hash_="#/services", ready="document.querySelector('.operations tbody tr')",
             **options):
        page = self.browser.open(f"{self.sonde.url}/{hash_}", **options)
        self.addCleanup(page.close)
        page.wait_for(ready, what="the page shows what it asked for")
        return page

    def open_operation(self, service, operation, **options):
        return self.open(f"#/operation?service={service}&operation={operation}",
                         "document.querySelector('.tiles dd')", **options)

    def keep(self, page, name):
        if ARTEFACTS:
            os.makedirs(ARTEFACTS, exist_ok=True)
            page.screenshot(os.path.join(ARTEFACTS, f"dashboard-{name}.png"), full_page=True)

    def names(self, page):
        return page.evaluate(
            "[...document.querySelectorAll('.operation-name')].map((e) => e.textContent)")

    def test_the_worst_is_on_top_and_says_what_is_broken(self):
        page = self.open()
        self.assertEqual(self.names(page),
                         ["POST /checkout", "send", "chat small", "GET /cart"])
        marks = page.evaluate(
            "[...document.querySelectorAll('.promise')].map((e) => e.textContent)")
        self.assertEqual(marks, ["SLA broken", "SLA broken", "", "SLA kept"])
        journeys = page.evaluate(
            "[...document.querySelectorAll('.journeys li')].map((e) => e.dataset.status)")
        self.assertEqual(journeys, ["kept", "unknown", "broken"])
        self.keep(page, "services")
        self.assertEqual(page.complaints(), [])

    def test_the_sentences_are_those_of_the_command(self):
        page = self.open()
        said = page.evaluate(
            "[...document.querySelectorAll('.sentences li')].map((e) => e.textContent)")
        told = subprocess.run([BINARY, "sla", "check", "--live"], capture_output=True, text=True,
                              check=False, timeout=60,
                              env={**os.environ, "SONDE_URL": self.sonde.url}).stdout
        self.assertEqual(len(said), 2)
        for sentence in said:
            words = sentence.split(" (")[0]  # The number moves on.
            self.assertIn(words, told)

    def test_what_happens_is_seen_within_two_seconds(self):
        page = self.open()
        began = time.monotonic()
        send(self.sonde, "newcomer", "hello", 5, 3)
        page.wait_for("[...document.querySelectorAll('.operation-name')]"
                      ".some((e) => e.textContent === 'hello')", 2.5, "the new operation")
        self.assertLess(time.monotonic() - began, 10)

    def test_filter_sort_and_service_are_in_the_link(self):
        page = self.open()
        page.press("/")
        page.wait_for("document.activeElement.matches('input.filter')", 3)
        page.type("shop")
        page.wait_for("location.hash.includes('q=shop')", 3)
        page.wait_for("document.querySelectorAll('.operations tbody tr').length === 2", 3)
        page.press("Escape")
        page.evaluate("document.querySelector('th.col-rate button').click()")
        page.wait_for("document.querySelector('th.col-rate').ariaSort === 'descending'", 3)
        page.evaluate("document.querySelector('th.col-operation button').click()")
        page.wait_for("location.hash.includes('sort=operation')", 3)
        self.assertEqual(self.names(page), ["GET /cart", "POST /checkout"])
        other = self.open(page.evaluate("location.hash"))
        self.assertEqual(self.names(other), ["GET /cart", "POST /checkout"])
        page.evaluate("document.querySelector('[data-service=shop]').click()")
        page.wait_for("location.hash.includes('service=shop')", 3)
        page.wait_for("document.querySelector('#services-heat-title').textContent"
                      ".includes('calls of shop')", 3)

    def cells_selected(self, page):
        return page.wait_for("!document.querySelector('.heat-foot a').hidden"
                             " && document.querySelector('.heat-foot a').getAttribute('href')", 5)

    def test_cells_of_the_heatmap_lead_to_their_traces(self):
        page = self.open()
        page.wait_for("document.querySelector('.heat-line').textContent.includes('Select')", 5)
        left, top, width, height = page.evaluate(
            "(() => { const box = document.querySelector('.heat').getBoundingClientRect();"
            " return [box.left, box.top, box.width, box.height]; })()")
        page.drag((left + width * 0.7, top + height * 0.1), (left + width - 14, top + height * 0.85))
        href = self.cells_selected(page)
        self.assertRegex(href, r"^#/traces\?minDuration=[\d.]+(ms|us)&maxDuration=[\d.]+ms"
                               r"&from=[^&]+&to=[^&]+$")
        said = page.evaluate("document.querySelector('.heat-line').textContent")
        self.assertRegex(said, r"^[\d.]+ k? ?calls? of .+ to .+, \d\d:\d\d")
        self.keep(page, "services-selected")
        page.press("Escape")
        page.wait_for("document.querySelector('.heat-foot a').hidden", 3)

    def test_the_heatmap_by_keyboard(self):
        page = self.open_operation("shop", "POST%20/checkout")
        page.wait_for("document.querySelector('.heat-line')?.textContent.includes('Select')", 5)
        page.evaluate("document.querySelector('.heat').focus()")
        page.press("ArrowLeft")
        page.press("ArrowUp", modifiers=8)
        page.press("ArrowDown", modifiers=8)
        page.press("ArrowDown", modifiers=8)
        for _ in range(4):
            page.press("ArrowRight", modifiers=8)
        href = self.cells_selected(page)
        self.assertIn("service=shop&operation=POST%20/checkout&minDuration=", href)
        page.press("Enter")
        page.wait_for("location.hash.startsWith('#/traces')", 3)
        self.assertEqual(page.complaints(), [])

    def test_an_operation_tells_why_and_which(self):
        page = self.open()
        page.evaluate("[...document.querySelectorAll('.operation-open')]"
                      ".find((e) => e.textContent.startsWith('POST')).click()")
        page.wait_for("document.querySelector('.page-operation h1')?.textContent"
                      " === 'POST /checkout'", 3)
        page.wait_for("document.querySelector('.bars strong')?.textContent === 'TimeoutError'", 5)
        page.wait_for("document.querySelectorAll('.page-operation tbody a').length > 3", 5)
        for name in ("operation-rate", "operation-latency", "operation-errors"):
            page.wait_for(f"document.querySelector('[data-panel={name}] .legend-value')"
                          "?.textContent.match(/[0-9]/)", 8, f"points in {name}")
        promised = page.evaluate("document.querySelector('[data-panel=operation-latency] .legend')"
                                 ".textContent")
        self.assertIn("P95 promised", promised)
        p95 = page.evaluate("[...document.querySelectorAll('.tiles div')]"
                            ".find((e) => e.textContent.startsWith('P95')).lastChild.textContent")
        told = next(row for service in self.sonde.json("/api/v1/services")["services"]
                    for row in service["operations"] if row["operation"] == "POST /checkout")
        self.assertAlmostEqual(float(p95.split()[0]), told["p95_ms"], delta=told["p95_ms"] * 0.05)
        self.keep(page, "operation")
        page.evaluate("document.querySelector('.page-operation tbody a').click()")
        page.wait_for("location.hash.startsWith('#/trace?id=')", 3)
        page.evaluate("history.back()")
        page.wait_for("document.querySelector('.page-operation')", 3)
        self.assertEqual(page.complaints(), [])

    def test_a_model_call_tells_tokens_cost_and_the_first_token(self):
        page = self.open_operation("assistant", "chat%20small")
        figures = page.wait_for(
            "(() => { const tiles = [...document.querySelectorAll('.operation-card .tiles div')];"
            " return tiles.length > 0 && Object.fromEntries(tiles.map("
            "(e) => [e.firstChild.textContent, e.lastChild.textContent])); })()", 5)
        self.assertEqual(figures["First token, P50"], "250 ms")
        self.assertEqual(figures["Cost per call"], "$0.002")
        self.assertRegex(figures["Tokens out"], r"^[\d.]+( k)?$")
        self.keep(page, "operation-model")

    def test_a_daemon_that_is_away_is_told_and_the_numbers_stay(self):
        daemon = Sonde("--collect-off", "all", "--no-otlp-enabled").start()
        self.addCleanup(daemon.close)
        send(daemon, "shop", "GET /cart", 12, 5)
        page = self.browser.open(f"{daemon.url}/#/services")
        self.addCleanup(page.close)
        page.wait_for("document.querySelector('.operations tbody tr')", 8)
        daemon.stop()
        told = page.wait_for("document.querySelector('[role=alert].finding:not([hidden])')"
                             "?.textContent", 10, "the outage is told")
        self.assertRegex(told, r"does not answer.*These numbers are of \d{4}-")
        self.assertEqual(self.names(page), ["GET /cart"])
        daemon.start()
        page.wait_for("document.querySelector('[role=alert].finding[hidden]')", 20, "it is back")

    def test_numbers_stand_behind_the_heatmap(self):
        page = self.open("#/services?table=services-heat")
        row = "document.querySelector('.heat-panel tbody tr')"
        page.wait_for(f"{row}?.cells.length === 4", 5)
        self.assertTrue(page.evaluate("document.querySelector('.heat-part').offsetParent === null"))

    def test_dark_light_and_on_a_phone(self):
        for hash_, name in (("#/services", "services"),
                            ("#/operation?service=shop&operation=POST%20/checkout", "operation")):
            for width, dark in ((390, False), (360, True), (1400, True)):
                with self.subTest(page=name, width=width, dark=dark):
                    page = self.open(hash_, "document.querySelector('.tiles dd')", width=width,
                                     height=800, touch=width < 600, dark=dark)
                    page.wait_for("document.querySelector('.heat-line').textContent"
                                  ".includes('Select')", 5)
                    wide = page.evaluate("document.documentElement.scrollWidth")
                    self.assertLessEqual(wide, width)
                    self.keep(page, f"{name}-{width}-{'dark' if dark else 'light'}")
                    self.assertEqual(page.complaints(), [])

    def test_everything_that_can_be_pressed_has_a_name(self):
        nameless = (
            "[...document.querySelectorAll('a, button, input, [tabindex=\"0\"]')]"
            ".filter((e) => !e.closest('[hidden]') && !(e.textContent.trim() ||"
            " e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.labels?.length))"
            ".map((e) => e.outerHTML.slice(0, 120))"
        )
        self.assertEqual(self.open().evaluate(nameless), [])
        self.assertEqual(self.open_operation("shop", "GET%20/cart").evaluate(nameless), [])


@unittest.skipUnless(find_chromium(), "no Chromium here; apt install chromium")
class NothingSentTest(Scenario):
    arguments = ("--collect-off", "all", "--no-otlp-enabled")

    def test_who_has_no_services_is_told_how_to_have_some(self):
        with_browser = Browser()
        self.addCleanup(with_browser.close)
        page = with_browser.open(f"{self.sonde.url}/#/services")
        page.wait_for("document.querySelector('.services-empty:not([hidden])')", 5)
        page.wait_for("document.querySelector('.services-empty code')", 3)
        page.press("g")
        page.press("h")
        page.wait_for("document.querySelector('.page-home')", 3)
        page.type("gv")
        page.wait_for("document.querySelector('.page-services')", 3)
        self.assertEqual(page.complaints(), [])


if __name__ == "__main__":
    unittest.main()
