# SPDX-License-Identifier: Apache-2.0
"""Bytes on disk and CPU per sample: the data set sent to each store by remote write."""
import http.client
import os

import data_set
import peers

TITLE = "Storage: 17,280,000 samples of 2,000 series over 24 h, by remote write"


def send(program):
    """Posts the whole data set; CPU seconds that the server spent until all was acknowledged."""
    connection = http.client.HTTPConnection("127.0.0.1", program.port)
    before = program.precise_cpu_s()
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
               "X-Prometheus-Remote-Write-Version": "0.1.0"}
    for body in data_set.remote_write_requests():
        connection.request("POST", "/api/v1/write", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 204):
            raise peers.Absent(f"{program.name} answered {answer.status} to a remote write")
    connection.close()
    return program.precise_cpu_s() - before


def fill(start, folder):
    with start(folder) as program:
        return send(program)


def compact_sonde(folder):
    os.system(f"{peers.SONDE} db compact --data {folder} >/dev/null 2>&1")


def measure(row):
    bytes_of = {}
    rate = {}
    for name, start in (("sonde", quiet_sonde), ("VictoriaMetrics", peers.victoria_metrics),
                        ("Prometheus", peers.prometheus)):
        with peers.scratch() as folder:
            try:
                rate[name] = data_set.SAMPLES / fill(start, folder / "data")
            except peers.Absent as reason:
                if name == "sonde":
                    raise
                print(f"   without {name}: {reason}")
                continue
            if name == "sonde":
                bytes_of["sonde, as left by the daemon"] = peers.folder_bytes(folder / "data")
                compact_sonde(folder / "data")
            bytes_of[name] = peers.folder_bytes(folder / "data")
    per_sample = {name: size / data_set.SAMPLES for name, size in bytes_of.items()}
    return [
        row("bytes per sample, index and all", f"{per_sample['sonde']:.3f}", "≤ 0.60",
            {name: f"{value:.3f}" for name, value in per_sample.items() if name != "sonde"},
            per_sample["sonde"] <= 0.60,
            "sonde's figure is after `sonde db compact`, which the daemon does by itself when a "
            "day is over."),
        row("samples per CPU second over HTTP, acknowledged when durable",
            f"{rate['sonde'] / 1e6:.2f} M", "≥ 5 M",
            {name: f"{value / 1e6:.2f} M" for name, value in rate.items() if name != "sonde"},
            rate["sonde"] >= 5e6,
            "One request at a time, 500 samples each, one fsync each: the batch path without "
            "HTTP is in the next table."),
    ]


def quiet_sonde(folder):
    return peers.sonde(folder, "--collect-off", "all")
