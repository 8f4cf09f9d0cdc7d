# SPDX-License-Identifier: Apache-2.0
"""The metric data set that the figures refer to: built and made once, kept in build-bench/."""
import struct
import subprocess

from peers import ROOT, SHARED, Absent

FOLDER = ROOT / "build-bench"
SERIES = 2000
STEPS = 8640
SAMPLES = SERIES * STEPS
START_S = 1794268800


def generator():
    source = SHARED / "bench/gen_metrics.c"
    if not source.exists():
        raise Absent("the data set's generator bench/gen_metrics.c is not beside the project")
    FOLDER.mkdir(exist_ok=True)
    program = FOLDER / "gen_metrics"
    if not program.exists():
        subprocess.run(["gcc", "-O2", "-ffp-contract=off", "-fno-fast-math", "-o", program, source],
                       check=True)
    return program


def made(kind, steps=STEPS):
    """The path of one form of the data set: "bin", "rw", "prom"…"""
    path = FOLDER / f"metrics-{steps}.{kind}"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        partial = path.with_suffix(".part")
        with open(partial, "wb") as out:
            subprocess.run([generator(), kind, str(steps)], stdout=out, check=True)
        partial.rename(path)
    return path


def snappy(data):
    """Snappy's block format, literals only: every reader of it accepts that."""
    out = bytearray()
    size = len(data)
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    for at in range(0, len(data), 65536):
        part = data[at:at + 65536]
        out += b"\xf4" + struct.pack("<H", len(part) - 1) + part
    return bytes(out)


def remote_write_requests(steps=STEPS):
    """Bodies as a Prometheus agent would post them."""
    with open(made("rw", steps), "rb") as stream:
        while head := stream.read(4):
            yield snappy(stream.read(struct.unpack("<I", head)[0]))
