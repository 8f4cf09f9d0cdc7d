# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed a hundred times, at any moment, while senders push as fast as it answers.

Three senders, two with text and one with remote write, each on a connection of its own, number
their rows. After each start every row that was acknowledged is there exactly once; the one request
of each sender that was in flight is there whole or not at all. Kills also meet the start itself and
the sealing at a regular end. SONDE_KILLS and SONDE_SEED choose another number and another story.
"""

import http.client
import os
import random
import signal
import struct
import subprocess
import threading
import time
import unittest

from sonde import Sonde

KILLS = int(os.environ.get("SONDE_KILLS", "100"))
SEED = int(os.environ.get("SONDE_SEED", "7"))
SERIES = 10
ROWS = 5  # Of a request.
STEP_MS = 5


# ---- Remote write, with what Python brings along. ----

def varint(number):
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def snappy(plain):
    """As literals only, which every reader must understand."""
    out = bytearray(varint(len(plain)))
    for at in range(0, len(plain), 60):
        part = plain[at:at + 60]
        out += bytes([len(part) - 1 << 2]) + part
    return bytes(out)


def write_request(series):
    """series: [(labels, [(value, time_ms)])]"""
    body = b""
    for labels, samples in series:
        one = b"".join(field(1, field(1, name.encode()) + field(2, value.encode()))
                       for name, value in sorted(labels.items()))
        one += b"".join(field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time_ms))
                        for value, time_ms in samples)
        body += field(1, one)
    return snappy(body)


class Sender:
    """Pushes numbered rows until the daemon is gone; `acked` rows were said to be kept."""

    def __init__(self, name, begin_ms, remote):
        self.name, self.begin_ms, self.remote = name, begin_ms, remote
        self.acked = self.sent = 0
        self.trouble = None

    def request(self, first):
        rows = range(first, first + ROWS)
        if self.remote:
            body = write_request([
                ({"__name__": "killed", "sender": self.name, "n": str(n)},
                 [(row, self.begin_ms + row * STEP_MS) for row in rows]) for n in range(SERIES)])
            return "/api/v1/write", body, {"Content-Encoding": "snappy"}
        lines = "".join(f'killed{{sender="{self.name}",n="{n}"}} {row} '
                        f"{self.begin_ms + row * STEP_MS}\n"
                        for row in rows for n in range(SERIES))
        return "/api/v1/import/prometheus", lines.encode(), {}

    def run(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            while True:
                path, body, headers = self.request(self.acked)
                self.sent = self.acked + ROWS
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 204:
                    self.trouble = f"{answer.status}: {text[:300]!r}"
                    return
                self.acked = self.sent
        except (OSError, http.client.HTTPException):
            pass  # It was killed.
        finally:
            connection.close()


class Kill(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        begin_ms = int(time.time() * 1000) - 55 * 60 * 1000
        self.senders = [Sender("text", begin_ms, False), Sender("more", begin_ms, False),
                        Sender("remote", begin_ms, True)]

    def kept(self, sonde, sender):
        """Rows 0 … kept - 1 of the sender are there, each once, in every series."""
        def ask(function):
            found = sonde.query(f'{function}(killed{{sender="{sender.name}"}}[2h])')
            return {one["metric"]["n"]: float(one["value"][1]) for one in found}

        counts, newest, sums = ask("count_over_time"), ask("max_over_time"), ask("sum_over_time")
        if not counts:
            return 0
        self.assertEqual(len(counts), SERIES, counts)
        rows = int(counts["0"])
        for n in counts:
            self.assertEqual((counts[n], newest[n], sums[n]),
                             (rows, rows - 1, rows * (rows - 1) / 2), (sender.name, n))
        return rows

    def verify(self, sonde, story):
        for sender in self.senders:
            self.assertIsNone(sender.trouble, story)
            kept = self.kept(sonde, sender)
            self.assertIn(kept, (sender.acked, sender.sent),
                          f"{story}: {sender.name}: {sender.acked} rows were acknowledged, "
                          f"{sender.sent} sent, {kept} are there")
            sender.acked = sender.sent = kept

    def push_and_kill(self, sonde):
        threads = [threading.Thread(target=sender.run, args=(sonde.port,))
                   for sender in self.senders]
        for thread in threads:
            thread.start()
        time.sleep(self.random.uniform(0, 0.15))
        if self.random.random() < 0.15:  # In the middle of ending.
            sonde.process.send_signal(signal.SIGTERM)
            time.sleep(self.random.uniform(0, 0.03))
        sonde.kill()
        for thread in threads:
            thread.join()

    def kill_in_the_start(self, sonde):
        with open(sonde.log_path, "ab") as log:
            process = subprocess.Popen(sonde.command(), stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, env={**os.environ, **sonde.environment})
        time.sleep(self.random.uniform(0, 0.1))
        process.kill()
        process.wait()

    def test_every_acknowledged_row_is_there_exactly_once(self):
        with Sonde() as sonde:
            for number in range(KILLS):
                self.push_and_kill(sonde)
                if number % 8 == 5:
                    self.kill_in_the_start(sonde)
                sonde.start()
                self.verify(sonde, f"kill {number} of seed {SEED}")
            total = sum(sender.acked for sender in self.senders) * SERIES
            print(f"# {KILLS} kills, {total} samples acknowledged and there")
            self.assertGreater(min(sender.acked for sender in self.senders), KILLS * ROWS)
            # And they stay where they are through a regular end, which seals.
            self.assertEqual(sonde.stop(), 0)
            sonde.start()
            self.verify(sonde, "the end")


if __name__ == "__main__":
    unittest.main()
