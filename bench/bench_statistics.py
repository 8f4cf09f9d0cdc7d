# SPDX-License-Identifier: Apache-2.0
"""A million against a million beside scipy, change points beside PELT and binary segmentation, and
how often a verdict is wrong."""
import array
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import noise
import peers

sys.path.insert(0, str(peers.ROOT / "tests/scenario"))

TITLE = "Statistics: rank tests, change points, verdicts"
COUNT = 1_000_000
ROUNDS = 5
METRICS, RUNS, REPETITIONS = 50, 30, 200
REPETITIONS_LONG = 2000  # Two hundred leave a share of 4 % anywhere from 2 to 8 %.

PEER = """
import json, sys, time
import numpy as np
from scipy import stats
a, b = (np.fromfile(path) for path in sys.argv[1:3])
took = []
for _ in range(int(sys.argv[3])):
    start = time.process_time()
    answer = stats.mannwhitneyu(a, b)
    took.append((time.process_time() - start) * 1e3)
print(json.dumps({"ms": min(took), "p": answer.pvalue, "version": __import__("scipy").__version__}))
"""


def write_samples(folder):
    draw = random.Random(1)
    paths = []
    for name, centre in (("a", 100.0), ("b", 100.02)):
        path = pathlib.Path(folder) / name
        path.write_bytes(array.array("d", (draw.gauss(centre, 5) for _ in range(COUNT))).tobytes())
        paths.append(str(path))
    return paths


def ask_scipy(paths):
    """None where there is no scipy and none can be fetched."""
    with tempfile.TemporaryDirectory(prefix="sonde-bench-") as folder:
        from test_stats_scipy import find_python
        try:
            python = find_python(folder)
        except Exception as absent:  # noqa: BLE001 - a skip, told in the note
            return {"absent": str(absent)}
        done = subprocess.run([python, "-c", PEER, *paths, str(ROUNDS)], capture_output=True,
                              text=True, check=True)
        return json.loads(done.stdout)


def measure_tests(row):
    meson = peers.ROOT / "build/meson"
    subprocess.run(["ninja", "-C", meson, "bench/bench_statistics"], check=True,
                   capture_output=True)
    program = meson / "bench/bench_statistics"
    with tempfile.TemporaryDirectory(prefix="sonde-bench-") as folder:
        paths = write_samples(folder)
        ours = json.loads(subprocess.run([program, *paths], capture_output=True, text=True,
                                         check=True).stdout)["mann_whitney"]
        theirs = ask_scipy(paths)
    if "absent" in theirs:
        return [row("Mann-Whitney, 10⁶ + 10⁶, CPU", f"{ours['ms']:.0f} ms", "≥ 5 × scipy",
                    note=theirs["absent"])]
    ratio = theirs["ms"] / ours["ms"]
    off = abs(ours["p"] / theirs["p"] - 1)
    peer = f"scipy {theirs['version']}"
    return [row("Mann-Whitney, 10⁶ + 10⁶, CPU", f"{ours['ms']:.0f} ms ({ratio:.1f} ×)", "≥ 5 ×",
                {peer: f"{theirs['ms']:.0f} ms"}, ratio >= 5),
            row("its p, relative difference", f"{off:.1e}", "< 1e-9", {peer: f"{theirs['p']:.6g}"},
                off < 1e-9)]


# ---- The usual methods with the settings they come with: series of unit variance, squares about the
# mean of a stretch, and the modified BIC's penalty of 3 ln n. ----

class Squares:
    def __init__(self, values):
        centre, deviation = statistics.fmean(values), statistics.pstdev(values) or 1
        self.count = len(values)
        self.sums, self.squares = [0.0], [0.0]
        for value in values:
            scaled = (value - centre) / deviation
            self.sums.append(self.sums[-1] + scaled)
            self.squares.append(self.squares[-1] + scaled * scaled)

    def cost(self, low, high):
        total = self.sums[high] - self.sums[low]
        return self.squares[high] - self.squares[low] - total * total / (high - low)


def pelt(values):
    squares = Squares(values)
    penalty = 3 * math.log(squares.count)
    best, previous, open_starts = [-penalty], [0], [0]
    for end in range(1, squares.count + 1):
        costs = [best[start] + squares.cost(start, end) for start in open_starts]
        cheapest = min(range(len(costs)), key=costs.__getitem__)
        best.append(costs[cheapest] + penalty)
        previous.append(open_starts[cheapest])
        open_starts = [start for start, cost in zip(open_starts, costs)
                       if cost <= best[end]] + [end]
    changes, end = [], squares.count
    while previous[end] > 0:
        end = previous[end]
        changes.append(end)
    return sorted(changes)


def binary_segmentation(values, changes_max=5):
    squares = Squares(values)
    penalty = 3 * math.log(squares.count)
    ends = [0, squares.count]
    while len(ends) - 2 < changes_max:
        gains = [(squares.cost(a, b) - squares.cost(a, cut) - squares.cost(cut, b), cut)
                 for a, b in zip(ends, ends[1:]) for cut in range(a + 1, b)]
        if not gains or max(gains)[0] <= penalty:
            break
        ends = sorted([*ends, max(gains)[1]])
    return ends[1:-1]


