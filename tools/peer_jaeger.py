#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Jaeger all-in-one, to compare with: built once from its Go module into peers/bin (git ignores it).

    python3 tools/peer_jaeger.py        builds it, some minutes; says where it is

Tests and benches use `binary()`, which finds it and never builds: the first of $SONDE_JAEGER,
peers/bin/jaeger-all-in-one, and jaeger-all-in-one on the PATH. Version 1 is the last whose query
service needs no configuration; its page is a placeholder here, which no comparison looks at."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

VERSION = "v1.62.0"
MODULE = "github.com/jaegertracing/jaeger"
ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = ROOT / "peers/bin/jaeger-all-in-one"


class Absent(Exception):
    """Jaeger is not on this machine; the text says how it gets there."""


def binary():
    for path in (os.environ.get("SONDE_JAEGER"), BINARY, shutil.which("jaeger-all-in-one")):
        if path and os.access(path, os.X_OK):
            return str(path)
    raise Absent("Jaeger is not here: python3 tools/peer_jaeger.py builds it")


def build():
    """From a copy of the module: its go.mod has replacements, which `go install` refuses."""
    if shutil.which("go") is None:
        raise Absent("building Jaeger needs Go")
    source = ROOT / "peers/src/jaeger"
    shutil.rmtree(source, ignore_errors=True)
    source.parent.mkdir(parents=True, exist_ok=True)
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    told = subprocess.run(["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"],
                          cwd=source.parent, capture_output=True, text=True)
    if told.returncode != 0:
        raise Absent(f"Jaeger cannot be downloaded: {told.stderr.strip() or told.stdout.strip()}")
    shutil.copytree(json.loads(told.stdout)["Dir"], source)
    for path in [source, *source.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)  # The module cache is read-only.
    subprocess.run(["go", "build", "-buildvcs=false", "-o", BINARY, "./cmd/all-in-one"],
                   cwd=source, check=True)
    shutil.rmtree(source)


def main():
    try:
        try:
            print(binary())
        except Absent:
            build()
            print(binary())
    except (Absent, subprocess.CalledProcessError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
