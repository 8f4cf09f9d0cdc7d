# SPDX-License-Identifier: Apache-2.0
"""The floors array of src/meson.build, for the checks that hold the house against it."""
import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"


def read_floors():
    """Folder -> the set of folders that it may see, itself among them."""
    text = (SOURCE / "meson.build").read_text()
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
