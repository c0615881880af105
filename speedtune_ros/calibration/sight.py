"""How old a camera's picture is: a joint swings, and the picture swings after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.response import phasor
from speedtune_ros.errors import InvalidInputError

_FEWEST = 12  # frames
_CLEAR = 4.0  # the swing must stand out of the pixels' noise so far
_EARLY = 0.1  # [s]: a picture seems to come before its motion by no more than this


@dataclass(frozen=True)
class Frames:
    """One camera's frames during a recording: stamps, arrivals (n,) [s] on its clock, grey pixels (n, p)."""

    camera: str
    stamps: np.ndarray
    arrivals: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class Sight:
    """age: from what is seen to the frame's arrival [s]; stamped: from what is seen to the frame's stamp [s];
    period: between frames [s]; clarity: how far the swing stands out of the noise."""

    camera: str
    age: float
    stamped: float
    period: float
    clarity: float

    @property
    def worst(self) -> float:
        """Age of the newest frame just before the next one comes [s]."""
        return self.age + self.period


def sight_of(frames: Frames, recording: Recording) -> Sight:
    """The age of a camera's picture from a tone it saw. Raises InvalidInputError if it did not see it.

    Each pixel answers a swing in phase with it or against it: half the angle of the sum of squared phasors is the
    picture's phase, whatever the sign. Its delay is known up to half the tone's period.
    """
    motion = recording.motion
    omega = 2.0 * np.pi * motion.frequency_hz
    mask = recording.between(*motion.steady)
    joint = phasor(recording.times[mask], recording.position[mask], omega)
    arrived = _picture_delay(frames, frames.arrivals, joint, omega, motion.steady)
    stamped = _picture_delay(frames, frames.stamps, joint, omega, motion.steady)
    period = float(np.median(np.diff(np.sort(frames.stamps))))
    return Sight(frames.camera, arrived[0], stamped[0], period, arrived[1])


def _picture_delay(
    frames: Frames, times: np.ndarray, joint: complex, omega: float, steady: tuple[float, float]
) -> tuple[float, float]:
    """The picture's delay behind the joint [s] if its frames are dated `times` (n,), and how clear it is."""
    kept = (times >= steady[0]) & (times <= steady[1])
    if kept.sum() < _FEWEST:
        raise InvalidInputError(f"camera '{frames.camera}': {int(kept.sum())} frames during the swing, needs {_FEWEST}")
    t, pixels = times[kept], frames.pixels[kept].astype(float)
    columns = np.stack([np.sin(omega * t), np.cos(omega * t), np.ones_like(t), t], axis=1)
    solution, *_ = np.linalg.lstsq(columns, pixels, rcond=None)
    phasors = solution[0] + 1j * solution[1]
    noise = np.sqrt(np.mean((pixels - columns @ solution) ** 2) * 2.0 / len(t)) + 1e-9
    total = np.sum(phasors**2)
    clarity = float(np.sqrt(np.abs(total) / len(phasors)) / noise)
    if clarity < _CLEAR or np.abs(total) < 1e-6:
        raise InvalidInputError(
            f"camera '{frames.camera}' does not see the arm swing (clarity {clarity:.1f}, needs {_CLEAR:g}): light it, "
            "or choose a joint it sees"
        )
    behind = (np.angle(joint) - np.angle(total) / 2.0) / omega
    half = np.pi / omega
    return float((behind + _EARLY) % half - _EARLY), clarity


def to_dict(frames: Frames) -> dict[str, Any]:
    """Raw times and the mean of each frame, as JSON takes them."""
    return {
        "camera": frames.camera,
        "stamps": frames.stamps.round(6).tolist(),
        "arrivals": frames.arrivals.round(6).tolist(),
        "brightness": frames.pixels.mean(axis=1).round(3).tolist(),
    }
