# SPDX-License-Identifier: Apache-2.0
"""Senders of OTLP that mean harm, or are broken, cost nobody but themselves: while each of them does
its worst on connections of its own, a good sender's spans are taken and found, and the daemon's
memory stays where it was. And spans that are large, deep or strange are kept as they are."""

import contextlib
import json
import os
import socket
import struct
import subprocess
import threading
import time
import unittest

from sonde import BINARY, PATIENCE, Sonde, wait_for

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = \
    0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4
PATH = b"/opentelemetry.proto.collector.trace.v1.TraceService/Export"
ABUSERS = 8
SLOW_SENDERS = 200
# The daemon takes some 30 MB at rest; a sanitizer shadows all of it.
SANITIZED = b"asan" in subprocess.run(["ldd", BINARY], capture_output=True, check=False).stdout
MEMORY_MAX = (800 if SANITIZED else 160) << 20


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """A header field that no table has, without Huffman."""
    def text(data):
        size = len(data)
        if size < 127:
            return bytes([size]) + data
        size -= 127
        head = b"\x7f"
        while size >= 128:
            head += bytes([size & 127 | 128])
            size >>= 7
        return head + bytes([size]) + data
    return b"\0" + text(name) + text(value)


EXPORT = (b"\x83\x86" + literal(b":path", PATH) + literal(b":authority", b"a") +
          literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers"))


def message(size):
    """One span of an unknown field: legal, empty, of that size."""
    body = b"\x7a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128,
                            size >> 21 & 127]) + b"\0" * size
    return b"\0" + struct.pack(">I", len(body)) + body


class Beside(unittest.TestCase):
    """A daemon, and a good sender whose service is looked at."""

    number = 0

    @classmethod
    def setUpClass(cls):
        # What a sanitizer keeps of freed memory, to catch its use, is not the daemon's.
        options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=16"
        cls.sonde = Sonde("--collect-off", "all", "--no-otlp-enabled",
                          "--http-header-timeout", "2s", environment={"ASAN_OPTIONS": options})
        cls.sonde.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.sonde.close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.sonde.port), PATIENCE)

    def rss(self):
        with open(f"/proc/{self.sonde.process.pid}/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) * 1024 for line in status
                        if line.startswith("VmRSS:"))

    def a_span(self, **changes):
        Beside.number += 1
        now = time.time_ns()
        return {"traceId": f"{Beside.number:032x}", "spanId": f"{Beside.number:016x}", "name": "good",
                "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1000), **changes}

    def post(self, span):
        return self.sonde.post("/v1/traces", {"resourceSpans": [{"scopeSpans": [
            {"spans": [span]}]}]}, {"Content-Type": "application/json"})

    def expect_good_service(self):
        """A span is acknowledged soon and found."""
        began = time.monotonic()
        span = self.a_span()
        self.assertEqual(self.post(span).status, 200)
        self.assertLess(time.monotonic() - began, PATIENCE / 4)
        found = self.sonde.json(f"/api/v1/traces/{span['traceId']}")
        self.assertEqual(len(found["spans"]), 1)


class Abuse(Beside):
    def abuse(self, work, seconds=2):
        """Several abusers, again and again, beside a good sender."""
        stop = threading.Event()

        def run():
            while not stop.is_set():
                with contextlib.suppress(OSError):  # Being cut off is what they deserve.
                    work()
        abusers = [threading.Thread(target=run) for _ in range(ABUSERS)]
        for abuser in abusers:
            abuser.start()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                self.expect_good_service()
                self.assertLess(self.rss(), MEMORY_MAX)
        finally:
            stop.set()
            for abuser in abusers:
                abuser.join()
        self.expect_good_service()

    def read_until_goodbye(self, peer):
        with contextlib.suppress(OSError):
            while peer.recv(65536):
                pass

    def test_rapid_reset(self):
        def work():
            with self.connect() as peer:
                peer.sendall(PREFACE + frame(SETTINGS, 0, 0))
                for stream in range(1, 2001, 2):
                    peer.sendall(frame(HEADERS, END_HEADERS, stream, EXPORT) +
                                 frame(DATA, 0, stream, message(100)) +
                                 frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
                self.read_until_goodbye(peer)
        self.abuse(work)

    def test_windows_of_one_byte(self):
        """The answer cannot leave; streams and connection are given up, not waited for."""
        settings = frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, 1))

        def work():
            with self.connect() as peer:
                peer.settimeout(0.3)
                peer.sendall(PREFACE + settings)
                for stream in range(1, 201, 2):
                    peer.sendall(frame(HEADERS, END_HEADERS, stream, EXPORT) +
                                 frame(DATA, END_STREAM, stream, message(100)))
                self.read_until_goodbye(peer)
        self.abuse(work)

    def test_header_floods(self):
        def endless():
            with self.connect() as peer:
                peer.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 0, 1, EXPORT))
                for i in range(4000):
                    peer.sendall(frame(CONTINUATION, 0, 1, literal(b"a%d" % i, b"b" * 500)))
                self.read_until_goodbye(peer)

        def many():
            with self.connect() as peer:
                peer.sendall(PREFACE + frame(SETTINGS, 0, 0))
                for stream in range(1, 2001, 2):
                    fields = b"".join(literal(b"x-%d" % i, b"v" * 100) for i in range(90))
                    peer.sendall(frame(HEADERS, END_HEADERS, stream, EXPORT + fields) +
                                 frame(DATA, END_STREAM, stream, message(10)))
                self.read_until_goodbye(peer)
        self.abuse(endless)
        self.abuse(many)

    def test_pings_and_settings_and_windows_for_nothing(self):
        piece = (frame(PING, 0, 0, b"12345678") + frame(SETTINGS, 0, 0) +
                 frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1))) * 500

        def work():
            with self.connect() as peer:
                peer.sendall(PREFACE + frame(SETTINGS, 0, 0))
                for _ in range(100):
                    peer.sendall(piece)
                self.read_until_goodbye(peer)
        self.abuse(work)

    def test_slow_bodies(self):
        """Begun and never ended: hundreds of them hold hundreds of sockets and little else."""
        before = self.rss()
        peers = []
        try:
            for i in range(SLOW_SENDERS):
                peer = self.connect()
                peers.append(peer)
                if i % 2:
                    peer.sendall(PREFACE + frame(SETTINGS, 0, 0) +
                                 frame(HEADERS, END_HEADERS, 1, EXPORT) +
                                 frame(DATA, 0, 1, b"\0" + struct.pack(">I", 60 << 20)))
                else:
                    peer.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: "
                                 b"application/x-protobuf\r\nContent-Length: 62914560\r\n\r\n")
            for _ in range(5):
                for peer in peers:
                    with contextlib.suppress(OSError):
                        peer.sendall(frame(DATA, 0, 1, b"\0") if peers.index(peer) % 2 else b"\0")
                self.expect_good_service()
            # What was announced is not what is set aside.
            self.assertLess(self.rss() - before, 64 << 20)
        finally:
            for peer in peers:
                peer.close()
        self.expect_good_service()

    @staticmethod
    def is_answered(stream):
        """Trailers, which end the stream, or the end of the connection."""
        while len(head := stream.read(9)) == 9:
            stream.read(int.from_bytes(head[:3], "big"))
            if head[3] in (HEADERS, RST_STREAM) and head[5:] == b"\0\0\0\1" and (
                    head[3] == RST_STREAM or head[4] & END_STREAM):
                return True
        return False

    def test_lengths_that_lie(self):
        """A message that says four gigabytes, and one that says less than it is."""
        for head in (b"\0\xff\xff\xff\xff", b"\0\0\0\0\x01"):
            with self.connect() as peer:
                peer.sendall(PREFACE + frame(SETTINGS, 0, 0) +
                             frame(HEADERS, END_HEADERS, 1, EXPORT) +
                             frame(DATA, END_STREAM, 1, head + b"\x7a\x02ab"))
                self.assertTrue(self.is_answered(peer.makefile("rb")))
        self.expect_good_service()


