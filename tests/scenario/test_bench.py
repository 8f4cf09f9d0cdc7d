# SPDX-License-Identifier: Apache-2.0
"""Measuring, comparing and gating: commands in turns, saved results, a planted slow-down that fails
the build with the right metric and size, the same program against itself that does not, and changes
of annotated histories found where people put them."""

import json
import math
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

from sonde import BINARY, ROOT, need_binary

GOOD, FINDING, USAGE, _, REFUSED = range(5)
HISTORIES = pathlib.Path(os.environ.get("SONDE_CHANGEPOINTS") or
                         pathlib.Path(ROOT).parent / "shared/data/changepoints")


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sonde-bench-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def bench(self, *arguments, environment=None):
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("SONDE_", "GITHUB_", "GITLAB_", "CI_"))}
        return subprocess.run([BINARY, "bench", *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120, cwd=self.folder,
                              env={**clean, "LANG": "C.UTF-8", **(environment or {})})

    def json(self, *arguments, code=GOOD):
        answer = self.bench(*arguments)
        self.assertEqual(answer.returncode, code, answer.stderr + answer.stdout)
        return json.loads(answer.stdout)

    def result(self, name, **metrics):
        return self.file(name, json.dumps({"metrics": metrics}))


def noise(seed, centre=100.0, share=0.02, count=30):
    draw = random.Random(seed)
    return [centre * (1 + share * draw.gauss(0, 1)) for _ in range(count)]


class Running(Bench):
    def test_a_command_is_measured_and_what_it_prints_is_kept(self):
        script = "import time; time.sleep(0.02); print('latency=12.5 ms\\nnoise\\nhits = 7')"
        answer = self.json("run", "--json", "--runs", "6", "--", sys.executable, "-c", script)
        metrics = answer["results"][0]["metrics"]
        self.assertEqual(metrics["latency"]["values"], [12.5] * 6)
        self.assertEqual(metrics["latency"]["unit"], "ms")
        self.assertEqual(metrics["hits"]["values"], [7] * 6)
        self.assertEqual(len(metrics["wall"]["values"]), 6)
        self.assertTrue(all(value >= 0.02 for value in metrics["wall"]["values"]))
        self.assertTrue(all(value > 1e6 for value in metrics["rss"]["values"]))
        for name in ("user", "sys", "page_faults_minor", "context_switches_voluntary"):
            self.assertIn(name, metrics)
        self.assertGreaterEqual(answer["machine"]["other_share"], 0)

    def test_two_commands_take_turns_and_the_slower_is_named(self):
        log = self.path("log")
        answer = self.json("run", "--json", "--runs", "12", "--warmup", "1",
                           "--vs", f"echo b >> {log}; sleep 0.3", f"echo a >> {log}; sleep 0.02",
                           "--save", self.path("turns.json"), code=FINDING)
        rows = {row["metric"]: row for row in answer["comparison"]["metrics"]}
        self.assertEqual(rows["wall"]["verdict"], "degraded")
        self.assertEqual(rows["wall"]["severity"], "critical")
        self.assertGreater(rows["wall"]["change"], 0.5)
        self.assertEqual(rows["wall"]["pairs"], 12)
        saved = self.json("compare", "--json", self.path("turns.json"), code=FINDING)
        self.assertEqual(saved, answer["comparison"])
        with open(log, encoding="utf-8") as file:
            order = file.read().split()
        self.assertEqual(len(order), 26)
        pairs = {tuple(order[i:i + 2]) for i in range(0, 26, 2)}
        self.assertEqual(pairs, {("a", "b"), ("b", "a")})

    def test_what_a_wandering_machine_hides_is_seen_between_neighbours(self):
        """Both drift by a third; one is 4 % slower. Runs of one round stand side by side."""
        draw = random.Random(3)
        results = []
        for level in (100, 104):
            results.append({"name": str(level), "session": "s", "metrics": {"wall": {
                "unit": "ms", "values": [level * math.exp(0.15 * math.sin(k / 5)) *
                                         draw.gauss(1, 0.01) for k in range(30)]}}})
        results[1]["metrics"]["wall"]["values"][7] = None  # A gap costs its pair alone.
        path = self.path("turns.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"results": results}, file)
        row, = self.json("compare", "--json", path, code=FINDING)["metrics"]
        self.assertEqual((row["verdict"], row["pairs"]), ("degraded", 29), row)
        self.assertAlmostEqual(row["change"], 0.04, delta=0.01)
        told = self.bench("compare", path)
        self.assertIn("n=29 pairs)", told.stdout)
        self.assertIn("Pairs: the runs took turns", told.stdout)
        results[1]["session"] = "another"
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"results": results}, file)
        row, = self.json("compare", "--json", path)["metrics"]
        self.assertEqual((row["verdict"], row["pairs"]), ("cannot tell", 0), row)

    def test_mistakes_are_told(self):
        self.assertEqual(self.bench("run").returncode, USAGE)
        self.assertEqual(self.bench("measure").returncode, USAGE)
        absent = self.bench("run", "--", "no-such-program-here")
        self.assertIn("no-such-program-here", absent.stderr)
        self.assertNotEqual(absent.returncode, GOOD)
        failing = self.bench("run", "--", sys.executable, "-c", "import sys; sys.exit('too bad')")
        self.assertEqual(failing.returncode, REFUSED)
        self.assertIn("exited with 1", failing.stderr)
        self.assertIn("too bad", failing.stderr)
        slow = self.bench("run", "--timeout", "200ms", "--", "sleep", "30")
        self.assertIn("took longer than 0.2 s", slow.stderr)


