"""The values that flow between stages: observation, chunk, speed, trajectory, command.

Stamps are integer nanoseconds of the robot's clock, durations are float seconds. All arrays are checked
once, where the value is built.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.errors import InvalidInputError


class TargetKind(str, Enum):
    """What a chunk's targets are: commands for the low-level controller, or states to be reached."""

    COMMAND = "command"
    STATE = "state"


def checked(name: str, value: object, shape: tuple[int | None, ...], dtype: type = np.float64) -> np.ndarray:
    """Return `value` as a finite array of `shape` (None matches any size) or raise InvalidInputError."""
    try:
        array: np.ndarray = np.asarray(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name}: expected numbers of shape {shape}, got {type(value).__name__}") from error
    if array.shape != shape and not _fits(array.shape, shape):
        raise InvalidInputError(f"{name}: expected shape {shape}, got {array.shape}")
    # The square sum of finite numbers is finite unless it overflows; it costs a third of looking at each.
    if not math.isfinite(np.vdot(array, array)) and not np.isfinite(array).all():
        raise InvalidInputError(f"{name}: not finite at index {tuple(np.argwhere(~np.isfinite(array))[0].tolist())}")
    return array


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(want in (None, have) for want, have in zip(expected, shape))


@dataclass(frozen=True)
class RobotState:
    """What the robot measures on one tick: qpos (14,), qvel (14,) [rad, rad/s; gripper 0 closed to 1 open]."""

    stamp_ns: int
    qpos: np.ndarray
    qvel: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "qpos", checked("qpos", self.qpos, (NUM_JOINTS,)))
        object.__setattr__(self, "qvel", checked("qvel", self.qvel, (NUM_JOINTS,)))


@dataclass(frozen=True)
class Observation:
    """What a policy sees, as of the joint state's stamp: the state and images by camera, each (H, W, 3) uint8 RGB."""

    state: RobotState
    images: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def stamp_ns(self) -> int:
        return self.state.stamp_ns


@dataclass(frozen=True)
class Episode:
    """Which episode is running. Policies are told at its start; `seed` fixes the scene in simulation."""

    id: str
    task: str
    seed: int = 0
    instruction: str = ""


@dataclass(frozen=True)
class InferenceRequest:
    """The retimer's question to both policies.

    progress: demonstration time executed since the episode began [s]; speed: executed `sdot`;
    committed: (m, 14) targets already promised from the observation on, at the control rate (for in-painting);
    latency: expected from the observation to the hand-over [s].
    """

    sequence: int
    stamp_ns: int
    progress: float = 0.0
    speed: float = 1.0
    committed: np.ndarray = field(default_factory=lambda: np.empty((0, NUM_JOINTS), np.float32))
    latency: float = 0.0


@dataclass(frozen=True)
class Query:
    """One observation and the request it answers."""

    observation: Observation
    request: InferenceRequest


@dataclass(frozen=True)
class Chunk:
    """k future targets conditioned on one observation, with n candidates: targets (n, k, 14) float32, step dt [s].

    Target i lies at demonstration time s = i*dt where targets are commands, (i+1)*dt where they are states.
    """

    stamp_ns: int
    targets: np.ndarray
    dt: float
    kind: TargetKind = TargetKind.COMMAND
    policy: str = ""
    latency: float = 0.0

    def __post_init__(self) -> None:
        try:
            targets = np.asarray(self.targets)
        except ValueError as error:  # ragged
            raise InvalidInputError(f"chunk targets: expected one row of {NUM_JOINTS} a target: {error}") from error
        if targets.ndim == 2:
            targets = targets[None]
        targets = checked("chunk targets", targets, (None, None, NUM_JOINTS), np.float32)
        if targets.shape[0] < 1 or targets.shape[1] < 2:
            raise InvalidInputError(f"chunk targets: expected at least 1 candidate of 2 targets, got {targets.shape}")
        if not (np.isfinite(self.dt) and self.dt > 0.0):
            raise InvalidInputError(f"chunk dt: expected a positive time [s], got {self.dt}")
        object.__setattr__(self, "targets", targets)

    @property
    def horizon(self) -> int:
        return self.targets.shape[1]

    @property
    def knots(self) -> np.ndarray:
        """Demonstration time of each target: (k,) [s] after the observation."""
        first = 0 if self.kind is TargetKind.COMMAND else 1
        return self.dt * np.arange(first, self.horizon + first)


@dataclass(frozen=True)
class SpeedChoice:
    """A ceiling on `sdot`, with the set it was chosen from and the values behind the choice (empty if none).

    features: what a learned policy saw of this decision, for whoever learns from it.
    """

    stamp_ns: int
    speed: float
    speeds: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    source: str = "constant"
    features: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.speed) and self.speed > 0.0):
            raise InvalidInputError(f"speed: expected a finite number above 0, got {self.speed}")


@dataclass(frozen=True)
class Trajectory:
    """Stamped targets after re-timing; replaces everything from `start_ns` on and ends at rest.

    times (m,) [s] after start_ns, from 0, strictly increasing; positions (m, 14); velocities (m, 14);
    progress (m,) demonstration time in the episode [s]; speeds (m,) `sdot`. Between points: cubic Hermite
    for positions, linear for progress.
    """

    start_ns: int
    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    progress: np.ndarray
    speeds: np.ndarray
    chunk_stamp_ns: int = 0
    sequence: int = 0

    def __post_init__(self) -> None:
        times = checked("trajectory times", self.times, (None,))
        m = len(times)
        if m < 1 or times[0] != 0.0 or (times[1:] <= times[:-1]).any():
            raise InvalidInputError("trajectory times: expected strictly increasing from 0")
        object.__setattr__(self, "times", times)
        for name, shape in (
            ("positions", (m, NUM_JOINTS)),
            ("velocities", (m, NUM_JOINTS)),
            ("progress", (m,)),
            ("speeds", (m,)),
        ):
            object.__setattr__(self, name, checked(f"trajectory {name}", getattr(self, name), shape))
        if (self.progress[1:] < self.progress[:-1]).any():
            raise InvalidInputError("trajectory progress: expected never to go backwards")

    @property
    def duration(self) -> float:
        return float(self.times[-1])


@dataclass(frozen=True)
class Setpoint:
    """A trajectory at one instant: what would be commanded, how fast, and how far along the demonstration."""

    position: np.ndarray  # (14,)
    velocity: np.ndarray  # (14,) per second
    progress: float  # [s], in the episode
    speed: float  # sdot


@dataclass(frozen=True)
class RetimeReport:
    """What re-timing did to one chunk, and which limit bound. The jumps are those of the hand-over."""

    stamp_ns: int
    sequence: int
    mode: str
    requested_speed: float
    mean_speed: float
    peak_speed: float
    duration: float
    binding_limit: str = "none"  # none, latency, firmware, operator, chunk_end, or a retimer's own
    binding_joint: str = ""
    fallback_reason: str = ""
    handover: str = "start"
    entry: float = 0.0  # [s] in the chunk
    position_jump: float = 0.0  # [rad], largest over joints
    velocity_jump: float = 0.0  # [rad/s], largest over joints
    backward_step: float = 0.0  # [rad], largest step against the direction of motion
    solve_time: float = 0.0  # [s]
    controllable_set: tuple[float, float] = (0.0, float("inf"))  # of sdot**2 at the start
    slip: float = 0.0  # demonstration time gained by the hand-over's jump, negative if lost [s]
