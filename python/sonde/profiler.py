# SPDX-License-Identifier: Apache-2.0
"""The profiler: timers by name, their statistics, and whether promises are kept."""
from __future__ import annotations

import atexit
import errno
import functools
import gc
import inspect
import math
import threading
import weakref
from typing import Any, Callable, Dict, List, Optional

from . import _native
from .llm import LlmCall
from .sla import SLAConfig

Span = _native.Span
Timer = _native.Timer

_EXIT_FLUSH_MS = 1000
_open_profilers: "weakref.WeakSet[PerformanceProfiler]" = weakref.WeakSet()


class PerformanceProfiler(_native.Profiler):
    """Times operations in this process; costs some hundred nanoseconds a time.

    ``level``: "disabled", "basic", "standard" or "detailed"; $SONDE_LEVEL, else "standard".
    ``endpoint``: the daemon that all is sent to in the background, "http://127.0.0.1:7070";
    $SONDE_ENDPOINT, else nothing leaves the process. ``sample_ratio``: of every so many traces one
    is kept; what failed or was slow is kept always.
    """

    def __init__(self, service_name: Optional[str] = None, level: Optional[str] = None,
                 sla: Optional[SLAConfig] = None, endpoint: Optional[str] = None,
                 sample_ratio: Optional[float] = None) -> None:
        options: Dict[str, Any] = {"service_name": service_name, "level": level,
                                   "endpoint": endpoint}
        if sample_ratio is not None:
            options["sample_ratio"] = sample_ratio
        try:
            super().__init__(**options)
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            gc.collect()  # Profilers that nobody can reach any longer still hold their places.
            try:
                super().__init__(**options)
            except OSError as again:
                raise OSError(again.errno, "as many profilers as fit are open already; share one "
                                           "(sonde.default_profiler)") from None
        _open_profilers.add(self)
        self.sla: Optional[SLAConfig] = None
        if sla is not None:
            self.set_sla(sla)

    # timer, span, record, count, gauge, add_collector, flush, reset and slowest are _native's.

    def get_all_stats(self) -> Dict[str, Any]:
        """{"overall": {...}, "operations": {name: {...}}}; rates are 0 to 1, times in ms."""
        return {
            "overall": self._overall_stats(),
            "operations": {name: self._operation_stats(name) for name in self._operations()},
        }

    def get_operation_stats(self, name: str) -> Optional[Dict[str, Any]]:
        """Statistics of one operation, or None when it was never recorded."""
        return self._operation_stats(name)

    def set_sla(self, sla: SLAConfig) -> None:
        """Replaces the promises."""
        if self.sla is not None:
            self._promise(None, SLAConfig())
            for name in self.sla.operations:
                self._promise(name, SLAConfig())
        self._promise(None, sla)
        for name, targets in sla.operations.items():
            self._promise(name, targets)
        self.sla = sla

    def _promise(self, operation: Optional[str], sla: SLAConfig) -> None:
        for key, value in sla.targets().items():
            self._set_promise(operation, key, math.nan if value is None else value)

    def check_sla(self, sla: Optional[SLAConfig] = None) -> List[str]:
        """A sentence for each broken promise; empty when all are kept.

        With ``sla``, these are the promises from now on.
        """
        if sla is not None:
            self.set_sla(sla)
        return self._violations()

    def profile_llm_operation(self, provider: str, model: str, operation: str = "chat",
                              **fields: Any) -> LlmCall:
        """A call of a language model, as "chat gpt-4o": a context manager and a decorator."""
        return LlmCall(self, provider=provider, model=model, operation=operation, **fields)

    def profile_transformation(self, technique: str) -> Span:
        """A transformation of a prompt, as "transformation few_shot"."""
        return self.span(f"transformation {technique}", "internal", {"technique": technique})


def _decorate(open_: Callable, arguments: tuple, function: Callable) -> Callable:
    """Enters open_(*arguments) around each call; a generator is timed from its first step to its
    last."""
    if inspect.isasyncgenfunction(function):
        @functools.wraps(function)
        async def timed(*args, **kwargs):
            with _Steps(open_(*arguments)) as steps:
                generator = function(*args, **kwargs)
                try:
                    with steps:
                        item = await generator.__anext__()
                    while True:
                        try:
                            sent = yield item
                        except GeneratorExit:
                            raise  # Closed early; the other is closed below.
                        except BaseException as error:
                            with steps:
                                item = await generator.athrow(error)
                        else:
                            with steps:
                                item = await generator.asend(sent)
                except StopAsyncIteration:
                    return
                finally:
                    await generator.aclose()
    elif inspect.iscoroutinefunction(function):
        @functools.wraps(function)
        async def timed(*args, **kwargs):
            with open_(*arguments):
                return await function(*args, **kwargs)
    elif inspect.isgeneratorfunction(function):
        @functools.wraps(function)
        def timed(*args, **kwargs):
            opened = open_(*arguments)
            if isinstance(opened, Timer):
                with opened:
                    return (yield from function(*args, **kwargs))
            with _Steps(opened) as steps:
                return (yield from _stepped(function(*args, **kwargs), steps))
    else:
        @functools.wraps(function)
        def timed(*args, **kwargs):
            with open_(*arguments):
                return function(*args, **kwargs)
    return timed


class _Steps:
    """A timer or span over a whole generator (the outer with), whose context is at work only while
    the generator is (the inner ones): who consumes it between the steps works for itself."""

    def __init__(self, opened: Any) -> None:
        self.opened = opened
        self.is_span = hasattr(opened, "resume")
        self.is_begun = False

    def __enter__(self) -> "_Steps":
        if self.is_begun:
            if self.is_span:
                self.opened.resume()
        elif self.is_span:
            self.is_begun = True
            self.opened.start()
        else:
            self.is_begun = True
            self.opened.__enter__()
        self.depth = getattr(self, "depth", 0) + 1
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.opened.__exit__(kind, value, trace)
        elif self.is_span:
            self.opened.suspend()


def _stepped(generator: Any, steps: _Steps) -> Any:
    """`yield from generator`, each step within steps."""
    try:
        with steps:
            item = next(generator)
        while True:
            try:
                sent = yield item
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:
                with steps:
                    item = generator.throw(error)
            else:
                with steps:
                    item = generator.send(sent)
    except StopIteration as stop:
        return stop.value


_native._set_decorator(_decorate)

_default: Optional[PerformanceProfiler] = None
_default_lock = threading.Lock()


def default_profiler() -> PerformanceProfiler:
    """The one profiler of this process, made when first asked for."""
    global _default
    with _default_lock:
        if _default is None:
            _default = PerformanceProfiler()
        return _default


def profile_llm_operation(provider: str, model: str, operation: str = "chat",
                          **fields: Any) -> LlmCall:
    """PerformanceProfiler.profile_llm_operation of the process's one profiler."""
    return default_profiler().profile_llm_operation(provider, model, operation, **fields)


def profile_transformation(technique: str) -> Span:
    """PerformanceProfiler.profile_transformation of the process's one profiler."""
    return default_profiler().profile_transformation(technique)


def _at_exit() -> None:
    """The interpreter ends: nothing of Python is called from other threads any longer, and what was
    recorded last is sent."""
    for profiler in list(_open_profilers):
        profiler._drop_collectors()
        if profiler.delivery()["has_endpoint"]:
            profiler.flush(_EXIT_FLUSH_MS)


atexit.register(_at_exit)
