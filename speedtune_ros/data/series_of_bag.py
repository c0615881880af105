"""Sorts a bag's messages into episodes and stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from speedtune_ros.data import messages
from speedtune_ros.data.bag_images import COMPRESSED
from speedtune_ros.data.bag_reader import ENDED, EPISODE_STATUS, RUNNING, Bag, BagEpisode, BagMessage
from speedtune_ros.data.bag_series import Decision, EpisodeSeries, Frame, Health, Tick, Times, status_tick
from speedtune_ros.errors import DataError, InvalidInputError

JOINT_STATE = "sensor_msgs/msg/JointState"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
_OURS = "speedtune_msgs/msg/"
_ANSWERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    f"{_OURS}InferenceRequest": ("request", messages.request_from_message),
    f"{_OURS}ActionChunk": ("chunk", messages.chunk_from_message),
    f"{_OURS}SpeedCommand": ("choice", messages.choice_from_message),
    f"{_OURS}RetimeReport": ("report", messages.report_from_message),
}
KINDS = (*_ANSWERS, *(f"{_OURS}{name}" for name in ("DriverStatus", "SimStatus", "EpisodeStatus")))
STREAMS = (JOINT_STATE, TRAJECTORY, DIAGNOSTICS)
_SECOND_NS = messages.SECOND_NS


def series_of_bag(bag: Bag, images: bool = True) -> list[EpisodeSeries]:
    """The episodes of a bag in order; all of it as one episode where the bag tells of none.

    images: whether frames are kept (compressed). Raises DataError if there are neither joint states nor driver ticks.
    """
    sorter = _Sorter(bag)
    kinds = (*KINDS, *STREAMS, *((COMPRESSED,) if images else ()))
    topics = [topic for kind in kinds for topic in bag.topics_of(kind)]
    for item in bag.messages(topics):
        try:
            sorter.take(item)
        except InvalidInputError:  # a message that our nodes would have refused too
            sorter.refused[item.topic] += 1
    return sorter.finish()


class _Sorter:
    """Takes messages in the order they were received."""

    def __init__(self, bag: Bag) -> None:
        self.refused: Counter[str] = Counter()
        self._bag = bag
        self._known = {info.id: EpisodeSeries(info, number=number) for number, info in enumerate(bag.episodes(), 1)}
        self._whole = None if self._known else EpisodeSeries(BagEpisode("", "", 0, bag.duration, False, ""))
        self._decisions: dict[tuple[str, int], Decision] = {}
        self._ticks: dict[str, dict[int, Tick]] = {}
        self._held: dict[str, dict[int, np.ndarray]] = {}  # the first command said at each stamp
        self._rewards: dict[str, dict[int, float]] = {}
        self._states: dict[int, tuple[Any, Times]] = {}
        self._commands: dict[int, tuple[Any, Times]] = {}
        self._frames: dict[str, list[Frame]] = {}
        self._health: list[Health] = []

    def take(self, item: BagMessage) -> None:
        kind, message = self._bag.topics[item.topic].type_name, item.message
        times = Times(item.log_ns, item.publish_ns)
        if kind in _ANSWERS:
            name, convert = _ANSWERS[kind]
            self._answer(message.episode_id, int(message.sequence), name, convert(message), times)
        elif kind == TRAJECTORY:
            episode_id, trajectory = messages.trajectory_from_message(message)
            self._answer(episode_id, trajectory.sequence, "trajectory", trajectory, times)
        elif kind == DIAGNOSTICS:
            self._health += [_health(item.log_ns, status) for status in message.status]
        elif kind == EPISODE_STATUS:
            self._status(message)
        else:
            self._stream(item.topic, kind, messages.to_ns(message.header.stamp), times, message)

    def _stream(self, topic: str, kind: str, stamp: int, times: Times, message: Any) -> None:
        if kind == JOINT_STATE and topic.endswith("/joint_states"):
            self._states.setdefault(stamp, (messages.state_from_message(message), times))
        elif kind == JOINT_STATE and topic.endswith("/command"):
            self._commands.setdefault(stamp, (np.asarray(message.position), times))
        elif kind == COMPRESSED:
            camera = topic.split("/")[-3] if topic.count("/") > 2 else topic
            self._frames.setdefault(camera, []).append(Frame(stamp, times, np.asarray(message.data)))
        elif kind.endswith("DriverStatus"):
            tick = status_tick(stamp, times, message)
            self._ticks.setdefault(self._id(message), {})[stamp] = tick
            self._held.setdefault(self._id(message), {}).setdefault(stamp, tick.command)
        elif kind.endswith("SimStatus"):
            series = self._series(message.episode_id)
            self._rewards.setdefault(self._id(message), {})[stamp] = float(message.reward)
            if series is not None and message.success and series.success_ns is None:
                series.success_ns = stamp

    def _status(self, message: Any) -> None:
        series = self._known.get(message.episode_id)
        if series is not None and message.phase == RUNNING:
            series.start_ns, series.instruction = messages.to_ns(message.start), message.instruction
        if series is not None and message.phase in (RUNNING, ENDED):
            series.end_ns = series.start_ns + round(message.elapsed * _SECOND_NS)

    def _answer(self, episode_id: str, sequence: int, name: str, value: Any, times: Times) -> None:
        series = self._series(episode_id)
        if series is None or (name == "trajectory" and value.start_ns < series.start_ns):  # the move to the start
            return
        key = series.info.id, sequence
        if key not in self._decisions:
            self._decisions[key] = Decision(sequence)
            series.decisions.append(self._decisions[key])
        decision = self._decisions[key]
        if getattr(decision, name) is None:  # what is repeated counts once
            setattr(decision, name, value)
            decision.times[name] = times

    def _series(self, episode_id: str) -> EpisodeSeries | None:
        return self._whole or self._known.get(episode_id)

    def _id(self, message: Any) -> str:
        return "" if self._whole is not None else str(message.episode_id)

    def finish(self) -> list[EpisodeSeries]:
        """Each episode with its share of the streams, which name none."""
        if self._whole is not None:
            stamps = [*self._states, *self._ticks.get("", {})]
            if not stamps:
                found = ", ".join(self._bag.topics) or "none"
                text = "expected an episode, joint states of the 14 joints or a driver's status"
                raise DataError(f"{self._bag.path}: {text}, found topics: {found}")
            self._whole.start_ns, self._whole.end_ns = min(stamps), max(stamps)
        everything = [*self._known.values(), *([self._whole] if self._whole is not None else [])]
        for series in everything:
            self._fill(series)
        return [series for series in everything if series.ticks or series.states]

    def _fill(self, series: EpisodeSeries) -> None:
        ticks = self._ticks.get(series.info.id, {})
        if not series.info.reason and ticks:  # the bag ends first: later than its last status
            series.end_ns = max(series.end_ns, *ticks)
        first, last = series.start_ns, series.end_ns
        # A robot that waits for its first trajectory says what it holds before it ticks.
        held = {stamp: command for stamp, command in self._held.get(series.info.id, {}).items() if stamp >= first}
        series.start_command = held[min(held)] if held else None
        series.ticks = [ticks[stamp] for stamp in sorted(ticks) if first <= stamp <= last]
        for stamp in sorted(stamp for stamp in self._states if first <= stamp <= last):
            state, times = self._states[stamp]
            series.states.append(state)
            series.state_times.append(times)
        series.command_times = {s: times for s, (_, times) in self._commands.items() if first <= s <= last}
        if not series.ticks:
            series.ticks = [self._bare_tick(stamp) for stamp in sorted(series.command_times)]
        series.rewards = sorted(self._rewards.get(series.info.id, {}).items())
        for camera, frames in self._frames.items():
            inside = sorted((f for f in frames if first <= f.stamp_ns <= last), key=lambda frame: frame.stamp_ns)
            if inside:
                series.images[camera] = inside
        series.decisions.sort(key=lambda decision: decision.sequence)
        logs = [tick.times.log_ns for tick in series.ticks]
        if logs:
            series.health = [h for h in self._health if logs[0] - _SECOND_NS <= h.log_ns <= logs[-1] + _SECOND_NS]

    def _bare_tick(self, stamp: int) -> Tick:
        """A tick of a bag without driver status: what was sent, and nothing else known."""
        command, times = self._commands[stamp]
        nan = float("nan")
        return Tick(stamp, times, command, "unknown", (), 0, nan, nan, nan, 0, 0, 0)


def _health(log_ns: int, status: Any) -> Health:
    level = status.level if isinstance(status.level, int) else int.from_bytes(bytes(status.level), "little")
    return Health(log_ns, status.name, int(level), status.message, {v.key: v.value for v in status.values})
