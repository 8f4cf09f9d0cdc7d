# SPDX-License-Identifier: Apache-2.0
"""Resident bytes per active series: the same five minutes at ten times the series."""
import http.client
import struct
import subprocess

import data_set
import peers

TITLE = "Memory: resident bytes per active series"
STEPS = 120
REPLICAS = (5, 50)


def send(program, replicas):
    generator = data_set.generator()
    path = data_set.FOLDER / f"metrics-{STEPS}-x{replicas}.rw"
    if not path.exists():
        with open(path, "wb") as out:
            subprocess.run([generator, "rw", str(STEPS), str(data_set.START_S),
                            str(replicas)], stdout=out, check=True)
    connection = http.client.HTTPConnection("127.0.0.1", program.port)
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
               "X-Prometheus-Remote-Write-Version": "0.1.0"}
    with open(path, "rb") as stream:
        while head := stream.read(4):
            body = data_set.snappy(stream.read(struct.unpack("<I", head)[0]))
            connection.request("POST", "/api/v1/write", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (200, 204):
                raise peers.Absent(f"{program.name} answered {answer.status}")
    return program.rss_bytes()


def per_series(start):
    sizes = []
    for replicas in REPLICAS:
        with peers.scratch() as folder, start(folder / "data") as program:
            sizes.append(send(program, replicas))
    return (sizes[1] - sizes[0]) / (data_set.SERIES * (REPLICAS[1] - REPLICAS[0]))


def measure(row):
    def quiet(folder):
        return peers.sonde(folder, "--collect-off", "all")
    own = per_series(quiet)
    others = {}
    for name, start in (("VictoriaMetrics", peers.victoria_metrics),
                        ("Prometheus", peers.prometheus)):
        try:
            others[name] = f"{per_series(start):.0f} B"
        except peers.Absent as reason:
            print(f"   without {name}: {reason}")
    return [row("resident bytes per active series, 120 samples in", f"{own:.0f} B", "≤ 400 B",
                others, own <= 400,
                f"The growth from {data_set.SERIES * REPLICAS[0]:,} to "
                f"{data_set.SERIES * REPLICAS[1]:,} series.")]
