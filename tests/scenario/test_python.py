# SPDX-License-Identifier: Apache-2.0
"""The Python package, built as a wheel and installed as a user would, passes its own stories
(python/tests), each file in an interpreter of its own."""
import json
import os
import subprocess
import unittest

import python_package

TESTS = python_package.ROOT / "python/tests"

# Runs one file and tells each test's end as a line of JSON.
RUNNER = """
import json, sys, unittest

class Teller(unittest.TestResult):
    def tell(self, test, how, text=""):
        sys.__stdout__.write("\\n@" + json.dumps([test.id(), how, text]) + "\\n")
        sys.__stdout__.flush()

    def addSuccess(self, test): self.tell(test, "ok")
    def addSkip(self, test, reason): self.tell(test, "skip", reason)
    def addError(self, test, error):
        super().addError(test, error); self.tell(test, "bad", self.errors[-1][1])
    def addFailure(self, test, error):
        super().addFailure(test, error); self.tell(test, "bad", self.failures[-1][1])
    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.tell(subtest, "bad", self._exc_info_to_string(error, test))

sys.path.insert(0, sys.argv[2])
unittest.defaultTestLoader.discover(sys.argv[1], pattern=sys.argv[2]).run(Teller())
"""


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.python = python_package.installed()


def story(path):
    def test(self):
        environment = python_package.plain_environment()
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        done = subprocess.run([self.python, "-X", "dev", "-c", RUNNER, str(TESTS), path.name],
                              env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=400, check=False, cwd=os.path.dirname(self.python))
        told = [json.loads(line[1:]) for line in done.stdout.splitlines() if line.startswith("@")]
        bad = [f"{name}:\n{text}" for name, how, text in told if how == "bad"]
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-4000:])
        self.assertEqual(bad, [], "\n".join(bad))
        skipped = [f"{name}: {text}" for name, how, text in told if how == "skip"]
        if skipped and len(skipped) == len(told):
            self.skipTest("; ".join(skipped)[:500])
        self.assertGreater(len(told), 0, done.stderr[-2000:])
        for line in skipped:
            print("# left out:", line)

    return test


for file in sorted(TESTS.glob("test_*.py")):
    setattr(Package, file.stem, story(file))


if __name__ == "__main__":
    unittest.main()
