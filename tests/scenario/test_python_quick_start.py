# SPDX-License-Identifier: Apache-2.0
"""The quick starts of the READMEs, copied line by line into a shell with a fresh virtual environment,
print the table and the violations."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import python_package
from sonde import ROOT


def blocks(path):
    """The first shell block, and the Python block after it."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    return re.search(r"```sh\n(python3 -m venv.*?)```\n+```python\n(.*?)```", text,
                     re.DOTALL).groups()


class QuickStart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Both shell blocks say the same; it is typed once, in a copy of what git has."""
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.environment = python_package.plain_environment()
        cls.environment["PATH"] = (os.path.dirname(sys.executable) + os.pathsep
                                   + cls.environment["PATH"])
        for name in ("python", "include", "src"):
            shutil.copytree(os.path.join(ROOT, name), os.path.join(cls.folder.name, name),
                            ignore=shutil.ignore_patterns("build", "*.so", "*.egg-info"))
        lines = blocks("README.md")[0].strip().splitlines()
        cls.interpreter = lines.pop()
        done = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=cls.folder.name,
                              env=cls.environment, capture_output=True, text=True, timeout=500,
                              check=False)
        if done.returncode == 0:
            return
        text = done.stdout + done.stderr
        if "Could not find a version" in text or "No matching distribution" in text:
            raise unittest.SkipTest("setuptools cannot be fetched from here")
        raise AssertionError(text[-3000:])

    def typed(self, python):
        """What a terminal shows when the lines are typed in."""
        # The interpreter ends a block at an empty line, as a person would type it.
        done = subprocess.run([self.interpreter, "-i", "-q"], cwd=self.folder.name,
                              input=re.sub(r"\n(?=\S)", "\n\n", python), env=self.environment,
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout

    def check(self, path):
        shell, python = blocks(path)
        self.assertEqual(shell, blocks("README.md")[0])
        shown = self.typed(python)
        for name in ("retrieval", "generation"):
            self.assertRegex(shown, rf"{name} +20 +100\.0%")
        self.assertRegex(shown, r"\[\"Operation 'retrieval' P95 \(\d+\.\dms\) exceeds target "
                                r"\(10\.0ms\)\"\]")

    def test_of_the_project(self):
        self.check("README.md")

    def test_of_the_package(self):
        self.check("python/README.md")

    def test_a_source_distribution_is_whole(self):
        """What `python -m build` does: a wheel from the source distribution, far from the rest."""
        python = str(python_package.installed())
        made = os.path.join(self.folder.name, "made")
        python_package.run(python, "-c", "import sys; from setuptools import build_meta; "
                           "build_meta.build_sdist(sys.argv[1])", made, env=self.environment,
                           cwd=os.path.join(self.folder.name, "python"))
        [archive] = os.listdir(made)
        python_package.run(python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
                           "-w", made, os.path.join(made, archive), env=self.environment, cwd=made)
        [wheel] = [name for name in os.listdir(made) if name.endswith(".whl")]
        installed = os.path.join(made, "installed")
        shutil.unpack_archive(os.path.join(made, wheel), installed, "zip")
        told = python_package.run(python, "-c", "import sonde; print(sonde.__file__)", cwd=made,
                                  env={**self.environment, "PYTHONPATH": installed})
        self.assertEqual(told.strip(), os.path.join(installed, "sonde/__init__.py"))


if __name__ == "__main__":
    unittest.main()
