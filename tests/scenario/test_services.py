# SPDX-License-Identifier: Apache-2.0
"""A C program with libsonde and a daemon: what it does shows as services, reports and promises kept
or broken, also when the daemon is killed in the midst."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from sonde import BINARY, ROOT, Sonde, need_binary, wait_for

PROGRAM = """
#include <sonde/sonde.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sonde *sonde = sonde_open(NULL);
    int rounds = argc > 1 ? atoi(argv[1]) : 200;

    for (int i = 0; i < rounds; i++) {
        SONDE_SPAN_SCOPE(outer, sonde, "generation");
        {
            SONDE_SPAN_SCOPE(inner, sonde, "retrieval");
            usleep(1000);
            if (i % 20 == 0)
                sonde_span_fail(&inner.span, "nothing found");
        }
    }
    sonde_count_add(sonde_counter(sonde, "answers"), (uint64_t)rounds);
    while (argc > 2 && !sonde_flush(sonde, 20000))
        usleep(100000);
    sonde_close(sonde);
    return 0;
}
"""

SLA = """
max_p95_latency_ms: 60000
operations:
  retrieval: {max_p95_latency_ms: 0.5, min_success_rate: 99%}
"""


def build(folder):
    """The program with the library's own sources: no installed file is needed, no sanitizer linked."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise unittest.SkipTest("no C compiler")
    source = os.path.join(folder, "program.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write(PROGRAM)
    sources = [os.path.join(path, name)
               for part in ("client", "document", "stats", "sketch", "base")
               for path in [os.path.join(ROOT, "src", part)]
               for name in sorted(os.listdir(path)) if name.endswith(".c")]
    program = os.path.join(folder, "program")
    done = subprocess.run([compiler, "-std=gnu17", "-O1", "-D_GNU_SOURCE", "-I",
                           os.path.join(ROOT, "src"), "-I", os.path.join(ROOT, "include"), source,
                           *sources, "-o", program, "-lm", "-lpthread"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr[-3000:])
    return program


class Services(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()
        cls.folder = tempfile.mkdtemp(prefix="sonde-services-")
        cls.program = build(cls.folder)
        cls.sla = os.path.join(cls.folder, "sla.yaml")
        with open(cls.sla, "w", encoding="utf-8") as file:
            file.write(SLA)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def daemon(self, sla=None, **options):
        return Sonde("--collect-off", "all", "--no-otlp-enabled", "--sla-file", sla or self.sla,
                     **options)

    def start(self, sonde, *arguments):
        return subprocess.Popen([self.program, *map(str, arguments)],
                                env={**os.environ, "SONDE_ENDPOINT": sonde.url,
                                     "OTEL_SERVICE_NAME": "shop"})

    def command(self, sonde, *arguments):
        return subprocess.run([BINARY, *arguments], capture_output=True, text=True, check=False,
                              env={**os.environ, "SONDE_URL": sonde.url}, timeout=60)

    def operations(self, sonde):
        answer = sonde.json("/api/v1/services", range="10m")
        return {(service["service"], row["operation"]): row
                for service in answer["services"] for row in service["operations"]}

    def test_what_the_program_did_is_told_everywhere(self):
        with self.daemon() as sonde:
            self.assertEqual(self.start(sonde, 200).wait(60), 0)
            rows = self.operations(sonde)
            self.assertEqual(set(rows), {("shop", "generation"), ("shop", "retrieval")})
            row = rows["shop", "retrieval"]
            self.assertEqual((row["count"], row["failures"]), (200, 10))
            self.assertGreaterEqual(row["p50_ms"], 1)
            self.assertLessEqual(row["p50_ms"], row["p99_ms"])
            self.assertEqual(sonde.query("answers_total")[0]["value"][1], "200")

            history = sonde.json("/api/v1/services/history", service="shop", operation="retrieval",
                                 range="1m", step="1s")
            self.assertEqual(sum(history["calls"]), 200)
            self.assertEqual(sum(map(sum, history["heat"]["counts"])), 200)

            verdict = sonde.json("/api/v1/services", range="10m")["verdict"]
            self.assertEqual(verdict["broken_count"], 2)
            self.assertRegex(verdict["lines"][0]["sentence"], r"^Operation 'retrieval' P95 "
                             r"\(\d+\.\dms\) exceeds target \(0\.5ms\)$")

            spans = sonde.json("/api/v1/traces/search", service="shop", limit="5")
            self.assertTrue(spans)

    def test_the_report_in_json_is_of_the_shape_that_is_documented(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("jsonschema is not installed")
        with self.daemon() as sonde:
            schemas = sonde.json("/api/openapi.json")["components"]["schemas"]
            for rounds in (0, 20):
                if rounds:
                    self.assertEqual(self.start(sonde, rounds).wait(60), 0)
                jsonschema.validate(sonde.json("/profiling/reports/json", range="1m"),
                                    {**schemas["PerformanceReport"],
                                     "components": {"schemas": schemas}})
            jsonschema.validate(sonde.json("/profiling/reports"), schemas["ReportForms"])

    def test_the_report_has_five_forms(self):
        with self.daemon() as sonde:
            self.assertEqual(self.start(sonde, 20).wait(60), 0)
            for form, start in (("console", "Performance of all services"), ("json", "{"),
                                ("markdown", "# Performance"), ("html", "<!"), ("csv", "")):
                answer = sonde.get(f"/profiling/reports/{form}")
                self.assertEqual(answer.status, 200)
                self.assertTrue(answer.text().startswith(start), form)
                self.assertIn("retrieval", answer.text())
            self.assertEqual(sonde.get("/profiling/reports/papyrus").status, 404)
            self.assertEqual(len(sonde.json("/profiling/reports")["reports"]), 5)
            self.assertIn("retrieval", self.command(sonde, "report").stdout)
            page = os.path.join(self.folder, "report.html")
            self.assertEqual(self.command(sonde, "report", "--output", page).returncode, 0)
            with open(page, encoding="utf-8") as file:
                self.assertTrue(file.read().startswith("<!"))

    def test_promises_are_checked_and_suggested(self):
        with self.daemon() as sonde:
            nothing = self.command(sonde, "sla", "check", self.sla)
            self.assertEqual(nothing.returncode, 1)
            self.assertIn("Nothing was measured", nothing.stdout)
            self.assertEqual(self.start(sonde, 100).wait(60), 0)

            live = self.command(sonde, "sla", "check", "--live")
            self.assertEqual(live.returncode, 1)
            self.assertIn("Operation 'retrieval' success rate (95.0%) below target (99.0%)",
                          live.stdout)
            self.assertIn("2 promises are broken.", live.stdout)

            suggested = self.command(sonde, "sla", "suggest")
            self.assertEqual(suggested.returncode, 0)
            path = os.path.join(self.folder, "suggested.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(suggested.stdout.replace("min_throughput_rps", "# min_throughput_rps"))
            kept = self.command(sonde, "sla", "check", path)
            self.assertEqual(kept.returncode, 0, kept.stdout)
            self.assertIn("Every promise is kept, over 200 calls.", kept.stdout)

            report = os.path.join(self.folder, "report.json")
            self.command(sonde, "report", "--output", report)
            table = os.path.join(self.folder, "report.csv")
            self.command(sonde, "report", "--output", table)
            refused = self.command(sonde, "sla", "suggest", table)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("save it as .json", refused.stderr)
        saved = subprocess.run([BINARY, "sla", "check", report, "--targets", self.sla, "--json"],
                               capture_output=True, text=True, check=False)
        self.assertEqual(saved.returncode, 1)
        self.assertEqual(json.loads(saved.stdout)["broken_count"], 2)
        own = subprocess.run([BINARY, "sla", "check", report], capture_output=True, text=True,
                             check=False)
        self.assertEqual(own.returncode, 1)
        self.assertIn("2 promises are broken.", own.stdout)

    def test_journeys(self):
        with self.daemon() as sonde:
            self.assertEqual(self.start(sonde, 20).wait(60), 0)
            shipped = os.path.join(ROOT, "examples/journeys.yaml")
            done = self.command(sonde, "sla", "check", "--live", "--journeys", shipped)
            self.assertEqual(done.stdout.count("was not measured"), 5, done.stdout)
            path = os.path.join(self.folder, "journeys.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write("journeys:\n  - {name: find, operation: retrieval, "
                           "max_response_time_ms: 0.1}\n")
            done = self.command(sonde, "sla", "check", "--live", "--journeys", path)
            self.assertEqual(done.returncode, 1)
            self.assertIn("Journey 'find' P95 response time (", done.stdout)

    def test_the_daemons_own_promises_of_which_some_cannot_be_judged(self):
        path = os.path.join(self.folder, "own.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("operations:\n  retrieval: {max_p95_latency_ms: 60000}\n"
                       "  retreival: {max_p95_latency_ms: 100}\n")
        with self.daemon(sla=path) as sonde:
            self.assertEqual(self.start(sonde, 20).wait(60), 0)
            own = self.command(sonde, "sla", "check")
            self.assertEqual(own.returncode, 0, own.stdout + own.stderr)
            self.assertIn("No promise is broken over 40 calls; 1 could not be judged.", own.stdout)
            strict = self.command(sonde, "sla", "check", "--strict", "--json")
            self.assertEqual(strict.returncode, 1)
            self.assertEqual(json.loads(strict.stdout)["unmeasured_count"], 1)

    def test_promises_in_json_and_about_what_nobody_called(self):
        path = os.path.join(self.folder, "sla.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"operations": {"retrieval": {"max_p95_latency_ms": 60000},
                                      "retreival": {"max_p95_latency_ms": 100}}}, file, indent="\t")
        with self.daemon() as sonde:
            self.assertEqual(self.start(sonde, 20).wait(60), 0)
            lenient = self.command(sonde, "sla", "check", path)
            self.assertEqual(lenient.returncode, 0, lenient.stdout + lenient.stderr)
            self.assertIn("Operation 'retreival' was not measured: no calls", lenient.stdout)
            strict = self.command(sonde, "sla", "check", path, "--strict", "--json")
            self.assertEqual(strict.returncode, 1)
            self.assertEqual(json.loads(strict.stdout)["unmeasured_count"], 1)
            for content, code in (("", 2), ('{"operations": {', 2), ("- 7", 2)):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(content)
                self.assertEqual(self.command(sonde, "sla", "check", path).returncode, code, content)
        self.assertEqual(self.command(sonde, "sla", "check", "--live").returncode, 3)
        self.assertEqual(self.command(sonde, "sla", "check", path + ".not").returncode, 4)

    def test_a_broken_file_is_told_with_line_and_key(self):
        path = os.path.join(self.folder, "broken.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("operations:\n  retrieval:\n    max_p95_latency: 100\n")
        done = subprocess.run([BINARY, "sla", "check", path], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"broken\.yaml:3:\d+: operations\.retrieval.*max_p95_latency")

        with Sonde("--collect-off", "all", "--no-otlp-enabled", "--sla-file", path) as sonde:
            self.assertEqual(self.start(sonde, 5).wait(60), 0)
            verdict = sonde.json("/api/v1/services")["verdict"]
            self.assertFalse(verdict["promised"])
            self.assertIn("broken.yaml:3:", verdict["error"])

    def test_counts_agree_after_the_daemon_was_killed_and_came_back(self):
        with self.daemon() as sonde:
            program = self.start(sonde, 4000, "flush")
            wait_for(lambda: self.operations(sonde), "the first numbers")
            sonde.process.send_signal(signal.SIGKILL)
            sonde.process.wait()
            self.assertIsNone(program.poll(), "the program must not notice")
            sonde.start()
            self.assertEqual(program.wait(60), 0)
            rows = self.operations(sonde)
            self.assertEqual(rows["shop", "generation"]["count"], 4000)
            self.assertEqual(rows["shop", "retrieval"]["failures"], 200)


if __name__ == "__main__":
    unittest.main()
