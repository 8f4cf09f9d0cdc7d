# SPDX-License-Identifier: Apache-2.0
"""What others tell reaches the store: programs run on a schedule, files in a folder, pages fetched
from targets, and Prometheus' remote write, each with what happens when it goes wrong."""

import os
import shutil
import subprocess
import tempfile
import unittest

from sonde import Sonde, need_binary, wait_for
from test_node_exporter import Exporter, NODE_EXPORTER, free_port

PROMETHEUS = shutil.which("prometheus")

CONFIG = """
collect:
  textfiles: {folder}/text
collectors:
  - name: good
    command: [sh, -c, "echo '# TYPE made_up gauge'; cat {folder}/numbers"]
    every: 500ms
  - name: bad
    command: [sh, -c, "echo half_a_line{{; echo why it broke >&2; exit 3"]
    every: 500ms
  - name: slow
    command: [sleep, "30"]
    every: 500ms
    timeout: 300ms
"""


def write(path, text):
    """As those who do it right: written whole, then renamed into place."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".part", path)


class Custom(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()
        cls.folder = tempfile.mkdtemp(prefix="sonde-scenario-")
        os.mkdir(os.path.join(cls.folder, "text"))
        write(os.path.join(cls.folder, "numbers"), 'made_up{place="x"} 1\nmade_up{place="y"} 2\n')
        write(os.path.join(cls.folder, "text", "one.prom"), 'from_a_file{a="b"} 7\n')
        cls.sonde = Sonde(config=CONFIG.format(folder=cls.folder)).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.sonde.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def test_what_a_program_prints_is_a_metric_until_it_stops_printing_it(self):
        self.sonde.wait_for_value('made_up{job="good",place="y"}', 2)
        write(os.path.join(self.folder, "numbers"), 'made_up{place="x"} 3\n')
        self.sonde.wait_for_value('made_up{place="x"}', 3)
        wait_for(lambda: not self.sonde.query('made_up{place="y"}'), "y to end")

    def test_a_run_tells_how_it_went(self):
        self.sonde.wait_for_value('sonde_collector_success{collector="good"}', 1)
        self.sonde.wait_for_value('sonde_collector_exit_code{collector="bad"}', 3)
        self.assertEqual(self.sonde.value('sonde_collector_success{collector="bad"}'), 0)
        self.sonde.wait_for_value('sonde_collector_timed_out{collector="slow"}', 1)
        self.assertEqual(self.sonde.query('half_a_line'), [])
        wait_for(lambda: "why it broke" in self.sonde.log(), "the program's complaint in the log")
        self.assertEqual(self.sonde.log().count("why it broke"), 1)

    def test_the_status_lists_it(self):
        self.sonde.wait_for_value('made_up{place="x"}')
        collectors = self.sonde.json("/api/v1/status")["data"]["collectors"]
        self.assertTrue(collectors)
        for collector in collectors:
            self.assertTrue(collector["summary"])
            self.assertGreater(collector["period_ms"], 0)

    def test_files_in_the_folder_are_read_and_a_broken_one_is_named(self):
        self.sonde.wait_for_value('from_a_file{a="b"}', 7)
        self.sonde.wait_for_value("node_textfile_scrape_error", 0)
        broken = os.path.join(self.folder, "text", "two.prom")
        write(broken, "fine 1\nbroken{a=1} 2\n")
        self.sonde.wait_for_value("node_textfile_scrape_error", 1)
        wait_for(lambda: "two.prom, line 2, column 10" in self.sonde.log(), "the place in the log")
        self.assertEqual(self.sonde.query("fine"), [])
        self.assertEqual(len(self.sonde.query('from_a_file{a="b"}')), 1)
        os.unlink(broken)
        self.sonde.wait_for_value("node_textfile_scrape_error", 0)
        os.unlink(os.path.join(self.folder, "text", "one.prom"))
        wait_for(lambda: not self.sonde.query("from_a_file"), "the file's series to end")


@unittest.skipUnless(NODE_EXPORTER, "prometheus-node-exporter is not installed")
class Scrape(unittest.TestCase):
    def test_a_target_is_fetched_and_its_end_is_seen(self):
        exporter = Exporter(NODE_EXPORTER)
        config = (f"scrape:\n  - url: http://127.0.0.1:{exporter.port}/metrics\n"
                  "    every: 1s\n    labels: {job: theirs}\n")
        try:
            with Sonde(config=config) as sonde:
                instance = f"127.0.0.1:{exporter.port}"
                self.assertEqual(sonde.wait_for_value('up{job="theirs"}', 1), 1)
                build = sonde.query("node_exporter_build_info")[0]["metric"]
                self.assertEqual((build["job"], build["instance"]), ("theirs", instance))
                self.assertGreater(sonde.value('scrape_samples_scraped{job="theirs"}'), 400)
                target = sonde.json("/api/v1/status")["data"]["targets"][0]
                self.assertEqual((target["state"], target["error"]), ("running", None))
                self.assertGreater(target["series"], 400)
                exporter.process.kill()
                sonde.wait_for_value('up{job="theirs"}', 0)
                self.assertEqual(sonde.query("node_exporter_build_info"), [])
                self.assertIn("is down", sonde.log())
        finally:
            exporter.close()


@unittest.skipUnless(PROMETHEUS and NODE_EXPORTER, "prometheus and its node exporter are not there")
class RemoteWrite(unittest.TestCase):
    def test_prometheus_writes_to_us_what_it_scrapes(self):
        folder = tempfile.mkdtemp(prefix="sonde-scenario-")
        exporter = Exporter(NODE_EXPORTER)
        process = None
        try:
            with Sonde() as sonde:
                config = os.path.join(folder, "prometheus.yml")
                write(config, "global: {scrape_interval: 1s, external_labels: {via: remote}}\n"
                      "scrape_configs:\n  - job_name: theirs\n    static_configs:\n"
                      f"      - targets: ['127.0.0.1:{exporter.port}']\n"
                      f"remote_write:\n  - url: {sonde.url}/api/v1/write\n"
                      "    queue_config: {batch_send_deadline: 500ms}\n")
                process = subprocess.Popen(
                    [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                     f"--web.listen-address=127.0.0.1:{free_port()}"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                wait_for(lambda: sonde.query('node_load1{via="remote"}'), "remote samples", 60)
                sonde.wait_for_value('up{via="remote",job="theirs"}', 1)
                wait_for(lambda: len(sonde.query('{via="remote"}')) > 400, "all series", 60)
                count = sonde.value('count_over_time(node_load1{via="remote"}[1m])')
                self.assertGreaterEqual(count, 1)
        finally:
            if process is not None:
                process.terminate()
                process.wait()
            exporter.close()
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
