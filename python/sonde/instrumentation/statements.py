# SPDX-License-Identifier: Apache-2.0
"""What an SQL statement does, in two words, and its text without the values."""
from __future__ import annotations

import functools
import re
from typing import Optional, Tuple

_TEXT_CHARS_MAX = 400
_READ_CHARS_MAX = 4000
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_VALUE = re.compile(r"'(?:[^']|'')*'|\$\w*\$.*?\$\w*\$|(?<!\$)\b\d+(?:\.\d+)?\b", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_NAME = r'((?:[\w$]+|"[^"]+"|`[^`]+`|\[[^\]]+\])(?:\.(?:[\w$]+|"[^"]+"|`[^`]+`|\[[^\]]+\]))?)'
_TARGETS = {
    "SELECT": re.compile(rf"\bFROM\s+{_NAME}", re.IGNORECASE),
    "COPY": re.compile(rf"\bCOPY\s+{_NAME}", re.IGNORECASE),
    "DELETE": re.compile(rf"\bFROM\s+{_NAME}", re.IGNORECASE),
    "INSERT": re.compile(rf"\bINTO\s+{_NAME}", re.IGNORECASE),
    "REPLACE": re.compile(rf"\bINTO\s+{_NAME}", re.IGNORECASE),
    "MERGE": re.compile(rf"\bINTO\s+{_NAME}", re.IGNORECASE),
    "UPDATE": re.compile(rf"\bUPDATE\s+(?:OR\s+\w+\s+|ONLY\s+)?{_NAME}", re.IGNORECASE),
    "TRUNCATE": re.compile(rf"\bTRUNCATE\s+(?:TABLE\s+)?{_NAME}", re.IGNORECASE),
    "WITH": re.compile(rf"\)\s*SELECT\b.*?\bFROM\s+{_NAME}", re.IGNORECASE | re.DOTALL),
}
_OBJECT = re.compile(rf"\b(?:TABLE|INDEX|VIEW)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?{_NAME}",
                     re.IGNORECASE)
_DEFINES = ("CREATE", "DROP", "ALTER")


@functools.lru_cache(maxsize=512)
def read_statement(text: str) -> Tuple[str, Optional[str], str]:
    """(operation, table or None, text without values)."""
    plain = _COMMENT.sub(" ", text[:_READ_CHARS_MAX])
    word = _WORD.search(plain)
    operation = word.group(0).upper() if word else "SQL"
    pattern = _OBJECT if operation in _DEFINES else _TARGETS.get(operation)
    # Quoted names may look like values, so the target is looked for before those go.
    target = pattern.search(plain) if pattern else None
    table = target.group(1).strip('"`[]') if target else None
    shown = " ".join(_VALUE.sub("?", plain).split())
    return operation, table, shown[:_TEXT_CHARS_MAX]
