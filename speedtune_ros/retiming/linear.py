"""Linear interpolation over a chunk at constant speed, and the stop that ends it.

SpeedTuning, "Interpolation over Action Chunks", equations 9 to 11:
https://daivdyuan.github.io/speed-tuning/
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from speedtune_ros.aloha import CONTROL_DT, JOINT_NAMES, NUM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.retiming.handover import Handover, HandoverConfig, jump
from speedtune_ros.retiming.retimer import Ceiling, Retiming, Splice
from speedtune_ros.types import Chunk, RetimeReport, TargetKind, Trajectory, checked

_ROUNDING = 1e-9  # in ticks or relative: what float arithmetic may lose
_TRIES = 4  # re-timings at a lower speed until the curve obeys the velocity limits
# A monotone cubic is at most 1.5 times as fast as its steepest secant: a quadratic with this mean and zero ends.
_STEEPEST = 1.5


@dataclass(frozen=True)
class RetimerConfig:
    """Settings shared by the retimers."""

    handover: HandoverConfig = field(default_factory=HandoverConfig)
    brake_time: float = option(0.1, "time to stop on the path from any speed [s]", minimum=0.02, maximum=2.0)
    control_dt: float = option(CONTROL_DT, "time between commands [s]", minimum=0.001, maximum=0.1)
    max_duration: float = option(20.0, "longest motion published before its stop [s]", minimum=1.0, maximum=120.0)


def interpolate(targets: np.ndarray, v: float, dt_policy: float, dt_control: float = CONTROL_DT) -> np.ndarray:
    """The accelerated commands of equations 9 to 11, as they stand: floor((k - 1) / step) + 1 of them, (n, 14).

    What a whole chunk becomes without hand-over, limits and stop. `LinearRetimer` evaluates the same equation 9 tick by
    tick; the tests hold its ticks up to the stop to these.
    targets (k, 14) are knots 0 to k-1, dt_policy [s] apart; command i lies at knot i * step with
    step = v * dt_control / dt_policy. Raises InvalidInputError.
    """
    path = checked("chunk targets", targets, (None, NUM_JOINTS))
    for name, value in (("speed", v), ("policy dt", dt_policy), ("control dt", dt_control)):
        if not (math.isfinite(value) and value > 0.0):
            raise InvalidInputError(f"{name}: expected a finite number above 0, got {value}")
    if len(path) < 2:
        raise InvalidInputError(f"chunk targets: expected at least 2, got {len(path)}")
    step = v * dt_control / dt_policy
    count = math.floor((len(path) - 1) / step + _ROUNDING) + 1
    return _on_path(path, np.diff(path, axis=0), step * np.arange(count))


def _on_path(path: np.ndarray, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Equation 9: path (k, 14) with slopes (k-1, 14) per knot at x (m,) in knots."""
    x = np.minimum(x, len(slopes))
    below = np.minimum(x.astype(np.intp), len(slopes) - 1)
    positions = slopes.take(below, axis=0)
    positions *= (x - below)[:, None]
    positions += path.take(below, axis=0)
    return positions


class _Motion(NamedTuple):
    """Points of a trajectory on control ticks, and their progress from the entry on [s]."""

    positions: np.ndarray
    velocities: np.ndarray
    secants: np.ndarray
    progress: np.ndarray
    speeds: np.ndarray


class _Profile(NamedTuple):
    """Full speed for `cruise` ticks, then the stop: m points.

    offsets (m,): ticks at full speed to get there; widths (m-1, 1) between them; shares (m,): of the full speed.
    """

    cruise: int
    offsets: np.ndarray
    widths: np.ndarray
    shares: np.ndarray


