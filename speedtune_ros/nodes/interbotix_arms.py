"""Two Interbotix followers behind the robot interface: bring-up, commands, health, recovery."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from rclpy.node import Node

from speedtune_ros.aloha import SIDES
from speedtune_ros.errors import ConfigError
from speedtune_ros.nodes import interbotix_modules
from speedtune_ros.nodes.interbotix_link import InterbotixLink
from speedtune_ros.nodes.motor_watch import MotorWatch
from speedtune_ros.nodes.spinner import Spinner, node_beside
from speedtune_ros.robots.bring_up import (
    GAIN_PROFILES,
    REGISTERS,
    ArmReport,
    BringUpError,
    Check,
    checks,
    summary,
)
from speedtune_ros.robots.feedback import FeedbackMonitor
from speedtune_ros.robots.gripper import follower_gripper
from speedtune_ros.robots.gripper_travel import mounted
from speedtune_ros.robots.health import Health, SpeedCeiling, lowest
from speedtune_ros.robots.interbotix import ARM_GROUP, GRIPPER, JOINTS, VIPERX
from speedtune_ros.robots.interbotix_config import InterbotixConfig
from speedtune_ros.robots.motor_ceiling import MotorCeiling, MotorLoad
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.robots.robot import Limits
from speedtune_ros.types import RobotState, checked

_SETTLE_S = 1.0  # after torque or a mode was switched
_LISTENING_S = 0.3  # a driver sends every 0.02 s


class InterbotixArms:
    """Implements ManagedRobot: `configure` looks and moves nothing, `activate` takes the arms over, `deactivate` gives
    them back holding, `recover` is the one way out of a fault.

    Commands and states go through a node and a thread of their own, so that nothing else delays them.
    say: where the summary and warnings go.
    """

    def __init__(self, config: InterbotixConfig, profile: str, owner: Node, say: Callable[[str], None]) -> None:
        self._config, self._say = config, say
        self._limits = make_profile(profile).limits
        if not np.isfinite(self._limits.velocity).all():
            raise ConfigError(f"profile '{profile}' has no limits: real arms need one that has, such as hardware")
        preset, travel = follower_gripper(config.bring_up.gripper), config.travel
        self._grippers = [mounted(preset, getattr(travel, side), side) for side in SIDES]
        self._gains = GAIN_PROFILES[config.bring_up.gains]
        self._node = node_beside(owner, f"_{owner.get_name()}_arms")
        now = time.monotonic()
        self._links = {arm: self._link(arm, now) for arm in (config.left, config.right)}
        self._spinner = Spinner(self._node).start()
        self._reports: dict[str, ArmReport] = {}
        self._watch: MotorWatch | None = None
        self._silent = True  # nothing is sent: inactive, or being recovered
        names = [f"{side}_{joint}" for side in SIDES for joint in JOINTS]
        self._ceiling = MotorCeiling(names, config.ceiling)
        limits = np.array([VIPERX[joint].motor.current_limit for joint in JOINTS] * 2)
        self._load = MotorLoad(limits, config.ceiling.load_time_s)
        self._ticked = now

    def _link(self, arm: str, now: float) -> InterbotixLink:
        feedback = self._config.feedback
        return InterbotixLink(self._node, arm, FeedbackMonitor(arm, feedback, now), feedback.fault_s)

    @property
    def limits(self) -> Limits:
        return self._limits

    def configure(self) -> str:
        """Look at both arms and check them against the configuration; the summary. Raises BringUpError with it."""
        deadline = time.monotonic() + self._config.bring_up.timeout_s
        for link in self._links.values():
            link.wait(deadline)
        found: list[Check] = []
        for arm, link in self._links.items():
            report = self._reports[arm] = _inspect(link)
            lower, upper = self._limits.lower[:6], self._limits.upper[:6]
            found += checks(report, self._config.bring_up, lower, upper)
            if self._config.model:
                found.append(self._second_opinion(report))
        text = summary(found)
        if all(check.passed or self._curable(check) for check in found):
            return text
        raise BringUpError(f"arms are not as configured; nothing was moved\n{text}")

    def _second_opinion(self, report: ArmReport) -> Check:
        """Whether interbotix_xs_modules sees the same arm. Raises BringUpError."""
        if not interbotix_modules.available():
            raise BringUpError(f"model '{self._config.model}': {interbotix_modules.PACKAGE} is not installed")
        other = interbotix_modules.group_info(self._config.model, report.name)
        same = other.mode == report.arm.mode and tuple(other.joints) == tuple(report.arm.joints)
        return Check(
            report.name, self._config.model, report.arm.mode, f"{other.mode}, {len(other.joints)} joints", same
        )

    def _curable(self, check: Check) -> bool:
        """Whether activation mends it: an operating mode, in the sleep pose."""
        if check.name not in ("arm mode", "gripper mode") or not self._config.bring_up.set_modes:
            return False
        report = self._reports[check.arm]
        if not report.asleep:
            self._say(
                f"{check.arm}: {check.name} is {check.found}; switching drops the arm, so it must lie in the sleep "
                f"pose, and is {report.awake_by:.2f} rad from it"
            )
        return report.asleep

    def activate(self) -> None:
        """Modes where they differ, gains, torque; then the arms hold where they are. Raises BringUpError."""
        for arm, link in self._links.items():
            if link.others(_LISTENING_S):
                raise BringUpError(f"{arm}: somebody else commands it: another driver? End that one first")
        for arm, link in self._links.items():
            self._set_modes(link, self._reports[arm])
            self._set_gains(link)
            self._hold(link)
        self._watch = MotorWatch(
            self._links,
            self._config.watch_s,
            self._gains["Position_P_Gain"],
            self._config.ceiling.fault_c,
            self._regain,
        )
        self._watch.start()
        self._begin()

    def deactivate(self) -> None:
        """Give the arms back: gains as they were found, torque as it is. Says what it could not do."""
        self._silent = True
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        for arm, link in self._links.items():
            try:
                for register in self._gains:
                    found = self._reports[arm].registers[register][:6]
                    link.write(register, max(set(found), key=list(found).count))
                self._say(f"{arm}: gains restored; torque stays on, the arm holds until somebody switches it off")
            except BringUpError as error:
                self._say(f"gains could not be restored: {error}")

    def recover(self) -> np.ndarray:
        """Reboot what shut down, gains and torque again; the command that holds then (14,). Raises BringUpError."""
        watch = self._watch
        if watch is None:
            raise BringUpError("the arms are given back: activate the driver first")
        self._silent = True
        with watch.lock:
            self._recover()
            watch.forget()
        self._begin()
        return self.posture()

    def _recover(self) -> None:
        for link in self._links.values():
            link.fresh()
            if any(link.read("Hardware_Error_Status")):
                link.reboot_failed()
            self._set_gains(link)
            self._hold(link)
            if any(errors := link.read("Hardware_Error_Status")):
                raise BringUpError(f"{link.arm}: hardware errors after a reboot: {errors}")
            hottest = max(link.read("Present_Temperature"))
            if hottest >= self._config.ceiling.fault_c:
                raise BringUpError(f"{link.arm}: a motor is at {hottest} C: let it cool down")

    def posture(self) -> np.ndarray:
        """The command (14,) that keeps the arms where they are measured: grippers by their motors, as commands are."""
        readings = [link.fresh() for link in self._links.values()]
        grippers = [own.joint.normalise(reading.joints[6]) for own, reading in zip(self._grippers, readings)]
        return np.concatenate([[*reading.joints[:6], own] for reading, own in zip(readings, grippers)])

    @property
    def sleep(self) -> np.ndarray:
        """See ManagedRobot; grippers closed."""
        limits, arms = self._limits, (report.sleep for report in self._reports.values())
        return np.clip(np.concatenate([[*arm, 0.0] for arm in arms]), limits.lower, limits.upper)

    def state(self) -> RobotState:
        """The newest good reading of both arms, stamped with the older one; grippers by their fingers."""
        readings = [link.monitor.last for link in self._links.values()]
        if any(reading is None for reading in readings):
            raise BringUpError("no joint states were heard yet")
        positions, velocities = [], []
        for gripper, reading in zip(self._grippers, readings):
            assert reading is not None
            positions += [*reading.joints[:6], gripper.finger.normalise(reading.finger)]
            velocities += [*reading.velocity[:6], reading.velocity[6] / gripper.joint.span]
        stamp_ns = min(reading.stamp_ns for reading in readings if reading is not None)
        return RobotState(stamp_ns, np.array(positions), np.array(velocities))

    def command(self, targets: np.ndarray) -> None:
        """Send (14,) guarded targets; nothing while the arms are given back or recovered."""
        if self._silent:
            return
        targets = checked("command", targets, (14,))
        for link, gripper, own in zip(self._links.values(), self._grippers, (targets[:7], targets[7:])):
            link.command(np.append(own[:6], gripper.joint.position(own[6])))

    def health(self) -> Health:
        """What is wrong now, and how fast the motors allow the arms to be."""
        now = time.monotonic()
        troubles, watch = [], self._watch
        if self._silent or watch is None:
            return Health()
        for link in self._links.values():
            with link.lock:
                troubles += link.monitor.troubles(now)
        return Health((*troubles, *watch.troubles()), self._speed_ceiling(watch, now))

    def _speed_ceiling(self, watch: MotorWatch, now: float) -> SpeedCeiling | None:
        config, dt = self._config.ceiling, now - self._ticked
        self._ticked = now
        currents = [link.monitor.last.current for link in self._links.values() if link.monitor.last is not None]
        self._load.add(np.concatenate(currents), dt)
        temperature = np.nan_to_num(watch.temperature, nan=-np.inf)
        found = [self._ceiling.update(temperature, self._load.share, dt)]
        if watch.unheard(now) > config.unwatched_s:
            found.append(SpeedCeiling(config.unwatched, "motors_unwatched"))
        return lowest([ceiling for ceiling in found if ceiling is not None])

    def close(self) -> None:
        """Stop listening; the arms hold."""
        self._silent = True
        if self._watch is not None:
            self._watch.stop()
        self._spinner.close(2.0)
        self._node.destroy_node()

    def _begin(self) -> None:
        now = time.monotonic()
        for link in self._links.values():
            with link.lock:
                link.monitor.reset(now)
        self._ticked, self._silent = now, False

    def _set_modes(self, link: InterbotixLink, report: ArmReport) -> None:
        config = self._config.bring_up
        for group, found, wanted in (
            (ARM_GROUP, report.arm.mode, config.arm_mode),
            (GRIPPER, report.gripper.mode, config.gripper_mode),
        ):
            if found == wanted:
                continue
            self._say(f"{link.arm}: switching {group} from {found} to {wanted}, without torque meanwhile")
            link.set_mode(group, wanted)
            now = link.info(group).mode
            if now != wanted:
                raise BringUpError(f"{link.arm}: {group} is in mode {now} after it was set to {wanted}")

    def _set_gains(self, link: InterbotixLink) -> None:
        """Write the gain profile and read it back. Raises BringUpError."""
        for register, value in self._gains.items():
            link.write(register, value)
            found = link.read(register, ARM_GROUP)
            if any(gain != value for gain in found):
                raise BringUpError(f"{link.arm}: {register} reads {found} after it was set to {value}")

    def _regain(self, arm: str) -> None:
        self._say(f"{arm}: gains are not the profile's any more, as after a reboot: set again")
        self._set_gains(self._links[arm])

    def _hold(self, link: InterbotixLink) -> None:
        """Torque on at the present pose: no motor has an older goal to jump to. Raises BringUpError."""
        link.command(link.fresh().joints)
        if not all(link.read("Torque_Enable")):
            link.torque_on()
        deadline = time.monotonic() + _SETTLE_S
        while not all(link.read("Torque_Enable")):
            if time.monotonic() > deadline:
                raise BringUpError(f"{link.arm}: torque stays off: {link.read('Torque_Enable')}")
        link.command(link.fresh().joints)


def _inspect(link: InterbotixLink) -> ArmReport:
    """Everything that `checks` looks at. Raises BringUpError."""
    reading = link.fresh()
    report = ArmReport(link.arm, link.info(ARM_GROUP), link.info(GRIPPER), reading.joints, reading.finger)
    report.registers = {register: link.read(register) for register in REGISTERS}
    report.gripper_current = link.read("Current_Limit", GRIPPER)[0]
    return report
