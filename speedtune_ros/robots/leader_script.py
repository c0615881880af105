"""Leaders that move without hands: a plan, a rest, the way back, a rest, over and over."""

from __future__ import annotations

import numpy as np

from speedtune_ros.aloha import CONTROL_DT, NUM_JOINTS
from speedtune_ros.robots.staged_move import staged_move
from speedtune_ros.sampling import sample
from speedtune_ros.types import Trajectory, checked


class LeaderScript:
    """Where leaders are at a time [s]: from `start` to the plan's first pose first, then round and round.

    plan (T, 14): poses at the control rate; rest [s]: before the plan, after it; speed: of the moves between [rad/s].
    """

    def __init__(self, start: np.ndarray, plan: np.ndarray, rest: float, speed: float) -> None:
        plan = checked("plan", plan, (None, NUM_JOINTS))
        count = len(plan)
        ones = np.ones(count)
        velocities = np.gradient(plan, CONTROL_DT, axis=0)
        times = CONTROL_DT * np.arange(count)
        self._rest = rest
        self._approach = staged_move(start, plan[0], speed, 0)
        self._plan = Trajectory(0, times, plan, velocities, np.zeros(count), ones)
        self._back = staged_move(plan[-1], plan[0], speed, 0)
        self.round = 2.0 * rest + self._plan.duration + self._back.duration  # [s]

    @property
    def begins(self) -> float:
        """When the plan is played first [s]."""
        return self._approach.duration + self._rest

    def at(self, time: float) -> np.ndarray:
        """(14,)."""
        if time < self._approach.duration:
            return _sampled(self._approach, time)
        time = (time - self._approach.duration) % self.round - self._rest
        if time < self._plan.duration + self._rest:
            return _sampled(self._plan, max(time, 0.0))
        return _sampled(self._back, time - self._plan.duration - self._rest)


def _sampled(trajectory: Trajectory, time: float) -> np.ndarray:
    return sample(trajectory, round(time * 1e9)).position
