# SPDX-License-Identifier: Apache-2.0
"""The Python package beside prometheus_client and OpenTelemetry, and what its ASGI middleware takes
from a web server."""
import json
import re
import shutil
import statistics
import subprocess
import sys
import unittest

import peers

sys.path.insert(0, str(peers.ROOT / "tests/scenario"))
import python_package  # noqa: E402

TITLE = "Python: one timed block, and a web server with the middleware"
HERE = peers.ROOT / "bench"
PAIRS = 25
SECONDS = 1
CONNECTIONS = 8


def timers(python):
    done = subprocess.run([python, HERE / "python_timers.py"], capture_output=True, text=True,
                          env=python_package.plain_environment(), check=False)
    if done.returncode != 0:
        raise peers.Absent(f"the timers' bench ended with {done.returncode}: {done.stderr[-300:]}")
    return json.loads(done.stdout)


def burst(program):
    """Requests per second, and nanoseconds of the server's processor per request."""
    before = program.precise_cpu_s()
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", program.url("/")],
                          capture_output=True, text=True, check=True)
    count = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))
    return rate, (program.precise_cpu_s() - before) / count * 1e9


def web(python):
    """Two servers, the same but for the middleware, take turns; who goes first takes turns too."""
    if shutil.which("wrk") is None:
        raise peers.Absent("wrk is not installed")

    def server(kind):
        port = peers.free_port()
        return peers.Program(kind, [python, HERE / "python_web.py", port, kind], port, "/",
                             environment=python_package.plain_environment())

    rates, costs = {"plain": [], "sonde": []}, {"plain": [], "sonde": []}
    with server("plain") as plain, server("sonde") as own:
        for program in (plain, own):
            burst(program)  # Warm.
        for i in range(PAIRS):
            for program in ((plain, own) if i % 2 else (own, plain)):
                rate, cost = burst(program)
                rates[program.name].append(rate)
                costs[program.name].append(cost)
    lost = statistics.median(1 - a / b for a, b in zip(rates["sonde"], rates["plain"]))
    dearer = statistics.median(a / b - 1 for a, b in zip(costs["sonde"], costs["plain"]))
    return rates, costs, lost, dearer


def measure(row):
    try:
        python = python_package.installed()
    except unittest.SkipTest as reason:
        raise peers.Absent(str(reason)) from reason
    cost = timers(python)
    prometheus = cost["ratio"]["prometheus_time"]
    opentelemetry = cost["ratio"]["opentelemetry_record"]
    rates, costs, lost, dearer = web(python)
    return [
        row("context manager over an empty `with`", f"{cost['over_empty_ns']:.0f} ns", "≤ 400 ns",
            met=cost["over_empty_ns"] <= 400,
            note="The empty `with` is that of an uncontended lock, which is written in C."),
        row("the same, whole, against `Histogram.time()`", f"{cost['ns']['sonde']:.0f} ns",
            "≥ 5 × faster",
            {"prometheus_client": f"{cost['ns']['prometheus_time']:.0f} ns ({prometheus:.1f} ×)"},
            prometheus >= 5),
        row("the same against an OpenTelemetry SDK histogram", f"{cost['ns']['sonde']:.0f} ns",
            "≥ 5 × faster",
            {"opentelemetry": f"{cost['ns']['opentelemetry_record']:.0f} ns "
                              f"({opentelemetry:.1f} ×)"}, opentelemetry >= 5),
        row("with metadata", f"{cost['ns']['sonde_with_metadata']:.0f} ns", "–"),
        row("disabled", f"{cost['ns']['sonde_disabled']:.0f} ns", "–"),
        row("ASGI middleware: throughput lost, FastAPI hello world under uvicorn",
            f"{lost * 100:.2f} % ({statistics.median(rates['sonde']):,.0f} requests/s)", "< 1 %",
            {"without": f"{statistics.median(rates['plain']):,.0f} requests/s"}, lost < 0.01,
            f"Medians of {PAIRS} pairs of {SECONDS} s runs in turn."),
        row("ASGI middleware: processor time per request",
            f"{statistics.median(costs['sonde']) / 1e3:.1f} µs ({dearer * 100:+.2f} %)", "< 1 %",
            {"without": f"{statistics.median(costs['plain']) / 1e3:.1f} µs"}, dearer < 0.01),
    ]
