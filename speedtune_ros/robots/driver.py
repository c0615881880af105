"""Plays trajectories to a robot, tick by tick, through the motion guard; holds the latched stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT
from speedtune_ros.config import option
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.robots.motion_guard import GuardConfig, MotionGuard
from speedtune_ros.robots.robot import Limits
from speedtune_ros.sampling import Player, hold, sample
from speedtune_ros.types import RobotState, Trajectory

_ARMS = np.array(ARMS)


class DriverState(IntEnum):
    """As in DriverStatus.msg."""

    INACTIVE = 0
    HOLDING = 1
    TRACKING = 2
    STOPPED = 3
    FAULT = 4


@dataclass(frozen=True)
class DriverConfig:
    """How the driver judges its inputs."""

    guard: GuardConfig = field(default_factory=GuardConfig)
    max_state_age: float = option(0.2, "a joint state older than this is stale: hold [s]", minimum=0.02)
    max_trajectory_age: float = option(0.5, "a trajectory that began so long ago is refused [s]", minimum=0.02)


@dataclass(frozen=True)
class DriverTick:
    """What one tick sent and how the driver stands; fields as in DriverStatus.msg. Counts run since construction."""

    stamp_ns: int
    command: np.ndarray  # (14,)
    state: DriverState
    faults: tuple[str, ...]
    trajectory: int
    progress: float  # [s]
    speed: float
    tracking_error: float  # [rad], measured state against the last command, largest over arm joints
    missed_ticks: int
    refused: int
    saturated: int


class Driver:
    """Current and pending trajectories in, one guarded command per tick out.

    limits: of the dynamics profile; start (14,): where the arms rest; dt: time between ticks [s].
    A stop is latched: the arms hold the last command until `clear_stop`, and trajectories are refused. A fault latches
    the same way.
    """

    def __init__(
        self, limits: Limits, start: np.ndarray, dt: float = CONTROL_DT, config: DriverConfig = DriverConfig()
    ) -> None:
        self.config = config
        self._guard = MotionGuard(limits, start, dt, config.guard)
        self._refused_trajectories = 0
        self._missed = 0
        self.reset(start)

    def reset(self, position: np.ndarray) -> None:
        """A new episode: the arms rest at position (14,), no trajectory, no stop. Counts stay."""
        self._guard.reset(position)
        self._player = Player(hold(self._guard.last, 0))
        self._latched: DriverState | None = None
        self._faults: tuple[str, ...] = ()
        self._suspended: tuple[str, ...] = ()
        self._now_ns: int | None = None
        self._progress, self._sequence = 0.0, 0

    def rest(self, position: np.ndarray) -> None:
        """Hold at position (14,), where others have left the arms. A stop or fault stays."""
        self._guard.reset(position)
        self.begin()

    @property
    def refused(self) -> int:
        """Commands the guard refused and trajectories refused, since construction."""
        return self._guard.refused + self._refused_trajectories

    @property
    def saturated(self) -> int:
        """Commands the guard saturated, since construction."""
        return self._guard.saturated

    @property
    def trouble(self) -> str:
        """Why nothing moves any more: `stopped` or `fault: ...`; empty unless latched."""
        if self._latched is None:
            return ""
        return "stopped" if self._latched is DriverState.STOPPED else f"fault: {', '.join(self._faults)}"

    def load(self, trajectory: Trajectory) -> None:
        """Play the trajectory from its start on; what plays until then stays. Raises InvalidInputError."""
        if self._latched is not None:
            raise self._refusal(f"the driver is {self._latched.name.lower()}; clear the stop first")
        if self._suspended:
            raise self._refusal(f"the driver holds: {', '.join(self._suspended)}")
        if self._now_ns is not None:
            age = (self._now_ns - trajectory.start_ns) / 1e9
            if age > self.config.max_trajectory_age:
                raise self._refusal(f"it began {age:.3f} s ago, at most {self.config.max_trajectory_age} s allowed")
        self._player.load(trajectory)

    def hold(self) -> None:
        """Drop the trajectory and hold the last command until the next one: the end of an episode, not a stop."""
        self._player = Player(hold(self._guard.last, self._now_ns or 0, self._progress, self._sequence))

    def begin(self) -> None:
        """A new episode from where the arms are: hold the last command, progress from 0. A stop or fault stays."""
        self._progress, self._sequence = 0.0, 0
        self.hold()

    @property
    def latched(self) -> DriverState | None:
        """STOPPED or FAULT until `clear_stop`; None if neither is latched."""
        return self._latched

    def stop(self) -> None:
        """Latch the stop: hold the last command. Torque stays on."""
        if self._latched is None:
            self._latched = DriverState.STOPPED

    def clear_stop(self, position: np.ndarray | None = None) -> None:
        """Release a stop or fault; the arms hold until the next trajectory, at position (14,) if they were moved."""
        self._guard.reset(self._guard.last if position is None else position)
        self.hold()
        self._latched, self._faults = None, ()

    def fail(self, reasons: tuple[str, ...]) -> None:
        """Latch a fault that the robot itself reports; later reasons add to the first."""
        if self._latched is not DriverState.FAULT:
            self._latched, self._faults = DriverState.FAULT, ()
        self._faults += tuple(reason for reason in reasons if reason not in self._faults)

    def suspend(self, reasons: tuple[str, ...]) -> None:
        """Hold while there are reasons to; what was playing is dropped, so that nothing hurries to catch up."""
        if reasons and not self._suspended:
            self.hold()
        self._suspended = reasons

    def tick(self, state: RobotState, now_ns: int | None = None, missed: int = 0) -> DriverTick:
        """The command for this tick. state: the newest measured; now_ns: the state's stamp if left out;
        missed: ticks that the caller started too late since the last call."""
        now_ns = state.stamp_ns if now_ns is None else now_ns
        self._now_ns = now_ns
        self._missed += missed
        error = float(np.abs((state.qpos - self._guard.last).take(_ARMS)).max())
        if self._latched is None:
            driver_state, speed = self._advance(state, now_ns)
        else:
            driver_state, speed = self._latched, 0.0
        return DriverTick(
            now_ns,
            self._guard.last,
            driver_state,
            self._faults,
            self._sequence,
            self._progress,
            speed,
            error,
            self._missed,
            self.refused,
            self.saturated,
        )

    def _advance(self, state: RobotState, now_ns: int) -> tuple[DriverState, float]:
        """Guard the trajectory's next command; its state and `sdot`."""
        if self._suspended:
            self._guard.refuse("suspended")
            self._faults = self._suspended
            return DriverState.HOLDING, 0.0
        age = (now_ns - state.stamp_ns) / 1e9
        if age > self.config.max_state_age:
            self._guard.refuse("stale")
            self._faults = (f"joint state {age:.3f} s old",)
            return DriverState.HOLDING, 0.0
        trajectory = self._player.play(now_ns)
        setpoint = sample(trajectory, now_ns)
        guarded = self._guard.check(setpoint.position)
        if self._guard.fault:
            self._latched = DriverState.FAULT
            self._faults = (f"target out of reach for {self.config.guard.fault_time} s",)
            return DriverState.FAULT, 0.0
        if guarded.refusal:
            self._faults = (guarded.refusal,)
            return DriverState.HOLDING, 0.0
        self._faults = ()
        self._progress, self._sequence = setpoint.progress, trajectory.sequence
        state_now = DriverState.TRACKING if setpoint.speed > 0.0 else DriverState.HOLDING
        return state_now, setpoint.speed * guarded.share  # what the guard held back was not executed

    def _refusal(self, detail: str) -> InvalidInputError:
        self._refused_trajectories += 1
        return InvalidInputError(f"trajectory refused: {detail}")
