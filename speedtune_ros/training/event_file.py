"""Scalars as TensorBoard reads them, without depending on TensorBoard.

A file of records (https://www.tensorflow.org/tutorials/load_data/tfrecord), each a protocol buffer `Event`
(https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto) with scalar summaries.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5  # protocol buffer wire types


class EventFile:
    """Begins the file anew; `add` appends, so that whoever watches it sees every step as it comes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_record(_double(1, 0.0) + _string(3, b"brain.Event:2")))

    def add(self, step: int, seconds: float, scalars: Mapping[str, Any]) -> None:
        """The numbers among `scalars` at `step`, `seconds` into the run."""
        summary = b""
        for tag, value in scalars.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                number = _key(2, _FLOAT) + struct.pack("<f", value)
                summary += _string(1, _string(1, tag.encode()) + number)
        with self._path.open("ab") as file:
            file.write(_record(_double(1, seconds) + _key(2, _VARINT) + _varint(step) + _string(5, summary)))


def crc32c(data: bytes) -> int:
    """Castagnoli's cyclic redundancy check, https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = tuple(_entry(byte) for byte in range(256))


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    """The check as records have it: rotated by 15 bits, plus a constant."""
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _double(field: int, value: float) -> bytes:
    return _key(field, _DOUBLE) + struct.pack("<d", value)


def _string(field: int, value: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
