# SPDX-License-Identifier: Apache-2.0
"""A page in a real browser sends its spans to a daemon of another origin: where the operator allows
it, and nowhere else."""

import http.server
import json
import threading
import time
import unittest

from chromium import Browser, find_chromium
from sonde import Sonde

QUIET = ("--collect-off", "all", "--no-otlp-enabled")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!doctype html><title>shop</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def post(url, trace, header=""):
    """What the exporter for the web does; the answer's status, or what the browser says."""
    now = time.time_ns()
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": trace, "spanId": "00000000000000a1", "name": "click", "kind": 3,
        "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**6)}]}]}]}
    headers = {"Content-Type": "application/json", **({header: "x"} if header else {})}
    return (f"fetch({json.dumps(url)}, {{method: 'POST', headers: {json.dumps(headers)}, "
            f"body: {json.dumps(json.dumps(body))}}})"
            ".then((answer) => answer.status).catch((error) => String(error))")


@unittest.skipUnless(find_chromium(), "no Chromium here; apt install chromium")
class APageSendsSpans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=cls.site.serve_forever, daemon=True).start()
        cls.origin = f"http://127.0.0.1:{cls.site.server_port}"
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.site.shutdown()
        cls.site.server_close()

    def setUp(self):
        self.page = self.browser.open(self.origin)
        self.addCleanup(self.page.close)
        self.page.wait_for("document.title === 'shop'")

    def test_a_page_that_is_named_may_send_and_not_read(self):
        with Sonde(*QUIET, "--otlp-origins", self.origin) as sonde:
            send = post(f"{sonde.url}/v1/traces", "a1" * 16, "X-Shop")
            self.assertEqual(self.page.evaluate(send), 200)
            self.assertEqual(len(sonde.json("/api/v1/traces/" + "a1" * 16)["spans"]), 1)
            read = f"fetch('{sonde.url}/api/v1/traces/{'a1' * 16}').then(() => 1).catch(() => 0)"
            self.assertEqual(self.page.evaluate(read), 0)
            remove = (f"fetch('{sonde.url}/api/v1/import/prometheus', {{method: 'POST', body: ''}})"
                      ".then(() => 1).catch(() => 0)")
            self.assertEqual(self.page.evaluate(remove), 0)

    def test_a_page_that_is_not_named_may_not(self):
        with Sonde(*QUIET, "--otlp-origins", "https://shop.example.com") as sonde:
            send = post(f"{sonde.url}/v1/traces", "a2" * 16)
            self.assertIn("Failed to fetch", self.page.evaluate(send))
            self.assertEqual(sonde.get("/api/v1/traces/" + "a2" * 16).status, 404)

    def test_what_goes_wrong_can_be_read_by_the_page(self):
        with Sonde(*QUIET, "--otlp-origins", "*") as sonde:
            wrong = (f"fetch('{sonde.url}/v1/traces', {{method: 'POST', body: '{{', "
                     "headers: {'Content-Type': 'application/json'}})"
                     ".then((answer) => answer.json()).then((status) => status.code)")
            self.assertEqual(self.page.evaluate(wrong), 3)

    def test_what_is_no_origin_is_told_before_it_starts(self):
        with self.assertRaises(AssertionError) as caught:
            Sonde(*QUIET, "--otlp-origins", "shop.example.com").start()
        self.assertIn("no origin", str(caught.exception))
        self.assertIn("https://shop.example.com", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
