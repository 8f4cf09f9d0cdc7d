# SPDX-License-Identifier: Apache-2.0
"""From exec to the first yes of /readyz, with a day of this machine behind it; and the binary."""
import os
import pathlib
import shutil
import statistics
import subprocess
import time

import peers

TITLE = "Start and size"
ROUNDS = 9


def measure(row):
    times = []
    with peers.scratch() as folder:
        with peers.sonde(folder / "data"):
            time.sleep(5)
        for _ in range(ROUNDS):
            with peers.sonde(folder / "data") as program:
                times.append(program.ready_s)
                time.sleep(0.3)
        killed = peers.sonde(folder / "data")
        time.sleep(30)
        killed.kill()
        with peers.sonde(folder / "data") as program:
            after_kill = program.ready_s
        stripped = folder / "sonde"
        shutil.copy(pathlib.Path(os.path.realpath(peers.SONDE)), stripped)
        subprocess.run(["strip", stripped], check=True)
        size = stripped.stat().st_size
    ready = statistics.median(times)
    return [
        row("start to ready", f"{ready * 1e3:.0f} ms", "< 100 ms",
            {"sonde after kill -9, 30 s to replay": f"{after_kill * 1e3:.0f} ms"}, ready < 0.1),
        row("binary, stripped", f"{size / 1e6:.2f} MB", "< 10 MB", {}, size < 10e6),
    ]
