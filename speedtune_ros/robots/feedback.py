"""Whether an arm's joint states can be believed: failed reads, frozen values, silence, and arms that do not follow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from speedtune_ros.config import option
from speedtune_ros.robots.health import Rung, Trouble

_FAILED_READ = 1e-3  # [rad]: so near to -pi in every joint
_MOVING = 0.1  # [rad/s]: a joint that says it is so fast passes an encoder count within 16 ms


@dataclass(frozen=True)
class FeedbackConfig:
    """How long bad joint states are borne."""

    hold_s: float = option(0.1, "no good joint state for so long: hold", minimum=0.02, maximum=10.0)
    fault_s: float = option(1.0, "no good joint state for so long: fault", minimum=0.1, maximum=60.0)
    frozen_s: float = option(
        0.25,
        "joint states that never change for so long, while the arm is sent elsewhere or says it moves, are frozen",
        minimum=0.05,
        maximum=5.0,
    )
    frozen_rad: float = option(0.05, "how far elsewhere that is", minimum=0.005, maximum=1.0)
    tracking_rad: float = option(
        0.7, "an arm joint this far from its command does not follow", minimum=0.05, maximum=6.3
    )
    tracking_s: float = option(0.4, "for so long: fault", minimum=0.02, maximum=10.0)


class Reading(NamedTuple):
    """One joint state. joints (7,) [rad], finger [m], velocity (7,) [rad/s], current (7,) [mA], stamp [ns]."""

    joints: np.ndarray
    finger: float
    velocity: np.ndarray
    current: np.ndarray
    stamp_ns: int


class FeedbackMonitor:
    """Judges one arm's joint states; `now` is a steady clock's [s].

    `last` is the newest reading that can be believed.
    """

    def __init__(self, arm: str, config: FeedbackConfig, now: float) -> None:
        self.arm, self._config = arm, config
        self.last: Reading | None = None
        self.counts: Counter[str] = Counter()
        self._command: np.ndarray | None = None
        self.reset(now)

    def reset(self, now: float) -> None:
        """Begin anew, after a recovery for instance."""
        self._good_at = now
        self._reason = "bus_silence"
        self._same: Reading | None = None  # the first of those that are all the same
        self._parted: float | None = None  # since when the arm is sent elsewhere while they are
        self._commanded = self._command  # when the readings began to be the same
        self._strayed_since: float | None = None

    def commanded(self, joints: np.ndarray) -> None:
        """The arm is sent to joints (7,) [rad]."""
        self._command = joints

    def accept(self, reading: Reading, now: float) -> bool:
        """Whether the reading is good; otherwise it is counted under its reason."""
        reason = self._fault_of(reading, now)
        if reason:
            self._reason = reason
            self.counts[reason] += 1
            return False
        self.last, self._good_at, self._reason = reading, now, "bus_silence"
        return True

    def troubles(self, now: float) -> list[Trouble]:
        """What is wrong now."""
        found = []
        age = now - self._good_at
        if age > self._config.hold_s:
            rung = Rung.FAULT if age > self._config.fault_s else Rung.HOLD
            found.append(Trouble(self._reason, self.arm, rung, f"no good joint state for {age:.1f} s"))
        stray = self._stray(now)
        if stray > self._config.tracking_s:
            found.append(Trouble("tracking_error", self.arm, Rung.FAULT, f"{self._error():.2f} rad for {stray:.1f} s"))
        return found

    def _fault_of(self, reading: Reading, now: float) -> str:
        values = (reading.joints, reading.velocity, reading.current, reading.finger)
        if not all(np.isfinite(value).all() for value in values):
            return "not_finite"
        if (np.abs(reading.joints + np.pi) < _FAILED_READ).all():
            return "failed_read"
        return "frozen" if self._is_frozen(reading, now) else ""

    def _is_frozen(self, reading: Reading, now: float) -> bool:
        same = self._same
        if same is None or any((a != b).any() for a, b in zip(_values(same), _values(reading))):
            self._same, self._parted, self._commanded = reading, None, self._command
            return False
        if self._parted is None and (self._sent_elsewhere() or np.abs(reading.velocity).max() > _MOVING):
            self._parted = now
        if self._parted is None or now - self._parted < self._config.frozen_s:
            return False
        self._good_at = min(self._good_at, self._parted)
        return True

    def _sent_elsewhere(self) -> bool:
        """Whether the command has gone on since the readings began to be the same."""
        if self._commanded is None or self._command is None:
            return False
        return bool(np.abs(self._command - self._commanded).max() > self._config.frozen_rad)

    def _error(self) -> float:
        """How far the arm is from its command [rad], largest over arm joints."""
        if self.last is None or self._command is None:
            return 0.0
        return float(np.abs(self.last.joints - self._command)[:6].max())

    def _stray(self, now: float) -> float:
        """For how long it has been too far [s]."""
        if self._error() < self._config.tracking_rad:
            self._strayed_since = None
        elif self._strayed_since is None:
            self._strayed_since = now
        return 0.0 if self._strayed_since is None else now - self._strayed_since


def _values(reading: Reading) -> tuple[np.ndarray, ...]:
    return reading.joints, reading.velocity, reading.current
