#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the .c files of one folder of src/, a line each, as Meson wants them.

main.c belongs to the executable and is left out; so is *.bpf.c, which another compiler reads.
"""
import pathlib
import sys

source = pathlib.Path(__file__).resolve().parent.parent / "src"
for path in sorted((source / sys.argv[1]).glob("*.c")):
    if path.name != "main.c" and not path.name.endswith(".bpf.c"):
        print(path.relative_to(source))
