# SPDX-License-Identifier: Apache-2.0
"""sonde load --agents: two or three machines, here processes, make one load. What the server counted
is what the report says; and whatever goes wrong with an agent is told by its name."""

import collections
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from sonde import BINARY, COMPLAINTS, PATIENCE, need_binary, wait_for

SECRET = "a secret of some length"


class Target(http.server.ThreadingHTTPServer):
    """Answers everything and remembers what it was asked; /slow waits until it is let go."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Asked)
        self.lock = threading.Lock()
        self.asked = collections.Counter()
        self.keys = collections.Counter()
        self.connections = 0
        self.go_on = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def get_request(self):
        self.connections += 1
        return super().get_request()

    def handle_error(self, *_):
        pass  # Peers that leave early are part of the story.

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def total(self):
        with self.lock:
            return sum(self.asked.values())

    def __exit__(self, *_):
        self.go_on.set()
        self.shutdown()
        self.server_close()


class Asked(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def serve(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.asked[self.path] += 1
            self.server.keys[self.headers.get("Authorization")] += 1
        if self.path == "/slow":
            self.server.go_on.wait()
        body, kind = b"hello", "text/plain"
        if self.path.endswith("/completions"):
            word = b'data: {"choices":[{"delta":{"content":"word"}}]}\n\n'
            body, kind = word * 3 + b"data: [DONE]\n\n", "text/event-stream"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = serve  # pylint: disable=invalid-name


class Agent:
    """`sonde load agent` on a free port, in a folder of its own with nothing in it."""

    def __init__(self, *arguments, within=(), **environment):
        self.folder = tempfile.mkdtemp(prefix="sonde-agent-")
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*within, BINARY, "load", "agent", "--listen", "127.0.0.1:0", *arguments], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **environment})
        found = wait_for(lambda: re.search(r"waits on (\S+:\d+)", self.log()), "an agent")
        self.name = found.group(1)

    def log(self):
        with open(self.log_path, errors="replace", encoding="utf-8") as file:
            return file.read()

    def children(self):
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(word) for word in pathlib.Path(path).read_text(encoding="ascii").split()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=PATIENCE * 3)
        log = self.log()
        shutil.rmtree(self.folder)
        if code != 0 or COMPLAINTS.search(log):
            raise AssertionError(f"the agent ended with {code}:\n{log}")


def names(*agents):
    return ",".join(agent.name for agent in agents)


def run(*arguments, folder=None, **environment):
    return subprocess.run([BINARY, "load", "--json", "--quiet", *arguments], cwd=folder,
                          capture_output=True, text=True, timeout=PATIENCE * 6, check=False,
                          env={**os.environ, **environment})


def load(*arguments, code=0, **options):
    done = run(*arguments, **options)
    if done.returncode != code:
        raise AssertionError(f"exit code {done.returncode}, wanted {code}: {done.stderr}")
    return json.loads(done.stdout)


class Clocks(unittest.TestCase):
    def test_clocks_that_are_days_apart_make_one_load(self):
        need_binary()
        ahead = ["unshare", "--time", "--monotonic", "200000"]
        if subprocess.run([*ahead, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no namespace for clocks: needs root and util-linux's unshare")
        with Target() as target, Agent() as here, Agent(within=ahead) as there:
            said = load("--agents", names(here, there), "--rate", "100", "--duration", "2s",
                        "--timeout", "60s", target.url())
            self.assertEqual((said["requests"], target.total()), (200, 200))
        self.assertEqual([agent["requests"] for agent in said["agents"]], [100, 100])
        self.assertEqual([agent["state"] for agent in said["agents"]], ["ran", "ran"])
        self.assertLess(said["latency_ms"]["max"], 60000)
        # A course of seconds, not of days.
        self.assertLessEqual(len(said["timeline"]), 60)
        self.assertLess(max(agent["late_p99_ms"] for agent in said["agents"]), 60000)


class Sharing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()
        cls.target = cls.enterClassContext(Target())
        cls.agents = [cls.enterClassContext(Agent()) for _ in range(3)]
        cls.names = names(*cls.agents)

    def setUp(self):
        with self.target.lock:
            self.target.asked.clear()
            self.target.keys.clear()

    def load(self, *arguments, **options):
        said = load("--agents", self.names, *arguments, **options)
        self.assertEqual(said["requests"], self.target.total())
        self.assertEqual(said["requests"], sum(agent["requests"] for agent in said["agents"]))
        self.assertEqual(said["requests"], sum(point["requests"] for point in said["timeline"]))
        return said

    def test_a_rate_is_divided_without_a_rest(self):
        said = self.load("--rate", "100", "--duration", "2s", "--timeout", "60s",
                         self.target.url())
        self.assertEqual(said["requests"], 200)
        self.assertEqual(sorted(agent["requests"] for agent in said["agents"]), [66, 67, 67])
        self.assertEqual(said["target_rate"], 100)
        self.assertEqual(said["generator"]["arrivals"], 200)
        self.assertEqual(said["latency_ms"]["count"], 200)
        self.assertEqual(said["status"], {"200": 200})

    def test_users_and_requests_are_divided_without_a_rest(self):
        said = self.load("--connections", "5", "--requests", "101", "--duration", "60s", "--trace",
                         self.target.url())
        self.assertEqual((said["requests"], said["users"]), (101, 5))
        self.assertEqual(sorted(agent["requests"] for agent in said["agents"]), [33, 34, 34])
        self.assertEqual(said["generator"]["connects"], 5)
        slowest = {request["trace_id"] for request in said["slowest"]}
        self.assertEqual(len(slowest), 10)
        self.assertTrue(all(trace.startswith(said["trace_run"]) for trace in slowest))

    def test_a_scenario_travels_with_its_files_and_no_row_comes_twice(self):
        with tempfile.TemporaryDirectory() as folder:
            rows = "".join(f"p{i}\n" for i in range(20))
            pathlib.Path(folder, "people.csv").write_text("name\n" + rows, encoding="utf-8")
            pathlib.Path(folder, "note.txt").write_text("a note", encoding="utf-8")
            pathlib.Path(folder, "walk.yaml").write_text(f"""
