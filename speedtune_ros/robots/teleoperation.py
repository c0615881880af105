"""Followers led by leader arms: when they follow, how fast they may, and what makes them hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT, GRIPPERS, JOINT_NAMES, NUM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.robots.gripper import GripperPreset
from speedtune_ros.robots.pursuit import Pursuit, PursuitConfig
from speedtune_ros.robots.robot import Limits
from speedtune_ros.sampling import hold, sample
from speedtune_ros.types import Setpoint, Trajectory

_ARMS, _GRIPPERS = np.array(ARMS), np.array(GRIPPERS)
_LEAP = 10.0  # [rad/s]: no hand moves a leader so fast
_SLIP_RAD = 0.3  # between plan and command: the driver does not play what it was sent
_GRIPPER_APPROACH, _GRIPPER_ACCELERATION = 1.0, 20.0  # [1/s], [1/s2]


class Mode(str, Enum):
    """RELEASED: nothing is sent. APPROACHING: slowly, until they meet. FOLLOWING. HOLDING: until a trouble is over."""

    RELEASED = "released"
    APPROACHING = "approaching"
    FOLLOWING = "following"
    HOLDING = "holding"


@dataclass(frozen=True)
class TeleoperationConfig:
    """How followers come to their leaders, and how they follow."""

    approach_rad_s: float = option(0.4, "largest joint speed until they have met", minimum=0.02, maximum=1.0)
    near_rad: float = option(0.05, "nearer in every joint, they have met", minimum=0.005, maximum=0.3)
    rejoin_rad: float = option(
        0.5, "after a hold: farther apart in any joint, engage has to be asked for again", minimum=0.01, maximum=3.0
    )
    acceleration_rad_s2: float = option(2.0, "how fast the ceiling on speed rises", minimum=0.1, maximum=20.0)
    speed_share: float = option(0.9, "ceiling while following, of the profile's limits", minimum=0.05, maximum=1.0)
    lead_s: float = option(0.02, "a trajectory begins so long after it is sent", minimum=0.005, maximum=0.2)
    pursuit: PursuitConfig = field(default_factory=PursuitConfig)


class Teleoperation:
    """One tick after another: the leaders' targets in, short trajectories for the guarded driver out.

    Each trajectory ends at rest, so that arms whose leaders, operator or process are gone come to rest by themselves.
    Commands and targets are (14,) [rad; gripper 0 closed to 1 open].
    """

    def __init__(self, limits: Limits, config: TeleoperationConfig = TeleoperationConfig()) -> None:
        self._limits, self._config = limits, config
        self._pursuit = Pursuit(limits, config.pursuit)
        self._fast = config.speed_share * limits.velocity
        self._slow = np.minimum(_each(config.approach_rad_s, _GRIPPER_APPROACH), self._fast)
        self._rise = _each(config.acceleration_rad_s2, _GRIPPER_ACCELERATION) * CONTROL_DT
        self.mode, self.reason = Mode.RELEASED, "not engaged yet"
        self._sequence = 0
        self._target: np.ndarray | None = None  # of the last tick
        self._targeted_ns = 0
        self._ceiling: np.ndarray = np.zeros(NUM_JOINTS)  # on speed
        self._restart(np.zeros(NUM_JOINTS), 0)

    def engage(self, command: np.ndarray, now_ns: int) -> None:
        """From rest at `command`, approach the leaders and follow them."""
        self._restart(command, now_ns)
        self.mode, self.reason = Mode.APPROACHING, ""

    def release(self, reason: str) -> None:
        """Follow no more until `engage`; what was sent last comes to rest."""
        self.mode, self.reason = Mode.RELEASED, reason

    def at_rest(self, now_ns: int) -> bool:
        """Whether all that was sent has been played."""
        return now_ns >= self._plan.start_ns + round(self._plan.duration * 1e9)

    def tick(
        self,
        now_ns: int,
        command: np.ndarray,
        target: np.ndarray,
        troubles: Sequence[str] = (),
        progress: float | None = None,
    ) -> Trajectory | None:
        """What to send now, if anything.

        command: the driver's last; target: where the leaders are; troubles: why to hold; progress: of a demonstration
        that runs [s].
        """
        if self.mode is Mode.RELEASED:
            return None
        target = np.clip(target, self._limits.lower, self._limits.upper)
        leap = self._leap(target, now_ns)
        if troubles or leap:
            self.mode, self.reason = Mode.HOLDING, ", ".join(troubles) or leap
            return None
        if self.mode is Mode.HOLDING and not self._rejoin(now_ns, command, target):
            return None
        start_ns = now_ns + round(self._config.lead_s * 1e9)
        if np.abs(sample(self._plan, start_ns).position - command)[_ARMS].max() > _SLIP_RAD:
            self._restart(command, now_ns)
        return self._follow(sample(self._plan, start_ns), target, start_ns, progress)

    def _follow(self, now: Setpoint, target: np.ndarray, start_ns: int, progress: float | None) -> Trajectory:
        if self.mode is Mode.APPROACHING and distance(now.position, target)[0] <= self._config.near_rad:
            self.mode = Mode.FOLLOWING
        ceiling = self._fast if self.mode is Mode.FOLLOWING else self._slow
        self._ceiling = np.minimum(ceiling, self._ceiling + self._rise)
        self._sequence += 1
        self._plan = self._pursuit.step(now, target, self._ceiling, start_ns, self._sequence, progress)
        return self._plan

    def _rejoin(self, now_ns: int, command: np.ndarray, target: np.ndarray) -> bool:
        """After a hold, once the arms are at rest: approach leaders that are still near; else release."""
        if not self.at_rest(now_ns):
            return False
        apart, joint = distance(command, target)
        if apart > self._config.rejoin_rad:
            self.release(f"leaders are {apart:.2f} rad away ({joint}) after a hold ({self.reason}): engage again")
            return False
        self.engage(command, now_ns)
        return True

    def _leap(self, target: np.ndarray, now_ns: int) -> str:
        """What is wrong with a target that no hand could have led to since the last tick; empty if it could."""
        last, then_ns = self._target, self._targeted_ns
        self._target, self._targeted_ns = target, now_ns
        if last is None:
            return ""
        step, joint = distance(last, target)
        possible = step <= _LEAP * max((now_ns - then_ns) * 1e-9, CONTROL_DT)
        return "" if possible else f"the leaders leapt by {step:.2f} rad ({joint})"

    def _restart(self, command: np.ndarray, now_ns: int) -> None:
        self._plan = hold(command, now_ns)
        self._ceiling = np.zeros(NUM_JOINTS)
        self._target = None


def targets(left: np.ndarray, right: np.ndarray, gripper: GripperPreset) -> np.ndarray:
    """Where two leaders (7,) [rad, the gripper's being its motor's] lead the followers: (14,), grippers 0 to 1.

    As in ALOHA's recorder, a command's gripper is normalised by the joint.
    """
    return np.concatenate([[*arm[:6], np.clip(gripper.joint.normalise(arm[6]), 0.0, 1.0)] for arm in (left, right)])


def distance(one: np.ndarray, other: np.ndarray) -> tuple[float, str]:
    """How far two poses (14,) are apart in the arm joint that is farthest [rad], and which that is."""
    apart = np.abs(one - other)[_ARMS]
    farthest = int(np.argmax(apart))
    return float(apart[farthest]), JOINT_NAMES[_ARMS[farthest]]


def _each(arm: float, gripper: float) -> np.ndarray:
    """(14,), one value for all arm joints and one for the grippers."""
    values = np.full(NUM_JOINTS, arm)
    values[_GRIPPERS] = gripper
    return values
