#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every C file that git knows against clang-format 14 and the licence line. TAP."""
import pathlib
import shutil
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
files = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=root, capture_output=True, text=True,
                       check=True).stdout.split()
missing = [name for name in files
           if "SPDX-License-Identifier: Apache-2.0" not in (root / name).read_text()[:200]]
for name in missing:
    print(f"# {name}: no licence line")
print("not ok 1" if missing else "ok 1", "- every C file carries its licence")

failed = bool(missing)
if shutil.which("clang-format-14") is None:
    print("ok 2 - layout # SKIP clang-format-14 is not installed")
else:
    done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *files], cwd=root,
                          capture_output=True, text=True)
    wrong = sorted({line.split(":")[0] for line in done.stderr.splitlines() if ": error:" in line})
    for name in wrong:
        print(f"# {name}: not as clang-format 14 lays it out; run 'make format'")
    print("not ok 2" if done.returncode else "ok 2", "- layout")
    failed = failed or done.returncode != 0
print("1..2")
sys.exit(1 if failed else 0)
