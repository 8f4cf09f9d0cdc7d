# SPDX-License-Identifier: Apache-2.0
"""The HTTP server against real clients and against people who mean it ill.

It drives tests/programs/http_echo, which shows every way to answer. SONDE_BUILD names the Meson
folder (default build-asan/meson); SONDE_HTTP_ECHO the program itself.
"""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

import sonde

BUILD = pathlib.Path(os.environ.get("SONDE_BUILD", os.path.join(sonde.ROOT, "build-asan/meson")))
PROGRAM = os.environ.get("SONDE_HTTP_ECHO", str(BUILD / "tests/http_echo"))
IDLE_CONNECTIONS = 10000
SLOW_CONNECTIONS = 2000

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
ENHANCE_YOUR_CALM = 11
GET_ROOT = b"\x82\x84\x86\x41\x01a"  # :method GET, :path /, :scheme http, :authority a


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Echo:
    """http_echo on a free port; its complaints fail whoever stops it."""

    def __init__(self, *arguments):
        if not os.access(PROGRAM, os.X_OK):
            raise unittest.SkipTest(f"{PROGRAM} is not built (set SONDE_BUILD)")
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([PROGRAM, *arguments, "127.0.0.1:0"], text=True,
                                        stdout=subprocess.PIPE, stderr=self.log)
        self.port = int(self.process.stdout.readline().split()[-1])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        code = self.stop()
        self.log.seek(0)
        complaints = self.log.read().decode(errors="replace")
        self.log.close()
        self.process.stdout.close()
        if error[0] is None and (code != 0 or complaints):
            raise AssertionError(f"http_echo ended with {code}:\n{complaints[-4000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(sonde.PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def connect(self, data=b""):
        peer = socket.create_connection(("127.0.0.1", self.port), sonde.PATIENCE)
        if data:
            peer.sendall(data)
        return peer

    def ask(self, data):
        """Everything the server says to these bytes until it closes."""
        with self.connect(data) as peer:
            return read_all(peer)

    def stats(self):
        answer = self.ask(b"GET /stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return {name: int(value) for name, value in
                re.findall(r"^(\w+) (\d+)$", answer.split(b"\r\n\r\n", 1)[1].decode(), re.M)}

    def url(self, path, scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def is_sanitized(self):
        return "libasan" in pathlib.Path(f"/proc/{self.process.pid}/maps").read_text()

    def memory_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def read_all(peer):
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := peer.recv(65536):
            said += piece
    return said


def run(*command, data=None):
    if shutil.which(command[0]) is None:
        raise unittest.SkipTest(f"{command[0]} is not installed")
    return subprocess.run(command, input=data, capture_output=True, timeout=60)


def curl(*arguments, data=None):
    done = run("curl", "--silent", "--show-error", "--max-time", "30", *arguments, data=data)
    if done.returncode != 0:
        raise AssertionError(f"curl {arguments}: {done.stderr.decode()}")
    return done.stdout


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class RealClients(unittest.TestCase):
    """curl, nghttp, h2load and openssl find what they expect."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sonde-http-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.certificate = os.path.join(cls.folder, "certificate.pem")
        cls.key = os.path.join(cls.folder, "key.pem")
        done = run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                   "-subj", "/CN=localhost", "-addext",
                   "subjectAltName=DNS:localhost,IP:127.0.0.1",
                   "-keyout", cls.key, "-out", cls.certificate)
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode())
        cls.blob = os.urandom(3_000_000)
        cls.plain = cls.enterClassContext(Echo()) if hasattr(cls, "enterClassContext") else None
        if cls.plain is None:
            cls.plain = Echo()
            cls.addClassCleanup(cls.plain.__exit__, None, None, None)
        cls.secure = Echo("--tls", cls.certificate, cls.key)
        cls.addClassCleanup(cls.secure.__exit__, None, None, None)

    def ways(self):
        """Every protocol that curl speaks, as (name, arguments, server, scheme)."""
        trust = ["--cacert", self.certificate]
        yield "http/1.1", ["--http1.1"], self.plain, "http"
        yield "http/2 by preface", ["--http2-prior-knowledge"], self.plain, "http"
        yield "https, http/1.1", ["--http1.1", *trust], self.secure, "https"
        yield "https, http/2 by ALPN", ["--http2", *trust], self.secure, "https"

    def test_curl_gets_the_same_over_every_protocol(self):
        for name, way, server, scheme in self.ways():
            with self.subTest(name):
                said = curl(*way, server.url("/describe?a=1&b=%20x", scheme)).decode()
                self.assertIn("path /describe\npeer 127.0.0.1\n", said)
                self.assertIn(f"version {20 if 'http/2' in name else 11}\n", said)
                self.assertIn(f"tls {int(scheme == 'https')}\n", said)
                self.assertIn("param b= x\n", said)

    def test_curl_sends_and_receives_megabytes_over_every_protocol(self):
        for name, way, server, scheme in self.ways():
            with self.subTest(name):
                url = server.url("/echo", scheme)
                self.assertEqual(curl(*way, "--data-binary", "@-", url, data=self.blob), self.blob)
                self.assertEqual(curl(*way, "--data-binary", "@-", "-H",
                                      "Transfer-Encoding: chunked", url, data=self.blob),
                                 self.blob)
                self.assertEqual(curl(*way, "--data-binary", "@-", server.url("/count", scheme),
                                      data=self.blob), b"3000000\n")
                self.assertEqual(len(curl(*way, server.url("/stream?bytes=5000000", scheme))),
                                 5000000)
                self.assertEqual(len(curl(*way, server.url("/big?bytes=5000000", scheme))),
                                 5000000)

    def test_curl_reads_compressed_text_and_learns_of_unchanged(self):
        for name, way, server, scheme in self.ways():
            with self.subTest(name):
                url = server.url("/static", scheme)
                said = curl(*way, "--compressed", "--include", url)
                head, body = said.split(b"\r\n\r\n", 1)
                self.assertIn(b"content-encoding: gzip", head.lower())
                self.assertEqual(len(body), 100000)
                said = curl(*way, "--include", "-H", 'If-None-Match: W/"v1"', url)
                self.assertRegex(said, rb"^HTTP/[12.]+ 304")
                said = curl(*way, "--head", url)
                self.assertIn(b"content-length: 100000", said.lower())

    def test_bodies_over_their_bound_are_refused_over_every_protocol(self):
        for name, way, server, scheme in self.ways():
            with self.subTest(name):
                said = curl(*way, "--include", "-H", "Expect:", "--data-binary", "@-",
                            server.url("/small", scheme), data=self.blob[:20000])
                self.assertRegex(said, rb"^HTTP/[12.]+ 413")
                said = curl(*way, "--include", "-H", "Expect:", "--data-binary", "@-",
                            server.url("/early", scheme), data=self.blob[:20000])
                self.assertRegex(said, rb"^HTTP/[12.]+ 403")

    def test_nghttp_and_h2load_are_content(self):
        done = run("nghttp", "-nv", self.plain.url("/healthz"), self.plain.url("/static"))
        self.assertEqual(done.returncode, 0)
        self.assertIn(b":status: 200", done.stdout)
        for server, scheme in ((self.plain, "http"), (self.secure, "https")):
            done = run("h2load", "-n", "3000", "-c", "20", "-m", "30",
                       server.url("/big?bytes=2000", scheme))
            self.assertIn(b"3000 succeeded, 0 failed, 0 errored", done.stdout)

    def openssl(self, *arguments, data=b""):
        return run("openssl", "s_client", "-connect", f"127.0.0.1:{self.secure.port}",
                   "-CAfile", self.certificate, "-servername", "localhost", *arguments, data=data)

    def test_tls_is_1_2_or_newer_and_resumes_by_ticket(self):
        for version in ("-tls1_2", "-tls1_3"):
            self.assertIn(b"Verify return code: 0 (ok)", self.openssl(version).stdout)
        self.assertNotEqual(self.openssl("-tls1_1", "-cipher", "ALL:@SECLEVEL=0").returncode, 0)
        session = os.path.join(self.folder, "session")
        self.openssl("-tls1_2", "-sess_out", session)
        self.assertIn(b"Reused, TLSv1.2", self.openssl("-tls1_2", "-sess_in", session).stdout)
        self.assertIn(b"ALPN protocol: h2", self.openssl("-alpn", "h2,http/1.1").stdout)
        self.assertNotEqual(self.openssl("-alpn", "nonsense").returncode, 0)

    def test_plain_words_on_a_tls_port_are_counted_as_failed_handshakes(self):
        before = int(re.search(rb"handshakes_failed (\d+)", curl(
            "--cacert", self.certificate, self.secure.url("/stats", "https")))[1])
        with self.secure.connect(b"GET / HTTP/1.1\r\n\r\n") as peer:
            read_all(peer)
        after = int(re.search(rb"handshakes_failed (\d+)", curl(
            "--cacert", self.certificate, self.secure.url("/stats", "https")))[1])
        self.assertEqual(after, before + 1)

    def test_a_websocket_over_tls_echoes(self):
        context = ssl.create_default_context(cafile=self.certificate)
        with self.secure.connect() as raw, \
                context.wrap_socket(raw, server_hostname="localhost") as peer:
            peer.sendall(b"GET /websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                         b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                         b"\x81\x85\x00\x00\x00\x00Hello")
            said = b""
            while not said.endswith(b"\x81\x05Hello"):
                piece = peer.recv(4096)
                self.assertTrue(piece, said)
                said += piece
            self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", said)


class Crowds(unittest.TestCase):
    def test_ten_thousand_idle_connections_cost_little_and_hurt_nobody(self):
        count = min(IDLE_CONNECTIONS, raise_file_limit() - 500)
        with Echo() as server, contextlib.ExitStack() as peers:
            before = server.memory_bytes()
            for _ in range(count):
                peers.enter_context(server.connect())
            stats = sonde.wait_for(
                lambda: (found := server.stats())["connections_open"] > count and found,
                f"{count} connections to be open")
            self.assertEqual(stats["connections_refused"], 0)
            if not server.is_sanitized():
                self.assertLess((server.memory_bytes() - before) / count, 2048)
            self.assertIn(b"200 OK", server.ask(
                b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))

    def test_dawdlers_are_told_408_while_others_are_served(self):
        count = min(SLOW_CONNECTIONS, raise_file_limit() - 500)
        head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        with Echo("--quick") as server, contextlib.ExitStack() as stack:
            peers = [stack.enter_context(server.connect()) for _ in range(count)]
            at = 0
            while server.stats()["connections_timed_out"] < count:  # Asked while they dawdle.
                for peer in peers:
                    with contextlib.suppress(OSError):
                        peer.send(head[at:at + 1] or b"x", socket.MSG_DONTWAIT)
                at += 1
                self.assertLess(at, 1000, "nobody was timed out")
                time.sleep(0.05)
            said = read_all(peers[0])
            self.assertTrue(said.startswith(b"HTTP/1.1 408 "), said)
            sonde.wait_for(lambda: server.stats()["connections_open"] == 1, "the last to leave")

    def test_more_connections_than_allowed_are_sent_away_politely(self):
        with Echo("--connections", "50") as server, contextlib.ExitStack() as stack:
            peers = [stack.enter_context(server.connect()) for _ in range(80)]
            answers = [read_all(peer) for peer in peers[50:]]
            for said in answers:
                self.assertIn(b"503 Service Unavailable", said)
                self.assertIn(b"Retry-After:", said)
            for peer in peers[:30]:
                peer.close()
            stats = sonde.wait_for(lambda: self.stats_when_let_in(server), "room")
            self.assertGreaterEqual(stats["connections_refused"], 30)

    @staticmethod
    def stats_when_let_in(server):
        with contextlib.suppress(IndexError, OSError):
            return server.stats()
        return None

    def test_what_is_in_flight_finishes_when_the_server_is_told_to_stop(self):
        with Echo() as server:
            with server.connect(b"GET /later?ms=500 HTTP/1.1\r\nHost: a\r\n\r\n") as peer, \
                    server.connect() as idle:
                sonde.wait_for(lambda: server.stats()["exchanges_open"] == 2, "the request")
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(read_all(idle), b"")
                said = read_all(peer)
                self.assertIn(b"Connection: close\r\n", said)
                self.assertTrue(said.endswith(b"later\n"))
            self.assertEqual(server.process.wait(sonde.PATIENCE), 0)


class IllWill(unittest.TestCase):
    def setUp(self):
        self.server = Echo("--quick")
        self.addCleanup(self.server.__exit__, None, None, None)

    def test_a_smuggled_request_is_never_answered(self):
        hidden = b"GET /describe?smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        heads = [
            b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            b"Content-Length: 0\r\nContent-Length: 44\r\n",
            b"Content-Length: 0, 44\r\n",
            b"Content-Length : 0\r\n",
            b"Transfer-Encoding: xchunked\r\n",
            b"Transfer-Encoding: chunked, chunked\r\n",
            b"Transfer-Encoding : chunked\r\n",
            b"Transfer-Encoding:\x0bchunked\r\n",
            b" Transfer-Encoding: chunked\r\n",
            b"X: y\nTransfer-Encoding: chunked\r\n",
            b"X: y\r\n\tTransfer-Encoding: chunked\r\n",
            b"X: y\rTransfer-Encoding: chunked\r\n",
        ]
        for head in heads:
            with self.subTest(head):
                said = self.server.ask(b"POST /echo HTTP/1.1\r\nHost: a\r\n" + head +
                                       b"\r\n0\r\n\r\n" + hidden)
                self.assertRegex(said, rb"^HTTP/1.1 (400|501) ")
                self.assertEqual(said.count(b"HTTP/1.1 "), 1)
                self.assertNotIn(b"smuggled", said)
        self.assertEqual(self.server.stats()["parse_errors"], len(heads))

    def talk_http2(self, frames):
        """The frames that the server answers with, until it closes; [(kind, flags, payload)]."""
        with self.server.connect() as peer:
            with contextlib.suppress(OSError):
                peer.sendall(PREFACE + frame(SETTINGS, 0, 0))
                for piece in frames:
                    peer.sendall(piece)
            said = read_all(peer)
        heard = []
        while len(said) >= 9:
            size = int.from_bytes(said[:3], "big")
            heard.append((said[3], said[4], said[9:9 + size]))
            said = said[9 + size:]
        return heard

    def expect_goodbye(self, frames, code=None):
        goodbyes = [payload for kind, _, payload in self.talk_http2(frames) if kind == GOAWAY]
        self.assertTrue(goodbyes, "no GOAWAY")
        if code is not None:
            self.assertEqual(int.from_bytes(goodbyes[-1][4:8], "big"), code)

    def test_floods_of_http2_frames_end_the_connection(self):
        streams = range(1, 4001, 2)
        floods = {
            "rapid reset": [frame(HEADERS, END_STREAM | END_HEADERS, stream, GET_ROOT) +
                            frame(RST_STREAM, 0, stream, b"\0\0\0\x08") for stream in streams],
            "pings": [frame(PING, 0, 0, b"12345678") * 1000],
            "settings": [frame(SETTINGS, 0, 0) * 1000],
            "empty data": [frame(HEADERS, END_HEADERS, 1,
                                 b"\x83\x84\x86\x41\x01a") + frame(DATA, 0, 1) * 1000],
        }
        for number, (name, frames) in enumerate(floods.items(), 1):
            with self.subTest(name):
                self.expect_goodbye(frames, ENHANCE_YOUR_CALM)
                self.assertEqual(self.server.stats()["connections_flooded"], number)

    def test_headers_without_end_are_cut_off(self):
        endless = [frame(HEADERS, END_STREAM, 1, GET_ROOT)]
        endless += [frame(CONTINUATION, 0, 1, b"\x00\x01a\x7f\x81\x03" + b"b" * 514)] * 4000
        heard = self.talk_http2(endless)
        self.assertFalse([kind for kind, _, _ in heard if kind == DATA])
        self.assertTrue([kind for kind, _, _ in heard if kind == GOAWAY])

    def test_nonsense_after_the_preface_is_answered_with_goodbye(self):
        self.expect_goodbye([b"\xff" * 100])
        self.expect_goodbye([frame(DATA, 0, 0, b"x")])
        self.expect_goodbye([frame(HEADERS, END_STREAM | END_HEADERS, 2, GET_ROOT)])
        self.expect_goodbye([frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\xff\xff\xff\xff\xff")])

    def test_a_decompression_bomb_is_refused(self):
        import gzip
        import zlib
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        million = b"\0" * 1_000_000
        bomb = b"".join(packer.compress(million) for _ in range(200)) + packer.flush()
        self.assertLess(len(bomb), 300_000)
        said = self.server.ask(b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                               b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) +
                               bomb)
        self.assertTrue(said.startswith(b"HTTP/1.1 413 "), said[:200])
        said = self.server.ask(b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                               b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" %
                               len(gzip.compress(b"abc")) + gzip.compress(b"abc"))
        self.assertTrue(said.endswith(b"\r\n\r\nabc"), said)


if __name__ == "__main__":
    unittest.main()
