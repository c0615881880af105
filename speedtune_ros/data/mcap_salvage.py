"""What is in an MCAP file: by its own index where the file is whole, else all that can still be read of it.

Format: https://mcap.dev/spec
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from mcap import stream_reader
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import Channel, Chunk, Message, Metadata, Schema

from speedtune_ros.errors import DataError

MAGIC = b"\x89MCAP0\r\n"
HEAD = struct.Struct("<BQ")  # of every record: opcode, length
BROKEN = (
    *(McapError, OSError, ValueError, KeyError, RuntimeError, struct.error),
    getattr(stream_reader.zstandard, "ZstdError", McapError),
)
_KNOWN = frozenset(int(opcode) for opcode in Opcode)
_CHUNK_HEAD = struct.Struct("<QQQII")  # first and last log time, size, checksum, length of the compression's name


@dataclass(frozen=True)
class Contents:
    """What a file holds. messages: those of a damaged file, in the order received; None where the file is whole.

    counts: messages by channel; span_ns: log times of the first and the last; loss: what could not be read.
    """

    schemas: Mapping[int, Schema]
    channels: Mapping[int, Channel]
    counts: Mapping[int, int]
    span_ns: tuple[int, int]
    metadata: tuple[Metadata, ...]
    messages: tuple[Message, ...] | None = None
    loss: tuple[str, ...] = ()


def contents(file: Path) -> Contents:
    """What `file` holds, each of its chunks checked. Raises DataError if it is no MCAP file or nothing is readable."""
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _contents(file, data)
    except (OSError, ValueError) as error:  # ValueError: nothing to map
        raise DataError(f"{file}: empty or cannot be read: {error}") from error


def _contents(file: Path, data: mmap.mmap) -> Contents:
    if data[: len(MAGIC)] != MAGIC:
        raise DataError(f"{file}: no MCAP file: expected it to begin with {MAGIC!r}, found {data[:8]!r}")
    indexed = _indexed(file)
    if indexed is not None and all(_is_whole(data, offset) for offset in indexed.chunk_offsets):
        return indexed.contents
    found = _Salvage(data, [] if indexed is None else indexed.chunk_offsets).contents()
    if not found.channels:
        raise DataError(f"{file}: nothing of it can be read: {'; '.join(found.loss)}")
    return found


class _Indexed(NamedTuple):
    contents: Contents
    chunk_offsets: list[int]


def _indexed(file: Path) -> _Indexed | None:
    """What the index at the file's end says; None if there is none."""
    try:
        with file.open("rb") as stream:
            reader = SeekingReader(stream)
            summary = reader.get_summary()
            metadata = tuple(reader.iter_metadata())
    except BROKEN:
        return None
    if summary is None or summary.statistics is None:
        return None
    statistics = summary.statistics
    span = statistics.message_start_time, statistics.message_end_time
    found = Contents(summary.schemas, summary.channels, statistics.channel_message_counts, span, metadata)
    return _Indexed(found, sorted(index.chunk_start_offset for index in summary.chunk_indexes))


def _is_whole(data: mmap.mmap, offset: int) -> bool:
    """Whether there is a chunk at `offset` whose checksum is right."""
    try:
        opcode, length = HEAD.unpack_from(data, offset)
        body = data[offset + HEAD.size : offset + HEAD.size + length]
        stream_reader.get_chunk_data_stream(Chunk.read(ReadDataStream(BytesIO(body))), validate_crc=True)
    except BROKEN:
        return False
    return opcode == Opcode.CHUNK and len(body) == length


