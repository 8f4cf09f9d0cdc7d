# SPDX-License-Identifier: Apache-2.0
"""Run by bench_python.py inside the package's environment: what one timed block costs, in
nanoseconds, by kind, as JSON. All kinds take turns within a round, so that they share its weather."""
import json
import threading
import time

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, Histogram

from sonde import PerformanceProfiler

ROUNDS = 40
LOOPS = 10000

profiler = PerformanceProfiler(service_name="bench")
disabled = PerformanceProfiler(service_name="bench", level="disabled")
prometheus = Histogram("bench_seconds", "A block.", registry=CollectorRegistry())
meter = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("bench")
histogram = meter.create_histogram("bench.seconds")
nothing = threading.RLock()  # A context manager in C; held already, it only counts up and down.
nothing.acquire()


def empty():
    for _ in range(LOOPS):
        with nothing:
            pass


def sonde():
    for _ in range(LOOPS):
        with profiler.timer("retrieval"):
            pass


def sonde_with_metadata():
    for _ in range(LOOPS):
        with profiler.timer("retrieval", metadata={"index": "docs"}):
            pass


def sonde_disabled():
    for _ in range(LOOPS):
        with disabled.timer("retrieval"):
            pass


def prometheus_time():
    for _ in range(LOOPS):
        with prometheus.time():
            pass


def opentelemetry_record():
    clock = time.perf_counter
    for _ in range(LOOPS):
        start = clock()
        histogram.record(clock() - start)


KINDS = [empty, sonde, sonde_with_metadata, sonde_disabled, prometheus_time, opentelemetry_record]
costs = {kind.__name__: [] for kind in KINDS}
for kind in KINDS:
    kind()  # Warm.
for _ in range(ROUNDS):
    for kind in KINDS:
        start = time.perf_counter_ns()
        kind()
        costs[kind.__name__].append((time.perf_counter_ns() - start) / LOOPS)
# The least of the rounds is what it costs; the rest is what others on the machine took.
least = {name: min(values) for name, values in costs.items()}
print(json.dumps({
    "ns": least,
    "over_empty_ns": least["sonde"] - least["empty"],
    "ratio": {name: least[name] / least["sonde"]
              for name in ("prometheus_time", "opentelemetry_record")},
}))
