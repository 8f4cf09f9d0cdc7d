# SPDX-License-Identifier: Apache-2.0
"""sonde load against servers that behave, stall, reset, drip, lie and close, and against nothing.

Each odd server is a few lines of Python on a loopback port of its own; what it does must come back
under its name, and nothing else may.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest
import xml.etree.ElementTree

from sonde import BINARY, PATIENCE, need_binary

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_head(peer):
    """One request's head; False when the peer has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return False
        data += piece
    return data


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


class Server:
    """Calls behave(peer) for each connection, each in a thread.

    At its end sockets are shut down, which wakes who waits in them, and closed by their own threads.
    One that is closed beneath a thread leaves it waiting, and when the process is stopped and goes
    on, the kernel begins its accept() or recv() anew: by the descriptor's number, which by then may
    be another test's, whose connections and bytes it takes."""

    def __init__(self, behave, accept=True):
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.peers = []
        self.connections = 0
        self.thread = threading.Thread(target=self.run, daemon=True) if accept else None
        if accept:
            self.thread.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.peers.append(peer)
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            self.behave(peer)
        except OSError:
            pass
        finally:
            with self.lock:
                peer.close()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        if self.thread:
            self.thread.join(PATIENCE)
        self.listener.close()
        with self.lock:
            for peer in self.peers:
                with contextlib.suppress(OSError):  # Most have ended.
                    peer.shutdown(socket.SHUT_RDWR)


def steadily(peer):
    while read_head(peer):
        peer.sendall(ANSWER)


def load(*arguments, code=None):
    """Runs sonde load --json; returns what it said."""
    done = subprocess.run([BINARY, "load", "--json", "--quiet", *arguments], capture_output=True,
                          text=True, timeout=PATIENCE * 3)
    if code is not None and done.returncode != code:
        raise AssertionError(f"exit code {done.returncode}, wanted {code}: {done.stderr}")
    return json.loads(done.stdout)


