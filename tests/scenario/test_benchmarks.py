# SPDX-License-Identifier: Apache-2.0
"""A stretch of history kept by name: a slow-down is found against it with its size, calm is not
called a change, and the daemon looks by itself when told to. What is usual at an hour of the week is
learnt from weeks of values."""
import json
import os
import random
import subprocess
import time
import unittest

from sonde import BINARY, Scenario, Sonde, wait_for

HOUR = 3600


def exposition(name, points):
    lines = [f"# TYPE {name} gauge"]
    lines += [f"{name} {value:.6f} {int(when * 1000)}" for when, value in points]
    return ("\n".join(lines) + "\n").encode()


def noisy(generator, start, end, step, level):
    when = start
    while when < end:
        yield when, level * generator.gauss(1, 0.05)
        when += step


class Benchmarks(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        generator = random.Random(20)
        cls.now = time.time()
        slow = list(noisy(generator, cls.now - 2 * HOUR, cls.now - HOUR, 20, 0.100))
        slow += list(noisy(generator, cls.now - HOUR, cls.now, 20, 0.150))
        calm = list(noisy(generator, cls.now - 2 * HOUR, cls.now, 20, 0.100))
        weeks = []
        for hour in range(4 * 168):
            when = (int(cls.now) // HOUR - hour) * HOUR
            busy = time.gmtime(when).tm_hour >= 8 and time.gmtime(when).tm_wday < 5
            for quarter in range(4):
                level = 1000 if busy else 100
                weeks.append((when - quarter * 900, level * generator.gauss(1, 0.03)))
        for name, points in (("answer_seconds", slow), ("calm_seconds", calm),
                             ("visits", sorted(weeks))):
            answer = cls.sonde.post("/api/v1/import/prometheus", exposition(name, points))
            assert answer.status in (200, 204), answer.text()

    def create(self, **body):
        answer = self.sonde.post("/api/performance/benchmarks", json.dumps(body).encode(),
                                 {"Content-Type": "application/json"})
        return answer.status, answer.json()

    def command(self, *words):
        return subprocess.run([BINARY, "bench", *words, "--url", self.sonde.url],
                              capture_output=True, text=True, timeout=60,
                              env={**os.environ, "NO_COLOR": "1"})

    def test_a_gate_holds_results_against_a_history_that_the_daemon_keeps(self):
        generator = random.Random(21)
        path = os.path.join(self.sonde.folder, "result.json")

        def gate(level, *words):
            values = [level * generator.gauss(1, 0.02) for _ in range(20)]
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"metrics": {"wall": {"unit": "s", "values": values}}}, file)
            done = self.command("gate", path, "--shared", "checkout", "--json", *words)
            return done.returncode, json.loads(done.stdout)

        for history in range(3):
            code, told = gate(1)
            self.assertEqual((code, told["history"], told["recorded"]), (0, history, True), told)
        code, told = gate(1.4)
        self.assertEqual((code, told["recorded"]), (1, False))
        self.assertAlmostEqual(told["comparison"]["metrics"][0]["change"], 0.4, delta=0.05)
        kept = self.sonde.get("/api/v1/performance/histories/checkout?limit=2").text().split("\n")
        self.assertEqual(len(json.loads(kept[1])["results"][0]["metrics"]["wall"]["values"]), 20)
        self.assertEqual(kept[2:], [""])
        self.assertEqual(self.sonde.get("/api/v1/performance/histories/other").text(), "")
        self.assertEqual(gate(1, "--shared", "no name/at all")[0], 2)
        for body in (b"", b"{", b"wall\n1\n", b'{"metrics":\n{"wall": [1]}}'):
            answer = self.sonde.post("/api/v1/performance/histories/checkout", body,
                                     {"Content-Type": "application/json"})
            self.assertEqual(answer.status, 400, answer.text())

    def test_a_slow_down_is_found_with_its_size_and_calm_is_not(self):
        status, made = self.create(
            name="before", end_ms=int((self.now - HOUR) * 1000), range="55m", step="20s",
            queries={"answer": {"query": "answer_seconds", "unit": "s"},
                     "calm": {"query": "calm_seconds", "unit": "s"}})
        self.assertEqual(status, 201, made)
        self.assertEqual([metric["metric"] for metric in made["metrics"]], ["answer", "calm"])
        self.assertGreater(made["metrics"][0]["values"]["n"], 150)
        told = self.sonde.json("/api/performance/benchmarks/before/compare")
        verdicts = {metric["metric"]: metric for metric in told["metrics"]}
        self.assertEqual(told["verdict"], "degraded")
        self.assertEqual(verdicts["answer"]["severity"], "warning")
        self.assertAlmostEqual(verdicts["answer"]["change"], 0.5, delta=0.05)
        self.assertEqual(verdicts["calm"]["verdict"], "stable")
        for wrong in ("alpha=2", "alpha=-1", "min_change=x", "threshold=11", "start=5&end=1"):
            answer = self.sonde.get(f"/api/performance/benchmarks/before/compare?{wrong}")
            self.assertEqual(answer.status, 400, wrong)
        worse = self.sonde.json("/api/performance/regressions")
        self.assertIn(("before", "answer"), [(row["benchmark"], row["metric"])
                                             for row in worse["regressions"]])
        self.assertNotIn("calm", [row["metric"] for row in worse["regressions"]])
        counts = {"degraded": 1, "improved": 0, "cannot_tell": 0, "stable": 1}
        self.assertEqual(told["counts"], counts)
        over = [row for row in worse["verdicts"] if row["benchmark"] == "before"]
        self.assertEqual([(row["verdict"], row["counts"]) for row in over], [("degraded", counts)])
        kept = self.sonde.json("/api/v1/performance/benchmarks/before")
        self.assertEqual((kept["name"], kept["services"]), ("before", False))
        self.assertEqual(kept["queries"]["calm"], {"query": "calm_seconds", "unit": "s"})

    def test_the_command_keeps_lists_compares_and_removes(self):
        made = self.command("create", "an hour", "calm=calm_seconds", "--range", "1h")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertIn("calm", made.stdout)
        self.assertIn("an hour", self.command("list").stdout)
        self.assertEqual(self.command("remove", "an hour").returncode, 0)
        status, _ = self.create(name="an hour", end_ms=int((self.now - HOUR) * 1000), range="55m",
                                step="20s", queries={"calm": "calm_seconds"})
        self.assertEqual(status, 201)
        later = self.command("compare", "an hour")
        self.assertEqual(later.returncode, 0, later.stdout)
        self.assertIn("stable", later.stdout)
        later = json.loads(self.command("compare", "an hour", "--json").stdout)
        self.assertEqual(later["verdict"], "stable")
        self.assertEqual(self.command("remove", "an hour").returncode, 0)
        gone = self.command("compare", "an hour")
        self.assertNotEqual(gone.returncode, 0)
        self.assertIn("there is no benchmark 'an hour'", gone.stderr)

    def test_only_what_came_after_a_benchmark_is_held_against_it(self):
        made = self.command("create", "just now", "calm=calm_seconds", "--range", "1h")
        self.assertEqual(made.returncode, 0, made.stderr)
        early = self.command("compare", "just now")
        self.assertEqual(early.returncode, 4, early.stdout)
        self.assertRegex(early.stdout, "Cannot tell yet: a comparison takes 4 values, one every 60 s,"
                                       " and what came after the benchmark has 0. Ask again in 4m")
        asked = json.loads(self.command("compare", "just now", "--range", "1h", "--json").stdout)
        self.assertEqual((asked["verdict"], asked["metrics"]), ("cannot tell", []))
        self.assertTrue(230_000 < asked["wait_ms"] <= 240_000, asked)
        worse = self.sonde.json("/api/v1/performance/regressions")
        early = [row for row in worse["verdicts"] if row["benchmark"] == "just now"]
        self.assertEqual([(row["verdict"], "wait_ms" in row) for row in early],
                         [("cannot tell", True)])
        kept = self.sonde.json("/api/v1/performance/benchmarks/just%20now")
        self.assertEqual(asked["start_ms"], kept["end_ms"])
        # With enough after it: what there is, however long a stretch is asked for.
        status, kept = self.create(name="ten minutes ago", end_ms=int((self.now - 600) * 1000),
                                   step="20s", queries={"calm": "calm_seconds"})
        self.assertEqual(status, 201)
        told = self.sonde.json("/api/v1/performance/benchmarks/ten%20minutes%20ago/compare")
        self.assertEqual(told["start_ms"], kept["end_ms"])
        self.assertNotIn("wait_ms", told)
        self.assertTrue(25 <= told["metrics"][0]["after"]["n"] <= 40, told)
        for name in ("just now", "ten minutes ago"):
            self.assertEqual(self.command("remove", name).returncode, 0)

    def test_a_name_is_taken_until_it_is_said_to_be_replaced(self):
        words = ("create", "taken", "calm=calm_seconds", "--range", "1h")
        self.assertEqual(self.command(*words).returncode, 0)
        first = self.sonde.json("/api/v1/performance/benchmarks/taken")
        again = self.command(*words)
        self.assertEqual(again.returncode, 4, again.stderr)
        self.assertIn("there is a benchmark 'taken' already", again.stderr)
        self.assertIn("--replace", again.stderr)
        for address in ("/api/performance/benchmarks", "/api/v1/performance/benchmarks"):
            answer = self.sonde.post(address, json.dumps({"name": "taken", "queries": {
                "calm": "calm_seconds"}}), {"Content-Type": "application/json"})
            self.assertEqual(answer.status, 409, answer.text())
            self.assertEqual(answer.json()["error"]["code"], "exists")
            self.assertIn('"replace": true', answer.json()["error"]["hint"])
        self.assertEqual(self.sonde.json("/api/v1/performance/benchmarks/taken"), first)
        self.assertEqual(self.command(*words, "--replace").returncode, 0)
        second = self.sonde.json("/api/v1/performance/benchmarks/taken")
        self.assertGreater(second["made_ms"], first["made_ms"])
        status, _ = self.create(name="taken", replace=True, queries={"calm": "calm_seconds"})
        self.assertEqual(status, 201)
        self.assertEqual(self.command("remove", "taken").returncode, 0)

    def test_one_metric_on_one_side_is_told_in_the_singular(self):
        status, _ = self.create(name="half", end_ms=int((self.now - HOUR) * 1000), range="55m",
                                step="20s", queries={"calm": "calm_seconds", "gone": (
                                    f"calm_seconds and on() vector(time()) < {self.now - HOUR}")})
        self.assertEqual(status, 201)
        told = self.command("compare", "half")
        self.assertIn("1 metric is on one side only and was not compared.", told.stdout)
        self.assertEqual(self.command("remove", "half").returncode, 0)

    def test_mistakes_are_named(self):
        for body, words in (({"name": "a/b"}, "a name is 1 to"),
                            ({"name": "x", "queries": {"y": "rate("}}, "queries.y"),
                            ({"name": "x", "queries": {"y": "nothing_there"}}, "has a value"),
                            ({"name": "x", "rang": "1h"}, "rang"),
                            ({"name": "x", "range": "2y", "step": "1s"}, "values; 4 to 1000"),
                            ({}, "name")):
            status, answer = self.create(**body)
            self.assertEqual(status, 400, body)
            self.assertIn(words, answer["error"]["message"])
        self.assertEqual(self.sonde.get("/api/performance/benchmarks/none/compare").status, 404)

    def test_what_is_usual_is_learnt_by_hour_of_the_week(self):
        told = self.sonde.json("/api/v1/performance/baselines", query="visits")
        self.assertEqual(len(told["hours"]), 168)
        tuesday = {row["hour"]: row for row in told["hours"] if row["day"] == "Tuesday"}
        self.assertEqual(tuesday[3]["learnt_from"], "hour of the week")
        self.assertAlmostEqual(tuesday[3]["median"], 100, delta=5)
        self.assertAlmostEqual(tuesday[12]["median"], 1000, delta=50)
        sunday = [row for row in told["hours"] if row["day"] == "Sunday" and row["hour"] == 12]
        self.assertAlmostEqual(sunday[0]["median"], 100, delta=5)
        many = self.sonde.get("/api/v1/performance/baselines", query="node_cpu_seconds_total")
        self.assertEqual(many.status, 400)
        self.assertIn("learnt from one", many.text())