class Comparing(Bench):
    def test_saved_results_are_compared_in_benchstats_words(self):
        before = self.result("before.json", latency=noise(1), rps=noise(2), rss=noise(3))
        after = self.result("after.json", latency=noise(4, 120), rps=noise(5, 130), rss=noise(6))
        answer = self.json("compare", before, after, "--json", code=FINDING)
        rows = {row["metric"]: row for row in answer["metrics"]}
        self.assertEqual(answer["verdict"], "degraded")
        self.assertEqual(rows["latency"]["verdict"], "degraded")
        self.assertEqual(rows["rps"]["verdict"], "improved")
        self.assertEqual(rows["rss"]["verdict"], "stable")
        self.assertAlmostEqual(rows["latency"]["change"], 0.2, delta=0.02)
        text = self.bench("compare", before, after)
        self.assertRegex(text.stdout, r"latency .* \+\d+\.\d\d% \(p=0\.000 n=30\)")
        self.assertRegex(text.stdout, r"rss .* ~ \(p=0\.\d\d\d n=30\)")
        self.assertEqual(self.bench("compare", after, before).returncode, FINDING)  # rps fell.

    def test_csv_and_too_few_runs(self):
        before = self.file("before.csv", "wall,cpu\n1,2\n1.1,2\n0.9,2\n")
        after = self.file("after.csv", "metric,value\nwall,3\nwall,3.1\nwall,2.9\n")
        answer = self.json("compare", before, after, "--json")
        self.assertEqual(answer["verdict"], "cannot tell")
        self.assertAlmostEqual(answer["metrics"][0]["p_min"], 0.1)
        self.assertIn("need >= 4 samples", self.bench("compare", before, after).stdout)

    def test_damaged_files_are_refused_with_their_place(self):
        good = self.result("good.json", wall=[1, 2])
        for text, said in (("", "empty"), ("{", "bad"), ("a,a\n1,2\n", "bad:1")):
            answer = self.bench("compare", self.file("bad", text), good)
            self.assertEqual(answer.returncode, USAGE, answer.stdout)
            self.assertIn(said, answer.stderr)
        self.assertEqual(self.bench("compare", "absent", good).returncode, REFUSED)


