# SPDX-License-Identifier: Apache-2.0
"""Beside Debian's node_exporter and process-exporter, sonde tells the same story of the machine.

Names, label sets, kinds and help texts must be equal; values must agree within what moves between
two looks. What sonde leaves out is listed, with reasons, in docs/node_exporter.md.
"""

import fnmatch
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

from sonde import ROOT, Sonde, need_binary, wait_for

DOCUMENT = os.path.join(ROOT, "docs", "node_exporter.md")
NODE_EXPORTER = shutil.which("prometheus-node-exporter")
PROCESS_EXPORTER = shutil.which("prometheus-process-exporter")
SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
OURS = {"instance", "job"}  # Prometheus adds them when it scrapes node_exporter.

# What moves by leaps: only that it is there is compared.
LEAPING = re.compile(r"node_procs_running|node_procs_blocked|node_scrape_collector_.*|"
                     r"node_softnet_times_squeezed_total|node_disk_io_now|node_sockstat_.*|"
                     r"node_netstat_Tcp_CurrEstab|node_timex_.*|node_memory_(Dirty|Writeback).*")
ROUNDS = 15
PERIOD_S = 1.1  # What sonde tells was looked at so long ago at most: the peer looks before and after.


class Page:
    """Exposition text: {(name, frozenset of labels): value}, kinds and helps by name."""

    def __init__(self, text):
        self.series, self.kinds, self.helps = {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name, _, text_ = line[7:].partition(" ")
                self.helps[name] = text_
            elif line.startswith("# TYPE "):
                name, _, kind = line[7:].partition(" ")
                self.kinds[name] = kind
            elif line and not line.startswith("#"):
                found = SAMPLE.match(line)
                assert found, line
                # An empty label is no label.
                labels = frozenset((name, value) for name, value in LABEL.findall(found[2] or "")
                                   if value != "" and name not in OURS)
                self.series[(found[1], labels)] = float(found[3])


def spell(key):
    name, labels = key
    return name + "{" + ",".join(f'{n}="{v}"' for n, v in sorted(labels)) + "}" if labels else name


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


class Exporter:
    """Another program that serves /metrics, on a port of its own, ended with the test."""

    def __init__(self, *command):
        self.port = free_port()
        self.process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{self.port}"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._answers, command[0])

    def _answers(self):
        try:
            return self.page()
        except OSError:
            return None

    def page(self):
        return Page(fetch(f"http://127.0.0.1:{self.port}/metrics"))

    def close(self):
        self.process.terminate()
        self.process.wait()


def left_out():
    """The patterns of the table in the document."""
    with open(DOCUMENT, encoding="utf-8") as file:
        section = file.read().split("## Left out, and why")[1].split("\n## ")[0]
    patterns = re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)
    assert patterns and all(reason.strip() for _, reason in patterns)
    return [pattern for pattern, _ in patterns]


