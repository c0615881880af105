"""The arm driver node: ticks the robot's control loop from its own thread, with no images in its process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.config import option
from speedtune_ros.errors import MissingDependencyError
from speedtune_ros.nodes.cadence import Cadence
from speedtune_ros.nodes.driver_port import DriverPort
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.robots.driver import Driver

if TYPE_CHECKING:
    from speedtune_ros.robots.robot import Robot

_BACKENDS = ("interbotix", "mujoco")


@dataclass(frozen=True)
class ArmDriverConfig:
    """Which arms."""

    backend: str = option("interbotix", "real arms, or simulated ones behind the same driver", choices=_BACKENDS)
    task: str = option("transfer_cube", "scene of the simulated arms")
    profile: str = option("hardware", "dynamics profile whose limits are enforced")
    episode_timeout_s: float = option(
        1.0, "a running episode holds if the episode node is silent so long", minimum=0.3, maximum=60.0
    )


class ArmDriverNode(StageNode[ArmDriverConfig]):
    """Joint states out, trajectories in, one guarded command a tick."""

    def __init__(self) -> None:
        super().__init__("arm_driver", ArmDriverConfig)
        self._robot = make_robot(self.config)
        start = self._robot.state().qpos
        self._port = DriverPort(
            self, Driver(self._robot.limits, start, CONTROL_DT), start, self.config.episode_timeout_s
        )
        self._cadence = Cadence(CONTROL_DT, self.guarded(self._tick), "control")
        self._cadence.start()

    def _tick(self) -> None:
        state = self._robot.state()
        self._port.publish_state(state)
        self._robot.command(self._port.tick(state, self._cadence.missed, time.time_ns()))

    def diagnose(self) -> dict[str, object]:
        late = " ".join(f"{value:.3f}" for value in self._cadence.take_lateness())
        return {"ticks": self._cadence.ticks, "missed_ticks": self._cadence.missed, "tick_lateness_ms": late}

    def close(self) -> None:
        self._cadence.stop()
        self._robot.close()


def make_robot(config: ArmDriverConfig) -> Robot:
    """The robot behind the driver. Raises MissingDependencyError where its support is not there."""
    if config.backend == "interbotix":
        raise MissingDependencyError(
            "backend 'interbotix' comes with the real-robot support, which is not in this release; use robot:=sim, "
            "or backend:=mujoco for simulated arms behind this driver"
        )
    from speedtune_ros.nodes.simulated_arms import SimulatedArms

    return SimulatedArms(config.task, config.profile)


def main() -> int:
    return run(ArmDriverNode)


if __name__ == "__main__":
    raise SystemExit(main())
