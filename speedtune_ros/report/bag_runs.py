"""Report runs from a bag: what the graph did, with the times it took."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speedtune_ros.aloha import JOINT_NAMES, NUM_JOINTS
from speedtune_ros.data.bag_images import COMPRESSED, decode_jpeg
from speedtune_ros.data.bag_reader import EPISODE_STATUS, RUNNING, Bag, BagEpisode
from speedtune_ros.errors import DataError
from speedtune_ros.report.runs import Frame, ReportRun

DRIVER_STATUS = "speedtune_msgs/msg/DriverStatus"
SIM_STATUS = "speedtune_msgs/msg/SimStatus"
SPEED_COMMAND = "speedtune_msgs/msg/SpeedCommand"
RETIME_REPORT = "speedtune_msgs/msg/RetimeReport"
ACTION_CHUNK = "speedtune_msgs/msg/ActionChunk"
JOINT_STATE = "sensor_msgs/msg/JointState"
LONGEST_PERIOD = 0.5  # [s]; a longer silence lies between two episodes, and is no jitter


@dataclass
class _Episode:
    """The messages of one episode; times are stamps of the robot's clock or, where said, of publication [ns]."""

    start_ns: int = 0
    driver: dict[int, Any] = field(default_factory=dict)  # by stamp
    reward: dict[int, float] = field(default_factory=dict)  # by stamp
    success_ns: int | None = None  # stamp of the first success
    choices: list[Any] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    chunks: list[Any] = field(default_factory=list)


@dataclass
class _Streams:
    """The messages that name no episode, by stamp."""

    qpos: dict[int, np.ndarray] = field(default_factory=dict)
    observed: dict[int, int] = field(default_factory=dict)  # when the joint state was published
    commanded: dict[int, int] = field(default_factory=dict)  # when the command was published


def runs_of_bag(bag: Bag, camera: str = "") -> list[ReportRun]:
    """The episodes of a bag, tick by tick, with frames of `camera` (the first by name if empty, if there is any).

    Raises DataError if the bag tells nothing of the driver.
    """
    if not bag.topics_of(DRIVER_STATUS):
        raise DataError(f"{bag.path}: expected a topic of {DRIVER_STATUS}, found: {', '.join(bag.topics) or 'none'}")
    episodes, streams = _collect(bag)
    known = [episode for episode in bag.episodes() if episodes[episode.id].driver]
    frames = _frames(bag, camera)
    return [_run(episode, episodes[episode.id], streams, frames) for episode in known]


def _collect(bag: Bag) -> tuple[Mapping[str, _Episode], _Streams]:
    episodes: dict[str, _Episode] = defaultdict(_Episode)
    streams = _Streams()
    kinds = (DRIVER_STATUS, SIM_STATUS, SPEED_COMMAND, RETIME_REPORT, ACTION_CHUNK, EPISODE_STATUS, JOINT_STATE)
    for item in bag.messages([name for kind in kinds for name in bag.topics_of(kind)]):
        message, kind = item.message, bag.topics[item.topic].type_name
        stamp = _ns(message.header.stamp)
        if kind == JOINT_STATE:
            _add_joints(streams, item.topic, stamp, item.publish_ns, message)
            continue
        episode = episodes[message.episode_id]
        if kind == DRIVER_STATUS:
            episode.driver[stamp] = message
        elif kind == SIM_STATUS:
            episode.reward[stamp] = float(message.reward)
            if message.success and episode.success_ns is None:
                episode.success_ns = stamp
        elif kind == EPISODE_STATUS and message.phase == RUNNING:
            episode.start_ns = _ns(message.start)
        elif kind == SPEED_COMMAND:
            episode.choices.append(message)
        elif kind == RETIME_REPORT:
            episode.reports.append(message)
        elif kind == ACTION_CHUNK:
            episode.chunks.append(message)
    return episodes, streams


def _add_joints(streams: _Streams, topic: str, stamp: int, published_ns: int, message: Any) -> None:
    if topic.endswith("command"):
        streams.commanded[stamp] = published_ns
    elif topic.endswith("joint_states") and list(message.name) == list(JOINT_NAMES):
        streams.qpos[stamp] = np.asarray(message.position)
        streams.observed[stamp] = published_ns


def _run(info: BagEpisode, episode: _Episode, streams: _Streams, frames: Sequence[tuple[int, np.ndarray]]) -> ReportRun:
    start = episode.start_ns
    end = start + round(info.elapsed * 1e9)
    stamps = np.array(sorted(stamp for stamp in episode.driver if start <= stamp <= end), np.int64)
    ticks = [episode.driver[stamp] for stamp in stamps]
    last = end if episode.success_ns is None else episode.success_ns
    published = [streams.commanded[stamp] for stamp in stamps if stamp in streams.commanded]
    return ReportRun(
        title=f"Scene {info.seed}",
        mode=episode.choices[-1].source if episode.choices else "",
        seed=info.seed,
        success=info.success or episode.success_ns is not None,  # the last status may not have been recorded
        duration=1e-9 * (last - start),
        reason=info.reason,
        times=(stamps - start) * 1e-9,
        commands=np.array([tick.command for tick in ticks]).reshape(-1, NUM_JOINTS),
        reached=np.array([streams.qpos.get(stamp, np.full(NUM_JOINTS, np.nan)) for stamp in stamps.tolist()]),
        progress=np.array([tick.progress for tick in ticks]),
        speed=np.array([tick.speed for tick in ticks]),
        ceiling=_held([(_ns(choice.header.stamp), choice.speed) for choice in episode.choices], stamps),
        reward=_held(sorted(episode.reward.items()), stamps),
        slip=sum(report.slip for report in episode.reports if _ns(report.header.stamp) < last),
        frames=tuple(Frame((stamp - start) * 1e-9, pixels) for stamp, pixels in frames if start <= stamp <= end),
        latencies=_latencies(episode, streams, stamps),
        periods=_periods(published),
        binding_limits=dict(Counter(report.binding_limit for report in episode.reports if report.binding_limit)),
    )


def _latencies(episode: _Episode, streams: _Streams, stamps: np.ndarray) -> dict[str, np.ndarray]:
    ticks = [stamp for stamp in stamps.tolist() if stamp in streams.commanded and stamp in streams.observed]
    return {
        "inference": np.array([chunk.inference_latency for chunk in episode.chunks]),
        "re-timing": np.array([report.solve_time for report in episode.reports]),
        "observation to command": np.array([1e-9 * (streams.commanded[t] - streams.observed[t]) for t in ticks]),
    }


def _periods(published_ns: Sequence[int]) -> np.ndarray:
    """Time between commands [s], in the order they were published."""
    periods = 1e-9 * np.diff(np.array(sorted(published_ns), np.int64))
    return periods[periods < LONGEST_PERIOD]


def _held(samples: Sequence[tuple[int, float]], stamps: np.ndarray) -> np.ndarray:
    """The latest of (stamp, value) `samples` at each of `stamps`; the first before any, 0 without samples."""
    if not samples:
        return np.zeros(len(stamps))
    times, values = np.array([s for s, _ in samples]), np.array([v for _, v in samples], float)
    return values[np.maximum(np.searchsorted(times, stamps, side="right") - 1, 0)]


def _frames(bag: Bag, camera: str) -> list[tuple[int, np.ndarray]]:
    topics = [topic for topic in bag.topics_of(COMPRESSED) if not camera or f"/{camera}/" in topic]
    if not topics:
        return []
    return [(_ns(item.message.header.stamp), decode_jpeg(item.message.data)) for item in bag.messages(topics[:1])]


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
