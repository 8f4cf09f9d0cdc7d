# SPDX-License-Identifier: Apache-2.0
"""The same answers over TLS, HTTP/2 and a crowd: curl, nghttp and many clients at once."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import unittest
import urllib.parse
import warnings

from sonde import Scenario, Sonde, wait_for


def need(program):
    path = shutil.which(program)
    if path is None:
        raise unittest.SkipTest(f"{program} is not installed")
    return path


def run(*command):
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


class Encrypted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("openssl")
        cls.sonde = Sonde()
        certificate = os.path.join(cls.sonde.folder, "certificate.pem")
        key = os.path.join(cls.sonde.folder, "key.pem")
        made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                   "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                   "-keyout", key, "-out", certificate)
        if made.returncode != 0:
            raise AssertionError(made.stderr.decode())
        cls.certificate = certificate
        cls.sonde.arguments += ("--tls.certificate", certificate, "--tls.key", key)
        cls.sonde.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.sonde.close()

    def curl(self, *arguments):
        return run(need("curl"), "-sS", "--cacert", self.certificate, "--retry", "20",
                   "--retry-all-errors", "--retry-delay", "1", *arguments)

    def test_a_certificate_makes_it_https(self):
        self.assertEqual(self.sonde.scheme, "https")
        result = self.curl("-i", "--http1.1", f"{self.sonde.url}/readyz")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.startswith(b"HTTP/1.1 200"), result.stdout)

    def test_http2_is_agreed_on_in_the_handshake(self):
        result = self.curl("-o", os.devnull, "-w", "%{http_version} %{http_code}", "--http2",
                           f"{self.sonde.url}/api/v1/status")
        self.assertEqual(result.stdout, b"2 200", result.stderr)

    def test_old_tls_is_refused(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        warnings.simplefilter("ignore", DeprecationWarning)  # They are why this is asked.
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            with socket.create_connection(("127.0.0.1", self.sonde.port), timeout=10) as plain:
                context.wrap_socket(plain)


class SecondVersion(Scenario):
    def test_curl_with_prior_knowledge(self):
        self.sonde.wait_for_value("count(node_load1)", 1)
        result = run(need("curl"), "-sS", "--http2-prior-knowledge", "-w", "\n%{http_version}",
                     f"{self.sonde.url}/api/v1/query?query=node_load1")
        body, version = result.stdout.decode().rsplit("\n", 1)
        self.assertEqual(version, "2")
        self.assertEqual(len(json.loads(body)["data"]["result"]), 1)

    def test_many_streams_of_one_connection(self):
        paths = [f"{self.sonde.url}/{path}" for path in
                 ("healthz", "readyz", "api/v1/status", "api/openapi.json", "api/v1/labels")]
        result = run(need("nghttp"), "-s", "-n", "-m", "4", *paths)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.decode().count(" 200 "), 20, result.stdout.decode())

    def test_a_push_over_http2(self):
        result = run(need("curl"), "-sS", "--http2-prior-knowledge", "--data-binary",
                     "over_http2 2\n", "-w", "%{http_code}",
                     f"{self.sonde.url}/api/v1/import/prometheus")
        self.assertEqual(result.stdout, b"204")
        self.assertEqual(self.sonde.value("over_http2"), 2)


class Crowd(Scenario):
    """One question may cost so much, and so many may be asked at a time."""

    config = "query:\n  concurrent: 4\n  timeout: 1s\n  memory: 8MiB\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for batch in range(5):
            lines = "".join(f'wide{{n="{n}"}} {n} {int(time.time() * 1000) - at * 1000}\n'
                            for n in range(batch * 400, batch * 400 + 400)
                            for at in range(20, 0, -1))
            answer = cls.sonde.post("/api/v1/import/prometheus", lines)
            if answer.status != 204:
                raise AssertionError(answer.body)

    heavy = "sum(" + " + on(n) ".join(["sum_over_time(wide[20s])"] * 40) + ")"

    def range_question(self, expression):
        end = time.time()
        return "/api/v1/query_range?" + urllib.parse.urlencode(
            {"query": expression, "start": end - 3600, "end": end, "step": "1s"})

    def test_a_question_that_is_too_wide_is_refused_with_the_bound(self):
        answer = self.sonde.get(self.range_question("wide"))
        self.assertEqual(answer.status, 422, answer.body[:300])
        self.assertEqual(answer.json()["errorType"], "execution")
        self.assertIn("hint", answer.json())

    def test_who_asks_too_much_at_once_is_asked_to_come_later(self):
        seen = []

        def ask():
            answer = self.sonde.get(self.range_question("rate(wide{n=~'1.*'}[20s])"))
            seen.append((answer.status, answer.headers["Retry-After"]))

        def crowd():
            threads = [threading.Thread(target=ask) for _ in range(60)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return any(status == 429 for status, _ in seen)
        wait_for(crowd, "a 429")
        for status, retry_after in seen:
            if status in (429, 503):
                self.assertGreaterEqual(int(retry_after), 1)
        self.assertEqual(self.sonde.get("/healthz").status, 200)

    def test_a_question_whose_asker_has_gone_ends(self):
        for _ in range(4):
            with socket.create_connection(("127.0.0.1", self.sonde.port)) as plain:
                plain.sendall(f"GET {self.range_question(self.heavy)} HTTP/1.1\r\n"
                              f"Host: 127.0.0.1\r\n\r\n".encode())
        wait_for(lambda: self.sonde.get("/api/v1/query", query="vector(1)").status == 200,
                 "room for another question")


if __name__ == "__main__":
    unittest.main()
