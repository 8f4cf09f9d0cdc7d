#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three services and a database, each page of them wrong in its own way, watched by sonde.

    python3 examples/demo/demo.py                 a daemon of its own, ended with Ctrl-C
    python3 examples/demo/demo.py --url http://127.0.0.1:7070     one that runs already

    browser ──► shop (Python) ──► PostgreSQL       GET /orders: a query without an index
                     │                             GET /cart: a query for each item
                     └──► stock (Node) ──► payment (C)     POST /checkout: retries of retries

Everything listens on loopback, on ports of the kernel's choice, keeps its files in a folder that
goes with it, and ends with this program. What has to be installed goes to build-demo/, once.
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = ROOT / "build-demo"
PYTHON = PEERS / "venv/bin/python"
PYTHON_PACKAGES = ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
                   "opentelemetry-instrumentation-psycopg2", "psycopg2-binary"]
NODE_PACKAGES = [f"@opentelemetry/{name}" for name in
                 ("api", "resources", "sdk-trace-node", "exporter-trace-otlp-proto")]


class Absent(Exception):
    """Something that the demo needs is not on this machine; the text says what."""


def run(what, *command, **options):
    try:
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, **options)
    except OSError as error:
        raise Absent(f"{what}: {error}") from error
    if done.returncode != 0:
        raise Absent(f"{what}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def install():
    """Python's and Node's packages, once."""
    done = PEERS / "done"
    if done.exists():
        return
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Absent(f"{program} is not installed")
    PEERS.mkdir(exist_ok=True)
    run("a Python environment", sys.executable, "-m", "venv", PEERS / "venv")
    run("Python packages", PYTHON, "-m", "pip", "install", "-q", *PYTHON_PACKAGES)
    (PEERS / "package.json").write_text('{"private": true}\n')
    run("Node packages", "npm", "install", "--no-audit", "--no-fund", "--no-package-lock",
        "--ignore-scripts", "--loglevel=error", *NODE_PACKAGES, cwd=PEERS)
    done.write_text("")


def compile_payment(binary, folder):
    """Against libsonde.a of the same build; a build with sanitizers wants them at the link, too."""
    library = pathlib.Path(binary).resolve().parent / "libsonde.a"
    if not library.exists():
        raise Absent(f"{library} is not built")
    command = ["cc", "-O2", "-Wall", HERE / "payment.c", "-I", ROOT / "include", library,
               "-lm", "-lpthread", "-o", folder / "payment"]
    try:
        run("cc", *command)
    except Absent:
        run("cc", *command, "-fsanitize=address,undefined")


class Database:
    """PostgreSQL in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder / "postgres"
        self.port = free_port()
        self.process = None
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not found:
            raise Absent("PostgreSQL is not installed (Debian: postgresql)")
        self.bin = found[-1].parent
        # It refuses to run as root.
        self.prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def start(self):
        self.folder.mkdir()
        if self.prefix:
            shutil.chown(self.folder, "postgres")
            os.chmod(self.folder.parent, 0o755)
        run("initdb", *self.prefix, self.bin / "initdb", "-D", self.folder / "data", "-U", "shop",
            "-A", "trust", "--no-sync", "-E", "UTF8", cwd="/")
        command = [*self.prefix, self.bin / "postgres", "-D", self.folder / "data",
                   "-p", self.port, "-k", self.folder, "-c", "listen_addresses=127.0.0.1",
                   "-c", "fsync=off", "-c", "max_parallel_workers_per_gather=0",
                   "-c", "autovacuum=off"]
        with open(self.folder.parent / "postgres.log", "wb") as log:
            self.process = subprocess.Popen([str(word) for word in command], cwd="/",
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: self.is_ready(), "PostgreSQL", self.process)
        run("the tables", "psql", "-q", "-v", "ON_ERROR_STOP=1", self.address(), "-f",
            HERE / "schema.sql")

    def is_ready(self):
        return subprocess.run(["psql", "-c", "SELECT 1", self.address()], capture_output=True,
                              check=False).returncode == 0

    def address(self):
        return f"postgresql://shop@127.0.0.1:{self.port}/postgres"

    def stop(self):
        if self.process is not None:
            # Immediate: nothing in it is to be kept.
            subprocess.run([*self.prefix, str(self.bin / "pg_ctl"), "-D", str(self.folder / "data"),
                            "-m", "immediate", "stop"], cwd="/", capture_output=True, check=False)
            end(self.process)


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition, what, process, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            raise Absent(f"{what} ended with {process.returncode}")
        if time.monotonic() > until:
            raise Absent(f"{what} was not ready in {seconds} s")
        time.sleep(0.05)


def listens(port):
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    return False


class Demo:
    """All of it. binary: a sonde with libsonde.a beside it; url: a daemon that runs."""

    def __init__(self, url, binary):
        self.url = url
        self.binary = binary
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sonde-demo-"))
        self.processes = []
        self.database = None
        self.shop = None

    def start_service(self, name, command, port, **environment):
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": self.url, **environment})
        self.processes.append(process)
        try:
            wait_for(lambda: listens(port), name, process)
        except Absent as absent:
            text = (self.folder / f"{name}.log").read_text(errors="replace")
            raise Absent(f"{absent}: {text[-600:]}") from absent

    def start(self):
        install()
        compile_payment(self.binary, self.folder)
        self.database = Database(self.folder)
        self.database.start()
        payment, stock, shop = free_port(), free_port(), free_port()
        self.start_service("payment", [self.folder / "payment", payment], payment,
                           SONDE_ENDPOINT=self.url)
        self.start_service("stock", ["node", HERE / "stock.js"], stock,
                           NODE_PATH=str(PEERS / "node_modules"), STOCK_PORT=str(stock),
                           PAYMENT_URL=f"http://127.0.0.1:{payment}")
        self.start_service("shop", [PYTHON, HERE / "shop.py"], shop, SHOP_PORT=str(shop),
                           SHOP_DATABASE=self.database.address(),
                           STOCK_URL=f"http://127.0.0.1:{stock}")
        self.shop = f"http://127.0.0.1:{shop}"

    def ask(self, method, page):
        """The trace id of one request to the shop."""
        request = urllib.request.Request(self.shop + page, method=method,
                                         data=b"{}" if method == "POST" else None)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.headers["X-Trace-Id"]
        except urllib.error.HTTPError as error:
            return error.headers["X-Trace-Id"]

    def visit(self, number):
        """Three requests, by page."""
        return {"orders": self.ask("GET", f"/orders?email=customer{number}@example.org"),
                "cart": self.ask("GET", f"/cart?id={1 + number % 20}"),
                "checkout": self.ask("POST", "/checkout")}

    def stop(self):
        for process in reversed(self.processes):
            end(process)
        if self.database is not None:
            self.database.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


@contextlib.contextmanager
def daemon(binary, url):
    """The daemon at url, or one of our own."""
    if url is not None:
        yield url
        return
    folder = tempfile.mkdtemp(prefix="sonde-demo-data-")
    port = free_port()
    process = subprocess.Popen([str(binary), "serve", "--listen", f"127.0.0.1:{port}", "--data",
                                folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port), "sonde", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a daemon that runs already; else one is started")
    parser.add_argument("--binary", default=ROOT / "build/sonde", help="default: build/sonde")
    parser.add_argument("--visits", type=int, default=0,
                        help="end after so many; default: go on until Ctrl-C")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with daemon(arguments.binary, arguments.url) as url, Demo(url, arguments.binary) as demo:
            print(f"The shop is {demo.shop}, sonde {url}\n")
            number = 0
            while arguments.visits == 0 or number < arguments.visits:
                traces = demo.visit(number)
                number += 1
                if number == 1:
                    time.sleep(1)  # The SDKs send every fifth of a second.
                    for page, trace in traces.items():
                        print(f"SONDE_URL={url} {arguments.binary} trace explain {trace}   # {page}")
                    print(f"SONDE_URL={url} {arguments.binary} trace explain --service shop\n"
                          "\nOne visit after the other until Ctrl-C.")
                time.sleep(0.2)
            time.sleep(1)
    except KeyboardInterrupt:
        print()
    except Absent as absent:
        sys.exit(f"demo: {absent}")


if __name__ == "__main__":
    main()
