# SPDX-License-Identifier: Apache-2.0
"""sqlite3, psycopg, psycopg2, asyncpg, PyMySQL, mysqlclient and SQLAlchemy: a span "SELECT users"
for each statement. Its text is kept with the values taken out; parameters are not looked at. Under
SQLAlchemy the driver has no span of its own, and SQLAlchemy's are there whatever its driver."""
from __future__ import annotations

import functools
import sys
from typing import Any, Dict, Optional, Tuple

from .patching import Patches, Within, opened, quietly, silent
from .statements import read_statement

_SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}  # Else as SQLAlchemy has it.


def _described(system: str, statement: Any,
               more: Dict[str, Any]) -> Tuple[str, Dict[str, Any]]:
    if isinstance(statement, bytes):
        statement = statement.decode("utf-8", "replace")
    operation, table, text = read_statement(str(statement))
    name = operation if table is None else f"{operation} {table}"
    return name, {"db.system.name": system, "db.operation.name": operation,
                  "db.collection.name": table, "db.query.summary": name, "db.query.text": text,
                  **more}


# ---- sqlite3: its types are C, so connections are made of a derived type. ----

def _describe_sqlite3(connection: Any, statement: Any) -> Tuple[str, Dict[str, Any]]:
    return _described("sqlite", statement, {"db.namespace": connection._sonde_database})


@functools.lru_cache(maxsize=None)
def _cursor_type(base: type) -> type:
    class Cursor(base):  # type: ignore[misc,valid-type]
        def execute(self, sql: Any, *args: Any) -> Any:
            with opened(self.connection._sonde_patches, _describe_sqlite3, self.connection, sql):
                return super().execute(sql, *args)

        def executemany(self, sql: Any, *args: Any) -> Any:
            with opened(self.connection._sonde_patches, _describe_sqlite3, self.connection, sql):
                return super().executemany(sql, *args)

        def executescript(self, sql: Any) -> Any:
            with opened(self.connection._sonde_patches, _describe_sqlite3, self.connection, sql):
                return super().executescript(sql)

    Cursor.__name__, Cursor.__qualname__ = base.__name__, base.__qualname__
    return Cursor


@functools.lru_cache(maxsize=None)
def _connection_type(base: type) -> type:
    class Connection(base):  # type: ignore[misc,valid-type]
        _sonde_patches: Patches
        _sonde_database = ""

        def cursor(self, factory: Any = None) -> Any:
            if factory is None:
                return super().cursor(_cursor_type(sys.modules["sqlite3"].Cursor))
            if isinstance(factory, type):
                factory = _cursor_type(factory)
            return super().cursor(factory)

        # sqlite3 makes the cursors of these three by itself.
        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

        def executescript(self, *args: Any) -> Any:
            return self.cursor().executescript(*args)

    Connection.__name__, Connection.__qualname__ = base.__name__, base.__qualname__
    return Connection


def patch_sqlite3(patches: Patches) -> None:
    module = sys.modules["sqlite3"]

    def connecting(original: Any) -> Any:
        @functools.wraps(original)
        def connect(database: Any, *args: Any, **kwargs: Any) -> Any:
            factory = kwargs.get("factory", module.Connection)
            # Given by position (the sixth) it is left as it is.
            if not patches.is_on or len(args) > 4 or not isinstance(factory, type):
                return original(database, *args, **kwargs)
            kwargs["factory"] = _connection_type(factory)
            connection = original(database, *args, **kwargs)
            connection._sonde_patches = patches
            connection._sonde_database = str(database)
            return connection
        return connect

    patches.replace(module, "connect", connecting)
    patches.replace(module.dbapi2, "connect", lambda _: module.connect)


# ---- psycopg. ----

def _describe_psycopg(cursor: Any, statement: Any) -> Tuple[str, Dict[str, Any]]:
    compose = getattr(statement, "as_string", None)
    text = compose(cursor.connection) if compose is not None else statement
    info = cursor.connection.info
    return _described("postgresql", text, {
        "db.namespace": quietly(lambda: info.dbname),
        "server.address": quietly(lambda: info.host),
        "server.port": quietly(lambda: info.port),
    })


def _sync(patches: Patches, describe: Any = _describe_psycopg) -> Any:
    def make(original: Any) -> Any:
        @functools.wraps(original)
        def execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            with opened(patches, describe, self, query):
                return original(self, query, *args, **kwargs)
        return execute
    return make


def _asynchronous(patches: Patches) -> Any:
    def make(original: Any) -> Any:
        @functools.wraps(original)
        async def execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            with opened(patches, _describe_psycopg, self, query):
                return await original(self, query, *args, **kwargs)
        return execute
    return make


