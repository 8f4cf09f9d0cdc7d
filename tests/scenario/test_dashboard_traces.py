# SPDX-License-Identifier: Apache-2.0
"""Someone looks for the slow and the broken request in a real browser: searches, narrows down, opens
a trace, reads what was found in it, walks through its spans, compares, looks at the map.

SONDE_ARTEFACTS names a folder for screenshots (test_dashboard.py). Waits are for events."""

import json
import os
import struct
import unittest
import urllib.parse

import trace_feed
from chromium import Browser, find_chromium
from sonde import Scenario

ARTEFACTS = os.environ.get("SONDE_ARTEFACTS")
ITEMS = "document.querySelectorAll('.trace-item').length"
TEXT = "document.querySelector('main')?.textContent"
SHOWN = ("document.querySelector('.trace-title h1') && "
         "document.querySelector('.waterfall-canvas')?.width > 100")
PHONE = {"width": 390, "height": 844, "touch": True}


def said(part):
    return f"document.querySelector({json.dumps(part)})?.textContent"


@unittest.skipUnless(find_chromium(), "no Chromium here; apt install chromium")
class DashboardTracesTest(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        super().setUpClass()
        feed = trace_feed.Feed(cls.sonde)
        cls.ids = trace_feed.shop(feed)
        cls.bad = trace_feed.broken(feed)
        cls.sonde.wait_for_value("count(traces_service_graph_request_total)")

    def open(self, hash_, ready, **options):
        page = self.browser.open(f"{self.sonde.url}/{hash_}", **options)
        self.addCleanup(page.close)
        page.wait_for(ready, what=f"{hash_} is shown")
        return page

    def open_trace(self, trace, more="", **options):
        return self.open(f"#/trace?id={trace}{more}", SHOWN, **options)

    def keep(self, page, name, full_page=False):
        if ARTEFACTS:
            os.makedirs(ARTEFACTS, exist_ok=True)
            page.screenshot(os.path.join(ARTEFACTS, f"traces-{name}.png"), full_page)

    def no_sideways(self, page):
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0)

    # ---- The search. ----

    def test_traces_are_listed_drawn_and_counted(self):
        page = self.open("#/traces?range=15m", f"{ITEMS} > 20")
        count = page.evaluate(said(".traces-count"))
        self.assertRegex(count, r"^127 traces · 2,?192 spans fit · ✕ 7 with errors")
        self.assertIn("127 traces", page.evaluate(
            "document.querySelector('.scatter canvas').getAttribute('aria-label')"))
        facets = page.evaluate("document.querySelector('.facets').textContent")
        self.assertIn("POST /checkout", facets)
        self.assertIn("region", facets)
        self.keep(page, "search")
        self.assertEqual(page.complaints(), [])

    def test_a_facet_narrows_and_widens_again(self):
        page = self.open("#/traces?range=15m", f"{ITEMS} > 20")
        press = ("[...document.querySelectorAll('button.facet-item')]"
                 ".find((one) => one.textContent.startsWith('{}')).click()")
        page.evaluate(press.format("pay"))
        page.wait_for("location.hash.includes('service=pay')", 3)
        page.wait_for(f"{said('.traces-count')}.startsWith('120 traces')", 5)
        page.evaluate(press.format("error"))
        page.wait_for(f"{said('.traces-count')}.startsWith('6 traces')", 5)
        page.evaluate(press.format("pay"))
        page.wait_for("!location.hash.includes('service=')", 3)
        page.wait_for(f"{said('.traces-count')}.startsWith('7 traces')", 5)

    def test_the_parameters_of_a_heatmap_and_traceql_meet_on_the_same_spans(self):
        page = self.open("#/traces?range=15m&service=stock&operation=POST%20/reserve"
                         "&minDuration=500ms&maxDuration=10s", f"{ITEMS} === 11")
        self.assertEqual(page.evaluate("document.querySelector('[name=service]').value"), "stock")
        page.evaluate("location.hash += '&q=' + encodeURIComponent('{ .region = \"us-east\" }')")
        page.wait_for(f"{TEXT}?.includes('No trace fits')", 5)
        self.assertIn("(.region = \"us-east\")", page.evaluate(said(".traceql code")))
        page.evaluate("location.hash = '#/traces?q=' + encodeURIComponent('{ nonsense')")
        page.wait_for(f"{said('.error-note')}?.length > 10", 5, "a sentence about the mistake")

    def test_what_a_query_grouped_stands_with_its_trace(self):
        page = self.open("#/traces?range=15m&q=" + urllib.parse.quote(
            "{ .db.system.name != nil } | by(resource.service.name) | max(duration) > 100ms"),
            f"{ITEMS} > 5")
        first = page.evaluate("document.querySelector('.trace-item-sets').textContent")
        self.assertRegex(first, r"resource\.service\.name = stock, max\(duration\) = [\d.]+ m?s")
        self.assertEqual(page.complaints(), [])

    def test_a_drag_on_the_dots_asks_for_what_lies_in_it(self):
        page = self.open("#/traces?range=15m", f"{ITEMS} > 20")
        left, top, width, height = page.evaluate(
            "(() => { const box = document.querySelector('.scatter canvas')"
            ".getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()")
        page.drag((left + width * 0.1, top + 14), (left + width * 0.98, top + height * 0.22))
        page.wait_for("/minDuration=/.test(location.hash) && /from=/.test(location.hash)", 3)
        page.wait_for(f"{said('.traces-count')}.startsWith('11 traces')", 5)

    def test_a_dot_and_a_row_lead_to_the_trace_and_back(self):
        page = self.open("#/traces?range=15m&sort=slowest", f"{ITEMS} > 20")
        page.evaluate("document.querySelector('.trace-item').click()")
        page.wait_for(SHOWN, 5)
        shown = page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('id')")
        self.assertIn(shown, self.ids["slow"])
        page.evaluate("history.back()")
        page.wait_for(f"{ITEMS} > 20", 5)

    # ---- One trace. ----

    def test_a_trace_shows_its_path_its_findings_and_its_spans(self):
        page = self.open_trace(self.ids["slow"][0])
        self.assertEqual(page.evaluate(said(".trace-title h1")), "browser: checkout click")
        self.assertIn("18 spans", page.evaluate(said(".trace-facts")))
        page.wait_for("document.querySelector('.trace-finding')", what="what was found")
        self.assertIn("SELECT", page.evaluate(said(".trace-finding .claim")))
        page.evaluate("document.querySelector('.trace-finding > .button').click()")
        page.wait_for(f"{said('.span-detail h2')} === 'SELECT stock'", 5)
        page.wait_for(f"{said('.span-attributes')}?.includes('FOR UPDATE')", 5)
        self.keep(page, "trace")
        self.assertEqual(page.complaints(), [])

    def test_the_keyboard_walks_through_the_spans(self):
        page = self.open_trace(self.ids["failed"][0])
        page.evaluate("document.querySelector('.waterfall-scroll').focus()")
        item = "document.getElementById('waterfall-item').textContent"
        page.press("ArrowDown")
        page.wait_for(f"{item}.startsWith('checkout click in browser')", 3)
        page.press("ArrowDown")
        page.wait_for(f"{item}.startsWith('POST /checkout in front')", 3)
        self.assertIn("error", page.evaluate(item))
        self.assertIn("on the critical path", page.evaluate(item))
        page.press("ArrowLeft")
        page.wait_for("document.getElementById('waterfall-item')"
                      ".getAttribute('aria-expanded') === 'false'", 3)
        page.press("ArrowRight")
        page.press("ArrowRight")
        page.wait_for(f"{item}.startsWith('GET cart')", 3)
        page.press("End")
        page.wait_for(f"{item}.startsWith('send receipt')", 3)
        page.press("Escape")
        page.wait_for("!location.hash.includes('span=')", 3)
        page.press("/")
        page.wait_for("document.activeElement.matches('.trace-tools input')", 3)
        page.type("pay")
        page.wait_for(f"{said('.trace-tools .table-note')} === '4 found'", 3)
        page.press("Enter")
        page.wait_for(f"{item}.startsWith('POST /pay in front')", 3)
        page.press("Enter")
        page.wait_for(f"{item}.startsWith('POST /pay in pay')", 3)
        self.assertEqual(page.complaints(), [])

    def test_events_and_logs_stand_with_their_span(self):
        page = self.open_trace(self.ids["failed"][0], "&range=15m&find=POST%20%2Fpay")
        page.wait_for(f"{said('.trace-tools .table-note')} === '4 found'", 3)
        page.evaluate("document.querySelector('.trace-tools input').focus()")
        page.press("Enter")
        page.press("Enter")
        page.press("ArrowDown")
        page.press("Enter")
        page.wait_for(f"{said('.span-more')}?.includes('exception.message')", 5)
        more = page.evaluate(said(".span-more"))
        self.assertIn("the issuer said no", more)
        self.assertIn("card declined by issuer", more)
        page.evaluate("document.querySelector('.span-event .attribute-find"
                      "[aria-label*=\"exception.type\"]').click()")
        page.wait_for(f"{ITEMS} === {len(self.ids['failed'])}", what="those with the exception")
        self.assertIn("event.exception.type", page.evaluate("decodeURIComponent(location.hash)"))

    def test_a_link_leads_to_the_other_trace(self):
        linked = next(trace for trace in self.ids["quick"]
                      if "links" in json.dumps(self.spans_of(trace)))
        page = self.open_trace(linked, "&find=checkout")
        page.evaluate("document.querySelector('.trace-tools input').focus()")
        page.press("Enter")
        page.press("Enter")
        page.press("ArrowDown")
        page.press("Enter")
        page.wait_for("document.querySelector('.span-part a[href*=\"#/trace?\"]')", 5)
        page.evaluate("document.querySelector('.span-part a[href*=\"#/trace?\"]').click()")
        page.wait_for(f"!location.hash.includes('{linked}') && {SHOWN}", 5)

    def spans_of(self, trace):
        return [span for span in self.sonde.json(f"/api/v1/traces/{trace}")["spans"]
                if span.get("links")]

    def test_the_flame_folds_calls_and_leads_back_to_a_span(self):
        page = self.open(f"#/trace?id={self.ids['slow'][0]}&view=flame",
                         "document.querySelector('.flame-scroll canvas')?.width > 100")
        page.evaluate("document.querySelector('.flame-scroll').focus()")
        for _ in range(4):
            page.press("ArrowDown")
        page.wait_for(f"{said('.flame-told')}.includes('SELECT stock')", 3)
        page.press("ArrowRight")
        page.wait_for(f"/UPDATE stock · 6 calls/.test({said('.flame-told')})", 3)
        page.press(" ")
        page.wait_for("!location.hash.includes('view=') && location.hash.includes('span=')", 3)
        page.wait_for(f"{said('.span-detail h2')} === 'UPDATE stock'", 5)

    # ---- What is wrong with what was sent. ----

    def test_whatever_was_sent_is_shown_as_text_and_said_in_words(self):
        words = {
            "no_root": "3 spans stand at the top because their parents have not arrived",
            "cycle": "circles; each is cut",
            "times": "One span ends before it starts",
            "skew": "its host’s clock differs",
            "twice": "One span has the id of another",
            "huge": "1 span",
            "script": "<script>",
        }
        for name, sentence in words.items():
            with self.subTest(trace=name):
                page = self.open_trace(self.bad[name])
                page.wait_for(f"{TEXT}?.includes({json.dumps(sentence)})", 5, sentence)
                page.evaluate("document.querySelector('.waterfall-scroll').focus()")
                page.press("ArrowDown")
                page.wait_for("document.querySelector('.span-attributes')", 5)
                self.assertIn("sonde", page.evaluate("document.title"))
                self.assertFalse(page.evaluate("!!document.querySelector('main img, main script')"))
                self.keep(page, name)
                self.assertEqual(page.complaints(), [])

    def test_a_megabyte_of_text_is_cut_until_it_is_wanted(self):
        page = self.open_trace(self.bad["huge"])
        page.evaluate("document.querySelector('.waterfall-scroll').focus()")
        page.press("ArrowDown")
        page.wait_for("document.querySelector('.span-attributes .link')", 5)
        self.assertLess(page.evaluate(f"{said('.span-attributes')}.length"), 2000)
        page.evaluate("document.querySelector('.span-attributes .link').click()")
        page.wait_for(f"{said('.span-attributes')}.length > 1000000", 5)

    def test_a_trace_that_is_not_there_is_a_sentence(self):
        page = self.open(f"#/trace?id={'ab' * 16}", f"{TEXT}?.includes('there is no trace')")
        page.evaluate("location.hash = '#/trace?id=zz'")
        page.wait_for(f"{TEXT}?.includes('is no trace id')", 5)

    # ---- Compared, and as a map. ----

    def test_slow_and_fast_are_told_apart(self):
        page = self.open("#/traces?range=15m&service=front&operation=POST%20/checkout",
                         f"{ITEMS} > 20")
        page.evaluate("[...document.querySelectorAll('.scatter-card a')].at(-1).click()")
        page.wait_for("document.querySelector('.compare-done')", 10)
        table = page.evaluate("document.querySelector('.compare-done').textContent")
        self.assertIn("longer than one of A", table)
        self.assertIn("region = eu-west of browser, front and stock is in", table)
        first = page.evaluate(
            "document.querySelector('.compare-table tbody tr').textContent")
        self.assertIn("SELECT stock", first)
        self.keep(page, "compare", full_page=True)
        self.assertEqual(page.complaints(), [])

    def test_the_map_has_every_call_and_can_be_walked(self):
        page = self.open("#/map?range=15m", "document.querySelectorAll('.map-node').length >= 7")
        page.wait_for("document.querySelector('.map-table tbody')?.rows.length >= 6", 10)
        table = page.evaluate("document.querySelector('.map-table').textContent")
        for words in ("browserfront", "frontstock", "stockshop database", "frontpay"):
            self.assertIn(words, table)
        page.evaluate("document.querySelector('[data-service=front]').focus()")
        page.press("ArrowRight")
        page.wait_for("['mail', 'pay', 'redis', 'stock']"
                      ".includes(document.activeElement.dataset.service)", 3)
        page.press("Enter")
        page.wait_for("location.hash.includes('service=')", 3)
        page.wait_for("document.querySelector('.map-node.is-chosen')", 3)
        page.press("Escape")
        page.wait_for("!location.hash.includes('service=')", 3)
        self.keep(page, "map")
        self.assertEqual(page.complaints(), [])

    def test_everything_fits_a_phone_in_the_dark(self):
        shown = {
            "search": ("#/traces?range=15m", f"{ITEMS} > 20"),
            "trace": (f"#/trace?id={self.ids['failed'][0]}", SHOWN),
            "flame": (f"#/trace?id={self.ids['failed'][0]}&view=flame",
                      "document.querySelector('.flame-scroll canvas')?.width > 100"),
            "map": ("#/map?range=15m", "document.querySelectorAll('.map-node').length >= 7"),
            "compare": ("#/compare?range=15m&a=%7B%20status%20!%3D%20error%20%7D"
                        "&b=%7B%20status%20%3D%20error%20%7D",
                        "document.querySelector('.compare-done')"),
        }
        for name, (hash_, ready) in shown.items():
            with self.subTest(page=name):
                page = self.open(hash_, ready, dark=True, **PHONE)
                self.no_sideways(page)
                self.keep(page, f"phone-{name}")
                self.assertEqual(page.complaints(), [])

    # ---- What the page is sent. ----

    def test_columns_say_what_the_trace_says(self):
        trace = self.ids["failed"][0]
        spans = self.sonde.json(f"/api/v1/traces/{trace}")["spans"]
        body = self.sonde.get(f"/api/v1/traces/{trace}", format="columns").body
        self.assertEqual(body[:4], b"SPN1")
        size = struct.unpack("<I", body[4:8])[0]
        head = json.loads(body[8:8 + size])
        at = {column["name"]: 8 + size + column["at"] for column in head["columns"]}
        self.assertEqual(head["spans"], len(spans))
        ids = [body[at["id"] + 8 * row:at["id"] + 8 * row + 8].hex() for row in range(len(spans))]
        for row, span_id in enumerate(ids):
            span = next(span for span in spans if span["span_id"] == span_id)
            start, = struct.unpack_from("<d", body, at["start"] + 8 * row)
            duration, = struct.unpack_from("<d", body, at["duration"] + 8 * row)
            parent, = struct.unpack_from("<i", body, at["parent"] + 4 * row)
            name, = struct.unpack_from("<I", body, at["name"] + 4 * row)
            self.assertEqual(int(head["start_ns"]) + int(start), span["start_ns"])
            self.assertEqual(duration, span["duration_ns"])
            self.assertEqual(head["names"][name], span["name"])
            self.assertEqual(ids[parent] if parent >= 0 else None, span.get("parent_span_id"))
        self.assertEqual(head["marks"], 3 + 4)  # Exceptions; logs of three tries and the stock.

    def test_one_span_can_be_asked_for(self):
        trace = self.ids["failed"][0]
        spans = self.sonde.json(f"/api/v1/traces/{trace}")["spans"]
        wanted = next(span for span in spans if span["service"] == "pay")
        answer = self.sonde.json(f"/api/v1/traces/{trace}", span=wanted["span_id"])
        self.assertEqual(answer["spans"], [wanted])
        self.assertEqual([log["body"] for log in answer["logs"]], ["card declined by issuer"])
        self.assertEqual(self.sonde.get(f"/api/v1/traces/{trace}", span="xyz").status, 400)
        self.assertEqual(self.sonde.get(f"/api/v1/traces/{trace}", span="ab").status, 404)

    def test_a_summary_orders_and_counts(self):
        slow = self.sonde.json("/api/v1/traces/summary", service="stock", order="slowest", limit=3)
        self.assertEqual((slow["traces"], slow["spans"], len(slow["list"])), (120, 960, 3))
        durations = [trace["duration_ns"] for trace in slow["list"]]
        self.assertEqual(durations, sorted(durations, reverse=True))
        self.assertEqual(slow["facets"]["service"], [{"value": "stock", "count": 960, "errors": 0}])
        failed = self.sonde.json("/api/v1/traces/summary", status="error", order="errors")
        self.assertEqual(failed["traces"], 7)
        same = self.sonde.json("/api/v1/traces/summary", q="{ status = error }")
        self.assertEqual({trace["trace_id"] for trace in same["list"]},
                         {trace["trace_id"] for trace in failed["list"]})
        self.assertEqual(self.sonde.get("/api/v1/traces/summary", order="best").status, 400)


if __name__ == "__main__":
    unittest.main()
