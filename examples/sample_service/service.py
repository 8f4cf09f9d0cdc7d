#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small service to put load on: it starts orchestrations, routes prompts to models, keeps memory
items and orders in SQLite, and answers with small and large bodies. Standard library only.

    python3 examples/sample_service/service.py                    # http://127.0.0.1:8080
    sonde load run examples/suites/routing.yaml                   # put load on it

`--defect` plants one real mistake, to see whether a test finds it:

    missing-index   the index on orders.customer is gone, each question reads the whole table
    n-plus-one      the items of an order are asked for one by one
    slow-routing    rules are compiled again for each prompt
    leak            memory items are never forgotten, and each write looks at all of them
"""
import argparse
import asyncio
import hashlib
import itertools
import json
import math
import random
import re
import signal
import sqlite3
import sys
import urllib.parse

ORDERS = 40_000
CUSTOMERS = 2_000
MEMORY_ITEMS = 2_000
BODY_BYTES_MAX = 1 << 20
HEAD_LINES_MAX = 100
DEFECTS = ("none", "missing-index", "n-plus-one", "slow-routing", "leak")

RULES = [(f"rule-{number}", rf"\b(topic{number}|theme{number})\b.*\b(summar|translat|explain)\w*\b",
          ("small", "medium", "large")[number % 3]) for number in range(200)]


class Refused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


class Orders:
    """Orders and their items in SQLite."""

    def __init__(self, defect):
        self.one_by_one = defect == "n-plus-one"
        self.database = sqlite3.connect(":memory:")
        self.database.executescript("""
            CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, total REAL);
            CREATE TABLE items(order_id INTEGER, product TEXT, price REAL);
            CREATE INDEX items_by_order ON items(order_id);
        """)
        chance = random.Random(7)
        self.database.executemany(
            "INSERT INTO orders VALUES(?, ?, ?)",
            ((number, number % CUSTOMERS, chance.uniform(1, 500)) for number in range(ORDERS)))
        self.database.executemany(
            "INSERT INTO items VALUES(?, ?, ?)",
            ((number // 2, f"product-{number % 97}", chance.uniform(1, 90))
             for number in range(2 * ORDERS)))
        if defect != "missing-index":
            self.database.execute("CREATE INDEX orders_by_customer ON orders(customer)")
        self.next_id = ORDERS

    def of(self, customer):
        orders = self.database.execute("SELECT id, total FROM orders WHERE customer = ?"
                                       " ORDER BY id DESC LIMIT 20", (customer,)).fetchall()
        if self.one_by_one:
            return [{"id": number, "total": total, "items": [
                self.database.execute("SELECT product, price FROM items WHERE rowid = ?",
                                      (row,)).fetchone()
                for (row,) in self.database.execute(
                    "SELECT rowid FROM items WHERE order_id = ?", (number,)).fetchall()]}
                for number, total in orders]
        marks = ",".join("?" * len(orders))
        items = {}
        for number, product, price in self.database.execute(
                f"SELECT order_id, product, price FROM items WHERE order_id IN ({marks})",
                [number for number, _ in orders]):
            items.setdefault(number, []).append((product, price))
        return [{"id": number, "total": total, "items": items.get(number, [])}
                for number, total in orders]

    def add(self, customer, total):
        self.next_id += 1
        self.database.execute("INSERT INTO orders VALUES(?, ?, ?)", (self.next_id, customer, total))
        return self.next_id


class Memory:
    """Items found again by how much their words resemble a question's."""

    def __init__(self, defect):
        self.forgets = defect != "leak"
        self.items = {}
        self.ids = itertools.count(1)
        for number in range(200):
            self.add(f"note {number} about topic{number % 50} and theme{number % 31}")

    @staticmethod
    def vector(text):
        vector = {}
        for word in re.findall(r"\w+", text.lower()):
            slot = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=2).digest(), "big")
            vector[slot] = vector.get(slot, 0) + 1
        length = math.sqrt(sum(value * value for value in vector.values())) or 1
        return {slot: value / length for slot, value in vector.items()}

    @staticmethod
    def likeness(one, other):
        return sum(value * other.get(slot, 0) for slot, value in one.items())

    def add(self, text):
        vector = self.vector(text)
        if not self.forgets:
            for _, other in self.items.values():
                if self.likeness(vector, other) > 1.5:
                    raise AssertionError("no two texts are more than alike")
        number = next(self.ids)
        self.items[number] = (text, vector)
        if self.forgets and len(self.items) > MEMORY_ITEMS:
            del self.items[next(iter(self.items))]
        return number

    def search(self, question, limit=5):
        wanted = self.vector(question)
        candidates = list(self.items.items())[-300:]
        best = sorted(candidates, key=lambda item: -self.likeness(wanted, item[1][1]))[:limit]
        return [{"id": number, "text": text} for number, (text, _) in best]


