# SPDX-License-Identifier: Apache-2.0
"""sonde load --capacity against a server whose capacity is known.

The server has so many workers, each busy for the same time with each request, and a queue before
them. It reckons when a request would be done and answers then, so its capacity is exactly workers /
service time, however late Python's own timers are.
"""

import asyncio
import concurrent.futures
import heapq
import json
import pathlib
import signal
import subprocess
import tempfile
import threading
import unittest

from sonde import BINARY, PATIENCE, need_binary

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


class Workers:
    """A server in a thread of its own. queue_max: more waiting requests are answered with 503."""

    def __init__(self, workers, service_s, queue_max=None):
        self.service_s = service_s
        self.queue_max = queue_max
        self.free_at = [0.0] * workers
        self.waiting = 0

    async def serve(self, reader, writer):
        loop = asyncio.get_running_loop()
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                now = loop.time()
                if self.queue_max is not None and self.waiting >= self.queue_max:
                    writer.write(REFUSAL)
                    continue
                self.waiting += 1
                done = max(now, heapq.heappop(self.free_at)) + self.service_s
                heapq.heappush(self.free_at, done)
                await asyncio.sleep(done - now)
                self.waiting -= 1
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        start = asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024)
        self.server = self.loop.run_until_complete(start)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    async def leave(self):
        self.server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.leave(), self.loop).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


SEARCHES_MAX = 5


def search(server, *arguments, code=0):
    """What a search says. Where it says that this machine was too busy to tell, it is asked again."""
    for _ in range(SEARCHES_MAX):
        said = search_once(server, *arguments, code=code)
        if said["capacity"]["limit"] != "generator":
            return said
    raise unittest.SkipTest("this machine is too busy: the generator was the limit each time")


def search_once(server, *arguments, code=0):
    done = subprocess.run([BINARY, "load", "--capacity", "--json", "--quiet", *arguments,
                           server.url], capture_output=True, text=True, timeout=PATIENCE * 6)
    if done.returncode != code:
        raise AssertionError(f"exit code {done.returncode}, wanted {code}: {done.stderr}")
    return json.loads(done.stdout)


class Capacity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()

    def test_known_capacity_is_found_within_five_percent(self):
        with tempfile.TemporaryDirectory() as folder, Workers(4, 0.010) as server:
            names = [f"{folder}/capacity.{ending}" for ending in ("html", "md", "csv", "xml")]
            said = search(server, "--duration", "1s", "--rate", "100", "--report", ",".join(names))
            for name in names:
                self.assertIn("requests a second are kept" if not name.endswith("csv") else "rate",
                              pathlib.Path(name).read_text("utf-8"), name)
        found = said["capacity"]
        self.assertAlmostEqual(found["rate"], 400, delta=20, msg=said)
        self.assertGreater(found["lowest_broken"], found["highest_kept"])
        self.assertLessEqual(found["lowest_broken"], found["highest_kept"] * 1.031)
        self.assertTrue(found["confirmed"])
        confirmations = [step for step in said["steps"] if step["phase"] == "confirm"]
        self.assertGreaterEqual(len(confirmations), 2)
        # Two ways to the same figure: what is kept, and what is answered when asked for more.
        self.assertAlmostEqual(found["answered_beyond"], 400, delta=20, msg=said)
        self.assertLessEqual(found["uncertainty"], 0.0155)
        for end in ("kept_probes", "broken_probes"):
            self.assertGreaterEqual(found[end]["agreed"], 2)
        self.assertEqual(said["ended"], "done")

    def test_other_limits_than_the_workers_are_named(self):
        with (Workers(2, 0.010, queue_max=4) as refusing, Workers(64, 0.020) as wide,
              concurrent.futures.ThreadPoolExecutor() as pool):
            errors = pool.submit(search, refusing, "--duration", "1s", "--rate", "195",
                                 "--require", "error_rate < 1%")
            connections = pool.submit(search, wide, "--duration", "1s", "--rate", "90",
                                      "--connections", "2")
            errors, connections = errors.result(), connections.result()
        self.assertAlmostEqual(errors["capacity"]["rate"], 200, delta=10, msg=errors)
        self.assertIn("error", errors["capacity"]["reason"])
        self.assertEqual(connections["capacity"]["limit"], "connections", connections)
        self.assertAlmostEqual(connections["capacity"]["rate"], 100, delta=10, msg=connections)

    def test_nothing_kept_is_a_finding(self):
        with Workers(1, 0.010, queue_max=0) as server:
            said = search(server, "--duration", "1s", code=1)
        self.assertIsNone(said["capacity"]["rate"])

    def test_a_search_ends_in_time_and_says_how_little_it_knows(self):
        with tempfile.TemporaryDirectory() as folder, Workers(4, 0.010) as server:
            page = pathlib.Path(folder, "capacity.md")
            done = subprocess.run([BINARY, "load", "--capacity", "--json", "--progress",
                                   "--duration", "1s", "--within", "3500ms", "--rate", "50",
                                   "--report", page, server.url], capture_output=True, text=True,
                                  timeout=PATIENCE * 2)
            text = page.read_text("utf-8")
        said = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((said["ended"], said["interrupted"]), ("time", False))
        self.assertLessEqual(said["elapsed_s"], 3.5 + PATIENCE)
        self.assertFalse(said["capacity"]["confirmed"])
        self.assertGreaterEqual(said["capacity"]["highest_kept"], 50)
        self.assertEqual(said["capacity"]["kept_probes"], {"agreed": 0, "count": 0})
        self.assertIn("--within", text)
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        probes = [line for line in lines if "probe" in line]
        self.assertEqual([probe["level"] for probe in probes],
                         [step["rate"] for step in said["steps"]])
        self.assertEqual(probes[-1]["highest_kept"], said["capacity"]["highest_kept"])
        self.assertEqual(probes[-1]["within_s"], 3.5)

    def test_an_interrupted_search_tells_what_it_knows(self):
        with Workers(4, 0.010) as server:
            process = subprocess.Popen([BINARY, "load", "--capacity", "--json", "--progress",
                                        "--duration", "1s", "--rate", "50", server.url],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            level = 0
            while level < 100:
                level = json.loads(process.stderr.readline())["level"]
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0)
        said = json.loads(out)
        self.assertTrue(said["interrupted"])
        self.assertEqual(said["capacity"]["highest_kept"], 50)

    def test_what_cannot_go_together_is_said(self):
        for arguments, words in ((["--sweep-rate", "1,2"], "exclude each other"),
                                 (["--require", "rps > 5"], "cannot decide"),
                                 (["--duration", "500ms"], "a second or more")):
            done = subprocess.run([BINARY, "load", "--capacity", *arguments,
                                   "http://127.0.0.1:1/"], capture_output=True, text=True,
                                  timeout=PATIENCE)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
