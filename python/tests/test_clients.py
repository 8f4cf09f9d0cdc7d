# SPDX-License-Identifier: Apache-2.0
"""The real clients of HTTP, databases and Redis, patched and put back."""
import asyncio
import contextlib
import getpass
import io
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

import sonde
from sonde.instrumentation.statements import read_statement
from story import Story


def missing(*names):
    for name in names:
        try:
            __import__(name)
        except ImportError:
            return name
    return None


def needs(*names):
    name = missing(*names)
    return unittest.skipIf(name is not None, f"{name} is not here")


def wait_for(ready, process, seconds=30):
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end or process.poll() is not None:
            raise unittest.SkipTest(f"{process.args[0]} did not start")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Http(Story):
    def checks(self, ask):
        """ask(path) -> status, by whichever client."""
        where = f"127.0.0.1:{self.upstream.port}"
        with self.profiler.span("main"):
            self.assertEqual(ask("/things/7?key=secret"), 200)
            self.assertEqual(ask("/missing"), 404)
        good, bad, main = self.spans()
        self.assertEqual({good.name, bad.name}, {f"GET {where}"})
        for span in (good, bad):
            self.assertEqual(span.kind, 3)
            self.assertEqual(span.attributes["server.address"], "127.0.0.1")
            self.assertEqual(span.attributes["server.port"], self.upstream.port)
            self.assertEqual(span.parent_id, main.span_id)
        self.assertEqual(good.attributes["url.full"], f"http://{where}/things/7")
        self.assertEqual(good.attributes["http.response.status_code"], 200)
        self.assertEqual((good.failed, bad.failed), (False, True))
        self.assertEqual(bad.attributes["error.type"], "404")
        self.assertEqual(self.upstream.seen[0]["traceparent"],
                         f"00-{good.trace_id}-{good.span_id}-01")

    @needs("httpx")
    def test_httpx(self):
        import httpx
        with httpx.Client(base_url=self.upstream.url) as client:
            self.checks(lambda path: client.get(path).status_code)

    @needs("httpx")
    def test_httpx_asynchronous(self):
        import httpx

        async def ask(path):
            async with httpx.AsyncClient(base_url=self.upstream.url) as client:
                return (await client.get(path)).status_code

        self.checks(lambda path: asyncio.run(ask(path)))

    @needs("httpx")
    def test_httpx_streams_redirects_and_own_headers(self):
        import httpx
        with httpx.Client(base_url=self.upstream.url, follow_redirects=True) as client:
            with client.stream("GET", "/big") as response:
                self.assertEqual(response.read(), b'{"path": "/big"}')
            self.assertEqual(client.get("/hop").json(), {"path": "/end"})
            own = "00-" + 32 * "1" + "-" + 16 * "2" + "-01"
            client.get("/own", headers={"traceparent": own})
        self.assertEqual(len(self.spans()), 3)  # A redirection is part of its request.
        self.assertEqual(self.upstream.seen[-1]["traceparent"], own)

    @needs("httpx")
    def test_what_fails_passes_on_unchanged(self):
        import httpx
        with self.assertRaises(httpx.ConnectError):
            httpx.get("http://127.0.0.1:9/")
        one, = self.spans()
        self.assertTrue(one.failed)
        self.assertEqual(one.attributes["error.type"], "ConnectError")

    @needs("requests")
    def test_requests(self):
        import requests
        with requests.Session() as session:
            self.checks(lambda path: session.get(self.upstream.url + path).status_code)

    @needs("requests")
    def test_requests_without_anybody_there(self):
        import requests
        with self.assertRaises(requests.ConnectionError):
            requests.get("http://127.0.0.1:9/", timeout=5)
        self.assertEqual([span.failed for span in self.spans()], [True])

    @needs("urllib3")
    def test_urllib3(self):
        import urllib3
        with urllib3.PoolManager() as pool:
            self.checks(lambda path: pool.request("GET", self.upstream.url + path).status)
            pool.request("POST", self.upstream.url + "/v", headers={"x-own": "1"}, body=b"{}")
        self.assertEqual(self.upstream.seen[-1]["x-own"], "1")
        self.assertIn("traceparent", self.upstream.seen[-1])

    @needs("aiohttp")
    def test_aiohttp(self):
        import aiohttp

        async def ask(path):
            async with aiohttp.ClientSession(self.upstream.url) as session:
                async with session.get(path) as response:
                    return response.status

        self.checks(lambda path: asyncio.run(ask(path)))

    @needs("aiohttp")
    def test_aiohttp_with_a_server_of_its_own(self):
        import aiohttp
        from aiohttp import web
        seen = []

        async def answer(request):
            seen.append((request.path, request.headers))
            if request.path == "/hop":
                raise web.HTTPFound("/end")
            if request.path == "/socket":
                socket = web.WebSocketResponse()
                await socket.prepare(request)
                await socket.close()
                return socket
            return web.json_response(await request.json() if request.can_read_body else None,
                                     status=503 if request.path == "/busy" else 200)

        async def talk(where):
            async with aiohttp.ClientSession(where, headers={"x-own": "1"}) as session:
                async with session.post("/v?key=secret", json={"a": 1},
                                        headers=[("x-more", "2"), ("x-more", "3")]) as response:
                    self.assertEqual(await response.json(), {"a": 1})
                async with session.get("/hop") as response:
                    self.assertEqual(response.url.path, "/end")
                with self.assertRaises(aiohttp.ClientResponseError):
                    await session.get("/busy", raise_for_status=True)
                async with session.ws_connect("/socket") as socket:
                    await socket.receive()
                await session.get("/own", headers={"Traceparent": own})
            async with aiohttp.ClientSession() as session:
                with self.assertRaises(aiohttp.ClientConnectorError):
                    await session.get("http://127.0.0.1:9/")

        async def main():
            app = web.Application()
            app.router.add_route("*", "/{path}", answer)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            with self.profiler.span("main"):
                await talk("http://127.0.0.1:%d" % runner.addresses[0][1])
            await runner.cleanup()

        own = "00-" + 32 * "1" + "-" + 16 * "2" + "-01"
        asyncio.run(main())
        *asked, main_span = self.spans()
        codes = [span.attributes.get("http.response.status_code") for span in asked]
        self.assertEqual(codes, [200, 200, 503, 101, 200, None])
        self.assertEqual([span.failed for span in asked], [False, False, True, False, False, True])
        self.assertEqual({span.parent_id for span in asked}, {main_span.span_id})
        self.assertEqual(asked[0].attributes["http.request.method"], "POST")
        self.assertNotIn("secret", str(asked[0].attributes))
        self.assertEqual(asked[5].attributes["error.type"], "ClientConnectorError")
        self.assertEqual([path for path, _ in seen],
                         ["/v", "/hop", "/end", "/busy", "/socket", "/own"])
        sent = [headers["traceparent"] for _, headers in seen]
        self.assertEqual(sent[:4], [f"00-{span.trace_id}-{span.span_id}-01" for span in
                                    (asked[0], asked[1], asked[1], asked[2])])
        self.assertEqual(seen[5][1].getall("traceparent"), [own])
        self.assertEqual(seen[0][1].getall("x-more"), ["2", "3"])
        self.assertEqual(seen[0][1]["x-own"], "1")

    @needs("httpx")
    def test_disabled_it_only_hands_on(self):
        import httpx
        self.profiler.level = "disabled"
        parent = sonde.Context("00-" + 32 * "1" + "-" + 16 * "2" + "-01")
        with sonde.use_context(parent):
            httpx.get(self.upstream.url)
        self.assertEqual(self.upstream.seen[-1]["traceparent"], parent.traceparent)


