"""Watches a running graph, as a consumer of all its images would, and keeps what a bench needs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import rclpy
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.nodes.spinner import Spinner
from speedtune_ros.nodes.topics import TOPICS, image_topic

_KEPT = ("joint_states", "command", "driver_status", "action_chunk", "/diagnostics")
_ARMS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10)
_LIVE = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass
class Heard:
    """What was heard: (time of publication [system ns], serialised message) by topic, image stamps by camera [ns],
    and how late a timer in this process's executor began [ms]."""

    messages: dict[str, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))
    frames: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    timer_lateness_ms: list[float] = field(default_factory=list)

    def read(self, topic: str) -> list[tuple[int, Any]]:
        """(time of publication [system ns], message) of a topic."""
        return [(sent_ns, deserialize_message(data, _kind(topic))) for sent_ns, data in list(self.messages[topic])]

    def last(self, topic: str, count: int = 1) -> list[Any]:
        """The last messages of a topic, up to `count`."""
        return [deserialize_message(data, _kind(topic)) for _, data in self.messages[topic][-count:]]

    def stamped(self, topic: str) -> dict[int, int]:
        """Time of publication [system ns] by stamp [ns]."""
        return {to_ns(message.header.stamp): sent_ns for sent_ns, message in self.read(topic)}


class GraphMonitor:
    """A context in which a thread listens to a graph; `heard` is what it heard. Call after rclpy.init.

    joint_states: topics besides those of the table, as Interbotix's arms have them.
    """

    def __init__(
        self,
        cameras: Iterable[str],
        timer_period_s: float,
        topics: Iterable[str] = _KEPT,
        joint_states: Iterable[str] = (),
    ) -> None:
        self.heard = Heard()
        if not rclpy.ok():
            rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("graph_monitor")
        for topic in topics:
            row = TOPICS[topic]
            self._node.create_subscription(row.type, topic, self._keep(topic), row.offered, raw=True)
        for topic in joint_states:
            self._node.create_subscription(JointState, topic, self._keep(topic), _ARMS, raw=True)
        for camera in cameras:
            row = TOPICS["camera/<name>/image_raw"]
            self._node.create_subscription(row.type, image_topic(camera), self._count(camera), _LIVE)
        self._period_ns = round(timer_period_s * 1e9)
        self._first_ns = 0
        self._node.create_timer(timer_period_s, self._tick)
        self._spinner = Spinner(self._node)

    def __enter__(self) -> GraphMonitor:
        self._spinner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spinner.close()
        self._node.destroy_node()

    def forget(self) -> None:
        """Begin anew."""
        self.heard = Heard()

    def _keep(self, topic: str) -> Callable[[bytes, Mapping[str, int]], None]:
        def keep(data: bytes, info: Mapping[str, int]) -> None:
            self.heard.messages[topic].append((info["source_timestamp"], data))

        return keep

    def _count(self, camera: str) -> Callable[[Any], None]:
        return lambda message: self.heard.frames[camera].append(to_ns(message.header.stamp))

    def _tick(self) -> None:
        now = time.monotonic_ns()
        self._first_ns = self._first_ns or now
        late = (now - self._first_ns) % self._period_ns
        # A timer a little early is not a whole period late.
        self.heard.timer_lateness_ms.append(0.0 if late > 0.95 * self._period_ns else late / 1e6)


def _kind(topic: str) -> Any:
    return TOPICS[topic].type if topic in TOPICS else JointState
