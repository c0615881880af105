"""Which motions a calibration consists of, and how it is said to whoever stands beside the arms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speedtune_ros.aloha import ARM_JOINTS, JOINT_NAMES, SIDES, START_ARM_POSE
from speedtune_ros.calibration.motion import Kind, Motion, direction, fastest, fit, stroke, tone, travel
from speedtune_ros.config import option
from speedtune_ros.errors import UnknownNameError
from speedtune_ros.robots.robot import Limits

# Frequencies [Hz] and whole cycles at full amplitude: dead time shows in the fast ones, friction in the slow one.
_TONES = ((0.5, 2), (1.1, 3), (2.4, 6))
_RISING = (0.4, 0.7, 1.0)  # of the highest speed: a joint that cannot follow is found out before the fastest stroke
_SETTLE_S = 0.5  # after each motion
TARGETS = ("limits", "delay", "gripper")
MOVABLE = tuple(name for name in JOINT_NAMES if not name.endswith("gripper"))


@dataclass(frozen=True)
class MotionConfig:
    """How far and how fast joints are moved to find out."""

    swing: float = option(0.15, "largest amplitude of a tone [rad]", minimum=0.01, maximum=0.5)
    swing_speed: float = option(0.5, "largest velocity of a tone [rad/s]", minimum=0.05, maximum=2.0)
    stroke: float = option(0.5, "length of a fast stroke [rad]", minimum=0.05, maximum=1.5)
    speed: float = option(10.0, "fastest stroke [rad/s], never above the limits", minimum=0.1, maximum=10.0)
    acceleration: float = option(20.0, "with which strokes begin and end [rad/s2]", minimum=1.0, maximum=50.0)
    move_speed: float = option(0.3, "of the move to the pose [rad/s]", minimum=0.02, maximum=1.0)
    gripper_speed: float = option(0.5, "of grippers [1/s]", minimum=0.05, maximum=2.0)


def joints(names: Sequence[str]) -> tuple[str, ...]:
    """Arm joints by name, in ALOHA's order; a side (`left`) or a kind (`waist`) stands for all of it.

    Raises UnknownNameError.
    """
    chosen = set()
    for name in names:
        found = {joint for joint in MOVABLE if name in (joint, *joint.split("_", 1))}
        if not found:
            raise UnknownNameError("joint", name, (*MOVABLE, *SIDES, *ARM_JOINTS))
        chosen |= found
    return tuple(joint for joint in MOVABLE if joint in chosen)


def pose(command: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """`command` (14,) with the arms that `names` are of in the start pose; grippers and the other arm as they are."""
    goal = command.copy()
    for side, first in zip(SIDES, (0, 7)):
        if any(name.startswith(side) for name in names):
            goal[first : first + 6] = START_ARM_POSE
    return goal


def tones(joint: str, config: MotionConfig) -> list[Motion]:
    """Sinusoids of rising frequency, each within the amplitude and the velocity."""
    made = []
    for frequency, cycles in _TONES:
        amplitude = min(config.swing, config.swing_speed / (2.0 * math.pi * frequency))
        made.append(tone(joint, frequency, amplitude, cycles))
    return made


def strokes(joint: str, position: float, limits: Limits, config: MotionConfig) -> list[Motion]:
    """Strokes of rising speed towards where the joint has more room."""
    index = JOINT_NAMES.index(joint)
    towards = direction(position, float(limits.lower[index]), float(limits.upper[index]))
    top = min(config.speed, fastest(float(limits.velocity[index])))
    return [stroke(joint, towards * config.stroke, share * top, config.acceleration) for share in _RISING]


def motions(target: str, joint: str, command: np.ndarray, limits: Limits, config: MotionConfig) -> list[Motion]:
    """What `target` asks of one joint from `command` (14,) on. Raises InvalidInputError if that leaves the limits."""
    if target not in TARGETS:
        raise UnknownNameError("calibration", target, TARGETS)
    index = JOINT_NAMES.index(joint)
    position = float(command[index])
    if target == "gripper":
        made = [travel(joint, float(np.clip(position, 0.0, 1.0)), config.gripper_speed)]
    else:
        made = tones(joint, config)
        made += strokes(joint, position, limits, config) if target == "limits" else []
    for motion in made:
        fit(motion, position, *(float(bound[index]) for bound in (limits.lower, limits.upper, limits.velocity)))
    return made


def describe(joint: str, made: Sequence[Motion]) -> str:
    """One joint's motions in a line: how far, how fast, how long."""
    seconds = sum(motion.duration + _SETTLE_S for motion in made)
    parts = []
    for kind, word in ((Kind.TONE, "swings"), (Kind.STROKE, "strokes"), (Kind.TRAVEL, "opens and closes fully")):
        own = [motion for motion in made if motion.kind is kind]
        if not own:
            continue
        reach, rate = max(motion.reach for motion in own), max(motion.peak_rate for motion in own)
        where = f" up to {reach:.2f} rad to {'each side' if kind is Kind.TONE else 'one side'}"
        unit = "of its travel a second" if kind is Kind.TRAVEL else "rad/s"
        parts.append(f"{word}{'' if kind is Kind.TRAVEL else where}, at most {rate:.2f} {unit}")
    return f"{joint:<19} {'; '.join(parts)}; {seconds:.0f} s"