class Statements(unittest.TestCase):
    def test_operation_table_and_text_without_values(self):
        for text, expected in (
                ("select a, 'it''s' from users where id = 42",
                 ("SELECT", "users", "select a, ? from users where id = ?")),
                ("/* hint */ INSERT INTO shop.orders VALUES (1.5, 'x')",
                 ("INSERT", "shop.orders", "INSERT INTO shop.orders VALUES (?, ?)")),
                ('UPDATE "big table" SET a = %s',
                 ("UPDATE", "big table", 'UPDATE "big table" SET a = %s')),
                ("DELETE FROM [t]", ("DELETE", "t", "DELETE FROM [t]")),
                ("-- why\nCREATE TABLE IF NOT EXISTS t2 (a)",
                 ("CREATE", "t2", "CREATE TABLE IF NOT EXISTS t2 (a)")),
                ("WITH x AS (SELECT 1) SELECT * FROM y",
                 ("WITH", "y", "WITH x AS (SELECT ?) SELECT * FROM y")),
                ("COPY shop.users FROM STDIN",
                 ("COPY", "shop.users", "COPY shop.users FROM STDIN")),
                ("BEGIN", ("BEGIN", None, "BEGIN")), ("", ("SQL", None, ""))):
            with self.subTest(text):
                self.assertEqual(read_statement(text), expected)
        self.assertLessEqual(len(read_statement("SELECT " + "a, " * 9000)[2]), 400)


