"""Limits measured on one pair of arms, laid over those of its dynamics profile: never above them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from speedtune_ros.aloha import JOINT_NAMES
from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.robots.robot import Limits

_ROUNDING = 1e-6  # relative: what a limit loses on its way through a text


@dataclass(frozen=True)
class MeasuredLimits:
    """What `speedtune calibrate limits` found; one empty name stands for no joint, as ROS knows no empty list."""

    profile: str = option("", "dynamics profile they were measured under; empty: nothing was measured")
    joints: tuple[str, ...] = option(("",), "the joints measured")
    velocity: tuple[float, ...] = option((0.0,), "largest velocity of each [rad/s; gripper 1/s]", minimum=0.0)

    def __post_init__(self) -> None:
        if len(self.joints) != len(self.velocity):
            raise ConfigError(f"limits: {len(self.joints)} joints, but {len(self.velocity)} velocities")


def narrowed(limits: Limits, measured: MeasuredLimits, profile: str) -> Limits:
    """`limits` of `profile` with the measured ones in place.

    Raises ConfigError if they are of another profile or wider, UnknownNameError for a joint that is none.
    """
    if not measured.profile:
        return limits
    if measured.profile != profile:
        raise ConfigError(f"limits: measured under profile '{measured.profile}', expected '{profile}'")
    velocity = limits.velocity.copy()
    for joint, most in zip(measured.joints, measured.velocity):
        if joint not in JOINT_NAMES:
            raise UnknownNameError("joint", joint, JOINT_NAMES)
        index = JOINT_NAMES.index(joint)
        allowed = float(limits.velocity[index])
        if not 0.0 < most <= allowed * (1.0 + _ROUNDING):
            raise ConfigError(f"limits: {joint}: expected a velocity above 0 and at most {allowed:.4g}, got {most:.4g}")
        velocity[index] = min(most, allowed)
    return dataclasses.replace(limits, velocity=np.array(velocity))
