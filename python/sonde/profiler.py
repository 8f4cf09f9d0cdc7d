# SPDX-License-Identifier: Apache-2.0
"""The profiler: timers by name, their statistics, and whether promises are kept."""
from __future__ import annotations

import errno
import functools
import gc
import inspect
import math
import threading
from typing import Any, Callable, Dict, List, Optional

from . import _native
from .sla import SLAConfig

Timer = _native.Timer


class PerformanceProfiler(_native.Profiler):
    """Times operations in this process; costs some hundred nanoseconds a time.

    ``level``: "disabled", "basic", "standard" or "detailed"; $SONDE_LEVEL, else "standard".
    """

    def __init__(self, service_name: Optional[str] = None, level: Optional[str] = None,
                 sla: Optional[SLAConfig] = None) -> None:
        try:
            super().__init__(service_name, level)
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            gc.collect()  # Profilers that nobody can reach any longer still hold their places.
            try:
                super().__init__(service_name, level)
            except OSError as again:
                raise OSError(again.errno, "as many profilers as fit are open already; share one "
                                           "(sonde.default_profiler)") from None
        self.sla: Optional[SLAConfig] = None
        if sla is not None:
            self.set_sla(sla)

    # timer(name, metadata=None), record, count, gauge, reset and slowest are _native's.

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

    def profile_llm_operation(self, provider: str, model: str,
                              operation: str = "llm") -> Timer:
        """Times a call of a language model: "llm openai gpt-4o"."""
        return self.timer(f"{operation} {provider} {model}",
                          {"gen_ai.provider.name": provider, "gen_ai.request.model": model})

    def profile_transformation(self, technique: str) -> Timer:
        """Times a transformation of a prompt: "transformation few_shot"."""
        return self.timer(f"transformation {technique}", {"technique": technique})


def _decorate(profiler: PerformanceProfiler, name: str, metadata: Optional[dict],
              function: Callable) -> Callable:
    """A timer around each call; a generator is timed from its first step to its last."""
    timer = profiler.timer

    if inspect.isasyncgenfunction(function):
        @functools.wraps(function)
        async def timed(*args, **kwargs):
            with timer(name, metadata):
                generator = function(*args, **kwargs)
                try:
                    item = await generator.__anext__()
                    while True:
                        try:
                            sent = yield item
                        except GeneratorExit:
                            raise  # Closed early; the other is closed below.
                        except BaseException as error:
                            item = await generator.athrow(error)
                        else:
                            item = await generator.asend(sent)
                except StopAsyncIteration:
                    return
                finally:
                    await generator.aclose()
    elif inspect.iscoroutinefunction(function):
        @functools.wraps(function)
        async def timed(*args, **kwargs):
            with timer(name, metadata):
                return await function(*args, **kwargs)
    elif inspect.isgeneratorfunction(function):
        @functools.wraps(function)
        def timed(*args, **kwargs):
            with timer(name, metadata):
                return (yield from function(*args, **kwargs))
    else:
        @functools.wraps(function)
        def timed(*args, **kwargs):
            with timer(name, metadata):
                return function(*args, **kwargs)
    return timed


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
