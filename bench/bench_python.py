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
import urllib.request

import peers

sys.path.insert(0, str(peers.ROOT / "tests/scenario"))
import python_package  # noqa: E402

TITLE = "Python: one timed block, and a web server with the middleware"
HERE = peers.ROOT / "bench"
SERVERS = 3
PAIRS = 16
SECONDS = 1
CONNECTIONS = 8


def told(python, script):
    """What a script of ours prints, as JSON."""
    done = subprocess.run([python, HERE / script], capture_output=True, text=True,
                          env=python_package.plain_environment(), check=False)
    if done.returncode != 0:
        raise peers.Absent(f"{script} ended with {done.returncode}: {done.stderr[-300:]}")
    return json.loads(done.stdout)


def burst(program):
    """Requests per second, and nanoseconds of the server's processor per request."""
    before = program.precise_cpu_s()
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", program.url("/")],
                          capture_output=True, text=True, check=True)
    count = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))
    return rate, (program.precise_cpu_s() - before) / count * 1e9


def choose(program, kind):
    with urllib.request.urlopen(program.url(f"/bench/{kind}"), timeout=5) as answer:
        answer.read()


def web(python):
    """One server whose middleware is put in and taken out by turns; who goes first takes turns too.
    Some servers one after the other, for how memory lies differs from start to start."""
    if shutil.which("wrk") is None:
        raise peers.Absent("wrk is not installed")
    rates, costs = {"plain": [], "sonde": []}, {"plain": [], "sonde": []}
    for _ in range(SERVERS):
        port = peers.free_port()
        with peers.Program("web", [python, HERE / "python_web.py", port], port, "/",
                           environment=python_package.plain_environment()) as server:
            burst(server)  # Warm.
            for i in range(PAIRS):
                for kind in (("plain", "sonde") if i % 2 else ("sonde", "plain")):
                    choose(server, kind)
                    rate, cost = burst(server)
                    rates[kind].append(rate)
                    costs[kind].append(cost)
    return rates, costs


def median_and_spread(shares):
    """The median, and half the width of its 95 % interval."""
    shares = sorted(shares)
    half = int(0.98 * len(shares) ** 0.5)
    middle = len(shares) // 2
    spread = (shares[min(middle + half, len(shares) - 1)] - shares[max(middle - half, 0)]) / 2
    return statistics.median(shares), spread


def judged(share, spread):
    """None where the interval holds the target: the run cannot tell."""
    return True if share + spread < 0.01 else False if share - spread >= 0.01 else None


def measure(row):
    try:
        python = python_package.installed()
    except unittest.SkipTest as reason:
        raise peers.Absent(str(reason)) from reason
    cost = told(python, "python_timers.py")
    prometheus = cost["ratio"]["prometheus_time"]
    opentelemetry = cost["ratio"]["opentelemetry_record"]
    requests = told(python, "python_requests.py")
    rates, costs = web(python)
    share, spread = median_and_spread(
        1 - own / plain for own, plain in zip(rates["sonde"], rates["plain"]))
    dearer, dearer_spread = median_and_spread(
        own / plain - 1 for own, plain in zip(costs["sonde"], costs["plain"]))
    per_request = statistics.median(costs["plain"])
    timed, spans = requests["more_ns"]["timed"], requests["more_ns"]["spans"]
    return [
        row("context manager over an empty `with`", f"{cost['over_empty_ns']:.0f} ns", "≤ 400 ns",
            met=cost["over_empty_ns"] <= 400,
            note="The empty `with` is that of a lock held already, in C, which only counts."),
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
            f"{share * 100:.2f} ± {spread * 100:.2f} % "
            f"({statistics.median(rates['sonde']):,.0f} requests/s)", "< 1 %",
            {"without": f"{statistics.median(rates['plain']):,.0f} requests/s"},
            judged(share, spread),
            f"Median of {SERVERS} × {PAIRS} pairs of {SECONDS} s with and without in one process, "
            "and its 95 % interval; where that holds the target the run cannot tell."),
        row("the same, processor time of the server per request",
            f"{dearer * 100:+.2f} ± {dearer_spread * 100:.2f} % "
            f"({statistics.median(costs['sonde']) / 1e3:.1f} µs)", "< 1 %",
            {"without": f"{per_request / 1e3:.1f} µs"}, judged(dearer, dearer_spread)),
        row("ASGI middleware: processor time it adds to a request, application called in process",
            f"{timed / 1e3:.2f} µs ({timed / per_request * 100:.2f} % of a request under uvicorn)",
            "< 1 %", {"a request under uvicorn": f"{per_request / 1e3:.0f} µs"},
            timed < 0.01 * per_request),
        row("the same with a span per request for a daemon",
            f"{spans / 1e3:.2f} µs ({spans / per_request * 100:.2f} %)", "< 1 %",
            met=spans < 0.01 * per_request),
    ]
