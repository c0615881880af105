"""Gripper presets: how far the fingers go, and the 0 closed to 1 open scale everything else uses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from speedtune_ros.errors import UnknownNameError


@dataclass(frozen=True)
class FingerRange:
    """What a closed and an open gripper read: finger positions [m], or angles of the motor [rad]."""

    closed: float
    open: float

    @property
    def span(self) -> float:
        return self.open - self.closed

    def normalise(self, position: float) -> float:
        return (position - self.closed) / self.span

    def position(self, normalised: float) -> float:
        return normalised * self.span + self.closed


@dataclass(frozen=True)
class GripperPreset:
    """One kind of ALOHA gripper. finger [m], joint: angle of the motor [rad].

    As in ALOHA's datasets, a state is normalised by the finger and a command by the joint.
    """

    name: str
    finger: FingerRange
    joint: FingerRange


@dataclass(frozen=True)
class Linkage:
    """The crank that turns the motor's angle into finger travel: horn and arm [m]."""

    horn: float = 0.022
    arm: float = 0.036

    def finger(self, angle: float) -> float:
        """Position of the left finger [m] at the motor's `angle` [rad]."""
        across = self.horn * math.cos(angle)
        return self.horn * math.sin(angle) + math.sqrt(self.arm**2 - across**2)

    def angle(self, finger: float) -> float:
        """The motor's angle [rad] for a position of the left finger [m]."""
        cosine = (self.horn**2 + finger**2 - self.arm**2) / (2.0 * self.horn * finger)
        return math.pi / 2.0 - math.acos(min(max(cosine, -1.0), 1.0))


# https://github.com/tonyzhaozh/act, constants.py (PUPPET_GRIPPER_POSITION_*); the simulation uses it too.
ALOHA_1_FOLLOWER = FingerRange(closed=0.01844, open=0.05800)

# ALOHA 1: https://github.com/tonyzhaozh/aloha, constants.py. Trossen 2.0: https://github.com/Interbotix/aloha,
# aloha/constants.py.
FOLLOWER_GRIPPERS: Mapping[str, GripperPreset] = {
    preset.name: preset
    for preset in (
        GripperPreset("aloha_1", ALOHA_1_FOLLOWER, FingerRange(-0.6213, 1.4910)),
        GripperPreset("trossen_2", FingerRange(0.0440, 0.0579), FingerRange(0.6197, 1.6214)),
    )
}
LEADER_GRIPPERS: Mapping[str, GripperPreset] = {
    preset.name: preset
    for preset in (
        GripperPreset("aloha_1", FingerRange(0.01244, 0.02417), FingerRange(-0.6842, 0.3083)),
        GripperPreset("trossen_2", FingerRange(0.0185, 0.0323), FingerRange(-0.0552, 0.8298)),
    )
}
TOLERANCE = 0.15  # of the travel: grippers are mounted by hand, and fingers bend


def follower_gripper(name: str) -> GripperPreset:
    """The follower's preset called `name`. Raises UnknownNameError."""
    if name not in FOLLOWER_GRIPPERS:
        raise UnknownNameError("gripper", name, FOLLOWER_GRIPPERS)
    return FOLLOWER_GRIPPERS[name]


def leader_gripper(name: str) -> GripperPreset:
    """The leader's preset called `name`. Raises UnknownNameError."""
    if name not in LEADER_GRIPPERS:
        raise UnknownNameError("leader gripper", name, LEADER_GRIPPERS)
    return LEADER_GRIPPERS[name]


def implausible(preset: GripperPreset, angle: float, finger: float) -> str:
    """What a motor's angle [rad] and a finger's position [m] say against this preset; empty if nothing."""
    for what, value, span in _readings(preset, angle, finger):
        if not _inside(value, span):
            others = (other for other in FOLLOWER_GRIPPERS.values() if other is not preset)
            fits = [o.name for o in others if all(_inside(v, s) for _, v, s in _readings(o, angle, finger))]
            hint = f"; {' or '.join(fits)} would fit" if fits else ""
            where = f"{span.closed:.4f} closed to {span.open:.4f} open"
            return f"{what} at {value:.4f}, '{preset.name}' goes from {where}{hint}"
    return ""


def _readings(preset: GripperPreset, angle: float, finger: float) -> tuple[tuple[str, float, FingerRange], ...]:
    return ("motor", angle, preset.joint), ("finger", finger, preset.finger)


def _inside(value: float, span: FingerRange) -> bool:
    return -TOLERANCE <= span.normalise(value) <= 1.0 + TOLERANCE  # False for NaN
