"""The robot interface, and what a dynamics profile allows it to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from speedtune_ros.robots.health import Health
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


class ManagedRobot(Robot, Protocol):
    """A robot that must be looked at before it is moved, and that can tell what is wrong with it."""

    def configure(self) -> str:
        """Check the arms and move nothing; a summary for the operator. Raises SpeedtuneError."""

    def activate(self) -> None:
        """Take the arms over: from now on they hold or follow commands. Raises SpeedtuneError."""

    def deactivate(self) -> None:
        """Give the arms back as they were found, holding."""

    def posture(self) -> np.ndarray:
        """The command (14,) that keeps the arms where they are."""

    @property
    def sleep(self) -> np.ndarray:
        """The command (14,) that takes the arms to where they may lose their torque; known once configured."""

    def recover(self) -> np.ndarray:
        """Make the arms fit to move after a fault; their posture then (14,). Raises SpeedtuneError."""

    def health(self) -> Health:
        """What is wrong now, and how fast the motors allow the arms to be."""