class Sqlite(Story):
    libraries = ("sqlite3", "sqlalchemy")

    def test_cursors_and_shortcuts(self):
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            self.assertIsInstance(connection, sqlite3.Connection)
            connection.execute("CREATE TABLE users (id, name)")
            cursor = connection.cursor()
            self.assertIsInstance(cursor, sqlite3.Cursor)
            cursor.executemany("INSERT INTO users VALUES (?, ?)", [(1, "a"), (2, "b")])
            cursor.execute("SELECT name FROM users WHERE id = ?", (2,))
            self.assertEqual(cursor.fetchall(), [("b",)])
            connection.executescript("DELETE FROM users")
            with self.assertRaises(sqlite3.OperationalError):
                connection.execute("SELECT * FROM nowhere")
        spans = self.spans()
        self.assertEqual([span.name for span in spans],
                         ["CREATE users", "INSERT users", "SELECT users", "DELETE users",
                          "SELECT nowhere"])
        self.assertEqual([span.failed for span in spans], [False] * 4 + [True])
        self.assertEqual(spans[2].attributes, {
            "db.system.name": "sqlite", "db.operation.name": "SELECT",
            "db.collection.name": "users", "db.query.summary": "SELECT users",
            "db.query.text": "SELECT name FROM users WHERE id = ?", "db.namespace": ":memory:"})

    def test_factories_of_the_host(self):
        class Own(sqlite3.Connection):
            def cursor(self, factory=None):
                return super().cursor(factory or OwnCursor)

        class OwnCursor(sqlite3.Cursor):
            pass

        with contextlib.closing(sqlite3.connect(":memory:", factory=Own)) as connection:
            self.assertIsInstance(connection, Own)
            self.assertEqual(connection.execute("SELECT 1").fetchone(), (1,))
            self.assertIsInstance(connection.cursor(OwnCursor), OwnCursor)
        self.assertEqual([span.name for span in self.spans()], ["SELECT"])

    def test_put_back(self):
        sonde.uninstrument()
        self.assertIs(sqlite3.connect, sqlite3.dbapi2.connect)
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            self.assertIs(type(connection), sqlite3.Connection)

    @needs("sqlalchemy")
    def test_sqlalchemy_has_one_span_for_each_statement(self):
        import sqlalchemy
        engine = sqlalchemy.create_engine("sqlite://")
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE users (id INTEGER)"))
            connection.execute(sqlalchemy.text("INSERT INTO users VALUES (:id)"), {"id": 1})
            self.assertEqual(connection.scalar(sqlalchemy.text("SELECT id FROM users")), 1)
        with self.assertRaises(sqlalchemy.exc.OperationalError):
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT * FROM nowhere"))
        engine.dispose()
        spans = self.spans()
        own = [span for span in spans if span.name.split()[-1] in ("users", "nowhere")]
        self.assertEqual([(span.name, span.failed) for span in own],
                         [("CREATE users", False), ("INSERT users", False),
                          ("SELECT users", False), ("SELECT nowhere", True)])
        self.assertEqual(own[0].attributes["db.system.name"], "sqlite")
        self.assertIsNone(sonde.current_context())

    @needs("sqlalchemy", "aiosqlite", "greenlet")
    def test_sqlalchemy_asynchronous(self):
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import create_async_engine

        async def main():
            engine = create_async_engine("sqlite+aiosqlite://")
            with self.profiler.span("main"):
                async with engine.connect() as connection:
                    self.assertEqual(await connection.scalar(text("SELECT 5 AS five")), 5)
            await engine.dispose()

        asyncio.run(main())
        found = self.by_name()
        self.assertEqual(found["SELECT"].parent_id, found["main"].span_id)