def patch_psycopg(patches: Patches) -> None:
    module = sys.modules["psycopg"]
    for kind, make in (("Cursor", _sync), ("ServerCursor", _sync),
                       ("AsyncCursor", _asynchronous), ("AsyncServerCursor", _asynchronous)):
        owner = getattr(module, kind)
        for name in ("execute", "executemany"):
            if name in vars(owner):
                patches.replace(owner, name, make(patches))


# ---- psycopg2: types in C, as those of sqlite3. ----

def _describe_psycopg2(cursor: Any, statement: Any) -> Tuple[str, Dict[str, Any]]:
    compose = getattr(statement, "as_string", None)
    info = cursor.connection.info
    return _described("postgresql", statement if compose is None else compose(cursor), {
        "db.namespace": quietly(lambda: info.dbname),
        "server.address": quietly(lambda: info.host),
        "server.port": quietly(lambda: info.port),
    })


@functools.lru_cache(maxsize=None)
def _psycopg2_cursor_type(base: type, patches: Patches) -> type:
    class Cursor(base):  # type: ignore[misc,valid-type]
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            with opened(patches, _describe_psycopg2, self, query):
                return super().execute(query, *args, **kwargs)

        def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            with opened(patches, _describe_psycopg2, self, query):
                return super().executemany(query, *args, **kwargs)

    Cursor.__name__, Cursor.__qualname__ = base.__name__, base.__qualname__
    return Cursor


@functools.lru_cache(maxsize=None)
def _psycopg2_connection_type(base: type, patches: Patches) -> type:
    usual = sys.modules["psycopg2"].extensions.cursor

    class Connection(base):  # type: ignore[misc,valid-type]
        def cursor(self, name: Any = None, cursor_factory: Any = None, **kwargs: Any) -> Any:
            wanted = cursor_factory or self.cursor_factory or usual
            if isinstance(wanted, type):
                wanted = _psycopg2_cursor_type(wanted, patches)
            return super().cursor(name, cursor_factory=wanted, **kwargs)

    Connection.__name__, Connection.__qualname__ = base.__name__, base.__qualname__
    return Connection


def patch_psycopg2(patches: Patches) -> None:
    module = sys.modules["psycopg2"]

    def connecting(original: Any) -> Any:
        @functools.wraps(original)
        def connect(dsn: Any = None, connection_factory: Any = None, *args: Any,
                    **kwargs: Any) -> Any:
            factory = connection_factory or module.extensions.connection
            if patches.is_on and isinstance(factory, type):
                connection_factory = _psycopg2_connection_type(factory, patches)
            return original(dsn, connection_factory, *args, **kwargs)
        return connect

    patches.replace(module, "connect", connecting)


# ---- asyncpg: those of a pool are its connections' methods, too. ----

def _describe_asyncpg(connection: Any, statement: Any) -> Tuple[str, Dict[str, Any]]:
    # The host and port, or the path of a socket.
    address = quietly(lambda: connection._addr)
    host, port = address if isinstance(address, tuple) else (address, None)
    return _described("postgresql", statement, {
        "db.namespace": quietly(lambda: connection._params.database),
        "server.address": host, "server.port": port})


def _describe_asyncpg_call(connection: Any, args: Any,
                           kwargs: Any) -> Tuple[str, Dict[str, Any]]:
    """The statement is the first argument, by whichever name."""
    return _describe_asyncpg(connection, args[0] if args else next(
        kwargs[name] for name in ("query", "command") if name in kwargs))


def _describe_asyncpg_copy(form: str) -> Any:
    def describe(connection: Any, args: Any, kwargs: Any) -> Tuple[str, Dict[str, Any]]:
        given = args[0] if args else next(
            kwargs[name] for name in ("query", "table_name") if name in kwargs)
        schema = kwargs.get("schema_name")
        return _describe_asyncpg(connection, form.format(
            given if schema is None else f"{schema}.{given}"))
    return describe


def _describe_asyncpg_part(part: Any, *_: Any) -> Tuple[str, Dict[str, Any]]:
    """Of a prepared statement or a cursor."""
    return _describe_asyncpg(part._connection, part._query)


def _awaiting(patches: Patches, describe: Any) -> Any:
    def make(original: Any) -> Any:
        @functools.wraps(original)
        async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            with opened(patches, describe, self, args, kwargs):
                return await original(self, *args, **kwargs)
        return call
    return make


