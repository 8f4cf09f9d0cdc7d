# SPDX-License-Identifier: Apache-2.0
"""A daemon of one's own for a scenario: started, waited for, asked, ended, and its log looked at.

    with Sonde() as sonde:
        sonde.json("/api/v1/query", query="node_load1")

SONDE_BINARY names the binary (default build/sonde). The daemon listens on a free loopback port and
keeps its data in a folder that goes with it. Whatever a sanitizer wrote fails the scenario when it
ends. Waits are for events, with an upper bound, never for time to pass.
"""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("SONDE_BINARY", os.path.join(ROOT, "build", "sonde")))
PATIENCE = float(os.environ.get("SONDE_PATIENCE", "20"))  # Seconds for anything to happen.
COMPLAINTS = re.compile(r"(==\d+==ERROR|runtime error:|WARNING: ThreadSanitizer|must failed|LeakSani"
                        r"tizer)")


def need_binary():
    """Skips the scenario when there is nothing to run."""
    if not os.access(BINARY, os.X_OK):
        raise unittest.SkipTest(f"{BINARY} is not built (set SONDE_BINARY)")


def wait_for(condition, what, seconds=None):
    """Asks again until condition() is true; returns what it returned."""
    end = time.monotonic() + (seconds or PATIENCE)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds or PATIENCE:.0f} s in vain for {what}")
        time.sleep(0.02)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()


class Sonde:
    """`sonde serve`; arguments are appended to the command, config is the text of a file."""

    def __init__(self, *arguments, config=None, environment=None, folder=None):
        need_binary()
        self.arguments = arguments
        self.config = config
        self.environment = environment or {}
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="sonde-scenario-")
        self.data = os.path.join(self.folder, "data")
        self.log_path = os.path.join(self.folder, "log")
        self.process = None
        self.port = None
        self.scheme = "http"

    def command(self):
        command = [BINARY, "serve", "--listen", f"127.0.0.1:{self.port or 0}", "--data", self.data]
        if self.config is not None:
            path = os.path.join(self.folder, "sonde.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.config)
            command += ["--config", path]
        return command + list(self.arguments)

    def start(self):
        offset = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.environment})
        found = wait_for(lambda: self._address(offset), "the daemon's address")
        self.scheme, self.port = found.group(1), int(found.group(2))
        wait_for(self._is_ready, "/readyz")
        return self

    def _address(self, offset):
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended at once:\n{self.log()}")
        return re.search(r"watches this machine: (https?)://[^\s]*:(\d+)", self.log()[offset:])

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended at once:\n{self.log()}")
        if self.scheme == "https":
            return True
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def log(self):
        with open(self.log_path, errors="replace", encoding="utf-8") as file:
            return file.read()

    def connection(self, timeout=PATIENCE):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, parameters=None):
        if parameters:
            path += "?" + urllib.parse.urlencode(parameters, doseq=True)
        connection = self.connection()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, headers=None, **parameters):
        return self.request("GET", path, headers=headers, parameters=parameters)

    def post(self, path, body=b"", headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        return self.request("POST", path, body=body, headers=headers)

    def json(self, path, **parameters):
        answer = self.get(path, **parameters)
        if answer.status != 200:
            raise AssertionError(f"{path} {parameters}: {answer.status} {answer.body[:400]!r}")
        return answer.json()

    def query(self, expression, **parameters):
        """The result of an instant query: a list of series."""
        return self.json("/api/v1/query", query=expression, **parameters)["data"]["result"]

    def value(self, expression, **parameters):
        """The one number of an instant query, or None."""
        data = self.json("/api/v1/query", query=expression, **parameters)["data"]
        if data["resultType"] == "scalar":
            return float(data["result"][1])
        result = data["result"]
        return float(result[0]["value"][1]) if len(result) == 1 else None

    def wait_for_value(self, expression, wanted=None):
        def found():
            value = self.value(expression)
            return value is not None and (wanted is None or value == wanted)
        wait_for(found, f"{expression} to be {'there' if wanted is None else wanted}")
        return self.value(expression)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends the daemon as an operator would and returns its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the daemon did not end:\n{self.log()[-4000:]}") from None
        return self.process.returncode

    def close(self):
        try:
            status = self.stop()
            log = self.log() if os.path.exists(self.log_path) else ""
            if COMPLAINTS.search(log):
                raise AssertionError(f"the daemon complained:\n{log[-8000:]}")
            if status not in (0, -signal.SIGKILL):
                raise AssertionError(f"the daemon ended with {status}:\n{log[-4000:]}")
        finally:
            if self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            if self.process is not None and self.process.poll() is None:
                self.kill()
            if self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.close()
            return
        try:
            self.close()
        except AssertionError as complaint:
            print(complaint)  # The first error is the one to tell; this one is shown beside it.


class Scenario(unittest.TestCase):
    """Tests that share one daemon: set `arguments` or `config` in the class."""

    arguments = ()
    config = None
    sonde = None

    @classmethod
    def setUpClass(cls):
        cls.sonde = Sonde(*cls.arguments, config=cls.config)
        cls.sonde.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.sonde.close()
