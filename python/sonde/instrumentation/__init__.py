# SPDX-License-Identifier: Apache-2.0
"""Spans of what a program calls, without a change to it.

    import sonde
    sonde.instrument()                      # all that is known
    sonde.instrument("httpx", "openai")     # or some of it
    sonde.uninstrument()                    # as it was before

Libraries that are imported already are patched at once, others as soon as they are; none is
imported for it. A second call changes nothing. What goes wrong in here is left out and never
reaches the host. Names and attributes are OpenTelemetry's (http.*, db.*, gen_ai.*); bodies,
prompts, answers and parameters are not kept.
"""
from __future__ import annotations

import sys
import threading
from typing import Callable, Dict, List, Optional

from ..profiler import PerformanceProfiler
from . import database, http_clients, models, redis_clients, threads
from .imports import Watcher
from .patching import Patches, set_profiler

_Apply = Callable[[Patches], None]

# What is patched, by the name of the module that brings it; `apply` finds it in sys.modules.
_LIBRARIES: Dict[str, _Apply] = {
    "MySQLdb.connections": database.patch_mysqlclient,
    "aiohttp": http_clients.patch_aiohttp,
    "anthropic": models.patch_anthropic,
    "asyncpg": database.patch_asyncpg,
    "concurrent.futures.thread": threads.patch,
    "httpx": http_clients.patch_httpx,
    "httpx2": http_clients.patch_httpx2,
    "openai": models.patch_openai,
    "psycopg": database.patch_psycopg,
    "psycopg2": database.patch_psycopg2,
    "pymysql": database.patch_pymysql,
    "redis": redis_clients.patch,
    "requests": http_clients.patch_requests,
    "sqlalchemy": database.patch_sqlalchemy,
    "sqlite3": database.patch_sqlite3,
    "urllib3": http_clients.patch_urllib3,
}
_ALIASES = {"MySQLdb": "MySQLdb.connections", "mysqlclient": "MySQLdb.connections",
            "threads": "concurrent.futures.thread"}

_lock = threading.RLock()
_patched: Dict[str, Patches] = {}
_watcher = Watcher()


def _names(names: tuple) -> List[str]:
    found = [_ALIASES.get(name, name) for name in names] or list(_LIBRARIES)
    for name in found:
        if name not in _LIBRARIES:
            raise ValueError(f"{name!r} cannot be instrumented; there are "
                             + ", ".join(sorted({*_LIBRARIES, *_ALIASES})))
    return found


def _patch(name: str) -> None:
    """Of a module that is imported."""
    with _lock:
        if name in _patched:
            return
        patches = Patches()
        try:
            _LIBRARIES[name](patches)
        except Exception:  # A version that is not as we know it: the host goes on without us.
            patches.undo()
            return
        _patched[name] = patches


def instrument(*names: str, profiler: Optional[PerformanceProfiler] = None) -> List[str]:
    """Patches these libraries, or all; returns the names of those that are patched now.

    Spans go to ``profiler``, else to sonde.default_profiler().
    """
    wanted = _names(names)
    with _lock:
        set_profiler(profiler)
        for name in wanted:
            if name in sys.modules:
                _patch(name)
            else:
                _watcher.add(name, _patch)
        return sorted(_patched)


def uninstrument(*names: str) -> None:
    """Takes the patches back, of these libraries or of all."""
    with _lock:
        wanted = _names(names)
        for name in wanted:
            _watcher.remove(name)
        for name in [name for name in reversed(_patched) if name in wanted]:  # Last in, first out.
            _patched.pop(name).undo()