class _Salvage:
    """Walks the records of a file from its start, over what is damaged.

    chunk_offsets: where the index says chunks begin, to go on from where the chain of records is broken.
    """

    def __init__(self, data: mmap.mmap, chunk_offsets: list[int]) -> None:
        self._data = data
        self._offsets = chunk_offsets
        self.loss: list[str] = []
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._metadata: list[Metadata] = []
        self._messages: list[Message] = []
        self._ended = False
        for offset, opcode, body in self._records():
            try:
                self._take(opcode, body)
            except BROKEN as error:
                self._lose(offset, opcode, body, str(error))
        if not self.loss:
            self.loss.append(
                "the index at its end is missing or damaged" if self._ended else "cut short: its end is missing"
            )

    def contents(self) -> Contents:
        messages = tuple(sorted(self._known(), key=lambda message: message.log_time))
        span = (messages[0].log_time, messages[-1].log_time) if messages else (0, 0)
        counts = Counter(message.channel_id for message in messages)
        metadata, loss = tuple(self._metadata), tuple(self.loss)
        return Contents(self._schemas, self._channels, counts, span, metadata, messages, loss)

    def _known(self) -> Iterator[Message]:
        return (message for message in self._messages if message.channel_id in self._channels)

    def _records(self) -> Iterator[tuple[int, int, bytes]]:
        """(offset, opcode, body) of each record up to the data section's end; the last body may be cut."""
        data, offset = self._data, len(MAGIC)
        while offset + HEAD.size <= len(data) and not self._ended:
            opcode, length = HEAD.unpack_from(data, offset)
            begin = offset + HEAD.size
            plausible = opcode in _KNOWN and begin + length <= len(data)
            if opcode == Opcode.CHUNK and not plausible and not any(o > offset for o in self._offsets):
                yield offset, opcode, data[begin:]  # cut within its last chunk
                return
            if not plausible:
                onward = next((o for o in self._offsets if o > offset), len(data))
                self.loss.append(f"{onward - offset} of {len(data)} bytes from byte {offset} on are no MCAP records")
                offset = onward
                continue
            self._ended = opcode == Opcode.DATA_END
            yield offset, opcode, data[begin : begin + length]
            offset = begin + length

    def _take(self, opcode: int, body: bytes) -> None:
        stream = ReadDataStream(BytesIO(body))
        if opcode == Opcode.CHUNK:
            for record in stream_reader.breakup_chunk(Chunk.read(stream), validate_crc=True):
                self._keep(record)
        elif opcode == Opcode.MESSAGE:
            self._keep(Message.read(stream, len(body)))
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA):
            kind: Any = {Opcode.SCHEMA: Schema, Opcode.CHANNEL: Channel, Opcode.METADATA: Metadata}[Opcode(opcode)]
            self._keep(kind.read(stream))

    def _keep(self, record: Any) -> None:
        if isinstance(record, Schema):
            self._schemas[record.id] = record
        elif isinstance(record, Channel):
            self._channels[record.id] = record
        elif isinstance(record, Metadata):
            self._metadata.append(record)
        elif isinstance(record, Message):
            self._messages.append(record)

    def _lose(self, offset: int, opcode: int, body: bytes, why: str) -> None:
        """Say what is lost; of a chunk that the file's end cuts, keep the messages that are whole."""
        if opcode != Opcode.CHUNK:
            self.loss.append(f"record {opcode} at byte {offset} is damaged: {why}")
            return
        _, length = HEAD.unpack_from(self._data, offset)
        if len(body) >= length:
            when = _when(body, self._messages)
            self.loss.append(f"a chunk of {length} bytes at byte {offset}{when} is damaged and left out: {why}")
            return
        kept = len(self._messages)
        for record in _whole_records(body):
            self._keep(record)
        kept = len(self._messages) - kept
        text = f"cut short: {length - len(body)} of the last chunk's {length} bytes, and all behind it, are missing"
        self.loss.append(f"{text}; its first {kept} messages are used")


def _when(body: bytes, before: list[Message]) -> str:
    """When a chunk's messages were received, as its head says it."""
    if len(body) < _CHUNK_HEAD.size or not before:
        return ""
    start, end, *_ = _CHUNK_HEAD.unpack_from(body)
    first = before[0].log_time
    return f", {(start - first) * 1e-9:.2f} to {(end - first) * 1e-9:.2f} s after the first message,"


def _whole_records(body: bytes) -> Iterator[Any]:
    """Records of an uncompressed chunk whose end is missing; none of a compressed one."""
    offset = _CHUNK_HEAD.size + 8
    if len(body) < offset or _CHUNK_HEAD.unpack_from(body)[-1]:
        return
    while offset + HEAD.size <= len(body):
        opcode, length = HEAD.unpack_from(body, offset)
        begin, offset = offset + HEAD.size, offset + HEAD.size + length
        if offset > len(body):
            return
        inner = ReadDataStream(BytesIO(body[begin:offset]))
        if opcode == Opcode.MESSAGE:
            yield Message.read(inner, length)
        elif opcode == Opcode.CHANNEL:
            yield Channel.read(inner)
        elif opcode == Opcode.SCHEMA:
            yield Schema.read(inner)