class Schedule(unittest.TestCase):
    def test_the_daemon_compares_by_itself_and_keeps_what_it_found(self):
        """A schedule is looked at every ten seconds."""
        with Sonde() as sonde:
            sonde.wait_for_value("node_load1")
            time.sleep(5)
            answer = sonde.post("/api/performance/benchmarks",
                                json.dumps({"name": "load", "every": "10s", "range": "4s",
                                            "step": "1s", "queries": {"load": "node_load1"}}),
                                {"Content-Type": "application/json"})
            self.assertEqual(answer.status, 201, answer.text())
            runs = wait_for(lambda: sonde.json(
                "/api/performance/benchmarks/load/runs")["runs"], "a run on schedule", 40)
            self.assertIn(runs[0]["verdict"], ("stable", "cannot tell", "degraded", "improved"))
            self.assertEqual(runs[0]["end_ms"] - runs[0]["start_ms"], 4000)
            self.assertEqual(sum(runs[0]["counts"].values()), 1)
            [listed] = sonde.json("/api/v1/performance/benchmarks", runs=1)["benchmarks"]
            newest = sonde.json("/api/v1/performance/benchmarks/load/runs", limit=1)["runs"][0]
            self.assertEqual({key: listed["runs"][0][key] for key in ("end_ms", "verdict", "counts")},
                             {key: newest[key] for key in ("end_ms", "verdict", "counts")})
            self.assertEqual(listed["runs"][0]["degraded"], [
                row["metric"] for row in newest["metrics"] if row["verdict"] == "degraded"])
            self.assertNotIn("metrics", listed["runs"][0])
            self.assertEqual(sonde.get("/api/v1/performance/benchmarks?runs=101").status, 400)
            replaced = sonde.post("/api/performance/benchmarks",
                                  json.dumps({"name": "load", "range": "4s", "step": "1s",
                                              "queries": {"load": "node_load1"}, "replace": True}),
                                  {"Content-Type": "application/json"})
            self.assertEqual(replaced.status, 201, replaced.text())
            # The verdicts were about what is gone.
            self.assertEqual(sonde.json("/api/performance/benchmarks/load/runs")["runs"], [])


if __name__ == "__main__":
    unittest.main()
