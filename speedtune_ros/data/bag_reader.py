"""Reads rosbag2 MCAP bags without ROS: ours and those of `ros2 bag record`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from mcap.reader import SeekingReader
from mcap.records import Channel, Message, Schema
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from speedtune_ros.data.bags import CONFIG_RECORD, PROVENANCE_RECORD, BagWriter
from speedtune_ros.data.definitions import Definition, field_names
from speedtune_ros.data.mcap_salvage import contents
from speedtune_ros.errors import DataError

EPISODE_STATUS = "speedtune_msgs/msg/EpisodeStatus"
RUNNING, ENDED = 2, 3  # EpisodeStatus.phase
OURS = "speedtune_msgs/"


class BagMessage(NamedTuple):
    """A deserialised message with its system times [ns]."""

    topic: str
    log_ns: int
    publish_ns: int
    message: Any


@dataclass(frozen=True)
class BagTopic:
    """One topic of a bag."""

    name: str
    type_name: str
    count: int


@dataclass(frozen=True)
class BagEpisode:
    """One episode of a bag, as its last EpisodeStatus tells; reason is empty where the bag ends first."""

    id: str
    task: str
    seed: int
    elapsed: float  # [s]
    success: bool
    reason: str


class Bag:
    """A bag on disk. Of a damaged one, what can be read: `loss` says what cannot. Raises DataError if nothing can."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.file = mcap_file(self.path)
        self._contents = contents(self.file)

    @property
    def loss(self) -> tuple[str, ...]:
        """What of the file could not be read; empty if it is whole."""
        return self._contents.loss

    @property
    def start_ns(self) -> int:
        return self._contents.span_ns[0]

    @property
    def duration(self) -> float:
        """From the first to the last message [s]."""
        return (self._contents.span_ns[1] - self.start_ns) * 1e-9

    @cached_property
    def topics(self) -> dict[str, BagTopic]:
        """What the bag holds, by topic name."""
        counts, schemas = self._contents.counts, self._contents.schemas
        channels = sorted(self._contents.channels.values(), key=lambda channel: channel.topic)
        return {c.topic: BagTopic(c.topic, schemas[c.schema_id].name, counts.get(c.id, 0)) for c in channels}

    @property
    def config(self) -> dict[str, Any] | None:
        """The resolved configuration of each node, embedded by our recorder; None in other bags."""
        return self._record(CONFIG_RECORD)

    @property
    def provenance(self) -> dict[str, Any] | None:
        """The versions and checkpoint hashes each node ran with, embedded by our recorder; None in other bags."""
        return self._record(PROVENANCE_RECORD)

    def _record(self, name: str) -> dict[str, Any] | None:
        texts = [record.metadata["yaml"] for record in self._contents.metadata if record.name == name]
        return dict(yaml.safe_load(texts[-1]) or {}) if texts else None

    @cached_property
    def absences(self) -> tuple[str, ...]:
        """What today's recorder would have written and this bag does not have."""
        said = []
        if self.config is None:
            said.append("no embedded configuration: today's defaults are assumed")
        if self.provenance is None:
            said.append("no versions and checkpoint hashes: it was recorded before they were, or by another tool")
        for name in sorted({topic.type_name for topic in self.topics.values() if topic.type_name.startswith(OURS)}):
            lacking = [field for field in field_names(name) if field not in self._fields(name)]
            if lacking:
                said.append(f"{name} without {', '.join(lacking)}: read as 0")
        return tuple(said)

    def _fields(self, type_name: str) -> list[str]:
        return [name for name, _ in self._store.fielddefs[type_name][1]]

    def topics_of(self, type_name: str) -> list[str]:
        """The names of the topics that carry `type_name`."""
        return [topic.name for topic in self.topics.values() if topic.type_name == type_name]

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Deserialised messages of `topics` (all if None) in the order they were received."""
        if topics is not None and not topics:
            return
        for schema, channel, message in self.raw(topics):
            value = self._store.deserialize_cdr(message.data, schema.name)
            yield BagMessage(channel.topic, message.log_time, message.publish_time, value)

    def raw(self, topics: Collection[str] | None = None) -> Iterator[tuple[Schema, Channel, Message]]:
        """The same, not deserialised."""
        if self._contents.messages is None:
            with self.file.open("rb") as stream:
                wanted = None if topics is None else list(topics)
                for schema, channel, message in SeekingReader(stream).iter_messages(topics=wanted):
                    if schema is not None:
                        yield schema, channel, message
            return
        schemas, channels = self._contents.schemas, self._contents.channels
        for message in self._contents.messages:
            channel = channels[message.channel_id]
            if channel.schema_id in schemas and (topics is None or channel.topic in topics):
                yield schemas[channel.schema_id], channel, message

    def episodes(self) -> list[BagEpisode]:
        """The episodes that ran, in order."""
        last: dict[str, Any] = {}
        for item in self.messages(self.topics_of(EPISODE_STATUS)):
            if item.message.phase in (RUNNING, ENDED) and item.message.episode_id:
                last[item.message.episode_id] = item.message
        return [
            BagEpisode(id, m.task, int(m.seed), float(m.elapsed), bool(m.success), m.reason if m.phase == ENDED else "")
            for id, m in last.items()
        ]

    @cached_property
    def _store(self) -> Typestore:
        store = get_typestore(Stores.EMPTY)
        known: dict[str, Any] = {}
        for schema in self._contents.schemas.values():
            if schema.encoding != "ros2msg":
                raise DataError(f"{self.file}: expected schemas in ros2msg, found '{schema.encoding}' ({schema.name})")
            known.update(get_types_from_msg(schema.data.decode(), schema.name))
        store.register(known)
        return store


def mcap_file(path: Path) -> Path:
    """The MCAP file of a bag given as a directory or as the file. Raises DataError."""
    if path.is_file():
        return path
    files = sorted(path.glob("*.mcap"))
    if len(files) != 1:
        found = ", ".join(file.name for file in path.iterdir()) if path.is_dir() else "no such directory"
        raise DataError(f"{path}: expected a rosbag2 directory with one .mcap file, found: {found or 'nothing'}")
    return files[0]


def recover(path: Path, out: Path) -> tuple[int, tuple[str, ...]]:
    """Copy every readable message of a bag to the new bag `out`: how many, and what could not be read.

    Types, qualities of service, configuration and provenance stay as they were recorded.
    """
    bag = Bag(path)
    writer = BagWriter(out, bag.config or {}, provenance=bag.provenance)
    count = 0
    known: set[str] = set()
    try:
        for channel in bag._contents.channels.values():
            schema = bag._contents.schemas.get(channel.schema_id)
            if schema is None or channel.topic in known:
                continue
            known.add(channel.topic)
            text = Definition(schema.data.decode(), bag._store.hash_rihs01(schema.name))
            writer.copy_topic(channel.topic, schema.name, text, channel.metadata.get("offered_qos_profiles", ""))
        for _, channel, message in bag.raw():
            writer.write(channel.topic, message.data, message.log_time, message.publish_time)
            count += 1
    finally:
        writer.close()
    return count, bag.loss
