"""The teleoperation node: leader arms lead the followers through the arm driver; marks make demonstrations of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from std_srvs.srv import Trigger

from speedtune_msgs.msg import DriverStatus
from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, SpeedtuneError
from speedtune_ros.nodes.arm_feed import ArmFeed
from speedtune_ros.nodes.cadence import Cadence
from speedtune_ros.nodes.conversions import joints_to_message, to_ns, trajectory_to_message
from speedtune_ros.nodes.demonstration import Demonstration
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.robots.feedback import FeedbackConfig, FeedbackMonitor
from speedtune_ros.robots.gripper import LEADER_GRIPPERS, leader_gripper
from speedtune_ros.robots.health import Rung, Trouble
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.robots.teleoperation import Mode, Teleoperation, TeleoperationConfig, distance, targets

_STATUS_S = 0.1
_ENDED = "the demonstration has ended"  # a hold, and no trouble
_LATCHED = {
    DriverStatus.INACTIVE: "the driver is inactive",
    DriverStatus.STOPPED: "stopped",
    DriverStatus.FAULT: "fault",
}


@dataclass(frozen=True)
class TeleopConfig:
    """Which leaders, and how the followers follow."""

    left: str = option("leader_left", "namespace of the left leader")
    right: str = option("leader_right", "namespace of the right leader")
    gripper: str = option("aloha_1", "the leaders' grippers", choices=tuple(LEADER_GRIPPERS))
    profile: str = option("hardware", "dynamics profile whose limits the followers keep")
    task: str = option("transfer_cube", "what is demonstrated")
    instruction: str = option("", "the same in words, for policies that read")
    hold_s: float = option(0.15, "no good joint state of a leader for so long: hold", minimum=0.02, maximum=10.0)
    release_s: float = option(1.0, "for so long: release, and wait until engaged again", minimum=0.1, maximum=60.0)
    frozen_s: float = option(
        0.25, "joint states that say motion and do not change for so long are frozen", minimum=0.05, maximum=5.0
    )
    driver_s: float = option(0.3, "no word from the arm driver for so long: hold", minimum=0.05, maximum=10.0)
    following: TeleoperationConfig = field(default_factory=TeleoperationConfig)


class TeleopNode(StageNode[TeleopConfig]):
    """Ticks at 50 Hz from its own thread; leaders, driver and marks are heard by the executor."""

    def __init__(self) -> None:
        super().__init__("teleop", TeleopConfig)
        config = self.config
        limits = make_profile(config.profile).limits
        if not np.isfinite(limits.velocity).all():
            raise ConfigError(f"profile '{config.profile}' has no limits: leaders need one that has, such as hardware")
        self._gripper = leader_gripper(config.gripper)
        feedback = FeedbackConfig(hold_s=config.hold_s, fault_s=config.release_s, frozen_s=config.frozen_s)
        now = time.monotonic()
        self._feeds = [ArmFeed(self, arm, FeedbackMonitor(arm, feedback, now)) for arm in (config.left, config.right)]
        self._lock = threading.RLock()
        self._teleoperation = Teleoperation(limits, config.following)
        self._driver: DriverStatus | None = None
        self._heard = now  # of the driver
        self._apart = (float("nan"), "")  # leaders from followers
        self._demonstration = Demonstration(self, config.task, config.instruction)
        self._trajectories = self.publisher("trajectory")
        self._targets = self.publisher("leader_states")
        self.listen("driver_status", self._keep_driver)
        self.create_service(Trigger, "teleop/engage", self._answering(self._engage))
        self.create_service(Trigger, "teleop/release", self._answering(self._release))
        self.create_service(Trigger, "teleop/start", self._answering(self._start))
        self.create_service(Trigger, "teleop/success", self._answering(lambda: self._mark(True, "success")))
        self.create_service(Trigger, "teleop/discard", self._answering(lambda: self._mark(False, "discarded")))
        self.every(_STATUS_S, self._publish_status)
        self._cadence = Cadence(CONTROL_DT, self.guarded(self._tick), "teleop")
        self._cadence.start()

    def _answering(self, action: Callable[[], str]) -> Callable[[Any, Any], Any]:
        """A service that does `action` and answers what it says, or why it was refused."""

        def serve(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                with self._lock:
                    response.message = action()
                response.success = True
                self.get_logger().info(response.message)
            except SpeedtuneError as error:
                self.refuse(error)
                response.message = str(error)
            return response

        return serve

    def _engage(self) -> str:
        if self._teleoperation.mode is not Mode.RELEASED:
            return f"engaged already: {self._teleoperation.mode.value}"
        now = time.monotonic()
        obstacles = [*self._latched(), *map(str, self._leader_troubles(now)), *self._driver_troubles(now)]
        target = self._target()
        if obstacles or target is None or self._driver is None:
            raise Refused("not_engaged", f"not engaged: {', '.join(obstacles) or 'no leaders were heard yet'}")
        command = np.asarray(self._driver.command)
        self._demonstration.prepare()
        self._demonstration.publish(self._driver_ns)
        self._teleoperation.engage(command, time.time_ns())
        apart, joint = distance(command, target)
        speed = self.config.following.approach_rad_s
        return f"approaching the leaders at {speed:g} rad/s at most, over {apart:.2f} rad ({joint}): hold them still"

    def _release(self) -> str:
        self._let_go("released")
        return "released: the followers hold"

    def _start(self) -> str:
        mode = self._teleoperation.mode
        if mode is not Mode.FOLLOWING:
            why = self._teleoperation.reason or f"leaders are {self._apart[0]:.2f} rad away ({self._apart[1]})"
            raise Refused("not_following", f"no demonstration can start while {mode.value}: {why}")
        self._demonstration.start(self._driver_ns + 1)
        self._demonstration.publish(self._driver_ns)
        return f"{self._demonstration.status.episode_id} runs"

    def _mark(self, success: bool, reason: str) -> str:
        self._demonstration.mark(success, reason, self._driver_ns)
        return f"{self._demonstration.status.episode_id}: {reason}"

    def _tick(self) -> None:
        with self._lock:
            target = self._target()
            if target is None or self._driver is None:
                return
            now_ns, now = time.time_ns(), time.monotonic()
            self._targets.publish(joints_to_message(now_ns, target))
            command = np.asarray(self._driver.command)
            self._apart = distance(command, target)
            if latched := self._latched():
                self._let_go(latched[0])
            leaders = self._leader_troubles(now)
            if gone := [str(trouble) for trouble in leaders if trouble.rung is Rung.FAULT]:
                self._let_go(f"fault: {', '.join(gone)}")
            before = self._teleoperation.mode
            if self._demonstration.marked and self._teleoperation.at_rest(now_ns):
                self._finish()
            troubles = [*map(str, leaders), *self._driver_troubles(now)]
            if self._demonstration.marked:
                troubles.append(_ENDED)
            name = self._demonstration.status.episode_id
            # A trajectory of a demonstration that the driver has still to hear of would be refused.
            if troubles or self._driver.episode_id == name:
                progress = self._demonstration.elapsed(now_ns)
                trajectory = self._teleoperation.tick(now_ns, command, target, troubles, progress)
                if trajectory is not None:
                    self._trajectories.publish(trajectory_to_message(trajectory, name))
            self._say_change(before)

    def _target(self) -> np.ndarray | None:
        """Where the leaders are, as far as they can be believed: (14,)."""
        readings = [feed.monitor.last for feed in self._feeds]
        if readings[0] is None or readings[1] is None:
            return None
        return targets(readings[0].joints, readings[1].joints, self._gripper)

    def _leader_troubles(self, now: float) -> list[Trouble]:
        found: list[Trouble] = []
        for feed in self._feeds:
            with feed.lock:
                found += feed.monitor.troubles(now)
        return found

    def _driver_troubles(self, now: float) -> list[str]:
        """Why the followers cannot move for the moment."""
        silence = now - self._heard
        if self._driver is None or silence > self.config.driver_s:
            return [f"no word from the arm driver for {silence:.1f} s"]
        return [f"the driver holds: {fault}" for fault in self._driver.faults]

    def _latched(self) -> list[str]:
        """Why nothing moves until somebody clears it."""
        if self._driver is None or self._driver.state not in _LATCHED:
            return []
        what = ": ".join(filter(None, [_LATCHED[self._driver.state], ", ".join(self._driver.faults)]))
        return [what]

    def _let_go(self, reason: str) -> None:
        """Release, and end a demonstration that runs, without success."""
        if self._teleoperation.mode is Mode.RELEASED:
            return
        self._teleoperation.release(reason)
        self.get_logger().warning(f"released: {reason}")
        self._conclude(reason)

    def _conclude(self, reason: str) -> None:
        """No demonstration any more: one that runs ends here."""
        demonstration = self._demonstration
        if demonstration.running and not demonstration.marked:
            demonstration.mark(False, reason, self._driver_ns)
        if demonstration.marked:
            self.get_logger().info(demonstration.finish())
        demonstration.idle()
        demonstration.publish(self._driver_ns)

    def _finish(self) -> None:
        """Tell the verdict, and follow on towards the next one."""
        self.get_logger().info(self._demonstration.finish())
        self._demonstration.prepare()
        self._demonstration.publish(self._driver_ns)

    def _say_change(self, before: Mode) -> None:
        after = self._teleoperation
        if after.mode is before:
            return
        text = f"{after.mode.value}{f': {after.reason}' if after.reason else ''}"
        if after.mode is Mode.RELEASED:  # by itself, after a hold
            self._conclude(after.reason)
            self.fail("released", after.reason)
        elif after.mode is Mode.HOLDING and after.reason != _ENDED:
            self.fail("holding", after.reason)
        else:
            self.get_logger().info(text)

    @property
    def _driver_ns(self) -> int:
        return 0 if self._driver is None else to_ns(self._driver.header.stamp)

    def _keep_driver(self, status: DriverStatus) -> None:
        with self._lock:
            self._driver, self._heard = status, time.monotonic()

    def _publish_status(self) -> None:
        with self._lock:
            if self._demonstration.running and not self._demonstration.marked:
                self._demonstration.publish(self._driver_ns)

    def diagnose(self) -> dict[str, object]:
        with self._lock:
            teleoperation, status = self._teleoperation, self._demonstration.status
            return {
                "mode": teleoperation.mode.value,
                "reason": teleoperation.reason,
                "demonstration": status.episode_id,
                "running": self._demonstration.running,
                "leaders_apart_rad": self._apart[0],
                "farthest_joint": self._apart[1],
                "missed_ticks": self._cadence.missed,
            }

    def level(self) -> tuple[bytes, str]:
        if self._teleoperation.mode is Mode.HOLDING:
            return b"\x01", f"holding: {self._teleoperation.reason}"
        return super().level()

    def close(self) -> None:
        self._cadence.stop()
        with self._lock:
            self._let_go("shut down")


def main() -> int:
    return run(TeleopNode)


if __name__ == "__main__":
    raise SystemExit(main())
