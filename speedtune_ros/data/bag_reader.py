"""Reads rosbag2 MCAP bags without ROS: ours and those of `ros2 bag record`."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from mcap.exceptions import McapError
from mcap.reader import SeekingReader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from mcap.summary import Summary
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from speedtune_ros.data.bags import CONFIG_RECORD, BagWriter
from speedtune_ros.errors import DataError

EPISODE_STATUS = "speedtune_msgs/msg/EpisodeStatus"
RUNNING, ENDED = 2, 3  # EpisodeStatus.phase


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
    """A bag on disk. Raises DataError if it is none or was cut short."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.file = mcap_file(self.path)
        self._summary = self._read_summary()

    @property
    def start_ns(self) -> int:
        return self._statistics.message_start_time

    @property
    def duration(self) -> float:
        """From the first to the last message [s]."""
        return (self._statistics.message_end_time - self.start_ns) * 1e-9

    @cached_property
    def topics(self) -> dict[str, BagTopic]:
        """What the bag holds, by topic name."""
        counts, schemas = self._statistics.channel_message_counts, self._summary.schemas
        channels = sorted(self._summary.channels.values(), key=lambda channel: channel.topic)
        return {c.topic: BagTopic(c.topic, schemas[c.schema_id].name, counts.get(c.id, 0)) for c in channels}

    @cached_property
    def config(self) -> dict[str, Any] | None:
        """The resolved configuration embedded by our recorder; None in other bags."""
        with self.file.open("rb") as stream:
            texts = [r.metadata["yaml"] for r in SeekingReader(stream).iter_metadata() if r.name == CONFIG_RECORD]
        return dict(yaml.safe_load(texts[-1]) or {}) if texts else None

    def topics_of(self, type_name: str) -> list[str]:
        """The names of the topics that carry `type_name`."""
        return [topic.name for topic in self.topics.values() if topic.type_name == type_name]

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Deserialised messages of `topics` (all if None) in the order they were received."""
        if topics is not None and not topics:
            return
        with self.file.open("rb") as stream:
            reader = SeekingReader(stream)
            for schema, channel, message in reader.iter_messages(topics=None if topics is None else list(topics)):
                if schema is None or message is None:
                    continue
                value = self._store.deserialize_cdr(message.data, schema.name)
                yield BagMessage(channel.topic, message.log_time, message.publish_time, value)

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

    @property
    def _statistics(self) -> Any:
        return self._summary.statistics

    @cached_property
    def _store(self) -> Typestore:
        store = get_typestore(Stores.EMPTY)
        known: dict[str, Any] = {}
        for schema in self._summary.schemas.values():
            if schema.encoding != "ros2msg":
                raise DataError(f"{self.file}: expected schemas in ros2msg, found '{schema.encoding}' ({schema.name})")
            known.update(get_types_from_msg(schema.data.decode(), schema.name))
        store.register(known)
        return store

    def _read_summary(self) -> Summary:
        try:
            with self.file.open("rb") as stream:
                summary = SeekingReader(stream).get_summary()
        except (McapError, OSError, ValueError, struct.error) as error:
            raise DataError(f"{self.file}: cut short or no MCAP file ({error}); try `speedtune bag recover`") from error
        if summary is None or summary.statistics is None:
            raise DataError(f"{self.file}: has no summary; try `speedtune bag recover`")
        return summary


def mcap_file(path: Path) -> Path:
    """The MCAP file of a bag given as a directory or as the file. Raises DataError."""
    if path.is_file():
        return path
    files = sorted(path.glob("*.mcap"))
    if len(files) != 1:
        found = ", ".join(file.name for file in path.iterdir()) if path.is_dir() else "no such directory"
        raise DataError(f"{path}: expected a rosbag2 directory with one .mcap file, found: {found or 'nothing'}")
    return files[0]


def recover(path: Path, out: Path) -> int:
    """Copy every whole message of a damaged bag to the new bag `out`; how many."""
    records = _whole_records(mcap_file(path))
    config: dict[str, Any] = {}
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    messages: list[Message] = []
    for record in records:
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message):
            messages.append(record)
        elif getattr(record, "name", "") == CONFIG_RECORD and hasattr(record, "metadata"):
            config = dict(yaml.safe_load(record.metadata["yaml"]) or {})
    writer = BagWriter(out, config)
    for channel in channels.values():
        writer.add_topic(channel.topic, schemas[channel.schema_id].name)
    for message in messages:
        writer.write(channels[message.channel_id].topic, message.data, message.log_time, message.publish_time)
    writer.close()
    return len(messages)


def _whole_records(file: Path) -> Iterator[Any]:
    with file.open("rb") as stream:
        try:
            yield from StreamReader(stream, skip_magic=False).records
        except (McapError, OSError, ValueError, struct.error):
            return  # the cut: what came before it was whole
