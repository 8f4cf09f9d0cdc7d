# SPDX-License-Identifier: Apache-2.0
"""The shop, in Python with OpenTelemetry's SDK: three pages, each with something wrong in it.

    GET  /orders?email=…   one query over a large table that has no index for it
    GET  /cart?id=…        one query for the cart, then one for each item in it
    POST /checkout         asks the stock again and again, at once, when it fails

Environment: SHOP_PORT, SHOP_DATABASE, STOCK_URL; OTEL_EXPORTER_OTLP_ENDPOINT is the daemon's.
"""
import http.server
import json
import os
import urllib.error
import urllib.parse
import urllib.request

import psycopg2
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

ATTEMPTS = 3

provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=200))
trace.set_tracer_provider(provider)
Psycopg2Instrumentor().instrument()
tracer = trace.get_tracer("shop")
database = psycopg2.connect(os.environ["SHOP_DATABASE"])
database.autocommit = True


def orders(parameters):
    with database.cursor() as cursor:
        cursor.execute("SELECT id, total, placed_at FROM orders WHERE email = %s "
                       "ORDER BY placed_at DESC LIMIT 20", (parameters.get("email", ""),))
        return 200, [{"id": row[0], "total": float(row[1])} for row in cursor.fetchall()]


def cart(parameters):
    with database.cursor() as cursor:
        cursor.execute("SELECT item_id FROM cart_items WHERE cart_id = %s",
                       (parameters.get("id", "1"),))
        items = []
        for (item,) in cursor.fetchall():
            cursor.execute("SELECT name, price FROM items WHERE id = %s", (item,))
            name, price = cursor.fetchone()
            items.append({"name": name, "price": float(price)})
        return 200, items


def reserve():
    """One attempt; the status of the answer."""
    url = os.environ["STOCK_URL"] + "/reserve"
    attributes = {"http.request.method": "POST", "url.full": url, "server.address": "stock"}
    with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes=attributes) as span:
        headers = {}
        propagate.inject(headers)
        try:
            request = urllib.request.Request(url, data=b"{}", headers=headers, method="POST")
            with urllib.request.urlopen(request, timeout=10) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        span.set_attribute("http.response.status_code", status)
        if status >= 400:
            span.set_status(Status(StatusCode.ERROR, f"stock answered {status}"))
        return status


def checkout(_parameters):
    for _ in range(ATTEMPTS):
        if reserve() < 400:
            return 200, {"paid": True}
    return 502, {"error": "the stock does not answer"}


PAGES = {("GET", "/orders"): orders, ("GET", "/cart"): cart, ("POST", "/checkout"): checkout}


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        page = PAGES.get((self.command, url.path))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if page is None:
            self.reply(404, {"error": "no such page"})
            return
        with tracer.start_as_current_span(
                f"{self.command} {url.path}", context=propagate.extract(dict(self.headers)),
                kind=SpanKind.SERVER, attributes={"http.request.method": self.command,
                                                  "http.route": url.path}) as span:
            status, body = page(dict(urllib.parse.parse_qsl(url.query)))
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            trace_id = format(span.get_span_context().trace_id, "032x")
        self.reply(status, body, trace_id)

    do_GET = do_POST = answer

    def reply(self, status, body, trace_id=""):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Trace-Id", trace_id)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    # One request at a time: they share a connection to the database.
    with http.server.HTTPServer(("127.0.0.1", int(os.environ["SHOP_PORT"])), Shop) as server:
        server.serve_forever()
