"""Everything the graph says, as it was said, into whichever bag is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from speedtune_ros import config as configuration
from speedtune_ros.data.bags import CONFIG_RECORD, PROVENANCE_RECORD, BagWriter
from speedtune_ros.nodes.node import StageNode
from speedtune_ros.nodes.topics import TOPICS, image_topic
from speedtune_ros.provenance import versions

FLUSH_S = 0.5  # what a killed recorder loses at most
_MESSAGES, _IMAGES = 1000, 100  # that may wait for their turn, of each topic
_PATTERN = "camera/<name>/image_raw"
_BEATS = "alive"  # who fell silent is in driver_status, and listening would make every node beat


class BagTap:
    """Subscribes to serialised messages, so that none is decoded but images, which are compressed.

    jpeg_quality: of images, 0 for PNG; watch: called with the messages of a topic before they are written.
    """

    def __init__(
        self,
        node: StageNode[Any],
        cameras: Iterable[str],
        jpeg_quality: int,
        watch: Mapping[str, Callable[[Any], None]] | None = None,
    ) -> None:
        self._node, self._quality = node, jpeg_quality
        self._watch = {"/diagnostics": self._learn, **(watch or {})}
        self._known: dict[str, Any] = {node.get_name(): configuration.to_dict(node.config)}
        self._provenance: dict[str, Any] = {node.get_name(): versions()}
        self._writer: BagWriter | None = None
        self.messages = 0
        self._topics: list[tuple[str, str, bool, bool]] = []  # name, type, latched, reliable
        self._waiting: list[tuple[Subscription, Callable[..., None]]] = []
        for topic in (name for name in TOPICS if name != _BEATS):
            for name in map(image_topic, cameras) if topic == _PATTERN else [topic]:
                self._tap(topic, name)

    def open(self, path: Path) -> None:
        """Write to a new bag from now on. Raises DataError if there is one."""
        self._writer = BagWriter(path, self._known, self._quality, self._provenance)
        for name, kind, latched, reliable in self._topics:
            self._writer.add_topic(name, kind, latched=latched, reliable=reliable)

    @property
    def path(self) -> Path | None:
        """Of the bag that is open."""
        return None if self._writer is None else self._writer.path

    def flush(self) -> None:
        """All that has been heard on disk."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Write what still waits its turn, and close the bag."""
        self.drain()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def drain(self) -> None:
        """Keep what has been received and still waits its turn: on a busy machine that may be seconds of it."""
        for subscription, keep in self._waiting:
            with subscription.handle:
                for _ in range(_MESSAGES):  # not for ever: more may come meanwhile
                    taken = subscription.handle.take_message(subscription.msg_type, True)
                    if taken is None:
                        break
                    keep(*taken)

    def _tap(self, topic: str, name: str) -> None:
        row = TOPICS[topic]
        full = self._node.resolve_topic_name(name)
        latched = row.offered.durability == DurabilityPolicy.TRANSIENT_LOCAL
        reliable = row.offered.reliability == ReliabilityPolicy.RELIABLE
        self._topics.append((full, f"{row.type.__module__.split('.')[0]}/msg/{row.type.__name__}", latched, reliable))
        qos = _patient(row.offered, _IMAGES if topic == _PATTERN else _MESSAGES)
        keep = self._node.guarded(self._keep(topic, full))
        self._waiting.append((self._node.create_subscription(row.type, name, keep, qos, raw=True), keep))

    def _keep(self, topic: str, full: str) -> Callable[[bytes, Mapping[str, int]], None]:
        watch, kind = self._watch.get(topic), TOPICS[topic].type

        def keep(data: bytes, info: Mapping[str, int]) -> None:
            if watch is not None:
                watch(deserialize_message(data, kind))
            if self._writer is not None:
                self._writer.write(full, data, info["received_timestamp"], info["source_timestamp"])
                self.messages += 1

        return keep

    def _learn(self, diagnostics: DiagnosticArray) -> None:
        """Embed the resolved configuration, version and checkpoint of every node heard of, also as they change."""
        for status in diagnostics.status:
            values = {value.key: value.value for value in status.values}
            if "config" in values:
                self._embed(CONFIG_RECORD, self._known, status.name, yaml.safe_load(values["config"]))
                ran = {key: values[key] for key in ("version", "checkpoint") if key in values}
                self._embed(PROVENANCE_RECORD, self._provenance, status.name, ran)

    def _embed(self, record: str, known: dict[str, Any], node: str, values: dict[str, Any]) -> None:
        if node != self._node.get_name() and known.get(node) != values:
            known[node] = values
            if self._writer is not None:
                self._writer.embed(record, known)


def _patient(offered: QoSProfile, depth: int) -> QoSProfile:
    """As offered, but nothing is dropped while the recorder is busy: a bag wants all of it, in its own time."""
    return QoSProfile(
        history=offered.history, depth=depth, reliability=offered.reliability, durability=offered.durability
    )
