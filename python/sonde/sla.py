# SPDX-License-Identifier: Apache-2.0
"""What was promised."""
from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Dict, Mapping, Optional


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

    def __post_init__(self) -> None:
        for name, value in self.targets().items():
            _check(name, value)

    def targets(self) -> Dict[str, Optional[float]]:
        """The five targets by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)
                if item.name != "operations"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SLAConfig":
        """From plain data, as a YAML or JSON file holds it. ValueError names what is wrong, and
        where."""
        return cls._read(data, "")

    @classmethod
    def _read(cls, data: Any, where: str) -> "SLAConfig":
        if not isinstance(data, Mapping):
            raise ValueError(f"{where.rstrip('.') or 'a promise'}: targets by name are wanted, "
                             f"not {data!r}")
        known = {item.name for item in fields(cls)}
        unknown = sorted(str(key) for key in set(data) - known)
        if unknown:
            raise ValueError(f"{where}{unknown[0]}: no target is called {unknown[0]!r}; there are "
                             + ", ".join(sorted(known)))
        operations = data.get("operations") or {}
        if not isinstance(operations, Mapping):
            raise ValueError(f"{where}operations: targets by operation are wanted, "
                             f"not {operations!r}")
        targets = {name: _share(value) if name == "min_success_rate" else value
                   for name, value in data.items() if name != "operations"}
        for name, value in targets.items():
            _check(name, value, where)
        return cls(**targets, operations={
            name: cls._read(below, f"{where}operations.{name}.")
            for name, below in operations.items()})


def _share(value: Any) -> Any:
    """0.95 of "95%", as `sonde sla check` reads it."""
    if isinstance(value, str) and value.endswith("%"):
        try:
            return float(value[:-1]) / 100
        except ValueError:
            pass  # Told as it stands.
    return value


def _check(name: str, value: Any, where: str = "") -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{where}{name}: {value!r} is not a number")
    if value < 0:
        raise ValueError(f"{where}{name}: a target is not negative, as {value!r} is")
    if name == "min_success_rate" and value > 1:
        raise ValueError(f"{where}{name}: a success rate is 0 to 1, not {value!r}")
