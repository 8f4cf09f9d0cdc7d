#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hey and k6, to compare `sonde load` with: built once from their Go modules into peers/bin (git
ignores it).

    python3 tools/peer_load.py          builds both, some minutes; says where they are

The bench uses `binary(NAME)`, which finds one and never builds: in peers/bin or on the PATH."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "peers/bin"
MODULES = {"hey": "github.com/rakyll/hey@v0.1.4", "k6": "go.k6.io/k6@v1.3.0"}


class Absent(Exception):
    """The peer is not on this machine; the text says how it gets there."""


def binary(name):
    for path in (FOLDER / name, shutil.which(name)):
        if path and os.access(path, os.X_OK):
            return str(path)
    raise Absent(f"{name} is not here: python3 tools/peer_load.py builds it")


def build(name):
    if shutil.which("go") is None:
        raise Absent(f"building {name} needs Go")
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "install", MODULES[name]], env={**os.environ, "GOBIN": str(FOLDER)},
                   check=True)


def main():
    try:
        for name in MODULES:
            try:
                print(binary(name))
            except Absent:
                build(name)
                print(binary(name))
    except (Absent, subprocess.CalledProcessError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
