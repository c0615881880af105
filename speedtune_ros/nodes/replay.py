"""The replay node: says again what arms, cameras and the episode node said when a bag was recorded.

It cannot move anything. It publishes observations only, never on a topic that a robot listens to, and only in a
namespace of its own that no driver is in; a driver that appears there ends it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from speedtune_msgs.msg import DriverStatus, EpisodeStatus, RetimeReport
from speedtune_msgs.srv import SetSpeedMode
from speedtune_ros.config import option
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bag_series import STATES, EpisodeSeries, Tick
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.inspection.replay_config import node_config, recorded_speed
from speedtune_ros.nodes.conversions import joints_to_message, to_ns, to_stamp
from speedtune_ros.nodes.images import encode
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.services import Services
from speedtune_ros.nodes.topics import image_topic

# All that it may publish. What a robot obeys is not among it.
OBSERVATIONS = ("joint_states", "camera/<name>/image_raw", "driver_status", "episode_status", "/clock", "/diagnostics")
# Last words of the topics that arms obey: ours, and those of Interbotix's arms.
COMMANDS = ("trajectory", "command", "joint_group", "joint_single", "joint_trajectory")
DRIVERS = ("arm_driver", "sim", "xs_sim")
STAGES = ("task_policy", "speed_policy", "retimer")
_REPEAT_S = 0.5
_STATUS_EVERY = 5  # states: ten times a second, as the episode node


@dataclass(frozen=True)
class ReplayNodeConfig:
    """Which bag, and how its time runs."""

    bag: str = option("", "folder or .mcap file")
    episode: str = option("", "number of the episode in the bag, from 1, or its id; empty for all")
    lockstep: bool = option(False, "wait for the retimer's report on each observation it was asked for when recorded")
    speed_modes: bool = option(True, "set the recorded speed mode at each episode's begin")
    clock: bool = option(False, "publish /clock")
    rate: float = option(1.0, "recorded seconds a second, without lock-step", minimum=0.01, maximum=20.0)
    service_timeout_s: float = option(
        60.0, "longest wait for the stages and for one answer", minimum=0.1, maximum=600.0
    )


class ReplayNode(StageNode[ReplayNodeConfig]):
    """Plays from its own thread, and ends its process when it has played everything."""

    def __init__(self) -> None:
        super().__init__("replay", ReplayNodeConfig)
        self._episodes = _chosen(self.config)
        self._speed = str(node_config(Bag(self.config.bag), "speed_policy").get("speed", ""))
        self._states = self.publisher("joint_states")
        self._status = self.publisher("driver_status")
        self._episode = self.publisher("episode_status")
        self._clock_out = self.publisher("/clock") if self.config.clock else None
        cameras = sorted({camera for series in self._episodes for camera in series.images})
        self._cameras = {name: self.publisher("camera/<name>/image_raw", image_topic(name)) for name in cameras}
        self._calls = Services(self)
        self._reported = threading.Condition()
        self._answered_ns = -1
        self._stopping = threading.Event()
        self.listen("retime_report", self._hear)
        self._thread = threading.Thread(target=self._work, name="replay", daemon=True)
        self._thread.start()

    def publisher(self, topic: str, name: str | None = None) -> Publisher:
        """Raises ConfigError for anything but an observation in a namespace of its own."""
        full = self.resolve_topic_name(name or topic)
        if topic not in OBSERVATIONS:
            raise ConfigError(f"replay publishes {', '.join(OBSERVATIONS)} and nothing else, refused '{topic}'")
        if full.rpartition("/")[2] in COMMANDS or "/commands/" in full:
            self.destroy_node()
            raise ConfigError(f"replay: '{topic}' is remapped to '{full}', which a robot obeys: refused")
        own = self.get_namespace() + "/"
        if not topic.startswith("/") and (own == "//" or not full.startswith(own)):
            self.destroy_node()
            raise ConfigError(
                f"replay: '{topic}' would go to '{full}', among a robot's own topics: expected a namespace of its own, "
                "as /replay"
            )
        return super().publisher(topic, name)

    def _hear(self, report: RetimeReport) -> None:
        with self._reported:
            self._answered_ns = max(self._answered_ns, to_ns(report.header.stamp))
            self._reported.notify_all()

    def _work(self) -> None:
        self.guarded(self._play)()
        if not self._stopping.is_set():
            time.sleep(1.0)  # what was said last is on its way to the recorder
            os.kill(os.getpid(), signal.SIGTERM)

    def _play(self) -> None:
        self._wait_for_stages()
        for series in self._episodes:
            for _ in self._play_episode(series):
                if self._stopping.is_set():
                    return
                self._check_alone()
            self.counts["episodes"] += 1

    def _wait_for_stages(self) -> None:
        deadline = time.monotonic() + self.config.service_timeout_s
        while missing := self._missing():
            self._check_alone()
            if time.monotonic() > deadline or self._stopping.is_set():
                raise DataError(f"replay: not listening in {self.get_namespace()}: {', '.join(sorted(missing))}")
            time.sleep(0.1)
        time.sleep(0.5)  # a subscription is known before it hears

    def _missing(self) -> set[str]:
        """The stages that do not listen yet; a policy does so when it is warm."""
        topic = self.resolve_topic_name("episode_status")
        return set(STAGES) - {end.node_name for end in self.get_subscriptions_info_by_topic(topic)}

    def _check_alone(self) -> None:
        here = {name for name, namespace in self.get_node_names_and_namespaces() if namespace == self.get_namespace()}
        if driver := here.intersection(DRIVERS):
            raise ConfigError(f"replay: {', '.join(driver)} is in namespace {self.get_namespace()}: stopped")

    def _play_episode(self, series: EpisodeSeries) -> Iterator[int]:
        """Publish one episode; yields the stamp of each tick."""
        status = EpisodeStatus(episode_id=series.info.id, task=series.info.task, seed=series.info.seed)
        status.instruction, status.start = series.instruction, to_stamp(series.start_ns)
        if self.config.speed_modes and (mode := recorded_speed(series, self._speed)):
            self._calls.demand(SetSpeedMode, "speed_policy/set_mode", SetSpeedMode.Request(mode=mode))
        self._say(status, EpisodeStatus.PREPARING, series.start_ns)
        self._say_held(series)
        self._say(status, EpisodeStatus.RUNNING, series.start_ns)
        asked = {decision.stamp_ns for decision in series.decisions}
        began, first = time.monotonic(), series.ticks[0].times.log_ns
        frames = _Frames(series)
        for number, tick in enumerate(series.ticks):
            if not self.config.lockstep:
                self._sleep_until(began + (tick.times.log_ns - first) * 1e-9 / self.config.rate)
            if number % _STATUS_EVERY == 0:
                self._say(status, EpisodeStatus.RUNNING, tick.stamp_ns)
            seen = [(camera, encode(f.pixels, f.stamp_ns, camera)) for camera, f in frames.until(tick.stamp_ns)]
            self._observe(series, tick, seen)
            if self.config.lockstep and tick.stamp_ns in asked:
                self._await_answer(series, tick, seen)
            self._status.publish(_driver_status(series.info.id, tick))
            yield tick.stamp_ns
        status.success, status.reason = series.info.success, series.info.reason or "the bag ends"
        self._say(status, EpisodeStatus.ENDED, series.end_ns)

    def _say_held(self, series: EpisodeSeries) -> None:
        """The driver knows of the episode and holds: the retimer waits for that."""
        command = series.start_command if series.start_command is not None else series.ticks[0].command
        held = series.ticks[0]._replace(command=command, state="holding", trajectory=0, progress=0.0, speed=0.0)
        self._status.publish(_driver_status(series.info.id, held))
        time.sleep(0.2)

    def _observe(self, series: EpisodeSeries, tick: Tick, images: Sequence[tuple[str, Image]]) -> None:
        for camera, image in images:
            self._cameras[camera].publish(image)
        if self._clock_out is not None:
            self._clock_out.publish(Clock(clock=to_stamp(tick.stamp_ns)))
        state = series.state_at(tick.stamp_ns)
        if state is not None and state.stamp_ns == tick.stamp_ns:
            self._states.publish(joints_to_message(state.stamp_ns, state.qpos, state.qvel))

    def _await_answer(self, series: EpisodeSeries, tick: Tick, images: Sequence[tuple[str, Image]]) -> None:
        """Until the retimer reports on this tick's observation, which is said again for whoever missed it."""
        deadline = time.monotonic() + self.config.service_timeout_s
        with self._reported:
            while self._answered_ns < tick.stamp_ns and time.monotonic() < deadline and not self._stopping.is_set():
                if not self._reported.wait(_REPEAT_S):
                    self._observe(series, tick, images)
        self.counts["answered" if self._answered_ns >= tick.stamp_ns else "unanswered"] += 1

    def _say(self, status: EpisodeStatus, phase: int, stamp_ns: int) -> None:
        status.phase, status.header.stamp = phase, to_stamp(stamp_ns)
        status.elapsed = max(0.0, (stamp_ns - to_ns(status.start)) * 1e-9)
        self._episode.publish(status)

    def _sleep_until(self, deadline: float) -> None:
        self._stopping.wait(max(0.0, deadline - time.monotonic()))

    def diagnose(self) -> dict[str, object]:
        return {"bag": self.config.bag}

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=5.0)


