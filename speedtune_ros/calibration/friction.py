"""Dry and viscous friction of a joint, from the torque its motors needed for slow tones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.response import gain_of
from speedtune_ros.errors import InvalidInputError

_HARMONICS = 5  # dry friction bends a sinusoid
_SLOW = 0.2  # of a tone's peak velocity: below it a joint may stick
_MOVED = 0.2  # of what was sent: a joint that moved less was stuck


@dataclass(frozen=True)
class Friction:
    """dry [N m], viscous [N m s/rad]; noise: root mean square of the torque that is not explained [N m]."""

    dry: float
    viscous: float
    noise: float


def fit_friction(recordings: Sequence[Recording], torque_constant: float) -> Friction:
    """Friction by least squares over the steady parts of tones; torque_constant [N m/A], of all motors of the joint.

        torque = c + k q + J q'' + viscous q' + dry sign(q')

    c and k: gravity about where the joint is. Raises InvalidInputError if no tone moved the joint.
    """
    rows, torques = [], []
    for recording in recordings:
        if abs(gain_of(recording).value) < _MOVED:
            continue
        mask = recording.between(*recording.motion.steady)
        q, v, a = _smooth(recording, mask)
        fast = np.abs(v) > _SLOW * np.abs(v).max()
        rows.append(np.stack([np.ones_like(q), q, a, v, np.sign(v)], axis=1)[fast])
        torques.append(recording.current[mask][fast] * 1e-3 * torque_constant)
    if not rows:
        raise InvalidInputError("friction: no tone moved the joint; it needs larger ones")
    system, torque = np.concatenate(rows), np.concatenate(torques)
    solution = np.linalg.lstsq(system, torque, rcond=None)[0]
    noise = float(np.sqrt(np.mean((system @ solution - torque) ** 2)))
    return Friction(dry=max(float(solution[4]), 0.0), viscous=max(float(solution[3]), 0.0), noise=noise)


def _smooth(recording: Recording, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position, velocity, acceleration (n,) of the harmonics that best match the measured positions."""
    times, omega = recording.times[mask], 2.0 * np.pi * recording.motion.frequency_hz
    orders = omega * np.arange(1, _HARMONICS + 1)
    sines, cosines = np.sin(np.outer(times, orders)), np.cos(np.outer(times, orders))
    columns = np.hstack([sines, cosines])
    system = np.hstack([columns, np.ones((len(times), 1))])
    solution = np.linalg.lstsq(system, recording.position[mask], rcond=None)[0]
    harmonics = solution[:-1]
    velocity = np.hstack([cosines * orders, -sines * orders]) @ harmonics
    acceleration = np.hstack([-sines * orders**2, -cosines * orders**2]) @ harmonics
    return columns @ harmonics + solution[-1], velocity, acceleration
