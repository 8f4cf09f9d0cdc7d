# SPDX-License-Identifier: Apache-2.0
"""Timers of libsonde in C: what one costs (bench_timer.c), what its numbers are worth and what they
weigh (bench_timer_shapes.c)."""
import re
import subprocess

import peers

TITLE = "libsonde: one timer in C, begun, ended and recorded"
MESON = peers.ROOT / "build/meson"


def words_of(program):
    """The numbers that a program prints as name=value."""
    built = subprocess.run(["ninja", "-C", MESON, f"bench/{program}"], capture_output=True,
                           text=True, check=False)
    if built.returncode != 0:
        raise peers.Absent(f"{program} could not be built")
    done = subprocess.run([MESON / "bench" / program], capture_output=True, text=True, check=True)
    return {name: float(text) for name, text in re.findall(r"(\w+)=([\d.]+)", done.stdout)}


def measure(row):
    value = words_of("bench_timer")
    slower = max(value["thread_1_ns"], value["thread_2_ns"]) / value["timer_ns"]
    shapes = words_of("bench_timer_shapes")
    errors = {name.removeprefix("error_"): shapes[name] for name in shapes
              if name.startswith("error_")}
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
        row("quantiles beside an exact sort, P50 to P99.9, worst of five shapes",
            f"{max(errors.values()):.2%} ("
            + ", ".join(f"{name} {error:.2%}" for name, error in errors.items()) + ")", "≤ 1 %",
            met=max(errors.values()) <= 0.01),
        row("resident bytes for each operation and thread", f"{shapes['bytes_each']:,.0f} B",
            "≤ 8,192 B", met=shapes["bytes_each"] <= 8192),
    ]
