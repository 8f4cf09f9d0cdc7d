# SPDX-License-Identifier: Apache-2.0
"""Know what your program does, from inside it.

>>> from sonde import PerformanceProfiler, SLAConfig
>>> profiler = PerformanceProfiler(sla=SLAConfig(max_p95_latency_ms=300))
>>> with profiler.timer("retrieval") as timer:
...     pass
>>> profiler.check_sla()
[]
"""
from ._native import version as __version__
from .asgi import PerformanceMiddleware, integrate_performance_profiling
from .profiler import PerformanceProfiler, Timer, default_profiler
from .reporter import PerformanceReporter
from .sla import SLAConfig

__all__ = [
    "PerformanceMiddleware",
    "PerformanceProfiler",
    "PerformanceReporter",
    "SLAConfig",
    "Timer",
    "default_profiler",
    "integrate_performance_profiling",
    "__version__",
]
