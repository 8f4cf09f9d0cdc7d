#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one file of Python unittests and tells it in TAP.

usage: unittest_tap.py FILE
"""
import importlib.util
import pathlib
import sys
import traceback
import unittest


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.count = 0
        self.bad = 0

    def tell(self, word, test, rest=""):
        self.count += 1
        name = test.id().split(".", 1)[-1].replace("_", " ")
        print(f"{word} {self.count} - {name}{rest}", flush=True)

    def complain(self, test, error):
        self.bad += 1
        for line in "".join(traceback.format_exception(*error)).splitlines():
            print("#", line)
        self.tell("not ok", test)

    def addSuccess(self, test):
        self.tell("ok", test)

    def addFailure(self, test, error):
        self.complain(test, error)

    def addError(self, test, error):
        self.complain(test, error)

    def addSkip(self, test, reason):
        self.tell("ok", test, f" # SKIP {reason}")

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.complain(subtest, error)

    def addExpectedFailure(self, test, error):
        self.tell("ok", test)

    def addUnexpectedSuccess(self, test):
        self.bad += 1
        self.tell("not ok", test)


path = pathlib.Path(sys.argv[1]).resolve()
sys.path.insert(0, str(path.parent))
spec = importlib.util.spec_from_file_location(path.stem, path)
module = importlib.util.module_from_spec(spec)
sys.modules[path.stem] = module
spec.loader.exec_module(module)
result = TapResult()
unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
print(f"1..{result.count}")
sys.exit(1 if result.bad else 0)
