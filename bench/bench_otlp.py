# SPDX-License-Identifier: Apache-2.0
"""Spans as SDKs send them, over real HTTP, kept durably: how much CPU they take, how much room, and
how soon they are found again; beside Jaeger all-in-one with Badger, fed the same bytes."""
import json
import os
import pathlib
import socket
import sys
import statistics
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import peers

sys.path.insert(0, str(peers.ROOT / "tools"))
import peer_jaeger  # noqa: E402

TITLE = "Traces: OTLP over HTTP, stored, found"
MESSAGE_SPANS = 512
SENDERS = 8
MESSAGES = int(os.environ.get("SONDE_BENCH_SPANS", 10_000_000)) // MESSAGE_SPANS
SEARCH_SPAN_S = 3600  # They are an hour's.
JAEGER_MESSAGES = 200
LARGE_TRACE_MESSAGES = 1954  # A million spans.


def writer(messages, base_ns, step_ns, per_trace):
    """A program that writes messages of 512 spans, built with the others."""
    program = peers.ROOT / "build/meson/bench/bench_otlp_write"
    subprocess.run(["ninja", "-C", peers.ROOT / "build/meson", "bench/bench_otlp_write"],
                   check=True, stdout=subprocess.DEVNULL)
    return subprocess.Popen([program, str(messages), str(base_ns), str(step_ns),
                             str(per_trace)],
                            stdout=subprocess.PIPE, bufsize=1 << 20)


