"""How long the arms take to follow: the one number hand-over needs about a robot's dynamics."""

from __future__ import annotations

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT

LONGEST = 0.5  # [s]
RESOLUTION = 0.002  # [s]


def command_lag(commands: np.ndarray, states: np.ndarray) -> float:
    """The delay [s] of `commands` (n, 14) that best matches `states` (n, 14), in least squares over the arm joints.

    Row i of both belongs to control tick i: the state measured then, and the command sent on it.
    """
    ticks = np.arange(len(commands)) * CONTROL_DT
    delays = np.arange(0.0, LONGEST, RESOLUTION)
    return min(delays.tolist(), key=lambda delay: _misfit(ticks, commands, states, delay))


def _misfit(ticks: np.ndarray, commands: np.ndarray, states: np.ndarray, delay: float) -> float:
    delayed = np.stack([np.interp(ticks - delay, ticks, commands[:, joint]) for joint in ARMS], axis=1)
    return float(np.square(delayed - states[:, ARMS]).sum())
