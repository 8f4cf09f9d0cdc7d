#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures speed and size beside the peers and keeps the answers in bench/RESULTS.md.

usage: run.py [NAME...]   only these (see --list); others keep their last results
"""
import datetime
import importlib
import json
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from peers import Absent  # noqa: E402

KEPT = HERE / "results.json"
BENCHES = ["storage", "ingest", "reads", "idle", "memory", "start", "http", "otlp", "timer", "python",
           "statistics", "load", "trace_page"]


def row(what, sonde, target, peers=None, met=None, note=""):
    """One line of the table; all figures already as text."""
    return {"what": what, "sonde": sonde, "target": target, "peers": peers or {}, "met": met,
            "note": note}


def median(values):
    return statistics.median(values)


def write_results(results):
    lines = [
        "# Results",
        "",
        "Written by `make bench`, which runs each row beside its peers in one session. Machines "
        "differ and share their cores with others: read the ratios.",
        "",
    ]
    for name in BENCHES:
        if name not in results:
            continue
        kept = results[name]
        lines += [f"## {kept['title']}", "",
                  f"`make bench ONLY={name}` · {kept['date']} · {kept['machine']}", "",
                  "| what | sonde | target | met | peers |", "|---|---|---|---|---|"]
        for item in kept["rows"]:
            peers = "; ".join(f"{peer} {value}" for peer, value in item["peers"].items())
            met = {True: "yes", False: "**no**", None: "–"}[item["met"]]
            lines.append(f"| {item['what']} | {item['sonde']} | {item['target']} | {met} | "
                         f"{peers} |")
        notes = [item["note"] for item in kept["rows"] if item["note"]]
        lines += [""] + [f"- {note}" for note in dict.fromkeys(notes)] + ([""] if notes else [])
    (HERE / "RESULTS.md").write_text("\n".join(lines))


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    count = sum(line.startswith("processor") for line in
                pathlib.Path("/proc/cpuinfo").read_text().splitlines())
    return f"{count} × {model}"


def main():
    if "--list" in sys.argv:
        print("\n".join(BENCHES))
        return 0
    wanted = sys.argv[1:] or BENCHES
    results = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    code = 0
    for name in wanted:
        module = importlib.import_module(f"bench_{name}")
        print(f"== {module.TITLE}", flush=True)
        try:
            rows = module.measure(row)
        except Absent as reason:
            print(f"   left out: {reason}", flush=True)
            continue
        results[name] = {"title": module.TITLE, "rows": rows, "machine": machine(),
                         "date": datetime.date.today().isoformat()}
        for item in rows:
            print(f"   {item['what']}: {item['sonde']} (target {item['target']}; "
                  + "; ".join(f"{peer} {value}" for peer, value in item["peers"].items()) + ")",
                  flush=True)
            code |= item["met"] is False
        KEPT.write_text(json.dumps(results, indent=1) + "\n")
        write_results(results)
    return code


if __name__ == "__main__":
    sys.exit(main())
