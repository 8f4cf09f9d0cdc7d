# SPDX-License-Identifier: Apache-2.0
"""ASGI: every request timed under its route's template, for FastAPI, Starlette and others.

    from fastapi import FastAPI
    from sonde import integrate_performance_profiling

    app = FastAPI()
    profiler = integrate_performance_profiling(app)

A request is named after its route ("GET /items/{id}"), never after its path, so that names stay
few; what no route takes is "GET unmatched". An answer of 500 or more, or an exception, is a failure.
The time ends with the last byte of the answer. WebSocket messages are timed from one that came in to
the next that goes out.
"""
from __future__ import annotations

import re
from typing import (Any, Awaitable, Callable, Dict, Iterator, MutableMapping, Optional, Tuple)

from .profiler import PerformanceProfiler, default_profiler

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_TEMPLATES_MAX = 4096
_DEPTH_MAX = 8  # Of applications mounted within each other.
_PARAMETER = re.compile(r"\\\{.*?\\\}")  # Of a template that went through re.escape.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"))


class PerformanceMiddleware:
    """Pure ASGI: no task, no copy of bodies, one small closure per request."""

    def __init__(self, app: Callable, profiler: Optional[PerformanceProfiler] = None) -> None:
        self.app = app
        self.profiler = default_profiler() if profiler is None else profiler
        self._templates = _Templates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind != "http":
            other = self._websocket if kind == "websocket" else self.app
            await other(scope, receive, send)
            return
        status = 500

        def watch(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        # Which route takes it is known only when it is over, so the timer gets its name then.
        application = scope.get("app", self.app)
        root = scope.get("root_path", "")
        timer = self.profiler.timer("http.server.request")
        timer.start()
        try:
            await self.app(scope, receive, watch)
        except BaseException:
            timer.stop(self._templates.name(scope, application, root), True)
            raise
        timer.stop(self._templates.name(scope, application, root), status >= 500)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = scope.get("app", self.app)
        root = scope.get("root_path", "")
        timer: Any = None

        def stop(failed: bool) -> None:
            nonlocal timer
            if timer is not None:
                timer.stop(self._templates.name(scope, application, root, "WEBSOCKET"), failed)
                timer = None

        async def watch_receive() -> Message:
            nonlocal timer
            message = await receive()
            if message["type"] == "websocket.receive":
                timer = self.profiler.timer("websocket.message")
                timer.start()
            return message

        async def watch_send(message: Message) -> None:
            await send(message)
            if message["type"] == "websocket.send":
                stop(False)

        try:
            await self.app(scope, watch_receive, watch_send)
        except BaseException:
            stop(True)
            raise

class _Templates:
    """Names of requests: the method and the template of the route that took it."""

    def __init__(self) -> None:
        self._known: Dict[Tuple[str, int], Tuple[str, Any]] = {}

    def name(self, scope: Scope, application: Any, root: str, method: Optional[str] = None) -> str:
        if method is None:
            method = scope["method"]
            if method not in _METHODS:
                method = "OTHER"
        # FastAPI leaves the route in the scope, Starlette only the endpoint; a mounted application
        # is told by the path it was mounted under.
        endpoint = scope.get("route") or scope.get("endpoint")
        if endpoint is None:
            return method + " unmatched"
        key = (method, id(endpoint))
        known = self._known.get(key)
        if known is not None and scope.get("root_path", "") == root:
            return known[0]
        try:
            template, is_certain = _find(application, endpoint, scope, root)
        except Exception:  # Whatever a router of another kind does, the answer is not at stake.
            template, is_certain = "unnamed", True
        name = f"{method} {template}"
        if is_certain and len(self._known) < _TEMPLATES_MAX:
            self._known[key] = (name, endpoint)  # Held, so that its id is not given to another.
        return name


def _find(application: Any, endpoint: Any, scope: Scope, root: str) -> Tuple[str, bool]:
    """The template, and whether this endpoint always has it."""
    found = [path for path, route in _walk(getattr(application, "routes", ()), "", 0)
             if any(endpoint is getattr(route, name, None) for name in ("endpoint", "app"))
             or route is endpoint]
    if len(found) == 1:
        return found[0], scope.get("root_path", "") == root
    path = scope.get("path", "")
    for template in found:
        if re.fullmatch(_PARAMETER.sub("[^/]+", re.escape(template)), path):
            return template, False
    # Not in the table of routes (a router of another kind): its own word for itself.
    own = getattr(endpoint, "path_format", None) or getattr(endpoint, "path", None)
    return own or getattr(endpoint, "__qualname__", None) or type(endpoint).__name__, False


def _walk(routes: Any, prefix: str, depth: int) -> Iterator[Tuple[str, Any]]:
    """All routes with their templates, which begin with what they are mounted under."""
    for route in routes:
        path: str = getattr(route, "path", None) or ""
        below = getattr(route, "routes", None)
        if below is None:
            yield prefix + (getattr(route, "path_format", None) or path), route
            continue
        # Of what is mounted here and has no route that took it, such as a folder of files.
        yield prefix + path.rstrip("/") + "/*", route
        if depth < _DEPTH_MAX:
            yield from _walk(below, prefix + path.rstrip("/"), depth + 1)


def integrate_performance_profiling(app: Any, profiler: Optional[PerformanceProfiler] = None,
                                    path: Optional[str] = "/profiling") -> PerformanceProfiler:
    """Times every request of a FastAPI or Starlette app; returns the profiler.

    Under ``path`` the app answers its own numbers: ``/stats`` (JSON), ``/report`` (HTML) and
    ``/sla`` (the broken promises). None leaves these routes out.
    """
    profiler = default_profiler() if profiler is None else profiler
    app.add_middleware(PerformanceMiddleware, profiler=profiler)
    if path is not None:
        _add_routes(app, profiler, path.rstrip("/"))
    return profiler


def _add_routes(app: Any, profiler: PerformanceProfiler, path: str) -> None:
    from starlette.responses import HTMLResponse, JSONResponse

    from .reporter import PerformanceReporter

    async def stats(request: Any) -> Any:
        return JSONResponse(profiler.get_all_stats())

    async def report(request: Any) -> Any:
        return HTMLResponse(PerformanceReporter(profiler).to_html())

    async def sla(request: Any) -> Any:
        violations = profiler.check_sla()
        return JSONResponse({"kept": not violations, "violations": violations})

    app.add_route(f"{path}/stats", stats)
    app.add_route(f"{path}/report", report)
    app.add_route(f"{path}/sla", sla)
