"""The arm driver node: ticks the robot's control loop from its own thread, with no images in its process.

A managed (lifecycle) node: configuring looks at the arms, activating takes them over, deactivating gives them back
holding. By default it does the first two by itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, SpeedtuneError
from speedtune_ros.nodes.cadence import Cadence
from speedtune_ros.nodes.conversions import joints_to_message
from speedtune_ros.nodes.driver_port import DriverPort
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.realtime import raise_priority
from speedtune_ros.robots.driver import Driver, DriverState
from speedtune_ros.robots.interbotix_config import InterbotixConfig
from speedtune_ros.robots.measured_limits import MeasuredLimits, narrowed

if TYPE_CHECKING:
    from speedtune_ros.robots.robot import Limits, ManagedRobot

_BACKENDS = ("interbotix", "mujoco")


@dataclass(frozen=True)
class ArmDriverConfig:
    """Which arms."""

    backend: str = option("interbotix", "real arms, or simulated ones behind the same driver", choices=_BACKENDS)
    task: str = option("transfer_cube", "scene of the simulated arms")
    profile: str = option("hardware", "dynamics profile whose limits are enforced")
    rate_hz: float = option(50.0, "commands a second; simulated arms take 50 alone", minimum=50.0, maximum=200.0)
    realtime_priority: int = option(20, "of real arms' driver, where allowed; 0: none", minimum=0, maximum=90)
    autostart: bool = option(True, "configure and activate at once, and end if that fails")
    episode_timeout_s: float = option(
        1.0, "a running episode holds if the episode node is silent so long", minimum=0.3, maximum=60.0
    )
    limits: MeasuredLimits = field(default_factory=MeasuredLimits)
    beat_timeout_s: float = option(
        0.1,
        "a running episode holds while the retimer, a policy or the episode node is silent so long",
        minimum=0.05,
        maximum=60.0,
    )
    interbotix: InterbotixConfig = field(default_factory=InterbotixConfig)


class ArmDriverNode(LifecycleNodeMixin, StageNode[ArmDriverConfig]):
    """Joint states out, trajectories in, one guarded command a tick while it is active."""

    def __init__(self) -> None:
        StageNode.__init__(self, "arm_driver", ArmDriverConfig)
        LifecycleNodeMixin.__init__(self)
        priority = self.config.realtime_priority if self.config.backend == "interbotix" else 0
        if priority and (why := raise_priority(priority)):
            self.get_logger().warning(f"no real-time priority: {why}")
        self._robot = make_robot(self, self.config)
        self._limits = self._narrowed()
        self._sleep = self.publisher("sleep_pose")
        self._port: DriverPort | None = None
        self._cadence: Cadence | None = None
        self._failure: SpeedtuneError | None = None  # of the last transition
        self._active = False
        self._stamp_ns = 0  # of the last state published
        if self.config.autostart:
            self._autostart()

    def _narrowed(self) -> Limits:
        try:
            return narrowed(self._robot.limits, self.config.limits, self.config.profile)
        except SpeedtuneError:
            self._robot.close()
            self.destroy_node()
            raise

    def _autostart(self) -> None:
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                self.close()
                self.destroy_node()
                raise self._failure or SpeedtuneError(f"{transition.__name__} failed")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Look at the arms and begin to publish their states."""
        try:
            self.get_logger().info("arms as configured:\n" + self._robot.configure())
        except SpeedtuneError as error:
            return self._failed(error)
        self._sleep.publish(joints_to_message(time.time_ns(), self._robot.sleep))
        dt = 1.0 / self.config.rate_hz
        if self._port is None:
            config, recover = self.config, self._robot.recover
            start = self._robot.posture()
            driver = Driver(self._limits, start, dt)
            patience = round(config.beat_timeout_s * config.rate_hz)
            self._port = DriverPort(self, driver, start, config.episode_timeout_s, patience, recover)
        self._cadence = Cadence(dt, self.guarded(self._tick), "control")
        self._cadence.start()
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the arms over, holding where they are."""
        assert self._port is not None
        try:
            self._robot.activate()
            posture = self._robot.posture()
        except SpeedtuneError as error:
            self._robot.deactivate()
            return self._failed(error)
        with self._port.lock:
            self._port.driver.rest(posture)
            self._port.active = self._active = True
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the arms back: they hold, gains are those that were found."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop publishing."""
        self._stop_ticking()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As deactivating and cleaning up."""
        self._release()
        self._stop_ticking()
        return TransitionCallbackReturn.SUCCESS

    def _failed(self, error: SpeedtuneError) -> TransitionCallbackReturn:
        self._failure = error
        if not self.config.autostart:
            self.refuse(error)
        return TransitionCallbackReturn.FAILURE

    def _release(self) -> None:
        if not self._active:
            return
        assert self._port is not None
        with self._port.lock:
            self._active = False
            self._port.driver.hold()
        self._robot.deactivate()

    def _stop_ticking(self) -> None:
        if self._cadence is not None:
            self._cadence.stop()

    def _tick(self) -> None:
        assert self._port is not None and self._cadence is not None
        state = self._robot.state()
        if state.stamp_ns != self._stamp_ns:  # a state that is shown again means a robot that waits
            self._port.publish_state(state)
            self._stamp_ns = state.stamp_ns
        if not self._active:
            self._port.inactive(state, self._cadence.missed)
            return
        command = self._port.tick(state, self._cadence.missed, time.time_ns(), self._robot.health())
        # In a fault nothing is sent: a motor that somebody reboots would jump to where it was before.
        if self._port.latched is not DriverState.FAULT:
            self._robot.command(command)

    def diagnose(self) -> dict[str, object]:
        if self._port is None or self._cadence is None:
            return {}
        late = " ".join(f"{value:.3f}" for value in self._cadence.take_lateness())
        health = self._port.health
        values: dict[str, object] = {"ticks": self._cadence.ticks, "missed_ticks": self._cadence.missed}
        values |= {"tick_lateness_ms": late, "active": self._active}
        values["troubles"] = "; ".join(map(str, health.troubles))
        if health.ceiling is not None:
            values["speed_ceiling"] = f"{health.ceiling.speed:.2f} {health.ceiling.reason} {health.ceiling.joint}"
        return values

    def level(self) -> tuple[bytes, str]:
        port = self._port
        if port is None:
            return b"\x01", "not configured"
        if port.latched is DriverState.FAULT:
            return b"\x02", f"{port.driver.trouble}; after seeing to it, clear with driver/clear_stop"
        if port.health.troubles:
            return b"\x01", "; ".join(map(str, port.health.troubles))
        return super().level()

    def close(self) -> None:
        self._release()
        self._stop_ticking()
        self._robot.close()


def make_robot(node: StageNode, config: ArmDriverConfig) -> ManagedRobot:
    """The robot behind the driver. Raises MissingDependencyError where its support is not there."""
    if config.backend == "interbotix":
        from speedtune_ros.nodes.interbotix_arms import InterbotixArms

        return InterbotixArms(config.interbotix, config.profile, node, node.get_logger().info)
    from speedtune_ros.nodes.simulated_arms import SimulatedArms

    if config.rate_hz * CONTROL_DT != 1.0:
        raise ConfigError(f"rate_hz: simulated arms take {1.0 / CONTROL_DT:g}, got {config.rate_hz:g}")
    return SimulatedArms(config.task, config.profile)


def main() -> int:
    return run(ArmDriverNode)


if __name__ == "__main__":
    raise SystemExit(main())
