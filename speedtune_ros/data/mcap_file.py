"""An MCAP file that is complete after every flush, so that every reader opens it after its writer was killed.

A usual writer leaves index and footer for the end, and a file without them is refused or must be repaired. Here each
flush writes the new chunk over the old tail and a new tail (index, statistics, footer) behind it, in one call. Only a
kill within that call (a millisecond) cuts the tail; the chunks before are whole even then, and can be recovered.
Format: https://mcap.dev/spec
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Message,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
)
from mcap.writer import MCAP0_MAGIC

LIBRARY = "speedtune_ros"


class McapFile:
    """Messages of channels with schemas, grouped in one uncompressed chunk a flush."""

    def __init__(self, path: str | Path, metadata: Mapping[str, Mapping[str, str]]) -> None:
        """Create `path` (which must not exist) with named metadata records in front."""
        self._schemas: dict[str, Schema] = {}
        self._channels: list[Channel] = []
        self._counts: dict[int, int] = {}
        self._chunk_indices: list[ChunkIndex] = []
        self._metadata_indices: list[MetadataIndex] = []
        self._span = (0, 0)  # log times of the first and the last message [ns]
        self._loose = RecordBuilder()  # records between chunks
        self._new_chunk()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._data_end = 0
        self._loose.write(MCAP0_MAGIC)
        Header(profile="ros2", library=LIBRARY).write(self._loose)
        for name, values in metadata.items():
            self.add_metadata(name, values)
        self.flush()

    @property
    def counts(self) -> Mapping[int, int]:
        """Messages by channel, those not flushed yet included."""
        return self._counts

    @property
    def span_ns(self) -> tuple[int, int]:
        """Log times of the first and last message; (0, 0) without messages."""
        return self._span

    def add_channel(self, topic: str, schema_name: str, schema: str, metadata: Mapping[str, str]) -> int:
        """A channel of CDR messages described by a `ros2msg` schema; its id."""
        if schema_name not in self._schemas:
            number = len(self._schemas) + 1
            self._schemas[schema_name] = Schema(id=number, data=schema.encode(), encoding="ros2msg", name=schema_name)
            self._schemas[schema_name].write(self._loose)
        channel = Channel(
            id=len(self._channels) + 1,
            topic=topic,
            message_encoding="cdr",
            metadata=dict(metadata),
            schema_id=self._schemas[schema_name].id,
        )
        channel.write(self._loose)
        self._channels.append(channel)
        self._counts[channel.id] = 0
        return channel.id

    def add_metadata(self, name: str, values: Mapping[str, str]) -> None:
        """A named metadata record; of several with one name, the last counts."""
        start = self._loose.count
        Metadata(name=name, metadata=dict(values)).write(self._loose)
        length = self._loose.count - start
        self._metadata_indices.append(MetadataIndex(offset=self._data_end + start, length=length, name=name))

    def write(self, channel: int, log_ns: int, publish_ns: int, data: bytes) -> None:
        """Add a message to the chunk in progress; the next flush puts it on disk."""
        first = not any(self._counts.values())
        self._span = (log_ns, log_ns) if first else (min(self._span[0], log_ns), max(self._span[1], log_ns))
        self._chunk_times.append(log_ns)
        self._indices.setdefault(channel, []).append((log_ns, self._chunk.count))
        self._counts[channel] += 1
        Message(channel, log_ns, data, publish_ns, self._counts[channel]).write(self._chunk)

    def flush(self) -> None:
        """Put everything so far on disk as a complete file."""
        loose = self._loose.end()
        body = loose + self._end_chunk(self._data_end + len(loose))
        tail = self._tail(self._data_end + len(body))
        self._put(body + tail)
        self._data_end += len(body)

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        os.close(self._file)

    def _new_chunk(self) -> None:
        self._chunk = RecordBuilder()
        self._chunk_times: list[int] = []
        self._indices: dict[int, list[tuple[int, int]]] = {}

    def _end_chunk(self, offset: int) -> bytes:
        """The chunk in progress and its message indices as they go to `offset` of the file; nothing if empty."""
        if not self._chunk_times:
            return b""
        data = self._chunk.end()
        builder = RecordBuilder()
        start, end = min(self._chunk_times), max(self._chunk_times)
        Chunk(
            compression="",
            data=data,
            message_start_time=start,
            message_end_time=end,
            uncompressed_crc=zlib.crc32(data),
            uncompressed_size=len(data),
        ).write(builder)
        length = builder.count
        places = {}
        for channel, records in self._indices.items():
            places[channel] = offset + builder.count
            MessageIndex(channel_id=channel, records=records).write(builder)
        index = ChunkIndex(
            chunk_start_offset=offset,
            chunk_length=length,
            message_start_time=start,
            message_end_time=end,
            message_index_offsets=places,
            message_index_length=builder.count - length,
            compression="",
            compressed_size=len(data),
            uncompressed_size=len(data),
        )
        self._chunk_indices.append(index)
        self._new_chunk()
        return builder.end()

    def _tail(self, offset: int) -> bytes:
        """End of data, summary, footer and magic as they go to `offset` of the file."""
        data_end = _record(DataEnd(0))
        summary = b"".join(_record(record) for record in self._summary())
        start = offset + len(data_end)
        # The footer's checksum covers the summary and the footer up to the checksum itself.
        footer = struct.pack("<BQQQ", Opcode.FOOTER, 20, start, 0)
        crc = zlib.crc32(footer, zlib.crc32(summary))
        return data_end + summary + _record(Footer(start, 0, crc)) + MCAP0_MAGIC

    def _summary(self) -> list[McapRecord]:
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts=dict(self._counts),
            chunk_count=len(self._chunk_indices),
            message_count=sum(self._counts.values()),
            message_start_time=self._span[0],
            message_end_time=self._span[1],
            metadata_count=len(self._metadata_indices),
            schema_count=len(self._schemas),
        )
        schemas = list(self._schemas.values())
        return [*schemas, *self._channels, statistics, *self._chunk_indices, *self._metadata_indices]

    def _put(self, data: bytes) -> None:
        """Write `data` over the old tail. It is never shorter than that: the summary only grows."""
        view, position = memoryview(data), self._data_end
        while view:
            written = os.pwrite(self._file, view, position)
            view, position = view[written:], position + written


def _record(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return builder.end()
