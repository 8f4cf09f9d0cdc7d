# SPDX-License-Identifier: Apache-2.0
"""Timers of libsonde in C: bench_timer.c, judged."""
import re
import subprocess

import peers

TITLE = "libsonde: one timer in C, begun, ended and recorded"
MESON = peers.ROOT / "build/meson"


def measure(row):
    built = subprocess.run(["ninja", "-C", MESON, "bench/bench_timer"], capture_output=True,
                           text=True, check=False)
    if built.returncode != 0:
        raise peers.Absent("bench_timer could not be built")
    done = subprocess.run([MESON / "bench/bench_timer"], capture_output=True, text=True, check=True)
    value = {name: float(text) for name, text in re.findall(r"(\w+)=([\d.]+)", done.stdout)}
    slower = max(value["thread_1_ns"], value["thread_2_ns"]) / value["timer_ns"]
    return [
        row("begin and end, recorded", f"{value['timer_ns']:.1f} ns", "≤ 60 ns",
            {"two bare clock_gettime": f"{value['two_clocks_ns']:.1f} ns"},
            value["timer_ns"] <= 60),
        row("timer_vs_clock_ratio", f"{value['timer_vs_clock_ratio']:.2f}", "≤ 2.5",
            met=value["timer_vs_clock_ratio"] <= 2.5),
        row("a scope by name", f"{value['scope_ns']:.1f} ns", "–"),
        row("each of two threads at once", f"{value['timers_per_s_per_thread'] / 1e6:.1f} M/s "
            f"({slower:.2f} × the time of one alone)", "> 8 M/s",
            met=value["timers_per_s_per_thread"] > 8e6),
        row("disabled", f"{value['disabled_ns']:.2f} ns", "≤ 3 ns", met=value["disabled_ns"] <= 3),
    ]
