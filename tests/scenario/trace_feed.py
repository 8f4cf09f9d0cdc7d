# SPDX-License-Identifier: Apache-2.0
"""Traces to look at, as OTLP JSON: a shop of six services, a trace as large as wanted, and traces
that are wrong in every way that senders have found. The same seed gives the same traces."""

import json
import random
import time

MS = 1_000_000
CHUNK = 5000  # Spans of one request.
SERVER, CLIENT, PRODUCER, CONSUMER, INTERNAL = 2, 3, 4, 5, 1


def attribute(key, value):
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    if isinstance(value, float):
        return {"key": key, "value": {"doubleValue": value}}
    return {"key": key, "value": {"stringValue": value}}


def attributes(values):
    return [attribute(key, value) for key, value in values.items()]


class Feed:
    """Collects spans by service and sends them; ids come from the seed."""

    def __init__(self, sonde, seed=1):
        self.sonde = sonde
        self.random = random.Random(seed)
        self.spans = {}
        self.logs = {}

    def trace_id(self):
        return f"{self.random.getrandbits(128):032x}"

    def span_id(self):
        return f"{self.random.getrandbits(64):016x}"

    def span(self, service, name, trace, parent, start_ns, duration_ns, kind=INTERNAL, error="",
             tags=None, events=(), links=(), span_id=None):
        span_id = span_id or self.span_id()
        span = {
            "traceId": trace, "spanId": span_id, "name": name, "kind": kind,
            "startTimeUnixNano": str(start_ns), "endTimeUnixNano": str(start_ns + duration_ns),
            "attributes": attributes(tags or {}),
        }
        if parent:
            span["parentSpanId"] = parent
        if error:
            span["status"] = {"code": 2, "message": error}
        if events:
            span["events"] = [{"timeUnixNano": str(at), "name": event,
                               "attributes": attributes(values)} for at, event, values in events]
        if links:
            span["links"] = [{"traceId": other, "spanId": of} for other, of in links]
        self.spans.setdefault(service, []).append(span)
        return span_id

    def log(self, service, trace, span_id, time_ns, text, severity=9, name="INFO"):
        self.logs.setdefault(service, []).append({
            "traceId": trace, "spanId": span_id, "timeUnixNano": str(time_ns),
            "severityNumber": severity, "severityText": name, "body": {"stringValue": text},
        })

    @staticmethod
    def resource(service):
        return {"attributes": attributes({"service.name": service, "host.name": f"{service}-1",
                                          "deployment.environment.name": "production"})}

    def post(self, path, message):
        answer = self.sonde.post(path, json.dumps(message).encode(),
                                 {"Content-Type": "application/json"})
        assert answer.status == 200, answer.text()

    def send(self):
        for service, spans in self.spans.items():
            for at in range(0, len(spans), CHUNK):
                self.post("/v1/traces", {"resourceSpans": [{
                    "resource": self.resource(service),
                    "scopeSpans": [{"scope": {"name": "shop"}, "spans": spans[at:at + CHUNK]}]}]})
        for service, records in self.logs.items():
            self.post("/v1/logs", {"resourceLogs": [{
                "resource": self.resource(service),
                "scopeLogs": [{"logRecords": records}]}]})
        self.spans, self.logs = {}, {}


def checkout(feed, start_ns, slow=False, failed=False, links=()):
    """One request through the shop, browser to database; returns its trace id."""
    rng = feed.random
    trace = feed.trace_id()
    pace = rng.lognormvariate(0, 0.25)
    took = lambda ms: int(ms * pace * MS)
    query_ms = 900 if slow else 12
    region = "eu-west" if slow or rng.random() < 0.4 else "us-east"
    at = start_ns
    sql = "SELECT * FROM stock WHERE article = $1 AND warehouse = ANY($2) FOR UPDATE"
    total = took(120 + query_ms)
    status = 500 if failed else 200
    page = feed.span("browser", "checkout click", trace, None, at, total + took(8), CLIENT,
                     tags={"url.full": "https://shop.example/checkout", "region": region})
    root = feed.span("front", "POST /checkout", trace, page, at + took(4), total, SERVER,
                     "checkout failed" if failed else "",
                     {"http.request.method": "POST", "http.route": "/checkout", "region": region,
                      "http.response.status_code": status,
                      "user.id": f"u{rng.randrange(400)}"}, links=links)
    at += took(6)
    for number in range(3):
        feed.span("front", "GET cart", trace, root, at, took(3), CLIENT,
                  tags={"db.system.name": "redis", "db.query.text": f"HGETALL cart:{number}"})
        at += took(3.4)
    call = feed.span("front", "POST /reserve", trace, root, at, took(40 + query_ms), CLIENT,
                     tags={"http.request.method": "POST"})
    stock = feed.span("stock", "POST /reserve", trace, call, at + took(2), took(34 + query_ms),
                      SERVER, tags={"http.route": "/reserve", "region": region})
    feed.span("stock", "SELECT stock", trace, stock, at + took(6), took(query_ms), CLIENT,
              tags={"db.system.name": "postgresql", "db.query.text": sql,
                    "db.namespace": "shop"})
    for number in range(6):
        feed.span("stock", "UPDATE stock", trace, stock, at + took(8 + query_ms + number * 3.4),
                  took(3), CLIENT, tags={"db.system.name": "postgresql", "db.namespace": "shop", "db.query.text":
                                         f"UPDATE stock SET held = held + 1 WHERE id = {number}"})
    feed.log("stock", trace, stock, at + took(9), f"reserved 6 articles in {region}")
    at += took(44 + query_ms)
    pay = feed.span("front", "POST /pay", trace, root, at, took(38), CLIENT,
                    "payment refused" if failed else "")
    tries = 3 if failed else 1
    for number in range(tries):
        begin = at + took(2 + number * 11)
        charge = feed.span("pay", "POST /pay", trace, pay, begin, took(9 if failed else 30), SERVER,
                           "card declined" if failed else "", {"http.route": "/pay",
                                                               "retry": number},
                           events=[(begin + took(4), "exception", {
                               "exception.type": "CardDeclined",
                               "exception.message": "the issuer said no"})] if failed else ())
        if failed:
            feed.log("pay", trace, charge, begin + took(5), "card declined by issuer", 17, "ERROR")
    send = feed.span("front", "publish order", trace, root, at + took(39), took(2), PRODUCER)
    feed.span("mail", "send receipt", trace, send, at + took(60), took(25), CONSUMER,
              tags={"messaging.system": "rabbitmq"})
    return trace


