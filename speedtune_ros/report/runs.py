"""What the report shows of one episode, whichever way it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from speedtune_ros.errors import InvalidInputError


@dataclass(frozen=True)
class Frame:
    """One camera image: time from the episode's first tick [s], pixels (H, W, 3) uint8 RGB."""

    time: float
    pixels: np.ndarray


@dataclass(frozen=True)
class Choice:
    """What a speed policy chose at `progress` [s]: `speed` of the set `speeds`, with `values` Q(v) or none."""

    progress: float
    speed: float
    speeds: tuple[float, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class ReportRun:
    """One episode tick by tick.

    times (T,) [s] from the first tick; commands, reached (T, 14) [rad; gripper 0 to 1]; progress (T,) demonstration
    time [s]; speed (T,) executed `sdot`; ceiling (T,) of `sdot`; reward (T,). duration: to first success or the end
    [s]; slip: demonstration time that hand-over jumps gained meanwhile [s]. latencies: samples [s] by what took them;
    periods: between published commands [s]; choices: of the speed policy.
    """

    title: str
    mode: str
    seed: int
    success: bool
    duration: float
    reason: str
    times: np.ndarray
    commands: np.ndarray
    reached: np.ndarray
    progress: np.ndarray
    speed: np.ndarray
    ceiling: np.ndarray
    reward: np.ndarray
    slip: float = 0.0
    frames: tuple[Frame, ...] = ()
    latencies: Mapping[str, np.ndarray] = field(default_factory=dict)
    periods: np.ndarray = field(default_factory=lambda: np.empty(0))
    binding_limits: Mapping[str, int] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()

    def __post_init__(self) -> None:
        ticks = len(self.times)
        for name in ("commands", "reached", "progress", "speed", "ceiling", "reward"):
            if len(getattr(self, name)) != ticks:
                got = len(getattr(self, name))
                raise InvalidInputError(f"report run '{self.title}': expected {ticks} ticks of {name}, got {got}")

    @property
    def realised_speed(self) -> float:
        """Mean executed `sdot`, slip included, from the first tick to the first success or the end; NaN if none."""
        moving = self.times < self.duration - 1e-9
        return float(np.mean(self.speed[moving]) + self.slip / self.duration) if moving.any() else float("nan")

    def at(self, time: float) -> tuple[float, float]:
        """Executed `sdot` and progress [s] at `time`, of the last tick before."""
        index = max(0, int(np.searchsorted(self.times, time, side="right")) - 1)
        return float(self.speed[index]), float(self.progress[index])
