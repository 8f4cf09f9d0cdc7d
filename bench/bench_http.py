# SPDX-License-Identifier: Apache-2.0
"""Small answers on keep-alive connections, beside nginx serving a file of that size."""
import os
import pathlib
import re
import shutil
import statistics
import subprocess

import peers

TITLE = "HTTP: small requests on keep-alive, one core each"
ROUNDS = 5
SECONDS = 3
CONNECTIONS = 64

NGINX = """
{user}worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; keepalive_requests 100000000; open_file_cache max=10;
 client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
 uwsgi_temp_path {folder}; scgi_temp_path {folder};
 server {{ listen 127.0.0.1:{port}; location / {{ root {folder}/www; default_type application/json; }} }} }}
"""


def nginx(folder, size):
    port = peers.free_port()
    (folder / "www").mkdir(parents=True)
    (folder / "www/healthz").write_bytes(b"x" * size)
    config = folder / "nginx.conf"
    user = "user root; " if os.geteuid() == 0 else ""
    config.write_text(NGINX.format(folder=folder, port=port, user=user))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return peers.Program("nginx", [program, "-c", config, "-p", folder], port, "/healthz")


def pin(pid, core):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        subprocess.run(["taskset", "-p", "-c", str(core), task.name], capture_output=True)


def rate(program, pids, folder):
    """Requests per second, and per CPU second of the server."""
    def cpu():
        return sum(int(field) for pid in pids for field in
                   pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])
    before = cpu()
    done = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}",
                           f"-d{SECONDS}s", program.url("/healthz")],
                          capture_output=True, text=True, check=True)
    count = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    seconds = (cpu() - before) / peers.CLOCK_TICKS
    per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))
    return per_second, count / seconds


def workers(program):
    children = pathlib.Path(
        f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text().split()
    return [program.process.pid, *map(int, children)]


def measure(row):
    if shutil.which("wrk") is None:
        raise peers.Absent("wrk is not installed")
    wall = {"sonde": [], "nginx": []}
    cpu = {"sonde": [], "nginx": []}
    with peers.scratch() as folder, peers.sonde(folder / "sonde", "--collect-off", "all") as own:
        import urllib.request
        size = len(urllib.request.urlopen(own.url("/healthz")).read())
        with nginx(folder / "nginx", size) as other:
            for program in (own, other):
                for pid in workers(program):
                    pin(pid, 0)
            for _ in range(ROUNDS):
                for name, program in (("sonde", own), ("nginx", other)):
                    per_second, per_cpu = rate(program, workers(program), folder)
                    wall[name].append(per_second)
                    cpu[name].append(per_cpu)
    ratio = statistics.median(a / b for a, b in zip(wall["sonde"], wall["nginx"]))
    cpu_ratio = statistics.median(a / b for a, b in zip(cpu["sonde"], cpu["nginx"]))
    return [
        row(f"requests per second, {size} bytes, {CONNECTIONS} connections, server on one core",
            f"{statistics.median(wall['sonde']):,.0f} ({ratio:.2f} × nginx)", "≥ 0.7 × nginx",
            {"nginx": f"{statistics.median(wall['nginx']):,.0f}"}, ratio >= 0.7),
        row("requests per CPU second of the server",
            f"{statistics.median(cpu['sonde']):,.0f} ({cpu_ratio:.2f} × nginx)", "–",
            {"nginx": f"{statistics.median(cpu['nginx']):,.0f}"}),
    ]
