# SPDX-License-Identifier: Apache-2.0
"""Jaeger all-in-one on free loopback ports, with what it keeps in memory."""

import json
import os
import socket
import subprocess
import sys
import unittest
import urllib.error
import urllib.parse
import urllib.request

from sonde import ROOT, wait_for

sys.path.insert(0, os.path.join(ROOT, "tools"))
import peer_jaeger  # noqa: E402


def free_ports(count):
    made = [socket.socket() for _ in range(count)]
    try:
        for one in made:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in made]
    finally:
        for one in made:
            one.close()


class Jaeger:
    """`query`, `otlp`, `otlp_grpc`, `zipkin`, `collector` and `sampling` are its ports."""

    def __init__(self, *arguments):
        try:
            binary = peer_jaeger.binary()
        except peer_jaeger.Absent as absence:
            raise unittest.SkipTest(str(absence)) from absence
        (self.query, self.otlp, self.zipkin, self.collector, self.sampling, *others) = free_ports(12)
        self.otlp_grpc = others[1]
        names = ["collector.grpc-server", "collector.otlp.grpc", "query.grpc-server",
                 "admin.http"]
        self.process = subprocess.Popen(
            [binary, "--query.http-server.host-port", f"127.0.0.1:{self.query}",
             "--collector.otlp.http.host-port", f"127.0.0.1:{self.otlp}",
             "--collector.zipkin.host-port", f"127.0.0.1:{self.zipkin}",
             "--collector.http-server.host-port", f"127.0.0.1:{self.collector}",
             "--http-server.host-port", f"127.0.0.1:{self.sampling}",
             *[word for name, port in zip(names, others)
               for word in (f"--{name}.host-port", f"127.0.0.1:{port}")],
             *[word for name, port in zip(("jaeger-binary", "jaeger-compact", "zipkin-compact"),
                                          others[4:])
               for word in (f"--processor.{name}.server-host-port", f"127.0.0.1:{port}")],
             "--log-level", "error", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "JAEGER_DISABLED": "true"})
        try:
            wait_for(self._is_ready, "Jaeger")
        except BaseException:
            self.close()
            raise

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Jaeger ended with {self.process.returncode}")
        try:
            return self.ask("/api/services")[0] == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        return ask(f"http://127.0.0.1:{self.query}", path, parameters)

    def post(self, port, path, body, content_type="application/json"):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body,
                                         {"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status

    def close(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ask(base, path, parameters):
    """Status and JSON; errors are answers, too."""
    query = urllib.parse.urlencode(parameters, doseq=True)
    try:
        with urllib.request.urlopen(f"{base}{path}?{query}", timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
