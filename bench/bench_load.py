# SPDX-License-Identifier: Apache-2.0
"""What traffic costs to make, and how true its figures are, beside wrk, h2load, hey and k6."""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

import peers

sys.path.insert(0, str(peers.ROOT / "tools"))
import peer_load  # noqa: E402

TITLE = "Load: cost of a request, truth of latency, evenness of arrivals"
ROUNDS = 5
SECONDS = 3
CONNECTIONS = 64
LONG_SECONDS = 60
# Without a daemon of this machine, which would have requests traced and be asked in the end.
SONDE_LOAD = [peers.SONDE, "load", "--quiet", "--daemon", "none"]

NGINX = """
{user}worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 16384; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
 client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
 uwsgi_temp_path {folder}; scgi_temp_path {folder};
 server {{ listen 127.0.0.1:{port} backlog=16384; location / {{ return 200 "hello"; }} }}
 server {{ listen 127.0.0.1:{tls} ssl http2; ssl_certificate {folder}/cert.pem;
  ssl_certificate_key {folder}/key.pem; location / {{ return 200 "hello"; }} }} }}
"""


def nginx(folder):
    port, tls = peers.free_port(), peers.free_port()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)
    config = folder / "nginx.conf"
    user = "user root; " if os.geteuid() == 0 else ""
    config.write_text(NGINX.format(folder=folder, port=port, tls=tls, user=user))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return peers.Program("nginx", [program, "-c", config, "-p", folder], port, "/"), tls


def run(command):
    """Output and CPU seconds."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    out = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return out, usage.ru_utime + usage.ru_stime


def sonde(*arguments):
    out, cpu = run([*SONDE_LOAD, "--json", *arguments])
    return json.loads(out), cpu


def cost(found, cpu):
    return cpu / (found / 1e6)


def sonde_cost(url, *arguments):
    said, cpu = sonde("--connections", CONNECTIONS, "--duration", f"{SECONDS}s", "--insecure",
                      *arguments, url)
    return cost(said["requests"], cpu)


def wrk_cost(url, threads):
    out, cpu = run(["wrk", f"-t{threads}", f"-c{CONNECTIONS}", f"-d{SECONDS}s", url])
    return cost(int(re.search(r"(\d+) requests in", out).group(1)), cpu)


def beside_wrk(url):
    """Ours, and wrk's better one of its own default, two threads, and one."""
    ours, *wrk = interleaved(lambda: sonde_cost(url), lambda: wrk_cost(url, 2),
                             lambda: wrk_cost(url, 1))
    return ours, min(wrk)


def hey_cost(program, url):
    out, cpu = run([program, "-z", f"{SECONDS}s", "-c", CONNECTIONS, url])
    return cost(sum(int(count) for count in re.findall(r"\[200\]\s+(\d+) responses", out)), cpu)


K6 = """
import http from 'k6/http';
export const options = {{ vus: {users}, duration: '{seconds}s' }};
export default function () {{ http.get('{url}'); }}
export function handleSummary(data) {{
  return {{ stdout: '' + data.metrics.http_reqs.values.count }};
}}
"""


def k6_cost(program, folder, url):
    script = folder / "k6.js"
    script.write_text(K6.format(users=CONNECTIONS, seconds=SECONDS, url=url))
    out, cpu = run([program, "run", "--quiet", "--no-usage-report", script])
    return cost(int(out.split()[-1]), cpu)


def h2load_cost(url, connections, streams):
    out, cpu = run(["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{SECONDS}", url])
    return cost(int(re.search(r"(\d+) succeeded", out).group(1)), cpu)


def interleaved(*measures):
    """Each in turn, several times: what the machine does meanwhile meets all alike."""
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS)]
    return [statistics.median(values) for values in zip(*rounds)]


def text(value):
    return f"{value:.2f} CPU s per million"


def against(row, what, peer, ours, theirs, most):
    ratio = ours / theirs
    return row(what, f"{text(ours)} ({ratio:.2f} × {peer})", f"≤ {most} × {peer}",
               {peer: text(theirs)}, ratio <= most)


def measure_others(row, folder, url):
    try:
        hey, k6 = peer_load.binary("hey"), peer_load.binary("k6")
    except peer_load.Absent as absent:
        print(f"   left out: {absent}", flush=True)
        return []
    ours, hey, k6 = interleaved(lambda: sonde_cost(url), lambda: hey_cost(hey, url),
                                lambda: k6_cost(k6, folder, url))
    return [against(row, "the same, beside hey", "hey", ours, hey, 0.25),
            against(row, "the same, beside k6", "k6", ours, k6, 0.1)]