class LinearRetimer:
    """Runs the chunk at the ceiling, lowered where a velocity limit demands it, and stops at the chunk's end.

    velocity (14,): largest joint velocities of the dynamics profile [rad/s; gripper 1/s], infinite for none.
    """

    name = "linear"

    def __init__(self, config: RetimerConfig = RetimerConfig(), velocity: np.ndarray | None = None) -> None:
        self.config = config
        self._handover = Handover(config.handover)
        self._velocity = np.full(NUM_JOINTS, np.inf) if velocity is None else np.asarray(velocity, float)
        self._limited = bool(np.isfinite(self._velocity).any())
        self._dt = config.control_dt
        self._brake_ticks = max(1, round(config.brake_time / self._dt))
        # sdot falls as a half cosine: from 1 to 0 in `brake_ticks`, covering half as many ticks of motion
        phase = np.arange(1, self._brake_ticks + 1) / self._brake_ticks
        self._stop = self._brake_ticks * (phase + np.sin(np.pi * phase) / np.pi) / 2.0
        self._stop_speeds = (1.0 + np.cos(np.pi * phase)) / 2.0
        self._stop_speeds[-1] = 0.0
        ticks = round(config.max_duration / self._dt) + self._brake_ticks + 2
        self._ticks = np.arange(ticks, dtype=float)
        self._profiles: dict[int, _Profile] = {}
        # as (now_ns - start_ns) / 1e9 rounds them, so that ticks meet points exactly
        self._times = np.arange(ticks) * round(self._dt * 1e9) / 1e9

    def brake_distance(self, speed: float) -> float:
        """Demonstration time [s] needed to stop from `speed` on the path."""
        return speed * self._brake_ticks * self._dt / 2.0

    def retime(self, chunk: Chunk, splice: Splice, ceiling: Ceiling) -> Retiming:
        """Enter where the hand-over says, keep `sdot` at the ceiling on every tick, stop at the chunk's end."""
        path = chunk.targets[0].astype(np.float64)
        slopes = path[1:] - path[:-1]
        first = 0.0 if chunk.kind is TargetKind.COMMAND else chunk.dt
        entry = self._handover.entry(path, first, chunk.dt, splice, chunk.kind)
        x = (entry - first) / chunk.dt
        speed, joint = self._firmware(slopes[int(x) :], chunk.dt, ceiling.speed)
        reason, room = "", (len(slopes) - x) * chunk.dt
        source = "none" if ceiling.source == "policy" else ceiling.source
        fitting = room / self.brake_distance(1.0)
        if fitting < speed:
            reason = f"{room:.3f} s of the chunk left: too short to stop from {speed:.2f}"
            speed, joint, source = fitting, -1, "chunk_end"
        motion, speed, joint = self._limited_motion(path, slopes, x, speed, joint, chunk.dt, splice.cruise)
        binding = "firmware" if joint >= 0 else source
        trajectory = self._trajectory(motion, splice, chunk)
        felt = jump(splice, motion.positions[0], motion.velocities[0], speed)
        report = RetimeReport(
            chunk.stamp_ns,
            0,
            self.name,
            ceiling.speed,
            speed,
            speed,
            trajectory.duration,
            binding,
            JOINT_NAMES[joint] if joint >= 0 else "",
            reason,
            "start" if splice.speed == 0.0 and splice.progress == 0.0 else self.config.handover.method,
            entry,
            felt.position,
            felt.velocity,
            felt.backward,
            slip=felt.slip,
        )
        return Retiming(trajectory, report)

    def _firmware(self, slopes: np.ndarray, dt: float, speed: float) -> tuple[float, int]:
        """The speed that path slopes (m, 14) per knot, dt [s] apart, allow, and the joint that binds or -1.

        Of all the path ahead, not of the k_skip ticks that are usually played: when no further chunk comes, everything
        published is played, so all of it must be within the limits.
        """
        if not self._limited:
            return speed, -1
        if (np.abs(slopes) <= self._velocity * (dt / speed)).all():
            return speed, -1
        steepest = np.maximum(slopes.max(axis=0), -slopes.min(axis=0))
        allowed = self._velocity * dt / np.maximum(steepest, 1e-12)
        joint = int(allowed.argmin())
        return min(float(allowed[joint]), speed), joint

    def _limited_motion(
        self, path: np.ndarray, slopes: np.ndarray, x: float, speed: float, joint: int, dt: float, cruise: float
    ) -> tuple[_Motion, float, int]:
        """A motion whose curve obeys the velocity limits between ticks too, its speed and the joint that binds."""
        certain = speed / _STEEPEST
        for _ in range(_TRIES):
            motion = self._motion(path, slopes, x, speed, dt, cruise)
            if not self._limited or len(motion.secants) == 0:
                return motion, speed, joint
            excess, worst = self._excess(motion)
            if excess <= 1.0 + _ROUNDING:
                return motion, speed, joint
            speed, joint = speed / excess, worst
        # each try sampled other corners of the path and found new ones: take the bound that needs no luck
        speed = min(speed, certain)
        return self._motion(path, slopes, x, speed, dt, cruise), speed, joint

    def _motion(
        self, path: np.ndarray, slopes: np.ndarray, x: float, speed: float, dt: float, cruise: float
    ) -> _Motion:
        """Constant speed from knot x on, then the stop, on control ticks."""
        step = speed * self._dt / dt
        if step <= 0.0:
            return self._rest(_on_path(path, slopes, np.array([x])))
        room = (len(slopes) - x) / step - self._stop[-1]
        room = min(room, cruise / self._dt, self.config.max_duration / self._dt)
        count = max(math.floor(room + _ROUNDING), 0)
        profile = self._profile(count)
        positions = _on_path(path, slopes, x + step * profile.offsets)
        steps = positions[1:] - positions[:-1]
        velocities = _velocities(steps, profile)
        velocities *= 1.0 / self._dt
        steps *= 1.0 / self._dt
        progress = profile.offsets * (speed * self._dt)
        return _Motion(positions, velocities, steps, progress, profile.shares * speed)

    def _profile(self, count: int) -> _Profile:
        """`count` ticks at full speed and the stop."""
        if count not in self._profiles:
            offsets = np.concatenate((self._ticks[: count + 1], self._stop + count))
            shares = np.concatenate((np.ones(count + 1), self._stop_speeds))
            self._profiles[count] = _Profile(count, offsets, np.diff(offsets)[:, None], shares)
        return self._profiles[count]

    @staticmethod
    def _rest(position: np.ndarray) -> _Motion:
        """Position (1, 14), held."""
        return _Motion(position, np.zeros((1, NUM_JOINTS)), np.zeros((0, NUM_JOINTS)), np.zeros(1), np.zeros(1))

    def _excess(self, motion: _Motion) -> tuple[float, int]:
        """By what factor the Hermite curve is too fast between ticks, and for which joint.

        On ticks it is no faster than the secants, which `_firmware` saw to. Over a step its velocity is a quadratic
        Bezier curve with control points m0, c = 3 d - m0 - m1, m1.
        """
        m0, m1 = motion.velocities[:-1], motion.velocities[1:]
        middle = 3.0 * motion.secants - m0 - m1
        if (np.abs(middle) <= self._velocity).all():
            return 1.0, -1
        ratio = _extremes(m0, middle, m1).max(axis=0) / self._velocity
        joint = int(ratio.argmax())
        return float(ratio[joint]), joint

    def _trajectory(self, motion: _Motion, splice: Splice, chunk: Chunk) -> Trajectory:
        return Trajectory(
            splice.start_ns,
            self._times[: len(motion.positions)],
            motion.positions,
            motion.velocities,
            motion.progress + splice.progress,
            motion.speeds,
            chunk.stamp_ns,
        )


