"""The retimer interface: a chunk, where the arms are commanded to be, and a ceiling in; a trajectory out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from speedtune_ros.types import Chunk, RetimeReport, Trajectory


@dataclass(frozen=True)
class Splice:
    """The commanded motion a new trajectory must continue from.

    start_ns: when it takes over; position, velocity (14,): commanded there (zero velocity at rest);
    speed: `sdot` executed there (0 at rest); progress: demonstration time in the episode [s] there;
    consumed: demonstration time executed since the chunk's observation [s]; lag: by how much the measured
    state trails the command [s]; cruise: the stop begins at the latest this long after the start [s].
    """

    start_ns: int
    position: np.ndarray
    velocity: np.ndarray
    speed: float
    progress: float
    consumed: float
    lag: float = 0.0
    cruise: float = math.inf


@dataclass(frozen=True)
class Ceiling:
    """The largest `sdot` allowed and the name of what set it: policy, latency, firmware, operator, ...

    joint: whose limit it is, where it is a joint's.
    """

    speed: float
    source: str = "policy"
    joint: str = ""


@dataclass(frozen=True)
class Retiming:
    """A trajectory and the report on how it came about."""

    trajectory: Trajectory
    report: RetimeReport


class Retimer(Protocol):
    """Turns chunks into trajectories. Pure: the same inputs give the same trajectory."""

    @property
    def name(self) -> str: ...

    def brake_distance(self, speed: float) -> float:
        """Demonstration time [s] needed to stop from `speed` on the path."""

    def retime(self, chunk: Chunk, splice: Splice, ceiling: Ceiling) -> Retiming:
        """Re-time the chunk's first candidate from `splice` on. Infeasibility is a reason in the report."""


# Where each retimer's factory is: (RetimerConfig, velocity limits (14,) or None) -> Retimer.
FACTORIES: dict[str, str] = {
    "linear": "speedtune_ros.retiming.linear:make",
}