class OddServers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()

    def errors(self, behave, *arguments):
        with Server(behave) as server:
            said = load("--connections", "2", "--requests", "10", "--duration", "4s", "--timeout",
                        "300ms", *arguments, server.url())
        self.assertEqual(said["errors"], sum(said["errors_by_kind"].values()))
        return said

    def only(self, kind, behave, *arguments):
        said = self.errors(behave, *arguments)
        self.assertEqual(list(said["errors_by_kind"]), [kind])
        self.assertEqual(said["errors"], 10)
        self.assertEqual(said["requests"], 10)

    def test_a_steady_server_makes_no_errors(self):
        said = self.errors(steadily)
        self.assertEqual(said["requests"], 10)
        self.assertEqual(said["errors"], 0)
        self.assertEqual(said["status"], {"200": 10})
        self.assertEqual(said["bytes_in"], 10 * len(ANSWER))
        self.assertGreater(said["latency_ms"]["p50"], 0)
        self.assertEqual(said["latency_ms"]["count"], 10)
        self.assertEqual(said["service_time_ms"]["count"], 10)

    def test_nobody_listens(self):
        said = load("--connections", "2", "--duration", "300ms",
                    f"http://127.0.0.1:{free_port()}/", code=1)
        self.assertEqual(list(said["errors_by_kind"]), ["refused"])
        self.assertGreater(said["errors"], 0)
        self.assertIsNone(said["latency_ms"])

    def test_a_server_that_stalls(self):
        self.only("timeout", lambda peer: (read_head(peer), time.sleep(30)))

    def test_a_server_that_resets(self):
        self.only("reset", lambda peer: (read_head(peer), reset(peer)))

    def test_a_server_that_closes_without_an_answer(self):
        self.only("closed", lambda peer: (read_head(peer), peer.close()))

    def test_a_body_that_ends_too_early(self):
        self.only("short_body", lambda peer: (
            read_head(peer), peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell"),
            peer.shutdown(socket.SHUT_RDWR)))

    def test_a_head_that_ends_too_early(self):
        self.only("short_body", lambda peer: (
            read_head(peer), peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Le"),
            peer.shutdown(socket.SHUT_RDWR)))

    def test_an_answer_that_is_no_http(self):
        self.only("bad_response", lambda peer: (read_head(peer), peer.sendall(b"SSH-2.0-x\r\n\r\n"),
                                                time.sleep(5)))

    def test_chunks_that_are_none(self):
        self.only("bad_response", lambda peer: (
            read_head(peer),
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            time.sleep(5)))

    def test_two_lengths_at_once(self):
        self.only("bad_response", lambda peer: (
            read_head(peer),
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
            time.sleep(5)))

    def test_an_endless_head(self):
        def behave(peer):
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                peer.sendall(b"X-More: and more\r\n" * 100)
        self.only("bad_response", behave)

    def test_an_endless_body(self):
        def behave(peer):
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
            while True:
                peer.sendall(b"x" * 65536)
        self.only("timeout", behave)

    def test_a_failing_status(self):
        def behave(peer):
            while read_head(peer):
                peer.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        said = self.errors(behave)
        self.assertEqual(said["errors_by_kind"], {"status": 10})
        self.assertEqual(said["status"], {"503": 10})
        self.assertEqual(said["latency_ms"]["count"], 10)

    def test_an_answer_that_drips(self):
        def behave(peer):
            while read_head(peer):
                for i in range(len(ANSWER)):
                    peer.sendall(ANSWER[i:i + 1])
                    time.sleep(0.0005)
        said = self.errors(behave, "--timeout", "10s")
        self.assertEqual((said["requests"], said["errors"]), (10, 0))
        self.assertGreater(said["latency_ms"]["p50"], said["first_byte_ms"]["p50"] + 5)

    def test_keep_alive_that_is_none(self):
        def behave(peer):
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            peer.close()
        said = self.errors(behave)
        self.assertEqual((said["requests"], said["errors"]), (10, 0))
        self.assertGreaterEqual(said["generator"]["connects"], 10)

    def test_keep_alive_that_is_promised_and_not_held(self):
        def behave(peer):
            read_head(peer)
            peer.sendall(ANSWER)
            peer.shutdown(socket.SHUT_RDWR)
        said = self.errors(behave, "--think", "50ms")
        self.assertEqual((said["requests"], said["errors"]), (10, 0))
        self.assertGreater(said["generator"]["closed_early"], 0)

    def test_a_body_until_the_connection_closes(self):
        def behave(peer):
            read_head(peer)
            peer.sendall(b"HTTP/1.0 200 OK\r\n\r\nsome text")
            peer.close()
        said = self.errors(behave)
        self.assertEqual((said["requests"], said["errors"]), (10, 0))

    def test_chunks_and_interim_answers(self):
        def behave(peer):
            while read_head(peer):
                peer.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                             b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                peer.sendall(b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n")
        said = self.errors(behave)
        self.assertEqual((said["requests"], said["errors"]), (10, 0))

    def test_a_name_that_does_not_resolve(self):
        done = subprocess.run([BINARY, "load", "--json", "http://no-such-host.invalid/"],
                              capture_output=True, text=True, timeout=PATIENCE * 2)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("dns", done.stderr)
        self.assertIn("no-such-host.invalid", done.stderr)

    def test_no_file_descriptors_left(self):
        with Server(steadily) as server:
            done = subprocess.run(
                ["prlimit", "--nofile=40:40", BINARY, "load", "--json", "--quiet", "--connections",
                 "60", "--duration", "500ms", server.url()],
                capture_output=True, text=True, timeout=PATIENCE)
        said = json.loads(done.stdout)
        self.assertEqual(list(said["errors_by_kind"]), ["no_files"])
        self.assertGreater(said["answers"], 0)

    def test_one_odd_connection_does_not_distort_the_others(self):
        lock = threading.Lock()
        seen = []

        def behave(peer):
            with lock:
                odd = not seen
                seen.append(peer)
            if odd:
                read_head(peer)
                time.sleep(30)
            else:
                steadily(peer)
        with Server(behave) as server:
            said = load("--connections", "4", "--duration", "1s", "--timeout", "400ms",
                        server.url())
        self.assertEqual(said["errors_by_kind"], {"timeout": 1})
        self.assertGreater(said["answers"], 50)
        self.assertLess(said["latency_ms"]["p90"], 100)
        self.assertGreaterEqual(said["latency_ms"]["max"], 400)


class Models(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()

    def test_arrivals_come_on_schedule_and_latency_counts_from_it(self):
        """A server that stands still for 300 ms must show in the latencies of all who came."""
        begun = time.monotonic()
        gate = threading.Lock()

        def behave(peer):
            while read_head(peer):
                since = time.monotonic() - begun
                if 0.5 < since < 0.8:
                    with gate:
                        time.sleep(max(0, begun + 0.8 - time.monotonic()))
                peer.sendall(ANSWER)
        with Server(behave) as server:
            begun = time.monotonic()
            said = load("--rate", "200", "--connections", "4", "--duration", "1500ms",
                        server.url())
        self.assertEqual(said["model"], "open")
        self.assertEqual(said["requests"], 300)
        self.assertEqual(said["errors"], 0)
        # 60 of 300 arrived within the 300 ms, their waits spread evenly; service time hides most.
        self.assertGreater(said["latency_ms"]["p90"], 90)
        self.assertLess(said["service_time_ms"]["p90"], said["latency_ms"]["p90"] / 2)
        self.assertGreater(said["generator"]["backlog_max"], 20)
        self.assertGreater(said["generator"]["queued_ms"]["count"], 40)

    def test_users_think(self):
        with Server(steadily) as server:
            said = load("--connections", "5", "--duration", "1s", "--think", "100ms", server.url())
        self.assertGreaterEqual(said["requests"], 30)
        self.assertLessEqual(said["requests"], 55)

    def test_the_load_follows_the_pattern(self):
        with Server(steadily) as server:
            said = load("--rate", "1", "--pattern", "100 for 500ms, ramp 100..300 over 1s",
                        server.url())
        self.assertEqual(said["requests"], 250)
        self.assertGreater(max(point["level"] for point in said["timeline"]), 280)

    def test_a_number_of_requests_ends_the_run(self):
        with Server(steadily) as server:
            said = load("--connections", "3", "--requests", "47", "--duration", "1m", server.url())
        self.assertEqual(said["requests"], 47)
        self.assertLess(said["duration_s"], 30)

    def test_an_interrupt_still_writes_the_whole_report(self):
        with Server(steadily) as server:
            process = subprocess.Popen([BINARY, "load", "--json", "--quiet", "--duration", "1m",
                                        server.url()], stdout=subprocess.PIPE, text=True)
            deadline = time.monotonic() + PATIENCE
            while server.connections < 16 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=PATIENCE)
        said = json.loads(out)
        self.assertTrue(said["interrupted"])
        self.assertGreater(said["requests"], 0)
        self.assertLess(said["duration_s"], PATIENCE)

    def test_criteria_decide_the_exit_code(self):
        with Server(steadily) as server:
            said = load("--duration", "300ms", "--require", "p99 < 30s,error_rate <= 0%,rps > 1",
                        server.url(), code=0)
            self.assertEqual(said["verdict"], "passed")
            said = load("--duration", "300ms", "--require", "p50 < 1ns", server.url(), code=1)
            self.assertEqual(said["verdict"], "failed")
            self.assertFalse(said["criteria"][0]["holds"])
            said = load("--duration", "1m", "--require", "max < 1ns", "--abort", server.url(),
                        code=1)
            self.assertTrue(said["aborted"])

    def test_mistakes_are_found_before_the_first_request(self):
        with Server(steadily) as server:
            for arguments, hint in ((["--require", "p95 > soon"], "duration"),
                                    (["--require", "rsp > 3"], "rps"),
                                    (["--think", "later"], "think time"),
                                    (["--pattern", "wobble 3..4 for 1s"], "shapes"),
                                    (["--header", "nonsense"], "NAME: VALUE"),
                                    (["--report", "x.doc"], ".html")):
                done = subprocess.run([BINARY, "load", *arguments, server.url()],
                                      capture_output=True, text=True, timeout=PATIENCE)
                self.assertEqual(done.returncode in (2, 4), True, done.stderr)
                self.assertIn(hint, done.stderr)
            self.assertEqual(server.connections, 0)

    def test_reports_in_every_form(self):
        folder = tempfile.mkdtemp(prefix="sonde-load-")
        self.addCleanup(shutil.rmtree, folder)
        files = {ending: os.path.join(folder, f"run.{ending}")
                 for ending in ("html", "md", "json", "csv", "xml")}
        with Server(steadily) as server:
            load("--duration", "500ms", "--require", "p99 < 30s", "--report",
                 ",".join(files.values()), server.url(), code=0)
        text = {ending: pathlib.Path(path).read_text(encoding="utf-8")
                for ending, path in files.items()}
        self.assertIn("<svg", text["html"])
        self.assertIn("Percentile spectrum", text["md"])
        self.assertGreater(json.loads(text["json"])["requests"], 0)
        self.assertRegex(text["csv"], r"^time_s,.*\n[0-9.]+,")
        suite = xml.etree.ElementTree.fromstring(text["xml"])
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("2", "0"))


