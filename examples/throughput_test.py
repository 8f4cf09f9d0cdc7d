#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much an operation can bear: one call after the other, several at once, ever more of them.

usage: throughput_test.py [--url http://127.0.0.1:8000/] [--calls 200] [--workers 8] [--stress 64]

Without --url the operation is simulated: some milliseconds each, at most 16 at a time, as behind a
pool of connections; so the stress test finds where more workers only wait for each other. Ends with
1 when the promises of the concurrent test are broken.

This is a closed loop: who waits sends nothing. For latencies under a fixed rate, without
coordinated omission, use `sonde load`.
"""
import argparse
import concurrent.futures
import random
import sys
import threading
import time
import urllib.request
from typing import Callable

import sonde

PROMISES = sonde.SLAConfig(min_success_rate=0.99, operations={
    "concurrent": sonde.SLAConfig(max_p95_latency_ms=500, min_throughput_rps=50)})

profiler = sonde.PerformanceProfiler(service_name="throughput test", level="detailed", sla=PROMISES)
places = threading.Semaphore(16)


def simulated() -> None:
    with places:
        time.sleep(random.lognormvariate(-5.3, 0.3))  # About 5 ms.


def request(url: str) -> Callable[[], None]:
    def ask() -> None:
        with urllib.request.urlopen(url, timeout=10) as response:
            response.read()

    return ask


def call(name: str, operation: Callable[[], None]) -> None:
    try:
        with profiler.timer(name):
            operation()
    except OSError:
        pass  # Counted as a failure.


def run(name: str, operation: Callable[[], None], calls: int, workers: int) -> float:
    """Calls per second."""
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for _ in range(calls):
            pool.submit(call, name, operation)
    return calls / (time.perf_counter() - began)


def tell(name: str, rate: float) -> None:
    stats = profiler.get_operation_stats(name) or {}
    print(f"{name:>12}: {rate:8.1f} calls/s   P50 {stats['p50_ms']:7.1f} ms   "
          f"P95 {stats['p95_ms']:7.1f} ms   P99 {stats['p99_ms']:7.1f} ms   "
          f"{stats['success_rate']:.1%}", flush=True)


def stress(operation: Callable[[], None], calls: int, workers_max: int) -> None:
    """Twice as many workers each time, until that brings less than a tenth more."""
    best = 0.0
    workers = 1
    while workers <= workers_max:
        name = f"stress {workers}"
        rate = run(name, operation, max(calls, 4 * workers), workers)
        tell(name, rate)
        if rate < best * 1.1:
            print(f"More than {workers // 2} workers bring no more: they wait for each other.")
            return
        best = max(best, rate)
        workers *= 2
    print(f"It bears {workers_max} workers, and may bear more.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--url", help="what is asked; else the work is simulated")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--stress", type=int, default=64, help="at most this many workers")
    options = parser.parse_args()
    operation = request(options.url) if options.url else simulated

    tell("sequential", run("sequential", operation, options.calls, 1))
    tell("concurrent", run("concurrent", operation, options.calls, options.workers))
    violations = profiler.check_sla()
    stress(operation, options.calls, options.stress)
    for sentence in violations:
        print(f"broken: {sentence}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
