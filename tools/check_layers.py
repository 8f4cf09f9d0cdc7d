#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every #include "folder/x.h" in src/ against the floors array of src/meson.build.

Also: x_priv.h stays in its folder, and every folder of src/ has a row. TAP on standard output.
"""
import ast
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
source = root / "src"


def read_floors():
    text = (source / "meson.build").read_text()
    rows = ast.literal_eval(re.search(r"^floors = (\[.*?^\])", text, re.S | re.M).group(1))
    model_at = [row[0] for row in rows].index("codec")
    sees = {}
    for index, (folder, names, _) in enumerate(rows):
        below = {row[0] for row in rows[:index]}
        wanted = below if names == "*" else set(names.split()) | {"base"}
        if index >= model_at:
            wanted.add("model")
        sees[folder] = wanted | {folder}
        # A plug-in folder that has no C library of its own (bpf) may be named without a row.
        upward = sees[folder] - below - {folder, "bpf"}
        if upward:
            sys.exit(f"src/meson.build: {folder} may not see {sorted(upward)}: not below it")
    return sees


def check(sees):
    complaints = []
    for path in sorted(source.rglob("*.[ch]")) + sorted(source.rglob("*.def")):
        folder = path.relative_to(source).parts[0]
        if folder not in sees and folder != "bpf":
            complaints.append(f"{path.relative_to(root)}: folder {folder} has no row in floors")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+"([^"/]+)/([^"]+)"', line)
            if not found:
                continue
            other, name = found.groups()
            place = f"{path.relative_to(root)}:{number}"
            if other in ("sonde",):
                continue
            if folder != "bpf" and other not in sees[folder]:
                complaints.append(f"{place}: {folder} may not see {other}")
            if name.endswith("_priv.h") and other != folder:
                complaints.append(f"{place}: {name} is private to {other}")
    return complaints


complaints = check(read_floors())
for complaint in complaints:
    print("#", complaint)
print("not ok 1" if complaints else "ok 1", "- includes point down the floors")
print("1..1")
sys.exit(1 if complaints else 0)
