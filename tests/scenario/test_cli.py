# SPDX-License-Identifier: Apache-2.0
"""Someone at a shell: help, mistakes, exit codes, configuration, doctor, queries, and a daemon that
is started and ended in every way."""

import csv
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from sonde import BINARY, ROOT, Sonde, need_binary, wait_for

GOOD, FINDING, USAGE, UNREACHABLE, REFUSED = range(5)


def clean_environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SONDE_")}
    return {**kept, "LANG": "C.UTF-8", **more}


def run(*arguments, environment=None, timeout=60):
    return subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout, env=environment or clean_environment())


class Cli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sonde-cli-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class HelpAndMistakes(Cli):
    def commands(self):
        listed = run("--help").stdout.split("Commands\n")[1].split("\n\n")[0]
        return [line.split()[0] for line in listed.splitlines() if line.startswith("  ")
                and not line.startswith("   ")]

    def test_every_command_tells_what_it_takes(self):
        commands = self.commands()
        self.assertIn("serve", commands)
        self.assertIn("doctor", commands)
        for command in commands:
            answer = run(command, "--help")
            self.assertEqual(answer.returncode, GOOD, command)
            self.assertIn(f"Usage: sonde {command}", answer.stdout)
            self.assertIn("Examples", answer.stdout, command)
            self.assertNotIn("\x1b", answer.stdout)
            self.assertEqual(run("help", command).stdout, answer.stdout)

    def test_the_version_is_told(self):
        self.assertRegex(run("--version").stdout, r"^sonde \d+\.\d+\.\d+\n$")

    def test_nothing_asked_is_a_usage_error_with_help(self):
        answer = run()
        self.assertEqual(answer.returncode, USAGE)
        self.assertIn("Usage: sonde COMMAND", answer.stdout)

    def test_slips_get_the_word_that_was_meant(self):
        for arguments, meant in [
                (["sreve"], "sonde serve"),
                (["doctr"], "sonde doctor"),
                (["serve", "--lisen", ":1"], "--listen"),
                (["serve", "--retention-rwa=1d"], "--retention-raw"),
                (["completion", "bsh"], "'bash'"),
        ]:
            answer = run(*arguments)
            self.assertEqual(answer.returncode, USAGE, arguments)
            self.assertIn("did you mean", answer.stderr)
            self.assertIn(meant, answer.stderr)

    def test_wrong_values_say_what_was_expected(self):
        for arguments, said in [
                (["serve", "--listen", "here"], "is not an address such as"),
                (["serve", "--retention-raw", "soon"], "is not a duration such as"),
                (["serve", "--profile", "prodction"], "did you mean production?"),
                (["serve", "--log-level"], "needs a value"),
                (["serve", "one"], "does not know what to do with 'one'"),
                (["top", "--interval", "1ms"], "within 200ms..60s"),
                (["serve", "--token", "abc"], "seen by every user"),
                (["query"], "needs an expression"),
        ]:
            answer = run(*arguments)
            self.assertEqual(answer.returncode, USAGE, arguments)
            self.assertIn(said, answer.stderr)

    def test_colour_is_for_terminals_unless_asked_for(self):
        self.assertNotIn("\x1b", run("doctor").stdout)
        self.assertIn("\x1b", run("doctor", "--color", "always").stdout)

    def test_errors_are_json_too_when_json_is_asked_for(self):
        answer = run("query", "up", "--url", "http://127.0.0.1:1", "--json")
        self.assertEqual(answer.returncode, UNREACHABLE)
        error = json.loads(answer.stdout)["error"]
        self.assertEqual(error["code"], "upstream")
        self.assertIn("sonde serve", error["hint"])

    def test_completions_are_what_the_shells_understand(self):
        for shell in ("bash", "zsh", "fish"):
            script = run("completion", shell)
            self.assertEqual(script.returncode, GOOD)
            self.assertIn("check-config", script.stdout)
            self.assertIn("retention-raw", script.stdout)
            if shutil.which(shell):
                checked = subprocess.run([shell, "-n"], input=script.stdout, text=True,
                                         capture_output=True, timeout=30)
                self.assertEqual((checked.returncode, checked.stderr), (0, ""), shell)

    def test_bash_completes_a_flag(self):
        script = run("completion", "bash").stdout
        ask = script + ("COMP_WORDS=(sonde serve --retention-r); COMP_CWORD=2; _sonde; "
                        "echo \"${COMPREPLY[@]}\"")
        answer = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=30)
        self.assertEqual(answer.stdout.strip(), "--retention-raw", answer.stderr)


