# SPDX-License-Identifier: Apache-2.0
"""What watching one machine costs when nobody asks."""
import time
import urllib.request

import peers

TITLE = "Idle: all collectors at one second, nobody asking"
SECONDS = 60
SETTLE_S = 12


def use_of(program, poll=None):
    """CPU as a share of one core, and resident bytes, over SECONDS."""
    time.sleep(SETTLE_S)
    before = program.precise_cpu_s()
    start = time.monotonic()
    while (left := SECONDS - (time.monotonic() - start)) > 0:
        if poll is not None:
            with urllib.request.urlopen(poll) as answer:
                answer.read()
        time.sleep(min(1, left))
    share = (program.precise_cpu_s() - before) / (time.monotonic() - start)
    return share, program.rss_bytes()


def names(text, prefix):
    return {line.split("{")[0].split(" ")[0] for line in text.splitlines()
            if line.startswith(prefix)}


def measure(row):
    with peers.scratch() as folder:
        with peers.sonde(folder / "sonde") as program:
            share, rss = use_of(program)
            own = urllib.request.urlopen(program.url("/metrics")).read().decode()
        port = peers.free_port()
        with peers.Program("node_exporter", ["prometheus-node-exporter",
                                             f"--web.listen-address=127.0.0.1:{port}"],
                           port, "/") as exporter:
            peer_share, peer_rss = use_of(exporter, exporter.url("/metrics"))
            theirs = urllib.request.urlopen(exporter.url("/metrics")).read().decode()
    ours = names(own, "node_")
    missing = sorted(name for name in names(theirs, "node_") - ours
                     if not name.startswith("node_scrape_collector"))
    return [
        row("CPU, share of one core", f"{share * 100:.2f} %", "≤ 0.6 %",
            {"node_exporter, scraped each second": f"{peer_share * 100:.2f} %"}, share <= 0.006,
            "sonde collects, stores durably and serves; node_exporter only answers scrapes."),
        row("resident memory", f"{rss / 1e6:.1f} MB", "≤ 20 MB",
            {"node_exporter": f"{peer_rss / 1e6:.1f} MB"}, rss <= 20e6),
        row("node_* names", str(len(ours)), "all of node_exporter's",
            {"node_exporter": str(len(names(theirs, 'node_')))}, not missing,
            "Missing: " + ", ".join(missing) if missing else ""),
    ]
