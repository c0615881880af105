"""The mechanics behind simulated Interbotix arms: MuJoCo for the followers, ideal joints for the leaders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import mujoco
import numpy as np

from speedtune_ros.aloha import ARM_JOINTS, SIDES
from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError
from speedtune_ros.robots.gripper import ALOHA_1_FOLLOWER, FingerRange, Linkage
from speedtune_ros.robots.interbotix import FOLLOWERS, SLEEP
from speedtune_ros.robots.mujoco_aloha import FINGERS, MujocoAloha
from speedtune_ros.robots.xs_motors import Drive

# Most of the identified damping is the servo's own control; what is left without torque is the gear's.
_FREE_DAMPING = 0.15
_JAM = 1e4  # [N m s/rad], damping of a jammed joint
_LEADER_LAG = 0.05  # [s]
# Of finger stops: MuJoCo's own would let the light fingers be pushed millimetres into them.
_HARD_SOLREF, _HARD_SOLIMP = (0.004, 1.0), (0.999, 0.9999)


@dataclass(frozen=True)
class BuildConfig:
    """What sets one follower apart from another and no register tells: calibration has to find it."""

    speed: float = option(
        0.0, "arm joints cannot turn faster, as at a low voltage [rad/s]; 0: no bound but the firmware's", minimum=0.0
    )
    friction: tuple[float, ...] = option((0.0,) * 6, "dry friction of each arm joint [N m]", minimum=0.0, maximum=50.0)
    stops: tuple[float, float] = option(
        (0.0, 0.0), "where the left finger stops, closed and open [m]; 0, 0: as in the scene", minimum=0.0, maximum=0.1
    )

    def __post_init__(self) -> None:
        if len(self.friction) != len(ARM_JOINTS):
            raise ConfigError(f"friction: expected one of each of {', '.join(ARM_JOINTS)}, got {len(self.friction)}")
        if any(self.stops) and self.stops[0] >= self.stops[1]:
            raise ConfigError(f"stops: expected closed below open, got {self.stops[0]} and {self.stops[1]}")


class Mechanics(NamedTuple):
    """Motor side of one arm, all (7,): position [rad], velocity [rad/s], torque of the motors [N m]."""

    position: np.ndarray
    velocity: np.ndarray
    torque: np.ndarray


class FollowerPlant:
    """Both followers in one MuJoCo scene, asleep at first; grippers turn by `linkage` over the travel `finger` [m].

    The scene's own fingers travel as ALOHA 1's: another gripper is scaled to them.
    """

    def __init__(
        self,
        robot: MujocoAloha,
        finger: FingerRange,
        linkage: Linkage,
        sleep: Sequence[float] = SLEEP,
        build: BuildConfig = BuildConfig(),
    ) -> None:
        self.robot = robot
        self._finger, self._linkage = finger, linkage
        self._model, self._data = robot.model, robot.data
        self._arms = {arm: _indices(robot.model, side) for arm, side in zip(FOLLOWERS, SIDES)}
        model = self._model
        self._stiffness = model.actuator_gainprm[:, 0].copy()
        self._damping = model.dof_damping.copy()
        self.jammed: set[tuple[str, int]] = set()  # arm and motor
        self._apply(build)
        robot.reset()
        for index in self._arms.values():
            self._data.qpos[index.position[:6]] = sleep
            self._data.ctrl[index.actuator[:6]] = sleep
        robot.settle()

    def _apply(self, build: BuildConfig) -> None:
        for index in self._arms.values():
            self._model.dof_frictionloss[index.velocity[:6]] = build.friction
            if any(build.stops):
                own, other = self._model.dof_jntid[[index.velocity[6], index.mirror_velocity]]
                stops = [ALOHA_1_FOLLOWER.position(self._finger.normalise(stop)) for stop in build.stops]
                self._model.jnt_range[own] = stops
                self._model.jnt_range[other] = [-stops[1], -stops[0]]
                self._model.jnt_solref[[own, other]] = _HARD_SOLREF
                self._model.jnt_solimp[[own, other], :2] = _HARD_SOLIMP

    def start(self, arm: str) -> np.ndarray:
        """Where the motors of `arm` are now: (7,) [rad]."""
        return self.measure(arm).position

    def step(self, drives: Mapping[str, Drive], dt: float) -> None:
        """`dt` [s] of physics under the motors' drives; an arm that is not driven is without torque."""
        for arm, index in self._arms.items():
            self._drive(arm, index, drives.get(arm))
        mujoco.mj_step(self._model, self._data, round(dt / self._model.opt.timestep))

    def measure(self, arm: str) -> Mechanics:
        index, data = self._arms[arm], self._data
        position, velocity = data.qpos[index.position], data.qvel[index.velocity]
        damping = self._damping[index.velocity] * (self._model.actuator_gainprm[index.actuator, 0] > 0.0)
        torque = data.actuator_force[index.actuator] - damping * velocity
        finger = self._finger.position(ALOHA_1_FOLLOWER.normalise(position[6]))
        angle = self._linkage.angle(finger)
        lever = self._lever(angle)
        scale = self._finger.span / ALOHA_1_FOLLOWER.span
        return Mechanics(
            np.append(position[:6], angle),
            np.append(velocity[:6], velocity[6] * scale / lever),
            np.append(torque[:6], 2.0 * torque[6] * lever),  # two fingers push
        )

    def _drive(self, arm: str, index: _Indices, drive: Drive | None) -> None:
        on = np.zeros(7, bool) if drive is None else drive.torque
        actuators, dofs = np.append(index.actuator, index.mirror), np.append(index.velocity, index.mirror_velocity)
        held = np.append(on, on[6])
        gain = np.zeros(8) if drive is None else np.append(drive.stiffness, drive.stiffness[6]) * held
        stiffness = self._stiffness[actuators] * gain
        self._model.actuator_gainprm[actuators, 0] = stiffness
        self._model.actuator_biasprm[actuators, 1] = -stiffness
        damping = self._damping[dofs] * np.where(held, 1.0, _FREE_DAMPING)
        jammed = [(arm, motor) in self.jammed for motor in range(7)]
        self._model.dof_damping[dofs] = np.where([*jammed, jammed[6]], _JAM, damping)
        if drive is not None:
            finger = ALOHA_1_FOLLOWER.position(self._finger.normalise(self._linkage.finger(drive.goal[6])))
            self._data.ctrl[index.actuator] = np.append(drive.goal[:6], finger)
            self._data.ctrl[index.mirror] = -finger

    def _lever(self, angle: float) -> float:
        """How far the finger goes for a turn of the motor [m/rad]."""
        return (self._linkage.finger(angle + 1e-4) - self._linkage.finger(angle - 1e-4)) / 2e-4


