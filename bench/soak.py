#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hours under load: whether the daemon, or the dashboard, grows, leaks or slows down.

usage: soak.py [--hours H] [--every SECONDS] [--csv FILE]     (make soak HOURS=8)

A daemon watches this machine while senders push series that partly come and go, someone asks
questions, connections are opened and dropped, and a dashboard is open in headless Chromium. Every
few seconds its memory, open files, threads, logs of the database and processor time are noted. At
the end each row is judged by its trend after the first quarter, in which caches fill: Theil and
Sen's slope, Mann and Kendall's test with the variance widened for neighbours that resemble each
other (or every slow wave is a leak). What rises significantly and by more than its floor fails.
"""
import argparse
import contextlib
import math
import pathlib
import re
import socket
import statistics
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests/scenario")]
import peers  # noqa: E402
from chromium import Browser, BrowserError, find_chromium  # noqa: E402

P_MAX = 0.01  # Less likely by chance than this: a trend.
WARM_SHARE = 0.25  # Of the time; not judged.
POINTS_MIN = 20
QUESTIONS = (
    "node_load1",
    "sum by (mode) (rate(node_cpu_seconds_total[5m]))",
    "topk(5, namedprocess_namegroup_cpu_seconds_total)",
    "quantile(0.9, soak_gauge)",
    "sum(",  # Mistakes must not cost anything either.
)
# What is watched: unit, and the growth over the judged time that nobody minds: a share of the
# level, and an amount.
ROWS = {
    "rss": ("MB", 0.05, 2),
    "anonymous": ("MB", 0.05, 2),
    "open files": ("", 0.05, 3),
    "threads": ("", 0.0, 1),
    "database logs": ("MB", 0.10, 8),
    "cpu": ("% of a core", 0.15, 0.5),
    "question": ("ms", 0.30, 2),
    "page heap": ("MB", 0.10, 5),
}


# ---- Judging a trend. ----

def slope_of(values):
    """Theil and Sen's: the median over all pairs, per step; thinned when there are many."""
    stride = max(1, len(values) // 400)
    thin = values[::stride]
    slopes = [(thin[j] - thin[i]) / (j - i) for i in range(len(thin))
              for j in range(i + 1, len(thin))]
    return statistics.median(slopes) / stride


def resemblance(values, slope):
    """Correlation of neighbours once the trend is taken away, corrected for its bias."""
    rest = [value - slope * i for i, value in enumerate(values)]
    mean = statistics.fmean(rest)
    total = sum((value - mean) ** 2 for value in rest)
    if total == 0:
        return 0.0
    r = sum((a - mean) * (b - mean) for a, b in zip(rest, rest[1:])) / total
    n = len(values)
    return min(0.99, max(0.0, (n * r + 2) / (n - 4)))


def p_of_rise(values):
    """How likely so much rising is by chance (one-sided)."""
    n = len(values)
    score = sum((b > a) - (b < a) for i, a in enumerate(values) for b in values[i + 1:])
    variance = n * (n - 1) * (2 * n + 5) / 18
    for count in (values.count(value) for value in set(values)):
        variance -= count * (count - 1) * (2 * count + 5) / 18
    if variance <= 0 or score <= 0:
        return 1.0
    r = resemblance(values, slope_of(values))
    z = (score - 1) / math.sqrt(variance * (1 + r) / (1 - r))
    return 0.5 * math.erfc(z / math.sqrt(2))


def judge(name, values):
    """(grew too much?, sentence)"""
    unit, share, amount = ROWS[name]
    values = [value for value in values if value is not None]
    warm = values[int(len(values) * WARM_SHARE):]
    if len(warm) < POINTS_MIN:
        return False, f"{name}: not enough data ({len(warm)} points)"
    level = statistics.median(warm[:max(5, len(warm) // 10)])
    grown = slope_of(warm) * (len(warm) - 1)
    p = p_of_rise(warm)
    bad = p < P_MAX and grown > max(level * share, amount)
    verdict = "GROWS" if bad else "steady" if p >= P_MAX else "rises, within its floor"
    return bad, (f"{name}: {level:.2f} → {statistics.median(warm[-max(5, len(warm) // 10):]):.2f} "
                 f"{unit}, trend {grown:+.2f} (p={p:.3f}): {verdict}")


# ---- Load. ----

def ask(url, body=None, timeout=20):
    """Reads an answer, whatever its status."""
    try:
        with urllib.request.urlopen(url, body, timeout) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()


class Load:
    """Threads that push, ask and come and go, until stopped."""

    def __init__(self, program):
        self.program = program
        self.stopping = threading.Event()
        self.failures = 0
        self.question_s = []
        self.threads = [threading.Thread(target=self.run, args=pair, daemon=True)
                        for pair in ((self.push, 1.0), (self.question, 0.5), (self.visit, 1.0))]

    def run(self, what, period_s):
        number = 0
        while not self.stopping.wait(period_s):
            try:
                what(number)
            except OSError:
                self.failures += 1
            number += 1

    def push(self, number):
        """Five hundred series that stay, and twenty that end after a minute."""
        lines = [f'soak_gauge{{n="{n}"}} {math.sin(number / 60 + n):.3f}' for n in range(500)]
        lines += [f'soak_passing{{at="{number // 60}",n="{n}"}} {number}' for n in range(20)]
        ask(self.program.url("/api/v1/import/prometheus"), "\n".join(lines).encode() + b"\n")

    def question(self, number):
        end = time.time()
        expression = QUESTIONS[number % len(QUESTIONS)]
        text = urllib.parse.urlencode({"query": expression, "start": end - 600, "end": end,
                                       "step": 5})
        begin = time.perf_counter()
        ask(self.program.url("/api/v1/query_range?" + text))
        self.question_s.append(time.perf_counter() - begin)

    def visit(self, number):
        """A connection that is dropped in the middle of a request."""
        with socket.create_connection(("127.0.0.1", self.program.port), 10) as plain:
            plain.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                          + (b"\r\n" if number % 2 else b""))

    def question_ms(self):
        taken, self.question_s = self.question_s, []
        return statistics.median(taken) * 1e3 if taken else None

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class Dashboard:
    """The first page, left open; its heap in MB. Without Chromium nothing is measured."""

    def __init__(self, program, stack):
        self.page = None
        if find_chromium() is None:
            print("no Chromium here: without a dashboard", flush=True)
            return
        self.browser = stack.enter_context(Browser(["--js-flags=--expose-gc"]))
        self.page = self.browser.open(program.url("/#/home"))
        self.page.wait_for("document.querySelector('canvas')", what="the dashboard's charts")

    def heap_mb(self):
        if self.page is None:
            return None
        self.browser.forget_events()
        try:
            return self.page.evaluate("gc(), performance.memory.usedJSHeapSize") / 1e6
        except BrowserError:
            return None


# ---- Measuring. ----

def rollup(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {key: int(size) / 1e3 for key, size in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}


class Watch:
    def __init__(self, program, load, dashboard):
        self.program, self.load, self.dashboard = program, load, dashboard
        self.last = (time.monotonic(), program.precise_cpu_s())
        self.rows = {name: [] for name in ROWS}

    def note(self):
        process = pathlib.Path(f"/proc/{self.program.process.pid}")
        memory = rollup(self.program.process.pid)
        now = (time.monotonic(), self.program.precise_cpu_s())
        figures = {
            "rss": memory["Rss"],
            "anonymous": memory["Anonymous"],
            "open files": len(list((process / "fd").iterdir())),
            "threads": len(list((process / "task").iterdir())),
            "database logs": sum(path.stat().st_size for path in
                                 self.program.folder.rglob("*-wal")) / 1e6,
            "cpu": (now[1] - self.last[1]) / (now[0] - self.last[0]) * 100,
            "question": self.load.question_ms(),
            "page heap": self.dashboard.heap_mb(),
        }
        self.last = now
        for name, value in figures.items():
            self.rows[name].append(value)
        return figures


def show(seconds, figures):
    print(f"{seconds:8.0f} s  " + "  ".join(f"{name} {value:.1f}" for name, value in figures.items()
                                            if value is not None), flush=True)


def soak(hours, every_s, csv):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(peers.scratch())
        program = stack.enter_context(peers.sonde(folder / "data"))
        load = stack.enter_context(Load(program))
        watch = Watch(program, load, Dashboard(program, stack))
        if csv:
            print("s," + ",".join(ROWS), file=csv)
        start = time.monotonic()
        while (passed := time.monotonic() - start) < hours * 3600:
            time.sleep(every_s)
            if program.process.poll() is not None:
                print(f"the daemon ended with {program.process.returncode}")
                return 1
            figures = watch.note()
            show(passed + every_s, figures)
            if csv:
                print(f"{passed:.0f}," + ",".join(f"{value:.3f}" if value is not None else ""
                                                  for value in figures.values()),
                      file=csv, flush=True)
    verdicts = [judge(name, values) for name, values in watch.rows.items()]
    print("\n" + "\n".join(sentence for _, sentence in verdicts))
    if load.failures:
        print(f"{load.failures} requests got no answer")
    return 1 if load.failures or any(bad for bad, _ in verdicts) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--hours", type=float, default=1)
    parser.add_argument("--every", type=float, help="seconds; default: 400 looks in all")
    parser.add_argument("--csv", type=argparse.FileType("w"))
    arguments = parser.parse_args()
    every_s = arguments.every or max(2, arguments.hours * 3600 / 400)
    sys.exit(soak(arguments.hours, every_s, arguments.csv))


if __name__ == "__main__":
    main()
