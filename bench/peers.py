# SPDX-License-Identifier: Apache-2.0
"""Starts sonde and its peers on free loopback ports, measures what they use, and stops them."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = pathlib.Path(os.environ.get("SONDE_SHARED", ROOT.parent / "shared"))
SONDE = pathlib.Path(os.environ.get("SONDE_BINARY", ROOT / "build/sonde"))
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Absent(Exception):
    """A peer or its data is not on this machine; the text says what."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A server process, its port, and what it has used so far."""

    def __init__(self, name, command, port, ready, folder=None, environment=None):
        self.name = name
        self.port = port
        self.folder = folder
        if shutil.which(str(command[0])) is None:
            raise Absent(f"{command[0]} is not installed")
        self.started = time.perf_counter()
        self.process = subprocess.Popen([str(word) for word in command],
                                        env={**os.environ, **(environment or {})},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.ready_s = self.wait(ready)

    def wait(self, path, seconds=30):
        while time.perf_counter() - self.started < seconds:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5):
                    return time.perf_counter() - self.started
            if self.process.poll() is not None:
                raise Absent(f"{self.name} ended with {self.process.returncode} at start")
            time.sleep(0.002)
        self.stop()
        raise Absent(f"{self.name} was not ready in {seconds} s")

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def cpu_s(self):
        """User and system time so far, all threads."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def precise_cpu_s(self):
        """As cpu_s, from the scheduler's nanoseconds."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@contextlib.contextmanager
def scratch():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sonde-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sonde(folder, *arguments, port=None):
    port = port or free_port()
    return Program("sonde", [SONDE, "serve", "--listen", f"127.0.0.1:{port}", "--data", folder,
                             *arguments], port, "/readyz", folder)


def victoria_metrics(folder, *arguments, port=None):
    port = port or free_port()
    return Program("VictoriaMetrics", ["victoria-metrics", f"-httpListenAddr=127.0.0.1:{port}",
                                       f"-storageDataPath={folder}", "-retentionPeriod=100y",
                                       "-search.disableCache", *arguments],
                   port, "/health", folder)


def prometheus(folder, *arguments, port=None, config="global: {}\n"):
    port = port or free_port()
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    path = pathlib.Path(folder) / "prometheus.yml"
    path.write_text(config)
    return Program("Prometheus", ["prometheus", f"--config.file={path}",
                                  f"--storage.tsdb.path={folder}/tsdb",
                                  f"--web.listen-address=127.0.0.1:{port}",
                                  "--web.enable-remote-write-receiver",
                                  "--storage.tsdb.retention.time=100y", *arguments],
                   port, "/-/ready", folder)


def folder_bytes(folder):
    """What the files hold, as `du --apparent-size` counts it."""
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())