title: A walk
base: {self.target.url('')}
load: {{users: 4}}
data:
  people: {{file: people.csv}}
steps:
  - get: /people/${{people.name}}
  - post: /notes/${{user}}/${{uuid}}
    file: note.txt
""", encoding="utf-8")
            said = self.load("run", "walk.yaml", "--requests", "20", "--duration", "60s",
                             folder=folder)
        self.assertEqual(said["title"], "A walk")
        people = [path for path in self.target.asked if path.startswith("/people/")]
        self.assertEqual(sorted(people), sorted(f"/people/p{i}" for i in range(20)))
        self.assertEqual([step["requests"] for step in said["steps"]], [20, 20])
        notes = [path.split("/") for path in self.target.asked if path.startswith("/notes/")]
        self.assertEqual({note[2] for note in notes}, {"0", "1", "2", "3"})
        self.assertEqual(len({note[3] for note in notes}), 20)

    def test_a_model_is_asked_with_a_key_that_only_we_know(self):
        said = self.load("llm", self.target.url("/v1/chat/completions"), "--model", "m",
                         "--connections", "3", "--requests", "10", "--duration", "60s",
                         "--key-from", "MODEL_KEY", MODEL_KEY="of-mine")
        self.assertEqual(dict(self.target.keys), {"Bearer of-mine": 10})
        self.assertEqual(said["requests"], 10)
        self.assertEqual(said["errors"], 0)
        self.assertEqual((said["llm"]["streams"], said["llm"]["tokens_out"]), (10, 30))
        self.assertEqual(said["llm"]["ttft_ms"]["count"], 10)

    def test_criteria_are_held_against_all_together(self):
        said = load("--agents", self.names, "--connections", "3", "--requests", "30", "--duration",
                    "60s", "--require", "requests >= 30, error_rate < 1%, p50 < 1us",
                    self.target.url(), code=1)
        self.assertEqual([each["holds"] for each in said["criteria"]], [True, True, False])

    def test_what_is_beyond_hope_ends_everywhere(self):
        said = load("--agents", self.names, "--connections", "6", "--duration", "10m", "--require",
                    "max < 1us", "--abort", self.target.url(), code=1)
        self.assertTrue(said["aborted"])
        self.assertEqual([agent["state"] for agent in said["agents"]], ["ran"] * 3)
        self.assertLess(said["duration_s"], 300)

    def test_a_pattern_and_a_sweep_are_shared_too(self):
        said = self.load("--pattern", "30 for 1s, ramp 30..90 over 1s", "--rate", "1",
                         "--timeout", "60s", self.target.url())
        self.assertEqual(said["requests"], 90)
        swept = load("--agents", self.names, "--sweep-users", "3,4", "--duration", "300ms",
                     self.target.url())
        self.assertEqual([level["run"]["users"] for level in swept["levels"]], [3, 4])
        self.assertTrue(all(len(level["run"]["agents"]) == 3 for level in swept["levels"]))

    def test_what_cannot_be_shared_is_refused_before_anything_is_asked(self):
        done = run("--agents", self.names, "--test", "smoke", self.target.url())
        self.assertEqual(done.returncode, 2)
        self.assertIn("cannot be shared by 3 agents", done.stderr)
        self.assertEqual(self.target.total(), 0)

    def test_a_report_has_a_table_of_agents(self):
        with tempfile.TemporaryDirectory() as folder:
            load("--agents", self.names, "--requests", "9", "--connections", "3", "--report",
                 f"{folder}/run.md,{folder}/run.html", self.target.url())
            for name in ("run.md", "run.html"):
                text = pathlib.Path(folder, name).read_text(encoding="utf-8")
                self.assertTrue(all(agent.name in text for agent in self.agents), name)


@unittest.skipUnless(shutil.which("nginx") and shutil.which("openssl"), "needs nginx and openssl")
class Nginx(unittest.TestCase):
    def test_as_many_requests_as_its_log_has_over_tls_that_only_we_trust(self):
        need_binary()
        with tempfile.TemporaryDirectory(prefix="sonde-nginx-") as folder:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                            "-keyout", f"{folder}/key.pem", "-out", f"{folder}/own.pem"],
                           check=True, capture_output=True)
            places = "".join(f"{name}_temp_path {folder}/{name};\n" for name in
                             ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            pathlib.Path(folder, "nginx.conf").write_text(f"""
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ }}
http {{
{places}
  access_log {folder}/access.log;
  server {{ listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/own.pem; ssl_certificate_key {folder}/key.pem;
    location / {{ return 200 "hello"; }} }}
}}
""", encoding="utf-8")
            nginx = subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf"],
                                     stderr=subprocess.DEVNULL)
            try:
                wait_for(lambda: socket.create_connection(("127.0.0.1", port)).close() or True
                         if nginx.poll() is None and os.path.exists(f"{folder}/pid") else False,
                         "nginx")
                with Agent() as one, Agent() as two:
                    said = load("--agents", names(one, two), "--ca", "own.pem", "--rate", "301",
                                "--arrivals", "poisson", "--duration", "2s", "--timeout", "60s",
                                f"https://127.0.0.1:{port}/", folder=folder)
                nginx.send_signal(signal.SIGQUIT)
                nginx.wait(timeout=PATIENCE)
                log = pathlib.Path(folder, "access.log").read_text(encoding="ascii")
            finally:
                nginx.kill()
                nginx.wait()
        self.assertEqual(said["errors"], 0)
        self.assertEqual(said["requests"], len(log.splitlines()))
        self.assertGreater(said["requests"], 400)
        self.assertLess(said["requests"], 800)
        self.assertEqual(said["tls_ms"]["count"], said["generator"]["connected"])


class Refusals(unittest.TestCase):
    """All or nobody: where one agent cannot, the target is not asked."""

    @classmethod
    def setUpClass(cls):
        need_binary()

    def refused(self, agents, code, words, *arguments, **environment):
        with Target() as target:
            done = run("--agents", agents, *arguments, target.url(), **environment)
            self.assertEqual(done.returncode, code, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
            self.assertEqual((target.total(), target.connections), (0, 0))

    def test_an_agent_that_is_not_there_or_is_something_else(self):
        with Agent() as agent, Target() as other:
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                place = f"127.0.0.1:{closed.getsockname()[1]}"
                self.refused(f"{agent.name},{place}", 3, [f"agent {place}", "refused"])
            place = f"127.0.0.1:{other.server_port}"
            self.refused(f"{agent.name},{place}", 3, [f"agent {place}", "somebody else"])
        self.refused("127.0.0.1:x", 2, ["HOST:PORT"])
        self.refused("h,h", 2, ["twice"])

    def test_a_secret_is_asked_for(self):
        with Agent("--token-from", "OURS", OURS=SECRET) as agent:
            for ours in ({}, {"OURS": SECRET + "?"}):
                flags = ["--token-from", "OURS"] if ours else []
                self.refused(agent.name, 4, ["another secret", "--token-from"], *flags, **ours)
            self.refused(agent.name, 2, ["shorter than 16"], "--token-from", "OURS", OURS="short")
            self.refused(agent.name, 2, ["not set"], "--token-from", "NOBODYS")
            with tempfile.TemporaryDirectory() as folder, Target() as target:
                path = pathlib.Path(folder, "secret")
                path.write_text(SECRET + "\n", encoding="ascii")
                said = load("--agents", agent.name, "--token-from", str(path), "--requests", "5",
                            "--connections", "2", target.url())
                self.assertEqual(said["requests"], 5)
            self.assertIn("another secret", agent.log())

    def test_beyond_loopback_a_secret_is_needed(self):
        for place in ("0.0.0.0:0", ":0"):
            done = subprocess.run([BINARY, "load", "agent", "--listen", place], timeout=PATIENCE * 3,
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("--token-from", done.stderr)

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_another_version_is_told_by_its_name(self):
        key = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), b"sonde sealed 1", 20000, 32).hex()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        other = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-psk", key,
                                  "-psk_identity", "sonde", "-nocert", "-tls1_3", "-quiet",
                                  "-naccept", "1", "-num_tickets", "0"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL)
        try:
            hello = b"\x01" + b"9.9.9"  # The protocol is ours, the version is not.
            other.stdin.write(b"\x01" + len(hello).to_bytes(4, "little") + hello)
            other.stdin.flush()
            wait_for(lambda: listens(port), "openssl")
            self.refused(f"127.0.0.1:{port}", 4, ["sonde 9.9.9", "same version"], "--token-from",
                         "OURS", OURS=SECRET)
            self.assertIn(b"\x01", other.stdout.read1(64))
        finally:
            other.kill()
            other.communicate()


def listens(port):
    """Without knocking: the one connection is for somebody else."""
    line = f":{port:04X} 00000000:0000 0A"
    return line in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii")


class Endings(unittest.TestCase):
    """Runs that do not end as planned: begun for ten minutes, they are ended by what happens."""

    def setUp(self):
        need_binary()
        self.target = self.enterContext(Target())
        self.one = self.enterContext(Agent())
        self.two = self.enterContext(Agent())

    def begin(self):
        load_process = subprocess.Popen(
            [BINARY, "load", "--json", "--progress", "--agents", names(self.one, self.two),
             "--connections", "4", "--duration", "10m", "--timeout", "60s", self.target.url()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(load_process.communicate)
        self.addCleanup(load_process.kill)
        wait_for(lambda: self.target.total() > 50, "traffic")
        self.assertIn('"requests"', load_process.stderr.readline())
        return load_process

    def finish(self, load_process, code):
        out, errors = load_process.communicate(timeout=PATIENCE * 3)
        self.assertEqual(load_process.returncode, code, errors)
        return json.loads(out)

    def test_an_interrupt_ends_all_and_the_report_is_whole(self):
        load_process = self.begin()
        load_process.send_signal(signal.SIGINT)
        said = self.finish(load_process, 0)
        self.assertTrue(said["interrupted"])
        self.assertEqual([agent["state"] for agent in said["agents"]], ["ran", "ran"])
        self.assertEqual(said["requests"], self.target.total())
        again = load("--agents", names(self.one, self.two), "--requests", "4", "--connections", "2",
                     self.target.url())
        self.assertEqual(again["requests"], 4)

    def test_one_load_at_a_time(self):
        load_process = self.begin()
        before = self.target.connections
        done = run("--agents", self.two.name, self.target.url())
        self.assertEqual(done.returncode, 4)
        self.assertIn(f"agent {self.two.name}: it is making another load", done.stderr)
        self.assertEqual(self.target.connections, before)
        load_process.send_signal(signal.SIGINT)
        self.finish(load_process, 0)

    def test_an_agent_that_dies_is_told_and_the_others_go_on(self):
        load_process = self.begin()
        victim = self.two.children()
        self.assertEqual(len(victim), 1)
        os.kill(victim[0], signal.SIGKILL)
        so_far = self.target.total()
        wait_for(lambda: self.target.total() > so_far + 50, "the other one going on")
        load_process.send_signal(signal.SIGINT)
        said = self.finish(load_process, 1)
        states = {agent["name"]: agent["state"] for agent in said["agents"]}
        self.assertEqual(states, {self.one.name: "ran", self.two.name: "lost"})
        self.assertEqual(said["verdict"], "failed")
        notes = [note["text"] for note in said["notes"] if note["kind"] == "bad"]
        self.assertTrue(any(self.two.name in note and "was lost" in note for note in notes), notes)
        self.assertEqual(said["requests"], sum(agent["requests"] for agent in said["agents"]))
        self.assertLessEqual(said["requests"], self.target.total())
        self.assertEqual(load("--agents", self.two.name, "--requests", "3", "--connections", "1",
                              self.target.url())["requests"], 3)

    def test_an_agent_that_is_ended_at_its_own_machine_says_so(self):
        load_process = self.begin()
        os.kill(self.one.children()[0], signal.SIGTERM)
        so_far = self.target.total()
        wait_for(lambda: self.target.total() > so_far + 50, "the other one going on")
        wait_for(lambda: "requests" in self.one.log(), "the end of the one")
        load_process.send_signal(signal.SIGINT)
        said = self.finish(load_process, 1)
        self.assertEqual([agent["state"] for agent in said["agents"]], ["ended early", "ran"])
        self.assertEqual(said["requests"], self.target.total())

    def test_agents_do_not_go_on_when_nobody_holds_them(self):
        load_process = self.begin()
        load_process.kill()
        for agent in (self.one, self.two):
            wait_for(lambda agent=agent: not agent.children(), "the end of the traffic")
            self.assertIn("the other side closed the connection", agent.log())
        again = load("--agents", names(self.one, self.two), "--requests", "4", "--connections", "2",
                     self.target.url("/again"))
        self.assertEqual((again["requests"], self.target.asked["/again"]), (4, 4))

    def test_a_search_is_shared_and_ends_when_an_agent_is_lost(self):
        search = subprocess.Popen(
            [BINARY, "load", "--capacity", "--json", "--quiet", "--agents",
             names(self.one, self.two), "--rate", "50", "--duration", "5s", self.target.url()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(search.communicate)
        self.addCleanup(search.kill)
        wait_for(lambda: self.target.total() > 10, "traffic")
        os.kill(self.one.children()[0], signal.SIGKILL)
        _, errors = search.communicate(timeout=PATIENCE * 6)
        self.assertEqual(search.returncode, 4, errors)
        self.assertIn(f"agent {self.one.name} was lost during a probe", errors)


if __name__ == "__main__":
    unittest.main()