class Posting:
    """Senders that take messages off one stream and post each on their own connection."""

    def __init__(self, port, stream):
        self.port = port
        self.stream = stream
        self.lock = threading.Lock()
        self.failed = None
        self.bytes = 0

    def take(self):
        with self.lock:
            head = self.stream.read(4)
            return self.stream.read(int.from_bytes(head, "big")) if len(head) == 4 else None

    def send(self):
        head = (f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
                "Content-Type: application/x-protobuf\r\nContent-Length: ")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
                answers = connection.makefile("rb")
                while (message := self.take()) is not None and self.failed is None:
                    while True:
                        connection.sendall(f"{head}{len(message)}\r\n\r\n".encode() + message)
                        status, body = self.read(answers)
                        if status not in (429, 503):
                            break
                        time.sleep(0.2)
                    self.bytes += len(message)
                    if status != 200 or body not in (b"", b"\n\0"):  # Nothing was rejected.
                        raise OSError(f"answered {status} {body[:200]!r}")
        except OSError as error:
            self.failed = error

    @staticmethod
    def read(answers):
        status = int(answers.readline().split()[1])
        size = 0
        while (line := answers.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        return status, answers.read(size)

    def run(self):
        senders = [threading.Thread(target=self.send) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        if self.failed is not None:
            raise self.failed


def feed(program, port, messages, base_ns, step_ns, per_trace=10):
    """Spans per CPU second and per second; the most memory that it took, and at the end."""
    made = writer(messages, base_ns, step_ns, per_trace)
    posting = Posting(port, made.stdout)
    memory = []
    done = threading.Event()

    def watch():
        while not done.wait(0.1) and program.process.poll() is None:
            memory.append(program.rss_bytes())
    watcher = threading.Thread(target=watch)
    cpu_s, began = program.precise_cpu_s(), time.perf_counter()
    watcher.start()
    try:
        posting.run()
    finally:
        done.set()
        watcher.join()
        made.stdout.close()
        made.wait()
    seconds = time.perf_counter() - began
    cpu_s = program.precise_cpu_s() - cpu_s
    spans = messages * MESSAGE_SPANS
    return {"per_cpu_s": spans / cpu_s, "per_s": spans / seconds, "rss": memory}


def ask(program, path, **parameters):
    url = program.url(path) + "?" + urllib.parse.urlencode(parameters)
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=300) as answer:
        body = answer.read()
    return (time.perf_counter() - began) * 1000, body


def trace_id(number):
    """As sdk_spans.h makes it."""
    mask = (1 << 64) - 1
    halves = [(number + 1) * factor & mask for factor in (0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9)]
    return "".join(half.to_bytes(8, "little").hex() for half in halves)


def measure_sonde_reads(program, messages, base_ns):
    traces = messages * MESSAGE_SPANS // 10
    by_id, searches = [], []
    for i in range(101):
        ms, body = ask(program, f"/api/v1/traces/{trace_id(i * 7919 % traces)}")
        if b'"spanId"' not in body and b'"span_id"' not in body:
            raise AssertionError(f"a trace is not found: {body[:200]!r}")
        by_id.append(ms)
    query = ('{ resource.service.name = "checkout" && duration > 19ms '
             '&& span.http.response.status_code = 500 }')
    for _ in range(15):
        ms, body = ask(program, "/api/v1/traces/search", q=query,
                       start=base_ns // 10**9, end=base_ns // 10**9 + SEARCH_SPAN_S + 1, limit=20)
        if not json.loads(body).get("traces"):
            raise AssertionError(f"a search finds nothing: {body[:200]!r}")
        searches.append(ms)
    return statistics.median(by_id), statistics.median(searches)




def settled(program):
    """What is over is written to its place within seconds."""
    before = -1.0
    while program.precise_cpu_s() - before > 0.05:
        before = program.precise_cpu_s()
        time.sleep(1.5)


def jaeger(folder):
    """All-in-one with Badger, and a queue as long as what it is sent: it drops what finds no room."""
    try:
        binary = peer_jaeger.binary()
    except peer_jaeger.Absent as absence:
        raise peers.Absent(str(absence)) from absence
    otlp, query = peers.free_port(), peers.free_port()
    names = ["collector.grpc-server.host-port", "collector.otlp.grpc.host-port",
             "collector.http-server.host-port", "http-server.host-port", "admin.http.host-port",
             "query.grpc-server.host-port", "processor.jaeger-binary.server-host-port",
             "processor.jaeger-compact.server-host-port",
             "processor.zipkin-compact.server-host-port"]
    command = [binary, f"--query.http-server.host-port=127.0.0.1:{query}",
               f"--collector.otlp.http.host-port=127.0.0.1:{otlp}", "--badger.ephemeral=false",
               f"--badger.directory-key={folder}/keys", f"--badger.directory-value={folder}/values",
               "--log-level=error", f"--collector.queue-size={JAEGER_MESSAGES * MESSAGE_SPANS}", *(f"--{name}=127.0.0.1:{peers.free_port()}" for name in names)]
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    program = peers.Program("Jaeger", command, query, "/api/services", folder,
                            {"SPAN_STORAGE_TYPE": "badger"})
    return program, otlp


def measure_jaeger(base_ns):
    with peers.scratch() as folder:
        program, otlp = jaeger(folder)
        with program:
            cpu_s = program.precise_cpu_s()
            feed(program, otlp, JAEGER_MESSAGES, base_ns, 360000)
            settled(program)  # It answers before it has written.
            cpu_s = program.precise_cpu_s() - cpu_s
            by_id = []
            for i in range(21):
                ms, body = ask(program, f"/api/traces/{trace_id(i * 401)}")
                by_id.append(ms)
                if b'"spanID"' not in body:
                    raise AssertionError("Jaeger does not find a trace")
        spans = JAEGER_MESSAGES * MESSAGE_SPANS
        return {"per_cpu_s": spans / cpu_s, "bytes": peers.folder_bytes(folder) / spans,
                "by_id": statistics.median(by_id)}


def measure_large_trace(folder):
    with peers.sonde(folder, "--collect-off", "all", "--no-otlp-enabled") as own:
        began = time.perf_counter()
        feed(own, own.port, LARGE_TRACE_MESSAGES, time.time_ns() - 600 * 10**9, 500000, 10**9)
        stored_s = time.perf_counter() - began
        settled(own)
        columns_ms, body = ask(own, f"/api/v1/traces/{trace_id(0)}", format="columns")
        return stored_s, columns_ms / 1000, len(body), own.rss_bytes()


def measure_own(folder):
    base_ns = time.time_ns() - SEARCH_SPAN_S * 10**9
    with peers.sonde(folder, "--collect-off", "all", "--no-otlp-enabled") as own:
        found = feed(own, own.port, MESSAGES, base_ns,
                     SEARCH_SPAN_S * 10**9 // (MESSAGES * MESSAGE_SPANS))
        settled(own)
        found["by_id"], found["search"] = measure_sonde_reads(own, MESSAGES, base_ns)
    found["bytes"] = peers.folder_bytes(folder) / (MESSAGES * MESSAGE_SPANS)
    return found


def growth(memory):
    """Of the second half over the first: what is flat has none."""
    half = len(memory) // 2
    return statistics.median(memory[half:]) / statistics.median(memory[:half]) - 1


def measure(row):
    with peers.scratch() as folder:
        own = measure_own(folder)
    with peers.scratch() as folder:
        stored_s, opened_s, size, rss = measure_large_trace(folder)
    try:
        other = measure_jaeger(time.time_ns() - 600 * 10**9)
    except peers.Absent as absence:
        other = None
        print(f"   Jaeger is left out: {absence}", flush=True)
    ratio = own["per_cpu_s"] / other["per_cpu_s"] if other else None
    memory = own["rss"]
    count = f"{MESSAGES * MESSAGE_SPANS / 1e6:.1f} M"
    rate_met = own["per_cpu_s"] >= 200000 and (ratio is None or ratio >= 10)
    jaeger_says = (lambda text: {"Jaeger": text}) if other else (lambda text: {})
    return [
        row("spans per CPU second, OTLP/HTTP protobuf, 12 attributes, acknowledged when on disk",
            f"{own['per_cpu_s']:,.0f}" + (f" ({ratio:.1f} × Jaeger)" if ratio else ""),
            "≥ 200,000; ≥ 10 × Jaeger",
            jaeger_says(f"{other['per_cpu_s']:,.0f}" if other else ""), rate_met,
            "Jaeger is all-in-one with Badger; what it still does after its last answer is counted, "
            "and it is not durable when it answers."),
        row("bytes a span on disk", f"{own['bytes']:.1f}", "≤ 60, below Jaeger's",
            jaeger_says(f"{other['bytes']:.1f}" if other else ""),
            own["bytes"] <= 60 and (other is None or own["bytes"] < other["bytes"])),
        row(f"a trace by id in {count} spans, over HTTP, p50", f"{own['by_id']:.2f} ms", "≤ 3 ms",
            jaeger_says(f"{other['by_id']:.2f} ms in 0.1 M" if other else ""), own["by_id"] <= 3),
        row(f"search by service, duration and attribute over the hour of them, p50",
            f"{own['search']:.0f} ms", "≤ 50 ms", {}, own["search"] <= 50,
            "TraceQL, over HTTP: the newest 20 traces, each read whole."),
        row("resident memory while they come at full rate",
            f"{max(memory) / 1e6:.0f} MB, {growth(memory):+.0%}", "flat, < 300 MB", {},
            max(memory) < 300e6 and growth(memory) < 0.25,
            "The most of it, and how much more it is in the second half than in the first."),
        row("a trace of 1.0 M spans: stored; read as the page does",
            f"{stored_s:.1f} s; {opened_s:.2f} s, {size / 1e6:.0f} MB, {rss / 1e6:.0f} MB resident",
            "read < 2 s", {}, opened_s < 2),
    ]
