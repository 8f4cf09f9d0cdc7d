#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the .c files of one folder below tests/, fuzz/ or bench/, a line each."""
import pathlib
import sys

root = pathlib.Path(__file__).resolve().parent.parent
base = root / (sys.argv[2] if len(sys.argv) > 2 else "tests")
for path in sorted((base / sys.argv[1]).glob("*.c")):
    print(path.relative_to(base))