def measure_cost(row):
    rows = []
    with peers.scratch() as folder:
        server, tls = nginx(folder)
        with server:
            plain, secure = server.url("/"), f"https://127.0.0.1:{tls}/"
            ours, wrk = beside_wrk(plain)
            rows.append(against(row, "HTTP/1.1 keep-alive, 64 connections, nginx", "wrk", ours, wrk,
                                0.88))
            rows += measure_others(row, folder, plain)
            ours, wrk = beside_wrk(secure)
            rows.append(against(row, "HTTPS keep-alive, 64 connections", "wrk", ours, wrk, 0.9))
            for connections, streams in ((4, 16), (64, 1)):
                def ours_http2(connections=connections, streams=streams):
                    said, cpu = sonde("--http2", "--threads", 1, "--connections", connections,
                                         "--streams", streams, "--duration", f"{SECONDS}s",
                                         "--insecure", secure)
                    return cost(said["requests"], cpu)
                ours, h2load = interleaved(
                    ours_http2, lambda c=connections, s=streams: h2load_cost(secure, c, s))
                rows.append(against(row, f"HTTP/2 over TLS, {streams} streams", "h2load", ours,
                                    h2load, 1.0))
            rows += measure_memory(row, plain)
    return rows


def watch(command, field):
    """A figure of /proc/PID/status in bytes, over and over, from exec on."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    figures = []
    while process.poll() is None:
        with contextlib.suppress(OSError, AttributeError):
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            if "\tsonde\n" in status:
                figures.append(int(re.search(rf"{field}:\s+(\d+)", status).group(1)) * 1024)
        time.sleep(0.02)
    return figures


def measure_memory(row, url):
    rows = []
    for connections, most in ((64, 8), (10000, 100)):
        rss = max(watch([*SONDE_LOAD, "--connections", str(connections),
                         "--duration", "2s", url], "VmHWM"))
        rows.append(row(f"resident memory at {connections:,} connections", f"{rss / 1e6:.1f} MB",
                        f"≤ {most} MB", met=rss <= most * 1e6))
    return rows + [measure_growth(row, url)]


def measure_growth(row, url):
    """As many requests as hours of a usual load bring; what grew with them would show."""
    with peers.scratch() as folder:
        report = folder / "report.json"
        figures = watch([*SONDE_LOAD, "--connections", str(CONNECTIONS),
                         "--duration", f"{LONG_SECONDS}s", "--report", report, url], "VmRSS")
        requests = json.loads(report.read_text())["requests"]
    quarter = len(figures) // 4
    grown = max(figures[quarter:]) - max(figures[:quarter])
    return row(f"resident memory over {requests / 1e6:.1f} M requests: growth after the first "
               "quarter", f"{grown / 1e3:.0f} kB of {figures[-1] / 1e6:.1f} MB", "flat",
               met=grown <= 0.01 * figures[-1],
               note=f"{LONG_SECONDS} s at full speed, as many requests as {requests / 3.6e6:.1f} h "
                    "of 1,000/s; what is kept for each interval is bounded by their number, "
                    "whatever the duration.")


class TestServer:
    """A program of tests/programs, built here with optimization; what it logs is the truth."""

    def __init__(self, name, folder, *arguments):
        self.log = folder / "truth"
        program = folder / name
        if not program.exists():
            sources = sorted((peers.ROOT / "src/base").glob("*.c")) + [peers.ROOT / "src/io/loop.c"]
            subprocess.run(["cc", "-O2", "-std=gnu17", "-D_GNU_SOURCE", f"-I{peers.ROOT / 'src'}",
                            "-o", program, peers.ROOT / f"tests/programs/{name}.c", *sources,
                            "-lpthread", "-lm"], check=True)
        self.process = subprocess.Popen([program, *map(str, arguments), self.log],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[-1])

    def lines(self):
        self.process.terminate()
        self.process.wait(20)
        return [line.split() for line in self.log.read_text().splitlines()]


class Freezer(TestServer):
    def __init__(self, folder, freeze_ms, period_ms):
        super().__init__("freeze_server", folder, freeze_ms, period_ms)

    def answers(self):
        """Monotonic nanoseconds of each answer, in order."""
        return sorted(int(words[1]) for words in self.lines() if words[0] == "answer")


def measure_truth(row):
    """Arrival number k was meant for a known moment; the server knows when answer number k left."""
    rows = []
    seconds = 6
    with peers.scratch() as folder:
        for rate in (2000, 10000):
            freezer = Freezer(folder, 200, 1000)
            said, _ = sonde("--rate", rate, "--connections", CONNECTIONS, "--duration",
                               f"{seconds}s", f"http://127.0.0.1:{freezer.port}/")
            answers = freezer.answers()
            begin = said["start_monotonic_ns"]
            truth = sorted((at - begin - (k + 0.5) / rate * 1e9) / 1e6
                           for k, at in enumerate(answers))
            wrong = []
            for name, q in (("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)):
                true = truth[int(q * len(truth))]
                wrong.append(said["latency_ms"][name] / true - 1)
            rows.append(row(
                f"{rate:,}/s, server frozen 200 ms each second: p90, p99, p99.9 off the truth",
                ", ".join(f"{100 * value:+.2f} %" for value in wrong), "within 3 %",
                met=max(abs(value) for value in wrong) <= 0.03))
            quiet = said["latency_ms"]["p50"]
            rows.append(row(f"{rate:,}/s: quiet p50", f"{quiet:.3f} ms", "≤ 0.2 ms",
                            met=quiet <= 0.2))
    return rows


def measure_pacing(row):
    rate, seconds = 5000, 10
    with peers.scratch() as folder:
        freezer = Freezer(folder, 0, 1000)
        said, _ = sonde("--rate", rate, "--connections", CONNECTIONS, "--duration",
                           f"{seconds}s", f"http://127.0.0.1:{freezer.port}/")
        answers = freezer.answers()
    counts = [0] * (seconds * 1000)
    for at in answers:
        millisecond = (at - said["start_monotonic_ns"]) // 1000000
        if 0 <= millisecond < len(counts):
            counts[millisecond] += 1
    dispersion = statistics.pvariance(counts) / statistics.mean(counts)
    error = abs(said["generator"]["arrivals"] / seconds / rate - 1)
    late = said["generator"]["late_ms"]["p50"] * 1000
    return [
        row("pacing at 5,000/s: error of the rate", f"{100 * error:.3f} %", "≤ 0.02 %",
            met=error <= 0.0002),
        row("arrivals per ms at the server, variance over mean", f"{dispersion:.2f}", "≤ 1.2",
            met=dispersion <= 1.2),
        row("median lateness", f"{late:.0f} µs", "≤ 60 µs", met=late <= 60),
    ]


def measure_tokens(row):
    """512 streams at a time of 50 tokens a second, begun one after the other."""
    length_s, streams, rate = 6, 512, 50
    with peers.scratch() as folder:
        server = TestServer("token_server", folder, 3, 1000 // rate, length_s * rate)
        said, cpu = sonde("llm", "--model", "m", "--rate", streams / length_s, "--connections",
                          streams * 2, "--duration", f"{2 * length_s}s", "--grace", "20s",
                          f"http://127.0.0.1:{server.port}")
        truth = [[int(word) for word in words[1:]] for words in server.lines()]
    llm = said["llm"]
    if said["errors"] or llm["streams"] != len(truth):
        raise peers.Absent(f"{llm['streams']} of {len(truth)} streams came whole")
    # Buckets are 0.8 % wide, so a short time is told most exactly: the first token's.
    lag = llm["ttft_ms"]["p50"] - statistics.median(
        begun - received for received, begun, _ in truth) / 1e6
    event = cpu * 1e6 / llm["token_chunks"]
    return [
        row("512 token streams of 50/s: CPU per event", f"{event:.2f} µs", "≤ 4 µs",
            met=event <= 4),
        row("time stamp of a token behind its sending, median", f"{lag:.3f} ms", "≤ 0.1 ms",
            met=lag <= 0.1),
    ]


def measure(row):
    for program in ("wrk", "h2load", "openssl", "cc"):
        if shutil.which(program) is None:
            raise peers.Absent(f"{program} is not installed")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, limit[1]), limit[1]))
    return measure_cost(row) + measure_truth(row) + measure_pacing(row) + measure_tokens(row)
