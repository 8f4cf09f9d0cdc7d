# SPDX-License-Identifier: Apache-2.0
"""Where one is in a trace, carried over tasks, threads and requests.

asyncio's tasks inherit it by themselves. A thread does not; give it carry(function). Requests carry
W3C's traceparent, tracestate and baggage; with "b3" or "b3multi" among $OTEL_PROPAGATORS, or
set_propagators("tracecontext", "baggage", "b3"), Zipkin's headers as well.
"""
from __future__ import annotations

import contextlib
import functools
import os
import re
from typing import (Any, Callable, Dict, Iterable, Iterator, Mapping, MutableMapping, Optional,
                    Tuple, TypeVar, Union)
from urllib.parse import quote, unquote

from . import _native

Context = _native.Context
Headers = Union[Mapping[str, str], Iterable[Tuple[Any, Any]]]
_Result = TypeVar("_Result")

_KNOWN = ("tracecontext", "baggage", "b3", "b3multi")
_BAGGAGE_BYTES_MAX = 8192  # W3C's limit; more is not carried on.
_B3 = re.compile(r"([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d]))?(?:-[0-9a-f]{16})?")
_HEX = re.compile(r"[0-9a-f]+")
_names: Tuple[str, ...] = ("tracecontext", "baggage")


def set_propagators(*names: str) -> None:
    """Which headers are read and written: of "tracecontext", "baggage", "b3" and "b3multi"."""
    global _names
    for name in names:
        if name not in _KNOWN:
            raise ValueError(f"no propagator is called {name!r}; there are " + ", ".join(_KNOWN))
    _names = names
    # What C reads by itself is W3C's; anything else is asked of extract.
    _native._set_extractor(extract if "b3" in names or "b3multi" in names else None)


def current_context() -> Optional[Context]:
    """Where this task is, or None."""
    return _native.context_variable.get()


@contextlib.contextmanager
def use_context(context: Optional[Context]) -> Iterator[None]:
    """Within, spans hang from this context."""
    token = _native.context_variable.set(context)
    try:
        yield
    finally:
        _native.context_variable.reset(token)


def carry(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """The function as it would run here, for a thread: pool.submit(carry(work), 1)."""
    context = current_context()
    if context is None:
        return function

    @functools.wraps(function)
    def carried(*args: Any, **kwargs: Any) -> _Result:
        token = _native.context_variable.set(context)
        try:
            return function(*args, **kwargs)
        finally:
            _native.context_variable.reset(token)

    return carried


def inject(headers: MutableMapping[str, str], context: Optional[Context] = None) -> None:
    """Writes this place into the headers of a request that goes out; without one, nothing."""
    if context is None:
        context = current_context()
    if context is None:
        return
    if context.trace_id:
        if "tracecontext" in _names:
            headers["traceparent"] = context.traceparent
            if context.trace_state:
                headers["tracestate"] = context.trace_state
        sampled = "1" if context.is_sampled else "0"
        if "b3" in _names:
            headers["b3"] = f"{context.trace_id}-{context.span_id}-{sampled}"
        if "b3multi" in _names:
            headers["X-B3-TraceId"] = context.trace_id
            headers["X-B3-SpanId"] = context.span_id
            headers["X-B3-Sampled"] = sampled
    if context.baggage and "baggage" in _names:
        headers["baggage"] = context.baggage


def _pairs(headers: Headers) -> Iterator[Tuple[str, str]]:
    items = headers.items() if isinstance(headers, Mapping) else headers
    for name, value in items:
        yield (name.decode("latin-1") if isinstance(name, bytes) else str(name)).lower(), (
            value.decode("latin-1") if isinstance(value, bytes) else str(value))


def _from_b3(found: Dict[str, str]) -> Optional[str]:
    """A traceparent, or None."""
    single = _B3.fullmatch(found.get("b3", ""))
    if single:
        trace, span, sampled = single.groups()
    else:
        trace, span = found.get("x-b3-traceid", "").lower(), found.get("x-b3-spanid", "").lower()
        sampled = found.get("x-b3-sampled")
        if found.get("x-b3-flags") == "1":
            sampled = "d"
        if len(trace) not in (16, 32) or len(span) != 16 or not _HEX.fullmatch(trace + span):
            return None
    return f"00-{trace.rjust(32, '0')}-{span}-{'00' if sampled == '0' else '01'}"


def extract(headers: Headers) -> Optional[Context]:
    """The place that a request came with; None when its headers say nothing that can be read."""
    wanted = ("traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid",
              "x-b3-sampled", "x-b3-flags")
    found = {name: value for name, value in _pairs(headers) if name in wanted}
    parent = found.get("traceparent") if "tracecontext" in _names else None
    state = found.get("tracestate") if parent else None
    baggage = found.get("baggage") if "baggage" in _names else None
    if baggage is not None and len(baggage) > _BAGGAGE_BYTES_MAX:
        baggage = None
    for candidate in (parent, _from_b3(found) if {"b3", "b3multi"} & set(_names) else None):
        if candidate:
            try:
                return Context(candidate, state if candidate == parent else None, baggage)
            except ValueError:
                continue  # Broken: as if it were not there.
    return Context(None, None, baggage) if baggage else None


def get_baggage(context: Optional[Context] = None) -> Dict[str, str]:
    """What travels along with the trace."""
    context = current_context() if context is None else context
    found: Dict[str, str] = {}
    for member in (context.baggage or "").split(",") if context is not None else ():
        name, equals, value = member.partition(";")[0].partition("=")
        if equals and name.strip():
            found[name.strip()] = unquote(value.strip())
    return found


@contextlib.contextmanager
def baggage(**values: str) -> Iterator[None]:
    """Within, these values travel along with each request that goes out."""
    now = current_context()
    text = ",".join(f"{name}={quote(str(value), safe='')}"
                    for name, value in {**get_baggage(), **values}.items())
    if len(text) > _BAGGAGE_BYTES_MAX:
        raise ValueError(f"baggage is at most {_BAGGAGE_BYTES_MAX} bytes, not {len(text)}")
    parent = now.traceparent if now is not None and now.trace_id else None
    with use_context(Context(parent, now.trace_state if now is not None else None, text)):
        yield


def _from_environment() -> None:
    names = [name.strip() for name in os.environ.get("OTEL_PROPAGATORS", "").split(",")]
    known = tuple(name for name in names if name in _KNOWN)
    if known:
        set_propagators(*known)


_from_environment()