def shop(feed, count=120, span_s=600, now_ns=None):
    """Checkouts over the last minutes: most quick, some slow, some failed. Returns ids by kind."""
    now_ns = now_ns or time.time_ns()
    ids = {"quick": [], "slow": [], "failed": []}
    for number in range(count):
        start_ns = now_ns - int(span_s * 1e9 * (count - number) / count) - 2_000_000_000
        kind = "slow" if number % 11 == 5 else "failed" if number % 17 == 8 else "quick"
        before = ids["quick"][-1:]
        links = [(before[0], "00000000000000aa")] if before and number % 9 == 0 else ()
        ids[kind].append(checkout(feed, start_ns, kind == "slow", kind == "failed", links))
    feed.send()
    return ids


def large(feed, count, start_ns=None, breadth=40):
    """One trace of `count` spans: jobs with steps with calls. Sent as it grows."""
    trace = feed.trace_id()
    start_ns = start_ns or time.time_ns() - 120_000_000_000
    root = feed.span("batch", "nightly run", trace, None, start_ns, 100_000 * MS, SERVER)
    services = [f"worker-{number}" for number in range(9)]
    made, job = 1, 0
    each_ns = max(2000, 99_000 * MS // max(1, count // (breadth + 1)))
    while made < count:
        service = services[job % len(services)]
        begin = start_ns + 500_000 + job * each_ns
        parent = feed.span(service, f"job {job % 50}", trace, root, begin, each_ns - 100, CONSUMER)
        made += 1
        step_ns = max(10, (each_ns - 200) // breadth)
        for step in range(min(breadth, count - made)):
            error = "step failed" if (job * 31 + step) % 997 == 0 else ""
            feed.span(service, f"step {step % 12}", trace, parent, begin + 50 + step * step_ns,
                      step_ns * (1 + step % 3) // 3, INTERNAL, error)
            made += 1
        job += 1
        if sum(map(len, feed.spans.values())) >= 20 * CHUNK:
            feed.send()
    feed.send()
    return trace


SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def broken(feed, now_ns=None):
    """A trace for each thing that goes wrong, by its name."""
    now = (now_ns or time.time_ns()) - 30_000_000_000
    ids = {}

    trace = ids["no_root"] = feed.trace_id()
    lost = feed.span_id()
    for number in range(3):
        feed.span("lost", f"orphan {number}", trace, lost, now + number * MS, MS)

    trace = ids["cycle"] = feed.trace_id()
    first, second, own = feed.span_id(), feed.span_id(), feed.span_id()
    feed.span("loop", "hen", trace, second, now, 5 * MS, span_id=first)
    feed.span("loop", "egg", trace, first, now + MS, 2 * MS, span_id=second)
    feed.span("loop", "ouroboros", trace, own, now + 2 * MS, MS, span_id=own)

    trace = ids["times"] = feed.trace_id()
    root = feed.span("time", "root", trace, None, now, 10 * MS, SERVER)
    feed.span("time", "nothing", trace, root, now + MS, 0)
    feed.span("time", "backwards", trace, root, now + 5 * MS, -2 * MS)
    feed.span("time", "before the parent", trace, root, now - 4 * MS, MS)
    feed.span("time", "after the parent", trace, root, now + 12 * MS, 3 * MS)

    trace = ids["skew"] = feed.trace_id()
    root = feed.span("here", "GET /", trace, None, now, 20 * MS, CLIENT)
    there = feed.span("there", "GET /", trace, root, now + 4_000 * MS, 14 * MS, SERVER)
    feed.span("there", "work", trace, there, now + 4_002 * MS, 9 * MS)

    trace = ids["twice"] = feed.trace_id()
    root = feed.span("twice", "root", trace, None, now, 10 * MS, SERVER)
    same = feed.span("twice", "first", trace, root, now + MS, 2 * MS)
    feed.span("twice", "second", trace, root, now + 4 * MS, 2 * MS, span_id=same)
    feed.span("twice", "child", trace, same, now + 2 * MS, MS)

    trace = ids["huge"] = feed.trace_id()
    feed.span("huge", "a megabyte", trace, None, now, MS, SERVER,
              tags={"note": "x" * 1_000_000, "short": "y"})

    trace = ids["script"] = feed.trace_id()
    root = feed.span(SCRIPT, SCRIPT, trace, None, now, 10 * MS, SERVER, SCRIPT,
                     {SCRIPT: SCRIPT}, [(now + MS, SCRIPT, {SCRIPT: SCRIPT})])
    feed.log(SCRIPT, trace, root, now + 2 * MS, SCRIPT)

    feed.send()
    return ids