@needs("redis")
@unittest.skipIf(shutil.which("redis-server") is None, "redis-server is not here")
class Redis(Story):
    libraries = ("redis",)

    @classmethod
    def setUpClass(cls):
        import redis
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.port = free_port()
        cls.server = subprocess.Popen(
            ["redis-server", "--port", str(cls.port), "--bind", "127.0.0.1", "--save", "",
             "--dir", cls.folder.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.server.wait)
        cls.addClassCleanup(cls.server.terminate)

        def is_ready():
            try:
                with redis.Redis(port=cls.port) as client:
                    return client.ping()
            except redis.RedisError:
                return False

        wait_for(is_ready, cls.server)

    def test_commands_and_pipelines(self):
        import redis
        with redis.Redis(port=self.port, db=1) as client:
            client.set("key", "a secret value")
            self.assertEqual(client.get("key"), b"a secret value")
            with client.pipeline() as pipeline:
                pipeline.incr("n").incr("n")
                self.assertEqual(pipeline.execute(), [1, 2])
            with self.assertRaises(redis.ResponseError):
                client.incr("key")
        found = self.by_name()
        self.assertLessEqual({
            "db.system.name": "redis", "db.namespace": "1", "db.operation.name": "SET",
            "db.query.text": "SET ? ?", "server.port": self.port}.items(),
            found["redis SET"].attributes.items())
        self.assertEqual(found["redis PIPELINE"].attributes["db.operation.batch.size"], 2)
        self.assertTrue(any(name.startswith("redis INCR") and span.failed
                            for name, span in found.items()))

    def test_asynchronous(self):
        import redis.asyncio

        async def main():
            async with redis.asyncio.Redis(port=self.port) as client:
                with self.profiler.span("main"):
                    await client.set("a", 1)
                    async with client.pipeline() as pipeline:
                        self.assertEqual(await pipeline.get("a").execute(), [b"1"])

        asyncio.run(main())
        found = self.by_name()
        for name in ("redis SET", "redis PIPELINE"):
            self.assertEqual(found[name].parent_id, found["main"].span_id)


def postgres_programs():
    folders = [*map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin")), os.environ["PATH"]]
    path = os.pathsep.join(folders)
    return shutil.which("initdb", path=path), shutil.which("postgres", path=path)


class PostgresServer(Story):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        initdb, postgres = postgres_programs()
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.port = free_port()
        user = {}
        if os.geteuid() == 0:  # It refuses to be root.
            shutil.chown(cls.folder, "postgres", "postgres")
            user = {"user": "postgres", "group": "postgres"}
        data = os.path.join(cls.folder, "data")
        done = subprocess.run([initdb, "-D", data, "-U", "story", "-A", "trust", "--no-sync"],
                              capture_output=True, text=True, check=False, cwd=cls.folder, **user)
        if done.returncode != 0:
            raise unittest.SkipTest(f"initdb: {done.stderr[-200:]}")
        cls.server = subprocess.Popen(
            [postgres, "-D", data, "-p", str(cls.port), "-k", cls.folder, "-c",
             "listen_addresses=127.0.0.1", "-c", "fsync=off"], cwd=cls.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
        cls.addClassCleanup(cls.server.wait)
        cls.addClassCleanup(cls.server.terminate)
        cls.address = f"host=127.0.0.1 port={cls.port} user=story dbname=postgres"

        def is_ready():
            import psycopg
            try:
                psycopg.connect(cls.address).close()
                return True
            except psycopg.OperationalError:
                return False

        wait_for(is_ready, cls.server)


@needs("psycopg")
@unittest.skipIf(None in postgres_programs(), "PostgreSQL is not here")
class Postgres(PostgresServer):
    libraries = ("psycopg",)

    def test_statements(self):
        import psycopg
        with psycopg.connect(self.address) as connection:
            connection.execute("CREATE TEMP TABLE users (id int)")
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO users VALUES (%s)", [(1,), (2,)])
            query = psycopg.sql.SQL("SELECT * FROM {}").format(psycopg.sql.Identifier("users"))
            self.assertEqual(len(connection.execute(query).fetchall()), 2)
            with self.assertRaises(psycopg.errors.UndefinedTable):
                connection.execute("SELECT * FROM nowhere WHERE id = 7")
        spans = self.spans()
        self.assertEqual([(span.name, span.failed) for span in spans],
                         [("CREATE users", False), ("INSERT users", False),
                          ("SELECT users", False), ("SELECT nowhere", True)])
        self.assertLessEqual({
            "db.system.name": "postgresql", "db.namespace": "postgres",
            "server.address": "127.0.0.1", "server.port": self.port,
            "db.query.text": "SELECT * FROM nowhere WHERE id = ?"}.items(),
            spans[-1].attributes.items())

    def test_asynchronous(self):
        import psycopg

        async def main():
            async with await psycopg.AsyncConnection.connect(self.address) as connection:
                with self.profiler.span("main"):
                    await connection.execute("SELECT 1")

        asyncio.run(main())
        found = self.by_name()
        self.assertEqual(found["SELECT"].parent_id, found["main"].span_id)

    @needs("sqlalchemy")
    def test_under_sqlalchemy_there_is_one_span(self):
        import sqlalchemy
        sonde.instrument("sqlalchemy", profiler=self.profiler)
        engine = sqlalchemy.create_engine(
            f"postgresql+psycopg://story@127.0.0.1:{self.port}/postgres")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1 AS wanted"))
        engine.dispose()
        wanted = [span for span in self.spans() if "wanted" in span.attributes["db.query.text"]]
        self.assertEqual(len(wanted), 1)
        self.assertEqual(wanted[0].attributes["db.system.name"], "postgresql")


@needs("psycopg2")
@unittest.skipIf(None in postgres_programs(), "PostgreSQL is not here")
class Psycopg2(PostgresServer):
    libraries = ("psycopg2",)

    def test_statements(self):
        import psycopg2
        import psycopg2.sql
        with psycopg2.connect(self.address) as connection:
            with connection.cursor() as cursor:
                cursor.execute("CREATE TEMP TABLE users (id int)")
                cursor.executemany("INSERT INTO users VALUES (%s)", [(1,), (2,)])
                cursor.execute(psycopg2.sql.SQL("SELECT * FROM {}").format(
                    psycopg2.sql.Identifier("users")))
                self.assertEqual(cursor.fetchall(), [(1,), (2,)])
                with self.assertRaises(psycopg2.errors.UndefinedTable):
                    cursor.execute("SELECT * FROM nowhere WHERE id = 7")
        connection.close()
        spans = self.spans()
        self.assertEqual([(span.name, span.failed) for span in spans],
                         [("CREATE users", False), ("INSERT users", False),
                          ("SELECT users", False), ("SELECT nowhere", True)])
        self.assertLessEqual({
            "db.system.name": "postgresql", "db.namespace": "postgres",
            "server.address": "127.0.0.1", "server.port": self.port,
            "db.query.text": "SELECT * FROM nowhere WHERE id = ?"}.items(),
            spans[-1].attributes.items())

    def test_factories_of_the_host_and_pools(self):
        import psycopg2.extras
        import psycopg2.pool

        class Own(psycopg2.extensions.connection):
            pass

        connection = psycopg2.connect(self.address, connection_factory=Own,
                                      cursor_factory=psycopg2.extras.RealDictCursor)
        self.assertIsInstance(connection, Own)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 7 AS seven")
            self.assertEqual(cursor.fetchone(), {"seven": 7})
        with connection.cursor("named", psycopg2.extras.DictCursor) as cursor:
            cursor.execute("SELECT 8 AS eight")
            self.assertEqual(cursor.fetchone()["eight"], 8)
        connection.close()
        pool = psycopg2.pool.SimpleConnectionPool(1, 1, self.address)
        kept = pool.getconn()
        with kept.cursor() as cursor:
            cursor.execute("SELECT 9")
        self.assertEqual(len(self.spans()), 3)
        sonde.uninstrument()
        with kept.cursor() as cursor:  # Of before: it goes on without us.
            cursor.execute("SELECT 9")
        pool.closeall()
        self.assertEqual(len(self.spans()), 3)

    @needs("sqlalchemy")
    def test_under_sqlalchemy_there_is_one_span(self):
        import sqlalchemy
        sonde.instrument("sqlalchemy", profiler=self.profiler)
        engine = sqlalchemy.create_engine(
            f"postgresql+psycopg2://story@127.0.0.1:{self.port}/postgres")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1 AS wanted"))
        engine.dispose()
        wanted = [span for span in self.spans() if "wanted" in span.attributes["db.query.text"]]
        self.assertEqual(len(wanted), 1)


@needs("asyncpg", "psycopg")
@unittest.skipIf(None in postgres_programs(), "PostgreSQL is not here")
class Asyncpg(PostgresServer):
    libraries = ("asyncpg",)

    def run_with(self, use):
        """use(connection) in a span "main"; its other spans."""
        import asyncpg

        async def main():
            connection = await asyncpg.connect(host="127.0.0.1", port=self.port, user="story",
                                               database="postgres")
            with self.profiler.span("main"):
                await use(connection)
            await connection.close()

        asyncio.run(main())
        *spans, main_span = self.spans()
        self.assertEqual(main_span.name, "main")
        self.assertLessEqual({span.parent_id for span in spans}, {main_span.span_id})
        return spans

    def test_statements(self):
        import asyncpg

        async def use(connection):
            await connection.execute("CREATE TEMP TABLE users (id int, name text)")
            await connection.executemany("INSERT INTO users VALUES ($1, $2)", [(1, "a"), (2, "b")])
            await connection.execute("DELETE FROM users WHERE name = 'secret'")
            row = await connection.fetchrow("SELECT * FROM users WHERE name = $1", "a")
            self.assertEqual(tuple(row), (1, "a"))
            self.assertEqual(await connection.fetchval(query="SELECT 1 + 1"), 2)
            self.assertEqual(len(await connection.fetch("SELECT * FROM users")), 2)
            with self.assertRaises(asyncpg.UndefinedTableError):
                await connection.fetch("SELECT * FROM nowhere WHERE id = 7")

        spans = self.run_with(use)
        self.assertEqual([(span.name, span.failed) for span in spans],
                         [("CREATE users", False), ("INSERT users", False),
                          ("DELETE users", False), ("SELECT users", False), ("SELECT", False),
                          ("SELECT users", False), ("SELECT nowhere", True)])
        self.assertLessEqual({
            "db.system.name": "postgresql", "db.namespace": "postgres",
            "server.address": "127.0.0.1", "server.port": self.port,
            "db.operation.name": "SELECT", "db.collection.name": "nowhere",
            "db.query.text": "SELECT * FROM nowhere WHERE id = ?",
            "error.type": "UndefinedTableError"}.items(), spans[-1].attributes.items())
        self.assertEqual(spans[1].attributes["db.query.text"], "INSERT INTO users VALUES ($1, $2)")
        self.assertNotIn("secret", str(spans[2].attributes))

    def test_prepared_statements_cursors_transactions_and_copies(self):
        async def use(connection):
            async with connection.transaction():
                statement = await connection.prepare("SELECT generate_series(1, $1) AS prepared")
                self.assertEqual(len(await statement.fetch(3)), 3)
                self.assertEqual(await statement.fetchval(3), 1)
                found = [row[0] async for row in connection.cursor(
                    "SELECT generate_series(1, 9) AS iterated", prefetch=5)]
                self.assertEqual(found, list(range(1, 10)))
                cursor = await connection.cursor("SELECT 8 AS eight")
                self.assertEqual((await cursor.fetchrow())["eight"], 8)
            await connection.execute("CREATE TEMP TABLE users (id int)")
            await connection.copy_records_to_table("users", records=[(1,), (2,)])
            await connection.copy_from_query("SELECT * FROM users WHERE id = $1", 7,
                                             output=io.BytesIO())

        spans = self.run_with(use)
        self.assertEqual([span.name for span in spans], [
            "BEGIN", "SELECT", "SELECT", "SELECT", "SELECT", "COMMIT", "CREATE users",
            "COPY users", "COPY"])
        self.assertFalse(any(span.failed for span in spans))
        self.assertEqual(spans[-1].attributes["db.query.text"],
                         "COPY (SELECT * FROM users WHERE id = $1) TO STDOUT")

    def test_a_pool_has_spans_for_what_is_asked_only(self):
        import asyncpg

        async def main():
            async with asyncpg.create_pool(host="127.0.0.1", port=self.port, user="story",
                                           database="postgres", min_size=1, max_size=2) as pool:
                await asyncio.gather(*(pool.fetchval("SELECT $1::int", n) for n in range(4)))
                async with pool.acquire() as connection:
                    await connection.fetch("SELECT 5 AS five")
                    sonde.uninstrument()
                    await connection.fetch("SELECT 6 AS six")

        asyncio.run(main())
        self.assertEqual([span.name for span in self.spans()], ["SELECT"] * 5)

    @needs("sqlalchemy", "greenlet")
    def test_under_sqlalchemy_there_is_one_span(self):
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import create_async_engine
        sonde.instrument("sqlalchemy", profiler=self.profiler)

        async def main():
            engine = create_async_engine(
                f"postgresql+asyncpg://story@127.0.0.1:{self.port}/postgres")
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1 AS wanted"))
            await engine.dispose()

        asyncio.run(main())
        wanted = [span for span in self.spans() if "wanted" in span.attributes["db.query.text"]]
        self.assertEqual(len(wanted), 1)


MARIADB = shutil.which("mariadbd", path=os.pathsep.join(["/usr/sbin", os.environ["PATH"]]))


class MariaDbServer(Story):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.port = free_port()
        data = os.path.join(cls.folder, "data")
        os.mkdir(data)
        # Without its own tables it knows no users and lets everybody in; that spares installing them.
        cls.server = subprocess.Popen(
            [MARIADB, "--no-defaults", f"--datadir={data}", f"--user={getpass.getuser()}",
             f"--port={cls.port}", "--bind-address=127.0.0.1", f"--socket={cls.folder}/socket",
             "--skip-name-resolve", "--skip-grant-tables"],
            cwd=cls.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.server.wait)
        cls.addClassCleanup(cls.server.terminate)
        wait_for(cls.has_database, cls.server)

    @classmethod
    def has_database(cls):
        import pymysql
        try:
            with cls.connect(database=None) as connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE story")
                return True
        except pymysql.err.OperationalError:
            return False

    @classmethod
    def connect(cls, database="story", **options):
        import pymysql
        return pymysql.connect(host="127.0.0.1", port=cls.port, user="root", database=database,
                               **options)


@needs("pymysql", "MySQLdb")
@unittest.skipIf(MARIADB is None, "MariaDB is not here")
class MySqlClient(MariaDbServer):
    libraries = ("mysqlclient",)

    def test_statements(self):
        import MySQLdb
        import MySQLdb.cursors
        with contextlib.closing(MySQLdb.connect("127.0.0.1", "root", port=self.port,
                                                database="story")) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TEMPORARY TABLE users (id int)")
            cursor.executemany("INSERT INTO users VALUES (%s)", [(1,), (2,)])
            cursor.executemany("DELETE FROM users WHERE id = %s", [(2,), (3,)])
            cursor.execute(b"SELECT * FROM users WHERE id = %s", (1,))
            self.assertEqual(cursor.fetchall(), ((1,),))
            with self.assertRaises(MySQLdb.ProgrammingError):
                cursor.execute("SELECT * FROM nowhere WHERE id = 7")
            with connection.cursor(MySQLdb.cursors.SSDictCursor) as streamed:
                streamed.execute("SELECT 7 AS seven")
                self.assertEqual(streamed.fetchone(), {"seven": 7})
                streamed.fetchall()
            sonde.uninstrument()
            cursor.execute("SELECT 8")
        spans = self.spans()
        self.assertEqual([(span.name, span.failed) for span in spans],
                         [("CREATE users", False), ("INSERT users", False),
                          ("DELETE users", False), ("SELECT users", False),
                          ("SELECT nowhere", True), ("SELECT", False)])
        self.assertLessEqual({
            "db.system.name": "mysql", "db.namespace": "story", "server.address": "127.0.0.1",
            "server.port": self.port, "error.type": "ProgrammingError",
            "db.query.text": "SELECT * FROM nowhere WHERE id = ?"}.items(),
            spans[4].attributes.items())

    @needs("sqlalchemy")
    def test_under_sqlalchemy_there_is_one_span(self):
        import sqlalchemy
        sonde.instrument("sqlalchemy", profiler=self.profiler)
        engine = sqlalchemy.create_engine(f"mysql+mysqldb://root@127.0.0.1:{self.port}/story")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1 AS wanted"))
        engine.dispose()
        wanted = [span for span in self.spans() if "wanted" in span.attributes["db.query.text"]]
        self.assertEqual(len(wanted), 1)


@needs("pymysql")
@unittest.skipIf(MARIADB is None, "MariaDB is not here")
class PyMySql(MariaDbServer):
    libraries = ("pymysql",)

    def test_statements(self):
        import pymysql
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE users (id int)")
            cursor.executemany("INSERT INTO users VALUES (%s)", [(1,), (2,)])
            cursor.executemany("DELETE FROM users WHERE id = %s", [(2,), (3,)])
            cursor.execute("SELECT * FROM users WHERE id = %s", (1,))
            self.assertEqual(cursor.fetchall(), ((1,),))
            with self.assertRaises(pymysql.err.ProgrammingError):
                cursor.execute("SELECT * FROM nowhere WHERE id = 7")
        spans = self.spans()
        self.assertEqual([(span.name, span.failed) for span in spans],
                         [("CREATE users", False), ("INSERT users", False),
                          ("DELETE users", False), ("SELECT users", False),
                          ("SELECT nowhere", True)])
        self.assertLessEqual({
            "db.system.name": "mysql", "db.namespace": "story", "server.address": "127.0.0.1",
            "server.port": self.port, "db.query.text": "SELECT * FROM nowhere WHERE id = ?"}.items(),
            spans[-1].attributes.items())

    def test_cursors_of_other_kinds(self):
        import pymysql
        with self.connect(cursorclass=pymysql.cursors.SSDictCursor) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 7 AS seven")
                self.assertEqual(cursor.fetchone(), {"seven": 7})
        self.assertEqual([span.name for span in self.spans()], ["SELECT"])

    @needs("sqlalchemy")
    def test_under_sqlalchemy_there_is_one_span(self):
        import sqlalchemy
        sonde.instrument("sqlalchemy", profiler=self.profiler)
        engine = sqlalchemy.create_engine(f"mysql+pymysql://root@127.0.0.1:{self.port}/story")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1 AS wanted"))
        engine.dispose()
        wanted = [span for span in self.spans() if "wanted" in span.attributes["db.query.text"]]
        self.assertEqual(len(wanted), 1)


class Patching(Story):
    libraries = ("sqlite3",)

    def test_unknown_names_are_said(self):
        with self.assertRaisesRegex(ValueError, "'gopher' cannot be instrumented; there are"):
            sonde.instrument("gopher")

    def test_a_second_call_changes_nothing(self):
        before = sqlite3.connect
        self.assertEqual(sonde.instrument("sqlite3"), ["sqlite3"])
        self.assertIs(sqlite3.connect, before)
        sonde.uninstrument()
        sonde.uninstrument()
        self.assertEqual(sonde.instrument("sqlite3"), ["sqlite3"])

    def test_what_was_wrapped_again_stays_and_only_hands_on(self):
        sonde.uninstrument()
        self.addCleanup(setattr, sqlite3, "connect", sqlite3.connect)
        sonde.instrument("sqlite3", profiler=self.profiler)
        ours = sqlite3.connect
        sqlite3.connect = lambda *args, **options: ours(*args, **options)
        sonde.uninstrument()
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("SELECT 1")
        self.assertEqual(self.spans(), [])

    def test_libraries_are_patched_when_they_are_imported(self):
        program = """
import sys, sonde
assert set(sonde.instrument()) <= {"concurrent.futures.thread"}
for name in ("httpx", "requests", "openai", "redis", "sqlalchemy"):
    assert name not in sys.modules, name        # None is imported for it.
import sqlite3
connection = sqlite3.connect(":memory:")
connection.execute("SELECT 1 FROM (SELECT 2)")
connection.close()
assert "sqlite3" in sonde.instrument()
assert sonde.default_profiler().get_operation_stats("SELECT")["count"] == 1
sonde.uninstrument()
assert not any(type(finder).__name__ == "Watcher" for finder in sys.meta_path)
try:
    import no_such_module
except ModuleNotFoundError:
    print("fine")
"""
        done = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual((done.stdout, done.stderr), ("fine\n", ""))

    def test_a_library_that_is_not_as_we_know_it_is_left_alone(self):
        program = """
import sys, types, sonde
sys.modules["httpx"] = types.ModuleType("httpx")
assert "httpx" not in sonde.instrument("httpx")
print("fine")
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual((done.stdout, done.stderr), ("fine\n", ""))


if __name__ == "__main__":
    unittest.main()