class View(unittest.TestCase):
    """On a terminal the run is shown while it goes on, and the report follows."""

    def setUp(self):
        need_binary()

    def watch(self, server, until, then, *arguments):
        """What a terminal of 100 × 40 got; `then` is typed when `until` was seen."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        process = subprocess.Popen([BINARY, "load", *arguments, server.url()], stdin=slave,
                                   stdout=slave, stderr=slave, start_new_session=True,
                                   env={**os.environ, "TERM": "xterm", "LANG": "C.UTF-8"})
        os.close(slave)
        self.addCleanup(process.kill)
        seen, typed, deadline = b"", False, time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    piece = os.read(master, 65536)
                except OSError:
                    break
                seen += piece
            if not typed and until in seen:
                os.write(master, then)
                typed = True
        os.close(master)
        self.assertEqual(process.wait(PATIENCE), 0)
        return seen.decode(errors="replace")

    def test_the_whole_terminal_shows_the_run_until_somebody_ends_it(self):
        with Server(steadily) as server:
            seen = self.watch(server, b"q ends", b"q", "--duration", "1m", "--rate", "50",
                              "--require", "p99 < 30s")
        for words in ("\x1b[?1049h", "asked for", "p99.9", "kept", "requests a second",
                      "\x1b[?1049l", "interrupted", "Percentile spectrum"):
            self.assertIn(words, seen)
        self.assertLess(seen.index("\x1b[?1049l"), seen.index("Percentile spectrum"))

    def test_quiet_shows_the_report_alone(self):
        with Server(steadily) as server:
            seen = self.watch(server, b"never", b"", "--duration", "300ms", "--quiet")
        self.assertNotIn("\x1b[?1049h", seen)
        self.assertIn("Percentile spectrum", seen)


@unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
class Nginx(unittest.TestCase):
    """The real thing: keep-alive, TLS with resumption, HTTP/2."""

    @classmethod
    def setUpClass(cls):
        need_binary()
        cls.folder = tempfile.mkdtemp(prefix="sonde-nginx-")
        cls.plain, cls.tls = free_port(), free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-keyout", f"{cls.folder}/key.pem", "-out", f"{cls.folder}/cert.pem",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,"
                        "IP:127.0.0.1"], check=True, capture_output=True)
        temp = "".join(f"{kind}_temp_path {cls.folder}/{kind};" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(f"{cls.folder}/nginx.conf", "w", encoding="utf-8") as conf:
            conf.write(f"""daemon off; worker_processes 1; pid {cls.folder}/pid;
