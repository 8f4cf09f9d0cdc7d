#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what the compiled floors define and need against the floors array of src/meson.build.

A name that two objects define would be taken by the linker from whichever comes first; a name of a
floor that may not be seen links in the whole binary and fails elsewhere. TAP on standard output.

usage: check_symbols.py BUILD     a Meson build folder without link-time optimisation
"""
import pathlib
import subprocess
import sys

from floors import read_floors

GLOBAL = set("TDBRGSC")
# What compilers and sanitizers leave in every object under the same name.
NOT_OURS = ("__odr_asan", "__asan_", "__sanitizer", "__tsan", "__ubsan", "DW.ref.", "_GLOBAL_")


def read_archive(path):
    """Yields (object, kind, name) of every symbol that others can see or that is missing."""
    text = subprocess.run(["nm", "--print-file-name", "--format=posix", "--extern-only", path],
                          check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        place, rest = line.split(": ", 1)
        name, kind = rest.split()[:2]
        if not name.startswith(NOT_OURS):
            member = place[place.rindex("[") + 1:place.rindex("]")]
            yield member.split("/")[-1], kind, name


def read_floor_symbols(build, sees):
    """Name -> [(folder, object)] of those that define it, and [(folder, object, name)] needed."""
    defined, needed = {}, []
    for folder in sees:
        archive = build / f"src/libsonde_{folder}.a"
        if not archive.exists():
            continue
        for member, kind, name in read_archive(archive):
            if kind in GLOBAL:
                defined.setdefault(name, []).append((folder, member))
            elif kind == "U":
                needed.append((folder, member, name))
    return defined, needed


def check_once(defined):
    return [f"{name} is defined by " + " and ".join(f"{f}/{m}" for f, m in places)
            for name, places in sorted(defined.items()) if len(places) > 1]


def check_sight(defined, needed, sees):
    return [f"{folder}/{member} calls {name} of {defined[name][0][0]}, which {folder} may not see"
            for folder, member, name in needed
            if name in defined and not any(f in sees[folder] for f, _ in defined[name])]


def main():
    sees = read_floors()
    defined, needed = read_floor_symbols(pathlib.Path(sys.argv[1]), sees)
    # Archives of link-time optimisation, or none at all, would let everything pass.
    if "buf_append" not in defined or len(needed) < 1000:
        sys.exit(f"{sys.argv[1]}: no archives there whose symbols nm can read")
    results = [("every name is defined once", check_once(defined)),
               ("calls point down the floors", check_sight(defined, needed, sees))]
    for number, (sentence, complaints) in enumerate(results, 1):
        for complaint in complaints:
            print("#", complaint)
        print(f"{'not ok' if complaints else 'ok'} {number} - {sentence}")
    print(f"1..{len(results)}")
    return 1 if any(complaints for _, complaints in results) else 0


sys.exit(main())
