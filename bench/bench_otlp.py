# SPDX-License-Identifier: Apache-2.0
"""Spans as SDKs send them, over real HTTP, kept durably: how much CPU they take, how much room, and
how soon they are found again; beside Jaeger all-in-one with Badger, fed the same bytes."""
import json
import re
import socket
import statistics
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import peers

TITLE = "Traces: OTLP over HTTP, stored, found"
MESSAGE_SPANS = 512
SENDERS = 8
INGEST_MESSAGES = 2000
SEARCH_MESSAGES = 19532  # Ten million spans,
SEARCH_SPAN_S = 3600  # over an hour.
JAEGER_MESSAGES = 200
LARGE_TRACE_SPANS = 1000000


def writer(messages, base_ns, step_ns):
    """A program that writes messages of 512 spans, built with the others."""
    program = peers.ROOT / "build/meson/bench/bench_otlp_write"
    subprocess.run(["ninja", "-C", peers.ROOT / "build/meson", "bench/bench_otlp_write"],
                   check=True, stdout=subprocess.DEVNULL)
    return subprocess.Popen([program, str(messages), str(base_ns), str(step_ns)],
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
                    if status != 200 or body:
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


def feed(program, port, messages, base_ns, step_ns):
    """Spans per CPU second and per second; the most memory that it took, and at the end."""
    made = writer(messages, base_ns, step_ns)
    posting = Posting(port, made.stdout)
    memory = []
    done = threading.Event()

    def watch():
        while not done.wait(0.1):
            memory.append(program.rss_bytes())
    watcher = threading.Thread(target=watch)
    cpu_s, began = program.precise_cpu_s(), time.perf_counter()
    watcher.start()
    posting.run()
    seconds = time.perf_counter() - began
    cpu_s = program.cpu_s() - cpu_s
    done.set()
    watcher.join()
    made.wait()
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


if __name__ == "__main__":
    import sys
    count = int(sys.argv[1])
    with peers.scratch() as folder, peers.sonde(folder, "--collect-off", "all",
                                                "--no-otlp-enabled") as own:
        base = time.time_ns() - 3600 * 10**9
        step = 3600 * 10**9 // (count * MESSAGE_SPANS)
        result = feed(own, own.port, count, base, step)
        memory = result.pop("rss")
        print(result, "rss max", max(memory) >> 20, "median", statistics.median(memory) / 2**20,
              "disk", peers.folder_bytes(folder) / count / MESSAGE_SPANS)
        print(measure_sonde_reads(own, count, base))
        own.stop()
        print("disk after", peers.folder_bytes(folder) / count / MESSAGE_SPANS)
