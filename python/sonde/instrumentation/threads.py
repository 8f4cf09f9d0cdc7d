# SPDX-License-Identifier: Apache-2.0
"""ThreadPoolExecutor: what is submitted works for whom submitted it. asyncio's run_in_executor and
to_thread come by here as well."""
from __future__ import annotations

import functools
import sys
from typing import Any

from ..propagation import carry
from .patching import Patches


def patch(patches: Patches) -> None:
    def carrying(original: Any) -> Any:
        @functools.wraps(original)
        def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            return original(self, carry(fn) if patches.is_on else fn, *args, **kwargs)
        return submit

    patches.replace(sys.modules["concurrent.futures.thread"].ThreadPoolExecutor, "submit", carrying)
