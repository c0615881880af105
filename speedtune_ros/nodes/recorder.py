"""The recorder node: everything the graph says, as it was said, into one bag."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from std_srvs.srv import Trigger

from speedtune_ros import config as configuration
from speedtune_ros.config import option
from speedtune_ros.data.bags import BagWriter
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.topics import EVENTS, TOPICS, image_topic

_FLUSH_S = 0.5  # what a killed recorder loses at most
_PATTERN = "camera/<name>/image_raw"


@dataclass(frozen=True)
class RecorderConfig:
    """Where to, and which cameras."""

    bag: str = option("", "folder to write, which must not exist; empty: runs/bags/<time of day>")
    cameras: tuple[str, ...] = option(("top",), "cameras to record, sizes after a colon ignored; empty text for none")
    jpeg_quality: int = option(90, "of recorded images", minimum=1, maximum=100)


class RecorderNode(StageNode[RecorderConfig]):
    """Subscribes to serialised messages, so that none is decoded but images, which are compressed."""

    def __init__(self) -> None:
        super().__init__("recorder", RecorderConfig)
        config = self.config
        path = Path(config.bag or time.strftime("runs/bags/%Y-%m-%d_%H-%M-%S"))
        self._known: dict[str, Any] = {"recorder": configuration.to_dict(config)}
        self._writer = BagWriter(path, self._known, config.jpeg_quality)
        self._messages = 0
        for topic in TOPICS:
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
        # A live reader of images wants the latest only; a bag wants all of them.
        qos = EVENTS if topic == _PATTERN else row.offered
        self.create_subscription(row.type, name, self.guarded(self._keep(topic, full)), qos, raw=True)

    def _keep(self, topic: str, full: str) -> Callable[[bytes, Mapping[str, int]], None]:
        def keep(data: bytes, info: Mapping[str, int]) -> None:
            self._writer.write(full, data, info["received_timestamp"], info["source_timestamp"])
            self._messages += 1
            if topic == "/diagnostics":
                self._learn(deserialize_message(data, DiagnosticArray))

        return keep

    def _learn(self, diagnostics: DiagnosticArray) -> None:
        """Embed the resolved configuration of every node heard of."""
        for status in diagnostics.status:
            text = next((value.value for value in status.values if value.key == "config"), None)
            if text is not None and status.name not in self._known:
                self._known[status.name] = yaml.safe_load(text)
                self._writer.configure(self._known)

    def _bag(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._writer.flush()
        response.success, response.message = True, str(self._writer.path)
        return response

    def diagnose(self) -> dict[str, object]:
        return {"bag": str(self._writer.path), "messages": self._messages}

    def close(self) -> None:
        self._writer.close()


def main() -> int:
    return run(RecorderNode)


if __name__ == "__main__":
    raise SystemExit(main())
