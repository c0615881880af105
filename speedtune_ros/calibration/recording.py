"""What was sent and what was measured while one motion was played."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speedtune_ros.calibration.motion import Motion
from speedtune_ros.errors import InvalidInputError


@dataclass(frozen=True)
class Recording:
    """All times are seconds since the motion's first point, by the stamps of one clock.

    rest: where the joint was commanded to be before [rad; gripper 0 to 1]; times, position [rad of the joint's motor],
    velocity [rad/s], current [mA], all (n,): joint states; finger (n,) [m], of grippers alone;
    command_times, commands (m,): what the driver sent.
    """

    motion: Motion
    rest: float
    times: np.ndarray
    position: np.ndarray
    velocity: np.ndarray
    current: np.ndarray
    command_times: np.ndarray
    commands: np.ndarray
    finger: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        series = (self.position, self.velocity, self.current)
        if any(len(values) != len(self.times) for values in series):
            raise InvalidInputError(f"recording: {len(self.times)} times, but series of {[len(v) for v in series]}")

    def sent(self, times: np.ndarray) -> np.ndarray:
        """The trajectory as it was sent, at `times` (n,) [s]: positions (n,)."""
        return self.rest + np.interp(times, self.motion.times, self.motion.offsets)

    def between(self, start: float, end: float) -> np.ndarray:
        """Mask (n,) of the samples in [start, end] [s]. Raises InvalidInputError if there are too few."""
        mask = (self.times >= start) & (self.times <= end)
        if mask.sum() < 10:
            raise InvalidInputError(
                f"{self.motion.joint}: {int(mask.sum())} joint states between {start:.2f} and {end:.2f} s of a "
                f"{self.motion.kind.value}: too few to measure anything"
            )
        return mask

    def to_dict(self) -> dict[str, Any]:
        """Raw samples, as JSON takes them."""
        arrays = ("times", "position", "velocity", "current", "command_times", "commands", "finger")
        samples = {name: np.round(getattr(self, name), 6).tolist() for name in arrays}
        motion = self.motion
        sent = {"times": motion.times.round(4).tolist(), "offsets": motion.offsets.round(6).tolist()}
        return {
            "joint": motion.joint,
            "kind": motion.kind.value,
            "frequency_hz": motion.frequency_hz,
            "rest": self.rest,
            "sent": sent,
            **samples,
        }
