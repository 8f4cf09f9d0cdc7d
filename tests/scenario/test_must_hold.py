# SPDX-License-Identifier: Apache-2.0
"""Things go wrong around the daemon: what people type, what programs send, clocks, disks, files.

Each gets a clear answer, costs nothing, and hurts nobody else.
"""

import contextlib
import glob
import gzip
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import unittest

from sonde import Scenario, Sonde, wait_for

PUSH = "/api/v1/import/prometheus"


def push(sonde, lines):
    return sonde.post(PUSH, lines)


def count(sonde, selector, window="2h"):
    """How many samples there are, or 0."""
    return sonde.value(f"sum(count_over_time({selector}[{window}]))") or 0


def turned_away(answer):
    """(rows refused, why) of a push: an account when some were, an error when all were."""
    if answer.status == 204:
        return 0, ""
    found = answer.json()
    if answer.status == 200:
        return found["rejected_count"], found["message"]
    return "all", found["error"]["message"]


def stored(sonde):
    """What the store says of itself, about a second ago."""
    return sonde.json("/api/v1/status")["data"]["store"]


def now_ms():
    return int(time.time() * 1000)


class BadRequests(Scenario):
    config = "http:\n  body_max: 64KiB\n  header_timeout: 1s\n"

    malformed = [
        (b"garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/3.7\r\nHost: 127.0.0.1\r\n\r\n", 505),
        (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA" + b"b" * 20000 + b": c\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -3\r\n\r\n", 400),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET /api/v1/query?query=%ZZ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"POST " + PUSH.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
         b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
        (b"POST " + PUSH.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
         b"Content-Length: 99999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nSlow", 408),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS where plain words belong.
    ]

    def ask(self, raw):
        with socket.create_connection(("127.0.0.1", self.sonde.port), 20) as plain:
            plain.sendall(raw)
            answer = b""
            while b"\r\n\r\n" not in answer:
                part = plain.recv(65536)
                if not part:
                    break
                answer += part
        return answer

    def test_each_malformed_request_is_answered_with_what_is_wrong(self):
        for raw, status in self.malformed:
            with self.subTest(raw=raw[:60]):
                answer = self.ask(raw)
                self.assertRegex(answer[:20], b"^HTTP/1.1 %d " % status)

    def test_bodies_over_the_limit_are_refused_packed_or_not(self):
        lines = b"".join(b"too_much{n=\"%d\"} 1\n" % n for n in range(10000))
        for body, headers in ((lines, {}), (gzip.compress(lines), {"Content-Encoding": "gzip"}),
                              (gzip.compress(b"x" * (50 << 20)), {"Content-Encoding": "gzip"})):
            answer = self.sonde.post(PUSH, body, headers)
            self.assertEqual(answer.status, 413, answer.body)
            self.assertIn("65536", answer.json()["error"]["message"])
        self.assertEqual(self.sonde.query("too_much"), [])

    def test_text_that_cannot_be_read_is_named_by_line(self):
        for body, line in ((b"{}", 1), (b"good 1\nbad{", 2), (b"a 1\nb one\n", 2),
                           (b"a{b=\"\xff\xfe\"} 1\n", 1), (b"\x00\x01\x02", 1),
                           (b"a{b=\"c\",b=\"d\"} 1\n", 1)):
            with self.subTest(body=body):
                answer = self.sonde.post(PUSH, body)
                self.assertEqual(answer.status, 400, answer.body)
                self.assertRegex(answer.json()["error"]["message"], rf"line {line}\b")

    def test_a_thousand_of_them_cost_nothing(self):
        def memory():
            with open(f"/proc/{self.sonde.process.pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * 4096

        def files():
            return len(os.listdir(f"/proc/{self.sonde.process.pid}/fd"))

        quick = [raw for raw, status in self.malformed if status != 408]
        for raw in quick * 2:
            self.ask(raw)
        before, files_before = memory(), files()
        for number in range(1000):
            self.ask(quick[number % len(quick)])
        wait_for(lambda: files() <= files_before + 4, "connections to be closed")
        if b"asan" not in self.maps():  # A sanitizer keeps freed memory aside on purpose.
            self.assertLess(memory() - before, 4 << 20)
        self.assertEqual(self.sonde.get("/readyz").status, 200)

    def maps(self):
        with open(f"/proc/{self.sonde.process.pid}/maps", "rb") as file:
            return file.read()


class OddNames(Scenario):
    """Prometheus 3 allows any text as a name; older readers of /metrics must not choke on it."""

    def test_a_name_of_any_text_does_not_spoil_the_page(self):
        for name in ("a b", "größe", "x{y", 'quote"d', "http.server.duration"):
            answer = self.sonde.post("/api/v1/performance/metrics", {"metrics": [
                {"name": name, "value": 1, "labels": {"odd label": 'va"l\nue'}}]})
            if answer.status != 200:
                self.assertEqual(answer.status, 400, answer.body)
        self.assertEqual(push(self.sonde, "plain_name 1\n").status, 204)
        page = self.sonde.get("/metrics").body
        self.assertIn(b"\nplain_name 1", page)
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed")
        checked = subprocess.run(["promtool", "check", "metrics"], input=page,
                                 capture_output=True, timeout=60, check=False)
        self.assertNotIn(b"parsing error", checked.stderr)


class BrokenQuestions(Scenario):
    def test_each_mistake_has_its_position_and_a_hint(self):
        for expression, position in (
                ("sum(", 4), ("rate(x)", 5), ("foo{a=b}", 6), ("sum(x) by", 9), ("x[5q]", 2),
                ("avg_ovr_time(x[5m])", 0), ("1 +", 3), ('x{a=~"("}', 5), ('"abc', 0),
                ("x offset", 8), ("sum by (a b) (x)", 10), (")", 0), ("foo bar", 4), ("x{", 2),
                ("x{a}", 3), ("x[5m", 4), ("x[5m] + 1", 0), ("topk(x)", 0), ("rate(x[5m], 2)", 0),
                ("x @ y", 4), ("{}", 0), ("sum(x) without b", 15), ("x and 1", 2), ("", None),
                ("1 == 2", 2), ("x{a='1',}}", 9), ("a or or b", 8), ("x[5m:", 5), ("-", 1),
                ("histogram_quantile(x)", 0), ("label_replace(x)", 0), ("x offset -", 10),
                ("abs(1)", 4), ("x on (a) y", 2), ("x{__name__='y'}", None), ("%", 0)):
            with self.subTest(expression=expression):
                answer = self.sonde.get("/api/v1/query", query=expression)
                self.assertEqual(answer.status, 400, answer.body)
                error = answer.json()
                self.assertTrue(error.get("hint"), error)
                if position is not None:
                    self.assertEqual(error["position"], position, error)


class Limits(Scenario):
    config = "store:\n  series_max: 2000\n  metric_series_max: 500\ncollect:\n  off: all\n"

    def test_an_explosion_stops_at_the_metric_then_at_the_tenant_and_others_go_on(self):
        self.assertEqual(push(self.sonde, "calm 1\n").status, 204)
        lines = "".join(f'exploding{{id="{n}"}} 1\n' for n in range(1500))
        account = push(self.sonde, lines).json()
        self.assertEqual((account["accepted_count"], account["rejected_count"]), (500, 1000))
        self.assertIn("exploding", account["message"])
        # Many metrics, each within its bound: the tenant's bound stops them.
        rejected = 0
        for metric in range(6):
            answer = push(self.sonde, "".join(f'm{metric}{{id="{n}"}} 1\n' for n in range(400)))
            if answer.status == 200:
                rejected += answer.json()["rejected_count"]
                self.assertIn("2000", answer.json()["message"])
        self.assertGreater(rejected, 400)
        # Who was known goes on; what was refused is counted, and nothing of it is kept.
        self.assertEqual(push(self.sonde, 'calm 2\nexploding{id="7"} 2\n').status, 204)
        self.assertEqual(self.sonde.value("calm"), 2)
        self.assertEqual(self.sonde.value("count(exploding)"), 500)
        wait_for(lambda: stored(self.sonde)["rejected_series_limit"] == 1000 + rejected,
                 "the refused ones to be counted")
        self.assertLessEqual(stored(self.sonde)["series"], 2000)

    def test_a_row_over_a_bound_is_refused_and_its_neighbours_are_kept(self):
        many = ",".join(f'l{n}="1"' for n in range(60))
        for line, word in ((f"wide{{{many}}} 1\n", "labels"),
                           (f'long{{a="{"x" * 5000}"}} 1\n', "bytes")):
            answer = push(self.sonde, "beside 1\n" + line)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(answer.json()["rejected_count"], 1)
            self.assertIn(word, answer.json()["message"])
        self.assertIsNotNone(self.sonde.value("beside"))


class Times(Scenario):
    """Clocks that jump, and samples that come twice or late. Configured: one hour."""

    config = "store:\n  out_of_order: 1h\ningest:\n  future_max: 10m\ncollect:\n  off: all\n"

    def test_the_same_again_is_kept_once_and_another_value_is_refused(self):
        at = now_ms() - 1000
        self.assertEqual(push(self.sonde, f"twice 1 {at}\n").status, 204)
        self.assertIn(push(self.sonde, f"twice 1 {at}\n").status, (200, 204))
        refused, why = turned_away(push(self.sonde, f"twice 2 {at}\n"))
        self.assertIn(refused, (1, "all"))
        self.assertIn("twice", why)
        self.assertEqual(count(self.sonde, "twice"), 1)
        self.assertEqual(self.sonde.value("twice"), 1)
        # Twice in one body is the same story.
        self.assertIn(push(self.sonde, f"both 1 {at}\nboth 1 {at}\n").status, (200, 204))
        self.assertEqual(count(self.sonde, "both"), 1)

    def test_late_samples_are_kept_within_the_window_and_refused_beyond_it(self):
        at = now_ms()
        late = [0, 3500, 60, 1800, 1, 3599, 900, 60]  # Seconds before the newest; 60 comes twice.
        lines = "".join(f"late {second} {at - second * 1000}\n" for second in late)
        self.assertIn(push(self.sonde, lines).status, (200, 204))
        self.assertEqual(count(self.sonde, "late"), len(set(late)))
        refused, why = turned_away(push(self.sonde, f"late 1 {at - 3700 * 1000}\n"))
        self.assertIn(refused, (1, "all"))
        self.assertRegex(why, "'late'.*too old")
        self.assertEqual(count(self.sonde, "late"), len(set(late)))
        wait_for(lambda: stored(self.sonde)["rejected_old"] >= 1, "it to be counted")
        # They are in order when asked for.
        rows = self.sonde.json("/api/v1/query", query="late[2h]")["data"]["result"][0]["values"]
        times = [row[0] for row in rows]
        self.assertEqual(times, sorted(times))

    def test_a_clock_that_was_set_ahead_spoils_nothing(self):
        at = now_ms()
        refused, why = turned_away(push(self.sonde, f"jumping 1 {at + 3600 * 1000}\n"))
        self.assertIn(refused, (1, "all"))
        self.assertRegex(why, "ahead|future")
        # Within what is allowed it is taken, and when the clock is right again, so is the rest.
        self.assertEqual(push(self.sonde, f"jumping 2 {at + 300 * 1000}\n").status, 204)
        for second in range(20, 0, -1):
            self.assertEqual(push(self.sonde, f"jumping 3 {at - second * 1000}\n").status, 204)
        self.assertEqual(self.sonde.value("count_over_time(jumping[30s])", time=at / 1000), 20)
        self.assertEqual(self.sonde.value("jumping", time=at / 1000), 3)

    def test_times_without_sense_are_refused(self):
        for stamp in ("-9223372036854775808", "9223372036854775807", "-1", "1e300", "99999999999999"):
            with self.subTest(stamp=stamp):
                refused, why = turned_away(push(self.sonde, f"absurd 1 {stamp}\n"))
                self.assertIn(refused, (1, "all"))
                self.assertTrue(why)
        self.assertEqual(self.sonde.get("/readyz").status, 200)
        self.assertEqual(self.sonde.json("/api/v1/series", **{"match[]": "absurd"})["data"], [])


class SmallDisk:
    """A tmpfs in a mount namespace of its own, held open by a sleeper; a daemon that lives there
    can be killed and started again."""

    def __init__(self, size, *arguments, config=None):
        self.sonde = Sonde(*arguments, config=config)
        os.mkdir(self.sonde.data)
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             f"mount -t tmpfs -o size={size} none '{self.sonde.data}' && echo mounted &&"
             " exec sleep 600"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.holder.stdout.readline() != b"mounted\n":
            reason = self.holder.stderr.read().decode().strip()
            self.close()
            raise unittest.SkipTest(f"no file system of one's own is allowed here: {reason}")
        command = self.sonde.command
        self.sonde.command = lambda: ["nsenter", f"--target={self.holder.pid}", "--mount",
                                      f"--wd={os.getcwd()}", *command()]

    @property
    def path(self):
        return f"/proc/{self.holder.pid}/root{self.sonde.data}"

    def fill(self, leave=0):
        """Takes what is free, but for some bytes."""
        with open(self.path + "/ballast", "ab", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    free = os.statvfs(self.path)
                    room = free.f_bavail * free.f_frsize - leave
                    if room <= 0 or not file.write(b"\0" * min(room, 1 << 20)):
                        break

    def relieve(self):
        os.unlink(self.path + "/ballast")

    def remount(self, mode):
        subprocess.run(["nsenter", f"--target={self.holder.pid}", "--mount", "mount", "-o",
                        f"remount,{mode}", self.sonde.data], check=True)

    def close(self):
        if self.holder.poll() is None:
            self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        self.holder.stderr.close()

    def __enter__(self):
        try:
            self.sonde.__enter__()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *what):
        self.sonde.__exit__(*what)
        self.close()


class FullDisk(unittest.TestCase):
    def fill_and_recover(self, config):
        with SmallDisk("24m", config=config) as disk:
            sonde = disk.sonde
            begin = now_ms() - 600 * 1000
            kept = 0

            def send():
                lines = "".join(f'full{{n="{n}"}} {(kept * 31 + n) % 97} {begin + kept}\n'
                                for n in range(20))
                return push(sonde, lines)

            for _ in range(50):
                self.assertEqual(send().status, 204)
                kept += 1
            disk.fill()
            answer = send()
            while answer.status == 204:  # What was reserved before is used up first.
                kept += 1
                self.assertLess(kept, 5000, "a full disk goes on taking in")
                answer = send()
            self.assertEqual(answer.status, 503, answer.body)
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
            self.assertEqual(answer.json()["error"]["code"], "full")
            # Reads are served, and hold what was acknowledged: no more and no less.
            self.assertEqual(count(sonde, "full"), kept * 20)
            self.assertEqual(sonde.get("/readyz").status, 200)
            wait_for(lambda: stored(sonde)["is_full"], "the status to say so")
            self.assertIn("full", sonde.log())
            lines = sonde.log().count("\n")
            self.assertEqual(send().status, 503)
            wait_for(lambda: send().status == 503 and stored(sonde)["is_full"], "a second look")
            self.assertLessEqual(sonde.log().count("\n"), lines + 1, sonde.log()[-2000:])
            # It comes back by itself.
            disk.relieve()
            wait_for(lambda: send().status == 204, "the daemon to accept again")
            kept += 1
            self.assertEqual(count(sonde, "full"), kept * 20)
            wait_for(lambda: not stored(sonde)["is_full"], "the status to say so")
            # And a kill takes nothing of it.
            disk.fill()
            sonde.kill()
            disk.relieve()
            sonde.start()
            self.assertEqual(count(sonde, "full"), kept * 20)

    def test_the_disk_itself_says_no(self):
        self.fill_and_recover("store:\n  free_min: 0\ncollect:\n  off: all\n")

    def test_it_stops_before_the_disk_is_full(self):
        self.fill_and_recover("store:\n  free_min: 2MiB\n")

    def test_it_starts_and_serves_on_a_disk_that_is_full(self):
        with SmallDisk("24m", config="store:\n  free_min: 0\ncollect:\n  off: all\n") as disk:
            sonde = disk.sonde
            self.assertEqual(push(sonde, "before 7\n").status, 204)
            disk.fill()
            sonde.kill()
            sonde.start()
            self.assertEqual(sonde.value("last_over_time(before[10m])"), 7)
            disk.relieve()
            wait_for(lambda: push(sonde, "after 8\n").status == 204, "the daemon to accept")
            self.assertEqual(sonde.value("last_over_time(before[10m])"), 7)


class ReadOnly(unittest.TestCase):
    def test_a_file_system_that_came_back_read_only_is_told_and_loses_nothing(self):
        with SmallDisk("24m", config="collect:\n  off: all\nstore:\n  free_min: 0\n") as disk:
            sonde = disk.sonde
            self.assertEqual(push(sonde, "before 7\n").status, 204)
            sonde.kill()
            disk.remount("ro")
            with self.assertRaises(AssertionError) as caught:
                sonde.start()
            self.assertIn(sonde.data, str(caught.exception))
            disk.remount("rw")
            sonde.start()
            self.assertEqual(sonde.value("last_over_time(before[10m])"), 7)


class Damage(unittest.TestCase):
    """Noise in files, as a dying disk leaves it. A daemon starts all the same."""

    @staticmethod
    def noise(path, at, size):
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(b"\x5a" * size)

    def filled(self):
        """A stopped daemon with a sample two days ago, one yesterday and one today."""
        sonde = Sonde(config="collect:\n  off: all\n")
        sonde.start()
        at = now_ms()
        for days in (2, 1, 0):
            lines = "".join(f'kept{{n="{n}"}} {days} {at - days * 86_400_000 - 1000}\n'
                            for n in range(200))
            answer = push(sonde, lines)
            self.assertEqual(answer.status, 204, answer.body)
        self.assertEqual(count(sonde, "kept", "4d"), 600)
        self.assertEqual(sonde.stop(), 0)
        days = sorted(glob.glob(f"{sonde.data}/default/20*.db"))
        self.assertEqual(len(days), 3, days)
        return sonde, days

    def test_a_day_that_is_no_database_is_named_and_set_aside(self):
        sonde, days = self.filled()
        for path in glob.glob(days[0] + "-*"):
            os.unlink(path)
        self.noise(days[0], 0, 4096)
        with sonde:
            self.assertEqual(count(sonde, "kept", "4d"), 400)
            name = os.path.basename(days[0])
            wait_for(lambda: name in sonde.log(), "the file to be named")
            self.assertEqual(push(sonde, "new 1\n").status, 204)
            # Set aside, not thrown away: whoever wants to look at it can.
            self.assertTrue(glob.glob(f"{sonde.data}/default/*{name}*damaged*") or
                            glob.glob(f"{sonde.data}/default/**/{name}*", recursive=True))
            wait_for(lambda: sonde.value("sonde_store_damaged_files_total") == 1, "its count")

    def test_a_block_that_rots_costs_its_day_and_not_the_daemon(self):
        sonde, days = self.filled()
        size = os.path.getsize(days[1])
        for at in range(8192, size - 4096, 4096):
            self.noise(days[1], at + 512, 2048)
        with sonde:
            self.assertGreaterEqual(count(sonde, "kept", "4d"), 400)
            self.assertEqual(sonde.value("max(last_over_time(kept[10m]))"), 0)
            wait_for(lambda: os.path.basename(days[1]) in sonde.log(), "the file to be named")
            self.assertEqual(push(sonde, "new 1\n").status, 204)

    def test_a_catalog_that_is_no_database_is_made_anew_from_the_days(self):
        sonde, days = self.filled()
        catalog = f"{sonde.data}/default/catalog.db"
        for path in glob.glob(catalog + "-*"):
            os.unlink(path)
        self.noise(catalog, 0, 4096)
        with sonde:
            self.assertEqual(count(sonde, "kept", "4d"), 600)
            self.assertIn("catalog", sonde.log())
            self.assertEqual(push(sonde, "new 1\n").status, 204)
            self.assertEqual(sonde.value("count(new)"), 1)

    def test_a_table_that_is_missing_is_damage_too(self):
        sonde, days = self.filled()
        with contextlib.closing(sqlite3.connect(days[2])) as database:
            tables = [row[0] for row in
                      database.execute("select name from sqlite_master where type='table'")]
            for table in tables:
                if not table.startswith("sqlite_"):
                    database.execute(f'drop table "{table}"')
            database.commit()
        with sonde:
            self.assertEqual(count(sonde, "kept", "4d"), 400)
            self.assertEqual(push(sonde, "new 1\n").status, 204)
            self.assertIn(os.path.basename(days[2]), sonde.log())

    def test_a_file_that_vanishes_under_the_daemon_hurts_only_its_day(self):
        sonde, days = self.filled()
        with sonde:
            os.unlink(days[0])
            self.assertGreaterEqual(count(sonde, "kept", "4d"), 400)
            self.assertEqual(push(sonde, "new 1\n").status, 204)


class Configuration(unittest.TestCase):
    def test_a_slip_is_told_with_its_line_and_the_nearest_key(self):
        sonde = Sonde(config="profile: development\nstore:\n  out_of_ordr: 1h\n")
        with self.assertRaises(AssertionError) as caught:
            sonde.start()
        shutil.rmtree(sonde.folder)
        self.assertRegex(str(caught.exception), r"sonde.yaml:3\b|line 3")
        self.assertIn("out_of_order", str(caught.exception))

    def test_a_port_in_use_is_told_with_who_has_it(self):
        with Sonde("--collect.off", "all") as first:
            second = Sonde()
            second.port = first.port
            with self.assertRaises(AssertionError) as caught:
                second.start()
            shutil.rmtree(second.folder)
            self.assertIn(str(first.process.pid), str(caught.exception))
            self.assertIn("--listen", str(caught.exception))


class Stopped(unittest.TestCase):
    def test_a_machine_that_slept_is_noticed_and_nothing_piles_up(self):
        """For the sampler, a stopped process is a machine that slept: ticks are missed, counted,
        and not made up for."""
        with Sonde() as sonde:
            sonde.wait_for_value("count(node_load1)", 1)
            missed = "sonde_sampler_ticks_missed_total + sonde_sampler_clock_jumps_total"
            before = wait_for(lambda: sonde.query(missed), "the sampler's count")
            sonde.process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            sonde.process.send_signal(signal.SIGCONT)
            wait_for(lambda: sonde.value(missed) > float(before[0]["value"][1]), "it to be noticed")

            def gaps():
                rows = sonde.json("/api/v1/query", query="node_load1[1m]")["data"]["result"][0]
                times = [row[0] for row in rows["values"]]
                return [later - earlier for earlier, later in zip(times, times[1:])]

            # The sleep is a gap, not made up for …
            wait_for(lambda: max(gaps()) >= 2, "a row from after the sleep")
            self.assertGreaterEqual(min(gaps()), 0.9)  # … by samples in a heap.


if __name__ == "__main__":
    unittest.main()
