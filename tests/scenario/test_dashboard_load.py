# SPDX-License-Identifier: Apache-2.0
"""Someone puts load on a URL from the dashboard, watches it, reads what came of it, and holds a
second load against the first."""
import http.server
import os
import threading
import unittest

from chromium import Browser, find_chromium
from sonde import Scenario, wait_for

ARTEFACTS = os.environ.get("SONDE_ARTEFACTS")


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@unittest.skipUnless(find_chromium(), "needs Chromium: apt install chromium")
class LoadPage(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        cls.target.daemon_threads = True
        threading.Thread(target=cls.target.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.target.shutdown()
        cls.target.server_close()
        super().tearDownClass()

    def start(self, page, criteria):
        page.evaluate(f"""(() => {{
            const form = document.querySelector('.load-form');
            form.url.value = 'http://127.0.0.1:{self.target.server_address[1]}/';
            form.connections.value = '2';
            form.duration.value = '2s';
            form.criteria.value = '{criteria}';
            form.requestSubmit();
        }})()""")

    def test_a_load_is_started_watched_read_and_compared(self):
        with Browser() as browser:
            page = browser.open(self.sonde.url + "/#/load")
            page.wait_for("document.querySelector('.load-list .empty')", 30)
            self.start(page, "rps > 1000000")
            page.wait_for("document.querySelector('.load-state')?.textContent === 'Running'", 30)
            page.wait_for("document.querySelector('.load-state')?.textContent === 'Failed'", 60)
            page.wait_for("document.querySelector('.load-criterion')?.textContent"
                          ".includes('broken')", 10)
            page.wait_for("document.querySelectorAll('.load-detail canvas').length === 2", 10)
            self.start(page, "")
            page.wait_for("document.querySelector('.load-state')?.textContent === 'Passed'", 60)
            page.wait_for("document.querySelector('.load-actions select')", 30)
            page.evaluate("""(() => {
                const select = document.querySelector('.load-actions select');
                select.selectedIndex = 1;
                select.dispatchEvent(new Event('change'));
            })()""")
            page.wait_for("document.querySelectorAll('.load-table tbody tr').length >= 4", 30)
            page.resize(390, 844, touch=True)
            page.wait_for("document.documentElement.scrollWidth <= 390", 10)
            if ARTEFACTS:
                page.screenshot(os.path.join(ARTEFACTS, "load-phone.png"), full_page=True)
            self.assertEqual(page.complaints(), [])
            runs = wait_for(lambda: self.sonde.json("/api/v1/load/runs")["runs"], "runs")
            self.assertEqual(len(runs), 2)


if __name__ == "__main__":
    unittest.main()
