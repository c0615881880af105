"""What a long run leaves: holds with their reasons, memory by process, missed ticks; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from speedtune_ros.robots.driver import DriverState

_WELL = ("time_limit", "success")
_ENDS = 0.1  # share of a run's samples that stands for its begin, and for its end


class Tick(NamedTuple):
    """One driver status: its stamp [ns], episode, state, progress [s], what it names as wrong."""

    stamp_ns: int
    episode: str
    state: int
    progress: float
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Hold:
    """Arms that rested in the middle of an episode: when it began since the episode's first motion [s], how long [s],
    and why, empty if nobody said."""

    episode: str
    after_s: float
    duration_s: float
    reasons: tuple[str, ...]


def holds(ticks: Sequence[Tick], refusals: Iterable[tuple[int, str]], end: str) -> list[Hold]:
    """Every hold of one episode's ticks after its first motion.

    refusals: stamp [ns] and text of what the retimer could not answer; one that is not older than a second explains a
    hold. end: why the episode ended; but for its time or success, the rest at its end is a hold too.
    """
    told = sorted(refusals)
    moving = [i for i, tick in enumerate(ticks) if tick.state == DriverState.TRACKING and tick.progress > 0.0]
    if not moving:
        return []
    spans = [(a + 1, b) for a, b in zip(moving, moving[1:]) if b > a + 1]
    found = [_hold(ticks, span, ticks[moving[0]].stamp_ns, told) for span in spans]
    if end not in _WELL and moving[-1] + 1 < len(ticks):
        last = _hold(ticks, (moving[-1] + 1, len(ticks)), ticks[moving[0]].stamp_ns, told)
        found.append(replace(last, reasons=(*last.reasons, end)))
    return found


def _hold(ticks: Sequence[Tick], span: tuple[int, int], first_ns: int, told: list[tuple[int, str]]) -> Hold:
    during = ticks[span[0] : span[1]]
    begin_ns, end_ns = during[0].stamp_ns, during[-1].stamp_ns
    reasons = [fault for tick in during for fault in tick.faults]
    reasons += [text for at_ns, text in told if begin_ns - 1_000_000_000 <= at_ns <= end_ns]
    seconds = (end_ns - begin_ns) * 1e-9
    return Hold(during[0].episode, (begin_ns - first_ns) * 1e-9, seconds, tuple(dict.fromkeys(reasons)))


def growth(samples: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """By how much the memory of each process grew, as a share: the median of its last tenth over that of its first."""
    return {name: _growth(np.asarray(values, float)) for name, values in samples.items() if len(values)}


def _growth(values: np.ndarray) -> float:
    few = max(1, round(_ENDS * len(values)))
    return float(np.median(values[-few:]) / np.median(values[:few]) - 1.0)


def fraction(first: Mapping[str, str], last: Mapping[str, str]) -> float:
    """Missed ticks over ticks between two diagnostics of a node; NaN where it did not tick."""
    ticks = int(last["ticks"]) - int(first["ticks"])
    return (int(last["missed_ticks"]) - int(first["missed_ticks"])) / ticks if ticks > 0 else float("nan")
