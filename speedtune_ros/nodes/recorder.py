"""The recorder node: everything the graph says, as it was said, into one bag."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from std_srvs.srv import Trigger

from speedtune_ros import config as configuration
from speedtune_ros.config import option
from speedtune_ros.data.bags import CONFIG_RECORD, PROVENANCE_RECORD, BagWriter
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.topics import TOPICS, image_topic
from speedtune_ros.provenance import versions

_FLUSH_S = 0.5  # what a killed recorder loses at most
_MESSAGES, _IMAGES = 1000, 100  # that may wait for their turn, of each topic
_PATTERN = "camera/<name>/image_raw"
_BEATS = "alive"  # who fell silent is in driver_status, and listening would make every node beat


@dataclass(frozen=True)
class RecorderConfig:
    """Where to, and which cameras."""

    bag: str = option("", "folder to write, which must not exist; empty: runs/bags/<time of day>")
    cameras: tuple[str, ...] = option(("top",), "cameras to record, sizes after a colon ignored; empty text for none")
    jpeg_quality: int = option(90, "of recorded images", minimum=1, maximum=100)
    lossless: bool = option(False, "record images as PNG: larger and slower, but replay sees every pixel")


class RecorderNode(StageNode[RecorderConfig]):
    """Subscribes to serialised messages, so that none is decoded but images, which are compressed."""

    def __init__(self) -> None:
        super().__init__("recorder", RecorderConfig)
        config = self.config
        path = Path(config.bag or time.strftime("runs/bags/%Y-%m-%d_%H-%M-%S"))
        self._known: dict[str, Any] = {"recorder": configuration.to_dict(config)}
        self._provenance: dict[str, Any] = {"recorder": versions()}
        quality = 0 if config.lossless else config.jpeg_quality
        self._writer = BagWriter(path, self._known, quality, self._provenance)
        self._messages = 0
        self._waiting: list[tuple[Subscription, Callable[..., None]]] = []
        for topic in (name for name in TOPICS if name != _BEATS):
            names = [image_topic(c.split(":")[0]) for c in config.cameras if c] if topic == _PATTERN else [topic]
            for name in names:
                self._record(topic, name)
        self.create_service(Trigger, "recorder/bag", self._bag)
        self.every(_FLUSH_S, self._writer.flush)

    def _record(self, topic: str, name: str) -> None:
        row = TOPICS[topic]
        full = self.resolve_topic_name(name)
        package, module, kind = row.type.__module__.split(".")[0], "msg", row.type.__name__
        latched = row.offered.durability == DurabilityPolicy.TRANSIENT_LOCAL
        reliable = row.offered.reliability == ReliabilityPolicy.RELIABLE
        self._writer.add_topic(full, f"{package}/{module}/{kind}", latched=latched, reliable=reliable)
        qos = _patient(row.offered, _IMAGES if topic == _PATTERN else _MESSAGES)
        keep = self.guarded(self._keep(topic, full))
        self._waiting.append((self.create_subscription(row.type, name, keep, qos, raw=True), keep))

    def _keep(self, topic: str, full: str) -> Callable[[bytes, Mapping[str, int]], None]:
        def keep(data: bytes, info: Mapping[str, int]) -> None:
            self._writer.write(full, data, info["received_timestamp"], info["source_timestamp"])
            self._messages += 1
            if topic == "/diagnostics":
                self._learn(deserialize_message(data, DiagnosticArray))

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
        if node != self.get_name() and known.get(node) != values:
            known[node] = values
            self._writer.embed(record, known)

    def _bag(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._drain()
        self._writer.flush()
        response.success, response.message = True, str(self._writer.path)
        return response

    def diagnose(self) -> dict[str, object]:
        return {"bag": str(self._writer.path), "messages": self._messages}

    def _drain(self) -> None:
        """Keep what has been received and still waits its turn: on a busy machine that may be seconds of it."""
        for subscription, keep in self._waiting:
            with subscription.handle:
                for _ in range(_MESSAGES):  # not for ever: more may come meanwhile
                    taken = subscription.handle.take_message(subscription.msg_type, True)
                    if taken is None:
                        break
                    keep(*taken)

    def close(self) -> None:
        self._drain()
        self._writer.close()


def _patient(offered: QoSProfile, depth: int) -> QoSProfile:
    """As offered, but nothing is dropped while the recorder is busy: a bag wants all of it, in its own time."""
    return QoSProfile(
        history=offered.history, depth=depth, reliability=offered.reliability, durability=offered.durability
    )


def main() -> int:
    return run(RecorderNode)


if __name__ == "__main__":
    raise SystemExit(main())
