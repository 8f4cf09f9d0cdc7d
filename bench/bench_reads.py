# SPDX-License-Identifier: Apache-2.0
"""Questions over the data set, asked of each peer over HTTP by wrk on one connection. Each is asked as it
is after taking the data in, like a server that has run for a day."""
import contextlib
import re
import shutil
import statistics
import subprocess
import urllib.parse

import bench_storage
import data_set
import peers

TITLE = "Reads: the same questions over the same 24 h, one at a time over HTTP"
ROUNDS = 5
SECONDS = 2
END_S = data_set.START_S + 86400

GAUGE = 'node_memory_MemFree_bytes{instance="host-0:9100"}'
RATES = 'sum by(mode)(rate(node_cpu_seconds_total{instance=~"host-[01]:9100",mode!~"irq|steal"}[5m]))'
QUANTILE = 'quantile(0.95, {job="node"})'

QUESTIONS = [
    ("one gauge, 24 h at 60 s", "query_range",
     {"query": GAUGE, "start": data_set.START_S, "end": END_S, "step": 60}, 0.5),
    ("sum by(mode)(rate[5m]) over 96 series, 24 h at 60 s", "query_range",
     {"query": RATES, "start": data_set.START_S, "end": END_S, "step": 60}, 5),
    ("quantile(0.95) over 2,000 series at an instant in the past", "query",
     {"query": QUANTILE, "time": data_set.START_S + 43200}, 5),
    ("quantile(0.95) over 2,000 series at the newest instant", "query",
     {"query": QUANTILE, "time": END_S - 1}, 1),
]


def milliseconds(program, route, parameters):
    """Median latency as wrk sees it on one connection."""
    url = program.url(f"/api/v1/{route}?" + urllib.parse.urlencode(parameters))
    done = subprocess.run(["wrk", "-t1", "-c1", f"-d{SECONDS}s", "--latency", url],
                          capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout:
        raise peers.Absent(f"{program.name} refused {url}")
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def measure(row):
    if shutil.which("wrk") is None:
        raise peers.Absent("wrk is not installed")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(peers.scratch())
        programs = [stack.enter_context(start(folder / name))
                    for name, start in bench_storage.PROGRAMS]
        for program in programs:
            bench_storage.send(program, bench_storage.CONNECTIONS)
        rows = []
        for what, route, parameters, target in QUESTIONS:
            taken = {program.name: [] for program in programs}
            for _ in range(ROUNDS):
                for program in programs:
                    taken[program.name].append(milliseconds(program, route, parameters))
            middle = {name: statistics.median(values) for name, values in taken.items()}
            rows.append(row(what, f"{middle['sonde']:.2f} ms", f"≤ {target} ms",
                            {name: f"{value:.2f} ms" for name, value in middle.items()
                             if name != "sonde"}, middle["sonde"] <= target))
    return rows
