"""A bag as what each stage saw, said and did, episode by episode. Everything that looks into a bag reads this."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from speedtune_ros.aloha import CONTROL_DT_NS
from speedtune_ros.data.bag_images import decode_image
from speedtune_ros.data.bag_reader import BagEpisode
from speedtune_ros.types import Chunk, InferenceRequest, Observation, RetimeReport, RobotState, SpeedChoice, Trajectory

_YOUNGER_NS = 100_000_000
STATES = ("inactive", "holding", "tracking", "stopped", "fault")  # DriverStatus.state


class Times(NamedTuple):
    """When a message was received by the recorder and when it was published, both system time [ns]."""

    log_ns: int
    publish_ns: int


class Frame(NamedTuple):
    """A camera image as it was recorded; stamp of the robot's clock [ns]."""

    stamp_ns: int
    times: Times
    coded: np.ndarray  # bytes of a JPEG or PNG file

    @property
    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return decode_image(self.coded)


class Tick(NamedTuple):
    """One tick of the driver: what it sent, and how it stood. Counts run since the driver's start."""

    stamp_ns: int
    times: Times
    command: np.ndarray  # (14,)
    state: str
    faults: tuple[str, ...]
    trajectory: int  # sequence of the request it answers
    progress: float  # [s]
    speed: float
    tracking_error: float  # [rad]
    missed: int
    refused: int
    saturated: int


@dataclass
class Decision:
    """A request and what came of it, as far as it was recorded; `times` by what was said."""

    sequence: int
    request: InferenceRequest | None = None
    chunk: Chunk | None = None
    choice: SpeedChoice | None = None
    trajectory: Trajectory | None = None
    report: RetimeReport | None = None
    times: dict[str, Times] = field(default_factory=dict)

    @property
    def stamp_ns(self) -> int:
        """Of the observation."""
        said = (self.request, self.chunk, self.choice, self.report)
        return next((value.stamp_ns for value in said if value is not None), 0)

    @property
    def refusal(self) -> str:
        """Why the answer was refused; empty if it was not."""
        reason = self.report.fallback_reason if self.report is not None else ""
        return reason.partition(": ")[2] if reason.startswith("refused") else ""

    def latency(self, first: str, second: str) -> float:
        """From the publication of one message to that of another [s]; NaN if one is missing."""
        if first not in self.times or second not in self.times:
            return float("nan")
        return (self.times[second].publish_ns - self.times[first].publish_ns) * 1e-9


class Health(NamedTuple):
    """What a node said of itself: `level` 0 is well, 1 a warning, 2 an error."""

    log_ns: int
    node: str
    level: int
    message: str
    values: Mapping[str, str]


@dataclass
class EpisodeSeries:
    """One episode. Stamps are of the robot's clock [ns], in order; each list may be empty.

    number: in the bag, from 1; rewards: (stamp, reward); success_ns: stamp of the first success; start_command (14,):
    held before the first tick.
    """

    info: BagEpisode
    instruction: str = ""
    start_ns: int = 0
    end_ns: int = 0
    states: list[RobotState] = field(default_factory=list)
    state_times: list[Times] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    command_times: dict[int, Times] = field(default_factory=dict)
    rewards: list[tuple[int, float]] = field(default_factory=list)
    success_ns: int | None = None
    start_command: np.ndarray | None = None
    images: dict[str, list[Frame]] = field(default_factory=dict)
    health: list[Health] = field(default_factory=list)
    number: int = 1

    @property
    def cameras(self) -> list[str]:
        return sorted(self.images)

    @cached_property
    def tick_stamps(self) -> np.ndarray:
        """(T,) [ns]."""
        return np.array([tick.stamp_ns for tick in self.ticks], np.int64)

    @cached_property
    def state_stamps(self) -> list[int]:
        return [state.stamp_ns for state in self.states]

    def state_at(self, stamp_ns: int) -> RobotState | None:
        """The newest state not younger than `stamp_ns`."""
        index = bisect_right(self.state_stamps, stamp_ns) - 1
        return self.states[index] if index >= 0 else None

    def frame_at(self, camera: str, stamp_ns: int, received_ns: int | None = None) -> Frame | None:
        """The newest image not younger than `stamp_ns`, nor received after `received_ns`."""
        frames = self.images.get(camera, [])
        for frame in reversed(frames[: bisect_right(frames, stamp_ns, key=lambda frame: frame.stamp_ns)]):
            if received_ns is None or frame.times.log_ns <= received_ns:
                return frame
        return None

    def observation(self, decision: Decision, cameras: Sequence[str]) -> Observation | None:
        """What the policies saw for a decision, nothing that had not arrived when they inferred.

        As for them, an episode's first image may be a little younger than the state. None if one is missing.
        """
        state = self.state_at(decision.stamp_ns)
        if state is None or state.stamp_ns != decision.stamp_ns:
            return None
        frames = {camera: self._seen(camera, decision) for camera in cameras}
        found = {camera: frame.pixels for camera, frame in frames.items() if frame is not None}
        return Observation(state, found) if len(found) == len(cameras) else None

    def _seen(self, camera: str, decision: Decision) -> Frame | None:
        frame = self.frame_at(camera, decision.stamp_ns, self._inferred_ns(decision))
        if frame is None and self.images.get(camera):
            first = self.images[camera][0]
            frame = first if abs(first.stamp_ns - decision.stamp_ns) <= _YOUNGER_NS else None
        return frame

    def _inferred_ns(self, decision: Decision) -> int | None:
        """When inference began, on the recorder's clock."""
        if decision.chunk is None or "chunk" not in decision.times:
            return None
        # Of equal stamps the recorder may hear the image a moment after the policy did: a tick of tolerance.
        return decision.times["chunk"].log_ns - round(decision.chunk.latency * 1e9) + CONTROL_DT_NS // 4

    def decision(self, sequence: int) -> Decision | None:
        """The decision of that request."""
        return next((decision for decision in self.decisions if decision.sequence == sequence), None)


def status_tick(stamp_ns: int, times: Times, message: Any) -> Tick:
    """A Tick of a DriverStatus message."""
    state = STATES[message.state] if message.state < len(STATES) else str(message.state)
    return Tick(
        stamp_ns,
        times,
        np.asarray(message.command, float),
        state,
        tuple(message.faults),
        int(message.trajectory),
        float(message.progress),
        float(message.speed),
        float(message.tracking_error),
        int(message.missed_ticks),
        int(message.refused),
        int(message.saturated),
    )
