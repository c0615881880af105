"""One episode as the graph told it, and what learning and figures take from it. Knows no ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT, CONTROL_DT_NS
from speedtune_ros.errors import DataError
from speedtune_ros.evaluation.samples import EpisodeSample
from speedtune_ros.speed.decider import Decisions
from speedtune_ros.types import RetimeReport, SpeedChoice

# Longest silence of the driver over which the last executed speed is taken to have stayed as it was.
LONGEST_GAP = 5  # [control ticks]
SUCCESS = 1.0  # a label of so much, or more
TROUBLES = ("fault", "stopped")  # how the reason of an end begins that lies not with the policies


@dataclass(frozen=True)
class LiveEpisode:
    """What was published of one episode; stamps are of the robot's clock [ns].

    start_ns to end_ns: from the first tick to the first success, or to the end; success: by the graph's own judgement,
    which only a simulator has; reason: why it ended. speeds: executed `sdot` by tick; choices: the speed policy's, in
    order; reports: the retimer's; commands (14,) and qpos (14,) by tick, where they were listened to; refused,
    saturated: by the motion guard.
    """

    id: str
    seed: int
    start_ns: int
    end_ns: int
    success: bool
    reason: str
    speeds: Mapping[int, float]
    choices: tuple[SpeedChoice, ...]
    reports: tuple[RetimeReport, ...] = ()
    commands: Mapping[int, np.ndarray] = field(default_factory=dict)
    qpos: Mapping[int, np.ndarray] = field(default_factory=dict)
    refused: int = 0
    saturated: int = 0

    @property
    def steps(self) -> int:
        """Control steps it took."""
        return round((self.end_ns - self.start_ns) / CONTROL_DT_NS)

    @property
    def duration(self) -> float:
        """[s]."""
        return (self.end_ns - self.start_ns) * 1e-9


@dataclass(frozen=True)
class EpisodeLimits:
    """When an episode without success ends: `time` of the robot's clock [s], 0 for the task's own; `progress`, of
    demonstration [s], 0 for none."""

    time: float = 0.0
    progress: float = 0.0


NO_LIMITS = EpisodeLimits()


class Graph(Protocol):
    """A running graph, as `nodes.live_graph.LiveGraph` is one."""

    def episode_steps(self, task: str) -> int:
        """Control steps of a demonstration of `task`."""

    def run(self, seed: int, mode: str = "", limits: EpisodeLimits = NO_LIMITS) -> LiveEpisode | None:
        """One episode, under speed policy `mode` ("" keeps the present one). None: the operator wants to end."""

    def label(self, episode: LiveEpisode, timeout_s: float) -> float | None:
        """A person's verdict on it, -1 to 1; None if there is none in time, or the episode is to be discarded."""

    def load(self, folder: str, seed: int) -> None:
        """Let the speed policy node take the weights in `folder` and explore."""


def executed(episode: LiveEpisode, since_ns: int | None = None) -> np.ndarray:
    """Executed `sdot` of each control step (n,) from `since_ns` (the episode's start if None) to its end.

    Raises DataError where the driver was not heard for more than LONGEST_GAP steps: nothing is guessed.
    """
    first = episode.start_ns if since_ns is None else since_ns
    stamps = np.array(sorted(episode.speeds), np.int64)
    wanted = first + CONTROL_DT_NS * np.arange(max(round((episode.end_ns - first) / CONTROL_DT_NS), 0))
    heard = np.searchsorted(stamps, wanted + CONTROL_DT_NS // 2) - 1  # the newest one, give or take half a tick
    age = np.where(heard >= 0, wanted - stamps[np.maximum(heard, 0)] if len(stamps) else 0, np.iinfo(np.int64).max)
    if not len(wanted) or (age > LONGEST_GAP * CONTROL_DT_NS).any():
        lost = int((age > CONTROL_DT_NS).sum())
        raise DataError(f"episode '{episode.id}': no driver status for {lost} of {len(wanted)} control steps")
    return np.array([episode.speeds[int(stamps[index])] for index in heard])


def decisions(episode: LiveEpisode, speeds: Sequence[float], size: int) -> Decisions:
    """What the speed policy saw, `size` numbers, and chose from `speeds` until the episode's end.

    Raises DataError if it does not say, or is another one than the learner's.
    """
    choices = [choice for choice in episode.choices if choice.stamp_ns < episode.end_ns]
    for choice in choices:
        if not choice.features or choice.speed not in choice.speeds:
            raise DataError(
                f"episode '{episode.id}': speed policy '{choice.source}' does not tell what it saw: not learned?"
            )
        if len(choice.features) != size or not np.allclose(choice.speeds, speeds):
            raise DataError(
                f"episode '{episode.id}': expected {size} features and speeds {list(speeds)}, as the learner's policy "
                f"has them, got {len(choice.features)} and {list(choice.speeds)} from '{choice.source}'"
            )
    if not choices:
        raise DataError(f"episode '{episode.id}': no choice of a speed was heard")
    return Decisions(
        np.array([choice.features for choice in choices], np.float32),
        np.array([choice.speeds.index(choice.speed) for choice in choices]),
        np.array([choice.stamp_ns for choice in choices], np.int64),
    )


def sample(episode: LiveEpisode, label: float) -> EpisodeSample:
    """What it contributes to a figure under a person's verdict. Raises DataError as `executed` does."""
    speeds = executed(episode)
    reports = [report for report in episode.reports if report.stamp_ns < episode.end_ns]
    handovers = [report for report in reports if report.handover != "start"]
    slip = sum(report.slip for report in reports)
    return EpisodeSample(
        seed=episode.seed,
        steps=episode.steps,
        success_step=episode.steps if label >= SUCCESS else None,
        max_reward=label,
        realised_speed=float(speeds.mean() + slip / (len(speeds) * CONTROL_DT)),
        tracking_error_rad_rms=tracking_error(episode),
        handover_jumps_rad=tuple(report.position_jump for report in handovers),
        backward_steps_rad=tuple(report.backward_step for report in handovers),
        binding_limits=dict(Counter(report.binding_limit for report in reports)),
        fallbacks=sum(bool(report.fallback_reason) for report in reports),
        refused=episode.refused,
        saturated=episode.saturated,
        trouble=episode.reason if episode.reason.startswith(TROUBLES) else "",
        commanded_speed=float(np.mean([choice.speed for choice in episode.choices])) if episode.choices else 0.0,
    )


def tracking_error(episode: LiveEpisode) -> float:
    """Root mean square over ticks and arm joints of what was reached one tick after its command [rad]."""
    stamps = np.array(sorted(episode.qpos), np.int64)
    errors = []
    for stamp, command in episode.commands.items():
        index = int(np.searchsorted(stamps, stamp + CONTROL_DT_NS // 2))  # hardware's ticks are not quite even
        if index < len(stamps) and stamps[index] - stamp < 2 * CONTROL_DT_NS:
            errors.append((episode.qpos[int(stamps[index])] - command)[list(ARMS)])
    return float(np.sqrt(np.mean(np.array(errors) ** 2))) if errors else 0.0