def ours(values):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("value\n" + "".join(f"{value!r}\n" for value in values))
        file.flush()
        done = subprocess.run([peers.SONDE, "bench", "changepoints", "--json", file.name],
                              capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["indices"]


def measure_changes(row):
    from test_bench import covering, f1
    folder = peers.SHARED / "data/changepoints"
    if not (folder / "annotations.json").exists():
        raise peers.Absent(f"{folder} is absent (set SONDE_SHARED)")
    scores = {"sonde": [], "PELT": [], "binary segmentation": []}
    took = 0
    for name, marks in json.loads((folder / "annotations.json").read_text()).items():
        raw = json.loads((folder / f"series/{name}.json").read_text())["series"][0]["raw"]
        values = [float(value) for value in raw if value is not None]
        start = time.perf_counter()
        found = {"sonde": ours(values)}
        took += time.perf_counter() - start
        found |= {"PELT": pelt(values), "binary segmentation": binary_segmentation(values)}
        for method, changes in found.items():
            scores[method].append((f1(marks, changes), covering(marks, changes, len(values))))
    means = {method: [statistics.fmean(column) for column in zip(*pairs)]
             for method, pairs in scores.items()}
    mine = means.pop("sonde")
    return [row(what, f"{mine[k]:.3f}", f"above both, near {agreement}",
                {method: f"{mean[k]:.3f}" for method, mean in means.items()},
                all(mine[k] > mean[k] for mean in means.values()),
                f"Twelve annotated histories; all of them took {took:.1f} s, process starts "
                "included.")
            for k, (what, agreement) in enumerate((("change points, F1 with margin 5", "0.82"),
                                                   ("change points, covering", "0.77")))]


# ---- Verdicts, as a user has them: two files, and `sonde bench compare`. ----

def verdicts(folder, before, after):
    paths = []
    for name, metrics in (("before", before), ("after", after)):
        paths.append(folder / name)
        paths[-1].write_text(json.dumps({"metrics": metrics}))
    done = subprocess.run([peers.SONDE, "bench", "compare", "--json", *paths], capture_output=True,
                          text=True)
    return [metric["verdict"] for metric in json.loads(done.stdout)["metrics"]]


def false_alarms(folder, kinds, repetitions=REPETITIONS, seed=1):
    """The share of comparisons without any difference in which some metric is called changed."""
    draw = random.Random(seed)
    wrong = 0
    for _ in range(repetitions):
        said = verdicts(folder, noise.result(draw, kinds, RUNS), noise.result(draw, kinds, RUNS))
        wrong += any(verdict in ("degraded", "improved") for verdict in said)
    return wrong / repetitions


def detected(folder, kinds):
    """The share of comparisons in which the first metric, 5 % larger, is called degraded."""
    draw = random.Random(2)
    return sum(verdicts(folder, noise.result(draw, kinds, RUNS, 0.03),
                        noise.result(draw, kinds, RUNS, 0.03, 1.05))[0] == "degraded"
               for _ in range(REPETITIONS)) / REPETITIONS


def by_kind(measure_kind):
    return ", ".join(f"{name} {100 * measure_kind(kind):.1f} %"
                     for name, kind in noise.KINDS.items())


def oracle(tests):
    """What no test beats: the noise is known, and the first of so many p has to be alone below."""
    return ", ".join(f"{100 * noise.detectable(name, RUNS, 0.03, 1.05, 0.05 / tests):.1f} %"
                     for name in noise.KINDS)


def measure_verdicts(row):
    kinds = list(noise.KINDS.values())
    mixed = [kinds[i % len(kinds)] for i in range(METRICS)]
    with peers.scratch() as folder:
        alarms = false_alarms(folder, mixed)
        alarms_long = false_alarms(folder, mixed, REPETITIONS_LONG, seed=3)
        alone = detected(folder, [noise.lognormal])
        among = detected(folder, [noise.lognormal] * METRICS)
        among_mixed = detected(folder, mixed)
        return [
            row(f"A/A, {METRICS} metrics of {len(kinds)} kinds of noise, {RUNS} runs a side, "
                f"{REPETITIONS} repetitions: runs with a false alarm", f"{100 * alarms:.1f} %",
                "≤ 5 %", met=alarms <= 0.05,
                note="Noise of 2 to 10 %: lognormal, Student's t with two degrees of freedom, two "
                     "hills a fifth apart, neighbours that correlate by 0.6, and a drift that all "
                     "metrics of the machine share. An alarm is any metric called degraded or "
                     "improved."),
            row(f"the same, {REPETITIONS_LONG} other repetitions", f"{100 * alarms_long:.1f} %",
                "≤ 5 %", met=alarms_long <= 0.05),
            row("the same, all metrics of one kind", by_kind(
                lambda kind: false_alarms(folder, [kind] * METRICS)), "–"),
            row(f"a true shift of 5 % seen, {RUNS} runs a side, noise of 3 %",
                f"{100 * alone:.1f} % alone, {100 * among:.1f} % among {METRICS} of its kind, "
                f"{100 * among_mixed:.1f} % among those {METRICS} of {len(kinds)} kinds",
                "≥ 95 %", met=min(alone, among, among_mixed) >= 0.95),
            row("the same by the kind of noise, alone",
                by_kind(lambda kind: detected(folder, [kind])), "–", {"an oracle": oracle(1)},
                note="The oracle, in the order of kinds, is whoever knows the noise and its "
                     "correlations and estimates only the shift: of thirty runs whose neighbours "
                     "correlate by 0.6 it has as much as of eight. Among 50 metrics a single "
                     "change needs p ≤ 0.001."),
            row(f"the same by the kind of noise, among {METRICS} of {len(kinds)} kinds",
                by_kind(lambda kind: detected(folder, [kind, *mixed[1:]])), "–",
                {"an oracle": oracle(METRICS)}),
        ]


def measure(row):
    return measure_tests(row) + measure_changes(row) + measure_verdicts(row)