class Manual(Cli):
    def kept(self, *parts):
        with open(os.path.join(ROOT, "docs", "manual", *parts), encoding="utf-8") as file:
            return file.read()

    def test_the_kept_manual_is_what_the_program_says(self):
        self.assertEqual(run("manual", "page").stdout, self.kept("sonde.1"),
                         "run: sonde manual page > docs/manual/sonde.1")
        self.assertEqual(run("manual", "configuration").stdout, self.kept("configuration.md"),
                         "run: sonde manual configuration > docs/manual/configuration.md")

    @unittest.skipUnless(shutil.which("man"), "man is not installed")
    def test_the_page_renders_without_a_warning(self):
        page = os.path.join(ROOT, "docs", "manual", "sonde.1")
        answer = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", page],
                                capture_output=True, text=True, timeout=60,
                                env=clean_environment(MANWIDTH="80", PAGER="cat"))
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        self.assertIn("sonde serve", answer.stdout)


class Configuration(Cli):
    def check(self, text, *more, **environment):
        path = self.file("sonde.yaml", text)
        answer = run("check-config", path, "--json", *more,
                     environment=clean_environment(**environment))
        return answer.returncode, json.loads(answer.stdout), path

    def test_each_mistake_has_its_place_and_the_nearest_key(self):
        code, told, path = self.check("listen: 127.0.0.1:7070\n"
                                      "retention:\n"
                                      "  rwa: 30d\n"
                                      "log: {level: loud}\n"
                                      "collectors:\n"
                                      "  - {name: a, command: x, evry: 5s}\n")
        self.assertEqual(code, FINDING)
        self.assertFalse(told["ok"])
        found = [(p["message"].replace(path, "F"), p["hint"]) for p in told["problems"]]
        self.assertEqual(found[0], ("F:3:8: retention.rwa: unknown key",
                                    "did you mean 'retention.raw'?"))
        self.assertTrue(found[1][0].startswith("F:4:14: log.level: 'loud' is not one of"))
        self.assertTrue(found[2][0].startswith("F:6:"))
        self.assertIn("did you mean 'every'?", found[2][1])

    def test_values_show_where_they_come_from(self):
        code, told, path = self.check("retention: {raw: 3d}\nprofile: staging\n", "--workers", "3",
                                      SONDE_LISTEN="127.0.0.1:1234")
        self.assertEqual(code, GOOD)
        origin = {s["name"]: (s["value"], s["origin"]) for s in told["settings"]}
        self.assertEqual(origin["retention.raw"], ("3d", f"{path}:1"))
        self.assertEqual(origin["workers"], ("3", "flag --workers"))
        self.assertEqual(origin["listen"], ("127.0.0.1:1234", "environment SONDE_LISTEN"))
        self.assertEqual(origin["sampling.ratio"], ("10%", "profile staging"))
        self.assertEqual(origin["retention.hour"], ("5y", "default"))

    def test_secrets_are_never_shown(self):
        code, told, _ = self.check("", SONDE_TOKEN="do-not-show-me-please")
        self.assertEqual(code, GOOD)
        self.assertNotIn("do-not-show-me", json.dumps(told))
        code, told, _ = self.check("token: do-not-show-me\n")
        self.assertEqual(code, FINDING)
        self.assertIn("token_file", told["problems"][0]["hint"])

    def test_a_variable_with_a_slip_is_told(self):
        code, told, _ = self.check("", SONDE_LISTNE=":1")
        self.assertEqual(code, GOOD)
        self.assertIn("did you mean SONDE_LISTEN?", told["problems"][0]["message"])

    def test_what_is_not_yaml_is_told_with_its_place(self):
        code, told, path = self.check("a: 1\n\tb: 2\n")
        self.assertEqual(code, FINDING)
        self.assertIn(":2:1:", told["problems"][0]["message"])
        self.assertIn("spaces, not tabs", told["problems"][0]["hint"])

    def test_serve_refuses_a_wrong_configuration_and_starts_nothing(self):
        path = self.file("sonde.yaml", "lisen: ':1'\n")
        data = os.path.join(self.folder, "data")
        answer = run("serve", "--config", path, "--data", data, "--listen", "127.0.0.1:0")
        self.assertEqual(answer.returncode, USAGE)
        self.assertIn("did you mean 'listen'?", answer.stderr)
        self.assertFalse(os.path.exists(data))


