# SPDX-License-Identifier: Apache-2.0
"""Tells when a module has been imported for the first time."""
from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import threading
from types import ModuleType
from typing import Any, Callable, Dict, Optional

Told = Callable[[str], None]


class Watcher(importlib.abc.MetaPathFinder):
    """Stands first in sys.meta_path while there is anything to wait for. It finds nothing by
    itself: it asks the finders behind it, and has the loader that they name call us when it is
    done."""

    def __init__(self) -> None:
        self._waiting: Dict[str, Told] = {}
        self._local = threading.local()

    def add(self, name: str, told: Told) -> None:
        self._waiting[name] = told
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self, name: str) -> None:
        self._waiting.pop(name, None)
        if not self._waiting and self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None,
                  target: Optional[ModuleType] = None) -> Optional[importlib.machinery.ModuleSpec]:
        if name not in self._waiting or getattr(self._local, "searches", False):
            return None
        self._local.searches = True
        try:
            for finder in list(sys.meta_path):
                find = getattr(finder, "find_spec", None)
                spec = None if finder is self or find is None else find(name, path, target)
                if spec is not None:
                    self._follow(name, spec)
                    return spec
        finally:
            self._local.searches = False
        return None

    def _follow(self, name: str, spec: importlib.machinery.ModuleSpec) -> None:
        loader = spec.loader
        run = getattr(loader, "exec_module", None)
        if loader is None or run is None:
            return

        def exec_module(module: ModuleType) -> None:
            run(module)
            told = self._waiting.get(name)
            self.remove(name)
            if told is not None:
                told(name)

        try:
            loader.exec_module = exec_module  # type: ignore[method-assign]
        except AttributeError:
            pass  # A loader that cannot be followed: its module stays as it is.
