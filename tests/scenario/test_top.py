# SPDX-License-Identifier: Apache-2.0
"""Someone watches the machine with `sonde top` in a terminal of changing size, types, and leaves in
every way; the terminal must be as it was."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from sonde import BINARY, PATIENCE, need_binary

ENTER = b"\x1b[?1049h"
LEAVE = b"\x1b[?1049l"
CURSOR = b"\x1b[?25h"
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A pseudo terminal with `sonde top` in it."""

    def __init__(self, *arguments, columns=100, rows=30):
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [BINARY, "top", "--interval", "200ms", *arguments], stdin=self.slave,
            stdout=self.slave, stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"})

    def resize(self, columns, rows):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys if isinstance(keys, bytes) else keys.encode())

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                return
            if not piece:
                return
            self.seen += piece

    def frame(self):
        """The last frame as lines without colour; read() has waited until it was whole."""
        last = self.seen.split(b"\x1b[H")[-1]
        lines = last.decode(errors="replace").split("\n")  # The terminal puts a \r more before each.
        return [SEQUENCE.sub("", line).rstrip("\r") for line in lines]

    def wait(self, condition, what):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.read()
            if condition(self.frame()):
                return self.frame()
        raise AssertionError(f"waited in vain for {what}; last frame:\n" + "\n".join(self.frame()))

    def end(self):
        status = self.process.wait(timeout=PATIENCE)
        self.read()
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def shows_processes(frame):
    return any("PID" in line and "COMMAND" in line for line in frame)


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()

    def start(self, *arguments, **size):
        terminal = Terminal(*arguments, **size)
        self.addCleanup(terminal.close)
        terminal.wait(shows_processes, "the list of processes")
        return terminal

    def assert_restored(self, terminal):
        self.assertIn(ENTER, terminal.seen)
        self.assertGreater(terminal.seen.rindex(LEAVE), terminal.seen.rindex(ENTER))
        self.assertGreater(terminal.seen.rindex(CURSOR), terminal.seen.rindex(ENTER))
        self.assertEqual(termios.tcgetattr(terminal.slave), terminal.before)

    def test_it_shows_the_machine_and_quits(self):
        terminal = self.start()
        frame = terminal.wait(lambda frame: any(re.search(r"CPU +[\d.]+ %", line)
                                                for line in frame), "the CPU's usage")
        for word in ("Memory", "Disk", "Network", "Pressure", "load"):
            self.assertTrue(any(word in line for line in frame), word)
        self.assertTrue(any("▁" in line for line in frame))
        terminal.type("q")
        self.assertEqual(terminal.end(), 0)
        self.assert_restored(terminal)

    def test_every_signal_that_ends_it_restores_the_terminal(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            terminal = self.start()
            terminal.process.send_signal(number)
            self.assertEqual(terminal.end(), 0, number)
            self.assert_restored(terminal)

    def test_control_c_ends_it(self):
        terminal = self.start()
        terminal.type(b"\x03")
        self.assertEqual(terminal.end(), 0)
        self.assert_restored(terminal)

    def test_even_a_crash_restores_the_terminal(self):
        terminal = self.start()
        terminal.process.send_signal(signal.SIGABRT)
        self.assertNotEqual(terminal.end(), 0)
        self.assert_restored(terminal)

    def test_a_narrow_terminal_gets_fewer_columns_and_no_broken_lines(self):
        terminal = self.start(columns=60, rows=20)
        frame = terminal.wait(shows_processes, "the list")
        self.assertTrue(all(len(line) <= 60 for line in frame), frame)
        self.assertLessEqual(len(frame), 21)
        terminal.resize(120, 24)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.wait(lambda frame: any("WRITE" in line for line in frame), "the wider columns")
        terminal.type("q")
        self.assertEqual(terminal.end(), 0)

    def test_keys_sort_group_filter_pause_and_help(self):
        terminal = self.start()
        terminal.type("m")
        terminal.wait(lambda frame: any("MEM*" in line for line in frame), "sorting by memory")
        terminal.type(b"\x1b[C")
        terminal.wait(lambda frame: any("THR*" in line for line in frame), "the next column")
        terminal.type("g")
        terminal.wait(lambda frame: any("COUNT" in line and "GROUP" in line for line in frame),
                      "groups")
        terminal.type("g?")
        terminal.wait(lambda frame: any("cannot send signals" in line for line in frame), "help")
        terminal.type("?/")
        terminal.wait(lambda frame: any("Filter: _" in line for line in frame), "the filter line")
        terminal.type("top --interval\r")
        frame = terminal.wait(lambda frame: any("filter 'top --interval'" in line for line in frame),
                              "the filter")
        rows = frame[next(i for i, line in enumerate(frame) if "PID" in line) + 1:]
        rows = [row.split()[0] for row in rows if row.strip()]
        self.assertIn(str(terminal.process.pid), rows)
        terminal.type("/nothing-is-called-so\r")
        terminal.wait(lambda frame: any("No process matches" in line for line in frame),
                      "an empty list")
        terminal.type(b"\x1b")
        terminal.type(" ")
        terminal.wait(lambda frame: any("PAUSED" in line for line in frame), "the pause")
        terminal.type("q")
        self.assertEqual(terminal.end(), 0)
        self.assert_restored(terminal)

    def test_it_cannot_kill(self):
        victim = subprocess.Popen(["sleep", "60"])
        self.addCleanup(victim.wait)
        self.addCleanup(victim.kill)
        terminal = self.start("--filter", "sleep 60")
        terminal.type("kK9\r")
        terminal.type("q")
        self.assertEqual(terminal.end(), 0)
        self.assertIsNone(victim.poll())


class Once(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()

    def run_top(self, *arguments):
        return subprocess.run([BINARY, "top", "--interval", "300ms", *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE * 2, env={**os.environ, "LANG": "C.UTF-8"})

    def test_without_a_terminal_the_way_out_is_told(self):
        answer = self.run_top()
        self.assertEqual(answer.returncode, 4)
        self.assertIn("--once", answer.stderr)

    def test_a_snapshot_for_people(self):
        answer = self.run_top("--once", "--limit", "5")
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        self.assertNotIn("\x1b", answer.stdout)
        lines = answer.stdout.splitlines()
        header = next(i for i, line in enumerate(lines) if "PID" in line)
        self.assertEqual(len(lines) - header - 1, 5)

    def test_a_snapshot_for_programs_sees_a_busy_process(self):
        busy = subprocess.Popen(["python3", "-c", "while True: pass"])
        self.addCleanup(busy.wait)
        self.addCleanup(busy.kill)
        told = json.loads(self.run_top("--json", "--interval", "1s", "--pss").stdout)
        rows = {row["pid"]: row for row in told["processes"]}
        self.assertIn(busy.pid, rows)
        row = rows[busy.pid]
        self.assertGreater(row["cpu_percent"], 5)
        self.assertGreater(row["rss_bytes"], 1 << 20)
        self.assertIn("while True", row["cmdline"])
        self.assertGreater(told["host"]["cpu_ratio"], 0)
        self.assertGreater(told["host"]["memory_total_bytes"], 1 << 26)
        ordered = [row["cpu_percent"] or 0 for row in told["processes"]]
        self.assertEqual(ordered, sorted(ordered, reverse=True))

    def test_groups_add_up(self):
        told = json.loads(self.run_top("--json", "--groups").stdout)
        self.assertGreaterEqual(sum(group["processes"] for group in told["groups"]), 3)
        names = [group["group"] for group in told["groups"]]
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