class Strange(Beside):
    def test_a_span_of_a_megabyte(self):
        text = os.urandom(700000).hex()[:1 << 20]
        span = self.a_span(attributes=[{"key": "large", "value": {"stringValue": text}}])
        self.assertEqual(self.post(span).json(), {})
        found = self.sonde.json(f"/api/v1/traces/{span['traceId']}")
        self.assertEqual(found["spans"][0]["attributes"]["large"], text)

    def test_attributes_as_deep_as_allowed_and_deeper(self):
        def nested(depth):
            value = {"stringValue": "leaf"}
            for i in range(depth):
                value = {"arrayValue": {"values": [value]}} if i % 2 else \
                    {"kvlistValue": {"values": [{"key": "k", "value": value}]}}
            return value
        span = self.a_span(attributes=[{"key": "deep", "value": nested(20)}])
        self.assertEqual(self.post(span).json(), {})
        document = self.sonde.json(f"/api/v1/traces/{span['traceId']}", format="otlp")
        kept = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
        self.assertEqual(kept, span["attributes"])
        for depth in (40, 400, 40000):
            with contextlib.suppress(RecursionError):
                text = '{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % json.dumps(
                    self.a_span()).replace('"good"', '"good","attributes":[{"key":"d","value":%s}]'
                                           % ('{"arrayValue":{"values":[' * depth +
                                              '{"intValue":1}' + ']}}' * depth))
                answer = self.sonde.post("/v1/traces", text, {"Content-Type": "application/json"})
                self.assertEqual(answer.status, 400)
        self.expect_good_service()

    def test_circles_and_twins(self):
        one, two, three = self.a_span(), self.a_span(), self.a_span()
        for span in (two, three):
            span["traceId"] = one["traceId"]
        one["parentSpanId"], two["parentSpanId"] = two["spanId"], one["spanId"]
        three["spanId"] = one["spanId"]  # A twin with another time.
        three["startTimeUnixNano"] = str(int(one["startTimeUnixNano"]) + 7)
        for span in (one, two, three):
            self.assertEqual(self.post(span).json(), {})
        self.assertEqual(len(self.sonde.json(f"/api/v1/traces/{one['traceId']}")["spans"]), 3)
        wait_for(lambda: self.sonde.get(f"/api/v1/traces/{one['traceId']}/explain").status
                 in (200, 404), "an explanation that ends")


if __name__ == "__main__":
    unittest.main()
