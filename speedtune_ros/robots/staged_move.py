"""A slow, smooth move from one pose to another: how arms that are far from a start get there."""

from __future__ import annotations

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT, GRIPPERS, NUM_JOINTS
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.types import Trajectory, checked

_PEAK = 15.0 / 8.0  # largest rate of a minimum-jerk profile over its mean one (Flash and Hogan 1985)
_GRIPPER_SPEED = 1.0  # [1/s]
_SHORTEST = 0.1  # [s]


def staged_move(
    start: np.ndarray, goal: np.ndarray, speed: float, start_ns: int, dt: float = CONTROL_DT, sequence: int = 0
) -> Trajectory:
    """A minimum-jerk move from `start` to `goal` (14,), each at rest, no arm joint faster than `speed` [rad/s].

    Its progress stays 0, as it is no part of a demonstration. Raises InvalidInputError.
    """
    start, goal = checked("start", start, (NUM_JOINTS,)), checked("goal", goal, (NUM_JOINTS,))
    if not (np.isfinite(speed) and speed > 0.0):
        raise InvalidInputError(f"move speed: expected a finite number above 0 [rad/s], got {speed}")
    step = goal - start
    arms, grippers = list(ARMS), list(GRIPPERS)
    needed = max(np.abs(step[arms]).max() / speed, np.abs(step[grippers]).max() / _GRIPPER_SPEED) * _PEAK
    count = max(2, int(np.ceil(max(needed, _SHORTEST) / dt)) + 1)
    times = dt * np.arange(count)
    u = times / times[-1]
    blend = u**3 * (10.0 - 15.0 * u + 6.0 * u**2)
    rate = 30.0 * u**2 * (1.0 - u) ** 2 / times[-1]
    moving = np.append(np.ones(count - 1), 0.0)
    return Trajectory(
        start_ns=start_ns,
        times=times,
        positions=start + blend[:, None] * step,
        velocities=rate[:, None] * step,
        progress=np.zeros(count),
        speeds=moving,
        sequence=sequence,
    )
