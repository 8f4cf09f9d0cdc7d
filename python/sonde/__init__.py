# SPDX-License-Identifier: Apache-2.0
"""Know what your program does, from inside it.

>>> from sonde import PerformanceProfiler, SLAConfig
>>> profiler = PerformanceProfiler(sla=SLAConfig(max_p95_latency_ms=300))
>>> with profiler.timer("retrieval") as timer:
...     pass
>>> profiler.check_sla()
[]
"""
from ._native import Context, Span, Timer
from ._native import version as __version__
from .asgi import PerformanceMiddleware, integrate_performance_profiling
from .instrumentation import instrument, uninstrument
from .llm import LlmCall, llm_session
from .profiler import (PerformanceProfiler, default_profiler, profile_llm_operation,
                       profile_transformation)
from .propagation import (baggage, carry, current_context, extract, get_baggage, inject,
                          set_propagators, use_context)
from .reporter import PerformanceReporter
from .sla import SLAConfig

__all__ = [
    "Context",
    "LlmCall",
    "PerformanceMiddleware",
    "PerformanceProfiler",
    "PerformanceReporter",
    "SLAConfig",
    "Span",
    "Timer",
    "baggage",
    "carry",
    "current_context",
    "default_profiler",
    "extract",
    "get_baggage",
    "inject",
    "instrument",
    "integrate_performance_profiling",
    "llm_session",
    "profile_llm_operation",
    "profile_transformation",
    "set_propagators",
    "uninstrument",
    "use_context",
    "__version__",
]
