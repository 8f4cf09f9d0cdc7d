# SPDX-License-Identifier: Apache-2.0
"""What all patches share: how an attribute is replaced and put back, and a span that never breaks
the call that it is about."""
from __future__ import annotations

import contextlib
import contextvars
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

from .. import _native
from ..profiler import PerformanceProfiler, default_profiler

_MISSING = object()
_profiler: Optional[PerformanceProfiler] = None

# Set while one client works for another that has a span already: requests for urllib3's, SQLAlchemy
# for its driver's.
_within: "contextvars.ContextVar[bool]" = contextvars.ContextVar("sonde_within", default=False)


def set_profiler(profiler: Optional[PerformanceProfiler]) -> None:
    global _profiler
    _profiler = profiler


def profiler_now() -> PerformanceProfiler:
    return default_profiler() if _profiler is None else _profiler


class Patches:
    """The attributes that one library had replaced. What was wrapped again by somebody else cannot
    be taken out; it asks is_on and passes everything on."""

    def __init__(self) -> None:
        self.is_on = True
        self._done: List[Tuple[Any, str, Any, Any]] = []
        self._undo: List[Callable[[], None]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """owner.name becomes make(owner.name)."""
        before = vars(owner).get(name, _MISSING)
        after = make(getattr(owner, name))
        setattr(owner, name, after)
        self._done.append((owner, name, before, after))

    def when_undone(self, function: Callable[[], None]) -> None:
        self._undo.append(function)

    def undo(self) -> None:
        self.is_on = False
        for owner, name, before, after in reversed(self._done):
            if vars(owner).get(name) is not after:
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        for function in self._undo:
            function()


class _Nothing:
    """Stands in where there is no span."""

    context = None

    def __enter__(self) -> "_Nothing":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def set(self, key: str, value: Any) -> None:
        pass

    def mark_failure(self, message: Optional[str] = None) -> None:
        pass


NOTHING = _Nothing()


class Within:
    """A span that is at work over a with statement; clients below it have none of their own."""

    __slots__ = ("span", "_token")

    def __init__(self, span: _native.Span) -> None:
        self.span = span

    def __enter__(self) -> _native.Span:
        self._token = _within.set(True)
        return self.span.__enter__()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self.span.__exit__(kind, value, trace)
        _within.reset(self._token)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Clients have no spans within."""
    token = _within.set(True)
    try:
        yield
    finally:
        _within.reset(token)


def opened(patches: Patches, describe: Callable[..., Tuple[str, Dict[str, Any]]],
           *arguments: Any) -> Union[Within, _Nothing]:
    """A client's span, for a with statement; nothing when it is not wanted or cannot be had.
    describe(*arguments) gives its name and attributes."""
    if not patches.is_on or _within.get():
        return NOTHING
    try:
        name, attributes = describe(*arguments)
        return Within(profiler_now().span(name, "client", attributes))
    except Exception:
        return NOTHING


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """What we only want to know must not be what fails. None when it does."""
    try:
        return function(*arguments)
    except Exception:
        return None
