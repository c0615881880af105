"""What follows when a process of the graph ends unasked: it starts again, or the graph ends. No ROS is imported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from speedtune_ros.graph import Process

BAD_CONFIGURATION = 2  # how a node ends that refuses its configuration: it would again
_DELAY_S = 1.0
_LONGEST_S = 30.0
_YOUNG_S = 10.0  # one that ends before this age is not coming up: every next wait is twice as long


class Restart(NamedTuple):
    """Start `process` again in `delay_s` [s]."""

    process: Process
    delay_s: float


class Restarts:
    """Knows which process may start again, and when. `now` is a steady clock's time [s].

    A camera, a policy or the recorder that starts again knows all it needs. What holds somebody's decision does not:
    the arms, the retimer with the operator's limit, the episode. Where one of these ends, the graph ends and the arms
    hold.
    """

    def __init__(self, processes: Iterable[Process], now: float, enabled: bool = True) -> None:
        self._processes = {process.name: process for process in processes if enabled and process.restart}
        self._starts = {name: 1 for name in self._processes}
        self._started = dict.fromkeys(self._processes, now)
        self._delays = dict.fromkeys(self._processes, _DELAY_S)

    def ended(self, name: str, status: int, now: float) -> Restart | None:
        """What to start in place of the process that ended with `status`, or None where the graph is to end."""
        process = self._processes.get(name)
        if process is None or status == BAD_CONFIGURATION:
            return None
        young = now - self._started[name] < _YOUNG_S
        delay = self._delays[name] if young else _DELAY_S
        self._delays[name] = min(2.0 * delay, _LONGEST_S)
        self._starts[name] += 1
        self._started[name] = now + delay
        return Restart(_again(process, self._starts[name]), delay)


def _again(process: Process, start: int) -> Process:
    """`process` as it starts for the `start`-th time: a bag is never overwritten, the next one is numbered."""
    bag = process.parameters.get("bag")
    if not bag:
        return process
    return replace(process, parameters={**process.parameters, "bag": f"{bag}-{start}"})
