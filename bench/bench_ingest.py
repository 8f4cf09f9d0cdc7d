# SPDX-License-Identifier: Apache-2.0
"""The batch path without HTTP: remote-write bodies from memory to durable blocks."""
import re
import statistics
import subprocess

import data_set
import peers

TITLE = "Ingest: remote-write bodies to durable, in process"
ROUNDS = 3


def measure(row):
    program = peers.ROOT / "build/meson/bench/bench_store"
    subprocess.run(["ninja", "-C", peers.ROOT / "build/meson", "bench/bench_store"], check=True,
                   stdout=subprocess.DEVNULL)
    rates = []
    for _ in range(ROUNDS):
        done = subprocess.run([program, data_set.made("rw")], capture_output=True, text=True,
                              check=True)
        rates.append(float(re.search(r"samples per CPU second\s+([\d.]+) M", done.stdout)[1]))
    rate = statistics.median(rates)
    return [row("samples per CPU second, remote-write body to durable", f"{rate:.2f} M",
                "≥ 5 M", {"VictoriaMetrics over HTTP": "see Storage",
                          "Prometheus over HTTP": "see Storage"}, rate >= 5,
                "Requests of 500 samples, twenty to a commit, as a busy daemon gathers them.")]
