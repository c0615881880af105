"""Hears what calibration needs of a running graph: joint states of the arms, commands, the driver, cameras."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import rclpy
import yaml
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from speedtune_msgs.msg import DriverStatus, EpisodeStatus
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.nodes.images import decode
from speedtune_ros.nodes.spinner import Spinner
from speedtune_ros.nodes.topics import TOPICS, image_topic
from speedtune_ros.robots.interbotix import FINGERS, JOINTS

_KEPT_S = 60  # longer than any motion
_STATES = _KEPT_S * 200
_THUMBNAIL = (24, 32)  # most rows and columns of a picture kept


class Sample(NamedTuple):
    """One joint state of an arm: stamp [ns], all (7,): position [rad], velocity [rad/s], current [mA]; finger [m]."""

    stamp_ns: int
    position: np.ndarray
    velocity: np.ndarray
    current: np.ndarray
    finger: float


class Shot(NamedTuple):
    """One frame: stamp and arrival [ns], grey pixels (p,)."""

    stamp_ns: int
    arrival_ns: int
    pixels: np.ndarray


class CalibrationEars:
    """A node with a thread of its own, so that nothing is lost while its owner computes.

    Call after rclpy.init, and `close` before its shutdown. Joint states that are not good are counted, not kept.
    """

    def __init__(self, name: str) -> None:
        self.node: Node = rclpy.create_node(name)
        self.settings: dict[str, dict[str, Any]] = {}  # of each node, by name
        self.driver: DriverStatus | None = None
        self.heard = 0.0  # of the driver, on a steady clock
        self.episode: EpisodeStatus | None = None
        self.ages: deque[float] = deque(maxlen=500)  # of the driver's joint states on arrival [s]
        self.samples: dict[str, deque[Sample]] = {}  # by arm
        self.commands: deque[tuple[int, np.ndarray]] = deque(maxlen=_STATES)
        self.shots: dict[str, deque[Shot]] = {}  # by camera
        self.unreadable = 0
        for topic, keep in {
            "driver_status": self._keep_driver,
            "joint_states": self._keep_age,
            "command": self._keep_command,
            "episode_status": self._keep_episode,
            "/diagnostics": self._keep_diagnostics,
        }.items():
            row = TOPICS[topic]
            self.node.create_subscription(row.type, topic, self._guarded(keep), row.requested)
        self._spinner = Spinner(self.node).start()

    def close(self) -> None:
        self._spinner.close()
        self.node.destroy_node()

    def listen_to_arms(self, arms: Iterable[str]) -> None:
        """Keep the joint states that Interbotix's driver publishes of these arms."""
        for arm in arms:
            kept = self.samples[arm] = deque(maxlen=_STATES)

            def keep(message: JointState, kept: deque[Sample] = kept) -> None:
                kept.append(_sample(message))

            self.node.create_subscription(JointState, f"{arm}/joint_states", self._guarded(keep), 100)

    def watch(self, cameras: Iterable[str]) -> None:
        """Keep small grey pictures of these cameras."""
        row = TOPICS["camera/<name>/image_raw"]
        for camera in cameras:
            kept = self.shots[camera] = deque(maxlen=_KEPT_S * 60)

            def keep(message: Image, kept: deque[Shot] = kept) -> None:
                arrival_ns = time.time_ns()
                kept.append(Shot(to_ns(message.header.stamp), arrival_ns, _thumbnail(decode(message))))

            self.node.create_subscription(row.type, image_topic(camera), self._guarded(keep), row.requested)

    def _guarded(self, keep: Any) -> Any:
        def call(message: Any) -> None:
            try:
                keep(message)
            except (InvalidInputError, ValueError):
                self.unreadable += 1

        return call

    def _keep_driver(self, status: DriverStatus) -> None:
        self.driver, self.heard = status, time.monotonic()

    def _keep_age(self, message: JointState) -> None:
        self.ages.append((time.time_ns() - to_ns(message.header.stamp)) * 1e-9)

    def _keep_command(self, message: JointState) -> None:
        self.commands.append((to_ns(message.header.stamp), np.array(message.position)))

    def _keep_episode(self, status: EpisodeStatus) -> None:
        self.episode = status

    def _keep_diagnostics(self, message: Any) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if "config" in values:
                self.settings[status.name] = yaml.safe_load(values["config"])


def _sample(message: JointState) -> Sample:
    """Raises InvalidInputError for one that lacks joints or is not finite, ValueError for one without names."""
    order = [list(message.name).index(name) for name in (*JOINTS, FINGERS[0])]
    rows = [np.asarray(series)[order] for series in (message.position, message.velocity, message.effort)]
    if not all(np.isfinite(row).all() for row in rows):
        raise InvalidInputError("joint state: not finite")
    position, velocity, current = rows
    return Sample(to_ns(message.header.stamp), position[:7], velocity[:7], current[:7], float(position[7]))


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """Means of the blocks of an (H, W, 3) image, as grey pixels (p,)."""
    rows, columns = (min(size, most) for size, most in zip(image.shape[:2], _THUMBNAIL))
    height, width = image.shape[0] // rows, image.shape[1] // columns
    grey = image[: rows * height, : columns * width].mean(axis=2)
    return np.asarray(grey.reshape(rows, height, columns, width).mean(axis=(1, 3)).ravel(), np.float32)
