# SPDX-License-Identifier: Apache-2.0
"""Run by bench_python.py inside the package's environment: what the middleware adds to a request,
in nanoseconds of processor time, as JSON. The application is called without a server, so that
nothing but the middleware differs; kinds take turns."""
import asyncio
import json
import statistics
import time

from fastapi import FastAPI

from sonde import PerformanceProfiler, integrate_performance_profiling

ROUNDS = 150
LOOPS = 300
HEADERS = [(b"host", b"127.0.0.1"), (b"user-agent", b"bench"), (b"accept", b"*/*"),
           (b"accept-encoding", b"gzip"), (b"connection", b"keep-alive")]


def applications():
    """The same application thrice: as it is, timed, and with spans for a daemon that is away."""
    app = FastAPI()

    @app.get("/")
    async def hello():
        return {"hello": "world"}

    plain = app.build_middleware_stack()
    stacks = {"plain": plain}
    for kind, endpoint in (("timed", ""), ("spans", "http://127.0.0.1:9")):
        profiler = PerformanceProfiler(service_name="bench", endpoint=endpoint)
        app.user_middleware.clear()
        integrate_performance_profiling(app, profiler, path=None)
        stacks[kind] = app.build_middleware_stack()
    return app, stacks


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message):
    pass


async def run(app):
    start = time.thread_time_ns()
    for _ in range(LOOPS):
        await app({"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1",
                   "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 5), "scheme": "http",
                   "method": "GET", "root_path": "", "path": "/", "raw_path": b"/",
                   "query_string": b"", "headers": HEADERS, "state": {}}, receive, send)
    return (time.thread_time_ns() - start) / LOOPS


async def main():
    app, stacks = applications()
    costs = {kind: [] for kind in stacks}
    for number in range(ROUNDS + 5):
        for kind in sorted(stacks, reverse=number % 2 == 0):
            app.middleware_stack = stacks[kind]
            cost = await run(app)
            if number >= 5:  # The first ones warm up.
                costs[kind].append(cost)
    print(json.dumps({
        "ns": {kind: statistics.median(values) for kind, values in costs.items()},
        "more_ns": {kind: statistics.median(own - none for own, none in
                                            zip(values, costs["plain"]))
                    for kind, values in costs.items()}}))


asyncio.run(main())
