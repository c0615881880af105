"""What a fault led to, from what was heard of the graph: pure functions of messages' contents and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from speedtune_ros.aloha import ARMS
from speedtune_ros.evaluation.fault_matrix import Expected, outcome
from speedtune_ros.robots.driver import DriverState

_ARMS = np.array(ARMS)
_STILL_RAD = 1e-4  # a command this far from the one before does not move
_REST_RAD_S = 0.05  # an arm whose joints are all slower rests
_DEAD_NS = 200_000_000  # ten ticks without a word
_WORDS = {
    DriverState.FAULT: "fault",
    DriverState.STOPPED: "stopped",
    DriverState.INACTIVE: "inactive",
}


class Said(NamedTuple):
    """One driver status: when it was published [ns of the system clock], its state, what it names as wrong."""

    at_ns: int
    state: int
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """What was heard from a moment of motion to the end of a row; times are of the system clock [ns].

    caused_ns, until_ns: when the fault was caused, and until when anything was listened to; commands: when each was
    published, and (14,) [rad]; speeds: when each joint state of a follower was published, and its fastest arm joint
    [rad/s]; counts: what went up in diagnostics, by name; ceilings: what lowered the speed; ends: why the episode
    ended, empty if nobody answered.
    """

    caused_ns: int
    until_ns: int
    commands: Sequence[tuple[int, np.ndarray]]
    said: Sequence[Said]
    speeds: Sequence[tuple[int, float]] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    ceilings: frozenset[str] = frozenset()
    ends: str = ""


@dataclass(frozen=True)
class Observed:
    """driver, says, ends: as in Expected; hold_ms: from the fault to the last command that moves, None if the arms
    went on; noticed_ms: to the first status that does not say that the arms track; rest_ms: to the last joint state in
    which an arm moves, None if it does not come to rest or nothing was heard."""

    driver: str
    says: str
    ends: str
    hold_ms: float | None
    noticed_ms: float | None
    rest_ms: float | None

    def __str__(self) -> str:
        return outcome(self.driver, self.says, self.ends)


def judge(record: Record, expected: Expected) -> Observed:
    """What happened, told in the words of `expected` where they fit."""
    after = [said for said in record.said if said.at_ns > record.caused_ns]
    driver = _driver(record, after)
    held = driver != "moves"
    return Observed(
        driver,
        _says(record, after, expected.says),
        record.ends,
        _last_motion_ms(record) if held else None,
        _noticed_ms(record, after),
        _rest_ms(record) if held else None,
    )


def passes(observed: Observed, expected: Expected) -> bool:
    """Whether it is what was expected, in time."""
    in_time = expected.within_ms is None or (observed.hold_ms is not None and observed.hold_ms <= expected.within_ms)
    ended = observed.ends.startswith(expected.ends) if expected.ends else not observed.ends
    return observed.driver == expected.driver and expected.says in observed.says and ended and in_time


def _driver(record: Record, after: Sequence[Said]) -> str:
    """What the driver does in the end: a latched state counts from when it was reached."""
    last_ns = after[-1].at_ns if after else record.caused_ns
    if record.until_ns - last_ns > _DEAD_NS:
        return "dead"
    for state, word in _WORDS.items():
        if any(said.state == state for said in after):
            return word
    if record.ends.startswith(("time_limit", "success")):
        return "moves"
    return "holds" if after[-1].state == DriverState.HOLDING else "moves"


def _says(record: Record, after: Sequence[Said], wanted: str) -> str:
    """The name that was expected, if it was said anywhere; else the first that was."""
    named = [fault for said in after for fault in said.faults]
    for text in (*named, *record.ceilings, *(name for name, count in record.counts.items() if count > 0)):
        if wanted and text.startswith(wanted):
            return text if text in named else wanted
    return named[0] if named else ""


def _last_motion_ms(record: Record) -> float:
    before = None
    last_ns = record.caused_ns
    for at_ns, position in record.commands:
        moved = before is not None and np.abs(position - before)[_ARMS].max() > _STILL_RAD
        if moved and at_ns > record.caused_ns:
            last_ns = at_ns
        before = position
    return (last_ns - record.caused_ns) * 1e-6


def _noticed_ms(record: Record, after: Sequence[Said]) -> float | None:
    noticed = (said.at_ns for said in after if said.state != DriverState.TRACKING)
    first_ns = next(noticed, None)
    return None if first_ns is None else (first_ns - record.caused_ns) * 1e-6


def _rest_ms(record: Record) -> float | None:
    after = [(at_ns, speed) for at_ns, speed in record.speeds if at_ns > record.caused_ns and np.isfinite(speed)]
    if not after or after[-1][1] > _REST_RAD_S:
        return None
    moving = [at_ns for at_ns, speed in after if speed > _REST_RAD_S]
    return (moving[-1] - record.caused_ns) * 1e-6 if moving else 0.0
