"""Where execution enters a new chunk, and what the change-over costs.

The policy sees the measured state, which trails the command by `lag`. In a demonstration the command leads the
state by `lag` as well, so at speed `sdot` the arms are commanded (sdot - 1) * lag of demonstration time further along
than the new chunk assumes. Entering at the demonstration time consumed since the observation would step backwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from speedtune_ros.aloha import ARMS, GRIPPERS, NUM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.retiming.retimer import Splice
from speedtune_ros.types import TargetKind

METHODS = ("nearest", "consumed")
_ARMS = np.array(ARMS)
_STILL = 1e-6  # [rad/s] below which motion has no direction
_SLOW = 0.05  # [rad/s] below which distance along the path says little about demonstration time


@dataclass(frozen=True)
class HandoverConfig:
    """How the entry point is chosen."""

    method: str = option("nearest", "where to enter a new chunk", choices=METHODS)
    tolerance: float = option(1e-3, "distance that counts as equally near [rad]", minimum=0.0, maximum=0.1)
    gripper_weight: float = option(0.5, "distance of a full gripper stroke [rad]", minimum=0.0, maximum=10.0)


class Jump(NamedTuple):
    """What the arms feel at a hand-over: largest jump over arm joints in position [rad] and velocity [rad/s],
    step against the direction of motion [rad], and demonstration time gained by the jump (lost if negative) [s]."""

    position: float
    velocity: float
    backward: float
    slip: float


def window(splice: Splice, kind: TargetKind) -> tuple[float, float]:
    """Demonstration time in the chunk between which execution may enter [s], before clipping to the chunk."""
    lead = splice.speed - 1.0 if kind is TargetKind.COMMAND else splice.speed
    return splice.consumed, splice.consumed + max(lead, 0.0) * splice.lag


class Handover:
    """Finds the entry point: `nearest` to the current command within the window, or at what was `consumed`."""

    def __init__(self, config: HandoverConfig) -> None:
        self.config = config
        self._weights = np.ones(NUM_JOINTS)
        self._weights[list(GRIPPERS)] = config.gripper_weight

    def entry(self, path: np.ndarray, first: float, dt: float, splice: Splice, kind: TargetKind) -> float:
        """Demonstration time [s] at which to enter path (k, 14), whose knots lie at first + i*dt."""
        low, high = ((s - first) / dt for s in window(splice, kind))
        last = len(path) - 1.0
        low, high = min(max(low, 0.0), last), min(max(high, 0.0), last)
        if self.config.method == "nearest" and high > low:
            low = self._nearest(path, splice.position, low, high)
        return first + low * dt

    def _nearest(self, path: np.ndarray, position: np.ndarray, low: float, high: float) -> float:
        """The smallest x in [low, high] (in knots) whose squared distance is the least one's plus tolerance**2.

        Squared, so that stepping back to the smallest x costs at most `tolerance` however far off the path we are.
        """
        a, b = int(low), max(math.ceil(high), int(low) + 1)
        relative = (path[a:b] - position) * self._weights
        along = (path[a + 1 : b + 1] - path[a:b]) * self._weights
        rr = np.einsum("ij,ij->i", relative, relative)
        rd = np.einsum("ij,ij->i", relative, along)
        dd = np.einsum("ij,ij->i", along, along)
        start, stop = np.zeros(b - a), np.ones(b - a)
        start[0], stop[-1] = low - a, high - (b - 1)
        u = np.where(dd > 0.0, -rd / np.maximum(dd, 1e-300), start)
        u = np.minimum(np.maximum(u, start), stop)
        squared = rr + u * (2.0 * rd + u * dd)
        enough = float(squared.min()) + self.config.tolerance**2
        j = int(np.argmax(squared <= enough))
        return a + j + _first_within(float(rr[j]), float(rd[j]), float(dd[j]), float(start[j]), enough)


def _first_within(rr: float, rd: float, dd: float, start: float, enough: float) -> float:
    """The smallest u >= start with rr + 2 u rd + u**2 dd <= enough, known to exist."""
    if dd == 0.0 or rr + start * (2.0 * rd + start * dd) <= enough:
        return start
    return max(start, (-rd - math.sqrt(max(rd * rd - dd * (rr - enough), 0.0))) / dd)


def jump(splice: Splice, position: np.ndarray, velocity: np.ndarray, speed: float) -> Jump:
    """Measure the change from `splice` to a trajectory starting at position, velocity (14,) with `sdot` speed."""
    step = (position - splice.position)[_ARMS]
    change = (velocity - splice.velocity)[_ARMS]
    before, after = splice.velocity[_ARMS], velocity[_ARMS]
    pace = math.sqrt(before.dot(before))
    backward = max(0.0, -float(step.dot(before)) / pace) if pace > _STILL else 0.0
    # after = q' * speed, so step . q' / (q' . q') = step . after * speed / (after . after)
    slip = float(step.dot(after)) * speed / (float(after.dot(after)) + (_SLOW * speed) ** 2) if speed > 0.0 else 0.0
    return Jump(float(np.abs(step).max()), float(np.abs(change).max()), backward, slip)
