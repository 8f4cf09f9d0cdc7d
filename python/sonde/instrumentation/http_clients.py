# SPDX-License-Identifier: Apache-2.0
"""httpx, requests, urllib3 and aiohttp's client: a span "GET host" for each request, whose place in
the trace goes out with it. A request whose body is streamed ends with its headers, as all of aiohttp
do. Addresses are kept without user, password and query."""
from __future__ import annotations

import functools
import sys
import time
from typing import Any, Callable, Dict, Tuple
from urllib.parse import urlsplit

from ..propagation import inject
from .patching import Patches, opened, quietly

_CLIENT_ERROR = 400


def _described(method: str, url: str) -> Tuple[str, Dict[str, Any]]:
    parts = urlsplit(url)
    host = parts.hostname or "unknown"
    port = parts.port
    where = host if port is None else f"{host}:{port}"
    name = f"{method.upper()} {where}"
    return name, {
        "http.request.method": method.upper(),
        "server.address": host,
        "server.port": port or {"http": 80, "https": 443}.get(parts.scheme),
        "url.full": f"{parts.scheme}://{where}{parts.path}",
    }


def _inject(headers: Any) -> None:
    """Unless the host says itself where it is."""
    if "traceparent" not in headers:
        inject(headers)


def _answered(span: Any, status: int) -> None:
    span.set("http.response.status_code", status)
    if status >= _CLIENT_ERROR:
        span.set("error.type", str(status))
        span.mark_failure(f"HTTP {status}")


# ---- httpx. ----

def _describe_httpx(request: Any) -> Tuple[str, Dict[str, Any]]:
    return _described(request.method, str(request.url))


def _patch_httpx(name: str, patches: Patches) -> None:
    module = sys.modules[name]

    def sync(original: Any) -> Any:
        @functools.wraps(original)
        def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            with opened(patches, _describe_httpx, request) as span:
                if span.context is not None:
                    quietly(_inject, request.headers)
                response = original(self, request, *args, **kwargs)
                quietly(_answered, span, response.status_code)
                return response
        return send

    def asynchronous(original: Any) -> Any:
        @functools.wraps(original)
        async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            with opened(patches, _describe_httpx, request) as span:
                if span.context is not None:
                    quietly(_inject, request.headers)
                response = await original(self, request, *args, **kwargs)
                quietly(_answered, span, response.status_code)
                return response
        return send

    patches.replace(module.Client, "send", sync)
    patches.replace(module.AsyncClient, "send", asynchronous)


def observe_httpx(module: Any, patches: Patches,
                  tell: Callable[[Any, Any, float], None]) -> None:
    """tell(request, response, milliseconds) after each request, without a span."""
    def sync(original: Any) -> Any:
        @functools.wraps(original)
        def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            response = original(self, request, *args, **kwargs)
            if patches.is_on:
                quietly(tell, request, response, (time.perf_counter() - began) * 1e3)
            return response
        return send

    def asynchronous(original: Any) -> Any:
        @functools.wraps(original)
        async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            response = await original(self, request, *args, **kwargs)
            if patches.is_on:
                quietly(tell, request, response, (time.perf_counter() - began) * 1e3)
            return response
        return send

    patches.replace(module.Client, "send", sync)
    patches.replace(module.AsyncClient, "send", asynchronous)


def patch_httpx(patches: Patches) -> None:
    _patch_httpx("httpx", patches)


def patch_httpx2(patches: Patches) -> None:
    _patch_httpx("httpx2", patches)


# ---- requests. ----

def _describe_requests(request: Any) -> Tuple[str, Dict[str, Any]]:
    return _described(request.method or "GET", request.url or "")


def patch_requests(patches: Patches) -> None:
    def sync(original: Any) -> Any:
        @functools.wraps(original)
        def send(self: Any, request: Any, **kwargs: Any) -> Any:
            with opened(patches, _describe_requests, request) as span:
                if span.context is not None:
                    quietly(_inject, request.headers)
                response = original(self, request, **kwargs)
                quietly(_answered, span, response.status_code)
                return response
        return send

    patches.replace(sys.modules["requests"].Session, "send", sync)


# ---- urllib3. ----

def _describe_urllib3(pool: Any, method: str, url: str) -> Tuple[str, Dict[str, Any]]:
    if "://" not in url:
        url = f"{pool.scheme}://{pool.host}:{pool.port}{url}"
    return _described(method, url)


def patch_urllib3(patches: Patches) -> None:
    def sync(original: Any) -> Any:
        @functools.wraps(original)
        def urlopen(self: Any, method: str, url: str, body: Any = None, headers: Any = None,
                    *args: Any, **kwargs: Any) -> Any:
            with opened(patches, _describe_urllib3, self, method, url) as span:
                if span.context is not None:
                    own = dict(self.headers if headers is None else headers)
                    quietly(_inject, own)
                    headers = own
                response = original(self, method, url, body, headers, *args, **kwargs)
                quietly(_answered, span, response.status)
                return response
        return urlopen

    patches.replace(sys.modules["urllib3"].HTTPConnectionPool, "urlopen", sync)


# ---- aiohttp: every way to ask, WebSockets' too, is ClientSession._request. ----

def _describe_aiohttp(session: Any, method: str, url: Any) -> Tuple[str, Dict[str, Any]]:
    return _described(method, str(session._build_url(url)))  # With the session's base_url.


def _with_context(session: Any, headers: Any) -> Any:
    """A copy of the headers, given as a mapping or as pairs."""
    own = type(session.headers)(headers or ())
    if "traceparent" not in session.headers:
        _inject(own)
    return own


def patch_aiohttp(patches: Patches) -> None:
    module = sys.modules["aiohttp"]

    def asynchronous(original: Any) -> Any:
        @functools.wraps(original)
        async def request(self: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
            with opened(patches, _describe_aiohttp, self, method, str_or_url) as span:
                if span.context is not None:
                    kwargs["headers"] = quietly(_with_context, self, kwargs.get("headers")) \
                        or kwargs.get("headers")
                try:
                    response = await original(self, method, str_or_url, **kwargs)
                except module.ClientResponseError as error:  # Of raise_for_status=True, say.
                    quietly(span.set, "http.response.status_code", error.status or None)
                    raise
                quietly(_answered, span, response.status)
                return response
        return request

    patches.replace(module.ClientSession, "_request", asynchronous)