class Service:
    def __init__(self, defect):
        self.orders = Orders(defect)
        self.memory = Memory(defect)
        self.compiles_always = defect == "slow-routing"
        self.rules = [(name, re.compile(pattern), model) for name, pattern, model in RULES]
        self.orchestrations = {}
        self.ids = itertools.count(1)

    def route(self, prompt):
        rules = self.rules
        if self.compiles_always:
            re.purge()
            rules = [(name, re.compile(pattern), model) for name, pattern, model in RULES[:20]]
            rules += self.rules[20:]
        for name, pattern, model in rules:
            if pattern.search(prompt):
                return {"model": model, "rule": name}
        return {"model": "small", "rule": "default"}

    def start(self, goal, steps):
        number = next(self.ids)
        plan = [{"step": step, **self.route(f"topic{step} explain {goal}")}
                for step in range(steps)]
        self.orchestrations[number] = {"id": number, "goal": goal, "state": "started", "plan": plan}
        if len(self.orchestrations) > 10_000:
            del self.orchestrations[next(iter(self.orchestrations))]
        return self.orchestrations[number]

    def answer(self, method, path, parameters, body):
        """Status and a value for JSON."""
        parts = [part for part in path.split("/") if part]
        match (method, *parts):
            case ("GET", "api", "status"):
                return 200, {"status": "ok", "items": len(self.memory.items)}
            case ("GET", "api", "report"):
                rows = whole(parameters, "rows", 100, 10_000)
                return 200, {"rows": [{"row": row, "square": row * row} for row in range(rows)]}
            case ("POST", "orchestrations"):
                return 201, self.start(text_of(body, "goal"), whole(body, "steps", 3, 100))
            case ("GET", "orchestrations", number) if number.isdigit():
                if int(number) not in self.orchestrations:
                    raise Refused(404, f"there is no orchestration {number}")
                return 200, self.orchestrations[int(number)]
            case ("POST", "route"):
                return 200, self.route(text_of(body, "prompt"))
            case ("POST", "memory", "items"):
                return 201, {"id": self.memory.add(text_of(body, "text"))}
            case ("GET", "memory", "items", number) if number.isdigit():
                if int(number) not in self.memory.items:
                    raise Refused(404, f"there is no memory item {number}")
                return 200, {"id": int(number), "text": self.memory.items[int(number)][0]}
            case ("GET", "memory", "search"):
                return 200, {"items": self.memory.search(parameters.get("q", ""))}
            case ("GET", "orders"):
                return 200, {"orders": self.orders.of(whole(parameters, "customer", 0, CUSTOMERS))}
            case ("POST", "orders"):
                return 201, {"id": self.orders.add(whole(body, "customer", 0, CUSTOMERS), 1.0)}
        raise Refused(404, f"there is no {method} {path}")


def text_of(body, key):
    if not isinstance(body.get(key), str) or not body[key]:
        raise Refused(400, f"'{key}' must be a text")
    return body[key]


def whole(values, key, default, most):
    try:
        value = int(values.get(key, default))
    except (TypeError, ValueError):
        raise Refused(400, f"'{key}' must be a whole number") from None
    if not 0 <= value <= most:
        raise Refused(400, f"'{key}' must be from 0 to {most}")
    return value


# ---- HTTP/1.1 with keep-alive. ----

async def read_request(reader):
    """Method, path, parameters, body and whether to stay; None at the end of the connection."""
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    for _ in range(HEAD_LINES_MAX):
        line = await reader.readline()
        if line in (b"\r\n", b"\n", b""):
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    size = int(headers.get("content-length", "0"))
    if size > BODY_BYTES_MAX:
        raise ValueError("the body is too large")
    body = await reader.readexactly(size)
    url = urllib.parse.urlsplit(target)
    parameters = dict(urllib.parse.parse_qsl(url.query))
    return method, url.path, parameters, body, headers.get("connection", "").lower() != "close"


def respond(service, method, path, parameters, body):
    try:
        values = json.loads(body) if body else {}
        if not isinstance(values, dict):
            raise Refused(400, "the body must be a JSON object")
        status, value = service.answer(method, path, parameters, values)
    except json.JSONDecodeError as error:
        status, value = 400, {"error": f"the body is no JSON: {error}"}
    except Refused as error:
        status, value = error.status, {"error": str(error)}
    payload = json.dumps(value).encode()
    head = (f"HTTP/1.1 {status} {'OK' if status < 400 else 'Refused'}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n")
    return head.encode() + payload


async def serve(service, reader, writer):
    try:
        stay = True
        while stay:
            request = await read_request(reader)
            if request is None:
                break
            method, path, parameters, body, stay = request
            writer.write(respond(service, method, path, parameters, body))
            await writer.drain()
    except (ValueError, ConnectionError, asyncio.IncompleteReadError):
        pass  # The client went, or speaks no HTTP: its connection ends, no other one does.
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0: any free one")
    parser.add_argument("--defect", choices=DEFECTS, default="none")
    arguments = parser.parse_args()
    service = Service(arguments.defect)
    server = await asyncio.start_server(lambda reader, writer: serve(service, reader, writer),
                                        arguments.host, arguments.port, backlog=1024)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with server:
        await stopped.wait()


if __name__ == "__main__":
    if sys.version_info < (3, 10):
        sys.exit("this service needs Python 3.10 or newer")
    asyncio.run(main())
