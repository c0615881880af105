"""How far the grippers of one pair of arms really go, in place of their preset's travel."""

from __future__ import annotations

from dataclasses import dataclass

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError
from speedtune_ros.robots.gripper import TOLERANCE, FingerRange, GripperPreset

_PRESET = (0.0, 0.0, 0.0, 0.0)
_DOC = "finger closed, open [m], motor closed, open [rad]; all 0: as the preset has it"


@dataclass(frozen=True)
class TravelConfig:
    """What `speedtune calibrate gripper` found."""

    left: tuple[float, float, float, float] = option(_PRESET, f"left gripper: {_DOC}", minimum=-3.2, maximum=3.2)
    right: tuple[float, float, float, float] = option(_PRESET, f"right gripper: {_DOC}", minimum=-3.2, maximum=3.2)


def mounted(preset: GripperPreset, travel: tuple[float, float, float, float], side: str) -> GripperPreset:
    """The preset with the travel measured. Raises ConfigError if that is none, or one of another preset."""
    if travel == _PRESET:
        return preset
    found = GripperPreset(preset.name, FingerRange(*travel[:2]), FingerRange(*travel[2:]))
    for what, own, whole in (("finger", found.finger, preset.finger), ("motor", found.joint, preset.joint)):
        ends = [whole.normalise(own.closed), whole.normalise(own.open)]
        if own.span <= 0.0 or not all(-TOLERANCE <= end <= 1.0 + TOLERANCE for end in ends):
            raise ConfigError(
                f"{side} gripper: {what} measured from {own.closed:.4f} closed to {own.open:.4f} open, expected inside "
                f"those of '{preset.name}', {whole.closed:.4f} to {whole.open:.4f}"
            )
    return found
