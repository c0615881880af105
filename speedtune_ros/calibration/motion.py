"""Small motions of one joint that excite what is to be measured, and how each becomes a trajectory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from speedtune_ros.aloha import CONTROL_DT, JOINT_NAMES, NUM_JOINTS
from speedtune_ros.errors import InvalidInputError, UnknownNameError
from speedtune_ros.types import Trajectory, checked

_MARGIN = 0.02  # of the position limits, left free [rad]
_SHORT_OF = 0.98  # of the velocity limit: the guard must have nothing to saturate


class Kind(str, Enum):
    """What a motion is for."""

    TONE = "tone"
    STROKE = "stroke"
    TRAVEL = "travel"


@dataclass(frozen=True)
class Motion:
    """One joint's way from rest and back to rest.

    offsets (m,) from where it rests [rad; gripper 0 to 1], rates (m,) [1/s of that], at times (m,) [s];
    steady: the part of a tone in which its amplitude does not change [s]; frequency_hz: of a tone, else 0.
    """

    joint: str
    kind: Kind
    times: np.ndarray
    offsets: np.ndarray
    rates: np.ndarray
    steady: tuple[float, float] = (0.0, 0.0)
    frequency_hz: float = 0.0

    @property
    def index(self) -> int:
        """Of the joint among the 14. Raises UnknownNameError."""
        if self.joint not in JOINT_NAMES:
            raise UnknownNameError("joint", self.joint, JOINT_NAMES)
        return JOINT_NAMES.index(self.joint)

    @property
    def duration(self) -> float:
        return float(self.times[-1])

    @property
    def reach(self) -> float:
        """Largest distance from where it rests."""
        return float(np.abs(self.offsets).max())

    @property
    def peak_rate(self) -> float:
        return float(np.abs(self.rates).max())

    def trajectory(self, command: np.ndarray, start_ns: int, sequence: int) -> Trajectory:
        """The motion about `command` (14,), the other joints at rest. Its progress stays 0: it is no demonstration."""
        command = checked("command", command, (NUM_JOINTS,))
        positions = np.tile(command, (len(self.times), 1))
        velocities = np.zeros_like(positions)
        positions[:, self.index] += self.offsets
        velocities[:, self.index] = self.rates
        speeds = np.append(np.ones(len(self.times) - 1), 0.0)
        still = np.zeros(len(self.times))
        return Trajectory(start_ns, self.times, positions, velocities, still, speeds, sequence=sequence)


def tone(joint: str, frequency_hz: float, amplitude: float, cycles: int) -> Motion:
    """A sinusoid that swells over its first cycle, stays for `cycles` and fades over its last. Raises."""
    _positive(frequency=frequency_hz, amplitude=amplitude, cycles=cycles)
    omega = 2.0 * math.pi * frequency_hz
    total = (cycles + 2) / frequency_hz
    times = _ticks(total)
    edge = np.minimum(np.minimum(times, total - times) * frequency_hz, 1.0)  # 0 at the ends, 1 inside
    swell = 0.5 - 0.5 * np.cos(np.pi * edge)
    rising = np.where(edge < 1.0, np.sign(total / 2.0 - times), 0.0)
    swelling = 0.5 * np.pi * frequency_hz * np.sin(np.pi * edge) * rising
    offsets = amplitude * swell * np.sin(omega * times)
    rates = amplitude * (swelling * np.sin(omega * times) + swell * omega * np.cos(omega * times))
    offsets[-1] = rates[-1] = rates[0] = 0.0
    steady = (1.0 / frequency_hz, (cycles + 1) / frequency_hz)
    return Motion(joint, Kind.TONE, times, offsets, rates, steady, frequency_hz)


def stroke(joint: str, distance: float, speed: float, acceleration: float, dwell: float = 0.6) -> Motion:
    """There and back at constant speed where `distance` leaves room for it, at rest for `dwell` [s] in between.

    The sign of `distance` is the direction. Raises InvalidInputError.
    """
    _positive(distance=abs(distance), speed=speed, acceleration=acceleration, dwell=dwell)
    length = abs(distance)
    speed = min(speed, math.sqrt(length * acceleration))
    ramp = speed / acceleration
    going = length / speed + ramp
    times = _ticks(2.0 * (going + dwell))
    back = times >= going + dwell
    position, rate = _trapezoid(np.where(back, times - going - dwell, times), length, speed, ramp)
    sign = math.copysign(1.0, distance)
    offsets = sign * np.where(back, length - position, position)
    rates = sign * np.where(back, -rate, rate)
    offsets[-1] = rates[-1] = 0.0
    return Motion(joint, Kind.STROKE, times, offsets, rates)


def travel(joint: str, position: float, speed: float, dwell: float = 1.0) -> Motion:
    """A gripper from `position` (0 closed to 1 open) wide open, closed, and back, at rest for `dwell` [s] at each end.

    speed: the largest [1/s]. Raises InvalidInputError.
    """
    _positive(speed=speed, dwell=dwell)
    values: list[np.ndarray] = [np.array([position])]
    rates: list[np.ndarray] = [np.zeros(1)]
    stops = [position, 1.0, 1.0, 0.0, 0.0, position]
    for a, b in zip(stops, stops[1:]):
        # Whole ticks, at rest on the last one: a curve between ticks then never leaves 0 to 1.
        time = dwell if a == b else 0.5 * np.pi * abs(b - a) / speed
        count = max(1, math.ceil(time / CONTROL_DT))
        phase = np.pi * np.arange(1, count + 1) / count
        way: np.ndarray = a + (b - a) * (1.0 - np.cos(phase)) / 2.0
        values.append(way)
        rates.append((b - a) * np.pi * np.sin(phase) / (2.0 * count * CONTROL_DT))
        rates[-1][-1] = 0.0
    offsets = np.concatenate(values) - position
    return Motion(joint, Kind.TRAVEL, CONTROL_DT * np.arange(len(offsets)), offsets, np.concatenate(rates))


def fit(motion: Motion, position: float, lower: float, upper: float, velocity: float) -> None:
    """Raise InvalidInputError if the motion about `position` would leave the limits of its joint or be too fast."""
    margin = 0.0 if motion.kind is Kind.TRAVEL else _MARGIN
    low, high = position + motion.offsets.min(), position + motion.offsets.max()
    if low < lower + margin - 1e-9 or high > upper - margin + 1e-9:
        raise InvalidInputError(
            f"{motion.joint}: a {motion.kind.value} from {low:.3f} to {high:.3f} does not fit between the limits "
            f"{lower:.3f} and {upper:.3f}, {margin:g} free at each end; move the arm or make it smaller"
        )
    if motion.peak_rate > velocity * (1.0 + 1e-6):
        raise InvalidInputError(
            f"{motion.joint}: a {motion.kind.value} at {motion.peak_rate:.2f} is faster than its limit {velocity:.2f}"
        )


def direction(position: float, lower: float, upper: float) -> float:
    """1.0 or -1.0: where a joint at `position` has more room."""
    return 1.0 if upper - position >= position - lower else -1.0


def fastest(velocity: float) -> float:
    """The highest speed a motion may have under a velocity limit."""
    return _SHORT_OF * velocity


def _trapezoid(t: np.ndarray, length: float, speed: float, ramp: float) -> tuple[np.ndarray, np.ndarray]:
    """Position and rate at times t (m,) of a move over `length` that reaches `speed` after `ramp` [s]."""
    end = length / speed + ramp
    t = np.clip(t, 0.0, end)
    rising, falling = np.minimum(t, ramp), np.maximum(t - (end - ramp), 0.0)
    rate = speed * np.minimum(1.0, np.minimum(t, end - t) / ramp)
    position = speed * (rising**2 / (2.0 * ramp) + np.maximum(t - ramp, 0.0) - falling**2 / (2.0 * ramp))
    return position, rate


def _ticks(duration: float) -> np.ndarray:
    return CONTROL_DT * np.arange(math.ceil(duration / CONTROL_DT - 1e-9) + 1)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0.0):
            raise InvalidInputError(f"{name}: expected a finite number above 0, got {value}")
