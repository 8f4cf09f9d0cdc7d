# SPDX-License-Identifier: Apache-2.0
"""Someone opens the dashboard of a freshly started daemon in a real browser and uses it.

SONDE_ARTEFACTS names a folder for screenshots, SONDE_STRETCH how much slower than said things may
be (chromium.py). Waits are for events, with an upper bound, never for time to pass.
"""

import json
import os
import signal
import socket
import threading
import time
import unittest

from chromium import Browser, find_chromium
from sonde import Scenario, Sonde

ARTEFACTS = os.environ.get("SONDE_ARTEFACTS")
PAGES = ("home", "processes", "explore", "self")


def panel(name):
    return f"document.querySelector('[data-panel=\"{name}\"]')"


class StreamlessProxy:
    """Passes connections on to a daemon, except those that ask for the live stream."""

    def __init__(self, target):
        self.target = target
        self.streams = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # Wakes who waits in it; closing does not.
        self.thread.join()
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as daemon:
            begin = client.recv(65536)
            if b" /api/v1/live " in begin and not self.streams:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            daemon.sendall(begin)
            threading.Thread(target=self.pipe, args=(daemon, client), daemon=True).start()
            self.pipe(client, daemon)

    @staticmethod
    def pipe(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@unittest.skipUnless(find_chromium(), "no Chromium here; apt install chromium")
class DashboardTest(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        super().setUpClass()

    def open(self, hash_="#/home", **options):
        page = self.browser.open(f"{self.sonde.url}/{hash_}", **options)
        self.addCleanup(page.close)
        page.wait_for("document.querySelector('.page')", what="a page is shown")
        return page

    def keep(self, page, name):
        if ARTEFACTS:
            os.makedirs(ARTEFACTS, exist_ok=True)
            page.screenshot(os.path.join(ARTEFACTS, f"dashboard-{name}.png"))

    def wait_for_points(self, page, name="cpu", seconds=8):
        page.wait_for(
            f"{panel(name)}?.querySelector('.legend-value')?.textContent.match(/[0-9]/)",
            seconds, f"points in the panel {name}",
        )

    def plot_of(self, page, name):
        """Left edge, width and middle height of the area where a chart draws."""
        left, top, width, height = page.evaluate(
            f"(() => {{ const box = {panel(name)}.querySelector('.u-over').getBoundingClientRect();"
            " return [box.left, box.top, box.width, box.height]; })()"
        )
        return left, width, top + height / 2

    def test_charts_move_within_five_seconds_and_nothing_complains(self):
        page = self.open()
        self.wait_for_points(page, seconds=5)
        picture = f"{panel('cpu')}.querySelector('canvas').toDataURL()"
        before = page.evaluate(picture)
        page.evaluate(f"window.before = {json.dumps(before)}")
        page.wait_for(f"{picture} !== window.before", 5, "the chart of the CPU moves")
        page.wait_for("document.querySelector('.live-badge').dataset.state === 'live'", 5)
        self.keep(page, "home")
        self.assertEqual(page.complaints(), [])

    def test_every_page_opens_without_a_complaint(self):
        for name in PAGES:
            with self.subTest(page=name):
                page = self.open(f"#/{name}")
                page.wait_for(f"document.querySelector('.page-{name}')")
                page.wait_for("document.querySelector('nav a[aria-current]')")
                if name == "processes":
                    page.wait_for("document.querySelectorAll('.processes tbody tr').length > 3")
                if name == "self":
                    page.wait_for("document.querySelectorAll('.plain tbody tr').length > 1")
                self.keep(page, name)
                self.assertEqual(page.complaints(), [])

    def test_health_is_a_sentence(self):
        page = self.open()
        sentence = page.wait_for("document.querySelector('.finding .claim')?.textContent")
        self.assertRegex(sentence.strip(), r"^[A-Z].*\.$")
        report = self.sonde.json("/api/v1/health")
        self.assertEqual(report["host"], socket.gethostname())
        self.assertIn(report["host"], page.evaluate("document.querySelector('.finding h2').textContent"))
        if not report["findings"]:
            self.assertIn("since", page.evaluate("document.querySelector('.health').textContent"))

    def test_the_keyboard_reaches_everything(self):
        page = self.open()
        self.wait_for_points(page)
        for keys, name in (("gp", "processes"), ("ge", "explore"), ("gs", "self"), ("gh", "home")):
            page.type(keys)
            page.wait_for(f"location.hash.startsWith('#/{name}')", 3)
            page.wait_for(f"document.querySelector('.page-{name}')", 3)
        page.press("?")
        page.wait_for("document.querySelector('dialog.help[open]')", 3)
        page.press("Escape")
        page.wait_for("!document.querySelector('dialog.help')", 3)
        page.press("t")
        page.wait_for("document.activeElement.id === 'range-typed'", 3)
        page.type("soon")
        page.press("Enter")
        page.wait_for("document.querySelector('.field-error').textContent.includes('soon')", 3)
        page.evaluate("document.activeElement.value = ''")
        page.type("30m")
        page.press("Enter")
        page.wait_for("location.hash.includes('range=30m')", 3)
        page.press("l")
        page.wait_for("document.querySelector('.live-badge').dataset.state === 'paused'", 3)
        page.press("l")
        page.wait_for("document.querySelector('.live-badge').dataset.state === 'live'", 3)
        page.type("gp")
        page.wait_for("document.querySelector('.page-processes')", 3)
        page.press("/")
        page.wait_for("document.activeElement.matches('input.filter')", 3)
        self.assertEqual(page.complaints(), [])

    def test_arrows_pan_and_zoom_a_focused_chart(self):
        page = self.open("#/home?range=5m")
        self.wait_for_points(page)
        page.evaluate(f"{panel('cpu')}.querySelector('.chart').focus()")
        page.press("ArrowLeft")
        page.wait_for("/from=/.test(location.hash) && /to=/.test(location.hash)", 3)
        first = page.evaluate("location.hash")
        page.press("ArrowUp")
        page.wait_for(f"location.hash !== {json.dumps(first)}", 3)
        page.press("Escape")
        page.wait_for("!/from=/.test(location.hash)", 3)

    def test_a_drag_zooms_and_the_link_shows_the_same(self):
        page = self.open("#/home?range=5m")
        self.wait_for_points(page)
        page.wait_for("document.querySelector('.finding')", what="nothing above will grow")
        left, width, middle = self.plot_of(page, "cpu")
        page.drag((left + width * 0.4, middle), (left + width * 0.9, middle))
        page.wait_for("/from=/.test(location.hash)", 3, "the zoom is in the address")
        page.wait_for("document.querySelector('.live-badge').dataset.state === 'paused'", 3)
        link = page.evaluate("location.hash")
        label_text = "document.querySelector('.range-label').textContent"
        label = page.evaluate(label_text)
        other = self.open(link)
        self.assertEqual(other.evaluate(label_text), label)
        page.evaluate("history.back()")
        page.wait_for("!/from=/.test(location.hash)", 3, "back undoes the zoom")
        page.evaluate(f"location.hash = {json.dumps(link)}")
        page.wait_for("/from=/.test(location.hash)", 3)
        left, width, middle = self.plot_of(page, "cpu")
        page.click(left + width / 2, middle, count=2)
        page.wait_for("!/from=/.test(location.hash)", 3, "a double click leaves the zoom")

    def test_the_table_behind_a_chart_has_the_same_numbers(self):
        now = int(time.time())
        window = {"start": now - 60, "end": now, "step": 1}
        moments = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
                   for at in (window["start"], window["end"])]
        answer = self.sonde.json("/api/v1/query_range", query="node_load1", **window)
        expected = [float(value) for _, value in answer["data"]["result"][0]["values"]]
        page = self.open(f"#/home?from={moments[0]}&to={moments[1]}&table=load")
        self.wait_for_points(page, "load")
        rows = f"{panel('load')}.querySelectorAll('tbody tr')"
        page.wait_for(f"{rows}.length > 0")
        column = page.evaluate(
            f"[...{panel('load')}.querySelectorAll('thead th')]"
            ".findIndex((cell) => cell.textContent === '1 min')"
        )
        self.assertGreater(column, 0)
        cells = page.evaluate(f"[...{rows}].map((row) => row.cells[{column}].textContent)")
        shown = [float(cell) for cell in reversed(cells) if cell != "–"]
        self.assertEqual(len(shown), len(expected))
        for got, wanted in zip(shown, expected):
            self.assertAlmostEqual(got, wanted, delta=max(0.01, abs(wanted) * 0.01))
        legend = page.evaluate(
            f"[...{panel('load')}.querySelectorAll('.legend-entry')]"
            ".find((entry) => entry.textContent.startsWith('1 min'))"
            ".querySelector('.legend-value').textContent"
        )
        self.assertEqual(float(legend), shown[-1])
        page.evaluate(f"{panel('load')}.querySelector('[aria-pressed=true]').click()")
        page.wait_for(f"!{panel('load')}.classList.contains('as-table')", 3)
        self.assertEqual(page.complaints(), [])

    def test_a_hidden_series_stays_hidden_in_the_link(self):
        page = self.open("#/home?range=5m")
        self.wait_for_points(page, "load")
        entry = f"[...{panel('load')}.querySelectorAll('.legend-entry')].find((entry) => "
        one = f"{entry}entry.textContent.startsWith('1 min'))"
        page.evaluate(f"{one}.click()")
        page.wait_for(f"{one}.getAttribute('aria-pressed') === 'false'", 3)
        other = self.open(page.evaluate("location.hash"))
        self.wait_for_points(other, "load")
        other.wait_for(f"{one}?.getAttribute('aria-pressed') === 'false'", 3)

    def test_the_crosshair_is_shared(self):
        page = self.open("#/home?range=5m")
        self.wait_for_points(page)
        self.wait_for_points(page, "load")
        page.evaluate(f"{panel('cpu')}.querySelector('.chart').focus()")
        page.press("ArrowLeft", modifiers=8)
        page.wait_for(
            f"/translate\\(\\d/.test({panel('load')}.querySelector('.u-cursor-x').style.transform)",
            3, "another chart points at the same moment",
        )
        spoken = f"{panel('cpu')}.querySelector('[aria-live]').textContent"
        self.assertRegex(page.evaluate(spoken), r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d: ")

    def test_everything_that_can_be_pressed_has_a_name(self):
        nameless = (
            "[...document.querySelectorAll('a, button, input, textarea, select, [tabindex=\"0\"]')]"
            ".filter((e) => !e.closest('[hidden]') && !(e.textContent.trim() || e.getAttribute('aria-label')"
            " || e.getAttribute('aria-labelledby') || e.labels?.length))"
            ".map((e) => e.outerHTML.slice(0, 120))"
        )
        for name in PAGES:
            with self.subTest(page=name):
                page = self.open(f"#/{name}")
                page.press("t")
                page.wait_for("document.querySelector('.sheet')", 3)
                self.assertEqual(page.evaluate(nameless), [])

    def test_light_and_dark(self):
        background = "getComputedStyle(document.body.parentElement).backgroundColor"
        shades = {}
        for dark in (False, True):
            page = self.open(dark=dark)
            self.wait_for_points(page)
            shades[dark] = page.evaluate(background)
            self.keep(page, "dark" if dark else "light")
        self.assertNotEqual(shades[False], shades[True])
        page.press("d")
        light = json.dumps(shades[False])
        page.wait_for(f"{background} === {light}", 3, "the person's choice wins")
        page.evaluate("location.reload()")
        kept = "document.documentElement?.dataset.theme === 'light'"
        page.wait_for(kept, 5, "the choice is kept")
        page.wait_for("document.querySelector('.page')")
        page.press("d")
        page.wait_for("document.documentElement.dataset.theme === 'dark'", 3)
        page.press("d")
        page.wait_for("document.documentElement.dataset.theme === undefined", 3)

    def test_a_phone_shows_everything_in_its_width(self):
        for name in PAGES:
            with self.subTest(page=name):
                page = self.open(f"#/{name}", width=360, height=740, touch=True)
                page.wait_for("document.querySelectorAll('#nav a').length >= 5")
                self.keep(page, f"phone-{name}")
                width = page.evaluate("document.documentElement.scrollWidth")
                self.assertLessEqual(width, 360)

    def test_explore_marks_the_error_and_runs_the_mended_expression(self):
        page = self.open("#/explore")
        page.press("/")
        page.wait_for("document.activeElement.id === 'expr'", 3)
        page.type("sum(rate(node_load1[1m})")
        page.press("Enter")
        page.wait_for("document.querySelector('.query-error strong')", 5)
        self.assertTrue(page.evaluate("document.querySelector('.marked mark') !== null"),
                        page.evaluate("document.querySelector('.query-error').textContent"))
        page.evaluate("document.getElementById('expr').select()")
        page.type("node_lo")
        page.wait_for("document.querySelectorAll('.suggestions li').length > 0", 5, "completion")
        page.press("Escape")
        page.type("ad1")
        page.press("Enter")
        page.wait_for("document.querySelector('.values tbody tr td.number')", 5)
        page.wait_for("/expr=node_load1/.test(location.hash)", 3)
        self.assertEqual(page.evaluate("document.querySelector('.query-error').textContent"), "")

    def test_processes_sort_filter_and_open(self):
        page = self.open("#/processes?sort=pid")
        rows = "[...document.querySelectorAll('.page-processes .is-full tbody tr')]"
        page.wait_for(f"{rows}.length > 3")
        pids = page.evaluate(f"{rows}.map((row) => Number(row.cells[0].textContent))")
        self.assertEqual(pids, sorted(pids))
        own = str(self.sonde.process.pid)
        page.press("/")
        page.type(own)
        page.wait_for(f"{rows}.some((row) => row.cells[0].textContent === '{own}')", 5)
        page.evaluate(f"{rows}.find((row) => row.cells[0].textContent === '{own}')"
                      ".querySelector('button').click()")
        page.wait_for(f"document.querySelector('.detail h2')?.textContent.includes('{own}')", 3)
        self.assertIn(f"pid={own}", page.evaluate("location.hash"))

    def open_live_with_own_daemon(self):
        """A daemon that the test may hurt, its page, and the expression of the badge's state."""
        daemon = Sonde().start()
        self.addCleanup(daemon.close)
        page = self.browser.open(f"{daemon.url}/#/home?range=5m")
        self.addCleanup(page.close)
        self.wait_for_points(page)
        state = "document.querySelector('.live-badge').dataset.state"
        page.wait_for(f"{state} === 'live'", 5)
        return daemon, page, state

    def test_a_broken_stream_is_told_and_mended(self):
        daemon, page, state = self.open_live_with_own_daemon()
        daemon.stop()
        page.wait_for(f"['waiting', 'connecting'].includes({state})", 5, "the break is told")
        self.keep(page, "reconnecting")
        daemon.start()
        page.wait_for(f"{state} === 'live'", 40, "the stream comes back by itself")

    def test_without_websockets_points_come_by_asking(self):
        proxy = StreamlessProxy(self.sonde.port)
        self.addCleanup(proxy.close)
        page = self.browser.open(f"http://127.0.0.1:{proxy.port}/#/home?range=5m")
        self.addCleanup(page.close)
        self.wait_for_points(page)
        state = "document.querySelector('.live-badge').dataset.state"
        page.wait_for(f"{state} === 'polling'", 15, "asking takes the place of the stream")
        self.assertEqual(page.evaluate("document.querySelector('.live-badge').textContent"), "Polling")
        picture = f"{panel('cpu')}.querySelector('canvas').toDataURL()"
        page.evaluate(f"window.before = {picture}")
        page.wait_for(f"{picture} !== window.before", 8, "the chart of the CPU moves")
        self.keep(page, "polling")
        proxy.streams = True
        page.evaluate("document.querySelector('.live-badge').click()")
        page.evaluate("document.querySelector('.live-badge').click()")
        page.wait_for(f"{state} === 'live'", 40, "the stream comes back by itself")

    def test_silence_is_called_stale(self):
        daemon, page, state = self.open_live_with_own_daemon()
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            page.wait_for(f"{state} === 'stale'", 15, "nothing arrives, and the page says so")
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        page.wait_for(f"{state} === 'live'", 15, "points arrive again")

    def test_a_finger_points(self):
        page = self.open("#/home?range=5m", width=360, height=740, touch=True)
        self.wait_for_points(page)
        page.wait_for("document.querySelector('.finding')", what="nothing above will grow")
        page.evaluate(f"{panel('cpu')}.scrollIntoView({{ block: 'center' }})")
        left, width, middle = self.plot_of(page, "cpu")
        page.touch("touchStart", left + width * 0.98, middle)
        page.touch("touchMove", left + width * 0.99, middle)
        moment = f"{panel('cpu')}.querySelector('.kind').textContent"
        page.wait_for(f"/^\\d\\d:\\d\\d:\\d\\d$/.test({moment})", 3)
        page.touch("touchEnd")


if __name__ == "__main__":
    unittest.main()
