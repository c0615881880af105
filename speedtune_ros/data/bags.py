"""Bags: rosbag2 directories (MCAP) that survive the death of their recorder, written without ROS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from speedtune_ros.data import bag_images
from speedtune_ros.data.bag_images import COMPRESSED, IMAGE
from speedtune_ros.data.definitions import Definition, definition, typestore
from speedtune_ros.data.mcap_file import McapFile
from speedtune_ros.errors import DataError, InvalidInputError

# MCAP metadata records {yaml: ...}: each node's resolved configuration; the versions and checkpoints it ran with.
CONFIG_RECORD, PROVENANCE_RECORD = "speedtune.config", "speedtune.provenance"
# Quality of service as rosbag2's metadata.yaml spells it up to version 8 (numbers of rmw's enumerations).
# https://github.com/ros2/rosbag2/blob/jazzy/rosbag2_storage/src/rosbag2_storage/qos.cpp
FOREVER = {"sec": 9223372036, "nsec": 854775807}
KEEP_LAST, RELIABLE, BEST_EFFORT, TRANSIENT_LOCAL, VOLATILE, AUTOMATIC = 1, 1, 2, 1, 2, 1
METADATA_VERSION = 8  # read by Humble's and Jazzy's tools


class _Topic(NamedTuple):
    channel: int
    name: str
    type_name: str
    digest: str
    qos: str
    is_image: bool


class BagWriter:
    """Serialised messages to a rosbag2 directory, complete on disk after every flush.

    Images become JPEG CompressedImage on `<topic>/compressed`. Call `flush` at least every second from a steady
    clock: the writer has none. For one thread.
    """

    def __init__(
        self,
        path: str | Path,
        config: Mapping[str, Any],
        jpeg_quality: int = 90,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """Create the directory `path`, which must not exist, with the resolved `config` and `provenance` embedded.

        jpeg_quality: of images, 1 to 100; 0 keeps every pixel (PNG).
        """
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True)
        except FileExistsError:
            raise DataError(f"{self.path}: exists already, a bag is never overwritten") from None
        self._records = {CONFIG_RECORD: _yaml(config)}
        if provenance is not None:
            self._records[PROVENANCE_RECORD] = _yaml(provenance)
        self._quality = jpeg_quality
        self._topics: dict[str, _Topic] = {}
        self._store = typestore((IMAGE, COMPRESSED))
        records = {name: {"yaml": text} for name, text in self._records.items()}
        self._file = McapFile(self.path / f"{self.path.name}.mcap", records)
        self._write_metadata()

    def embed(self, record: str, values: Mapping[str, Any]) -> None:
        """Replace the embedded CONFIG_RECORD or PROVENANCE_RECORD, as more of it becomes known."""
        self._records[record] = _yaml(values)
        self._file.add_metadata(record, {"yaml": self._records[record]})

    def add_topic(self, topic: str, type_name: str, latched: bool = False, reliable: bool = True) -> None:
        """Expect messages of `type_name` (package/msg/Name) on `topic`. Raises DataError without a definition."""
        is_image = type_name == IMAGE
        name, type_name = (f"{topic}/compressed", COMPRESSED) if is_image else (topic, type_name)
        self._add(topic, name, type_name, definition(type_name), _qos(latched, reliable), is_image)

    def copy_topic(self, topic: str, type_name: str, text: Definition, qos: str) -> None:
        """Expect messages of another bag's topic, exactly as that bag describes it. qos: its offered profiles."""
        self._add(topic, topic, type_name, text, qos, False)

    def _add(self, topic: str, name: str, type_name: str, text: Definition, qos: str, is_image: bool) -> None:
        if topic in self._topics:
            raise InvalidInputError(f"bag topic '{topic}': added twice")
        channel = self._file.add_channel(name, type_name, text.text, {"offered_qos_profiles": qos})
        self._topics[topic] = _Topic(channel, name, type_name, text.digest, qos, is_image)

    def write(self, topic: str, data: bytes, log_ns: int, publish_ns: int) -> None:
        """Add a serialised message (CDR) received at `log_ns` and published at `publish_ns`, both system time."""
        known = self._topics.get(topic)
        if known is None:
            raise InvalidInputError(f"bag topic '{topic}' was not added; added: {', '.join(self._topics) or 'none'}")
        payload = bag_images.compress(data, self._store, self._quality) if known.is_image else data
        self._file.write(known.channel, log_ns, publish_ns, payload)

    def flush(self) -> None:
        """Make everything written so far a complete bag on disk."""
        self._file.flush()
        self._write_metadata()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
        self._write_metadata()

    def _write_metadata(self) -> None:
        text = yaml.safe_dump({"rosbag2_bagfile_information": self._metadata()}, sort_keys=False)
        draft = self.path / ".metadata.yaml"
        draft.write_text(text)
        os.replace(draft, self.path / "metadata.yaml")

    def _metadata(self) -> dict[str, Any]:
        first, last = self._file.span_ns
        counts = self._file.counts
        file = f"{self.path.name}.mcap"
        extent = {
            "duration": {"nanoseconds": last - first},
            "starting_time": {"nanoseconds_since_epoch": first},
            "message_count": sum(counts.values()),
        }
        topics = [_topic_metadata(topic, counts[topic.channel]) for topic in self._topics.values()]
        return {
            "version": METADATA_VERSION,
            "storage_identifier": "mcap",
            **extent,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [file],
            "files": [{"path": file, **_plain(extent)}],
            "custom_data": dict(self._records),
            "ros_distro": "jazzy",
        }


def _topic_metadata(topic: _Topic, count: int) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": topic.name,
            "type": topic.type_name,
            "serialization_format": "cdr",
            "offered_qos_profiles": topic.qos,
            "type_description_hash": topic.digest,
        },
        "message_count": count,
    }


def _qos(latched: bool, reliable: bool) -> str:
    profile = {
        "history": KEEP_LAST,
        "depth": 10,
        "reliability": RELIABLE if reliable else BEST_EFFORT,
        "durability": TRANSIENT_LOCAL if latched else VOLATILE,
        "deadline": dict(FOREVER),
        "lifespan": dict(FOREVER),
        "liveliness": AUTOMATIC,
        "liveliness_lease_duration": dict(FOREVER),
        "avoid_ros_namespace_conventions": False,
    }
    return str(yaml.safe_dump([profile], sort_keys=False))


def _yaml(values: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(_plain(values), sort_keys=False))


def _plain(value: Any) -> Any:
    """Nested values as YAML takes them, nothing shared (YAML would write anchors)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
