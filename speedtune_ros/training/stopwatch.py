"""Where the time goes."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Seconds spent in each named part, all threads together."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._whole = False

    @contextmanager
    def measure(self, part: str, whole: bool = False) -> Iterator[None]:
        """whole: what is measured inside it, in any thread, is not counted besides."""
        if self._whole:
            yield
            return
        began = time.perf_counter()
        self._whole = whole
        try:
            yield
        finally:
            self._whole = False
            self.seconds[part] += time.perf_counter() - began

    def attach(self, owner: Any, method: str, part: str) -> None:
        """Count every call of `owner.method` from now on."""
        call = getattr(owner, method)

        @functools.wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.measure(part):
                return call(*args, **kwargs)

        setattr(owner, method, timed)

    def shares(self) -> dict[str, float]:
        """Each part's share of their sum."""
        total = sum(self.seconds.values()) or 1.0
        return {part: seconds / total for part, seconds in sorted(self.seconds.items())}
