"""Trajectories at an instant: cubic Hermite sampling, and a player that goes from one trajectory to the next."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.types import Setpoint, Trajectory

_REST = np.zeros(NUM_JOINTS)
_REST.flags.writeable = False


def hold(position: np.ndarray, start_ns: int, progress: float = 0.0, sequence: int = 0) -> Trajectory:
    """A trajectory that stays at position (14,) at rest."""
    still, here = np.zeros((1, NUM_JOINTS)), np.full(1, progress)
    return Trajectory(start_ns, np.zeros(1), np.array(position)[None], still, here, np.zeros(1), 0, sequence)


def sample(trajectory: Trajectory, now_ns: int) -> Setpoint:
    """The trajectory at `now_ns`: its first point before it starts, its last point at rest once it has ended.

    Exactly the trajectory's own positions at its points. Arrays may be views: do not write into them.
    """
    elapsed = (now_ns - trajectory.start_ns) / 1e9
    times = trajectory.times
    if elapsed >= times[-1]:
        return Setpoint(trajectory.positions[-1], _REST, float(trajectory.progress[-1]), 0.0)
    i = max(bisect_right(times, elapsed) - 1, 0)
    offset = max(elapsed - times[i], 0.0)
    if offset == 0.0:
        return Setpoint(
            trajectory.positions[i],
            trajectory.velocities[i],
            float(trajectory.progress[i]),
            float(trajectory.speeds[i]),
        )
    return _between(trajectory, i, float(offset))


def _between(trajectory: Trajectory, i: int, offset: float) -> Setpoint:
    """Cubic Hermite `offset` [s] after point i, with step h and u = offset / h:

    q = p0 + u (h m0 + u ((3 d - 2 m0 - m1) h + u (m0 + m1 - 2 d) h)),  d = (p1 - p0) / h
    """
    h = float(trajectory.times[i + 1] - trajectory.times[i])
    u = offset / h
    start, m0, m1 = trajectory.positions[i], trajectory.velocities[i], trajectory.velocities[i + 1]
    d = (trajectory.positions[i + 1] - start) / h
    square = 3.0 * d - 2.0 * m0 - m1
    cube = m0 + m1 - 2.0 * d
    position = start + offset * (m0 + u * (square + u * cube))
    velocity = m0 + u * (2.0 * square + 3.0 * u * cube)
    progress, speeds = trajectory.progress, trajectory.speeds
    return Setpoint(
        position,
        velocity,
        float(progress[i] + u * (progress[i + 1] - progress[i])),
        float(speeds[i] + u * (speeds[i + 1] - speeds[i])),
    )


class Player:
    """Plays a trajectory until the next one, loaded ahead of time, takes over at its start."""

    def __init__(self, trajectory: Trajectory) -> None:
        self._queue = [trajectory]

    @property
    def latest(self) -> Trajectory:
        """The trajectory that will play last."""
        return self._queue[-1]

    def load(self, trajectory: Trajectory) -> None:
        """Replace everything from the trajectory's start on; what plays before it stays."""
        kept = [other for other in self._queue if other.start_ns < trajectory.start_ns]
        self._queue = [*kept, trajectory]

    def play(self, now_ns: int) -> Trajectory:
        """The trajectory in force at `now_ns`; those it replaced are forgotten, so time must not go back."""
        while len(self._queue) > 1 and self._queue[1].start_ns <= now_ns:
            del self._queue[0]
        return self._queue[0]

    def peek(self, stamp_ns: int) -> Setpoint:
        """What would be commanded at `stamp_ns`, which may lie ahead."""
        trajectory = self._queue[0]
        for other in self._queue[1:]:
            if other.start_ns > stamp_ns:
                break
            trajectory = other
        return sample(trajectory, stamp_ns)
