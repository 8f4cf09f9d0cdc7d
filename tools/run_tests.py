#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds with sanitizers and runs every test: unit, contract, fuzz corpus, layers, symbols, format,
web, scenario. Two at a time. Prints what fails, and last 'N passed, N failed, N skipped'.

usage: run_tests.py [WORD...]   only tests whose name holds one of the words
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = max(2, os.cpu_count() or 2)
TIMEOUT_S = 600
# What threads share is also run under the thread sanitizer.
THREADED = re.compile(r"^(base/test_ring|hub/|store/|io/test_(loop|workers|http_server)|client/)")

SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=99:second_deadlock_stack=1",
}


def build(name, sanitize, optimization, targets=()):
    subprocess.run([ROOT / "tools/configure.sh", f"build-{name}", f"-Db_sanitize={sanitize}",
                    "-Db_lundef=false", f"-Doptimization={optimization}", "-Ddebug=true"],
                   cwd=ROOT, check=True)
    done = subprocess.run(["ninja", "-C", f"build-{name}/meson", *targets], cwd=ROOT,
                          capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stdout[-8000:], done.stderr[-2000:])
        print("0 passed, 1 failed")
        sys.exit(1)
    return ROOT / f"build-{name}/meson"


def meson_tests(folder):
    listed = json.loads(subprocess.run(["meson", "introspect", "--tests", folder],
                                       capture_output=True, text=True, check=True).stdout)
    return [(test["name"], test["cmd"], dict(test.get("env", {}))) for test in listed]


def collect(words):
    asan = build("asan", "address,undefined", "1")
    tests = meson_tests(asan)
    tests.append(("layers", [sys.executable, "tools/check_layers.py"], {}))
    tests.append(("symbols", [sys.executable, "tools/check_symbols.py", str(asan)], {}))
    tests.append(("format", [sys.executable, "tools/check_format.py"], {}))
    if shutil.which("node") and list((ROOT / "web/test").glob("*.js")):
        files = sorted(str(path) for path in (ROOT / "web/test").glob("*.test.js"))
        tests.append(("web", ["node", "--test", "--test-reporter=tap", *files], {}))
    for path in sorted((ROOT / "tests/scenario").glob("test_*.py")):
        tests.append((f"scenario/{path.stem}",
                      [sys.executable, "tools/unittest_tap.py", str(path)],
                      {"SONDE_BINARY": str(asan / "src/sonde"), "SONDE_BUILD": str(asan)}))
    tsan = build("tsan", "thread", "1")
    tests += [(f"tsan: {name}", command, environment)
              for name, command, environment in meson_tests(tsan) if THREADED.match(name)]
    if words:
        tests = [test for test in tests if any(word in test[0] for word in words)]
    # Long ones first, so that both cores are busy to the end.
    return sorted(tests, key=lambda test: not test[0].startswith("scenario"))


def run(test):
    name, command, environment = test
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **SANITIZERS, **environment},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIMEOUT_S, text=True,
                              errors="replace")
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        output, code = (late.stdout or b"").decode(errors="replace"), "timeout"
    return name, output, code, time.monotonic() - start


def count(name, output, code):
    """Passed, failed, skipped of one TAP run; a crash is one more failure."""
    passed = failed = skipped = 0
    for line in output.splitlines():
        if re.match(r"ok\b", line):
            if "# SKIP" in line:
                skipped += 1
                print(f"skipped: {name}: {line.split(' - ', 1)[-1]}")
            else:
                passed += 1
        elif re.match(r"not ok\b", line):
            failed += 1
    if code != 0 and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:
        failed = 1
    return passed, failed, skipped


def main():
    tests = collect(sys.argv[1:])
    total = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for name, output, code, seconds in pool.map(run, tests):
            counts = count(name, output, code)
            total = [a + b for a, b in zip(total, counts)]
            print(f"{'FAILED' if counts[1] else 'ok':6} {name} "
                  f"({counts[0]} passed, {seconds:.1f} s)", flush=True)
            if counts[1]:
                print("\n".join("    " + line for line in output.splitlines()[-120:]))
                print(f"    exit: {code}", flush=True)
    print("{} passed, {} failed, {} skipped".format(*total), flush=True)
    return 1 if total[1] else 0


sys.exit(main())