error_log {cls.folder}/error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 50; {temp}
 server {{ listen 127.0.0.1:{cls.plain};
   location / {{ return 200 "hello"; }} }}
 server {{ listen 127.0.0.1:{cls.tls} ssl http2;
   ssl_certificate {cls.folder}/cert.pem; ssl_certificate_key {cls.folder}/key.pem;
   ssl_session_cache shared:s:1m;
   location / {{ return 200 "hello"; }} }} }}
""")
        cls.process = subprocess.Popen(["nginx", "-c", f"{cls.folder}/nginx.conf"],
                                       stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", cls.tls)).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("nginx did not start")

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.wait(PATIENCE)
        shutil.rmtree(cls.folder, ignore_errors=True)

    def test_connections_that_are_used_up_are_made_anew(self):
        said = load("--connections", "4", "--requests", "1000", f"http://127.0.0.1:{self.plain}/",
                    code=0)
        self.assertEqual((said["requests"], said["errors"]), (1000, 0))
        self.assertGreaterEqual(said["generator"]["connects"], 20)

    def test_tls_resumes_its_sessions(self):
        said = load("--connections", "4", "--requests", "1000", "--ca", f"{self.folder}/cert.pem",
                    f"https://localhost:{self.tls}/", code=0)
        self.assertEqual((said["requests"], said["errors"]), (1000, 0))
        self.assertGreater(said["generator"]["tls_resumed"], 2)
        self.assertGreater(said["tls_ms"]["count"], 5)

    def test_a_certificate_that_nobody_vouches_for(self):
        said = load("--connections", "2", "--duration", "300ms", f"https://localhost:{self.tls}/",
                    code=1)
        self.assertEqual(list(said["errors_by_kind"]), ["tls"])

    def test_http2_with_streams(self):
        said = load("--http2", "--connections", "2", "--streams", "8", "--requests", "1000",
                    "--insecure", f"https://127.0.0.1:{self.tls}/", code=0)
        self.assertEqual((said["requests"], said["errors"]), (1000, 0))
        self.assertEqual(said["status"], {"200": 1000})

    def test_http2_is_not_spoken_there(self):
        said = load("--http2", "--connections", "1", "--duration", "300ms", "--timeout", "1s",
                    f"http://127.0.0.1:{self.plain}/", code=1)
        self.assertEqual(said["answers"], 0)
        self.assertGreater(said["errors"], 0)


if __name__ == "__main__":
    unittest.main()