class _Frames:
    """Every camera's images in the order of their stamps."""

    def __init__(self, series: EpisodeSeries) -> None:
        everything = [(camera, frame) for camera, frames in series.images.items() for frame in frames]
        self._left = sorted(everything, key=lambda pair: pair[1].stamp_ns)

    def until(self, stamp_ns: int) -> Iterator[tuple[str, Any]]:
        while self._left and self._left[0][1].stamp_ns <= stamp_ns:
            yield self._left.pop(0)


def _driver_status(episode_id: str, tick: Tick) -> DriverStatus:
    message = DriverStatus(episode_id=episode_id, trajectory=tick.trajectory, missed_ticks=tick.missed)
    message.header.stamp = to_stamp(tick.stamp_ns)
    message.state = STATES.index(tick.state) if tick.state in STATES else DriverStatus.HOLDING
    message.faults, message.command = list(tick.faults), tick.command
    message.progress, message.speed, message.tracking_error = tick.progress, tick.speed, tick.tracking_error
    message.refused, message.saturated = tick.refused, tick.saturated
    return message


def _chosen(config: ReplayNodeConfig) -> list[EpisodeSeries]:
    """The episodes to play. Raises DataError."""
    if not config.bag:
        raise ConfigError("replay: expected a bag, got none; say bag:=FOLDER")
    episodes = [series for series in series_of_bag(Bag(config.bag)) if series.ticks and series.info.id]
    names = {name: series for series in episodes for name in (str(series.number), series.info.id)}
    if not episodes or (config.episode and config.episode not in names):
        known = ", ".join(series.info.id for series in episodes) or "none"
        raise DataError(
            f"{config.bag}: no episode '{config.episode or 'at all'}'; episodes with driver status: {known}"
        )
    return [names[config.episode]] if config.episode else episodes


def main() -> int:
    return run(ReplayNode)


if __name__ == "__main__":
    raise SystemExit(main())
