"""Arms that pursue a moving target smoothly, a short trajectory at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT, NUM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.robots.robot import Limits
from speedtune_ros.types import Setpoint, Trajectory

_ARMS = np.array(ARMS)


@dataclass(frozen=True)
class PursuitConfig:
    """How closely targets are pursued, and what happens when no new one comes."""

    lag_s: float = option(0.04, "about how far behind a steadily moving target the arms are", minimum=0.01, maximum=1.0)
    coast_s: float = option(0.02, "without a new target: time at the last velocity", minimum=0.0, maximum=0.2)
    brake_s: float = option(0.1, "time to rest after that", minimum=0.02, maximum=1.0)


class Pursuit:
    """A critically damped spring between arms and target, w = 2 / lag:

    x'' = w**2 (target - x) - 2 w x'

    For a target that stays, over a step h, with e = x - target and b = v + w e:  v(h) = (b - w (e + b h)) exp(-w h).
    A velocity above the ceiling slows all joints alike, so that the arms keep their direction. No arm joint is ever so
    fast that it could not come to rest inside its limits.
    """

    def __init__(self, limits: Limits, config: PursuitConfig = PursuitConfig(), dt: float = CONTROL_DT) -> None:
        self._dt, self._spring = dt, 2.0 / config.lag_s
        self._times = np.cumsum([0.0, dt, *filter(None, [config.coast_s]), config.brake_s])
        self._stop = config.coast_s + config.brake_s / 2.0  # [s] at full velocity, as far as a stop takes
        self._lower, self._upper = np.full(NUM_JOINTS, -np.inf), np.full(NUM_JOINTS, np.inf)
        self._lower[_ARMS], self._upper[_ARMS] = limits.lower[_ARMS], limits.upper[_ARMS]

    def step(
        self,
        now: Setpoint,
        target: np.ndarray,
        ceiling: np.ndarray,
        start_ns: int,
        sequence: int,
        progress: float | None = None,
    ) -> Trajectory:
        """One control step towards `target` (14,) from the setpoint `now`, then to rest.

        ceiling (14,): largest velocities [rad/s; grippers 1/s]; progress: demonstration time at the start [s], None
        outside of one.
        """
        velocity = self._velocity(now, target, ceiling)
        position = now.position + 0.5 * self._dt * (now.velocity + velocity)
        coasted = [position + velocity * (t - self._dt) for t in self._times[2:-1]]
        rest = position + velocity * self._stop
        still = np.zeros(NUM_JOINTS)
        count = len(self._times)
        return Trajectory(
            start_ns=start_ns,
            times=self._times,
            positions=np.array([now.position, position, *coasted, rest]),
            velocities=np.array([now.velocity, *[velocity] * (count - 2), still]),
            progress=np.zeros(count) if progress is None else progress + self._times,
            speeds=np.append(np.ones(count - 1), 0.0),
            sequence=sequence,
        )

    def _velocity(self, now: Setpoint, target: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
        """The velocity (14,) at the end of the step."""
        w, h = self._spring, self._dt
        error = now.position - target
        b = now.velocity + w * error
        velocity = (b - w * (error + b * h)) * np.exp(-w * h)
        excess = float(np.max(np.abs(velocity) / np.maximum(ceiling, 1e-9)))
        velocity = velocity / max(excess, 1.0)
        # position + h/2 (v + velocity) + velocity * stop must stay inside
        reach = now.position + 0.5 * h * now.velocity
        room = 0.5 * h + self._stop
        return np.clip(velocity, (self._lower - reach) / room, (self._upper - reach) / room)
