# SPDX-License-Identifier: Apache-2.0
"""What was promised."""
from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Dict, Optional


@dataclass
class SLAConfig:
    """Targets over all operations, and for single ones under ``operations``.

    Latencies are milliseconds, throughput is operations per second, the success rate is 0 to 1.
    What is None is not promised.
    """

    max_p50_latency_ms: Optional[float] = None
    max_p95_latency_ms: Optional[float] = None
    max_p99_latency_ms: Optional[float] = None
    min_throughput_rps: Optional[float] = None
    min_success_rate: Optional[float] = None
    operations: Dict[str, "SLAConfig"] = field(default_factory=dict)

    def targets(self) -> Dict[str, Optional[float]]:
        """The five targets by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)
                if item.name != "operations"}

    @classmethod
    def from_dict(cls, data: dict) -> "SLAConfig":
        """From plain data, as a YAML or JSON file holds it. ValueError names what is not known."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise ValueError(f"no target is called {unknown[0]!r}; there are "
                             + ", ".join(sorted(known)))
        values = dict(data)
        values["operations"] = {name: cls.from_dict(targets)
                                for name, targets in data.get("operations", {}).items()}
        return cls(**values)
