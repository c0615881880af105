"""The robot interface, and what a dynamics profile allows it to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from speedtune_ros.types import RobotState


@dataclass(frozen=True)
class Limits:
    """What the motion guard enforces, all (14,): position [rad; gripper 0 to 1], velocity [rad/s; gripper 1/s].

    An infinite velocity means that the profile leaves the limit to the simulator.
    """

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray


class Robot(Protocol):
    """Two arms that follow joint targets; a simulator or hardware."""

    @property
    def limits(self) -> Limits: ...

    def state(self) -> RobotState:
        """What the arms measure now."""

    def command(self, targets: np.ndarray) -> None:
        """Send (14,) joint targets that the motion guard has passed."""

    def close(self) -> None:
        """Leave the arms holding and release the connection."""
