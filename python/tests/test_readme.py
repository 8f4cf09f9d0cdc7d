# SPDX-License-Identifier: Apache-2.0
"""The quick start says what happens when it is typed in; and types are what they are said to be."""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import sonde

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def python(*arguments, folder, text=None):
    return subprocess.run([sys.executable, *arguments], cwd=folder, input=text, text=True,
                          capture_output=True, timeout=120, check=False)


class QuickStart(unittest.TestCase):
    def blocks(self):
        return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)

    def test_typed_in_it_prints_the_table_and_the_violations(self):
        with tempfile.TemporaryDirectory() as folder:
            done = python("-", folder=folder, text=self.blocks()[0])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for word in ("retrieval", "generation", "P95", "100.0%"):
            self.assertIn(word, done.stdout)
        self.assertRegex(done.stdout, r"Operation 'retrieval' P95 \(\d+\.\dms\) exceeds target "
                                      r"\(10\.0ms\)")

    def test_line_by_line_in_the_interpreter(self):
        with tempfile.TemporaryDirectory() as folder:
            # The interpreter ends a block at an empty line, as a person would type it.
            lines = re.sub(r"\n\n(?=    )", "\n", self.blocks()[0])
            done = python("-i", "-q", folder=folder, text=lines)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("Traceback", done.stderr)
        self.assertIn("exceeds target (10.0ms)", done.stdout)

    def test_the_web_example_is_whole(self):
        try:
            import fastapi  # noqa: F401
        except ImportError:
            self.skipTest("FastAPI is not here")
        with tempfile.TemporaryDirectory() as folder:
            done = python("-", folder=folder, text=self.blocks()[1])
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Types(unittest.TestCase):
    def test_the_package_says_that_it_is_typed(self):
        folder = pathlib.Path(sonde.__file__).parent
        self.assertTrue((folder / "py.typed").exists())
        self.assertTrue((folder / "_native.pyi").exists())

    def test_mypy_agrees_with_a_user(self):
        program = """
import sonde
from sonde import PerformanceProfiler, PerformanceReporter, SLAConfig

profiler = PerformanceProfiler(service_name="shop", sla=SLAConfig(max_p95_latency_ms=3))

@profiler.timer("double")
def double(value: int) -> int:
    return 2 * value

with profiler.timer("work", metadata={"a": 1}) as timer:
    timer.mark_failure()
total: int = double(3)
sentences: list[str] = profiler.check_sla()
text: str = PerformanceReporter(profiler).to_html()
with profiler.span("look up", "client", {"a": 1}) as span:
    span.set("b", 2.5)
    span.event("miss", {"c": "d"})

@profiler.profile_llm_operation(provider="openai", model="gpt-4o")
async def ask(question: str) -> int:
    return len(question)

with sonde.llm_session("s"), profiler.profile_llm_operation("openai", "m") as call:
    call.input_tokens = 5
    call.first_token()
headers: dict[str, str] = {}
sonde.inject(headers)
sonde.carry(double)(3)
patched: list[str] = sonde.instrument("httpx", profiler=profiler)
reveal_type(double)
double("three")
"""
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "user.py").write_text(program)
            done = python("-m", "mypy", "--strict", "user.py", folder=folder)
        if "No module named mypy" in done.stderr:
            self.skipTest("mypy is not here")
        complaints = [line for line in done.stdout.splitlines() if ": error:" in line]
        self.assertEqual(len(complaints), 1, done.stdout)
        self.assertIn('Argument 1 to "double" has incompatible type "str"', complaints[0])
        self.assertRegex(done.stdout, r"def \(value: (builtins\.)?int\) -> (builtins\.)?int")

    def test_the_package_agrees_with_itself(self):
        folder = pathlib.Path(sonde.__file__).parent
        with tempfile.TemporaryDirectory() as scratch:
            done = python("-m", "mypy", "--cache-dir", scratch, "--ignore-missing-imports", "-p",
                          "sonde", folder=scratch)
        if "No module named mypy" in done.stderr:
            self.skipTest("mypy is not here")
        self.assertEqual(done.returncode, 0, f"{folder}: {done.stdout}")

    def test_every_native_method_is_in_the_stub(self):
        stub = (pathlib.Path(sonde.__file__).parent / "_native.pyi").read_text()
        for kind in (sonde._native.Profiler, sonde._native.Timer, sonde._native.Span,
                     sonde._native.Context):
            for name in vars(kind):
                if not name.startswith("__"):
                    self.assertRegex(stub, rf"\b{name}\b")


if __name__ == "__main__":
    unittest.main()
