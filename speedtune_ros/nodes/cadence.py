"""A thread that ticks at absolute deadlines."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

_SECOND_NS = 1_000_000_000


class Cadence:
    """Calls `tick` every period, from its own thread.

    An executor beside image subscriptions is late by 20 to 130 ms at the 99th percentile, a thread with
    absolute deadlines by 12. A tick that starts more than half a period late is counted as missed; after a
    whole period the schedule moves on instead of catching up in a burst.
    """

    def __init__(self, period_s: float, tick: Callable[[], None], name: str) -> None:
        self.period_ns = round(period_s * _SECOND_NS)
        self.ticks = 0
        self.missed = 0
        self._tick = tick
        self._lateness: deque[float] = deque(maxlen=1000)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when the last tick has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def take_lateness(self) -> list[float]:
        """How late each tick since the last call began [ms]."""
        taken = []
        while self._lateness:
            taken.append(self._lateness.popleft())
        return taken

    def _run(self) -> None:
        deadline = time.monotonic_ns()
        while not self._stopping.is_set():
            late = time.monotonic_ns() - deadline
            if late < 0:
                time.sleep(-late / _SECOND_NS)
                continue
            self._lateness.append(late / 1e6)
            self.ticks += 1
            self.missed += late > self.period_ns // 2
            self._tick()
            deadline += self.period_ns * (1 + late // self.period_ns)


class Pace:
    """How many simulated seconds pass in one real second, over the last `ticks` ticks."""

    def __init__(self, ticks: int = 50) -> None:
        self._marks: deque[tuple[int, int]] = deque(maxlen=ticks + 1)

    def mark(self, stamp_ns: int, steady_ns: int) -> float:
        """Note the stamp of a tick and when it was; the pace since the oldest mark, 0 at the first one."""
        if self._marks and stamp_ns < self._marks[-1][0]:
            self._marks.clear()
        self._marks.append((stamp_ns, steady_ns))
        stamp, steady = self._marks[0]
        return (stamp_ns - stamp) / (steady_ns - steady) if steady_ns > steady else 0.0
