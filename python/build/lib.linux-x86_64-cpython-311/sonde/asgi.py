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

from typing import Any, Awaitable, Callable, MutableMapping, Optional

from .profiler import PerformanceProfiler, default_profiler

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"))


class PerformanceMiddleware:
    """Pure ASGI: no task, no copy of bodies, one small closure per request."""

    def __init__(self, app: Callable, profiler: Optional[PerformanceProfiler] = None) -> None:
        self.app = app
        self.profiler = default_profiler() if profiler is None else profiler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._request(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Which route takes it is known only when it is over, so the timer gets its name then.
        timer = self.profiler.timer("http.server.request")
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        timer.start()
        try:
            await self.app(scope, receive, watch)
        except BaseException:
            timer.stop(_name(scope), True)
            raise
        timer.stop(_name(scope), status >= 500)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        timer: Any = None

        async def watch_receive() -> Message:
            nonlocal timer
            message = await receive()
            if message["type"] == "websocket.receive":
                timer = self.profiler.timer("websocket.message")
                timer.start()
            return message

        async def watch_send(message: Message) -> None:
            nonlocal timer
            await send(message)
            if message["type"] == "websocket.send" and timer is not None:
                timer.stop(_name(scope, "WEBSOCKET"), False)
                timer = None

        try:
            await self.app(scope, watch_receive, watch_send)
        except BaseException:
            if timer is not None:
                timer.stop(_name(scope, "WEBSOCKET"), True)
            raise


def _name(scope: Scope, method: Optional[str] = None) -> str:
    if method is None:
        method = scope["method"]
        if method not in _METHODS:
            method = "OTHER"
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if path is None:
        # Starlette's own routing leaves no route in the scope; its endpoint names it well enough.
        endpoint = scope.get("endpoint")
        path = getattr(endpoint, "__qualname__", None) or "unmatched"
    return f"{method} {path}"


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