class Doctor(Cli):
    def test_every_line_has_a_state_and_what_is_missing_a_way_out(self):
        answer = run("doctor", "--json", "--data", self.folder, "--listen", "127.0.0.1:0")
        told = json.loads(answer.stdout)
        self.assertEqual(answer.returncode, GOOD if told["ok"] else FINDING)
        names = {check["name"] for check in told["checks"]}
        self.assertLessEqual({"perf_events", "bpf", "btf", "pressure", "cgroups", "open_files",
                              "port_sonde", "clock_sync", "data_folder", "disk_flush", "entropy",
                              "inotify"}, names)
        for check in told["checks"]:
            self.assertIn(check["state"], ("ok", "limited", "missing", "absent"))
            self.assertTrue(check["found"], check)
            if check["state"] == "missing":
                self.assertTrue(check["advice"], check)
        sources = {source["name"]: source["state"] for source in told["sources"]}
        self.assertEqual(sources["cpu"], "ok")
        self.assertEqual(sources["meminfo"], "ok")

    def test_a_taken_port_and_a_wrong_folder_are_seen(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            path = self.file("not-a-folder", "")
            told = json.loads(run("doctor", "--json", "--data", path, "--listen",
                                  f"127.0.0.1:{taken.getsockname()[1]}").stdout)
        state = {check["name"]: check["state"] for check in told["checks"]}
        self.assertEqual(state["port_sonde"], "limited")
        self.assertEqual(state["data_folder"], "missing")


class Queries(Cli):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sonde = Sonde().start()
        wait_for(lambda: len(cls.sonde.json("/api/v1/query",
                                            query="count_over_time(node_load1[1m]) > 2")
                             ["data"]["result"]) > 0, "a few samples")

    @classmethod
    def tearDownClass(cls):
        cls.sonde.close()

    def ask(self, *arguments, **environment):
        return run("query", *arguments,
                   environment=clean_environment(SONDE_URL=self.sonde.url, **environment))

    def test_a_moment_is_a_table(self):
        answer = self.ask("node_memory_MemTotal_bytes")
        self.assertEqual((answer.returncode, answer.stderr), (GOOD, ""))
        self.assertRegex(answer.stdout, r"node_memory_MemTotal_bytes\{.*\}\s+\d+\s+[\d.]+ [GM]iB")

    def test_a_stretch_is_a_chart_as_wide_as_the_terminal(self):
        answer = self.ask("node_load1", "--range", "1m", "--step", "1s", COLUMNS="70", LINES="30")
        self.assertEqual(answer.returncode, GOOD)
        lines = answer.stdout.splitlines()
        self.assertTrue(all(len(line) <= 70 for line in lines), lines)
        self.assertTrue(any("\u2800" < mark <= "\u28ff" for mark in answer.stdout))
        self.assertRegex(answer.stdout, r"\d\d:\d\d:\d\d")
        self.assertRegex(lines[-1], r"node_load1")

    def test_several_series_without_colour_have_marks(self):
        answer = self.ask("rate(node_cpu_seconds_total{cpu='0'}[5s])", "--range", "30s")
        self.assertIn('** ', answer.stdout)
        self.assertIn('++ ', answer.stdout)
        self.assertNotIn("\x1b", answer.stdout)

    def test_an_ascii_terminal_gets_ascii(self):
        answer = self.ask("node_load1", "--range", "30s", LANG="C", LC_ALL="C")
        self.assertTrue(answer.stdout.isascii())

    def test_json_is_prometheus_own(self):
        told = json.loads(self.ask("node_load1", "--json").stdout)
        self.assertEqual(told["data"]["resultType"], "vector")
        self.assertEqual(told["data"]["result"][0]["metric"]["__name__"], "node_load1")

    def test_csv_has_a_row_a_point_and_a_column_a_label(self):
        answer = self.ask("node_cpu_seconds_total", "--csv")
        rows = list(csv.DictReader(io.StringIO(answer.stdout)))
        self.assertIn("idle", {row["mode"] for row in rows})
        self.assertEqual({row["metric"] for row in rows}, {"node_cpu_seconds_total"})
        for row in rows:
            float(row["value"])
            self.assertRegex(row["time"], r"^\d{4}-\d\d-\d\dT.*Z$")

    def test_a_mistake_has_a_caret_under_its_place(self):
        answer = self.ask("node_load1 ++ rate(")
        self.assertEqual(answer.returncode, USAGE)
        lines = answer.stderr.splitlines()
        self.assertEqual(lines[0], "  node_load1 ++ rate(")
        self.assertEqual(lines[1].strip(), "^")
        self.assertIn("parse error", answer.stderr)

    def test_nothing_found_is_a_finding(self):
        answer = self.ask("no_such_metric")
        self.assertEqual(answer.returncode, FINDING)
        self.assertIn("Nothing matches", answer.stdout)

    def test_no_daemon_is_unreachable(self):
        answer = run("query", "up", "--url", "http://127.0.0.1:1")
        self.assertEqual(answer.returncode, UNREACHABLE)
        self.assertIn("sonde serve", answer.stderr)

    def test_files_in_use_are_not_read_behind_the_daemon(self):
        answer = run("query", "node_load1", "--data", self.sonde.data)
        self.assertEqual(answer.returncode, REFUSED)
        self.assertIn("without --data", answer.stderr)


class FilesWithoutADaemon(Cli):
    def test_history_is_there_after_the_daemon_has_ended(self):
        sonde = Sonde(folder=self.folder).start()
        wait_for(lambda: sonde.query("node_load1"), "a sample")
        at = sonde.query("node_load1")[0]["value"][0]
        sonde.close()
        answer = run("query", "node_load1", "--data", sonde.data, "--time", str(at), "--json")
        self.assertEqual(answer.returncode, GOOD, answer.stderr)
        self.assertEqual(len(json.loads(answer.stdout)["data"]["result"]), 1)


class Database(Cli):
    def db(self, action, *arguments, data):
        answer = run("db", action, *arguments, "--data", data, "--json")
        return answer.returncode, json.loads(answer.stdout) if answer.stdout else None

    def filled(self):
        sonde = Sonde().start()
        self.addCleanup(sonde.close)
        wait_for(lambda: sonde.query("node_load1"), "a sample")
        return sonde

    def test_beside_a_running_daemon_what_may_be_done_is_done(self):
        sonde = self.filled()
        code, told = self.db("stats", data=sonde.data)
        self.assertEqual(code, GOOD)
        self.assertGreater(told["series"], 100)
        code, told = self.db("check", data=sonde.data)
        self.assertEqual((code, told["findings"]), (GOOD, []))
        self.assertGreater(told["samples"] + told["pending_samples"], 100)
        backup = os.path.join(self.folder, "backup")
        self.assertEqual(self.db("backup", backup, data=sonde.data)[0], GOOD)
        code, told = self.db("restore", backup, data=sonde.data)
        self.assertEqual(code, REFUSED)
        code, told = self.db("compact", data=sonde.data)
        self.assertEqual(code, REFUSED)
        self.assertIn("stop it", told["error"]["hint"])

    def test_a_backup_restored_elsewhere_answers_the_same(self):
        sonde = self.filled()
        at = sonde.query("node_boot_time_seconds")[0]["value"]
        backup = os.path.join(self.folder, "backup")
        self.assertEqual(self.db("backup", backup, data=sonde.data)[0], GOOD)
        fresh = os.path.join(self.folder, "fresh")
        self.assertEqual(self.db("restore", backup, data=fresh)[0], GOOD)
        self.assertEqual(self.db("restore", backup, data=fresh)[0], REFUSED)
        self.assertEqual(self.db("check", data=fresh)[0], GOOD)
        answer = run("query", "node_boot_time_seconds", "--time", str(at[0]), "--data", fresh,
                     "--json")
        self.assertEqual(json.loads(answer.stdout)["data"]["result"][0]["value"][1], at[1])

    def test_compacting_leaves_everything_there(self):
        sonde = self.filled()
        sonde.stop()
        before = self.db("check", data=sonde.data)[1]
        self.assertEqual(self.db("compact", data=sonde.data)[0], GOOD)
        after = self.db("check", data=sonde.data)[1]
        self.assertEqual(after["samples"] + after["pending_samples"],
                         before["samples"] + before["pending_samples"])

    def test_damage_is_found_and_named(self):
        sonde = self.filled()
        sonde.stop()
        self.assertEqual(self.db("compact", data=sonde.data)[0], GOOD)
        day = next(os.path.join(sonde.data, "default", name)
                   for name in sorted(os.listdir(os.path.join(sonde.data, "default")))
                   if re.match(r"\d{4}-\d\d-\d\d\.db$", name))
        with open(day, "r+b") as file:
            size = os.path.getsize(day)
            for offset in range(size // 2, size, 4096):
                file.seek(offset + 100)
                file.write(b"\xff" * 200)
        code, told = self.db("check", data=sonde.data)
        self.assertEqual(code, FINDING)
        self.assertGreater(told["findings_count"], 0)
        self.assertIn(os.path.basename(day), " ".join(told["findings"]))

    def test_slips_and_missing_folders_are_told(self):
        self.assertEqual(run("db").returncode, USAGE)
        self.assertIn("did you mean 'backup'?", run("db", "bakup").stderr)
        self.assertIn("needs a folder", run("db", "backup").stderr)
        for action in ("stats", "check", "compact"):
            self.assertEqual(run("db", action, "--data", "/nonexistent").returncode, REFUSED)


class Daemon(Cli):
    def test_a_port_in_use_names_who_has_it(self):
        with Sonde() as first:
            answer = run("serve", "--listen", f"127.0.0.1:{first.port}", "--data",
                         os.path.join(self.folder, "other"))
        self.assertEqual(answer.returncode, REFUSED)
        self.assertIn(f"process {first_pid(answer.stderr)}", answer.stderr)
        self.assertIn("--listen", answer.stderr)

    def test_one_daemon_at_a_time_has_a_data_folder(self):
        with Sonde() as first:
            answer = run("serve", "--listen", "127.0.0.1:0", "--data", first.data)
        self.assertEqual(answer.returncode, REFUSED)
        self.assertIn(first.data, answer.stderr)
        self.assertIn("--data", answer.stderr)

    def test_a_folder_that_cannot_be_written_is_told(self):
        for path in ("/proc/sonde", os.path.join(self.file("plain", ""), "below")):
            answer = run("serve", "--listen", "127.0.0.1:0", "--data", path)
            self.assertEqual(answer.returncode, REFUSED, path)
            self.assertIn("--data", answer.stderr)

    @unittest.skipIf(os.geteuid() != 0, "needs root to become somebody else")
    def test_a_read_only_folder_is_told(self):
        data = os.path.join(self.folder, "data")
        os.mkdir(data, 0o555)
        os.chmod(self.folder, 0o755)
        answer = subprocess.run(
            ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", BINARY, "serve",
             "--listen", "127.0.0.1:0", "--data", data],
            capture_output=True, text=True, timeout=60, env=clean_environment())
        if "setpriv" in answer.stderr:
            self.skipTest(answer.stderr.strip())
        self.assertEqual(answer.returncode, REFUSED)
        self.assertIn("cannot be written", answer.stderr)

    def test_listening_beyond_this_machine_needs_a_token(self):
        answer = run("serve", "--listen", "0.0.0.0:0", "--data", os.path.join(self.folder, "data"))
        self.assertEqual(answer.returncode, REFUSED)
        self.assertIn("token", answer.stderr)

    def test_it_starts_quickly_and_ends_quickly_and_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            sonde = Sonde().start()
            wait_for(lambda: sonde.query("node_load1"), "a sample")
            begun = time.monotonic()
            sonde.process.send_signal(number)
            self.assertEqual(sonde.process.wait(timeout=20), 0)
            self.assertLess(time.monotonic() - begun, 5)
            self.assertIn("finishing what is in flight", sonde.log())
            sonde.close()

    def test_a_reload_says_what_changes_now_and_what_later(self):
        with Sonde(config="log: {level: info}\n") as sonde:
            path = os.path.join(sonde.folder, "sonde.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write("log: {level: debug}\nquery: {timeout: 5s}\nretention: {raw: 2d}\n")
            sonde.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "query.timeout has changed; it takes effect at the next start"
                     in sonde.log(), "the word about query.timeout")
            self.assertIn("log.level has changed", sonde.log())
            self.assertRegex(sonde.log(), r"retention\.raw has changed\n")
            with open(path, "w", encoding="utf-8") as file:
                file.write("lgo: {level: debug}\n")
            sonde.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "the configuration stays as it was" in sonde.log(), "the refusal")
            self.assertEqual(sonde.get("/readyz").status, 200)

    def test_the_supervisor_hears_that_it_is_ready_and_that_it_ends(self):
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(path)
            listener.settimeout(20)
            sonde = Sonde(environment={"NOTIFY_SOCKET": path}).start()
            self.assertEqual(listener.recv(100), b"READY=1")
            sonde.process.send_signal(signal.SIGTERM)
            self.assertEqual(listener.recv(100), b"STOPPING=1")
            sonde.process.wait(timeout=20)
            sonde.close()

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_a_daemon_with_a_certificate_is_asked_over_https(self):
        key, certificate = (os.path.join(self.folder, name) for name in ("key.pem", "cert.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                        certificate, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=60)
        config = f"tls: {{certificate: {certificate}, key: {key}}}\n"
        with Sonde(config=config) as sonde:
            self.assertTrue(sonde.url.startswith("https://"))
            answer = run("query", "1 + 1", "--url", sonde.url, "--ca-file", certificate)
            self.assertEqual((answer.returncode, answer.stderr), (GOOD, ""))
            answer = run("query", "1 + 1", "--url", sonde.url)
            self.assertEqual(answer.returncode, UNREACHABLE, "a stranger's certificate was taken")

    def test_collectors_of_the_configuration_run(self):
        config = "collectors:\n  - {name: hello, command: 'echo my_metric 42', every: 1s}\n"
        with Sonde(config=config) as sonde:
            found = wait_for(lambda: sonde.query("my_metric"), "the collector's metric")
            self.assertEqual(found[0]["value"][1], "42")
            self.assertEqual(found[0]["metric"]["job"], "hello")

    def test_it_tells_about_itself(self):
        with Sonde() as sonde:
            for name in ("process_resident_memory_bytes", "sonde_store_samples_total",
                         "sonde_hub_commits_total", "sonde_source_up", "sonde_build_info"):
                wait_for(lambda name=name: sonde.query(name), name)

    def test_threads_have_names(self):
        with Sonde() as sonde:
            tasks = f"/proc/{sonde.process.pid}/task"
            names = set()
            for task in os.listdir(tasks):
                with open(f"{tasks}/{task}/comm", encoding="utf-8") as file:
                    names.add(file.read().strip())
            self.assertLessEqual({"sonde", "sonde-worker", "sonde-writer", "sonde-sampler"}, names)


def first_pid(text):
    found = re.search(r"\(process (\d+)\)", text)
    return found.group(1) if found else "?"


if __name__ == "__main__":
    unittest.main()
