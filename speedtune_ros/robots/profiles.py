"""Dynamics profiles: which arm the simulator imitates, and which limits come with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from speedtune_ros.aloha import ARM_JOINTS, NUM_JOINTS, SIDES
from speedtune_ros.errors import UnknownNameError
from speedtune_ros.robots.gripper import ALOHA_1_FOLLOWER
from speedtune_ros.robots.robot import Limits

# ViperX-300 URDF (https://github.com/Interbotix/interbotix_ros_manipulators, vx300s.urdf.xacro) [rad], [N m].
LOWER = (-3.14158, -1.85005, -1.76278, -3.14158, -1.8675, -3.14158)
UPPER = (3.14158, 1.25664, 1.6057, 3.14158, 2.23402, 3.14158)
URDF_EFFORT = (10.0, 20.0, 15.0, 2.0, 5.0, 1.0)
FINGER_EFFORT = 5.0  # [N]
FINGER_VELOCITY = 1.0  # [m/s]

# Firmware Velocity_Limit 131 x .229 rpm, which caps every joint without an error
# (https://github.com/Interbotix/interbotix_ros_manipulators, vx300s.yaml).
FIRMWARE_VELOCITY = np.pi  # [rad/s]


@dataclass(frozen=True)
class JointModel:
    """A position-controlled joint: stiffness [N m/rad], damping [N m s/rad], armature [kg m2], force range [N m]."""

    stiffness: float
    damping: float
    armature: float
    force: float


# Identified on ALOHA 2 (https://github.com/google-deepmind/mujoco_menagerie, aloha/aloha.xml).
IDENTIFIED: Mapping[str, JointModel] = {
    "waist": JointModel(43.0, 5.76, 0.0, 35.0),
    "shoulder": JointModel(265.0, 20.0, 0.395, 144.0),
    "elbow": JointModel(227.0, 18.49, 0.383, 59.0),
    "forearm_roll": JointModel(78.0, 6.78, 0.14, 22.0),
    "wrist_angle": JointModel(37.0, 6.28, 0.008, 35.0),
    "wrist_rotate": JointModel(10.4, 1.2, 0.0, 35.0),
    "left_finger": JointModel(2000.0, 124.0, 0.0, np.inf),
    "right_finger": JointModel(2000.0, 124.0, 0.0, np.inf),
}


@dataclass(frozen=True)
class Profile:
    """A named arm model.

    limits: what the motion guard enforces; effort: (14,) torque limits for planning [N m; gripper N];
    lag: command-to-state lag [s], as `test/robots/test_lag.py` measures it: the one delay of all arm joints' commands
    that best matches, in least squares, the states reached on the expert's way at demonstrated speed;
    apply: changes a benchmark scene into this arm.
    """

    name: str
    limits: Limits
    effort: np.ndarray
    lag: float
    apply: Callable[[mujoco.MjSpec], None]


def _keep(spec: mujoco.MjSpec) -> None:
    """The benchmark model as it is."""


def _identify(spec: mujoco.MjSpec) -> None:
    """Identified stiffness, damping, armature and force ranges; no dry friction."""
    actuators = {actuator.target: actuator for actuator in spec.actuators}
    for side in SIDES:
        for name, values in IDENTIFIED.items():
            joint = spec.joint(f"vx300s_{side}/{name}")
            joint.damping[0], joint.armature, joint.frictionloss = values.damping, values.armature, 0.0
            actuator = actuators[joint.name]
            actuator.gainprm[0], actuator.biasprm[1] = values.stiffness, -values.stiffness
            bounded = bool(np.isfinite(values.force))
            actuator.forcelimited = int(bounded)
            actuator.forcerange = [-values.force, values.force] if bounded else [0.0, 0.0]


def _both(arm: Sequence[float], gripper: float) -> np.ndarray:
    return np.array([*arm, gripper] * 2, dtype=float)


def _act() -> Profile:
    # No limits, so that the papers' baselines are not tamed: the simulator clips targets to its control ranges.
    free = np.full(NUM_JOINTS, np.inf)
    # The benchmark's own force ranges; it does not bound the last wrist joints and the fingers.
    effort = _both([150.0, 300.0, 100.0, 100.0, np.inf, np.inf], np.inf)
    return Profile("act", Limits(-free, free, free), effort, 0.042, _keep)


def _guarded() -> Limits:
    """The URDF's ranges, the firmware's cap on the arm joints, the URDF's finger speed."""
    velocity = _both([FIRMWARE_VELOCITY] * 6, FINGER_VELOCITY / ALOHA_1_FOLLOWER.span)
    return Limits(_both(LOWER, 0.0), _both(UPPER, 1.0), velocity)


def _identified() -> Profile:
    effort = _both([IDENTIFIED[joint].force for joint in ARM_JOINTS], np.inf)
    return Profile("identified", _guarded(), effort, 0.118, _identify)


def _hardware() -> Profile:
    # Simulated as identified: its damping is the servo's own, so the URDF's efforts are no bounds on its forces.
    return Profile("hardware", _guarded(), _both(URDF_EFFORT, FINGER_EFFORT), 0.118, _identify)


# A new profile adds its line here.
PROFILES: Mapping[str, Callable[[], Profile]] = {
    "act": _act,
    "identified": _identified,
    "hardware": _hardware,
}


def make_profile(name: str) -> Profile:
    """The profile called `name`. Raises UnknownNameError with the known ones."""
    if name not in PROFILES:
        raise UnknownNameError("dynamics profile", name, PROFILES)
    return PROFILES[name]()
