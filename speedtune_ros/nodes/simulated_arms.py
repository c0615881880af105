"""Simulated arms behind the arm driver: the robot interface on the system clock, without a scene's reward."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from speedtune_ros.registry import make_simulation
from speedtune_ros.robots.health import HEALTHY, Health
from speedtune_ros.robots.interbotix import ASLEEP
from speedtune_ros.robots.robot import Limits
from speedtune_ros.types import RobotState


class SimulatedArms:
    """Implements ManagedRobot: each command runs one control tick of physics; nothing can be wrong."""

    def __init__(self, task: str, profile: str) -> None:
        self._simulation = make_simulation(task, profile)

    @property
    def limits(self) -> Limits:
        return self._simulation.limits

    def state(self) -> RobotState:
        """The state now, stamped with the system's clock as hardware would be."""
        return dataclasses.replace(self._simulation.observe(images=False).state, stamp_ns=time.time_ns())

    def command(self, targets: np.ndarray) -> None:
        self._simulation.step(targets)

    def configure(self) -> str:
        return "simulated arms"

    def activate(self) -> None:
        """They hold already."""

    def deactivate(self) -> None:
        """They go on holding."""

    def posture(self) -> np.ndarray:
        return self._simulation.observe(images=False).state.qpos

    @property
    def sleep(self) -> np.ndarray:
        return np.array(ASLEEP)

    def recover(self) -> np.ndarray:
        return self.posture()

    def health(self) -> Health:
        return HEALTHY

    def close(self) -> None:
        self._simulation.close()