class _Indices(NamedTuple):
    """Where seven joints are in qpos, qvel and ctrl; the right finger mirrors the left one."""

    position: np.ndarray
    velocity: np.ndarray
    actuator: np.ndarray
    mirror: int
    mirror_velocity: int


def _indices(model: mujoco.MjModel, side: str) -> _Indices:
    joints = [model.joint(f"vx300s_{side}/{name}") for name in (*ARM_JOINTS, *FINGERS)]
    actuators = {int(joint): i for i, joint in enumerate(model.actuator_trnid[:, 0])}
    own = joints[:7]
    return _Indices(
        np.array([joint.qposadr[0] for joint in own]),
        np.array([joint.dofadr[0] for joint in own]),
        np.array([actuators[joint.id] for joint in own]),
        actuators[joints[7].id],
        int(joints[7].dofadr[0]),
    )


class LeaderPlant:
    """A leader's joints: they lag their motors a little, carry nothing, and stay where they are without torque."""

    def __init__(self, position: np.ndarray) -> None:
        self._position = position.copy()
        self._velocity = np.zeros(7)

    def step(self, drive: Drive, dt: float) -> None:
        share = (1.0 - np.exp(-dt / _LEADER_LAG)) * drive.torque
        moved = share * (drive.goal - self._position)
        self._position, self._velocity = self._position + moved, moved / dt

    def measure(self) -> Mechanics:
        return Mechanics(self._position.copy(), self._velocity.copy(), np.zeros(7))
