# SPDX-License-Identifier: Apache-2.0
"""The sample service under load: as it is, the gate lets it pass; with an index missing, the gate
names the latency that got worse."""
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

from sonde import BINARY, ROOT, need_binary

SERVICE = pathlib.Path(ROOT) / "examples/sample_service/service.py"


@contextlib.contextmanager
def service(defect="none"):
    process = subprocess.Popen([sys.executable, str(SERVICE), "--port", "0", "--defect", defect],
                               stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(url, data=data, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class SampleService(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()

    def test_it_answers_what_its_text_says(self):
        with service() as url:
            status, made = ask(f"{url}/orchestrations", {"goal": "a summary", "steps": 4})
            self.assertEqual((status, len(made["plan"])), (201, 4))
            self.assertEqual(ask(f"{url}/orchestrations/{made['id']}")[1]["goal"], "a summary")
            self.assertEqual(ask(f"{url}/route", {"prompt": "topic7 please explain"})[1]["rule"],
                             "rule-7")
            _, item = ask(f"{url}/memory/items", {"text": "walnuts and figs"})
            found = ask(f"{url}/memory/search?q=figs")[1]["items"]
            self.assertEqual(found[0]["id"], item["id"])
            orders = ask(f"{url}/orders?customer=5")[1]["orders"]
            self.assertTrue(orders and all(order["items"] for order in orders))
            self.assertEqual(len(ask(f"{url}/api/report?rows=10")[1]["rows"]), 10)
            for path, body in (("/route", {}), ("/orders?customer=x", None), ("/nothing", None)):
                self.assertIn(ask(url + path, body)[0], (400, 404))

    def test_each_suite_runs_without_errors(self):
        suites = sorted((pathlib.Path(ROOT) / "examples/suites").glob("*.yaml"))
        self.assertEqual(len(suites), 6)
        with service() as url, tempfile.TemporaryDirectory() as folder:
            for suite in suites:
                own = pathlib.Path(folder) / suite.name
                own.write_text(suite.read_text().replace("http://127.0.0.1:8080", url))
                run = subprocess.run([BINARY, "load", "run", str(own), "--duration", "600ms",
                                      "--warmup", "0s", "--json"],
                                     capture_output=True, text=True, timeout=60)
                told = json.loads(run.stdout)
                with self.subTest(suite=suite.name):
                    self.assertGreater(told["requests"], 20)
                    self.assertEqual(told["errors_by_kind"], [] if isinstance(
                        told["errors_by_kind"], list) else {})
                    self.assertGreaterEqual(len(told["steps"]), 1)

    def measure(self, url, path, runs=6):
        run = subprocess.run(
            [BINARY, "bench", "run", "--runs", str(runs), "--warmup", "0", "--save", path, "--", BINARY,
             "load", f"{url}/orders?customer=5", "--duration", "400ms", "--connections", "2",
             "--json"], capture_output=True, text=True, timeout=120)
        self.assertEqual(run.returncode, 0, run.stderr)

    def gate(self, path, history):
        return subprocess.run([BINARY, "bench", "gate", path, "--history", history, "--json"],
                              capture_output=True, text=True, timeout=60)

    def test_a_missing_index_fails_the_gate_by_the_latency(self):
        with tempfile.TemporaryDirectory() as folder:
            result = str(pathlib.Path(folder) / "result.json")
            history = str(pathlib.Path(folder) / "history.jsonl")
            with service() as url:
                for _ in range(2):
                    self.measure(url, result)
                    self.gate(result, history)  # The first passes; noise may fail the second.
            kept = json.loads(pathlib.Path(result).read_text())["results"][0]
            self.assertEqual(set(kept["metrics"]), {"latency_p50", "latency_p95", "latency_p99", "throughput",
                                       "error_rate"})
            # On a machine whose other work comes and goes the gate may ask for more runs.
            for runs in (6, 12, 24):
                known = shutil.copy(history, history + f".{runs}")
                with service("missing-index") as url:
                    self.measure(url, result, runs)
                failed = self.gate(result, known)
                if failed.returncode == 1:
                    break
            self.assertEqual(failed.returncode, 1, failed.stdout)
            told = json.loads(failed.stdout)
            worse = {metric["metric"]: metric for metric in told["comparison"]["metrics"]
                     if metric["verdict"] == "degraded"}
            self.assertIn("latency_p50", worse)
            self.assertGreater(worse["latency_p50"]["change"], 1)


if __name__ == "__main__":
    unittest.main()
