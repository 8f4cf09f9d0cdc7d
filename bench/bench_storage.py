# SPDX-License-Identifier: Apache-2.0
"""Bytes on disk and CPU per sample: the data set sent to each store by remote write."""
import http.client
import json
import queue
import subprocess
import threading
import urllib.request

import data_set
import peers

TITLE = "Storage: 17,280,000 samples of 2,000 series over 24 h, by remote write"


CONNECTIONS = 4  # A scrape is four messages, so each sender has series of its own.
WAITING = 50  # Bodies made ahead per connection.
HEADERS = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
           "X-Prometheus-Remote-Write-Version": "0.1.0"}


def post_all(program, bodies, refused):
    """Posts what comes out of the queue until None does; the first refusal ends it."""
    connection = http.client.HTTPConnection("127.0.0.1", program.port)
    while (body := bodies.get()) is not None:
        if refused:
            continue
        connection.request("POST", "/api/v1/write", body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 204):
            refused.append(answer.status)
    connection.close()


def send(program, connections):
    """Posts the whole data set; CPU seconds that the server spent until all was acknowledged."""
    queues = [queue.Queue(WAITING) for _ in range(connections)]
    refused = []
    senders = [threading.Thread(target=post_all, args=(program, bodies, refused))
               for bodies in queues]
    before = program.precise_cpu_s()
    for sender in senders:
        sender.start()
    for index, body in enumerate(data_set.remote_write_requests()):
        queues[index % connections].put(body)
    for bodies in queues:
        bodies.put(None)
    for sender in senders:
        sender.join()
    if refused:
        raise peers.Absent(f"{program.name} answered {refused[0]} to a remote write")
    return program.precise_cpu_s() - before


def compact_sonde(folder):
    subprocess.run([peers.SONDE, "db", "compact", "--data", folder], check=True,
                   stdout=subprocess.DEVNULL)


def prometheus_blocks_bytes(program):
    """What its data takes as blocks, without the write-ahead log: a snapshot holds just that."""
    request = urllib.request.Request(program.url("/api/v1/admin/tsdb/snapshot"), method="POST")
    with urllib.request.urlopen(request, timeout=120) as answer:
        name = json.load(answer)["data"]["name"]
    return peers.folder_bytes(program.folder / "tsdb/snapshots" / name)


def peer_bytes(name, program):
    if name == "Prometheus":
        return {f"{name}, blocks only": prometheus_blocks_bytes(program)}
    return {}


def fill_each():
    """Rates by connections and name, and bytes by name. Storage is measured with four senders."""
    rates = {1: {}, CONNECTIONS: {}}
    bytes_of = {}
    for connections, rate in rates.items():
        for name, start in PROGRAMS:
            with peers.scratch() as folder:
                try:
                    with start(folder / "data") as program:
                        rate[name] = data_set.SAMPLES / send(program, connections)
                        blocks = peer_bytes(name, program) if connections == CONNECTIONS else {}
                except peers.Absent as reason:
                    if name == "sonde":
                        raise
                    print(f"   without {name}: {reason}")
                    continue
                if connections != CONNECTIONS:
                    continue
                bytes_of.update(blocks)
                left = "sonde, as left by the daemon" if name == "sonde" else f"{name}, its folder"
                bytes_of[left] = peers.folder_bytes(folder / "data") - sum(blocks.values())
                if name == "sonde":
                    compact_sonde(folder / "data")
                    bytes_of[name] = peers.folder_bytes(folder / "data")
    return rates, bytes_of


def rate_row(row, what, rate):
    return row(what, f"{rate['sonde'] / 1e6:.2f} M", "≥ 5 M",
               {name: f"{value / 1e6:.2f} M" for name, value in rate.items() if name != "sonde"},
               rate["sonde"] >= 5e6,
               "Over HTTP each request carries 500 samples and is answered when it is on the disk "
               "(fsync): with so small ones the kernel's part of a request and a commit is most of "
               "it. The peers answer before the disk has it. The batch path without HTTP is in "
               "the next table.")


def measure(row):
    rates, bytes_of = fill_each()
    per_sample = {name: size / data_set.SAMPLES for name, size in bytes_of.items()}
    return [
        row("bytes per sample, index and all", f"{per_sample['sonde']:.3f}", "≤ 0.60",
            {name: f"{value:.3f}" for name, value in per_sample.items() if name != "sonde"},
            per_sample["sonde"] <= 0.60,
            "sonde's figure is after `sonde db compact`, which the daemon does by itself when a "
            "day is over. Prometheus' folder counts its write-ahead log and the head it has not "
            "made into a block yet; \"blocks only\" is a snapshot of it, made by its own API."),
        rate_row(row, f"samples per CPU second over HTTP, {CONNECTIONS} senders at a time",
                 rates[CONNECTIONS]),
        rate_row(row, "samples per CPU second over HTTP, one sender", rates[1]),
    ]


def quiet_sonde(folder):
    return peers.sonde(folder, "--collect-off", "all")


def prometheus(folder):
    return peers.prometheus(folder, "--web.enable-admin-api")


PROGRAMS = (("sonde", quiet_sonde), ("VictoriaMetrics", peers.victoria_metrics),
            ("Prometheus", prometheus))