class Gating(Bench):
    def gate(self, name, *flags, environment=None, **metrics):
        return self.bench("gate", self.result(name, **metrics), "--history",
                          self.path("history.jsonl"), *flags, environment=environment)

    def fill(self, rounds=6):
        for k in range(rounds):
            answer = self.gate("a.json", wall=noise(k), rss=noise(k + 50, 2e6, 0.01))
            self.assertEqual(answer.returncode, GOOD, answer.stdout + answer.stderr)

    def test_the_same_against_itself_passes_twenty_times_in_a_row(self):
        self.fill(20)
        with open(self.path("history.jsonl"), encoding="utf-8") as file:
            self.assertEqual(len(file.readlines()), 20)

    def test_a_planted_slow_down_fails_with_the_right_metric_and_size(self):
        self.fill()
        answer = self.gate("slow.json", "--json", wall=noise(99, 130), rss=noise(98, 2e6, 0.01))
        self.assertEqual(answer.returncode, FINDING)
        told = json.loads(answer.stdout)
        rows = {row["metric"]: row for row in told["comparison"]["metrics"]}
        self.assertEqual([name for name, row in rows.items() if row["verdict"] == "degraded"],
                         ["wall"])
        self.assertAlmostEqual(rows["wall"]["change"], 0.30, delta=0.02)
        self.assertFalse(told["recorded"])
        again = self.gate("a.json", wall=noise(7), rss=noise(57, 2e6, 0.01))
        self.assertEqual(again.returncode, GOOD)  # What failed is no part of the baseline.

    def test_a_busy_machine_is_named_when_the_gate_fails(self):
        self.fill()
        for taken, doubted in ((0.5, True), (0.01, False)):
            path = self.file("busy.json", json.dumps({"results": [
                {"taken_share": taken, "metrics": {"wall": noise(99, 140)}}]}))
            answer = self.bench("gate", path, "--history", self.path("history.jsonl"))
            self.assertEqual(answer.returncode, FINDING, answer.stdout)
            self.assertEqual("took 50 % of the processors" in answer.stdout, doubted)
        saved = self.path("saved.json")
        self.bench("run", "--runs", "4", "--save", saved, "--", "true")
        with open(saved, encoding="utf-8") as file:
            self.assertGreaterEqual(json.load(file)["results"][0]["taken_share"], 0)

    def test_a_file_of_two_results_is_refused(self):
        path = self.file("two.json", json.dumps({"results": [{"metrics": {"wall": noise(1)}},
                                                             {"metrics": {"wall": noise(2)}}]}))
        answer = self.bench("gate", path)
        self.assertEqual(answer.returncode, USAGE)
        self.assertIn("holds 2 results; the gate judges one", answer.stderr)
        self.assertIn("sonde bench compare holds two", answer.stderr)

    def test_annotations_for_github_and_gitlab(self):
        self.fill()
        summary = self.path("summary.md")
        answer = self.gate("slow.json", wall=noise(99, 140), rss=noise(98, 2e6, 0.01),
                           environment={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": summary})
        self.assertEqual(answer.returncode, FINDING)
        self.assertRegex(answer.stdout, r"(?m)^::error title=Performance::wall degraded: .*%25")
        with open(summary, encoding="utf-8") as file:
            self.assertIn("| wall |", file.read())
        report = self.path("quality.json")
        self.gate("slow.json", "--report", report, wall=noise(99, 140))
        with open(report, encoding="utf-8") as file:
            findings = json.load(file)
        self.assertEqual(len(findings), 1)
        self.assertEqual(findings[0]["check_name"], "sonde-bench")
        self.assertIn(findings[0]["severity"], ("major", "critical"))
        self.assertEqual(findings[0]["location"]["path"], self.path("history.jsonl"))
        os.remove(report)
        self.gate("slow.json", wall=noise(99, 140), environment={"GITLAB_CI": "true"})
        with open(self.path("gl-code-quality-report.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), findings)

    def test_a_flaky_metric_is_told_but_fails_nothing(self):
        lines = []
        for k in range(8):
            flaky = noise(k, 100 if k % 2 == 0 else 160)
            lines.append(json.dumps({"results": [{"metrics": {"wall": noise(k), "odd": flaky}}]}))
        self.file("history.jsonl", "\n".join(lines) + "\n")
        answer = self.gate("odd.json", "--json", "--baseline", "1", wall=noise(70),
                           odd=noise(71, 190))
        rows = {row["metric"]: row
                for row in json.loads(answer.stdout)["comparison"]["metrics"]}
        self.assertEqual(answer.returncode, GOOD)
        self.assertEqual(rows["odd"]["verdict"], "degraded")
        self.assertTrue(rows["odd"]["quarantined"])

    def test_days_that_differ_by_themselves_fail_nothing(self):
        draw = random.Random(11)
        days = [100 * (1 + 0.03 * draw.gauss(0, 1)) for _ in range(30)]
        self.file("history.jsonl", "".join(
            json.dumps({"results": [{"metrics": {"wall": noise(k, day, 0.01)}}]}) + "\n"
            for k, day in enumerate(days[:10])))
        failed = [day for k, day in enumerate(days[10:])
                  if self.gate("day.json", "--no-record", wall=noise(k + 50, day, 0.01)).returncode]
        self.assertLessEqual(len(failed), 1)
        slow = self.gate("slow.json", "--no-record", wall=noise(99, 130, 0.01))
        self.assertEqual(slow.returncode, FINDING, slow.stdout)

    def test_what_fails_is_a_degradation_from_its_threshold_on(self):
        self.fill()
        for wall, code in ((108, (FINDING, GOOD, GOOD)), (135, (FINDING, FINDING, GOOD)),
                           (170, (FINDING, FINDING, FINDING))):
            metrics = {"wall": noise(99, wall), "rss": noise(98, 2e6, 0.01)}
            for least, expected in zip(("info", "warning", "critical"), code):
                answer = self.gate("b.json", "--no-record", "--fail-on", least, **metrics)
                self.assertEqual(answer.returncode, expected, (wall, least, answer.stdout))
            usual = self.gate("b.json", "--no-record", **metrics)
            self.assertEqual(usual.returncode, code[1], usual.stdout)

    def test_what_is_let_through_is_told(self):
        self.fill()
        metrics = {"wall": noise(99, 108), "rss": noise(98, 2e6, 0.01)}
        told = self.gate("b.json", "--no-record", **metrics).stdout
        self.assertIn("1 metric got worse by less than fails the gate", told)
        answer = json.loads(self.gate("b.json", "--json", "--no-record", **metrics).stdout)
        self.assertTrue(answer["passed"])
        self.assertEqual((answer["failures"], answer["let_through"]), (0, 1))


class Changepoints(Bench):
    def test_changes_are_listed_with_the_commits_between(self):
        values = noise(1, 100, 0.01, 40) + noise(2, 110, 0.01, 40)
        text = "commit,value\n" + "".join(f"c{i},{v}\n" for i, v in enumerate(values))
        answer = self.json("changepoints", "--json", self.file("history.csv", text))
        self.assertEqual(answer["indices"], [40])
        self.assertEqual(answer["changes"][0]["last_good"], "c39")
        self.assertEqual(answer["changes"][0]["first_changed"], "c40")
        self.assertAlmostEqual(answer["changes"][0]["change"], 0.1, delta=0.02)
        self.assertIn("c39..c40", self.bench("changepoints", self.path("history.csv")).stdout)

    def test_what_is_no_history_is_refused_and_what_is_flat_has_no_change(self):
        for text, code, said in (("", USAGE, "empty"), ("value\n", USAGE, "no column"),
                                 ("value\n" + "1\n" * 50001, REFUSED, "one median for")):
            answer = self.bench("changepoints", self.file("h.csv", text))
            self.assertEqual(answer.returncode, code, answer.stdout)
            self.assertIn(said, answer.stderr)
        for text in ("value\n1\n", "value\n" + "5\n" * 100, "value\nNaN\n3\nNaN\n"):
            path = self.file("h.csv", text)
            self.assertEqual(self.json("changepoints", "--json", path)["indices"], [])
        rising = "value\n" + "".join(f"{-v}\n" for v in noise(1, 100, 0.01, 40)
                                     + noise(2, 110, 0.01, 40))
        answer = self.json("changepoints", "--json", self.file("h.csv", rising))
        self.assertAlmostEqual(answer["changes"][0]["change"], -0.1, delta=0.02)

    def test_the_gates_history_tells_the_commit_that_changed_a_metric(self):
        lines = []
        for i in range(60):
            metrics = {"wall": noise(i, 100 if i < 35 else 108, 0.01, 5), "rss": noise(i + 99, 50)}
            lines.append(json.dumps({"commit": f"c{i}", "results": [{"metrics": metrics}]}))
        path = self.file("history.jsonl", "\n".join(lines) + "\n")
        answer = self.json("changepoints", "--json", "--history", path)
        found = {metric["column"]: metric for metric in answer["metrics"]}
        self.assertEqual(found["wall"]["indices"], [35])
        self.assertEqual(found["wall"]["changes"][0]["last_good"], "c34")
        self.assertEqual(found["wall"]["changes"][0]["first_changed"], "c35")
        self.assertEqual(found["rss"]["indices"], [])
        one = self.json("changepoints", "--json", "--history", path, "--column", "wall")
        self.assertEqual(one, found["wall"])
        text = self.bench("changepoints", "--history", path).stdout
        self.assertIn("c34..c35", text)
        self.assertIn("No change in the 60 values of rss", text)

    def test_an_empty_history_and_a_broken_one_are_told(self):
        nothing = self.bench("changepoints", "--history", self.path("none.jsonl"))
        self.assertNotEqual(nothing.returncode, GOOD)
        self.assertIn("holds no results", nothing.stderr)
        self.assertIn("--shared NAME", nothing.stderr)
        for line, said in (("{\"results\":[]}", "broken.jsonl:2"), ("{", "broken.jsonl:2")):
            path = self.file("broken.jsonl", "{\"wall\":[1,2,3]}\n" + line + "\n")
            for words in (("changepoints",), ("gate", self.file("r.json", "{\"wall\":[1,2,3]}"))):
                answer = self.bench(*words, "--history", path)
                self.assertEqual(answer.returncode, USAGE, answer.stdout)
                self.assertIn(said, answer.stderr)

    def test_gaps_keep_their_rows_and_columns_can_be_chosen(self):
        rows = [f"{i},{'' if i % 10 == 3 else (5 if i < 30 else 9) + i % 3 * 0.1},7"
                for i in range(60)]
        path = self.file("h.csv", "t,a,b\n" + "\n".join(rows) + "\n")
        self.assertEqual(self.json("changepoints", "--json", path)["indices"], [30])
        self.assertEqual(self.json("changepoints", "--json", "--column", "b", path)["indices"], [])
        self.assertEqual(self.bench("changepoints", "--column", "c", path).returncode, USAGE)

    def test_annotated_histories_are_cut_where_people_cut_them(self):
        if not (HISTORIES / "annotations.json").exists():
            self.skipTest(f"{HISTORIES} is absent (set SONDE_CHANGEPOINTS)")
        annotations = json.loads((HISTORIES / "annotations.json").read_text())
        scores = []
        for name, marks in sorted(annotations.items()):
            raw = json.loads((HISTORIES / f"series/{name}.json").read_text())["series"][0]["raw"]
            path = self.file("series.csv", "value\n" + "".join(
                f"{'' if v is None else v}\n" if v is not None else "NaN\n" for v in raw))
            found = self.json("changepoints", "--json", path)["indices"]
            scores.append((f1(marks, found), covering(marks, found, len(raw))))
        mean_f1, mean_covering = (sum(column) / len(scores) for column in zip(*scores))
        self.assertGreaterEqual(mean_f1, 0.82)
        self.assertGreaterEqual(mean_covering, 0.74)


def matched(truth, found, margin=5):
    """Marks of truth that have a found place of their own within the margin."""
    left, hits = set(found), set()
    for mark in sorted(truth):
        near = sorted((abs(mark - place), place) for place in left if abs(mark - place) <= margin)
        if near:
            hits.add(mark)
            left.remove(near[0][1])
    return hits


def f1(annotations, found):
    """F1 with margin 5; index 0 counts as a change for all, recall is the mean over annotators."""
    truths = [set(marks) | {0} for marks in annotations.values()]
    found = set(found) | {0}
    precision = len(matched(set().union(*truths), found)) / len(found)
    recall = sum(len(matched(truth, found)) / len(truth) for truth in truths) / len(truths)
    return 2 * precision * recall / (precision + recall)


def covering(annotations, found, count):
    def pieces(marks):
        ends = [0, *sorted({mark for mark in marks if 0 < mark < count}), count]
        return [set(range(a, b)) for a, b in zip(ends, ends[1:])]

    ours = pieces(found)
    return sum(sum(len(piece) * max(len(piece & other) / len(piece | other) for other in ours)
                   for piece in pieces(marks)) / count
               for marks in annotations.values()) / len(annotations)


if __name__ == "__main__":
    unittest.main()
