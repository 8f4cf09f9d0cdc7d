# SPDX-License-Identifier: Apache-2.0
"""Reports of a profiler, in the five forms of libsonde."""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, Optional, TextIO, Union

from .profiler import PerformanceProfiler

# In the order of libsonde's enum sonde_form, with their media types.
FORMS = {"console": "text/plain", "json": "application/json", "markdown": "text/markdown",
         "html": "text/html", "csv": "text/csv"}
_SUFFIXES = {".json": "json", ".md": "markdown", ".html": "html", ".htm": "html", ".csv": "csv",
             ".txt": "console"}


class PerformanceReporter:
    """Tells what a profiler measured, and which promises are broken."""

    def __init__(self, profiler: PerformanceProfiler) -> None:
        self.profiler = profiler

    def render(self, form: str, colour: bool = False) -> str:
        """One of "console", "json", "markdown", "html", "csv"."""
        if form not in FORMS:
            raise ValueError(f"no form is called {form!r}; there are " + ", ".join(FORMS))
        return self.profiler._report(list(FORMS).index(form), colour)

    def to_console(self, colour: bool = False) -> str:
        return self.render("console", colour)

    def to_json(self) -> str:
        return self.render("json")

    def to_dict(self) -> Dict[str, Any]:
        return json.loads(self.to_json())

    def to_markdown(self) -> str:
        return self.render("markdown")

    def to_html(self) -> str:
        return self.render("html")

    def to_csv(self) -> str:
        return self.render("csv")

    def print(self, out: Optional[TextIO] = None) -> None:
        """The console form; coloured on a terminal unless NO_COLOR is set."""
        out = sys.stdout if out is None else out
        out.write(self.to_console(out.isatty() and "NO_COLOR" not in os.environ))

    def save(self, path: Union[str, Path], form: Optional[str] = None) -> None:
        """Writes a report; without a form, by the file's ending (.json, .md, .html, .csv, .txt)."""
        path = Path(path)
        if form is None:
            form = _SUFFIXES.get(path.suffix.lower())
            if form is None:
                raise ValueError(f"{path.name}: name a form, or end the name in "
                                 + ", ".join(_SUFFIXES))
        path.write_text(self.render(form), encoding="utf-8")
