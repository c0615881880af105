"""What an episode was: its result, and every tick of it if asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT, NUM_JOINTS
from speedtune_ros.retiming.scheduler import ChunkScheduler
from speedtune_ros.robots.driver import Driver, DriverTick
from speedtune_ros.simulation import Simulation
from speedtune_ros.types import Episode, RetimeReport, RobotState

_ARMS = np.array(ARMS)


@dataclass(frozen=True)
class Trace:
    """Every tick of an episode, n of them.

    stamps (n,) [ns]; commands (n, 14) sent; qpos (n, 14) measured just before; progress (n,) [s] and speed (n,)
    executed; ceiling (n,) asked for by the speed policy; reward (n,) after the tick; frames: (stamp, (H, W, 3)).
    """

    stamps: np.ndarray
    commands: np.ndarray
    qpos: np.ndarray
    progress: np.ndarray
    speed: np.ndarray
    ceiling: np.ndarray
    reward: np.ndarray
    reports: tuple[RetimeReport, ...]
    frames: tuple[tuple[int, np.ndarray], ...]


@dataclass(frozen=True)
class EpisodeResult:
    """What came of one episode.

    steps: control steps run; success_step: steps to the first success or None; realised_speed: mean `sdot` with what
    hand-over jumps gained or lost; slip: that share of it [s]; tracking_error_rms [rad], over arm joints and ticks;
    handover_jumps, backward_steps (hand-overs,) [rad], the episode's start left out; binding_limits: chunks by limit;
    refused, saturated: counts of the motion guard, refused chunks included; trouble: what latched the driver, as
    `fault: ...`, or broke the simulation, and so ended the episode, else empty; commanded_speed: mean over the chunks
    of what the speed policy asked for, 0 without a chunk.
    """

    episode: Episode
    success: bool
    steps: int
    success_step: int | None
    max_reward: int
    realised_speed: float
    slip: float
    tracking_error_rms: float
    handover_jumps: np.ndarray
    backward_steps: np.ndarray
    binding_limits: Mapping[str, int]
    fallbacks: int
    refused: int
    saturated: int
    trace: Trace | None = None
    trouble: str = ""
    commanded_speed: float = 0.0


class Recorder:
    """Collects one episode, tick by tick."""

    def __init__(self, episode: Episode, traces: bool, driver: Driver, scheduler: ChunkScheduler) -> None:
        self.traces = traces
        self._episode = episode
        self._driver, self._scheduler = driver, scheduler
        self._counts = self._refused(), driver.saturated
        self._states: list[RobotState] = []
        self._ticks: list[DriverTick] = []
        self._rewards: list[int] = []
        self._reports: list[RetimeReport] = []
        self._frames: list[tuple[int, np.ndarray]] = []
        self._success_step: int | None = None

    def tick(self, state: RobotState, tick: DriverTick, simulation: Simulation) -> None:
        self._states.append(state)
        self._ticks.append(tick)
        self._rewards.append(simulation.reward)
        if self._success_step is None and simulation.success:
            self._success_step = simulation.steps

    def report(self, report: RetimeReport) -> None:
        self._reports.append(report)

    def frame(self, stamp_ns: int, image: np.ndarray) -> None:
        self._frames.append((stamp_ns, image))

    def result(self, simulation: Simulation) -> EpisodeResult:
        handovers = [report for report in self._reports if report.handover != "start"]
        commands = np.array([tick.command for tick in self._ticks]).reshape(-1, NUM_JOINTS)
        qpos = np.array([state.qpos for state in self._states]).reshape(-1, NUM_JOINTS)
        speeds = np.array([tick.speed for tick in self._ticks])
        slip = self._scheduler.slip
        refused, saturated = self._refused() - self._counts[0], self._driver.saturated - self._counts[1]
        return EpisodeResult(
            self._episode,
            simulation.success,
            simulation.steps,
            self._success_step,
            simulation.max_reward,
            float(speeds.mean() + slip / (len(speeds) * CONTROL_DT)) if len(speeds) else 0.0,
            slip,
            _rms((qpos[1:] - commands[:-1])[:, _ARMS]),
            np.array([report.position_jump for report in handovers]),
            np.array([report.backward_step for report in handovers]),
            dict(Counter(report.binding_limit for report in self._reports)),
            sum(bool(report.fallback_reason) for report in self._reports),
            refused,
            saturated,
            self._trace(commands, qpos, speeds) if self.traces else None,
            self._driver.trouble or simulation.trouble,
            float(np.mean([report.requested_speed for report in self._reports])) if self._reports else 0.0,
        )

    def _refused(self) -> int:
        return self._driver.refused + self._scheduler.refused.total()

    def _trace(self, commands: np.ndarray, qpos: np.ndarray, speeds: np.ndarray) -> Trace:
        ceilings = {report.sequence: report.requested_speed for report in self._reports}
        return Trace(
            np.array([tick.stamp_ns for tick in self._ticks], np.int64),
            commands,
            qpos,
            np.array([tick.progress for tick in self._ticks]),
            speeds,
            np.array([ceilings.get(tick.trajectory, 0.0) for tick in self._ticks]),
            np.array(self._rewards),
            tuple(self._reports),
            tuple(self._frames),
        )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
