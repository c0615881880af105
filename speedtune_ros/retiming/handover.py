"""Where execution enters a new chunk, and what the change-over costs.

The policy sees the measured state, which trails the command by `lag`. In a demonstration the command leads the
state by `lag` as well, so at speed `sdot` the arms are commanded (sdot - 1) * lag of demonstration time further along
than the new chunk assumes. Entering at the demonstration time consumed since the observation would step backwards.
A learned chunk also begins a little early or late. `slack` lets execution catch up with one that begins early, which
otherwise repeats its own past for ever where friction hides small steps from the observation; SpeedTuning's released
code enters at the nearest of the first three targets (https://daivdyuan.github.io/speed-tuning/).
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
_ARMS = np.isin(np.arange(NUM_JOINTS), ARMS).astype(float)
_STILL = 1e-6  # [rad/s] below which motion has no direction
_SLOW = 0.05  # [rad/s] below which distance along the path says little about demonstration time


@dataclass(frozen=True)
class HandoverConfig:
    """How the entry point is chosen."""

    method: str = option("nearest", "where to enter a new chunk", choices=METHODS)
    tolerance: float = option(1e-3, "distance that counts as equally near [rad]", minimum=0.0, maximum=0.1)
    gripper_weight: float = option(0.5, "distance of a full gripper stroke [rad]", minimum=0.0, maximum=10.0)
    slack: float = option(0.04, "how much further `nearest` may enter [s of demonstration]", minimum=0.0, maximum=1.0)


class Jump(NamedTuple):
    """What the arms feel at a hand-over: largest jump over arm joints in position [rad] and velocity [rad/s],
    step against the direction of motion [rad], and demonstration time gained by the jump (lost if negative) [s]."""

    position: float
    velocity: float
    backward: float
    slip: float


def window(splice: Splice, kind: TargetKind, slack: float = 0.0) -> tuple[float, float]:
    """Demonstration time in the chunk between which execution may enter [s], before clipping to the chunk."""
    lead = splice.speed - 1.0 if kind is TargetKind.COMMAND else splice.speed
    return splice.consumed, splice.consumed + max(lead, 0.0) * splice.lag + slack


class Handover:
    """Finds the entry point: `nearest` to the current command within the window, or at what was `consumed`."""

    def __init__(self, config: HandoverConfig) -> None:
        self.config = config
        self._weights = np.ones(NUM_JOINTS)
        self._weights[list(GRIPPERS)] = config.gripper_weight

    def entry(self, path: np.ndarray, first: float, dt: float, splice: Splice, kind: TargetKind) -> float:
        """Demonstration time [s] at which to enter path (k, 14), whose knots lie at first + i*dt."""
        low, high = window(splice, kind, self.config.slack)
        last = len(path) - 1.0
        low, high = min(max((low - first) / dt, 0.0), last), min(max((high - first) / dt, 0.0), last)
        if self.config.method == "nearest" and high > low:
            low = self._nearest(path, splice.position, low, high)
        return first + low * dt

    def _nearest(self, path: np.ndarray, position: np.ndarray, low: float, high: float) -> float:
        """The smallest x in [low, high] (in knots) whose squared distance is the least one's plus tolerance**2.

        Squared, so that stepping back to the smallest x costs at most `tolerance` however far off the path we are.
        On a segment the squared distance is rr + 2 u rd + u**2 dd, u in [0, 1]. A window has few segments: plain
        numbers are faster than arrays.
        """
        a, b = int(low), math.ceil(high)
        relative = (path[a : b + 1] - position) * self._weights
        along = relative[1:] - relative[:-1]
        relative = relative[:-1]
        rr = np.einsum("ij,ij->i", relative, relative).tolist()
        rd = np.einsum("ij,ij->i", relative, along).tolist()
        dd = np.einsum("ij,ij->i", along, along).tolist()
        least = math.inf
        squared = []
        for i in range(b - a):
            start, stop = max(low - a - i, 0.0), min(high - a - i, 1.0)
            u = min(max(-rd[i] / dd[i], start), stop) if dd[i] > 0.0 else start
            squared.append(rr[i] + u * (2.0 * rd[i] + u * dd[i]))
            least = min(least, squared[-1])
        enough = least + self.config.tolerance**2
        i = next(i for i, value in enumerate(squared) if value <= enough)
        return a + i + _first_within(rr[i], rd[i], dd[i], max(low - a - i, 0.0), enough)


def _first_within(rr: float, rd: float, dd: float, start: float, enough: float) -> float:
    """The smallest u >= start with rr + 2 u rd + u**2 dd <= enough, known to exist."""
    if dd == 0.0 or rr + start * (2.0 * rd + start * dd) <= enough:
        return start
    return max(start, (-rd - math.sqrt(max(rd * rd - dd * (rr - enough), 0.0))) / dd)


def jump(splice: Splice, position: np.ndarray, velocity: np.ndarray, speed: float) -> Jump:
    """Measure the change from `splice` to a trajectory starting at position, velocity (14,) with `sdot` speed."""
    step = (position - splice.position) * _ARMS
    change = (velocity - splice.velocity) * _ARMS
    before, after = splice.velocity * _ARMS, velocity * _ARMS
    pace = math.sqrt(before.dot(before))
    if pace < _STILL:  # from rest there is nothing to step back from or to gain
        return Jump(float(np.abs(step).max()), float(np.abs(change).max()), 0.0, 0.0)
    backward = max(0.0, -float(step.dot(before)) / pace)
    # after = q' * speed, so step . q' / (q' . q') = step . after * speed / (after . after)
    slip = float(step.dot(after)) * speed / (float(after.dot(after)) + (_SLOW * speed) ** 2) if speed > 0.0 else 0.0
    return Jump(float(np.abs(step).max()), float(np.abs(change).max()), backward, slip)