def is_left_out(key, patterns):
    text = spell(key)
    return any(key[0] == pattern or fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def agree(ours, before, after):
    """Whether a value lies between two looks of the other, give or take 2 % and one second."""
    low, high = min(before, after), max(before, after)
    slack = 0.02 * max(abs(low), abs(high)) + 1.5
    return low - slack <= ours <= high + slack


def disagreements(exporter, sonde, names):
    """Series whose values never agreed in several rounds of looking at both."""
    open_keys = None
    for _ in range(ROUNDS):
        before = exporter.page()
        time.sleep(PERIOD_S)
        ours, after = Page(fetch(sonde.url + "/metrics")), exporter.page()
        keys = {key for key in before.series if names.match(key[0]) and key in after.series}
        open_keys = keys if open_keys is None else open_keys & keys
        open_keys = {key for key in open_keys
                     if key not in ours.series or
                     not agree(ours.series[key], before.series[key], after.series[key])}
        # Sources that look every five seconds, and what jumps within one, need another chance.
        if not open_keys:
            break
    return {spell(key): (ours.series.get(key), before.series[key])
            for key in open_keys if key in before.series}


@unittest.skipUnless(NODE_EXPORTER, "prometheus-node-exporter is not installed")
class NodeExporter(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()
        cls.exporter = Exporter(NODE_EXPORTER)
        try:
            cls.sonde = Sonde().__enter__()
        except BaseException:
            cls.exporter.close()
            raise
        cls.sonde.wait_for_value("node_load1")

    @classmethod
    def tearDownClass(cls):
        cls.exporter.close()
        cls.sonde.close()

    def test_every_series_is_there_with_the_same_labels(self):
        patterns = left_out()
        theirs, ours = self.exporter.page(), Page(fetch(self.sonde.url + "/metrics"))
        missing = [spell(key) for key in theirs.series
                   if key[0].startswith("node_") and key not in ours.series
                   and not is_left_out(key, patterns)]
        # A mount or a device that came between the two looks is there at the next.
        if missing:
            ours = Page(fetch(self.sonde.url + "/metrics"))
            missing = [text for text in missing if text not in map(spell, ours.series)]
        self.assertEqual(missing, [])
        self.assertGreater(len(theirs.series), 200)

    def test_nothing_is_listed_as_left_out_that_is_there(self):
        ours = Page(fetch(self.sonde.url + "/metrics"))
        there = [pattern for pattern in left_out()
                 if any(fnmatch.fnmatchcase(spell(key), pattern) for key in ours.series)]
        self.assertEqual(there, [])

    def test_kinds_and_help_texts_are_the_same(self):
        theirs, ours = self.exporter.page(), Page(fetch(self.sonde.url + "/metrics"))
        for name, kind in theirs.kinds.items():
            if name.startswith("node_") and name in ours.kinds:
                with self.subTest(name):
                    self.assertEqual(ours.kinds[name], kind)
                    self.assertEqual(ours.helps.get(name), theirs.helps.get(name))

    def test_values_agree(self):
        names = re.compile(r"node_(?!exporter_)(?!time_seconds$)")
        differences = {text: values
                       for text, values in disagreements(self.exporter, self.sonde, names).items()
                       if not LEAPING.match(text) and values[0] is not None}
        self.assertEqual(differences, {})

    def test_the_clock_is_told_to_the_second(self):
        self.assertAlmostEqual(self.sonde.value("node_time_seconds"), time.time(), delta=5)


@unittest.skipUnless(PROCESS_EXPORTER, "prometheus-process-exporter is not installed")
class ProcessExporter(unittest.TestCase):
    """A process of known habits is told alike by both."""

    @classmethod
    def setUpClass(cls):
        need_binary()
        cls.folder = tempfile.mkdtemp(prefix="sonde-scenario-")
        # A program whose name nobody else has, so that its group is this process alone.
        cls.name = f"tgt{os.getpid()}"
        program = os.path.join(cls.folder, cls.name)
        shutil.copy(shutil.which("sleep"), program)
        cls.process = subprocess.Popen([program, "600"])
        config = os.path.join(cls.folder, "groups.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write('process_names:\n  - name: "{{.Comm}}"\n    cmdline: [".+"]\n')
        cls.exporter = Exporter(PROCESS_EXPORTER, "-config.path", config)
        cls.sonde = Sonde().__enter__()
        cls.sonde.wait_for_value(f'namedprocess_namegroup_num_procs{{groupname="{cls.name}"}}')

    @classmethod
    def tearDownClass(cls):
        cls.process.kill()
        cls.process.wait()
        cls.exporter.close()
        cls.sonde.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def group(self, page):
        return {key: value for key, value in page.series.items()
                if key[0].startswith("namedprocess_namegroup_") and
                ("groupname", self.name) in key[1] and
                not re.search("_thread_|_threads_wchan", key[0]) and
                not any("proportional" in value for _, value in key[1])}

    def test_a_group_has_the_same_series_and_values(self):
        theirs = self.group(self.exporter.page())
        ours = self.group(Page(fetch(self.sonde.url + "/metrics")))
        self.assertGreater(len(theirs), 15)
        self.assertEqual(sorted(map(spell, theirs.keys() - ours.keys())), [])
        for key, value in theirs.items():
            with self.subTest(spell(key)):
                # It counts a process from when it first sees it; sonde from its start.
                if not key[0].endswith("_total"):
                    self.assertAlmostEqual(ours[key], value, delta=0.02 * abs(value) + 1)

    def test_kinds_and_help_texts_are_the_same(self):
        theirs, ours = self.exporter.page(), Page(fetch(self.sonde.url + "/metrics"))
        for name, kind in theirs.kinds.items():
            if name.startswith("namedprocess_namegroup_") and name in ours.kinds:
                with self.subTest(name):
                    self.assertEqual(ours.kinds[name], kind)
                    self.assertEqual(ours.helps.get(name), theirs.helps.get(name))

    def test_a_counter_does_not_fall_when_a_member_ends(self):
        busy = os.path.join(self.folder, f"bsy{os.getpid()}")
        shutil.copy(shutil.which("dash") or shutil.which("sh"), busy)
        selector = f'namedprocess_namegroup_cpu_seconds_total{{groupname="bsy{os.getpid()}"}}'
        member = subprocess.Popen([busy, "-c", "while :; do :; done"])
        try:
            used = wait_for(lambda: self.sonde.value(f"sum({selector})"), "CPU time of the group")
        finally:
            member.kill()
            member.wait()
        procs = f'namedprocess_namegroup_num_procs{{groupname="bsy{os.getpid()}"}}'
        self.sonde.wait_for_value(procs, 0)
        self.assertGreaterEqual(self.sonde.value(f"sum({selector})"), used)


if __name__ == "__main__":
    unittest.main()