def _unseen(original: Any) -> Any:
    @functools.wraps(original)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with silent():
            return await original(self, *args, **kwargs)
    return call


def patch_asyncpg(patches: Patches) -> None:
    module = sys.modules["asyncpg"]
    reading = ("fetch", "fetchval", "fetchrow", "fetchmany", "executemany")
    for owner, names, describe in (
            (module.connection.Connection,
             ("execute", *reading), _describe_asyncpg_call),
            (module.connection.Connection, ("copy_from_query",),
             _describe_asyncpg_copy("COPY ({}) TO STDOUT")),
            (module.connection.Connection, ("copy_from_table",),
             _describe_asyncpg_copy("COPY {} TO STDOUT")),
            (module.connection.Connection, ("copy_to_table", "copy_records_to_table"),
             _describe_asyncpg_copy("COPY {} FROM STDIN")),
            (module.prepared_stmt.PreparedStatement, reading, _describe_asyncpg_part),
            # A cursor's first rows, for which its statement is run.
            (module.cursor.BaseCursor, ("_bind", "_bind_exec"), _describe_asyncpg_part)):
        for name in names:
            if name in vars(owner):
                patches.replace(owner, name, _awaiting(patches, describe))
    # What a pool says to a connection that comes back is nothing that the host asked for.
    patches.replace(module.connection.Connection, "reset", _unseen)


# ---- PyMySQL. ----

def _describe_pymysql(cursor: Any, statement: Any) -> Tuple[str, Dict[str, Any]]:
    connection = cursor.connection
    return _described("mysql", statement, {
        "db.namespace": _text(connection.db),
        "server.address": connection.host,
        "server.port": connection.port,
    })


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def patch_pymysql(patches: Patches) -> None:
    cursors = sys.modules["pymysql"].cursors
    for owner in (cursors.Cursor, cursors.SSCursor):
        for name in ("execute", "executemany"):
            if name in vars(owner):
                patches.replace(owner, name, _sync(patches, _describe_pymysql))


# ---- mysqlclient: its connections do not tell where they lead, so that is noted at first. ----

_MYSQL_PLACES = ("host", "user", "password", "database", "port")  # By position.


def _mysql_place(args: Any, kwargs: Any) -> Dict[str, Any]:
    given = {**dict(zip(_MYSQL_PLACES, args)), **kwargs}
    socket = given.get("unix_socket")
    return {"db.namespace": given.get("database") or given.get("db") or None,
            "server.address": socket or given.get("host") or "localhost",
            "server.port": None if socket else given.get("port") or 3306}


def _describe_mysqlclient(cursor: Any, statement: Any) -> Tuple[str, Dict[str, Any]]:
    return _described("mysql", statement, getattr(cursor.connection, "_sonde_place", {}))


def patch_mysqlclient(patches: Patches) -> None:
    connections = sys.modules["MySQLdb.connections"]

    def connecting(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            self._sonde_place = quietly(_mysql_place, args, kwargs) or {}
        return __init__

    patches.replace(connections.Connection, "__init__", connecting)
    for name in ("execute", "executemany"):
        patches.replace(sys.modules["MySQLdb.cursors"].BaseCursor, name,
                        _sync(patches, _describe_mysqlclient))


# ---- SQLAlchemy: events of every engine. ----

def _describe_sqlalchemy(connection: Any, statement: Any) -> Tuple[str, Dict[str, Any]]:
    url = connection.engine.url
    system = connection.dialect.name
    return _described(_SYSTEMS.get(system, system), statement, {
        "db.namespace": url.database, "server.address": url.host, "server.port": url.port})


def patch_sqlalchemy(patches: Patches) -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def before(connection: Any, cursor: Any, statement: Any, parameters: Any, context: Any,
               executemany: Any) -> None:
        span = opened(patches, _describe_sqlalchemy, connection, statement)
        if context is not None and isinstance(span, Within):
            context._sonde_span = span
            span.__enter__()

    def leave(context: Optional[Any], error: Optional[BaseException]) -> None:
        span = None if context is None else context.__dict__.pop("_sonde_span", None)
        if span is not None:
            span.__exit__(None if error is None else type(error), error, None)

    def after(connection: Any, cursor: Any, statement: Any, parameters: Any, context: Any,
              executemany: Any) -> None:
        leave(context, None)

    def failed(failure: Any) -> None:
        leave(failure.execution_context, failure.original_exception)

    for name, function in (("before_cursor_execute", before), ("after_cursor_execute", after),
                           ("handle_error", failed)):
        event.listen(Engine, name, function)
        patches.when_undone(functools.partial(event.remove, Engine, name, function))
