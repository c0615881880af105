"""What must be true of Interbotix arms before they are moved: each check by name, and a summary for one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from speedtune_ros.aloha import ARM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.robots.gripper import FOLLOWER_GRIPPERS, follower_gripper, implausible
from speedtune_ros.robots.interbotix import FINGERS, VELOCITY_UNIT, error_names

# Position_P_Gain, Position_I_Gain: https://github.com/Interbotix/aloha, aloha/robot_utils.py
GAIN_PROFILES: Mapping[str, Mapping[str, int]] = {
    "standard": {"Position_P_Gain": 800, "Position_I_Gain": 0},
    "low": {"Position_P_Gain": 100, "Position_I_Gain": 0},
}
# Read once of every joint of an arm.
REGISTERS = (
    "Hardware_Error_Status",
    "Present_Temperature",
    "Velocity_Limit",
    "Profile_Velocity",
    "Torque_Enable",
    "Position_P_Gain",
    "Position_I_Gain",
)
_SLEEP_TOLERANCE = 0.35  # [rad]: an arm let down by hand


class BringUpError(SpeedtuneError):
    """The arms are not as configured, or do not answer; nothing was moved."""


@dataclass(frozen=True)
class BringUpConfig:
    """What the arms are expected to be."""

    gripper: str = option("aloha_1", "the grippers mounted", choices=tuple(FOLLOWER_GRIPPERS))
    gains: str = option("standard", "position gains while the driver is active", choices=tuple(GAIN_PROFILES))
    velocity_limit: float = option(
        3.14, "firmware's velocity limit of every arm joint [rad/s]", minimum=0.1, maximum=20.0
    )
    arm_mode: str = option("position", "operating mode of the arm joints", choices=("position",))
    gripper_mode: str = option(
        "current_based_position", "operating mode of the grippers", choices=("current_based_position",)
    )
    gripper_current: float = option(
        300.0, "largest current limit of the grippers [counts]", minimum=1.0, maximum=1200.0
    )
    coolest_c: float = option(60.0, "motors must be cooler than this to begin [deg C]", minimum=10.0, maximum=80.0)
    set_modes: bool = option(True, "switch modes that differ, in the sleep pose alone: without torque the arm drops")
    timeout_s: float = option(30.0, "longest wait for an arm's joint states and services", minimum=0.5, maximum=600.0)


class Group(NamedTuple):
    """What the stack says of a group or joint: as in RobotInfo."""

    mode: str
    joints: Sequence[str]
    lower: Sequence[float]
    upper: Sequence[float]
    sleep: Sequence[float]


@dataclass
class ArmReport:
    """One arm as it was found. joints (7,) [rad], finger [m]; registers by name, seven values each."""

    name: str
    arm: Group
    gripper: Group
    joints: np.ndarray
    finger: float
    registers: dict[str, Sequence[int]] = field(default_factory=dict)
    gripper_current: int = 0

    @property
    def asleep(self) -> bool:
        """Whether it lies where it may lose its torque."""
        return self.awake_by <= _SLEEP_TOLERANCE

    @property
    def sleep(self) -> np.ndarray:
        """The pose (6,) in which it rests, as its own software has it, within what it can reach [rad]."""
        return np.clip(self.arm.sleep, self.arm.lower, self.arm.upper)

    @property
    def awake_by(self) -> float:
        """Distance from the sleep pose [rad]."""
        return float(np.abs(self.joints[:6] - self.sleep).max())


class Check(NamedTuple):
    """One line of the summary."""

    arm: str
    name: str
    expected: str
    found: str
    passed: bool


def checks(report: ArmReport, config: BringUpConfig, lower: np.ndarray, upper: np.ndarray) -> list[Check]:
    """Every check of one arm, gains left out as they are set later. lower, upper (6,): limits to be enforced [rad]."""
    found = [*_structure(report, lower, upper), *_modes(report, config)]
    return [*found, *_motors(report, config), *_gripper(report, config)]


def _structure(report: ArmReport, lower: np.ndarray, upper: np.ndarray) -> Iterator[Check]:
    arm = report.arm
    names = tuple(arm.joints)
    yield Check(report.name, "joints", ", ".join(ARM_JOINTS), ", ".join(names), names == ARM_JOINTS)
    fingers = tuple(report.gripper.joints)
    yield Check(report.name, "gripper joint", FINGERS[0], ", ".join(fingers), fingers == FINGERS[:1])
    if len(arm.lower) != len(lower) or len(arm.upper) != len(upper):
        yield Check(report.name, "limits", "6 joints", f"{len(arm.lower)}", False)
        return
    # The robot may be able to do more than is enforced, not less.
    beyond = np.maximum(np.asarray(arm.lower) - lower, upper - np.asarray(arm.upper))
    worst = int(beyond.argmax())
    text = f"{arm.lower[worst]:.3f} to {arm.upper[worst]:.3f} at {ARM_JOINTS[worst]}"
    wanted = f"{lower[worst]:.3f} to {upper[worst]:.3f} rad"
    yield Check(report.name, "limits", wanted, text, bool(beyond[worst] < 0.01))


def _modes(report: ArmReport, config: BringUpConfig) -> Iterator[Check]:
    yield Check(report.name, "arm mode", config.arm_mode, report.arm.mode, report.arm.mode == config.arm_mode)
    mode = report.gripper.mode
    yield Check(report.name, "gripper mode", config.gripper_mode, mode, mode == config.gripper_mode)


def _motors(report: ArmReport, config: BringUpConfig) -> Iterator[Check]:
    registers = report.registers
    errors = list(registers["Hardware_Error_Status"])
    bad = [f"{joint}: {error_names(status)}" for joint, status in zip((*ARM_JOINTS, "gripper"), errors) if status]
    yield Check(report.name, "hardware errors", "none", ", ".join(bad) or "none", not bad)
    caps = [value * VELOCITY_UNIT for value in registers["Velocity_Limit"][:6]]
    same = all(abs(cap - config.velocity_limit) < 0.02 * config.velocity_limit for cap in caps)
    text = " ".join(f"{cap:.2f}" for cap in sorted(set(caps)))
    yield Check(report.name, "firmware velocity", f"{config.velocity_limit:.2f} rad/s", text, same)
    profile = sorted(set(registers["Profile_Velocity"][:6]))
    yield Check(report.name, "profile velocity", "0 (none)", " ".join(map(str, profile)), profile == [0])
    hottest = max(registers["Present_Temperature"])
    yield Check(
        report.name, "temperature", f"below {config.coolest_c:.0f} C", f"{hottest} C", hottest < config.coolest_c
    )


def _gripper(report: ArmReport, config: BringUpConfig) -> Iterator[Check]:
    against = implausible(follower_gripper(config.gripper), float(report.joints[6]), report.finger)
    yield Check(report.name, "gripper", config.gripper, against or "plausible", not against)
    current = report.gripper_current
    bounded = current <= config.gripper_current
    yield Check(report.name, "gripper current", f"at most {config.gripper_current:.0f}", str(current), bounded)


def summary(found: Sequence[Check]) -> str:
    """A table: what is the same on all arms in one line, whatever failed marked."""
    rows: dict[tuple[str, str, str, bool], list[str]] = {}
    for check in found:
        rows.setdefault((check.name, check.expected, check.found, check.passed), []).append(check.arm)
    lines = []
    for (name, expected, value, passed), arms in rows.items():
        where = "all arms" if len(arms) > 1 else arms[0]
        tail = value if passed else f"{value}   <- expected {expected}"
        lines.append(f"  {'ok  ' if passed else 'FAIL'} {name:<18} {where:<15} {tail}")
    return "\n".join(lines)
