#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every #include "folder/x.h" in src/ against the floors array of src/meson.build.

Also: x_priv.h stays in its folder, and every folder of src/ has a row. TAP on standard output.
"""
import re
import sys

from floors import ROOT, SOURCE, read_floors


def check(sees):
    complaints = []
    for path in sorted(SOURCE.rglob("*.[ch]")) + sorted(SOURCE.rglob("*.def")):
        folder = path.relative_to(SOURCE).parts[0]
        if folder not in sees and folder != "bpf":
            complaints.append(f"{path.relative_to(ROOT)}: folder {folder} has no row in floors")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+"([^"/]+)/([^"]+)"', line)
            if not found:
                continue
            other, name = found.groups()
            place = f"{path.relative_to(ROOT)}:{number}"
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
