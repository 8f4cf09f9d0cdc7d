# SPDX-License-Identifier: Apache-2.0
"""ASGI: every request timed under its route's template, for FastAPI, Starlette and others.

    from fastapi import FastAPI
    from sonde import integrate_performance_profiling

    app = FastAPI()
    profiler = integrate_performance_profiling(app)

A request is named after its route ("GET /items/{id}"), never after its path, so that names stay
few; what no route takes is "GET unmatched". An answer of 500 or more, or an exception, is a
failure. The time ends with the last byte of the answer. WebSocket messages are timed from one that
came in to the next that goes out, or, where none does, until the application asks for the next. A
traceparent that comes with a request is what its spans hang from.

The part that each request passes through is C (native/request.c); here is what happens once per
route, per connection or per life of the application.
"""
from __future__ import annotations

import asyncio
import re
import time
from typing import (Any, Awaitable, Callable, Iterator, MutableMapping, Optional, Tuple)

from . import _native
from .profiler import PerformanceProfiler, default_profiler
from .propagation import extract

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DEPTH_MAX = 8  # Of applications mounted within each other.
_FLUSH_MS = 1000  # How long the end of the application may wait for the daemon.
_PARAMETER = re.compile(r"\\\{.*?\\\}")  # Of a template that went through re.escape.


class PerformanceMiddleware:
    """Pure ASGI: no task, no copy of bodies, one small object per request."""

    def __init__(self, app: Callable, profiler: Optional[PerformanceProfiler] = None) -> None:
        self.app = app
        self.profiler = default_profiler() if profiler is None else profiler
        self._native = _native_middleware(app, self.profiler)

    # Servers tell an application of today's kind by its being a coroutine function.
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._native(scope, receive, send)


def _native_middleware(app: Callable, profiler: PerformanceProfiler) -> _native.Middleware:
    """As an application's innermost part needs it: a plain callable whose result is awaited."""
    return _native.Middleware(app, profiler, _name, _Other(app, profiler))


class _Other:
    """What is no HTTP request: WebSockets, and the application's own life."""

    def __init__(self, app: Callable, profiler: PerformanceProfiler) -> None:
        self.app = app
        self.profiler = profiler

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        kind = scope["type"]
        if kind == "websocket":
            return self._websocket(scope, receive, send)
        if kind == "lifespan":
            return self._lifespan(scope, receive, send)
        return self.app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self._flush()
            await send(message)

        await self.app(scope, receive, watch)

    async def _flush(self) -> None:
        """What was recorded last is sent before the process is let go."""
        if not self.profiler.delivery()["has_endpoint"]:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # Another kind of loop; it is over anyway.
            self.profiler.flush(_FLUSH_MS)
        else:
            await loop.run_in_executor(None, self.profiler.flush, _FLUSH_MS)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = scope.get("app", self.app)
        root = scope.get("root_path")
        timer: Any = None  # Of the message that is at work,
        came_s = 0.0  # since when.

        def name() -> str:
            return _name(scope, application, root, "WEBSOCKET")[0]

        def stop(failed: bool) -> None:
            nonlocal timer
            if timer is not None:
                timer.stop(name(), failed)
                timer = None

        async def watch_receive() -> Message:
            nonlocal timer, came_s
            asked_s = time.perf_counter()
            message = await receive()
            if timer is not None:  # Nothing went out: it was done with when we were asked for more.
                self.profiler.record(name(), max(0.0, asked_s - came_s) * 1e3)
                timer = None
            if message["type"] == "websocket.receive":
                came_s = time.perf_counter()
                timer = self.profiler.timer("websocket.message")
                timer.start()
            return message

        async def watch_send(message: Message) -> None:
            await send(message)
            if message["type"] == "websocket.send":
                stop(False)

        context = extract(scope.get("headers", ()))
        if context is not None:
            _native.context_variable.set(context)
        try:
            await self.app(scope, watch_receive, watch_send)
        except BaseException:
            stop(True)
            raise
        stop(False)


def _name(scope: Scope, application: Any, root: Optional[str], method: str) -> Tuple[str, bool]:
    """The method and the template of the route that took it, and whether it always has this
    name."""
    # FastAPI leaves the route in the scope, Starlette only the endpoint; a mounted application
    # is told by the path it was mounted under.
    endpoint = scope.get("route") or scope.get("endpoint")
    if endpoint is None:
        return method + " unmatched", False
    try:
        template, is_certain = _find(application, endpoint, scope, root)
    except Exception:  # Whatever a router of another kind does, the answer is not at stake.
        template, is_certain = "unnamed", False
    return f"{method} {template}", is_certain


def _find(application: Any, endpoint: Any, scope: Scope,
          root: Optional[str]) -> Tuple[str, bool]:
    """The template, and whether this endpoint always has it."""
    found = [path for path, route in _walk(getattr(application, "routes", ()), "", 0)
             if any(endpoint is getattr(route, name, None) for name in ("endpoint", "app"))
             or route is endpoint]
    if len(found) == 1:
        return found[0], (scope.get("root_path") or "") == (root or "")
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

    Under ``path`` the app answers its own numbers: ``/stats`` (JSON), ``/report`` (HTML),
    ``/reports/json`` and the other forms of it, and ``/sla`` (the broken promises). None leaves
    these routes out.
    """
    profiler = default_profiler() if profiler is None else profiler
    app.add_middleware(_native_middleware, profiler=profiler)
    if path is not None:
        _add_routes(app, profiler, path.rstrip("/"))
    return profiler


def _add_routes(app: Any, profiler: PerformanceProfiler, path: str) -> None:
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route, Router

    from .reporter import FORMS, PerformanceReporter

    async def stats(request: Any) -> Any:
        return JSONResponse(profiler.get_all_stats())

    async def report(request: Any) -> Any:
        return HTMLResponse(PerformanceReporter(profiler).to_html())

    async def reports(request: Any) -> Any:
        return JSONResponse({"reports": [
            {"form": form, "address": f"{path.rstrip('/')}/reports/{form}"} for form in FORMS]})

    async def report_in_form(request: Any) -> Any:
        form = request.path_params["form"]
        if form not in FORMS:
            return JSONResponse({"error": f"{form!r} is no form of report; there are "
                                          + ", ".join(FORMS)}, 404)
        return Response(PerformanceReporter(profiler).render(form), media_type=FORMS[form])

    async def sla(request: Any) -> Any:
        violations = profiler.check_sla()
        return JSONResponse({"kept": not violations, "violations": violations})

    routes = [Route("/stats", stats), Route("/report", report), Route("/reports", reports),
              Route("/reports/{form}", report_in_form), Route("/sla", sla)]
    prefix = path.rstrip("/")
    if prefix:
        app.mount(prefix, Router(routes))  # One look, not five, for a request to elsewhere.
    else:
        app.router.routes.extend(routes)
