"""Moves the simulated leaders of `xs_sim` as the task's expert would: teleoperation to try without hands."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.config import option
from speedtune_ros.nodes.cadence import Cadence
from speedtune_ros.nodes.interbotix_link import InterbotixLink
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.spinner import Spinner
from speedtune_ros.registry import make_simulation
from speedtune_ros.robots.feedback import FeedbackConfig, FeedbackMonitor
from speedtune_ros.robots.gripper import LEADER_GRIPPERS, leader_gripper
from speedtune_ros.robots.interbotix import ARM_GROUP, LEADERS
from speedtune_ros.robots.leader_script import LeaderScript
from speedtune_ros.robots.teleoperation import targets
from speedtune_ros.types import Episode

_PATIENCE_S = 60.0


@dataclass(frozen=True)
class LeaderScriptConfig:
    """Whose plan, and how it is repeated."""

    task: str = option("transfer_cube", "whose expert's plan is played")
    seed: int = option(0, "of the scene it is made for", minimum=0)
    gripper: str = option("aloha_1", "the leaders' grippers", choices=tuple(LEADER_GRIPPERS))
    rest_s: float = option(3.0, "at rest before and after the plan", minimum=0.0, maximum=600.0)
    speed_rad_s: float = option(0.5, "joint speed of the way to the plan's first pose", minimum=0.01, maximum=3.0)


class LeaderScriptNode(StageNode[LeaderScriptConfig]):
    """Commands the leaders from its own thread, through a node of its own that another thread spins."""

    def __init__(self) -> None:
        super().__init__("leader_script", LeaderScriptConfig)
        self._gripper = leader_gripper(self.config.gripper)
        self._hands = Node("_leader_script_hands", use_global_arguments=False, start_parameter_services=False)
        now, feedback = time.monotonic(), FeedbackConfig()
        self._links = [InterbotixLink(self._hands, arm, FeedbackMonitor(arm, feedback, now), 5.0) for arm in LEADERS]
        self._script: LeaderScript | None = None
        self._cadence = Cadence(CONTROL_DT, self.guarded(self._tick), "hands")
        self._spinner = Spinner(self._hands).start()
        self._thread = threading.Thread(target=self.guarded(self._begin), daemon=True)
        self._thread.start()

    def _begin(self) -> None:
        """Take hold of the leaders where they are, and play."""
        config = self.config
        simulation = make_simulation(config.task, "hardware", {})
        try:
            plan = simulation.demonstration(Episode("", config.task, config.seed))
        finally:
            simulation.close()
        deadline = time.monotonic() + _PATIENCE_S
        for link in self._links:
            link.wait(deadline)
            link.set_mode(ARM_GROUP, "position")
            link.torque_on()
        left, right = (link.fresh().joints for link in self._links)
        self._script = LeaderScript(targets(left, right, self._gripper), plan, config.rest_s, config.speed_rad_s)
        self._began = time.monotonic()
        self._cadence.start()

    def _tick(self) -> None:
        assert self._script is not None
        pose = self._script.at(time.monotonic() - self._began)
        for link, own in zip(self._links, (pose[:7], pose[7:])):
            link.command(np.append(own[:6], self._gripper.joint.position(own[6])))

    def diagnose(self) -> dict[str, object]:
        if self._script is None:
            return {"playing": False}
        return {"playing": True, "elapsed_s": time.monotonic() - self._began, "round_s": self._script.round}

    def close(self) -> None:
        self._cadence.stop()
        self._spinner.close(2.0)
        self._thread.join(timeout=2.0)
        self._hands.destroy_node()


def main() -> int:
    return run(LeaderScriptNode)


if __name__ == "__main__":
    raise SystemExit(main())