def _extremes(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Largest |value| of quadratic Bezier curves with control points a, b, c inside (0, 1); 0 where monotone."""
    bend = a - 2.0 * b + c
    turn = a - b
    inside = (turn * bend > 0.0) & (np.abs(turn) < np.abs(bend))
    return np.abs(np.where(inside, a - turn * turn / np.where(inside, bend, 1.0), 0.0))


def _velocities(steps: np.ndarray, profile: _Profile) -> np.ndarray:
    """Velocities (m, 14) per tick at points that are steps (m-1, 14) apart; the last is 0.

    Harmonic means of the path's rates, 0 where the direction turns, times the share of speed; at most 3 times the
    next step, which the stop makes short. The Hermite curve then never leaves the range of the two points around it,
    so position limits hold between ticks (Fritsch and Butland 1984, https://doi.org/10.1137/0905021).
    """
    rates = steps / profile.widths
    velocities = np.zeros((len(steps) + 1, NUM_JOINTS))
    velocities[0] = rates[0]
    before, after = rates[:-1], rates[1:]
    total = before + after
    product = before * after
    rising = product > 0.0
    product *= 2.0
    np.divide(product, total, out=velocities[1:-1], where=rising)
    stop = velocities[profile.cruise + 1 : -1]
    stop *= profile.shares[profile.cruise + 1 : -1, None]
    most = 3.0 * np.abs(steps[profile.cruise + 1 :])
    np.minimum(stop, most, out=stop)
    np.maximum(stop, -most, out=stop)
    return velocities


def make(config: RetimerConfig | None = None, velocity: np.ndarray | None = None) -> LinearRetimer:
    """The factory in `retimer.FACTORIES`."""
    return LinearRetimer(config or RetimerConfig(), velocity)
